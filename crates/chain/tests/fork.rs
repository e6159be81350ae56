//! A chain forked from the metagraph that the client printed shows that metagraph again, and goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use starling_chain::{Client, Metagraph, Options, value::Value};
use starling_localnet::{Localnet, LocalnetConfig, LocalnetError, read_snapshot};
use starling_wallet::Keypair;

const TAO: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

async fn start(config: LocalnetConfig) -> (Localnet, Client) {
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(100)), ..config };
    let net = Localnet::start(config).await.unwrap();
    let options = Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE };
    let chain = Client::connect(&net.url(), options).await.unwrap();
    (net, chain)
}

/// A metagraph without what a block more changes.
fn lasting(graph: &Metagraph) -> Metagraph {
    Metagraph { block: 0, block_hash: [0; 32], blocks_since_last_step: 0, burn: 0, ..graph.clone() }
}

/// Two validators' worth of a subnet, after an epoch; and its metagraph.
async fn original(chain: &Client) -> Metagraph {
    let (netuid, _) = chain.register_network(&key("//Bob"), &key("//Bob//hot").account()).await.unwrap();
    chain.start_call(&key("//Bob"), netuid).await.unwrap();
    for cold in ["//Charlie", "//Dave"] {
        let hotkey = key(&format!("{cold}//hot")).account();
        chain.burned_register(&key(cold), netuid, &hotkey).await.unwrap();
        chain.add_stake(&key(cold), &hotkey, netuid, 100 * TAO).await.unwrap();
    }
    chain.add_stake(&key("//Charlie"), &key("//Charlie//hot").account(), 0, 10 * TAO).await.unwrap();
    let next = chain.epoch_clock(netuid).await.unwrap().next_epoch_block().unwrap();
    // The epoch's own block: the next one has none.
    let block = chain.wait_for_block(next, PATIENCE).await.unwrap();
    chain.metagraph(netuid, Some(block.hash)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fork_of_a_metagraph_is_that_metagraph_and_lives_on_over_a_restart() {
    let (net, chain) = start(LocalnetConfig::default()).await;
    let was = original(&chain).await;
    net.shutdown().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metagraph.json");
    std::fs::write(&file, serde_json::to_vec(&was).unwrap()).unwrap();

    let config = LocalnetConfig {
        fork: Some(read_snapshot(&file).unwrap()),
        state: Some(directory.path().join("state")),
        ..LocalnetConfig::default()
    };
    let (net, chain) = start(config.clone()).await;
    let first = chain.block_hash(was.block + 1).await.unwrap().expect("the first block is there at once");
    let is = chain.metagraph(was.netuid, Some(first)).await.unwrap();
    assert_eq!(is.block, was.block + 1);
    assert_eq!(lasting(&is), lasting(&was));
    // Who has keys of the original goes on as it did; and strangers come in.
    let hotkey = key("//Eve//hot").account();
    let (uid, sent) = chain.burned_register(&key("//Eve"), was.netuid, &hotkey).await.unwrap();
    assert_eq!(usize::from(uid), was.neurons.len());
    let charlie = key("//Charlie//hot").account();
    let args = [("hotkey", Value::from(&charlie)), ("netuid", was.netuid.into()), ("amount_unstaked", TAO.into())];
    chain.submit(&key("//Charlie"), "SubtensorModule", "remove_stake", &args).await.unwrap();
    net.shutdown().await;

    let (net, chain) = start(config).await;
    let graph = chain.metagraph(was.netuid, None).await.unwrap();
    assert!(graph.block >= sent.block.number);
    assert!(graph.by_hotkey(&hotkey).is_some(), "what came after the fork is kept");
    assert_eq!(chain.block_hash(sent.block.number).await.unwrap(), Some(sent.block.hash));
    net.shutdown().await;
}

#[test]
fn a_file_that_is_no_metagraph_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        let file = directory.path().join("m.json");
        std::fs::write(&file, text).unwrap();
        match read_snapshot(&file) {
            Err(LocalnetError::Fork(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused("{").contains("m.json"));
    assert!(refused("[]").contains("starling metagraph"));
    assert!(refused(r#"{"block": 5}"#).contains("netuid"));
    let missing = read_snapshot(&directory.path().join("none.json")).unwrap_err().to_string();
    assert!(missing.contains("none.json"), "{missing}");
}
