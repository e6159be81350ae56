//! The keeper against a real chain in this process, started from the states that a crash leaves: nothing is called landed that did not
//! land, and no salt is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use starling_chain::{Client, Options, commit_reveal::commit_hash};
use starling_keeper::{By, CommitStore, FileStore, Keeper, PendingCommit, Refresh, Secret, Target, WeightStatus};
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

async fn world() -> World {
    // A round of the beacon each second: an epoch has two of them.
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(100)), beacon: Some(1), ..Default::default() };
    found(config).await
}

/// A subnet of //Alice's with an epoch of 20 blocks, whose owner //Alice//hot weighs //Bob//hot.
async fn found(config: LocalnetConfig) -> World {
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

    fn keep(&self, store: FileStore, by: By) -> (watch::Sender<Target>, watch::Receiver<WeightStatus>) {
        self.keep_for(store, by, 0)
    }

    fn keep_for(
        &self,
        store: FileStore,
        by: By,
        version_key: u64,
    ) -> (watch::Sender<Target>, watch::Receiver<WeightStatus>) {
        let (target, targets) = watch::channel(Target { weights: WEIGHTS.to_vec() });
        let (status, statuses) = watch::channel(WeightStatus::default());
        let hotkey = Arc::new(key("//Alice//hot"));
        let keeper = Keeper::new(self.chain.clone(), hotkey, self.netuid, Arc::new(store), targets, status);
        tokio::spawn(keeper.with(Refresh::EveryEpoch, version_key).with_commits(by).run());
        (target, statuses)
    }
}

fn pending(stored_at: u32, stands: Option<(u64, u32)>) -> PendingCommit {
    let secret = Secret::Salt(vec![7; 8]);
    PendingCommit { uids: vec![1], values: vec![65_535], secret, version_key: 0, stored_at, stands }
}

async fn until(status: &mut watch::Receiver<WeightStatus>, wanted: impl FnMut(&WeightStatus) -> bool) -> WeightStatus {
    tokio::time::timeout(PATIENCE, status.wait_for(wanted)).await.unwrap().unwrap().clone()
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
    store.set_commits(&[pending(clock.block, Some((index - 1, clock.block)))]).unwrap();
    let (_target, mut status) = world.keep(store, By::Hash);
    let seen = until(&mut status, |s| s.reveals > 0).await;
    assert!(seen.commits > 0 && seen.losses == 1, "nothing was committed, so nothing was revealed: {seen:?}");
}

/// A commit that was stored and perhaps sent is sent again as it is: whichever copy lands, its salt is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_may_be_on_its_way_is_sent_again_with_the_same_salt() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let store = FileStore::open(dir.path()).unwrap();
    let head = world.chain.head().await.unwrap().number;
    store.set_commits(&[pending(head, None)]).unwrap();
    let (_target, mut status) = world.keep(store, By::Hash);
    until(&mut status, |s| s.commits > 0).await;
    let account = key("//Alice//hot").account();
    let hash = commit_hash(&account, world.netuid, &[1], &[65_535], &[7; 8], 0);
    let on_chain = world.chain.weight_commits(world.netuid, &account).await.unwrap();
    assert_eq!(on_chain.iter().map(|c| c.hash).collect::<Vec<_>>(), [hash]);
    let seen = until(&mut status, |s| s.reveals > 0).await;
    assert_eq!(seen.confirmed.as_deref(), Some(&WEIGHTS[..]), "{seen:?}");
}

/// With a reveal period of three epochs, weights are committed in each of them all the same, by either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_several_epochs_wait_side_by_side() {
    for by in [By::Hash, By::Timelock] {
        let (world, dir) = (world().await, tempfile::tempdir().unwrap());
        world.set("sudo_set_commit_reveal_weights_interval", ("interval", 3_u64.into())).await;
        let (_target, mut status) = world.keep(FileStore::open(dir.path()).unwrap(), by);
        let first = until(&mut status, |s| s.reveals == 1).await;
        let fourth = until(&mut status, |s| s.reveals == 4).await;
        assert_eq!((fourth.losses, fourth.confirmed.as_deref()), (0, Some(&WEIGHTS[..])), "{fourth:?}");
        assert!(fourth.confirmed_at - first.confirmed_at <= 65, "{by:?}: one in each epoch: {first:?}, {fourth:?}");
        assert!(fourth.pending >= 2, "{fourth:?}");
    }
}

