//! The keeper against a real chain in this process, started from the states that a crash leaves: nothing is called landed that did not
//! land, and no salt is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use starling_chain::{Client, Options, commit_reveal::commit_hash};
use starling_keeper::{CommitStore, FileStore, Keeper, PendingCommit, Refresh, Target, WeightStatus};
use starling_localnet::{Localnet, LocalnetConfig};
use starling_wallet::Keypair;
use tokio::sync::watch;

const WEIGHTS: [(u16, u16); 1] = [(1, 65_535)];
const PATIENCE: Duration = Duration::from_secs(60);

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

struct World {
    _net: Localnet,
    chain: Client,
    netuid: u16,
}

/// A subnet of //Alice's with an epoch of 20 blocks, whose owner //Alice//hot weighs //Bob//hot.
async fn world() -> World {
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(100)), ..LocalnetConfig::default() };
    let net = Localnet::start(config).await.unwrap();
    let chain = Client::connect(&net.url(), Options { timeout: PATIENCE, inclusion_timeout: PATIENCE }).await.unwrap();
    let (netuid, _) = chain.register_network(&key("//Alice"), &key("//Alice//hot").account()).await.unwrap();
    chain.start_call(&key("//Alice"), netuid).await.unwrap();
    chain.burned_register(&key("//Bob"), netuid, &key("//Bob//hot").account()).await.unwrap();
    let world = World { _net: net, chain, netuid };
    world.set("sudo_set_tempo", ("tempo", 20_u16.into())).await;
    world.set("sudo_set_weights_set_rate_limit", ("weights_set_rate_limit", 0_u64.into())).await;
    world
}

impl World {
    async fn set(&self, setter: &str, value: (&str, starling_chain::value::Value)) {
        self.chain.sudo_set(&key("//Alice"), setter, &[("netuid", self.netuid.into()), value]).await.unwrap();
    }

    fn keep(&self, store: FileStore) -> (watch::Sender<Target>, watch::Receiver<WeightStatus>) {
        let (target, targets) = watch::channel(Target { weights: WEIGHTS.to_vec() });
        let (status, statuses) = watch::channel(WeightStatus::default());
        let hotkey = Arc::new(key("//Alice//hot"));
        let keeper = Keeper::new(self.chain.clone(), hotkey, self.netuid, Arc::new(store), targets, status);
        tokio::spawn(keeper.with(Refresh::EveryEpoch, 0).run());
        (target, statuses)
    }
}

fn pending(epoch: Option<u64>) -> PendingCommit {
    PendingCommit { uids: vec![1], values: vec![65_535], salt: vec![7; 8], version_key: 0, epoch }
}

/// The weights on chain are those of an epoch before, and a commit that should be there is not: that is no reveal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_weights_of_an_earlier_epoch_are_not_taken_for_a_reveal() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    world.set("sudo_set_commit_reveal_weights_enabled", ("enabled", false.into())).await;
    world.chain.set_weights(&key("//Alice//hot"), world.netuid, &[1], &[65_535], 0).await.unwrap();
    world.set("sudo_set_commit_reveal_weights_enabled", ("enabled", true.into())).await;
    let clock = world.chain.epoch_clock(world.netuid).await.unwrap();
    let next = clock.next_epoch_block().unwrap();
    world.chain.wait_for_block(next + 1, PATIENCE).await.unwrap();
    let index = world.chain.epoch_clock(world.netuid).await.unwrap().index;
    let store = FileStore::open(dir.path()).unwrap();
    // Its reveal would be due in this very epoch.
    store.set_pending(Some(&pending(Some(index - 1)))).unwrap();
    let (_target, mut status) = world.keep(store);
    let seen = tokio::time::timeout(PATIENCE, status.wait_for(|s| s.reveals > 0)).await.unwrap().unwrap().clone();
    assert!(seen.commits > 0, "nothing was committed, so nothing was revealed: {seen:?}");
}

/// A commit that was stored and perhaps sent is sent again as it is: whichever copy lands, its salt is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_may_be_on_its_way_is_sent_again_with_the_same_salt() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let store = FileStore::open(dir.path()).unwrap();
    store.set_pending(Some(&pending(None))).unwrap();
    let (_target, mut status) = world.keep(store);
    tokio::time::timeout(PATIENCE, status.wait_for(|s| s.commits > 0)).await.unwrap().unwrap();
    let account = key("//Alice//hot").account();
    let hash = commit_hash(&account, world.netuid, &[1], &[65_535], &[7; 8], 0);
    let on_chain = world.chain.weight_commits(world.netuid, &account).await.unwrap();
    assert_eq!(on_chain.iter().map(|c| c.hash).collect::<Vec<_>>(), [hash]);
    let seen = tokio::time::timeout(PATIENCE, status.wait_for(|s| s.reveals > 0)).await.unwrap().unwrap().clone();
    assert_eq!(seen.confirmed.as_deref(), Some(&WEIGHTS[..]), "{seen:?}");
}
