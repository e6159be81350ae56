//! A real chain in this process with a started subnet, and the keys that play on it.

use std::time::Duration;

use starling_chain::{ChainError, Client, Options, RevealWindow, value::Value};
use starling_localnet::{Localnet, LocalnetConfig};
use starling_wallet::Keypair;

pub const TAO: u64 = 1_000_000_000;
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

pub fn options() -> Options {
    Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE }
}

/// A chain with a started subnet of //Bob's.
pub struct World {
    /// Runs as long as it is held.
    _net: Localnet,
    pub chain: Client,
    pub netuid: u16,
}

pub async fn localnet() -> (Localnet, Client) {
    // A round a second: epochs are a few seconds long here.
    let config =
        LocalnetConfig { block_time: Some(Duration::from_millis(100)), beacon: Some(1), ..LocalnetConfig::default() };
    let net = Localnet::start(config).await.unwrap();
    let chain = Client::connect(&net.url(), options()).await.unwrap();
    (net, chain)
}

pub async fn world() -> World {
    let (net, chain) = localnet().await;
    let (netuid, _) = chain.register_network(&key("//Bob"), &key("//Bob//hot").account()).await.unwrap();
    chain.start_call(&key("//Bob"), netuid).await.unwrap();
    World { _net: net, chain, netuid }
}

impl World {
    pub async fn register(&self, cold: &str, hot: &str) -> u16 {
        self.chain.burned_register(&key(cold), self.netuid, &key(hot).account()).await.unwrap().0
    }

    pub async fn set(&self, setter: &str, argument: &str, value: impl Into<Value>) {
        let args = [("netuid", self.netuid.into()), (argument, value.into())];
        self.chain.sudo_set(&key("//Alice"), setter, &args).await.unwrap();
    }

    /// //Charlie//hot as a validator with a permit, //Dave//hot as a miner; returns their uids.
    pub async fn validator_and_miner(&self) -> (u16, u16) {
        let validator = self.register("//Charlie", "//Charlie//hot").await;
        let miner = self.register("//Dave", "//Dave//hot").await;
        let hotkey = key("//Charlie//hot").account();
        self.chain.add_stake(&key("//Charlie"), &hotkey, self.netuid, 10_000 * TAO).await.unwrap();
        self.after_next_epoch().await;
        let graph = self.chain.metagraph(self.netuid, None).await.unwrap();
        assert!(graph.by_hotkey(&hotkey).unwrap().validator_permit, "{graph:?}");
        (validator, miner)
    }

    pub async fn after_next_epoch(&self) {
        let next = self.chain.epoch_clock(self.netuid).await.unwrap().next_epoch_block().unwrap();
        self.chain.wait_for_block(next, PATIENCE).await.unwrap();
    }

    pub async fn wait_for(&self, window: RevealWindow) {
        self.chain.wait_for_block(window.first, PATIENCE).await.unwrap();
    }
}

/// The error's name, or the whole error if it has none.
pub fn name<T: std::fmt::Debug>(result: Result<T, ChainError>) -> String {
    let error = result.unwrap_err();
    error.name().map_or_else(|| format!("{error:?}"), str::to_owned)
}