/// The chain drops what breaks a rule at the reveal and says nothing; the keeper notices, says which rule it was, and commits again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_chain_drops_is_noticed_with_its_reason_and_made_up_for() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let (_target, mut status) = world.keep(FileStore::open(dir.path()).unwrap(), By::Timelock);
    until(&mut status, |s| s.commits == 1).await;
    world.set("sudo_set_weights_version_key", ("weights_version_key", 1_u64.into())).await;
    let seen = until(&mut status, |s| s.losses > 0).await;
    let loss = seen.last_loss.clone().unwrap();
    assert!(loss.why.contains("IncorrectWeightVersionKey: version key 0, needed is at least 1"), "{loss:?}");
    until(&mut status, |s| s.refused.as_deref() == Some("IncorrectWeightVersionKey")).await;
    world.set("sudo_set_weights_version_key", ("weights_version_key", 0_u64.into())).await;
    let reveals = status.borrow().reveals;
    let seen = until(&mut status, |s| s.reveals > reveals).await;
    assert_eq!(seen.confirmed.as_deref(), Some(&WEIGHTS[..]));
}

/// Nobody brings this chain its beacon's rounds: a timelocked commit would never be revealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_running_beacon_weights_are_committed_by_hash() {
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(100)), beacon: None, ..Default::default() };
    let (world, dir) = (found(config).await, tempfile::tempdir().unwrap());
    let (_target, mut status) = world.keep(FileStore::open(dir.path()).unwrap(), By::Best);
    let seen = until(&mut status, |s| s.reveals == 2).await;
    assert_eq!((seen.losses, seen.confirmed.as_deref()), (0, Some(&WEIGHTS[..])));
}

/// Killed after its reveal and before it could note that: what landed is not called lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reveal_that_landed_while_nobody_looked_is_no_loss() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let signer = key("//Alice//hot");
    let (commit, sent) = world.chain.commit_weights(&signer, world.netuid, &[1], &[65_535], &[7; 8], 0).await.unwrap();
    let window = world.chain.epoch_clock(world.netuid).await.unwrap().reveal_window(commit.epoch).unwrap();
    world.chain.wait_for_block(window.first, PATIENCE).await.unwrap();
    world.chain.reveal_weights(&signer, world.netuid, &[1], &[65_535], &[7; 8], 0).await.unwrap();
    // In its own epoch, and long after it.
    for later in [1, 25] {
        let head = world.chain.head().await.unwrap().number;
        world.chain.wait_for_block(head + later, PATIENCE).await.unwrap();
        let store = FileStore::open(&dir.path().join(later.to_string())).unwrap();
        store.set_commits(&[pending(sent.block.number, Some((commit.epoch, sent.block.number)))]).unwrap();
        let (target, mut status) = world.keep(store, By::Hash);
        let seen = until(&mut status, |s| s.reveals + s.losses > 0).await;
        assert_eq!((seen.reveals, seen.losses), (1, 0), "{seen:?}");
        drop(target);
    }
}

/// What cannot be revealed any more does not keep this epoch's weights from being committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_with_an_earlier_commit_costs_no_other_epoch() {
    let (world, dir) = (world().await, tempfile::tempdir().unwrap());
    let signer = key("//Alice//hot");
    let (commit, sent) = world.chain.commit_weights(&signer, world.netuid, &[1], &[65_535], &[7; 8], 0).await.unwrap();
    // Since then weights of version 0 are refused.
    world.set("sudo_set_weights_version_key", ("weights_version_key", 1_u64.into())).await;
    let window = world.chain.epoch_clock(world.netuid).await.unwrap().reveal_window(commit.epoch).unwrap();
    world.chain.wait_for_block(window.first, PATIENCE).await.unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    store.set_commits(&[pending(sent.block.number, Some((commit.epoch, sent.block.number)))]).unwrap();
    let (_target, mut status) = world.keep_for(store, By::Hash, 1);
    until(&mut status, |s| s.commits > 0).await;
    let waiting = world.chain.weight_commits(world.netuid, &signer.account()).await.unwrap();
    assert_eq!(waiting.last().unwrap().epoch, commit.epoch + 1, "in the epoch of the reveal that fails: {waiting:?}");
    let seen = until(&mut status, |s| s.reveals > 0).await;
    assert_eq!(seen.losses, 1, "{seen:?}");
}
