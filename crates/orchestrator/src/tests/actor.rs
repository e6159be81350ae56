//! Requests, bytes to bytes, against the real task and a real store; no network.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use parity_scale_codec::Encode;
use starling_commitment::anchor::Anchor;
use starling_keys::{Account, Signer};
use starling_network::{Handler, Peer as From, Roll};
use starling_protocol::{
    Code, Digest,
    config::RunConfig,
    ledger::Event,
    message::{Ready, Role},
    receipt::Work,
    signed::Signed,
    state::Phase,
    wire::{Request, Response, Submission},
};
use tokio::{sync::watch, time::timeout};

use super::{
    Key, config, key, leader,
    peer::{Line, Peer},
    script::Script,
};
use crate::{
    Ledger, OrchestratorError, Parts, StoreError, Task, ledger::Writer, requests::Requests, store::tests::Disk,
};

/// The longest that anything here may take; reached only by a defect.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    requests: Requests,
    ledger: Arc<Ledger>,
    chain: Arc<Script>,
    task: Task,
    stop: watch::Sender<bool>,
}

impl Bench {
    fn over(config: &RunConfig, ledger: Arc<Ledger>, writer: Writer, chain: Arc<Script>) -> Self {
        let roll = Roll::new(config.netuid, Duration::from_secs(30), crate::lookup(ledger.clone(), chain.clone()));
        let (stop, stopped) = watch::channel(false);
        let parts = Parts { run: config, roll: Arc::new(roll), hotkey: leader(), chain: chain.clone(), stop: stopped };
        let (task, requests) = parts.spawn(ledger.clone(), writer).unwrap();
        Self { requests, ledger, chain, task, stop }
    }

    fn open(folder: &Path, config: &RunConfig, chain: Arc<Script>) -> Self {
        let (ledger, writer) = Ledger::open(folder, config, leader()).unwrap();
        Self::over(config, ledger, writer, chain)
    }

    fn on(disk: &Disk, config: &RunConfig, chain: Arc<Script>) -> Self {
        let (store, found) = disk.open(config).unwrap();
        let (ledger, writer) = Ledger::with(store, found, leader());
        Self::over(config, ledger, writer, chain)
    }

    fn fresh(config: &RunConfig) -> Self {
        Self::on(&Disk::default(), config, Script::new())
    }

    /// Ends as abruptly as a kill, and lets go of the store.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        drop(self.requests);
        // A write that was under way ends on a thread of its own, as the kernel would end it.
        let released = async {
            while Arc::strong_count(&self.ledger) > 1 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, released).await.expect("somebody still holds the store");
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let page = self.ledger.page(events.len() as u64).unwrap();
            if page.entries.is_empty() {
                return events;
            }
            events.extend(page.entries.into_iter().map(|e| e.event));
        }
    }

    fn count(&self, name: &str) -> usize {
        self.events().iter().filter(|e| e.name() == name).count()
    }
}

impl Line for Bench {
    fn ask(&self, from: &Key, request: Bytes) -> BoxFuture<'_, Bytes> {
        let from = From { account: from.account(), endpoint: [0; 32] };
        Box::pin(async move { timeout(PATIENCE, self.requests.handle(from, request)).await.unwrap().unwrap() })
    }
}

fn miner(seed: u8, config: &RunConfig) -> Peer {
    Peer::new(key(seed), config)
}

#[tokio::test]
async fn garbage_is_answered_in_words() {
    let bench = Bench::fresh(&config(1, 1));
    let from = From { account: key(1).account(), endpoint: [0; 32] };
    let mut bytes = Request::Ledger { from: 0, wait_ms: 0 }.encode();
    for garbage in [vec![], vec![255; 40], vec![3, 255, 255, 255, 255], bytes.drain(..4).collect()] {
        let error = bench.requests.handle(from, garbage.into()).await.unwrap_err();
        assert!(error.code == Code::Malformed && error.words.contains("do not decode"), "{error}");
    }
    assert!(bench.events().is_empty());
}

#[tokio::test]
async fn who_is_not_registered_or_sends_anothers_join_is_refused_with_the_reason() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let stranger = miner(77, &config);
    let Response::Refused(why) = stranger.join(&bench).await else { panic!() };
    assert!(why.code == Code::NotRegistered && why.words.contains("register first"), "{why}");
    let anothers = Request::Join(super::join(&config, &key(2), 1));
    let Response::Refused(why) = miner(1, &config).ask(&bench, &anothers).await else { panic!() };
    assert_eq!(why.code, Code::Forged, "{why}");
    assert!(bench.events().is_empty());
}

#[tokio::test]
async fn what_is_accepted_can_be_read_at_once_and_what_is_said_twice_is_written_once() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let mut peer = miner(1, &config);
    let join = Request::Join(super::join(&config, &peer.key, 1));
    for _ in 0..2 {
        assert_eq!(peer.ask(&bench, &join).await, Response::Accepted);
    }
    peer.catch_up(&bench).await;
    assert_eq!(peer.state.members().len(), 1);
    let ready = peer.ready();
    assert_eq!(peer.submit(&bench, vec![ready.clone(), ready.clone()]).await, Response::Accepted);
    assert_eq!(peer.submit(&bench, vec![ready]).await, Response::Accepted);
    assert_eq!((bench.count("joined"), bench.count("ready")), (1, 1));
}

#[tokio::test]
async fn the_first_refusal_ends_a_request_is_named_and_what_came_before_it_stays() {
    let mut config = config(1, 1);
    config.epoch.gather_ms = 60_000;
    let bench = Bench::fresh(&config);
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    peer.catch_up(&bench).await;
    let ready = |weights: &[u8]| {
        let weights = Digest::of(weights);
        Submission::Ready(Signed::new(Ready { run: config.id(), epoch: 0, weights, momentum: weights }, &peer.key))
    };
    let Submission::Receipt(mut bad) = peer.receipt(Work::Merge { shard: 0, output: Digest::ZERO }) else { panic!() };
    bad.body.sequence = 9;
    let bad = Submission::Receipt(Signed::new(bad.body, &peer.key));
    let Response::Refused(why) = peer.submit(&bench, vec![ready(b"a"), bad, ready(b"b")]).await else { panic!() };
    assert_eq!(why.code, Code::OutOfSequence);
    assert!(why.words.starts_with("message 2 of 3 (merge): receipt 9"), "{why}");
    peer.catch_up(&bench).await;
    let held = peer.state.members()[&peer.key.account()].ready.unwrap().1.weights;
    assert_eq!(held, Digest::of(b"a"));
}

#[tokio::test]
async fn too_many_messages_are_refused_unread_and_a_flood_is_told_to_wait() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    peer.catch_up(&bench).await;
    let Response::Refused(why) = peer.submit(&bench, vec![peer.ready(); 257]).await else { panic!() };
    assert!(why.code == Code::TooLarge && why.words.contains("257 messages"), "{why}");
    let mut last = Response::Accepted;
    for _ in 0..4 {
        last = peer.submit(&bench, vec![peer.ready(); 200]).await;
    }
    let Response::Refused(why) = last else { panic!() };
    assert_eq!(why.code, Code::Allowance, "{why}");
}

#[tokio::test]
async fn a_long_poll_wakes_when_an_entry_comes() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let (waiting, coming) = (miner(1, &config), miner(2, &config));
    // The poll is first asked, then the join; the poll alone would wait 20 seconds.
    let both = async { tokio::join!(waiting.page(&bench, 30_000), coming.join(&bench)) };
    let (page, joined) = timeout(Duration::from_secs(10), both).await.expect("the poll slept on");
    assert_eq!(joined, Response::Accepted);
    assert!(matches!(page.entries[0].event, Event::Joined { .. }));
}

#[tokio::test]
async fn a_long_poll_ends_with_an_empty_signed_page_after_a_third_of_the_liveness_timeout() {
    let mut config = config(1, 1);
    config.epoch.liveness_timeout_ms = 300;
    let bench = Bench::fresh(&config);
    let mut peer = miner(1, &config);
    let page =
        timeout(Duration::from_secs(10), peer.page(&bench, u32::MAX)).await.expect("it waited as long as it was told");
    assert!(page.entries.is_empty());
    assert_eq!(peer.state.absorb(&page), Ok(0));
    // Beyond the end: another ledger's reader. It gets the head of this one, and sees that they differ.
    let Response::Page(page) = peer.ask(&bench, &Request::Ledger { from: 99, wait_ms: 0 }).await else { panic!() };
    assert_eq!((page.from, page.entries.len(), page.head.body.length), (99, 0, 0));
}

#[tokio::test]
async fn requests_that_come_together_are_all_answered_and_keep_each_peers_order() {
    let mut config = config(1, 1);
    config.epoch.gather_ms = 60_000;
    let bench = Bench::fresh(&config);
    let peers: Vec<Peer> = (1..9).map(|seed| miner(seed, &config)).collect();
    let joins = futures::future::join_all(peers.iter().map(|p| p.join(&bench))).await;
    assert!(joins.iter().all(|r| *r == Response::Accepted), "{joins:?}");
    let run = config.id();
    let said = |p: &Peer, n: u8| {
        let weights = Digest::of(&[n]);
        Submission::Ready(Signed::new(Ready { run, epoch: 0, weights, momentum: weights }, &p.key))
    };
    let all = peers.iter().map(|p| p.submit(&bench, (0..10).map(|n| said(p, n)).collect()));
    assert!(futures::future::join_all(all).await.iter().all(|r| *r == Response::Accepted));
    for peer in &peers {
        let account = peer.key.account();
        let order: Vec<Digest> = bench
            .events()
            .iter()
            .filter_map(|e| match e {
                Event::Ready(r) if r.signer == account => Some(r.body.weights),
                _ => None,
            })
            .collect();
        assert_eq!(order, (0..10).map(|n| Digest::of(&[n])).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_orchestrator_with_the_reason_and_loses_nothing() {
    let config = config(1, 1);
    let disk = Disk::default();
    let chain = Script::new();
    let bench = Bench::on(&disk, &config, chain.clone());
    let (first, second) = (miner(1, &config), miner(2, &config));
    assert_eq!(first.join(&bench).await, Response::Accepted);
    disk.fail_after(0);
    let Response::Refused(why) = second.join(&bench).await else { panic!("accepted without being written") };
    assert_eq!(why.code, Code::Stopping, "{why}");
    assert_eq!(bench.count("joined"), 1, "what is not on disk is not shown");
    let Bench { task, requests, ledger, .. } = bench;
    let error = timeout(PATIENCE, task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, OrchestratorError::Store(StoreError::Failed(_))), "{error}");
    drop((requests, ledger));
    // Space again: the one that was accepted is there, the other one may come again.
    let disk = disk.with_space();
    let bench = Bench::on(&disk, &config, chain);
    assert_eq!(bench.count("joined"), 1);
    assert_eq!(second.join(&bench).await, Response::Accepted);
}

#[tokio::test]
async fn a_silent_peer_is_gone_and_one_that_polls_is_not() {
    let mut config = config(1, 1);
    config.epoch.gather_ms = 60_000;
    config.epoch.liveness_timeout_ms = 2_000;
    let bench = Bench::fresh(&config);
    let (silent, mut polling) = (miner(1, &config), miner(2, &config));
    silent.join(&bench).await;
    polling.join(&bench).await;
    let gone = |p: &Peer| p.state.members().get(&silent.key.account()).is_some_and(|m| !m.live);
    let watched = async {
        while !gone(&polling) {
            polling.read(&bench).await;
        }
    };
    timeout(PATIENCE, watched).await.unwrap();
    assert!(polling.state.members()[&polling.key.account()].live);
}

#[tokio::test]
async fn a_run_goes_through_its_phases_and_its_head_is_on_chain_after_every_audit() {
    let config = config(1, 2);
    let bench = Bench::fresh(&config);
    bench.chain.fail_writes(2);
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    timeout(PATIENCE, peer.work_until(&bench, &bench.chain, |s| *s.phase() == Phase::Finished)).await.unwrap();
    timeout(PATIENCE, bench.chain.wait_for_heads(1)).await.unwrap();
    let Bench { task, chain, ledger, .. } = bench;
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
    // Anchored is what the ledger was: anyone who has it can check.
    for head in chain.heads() {
        let last = ledger.page(head.length - 1).unwrap();
        assert_eq!(head.run[..], config.id().0[..8]);
        let mut at = starling_protocol::ledger::Head::empty(config.id());
        let mut from = 0;
        while from < head.length {
            let page = ledger.page(from).unwrap();
            let left = usize::try_from(head.length - from).unwrap().min(page.entries.len());
            at = page.entries[..left].iter().fold(at, |h, e| h.then(e));
            from += left as u64;
        }
        assert_eq!(at.link, head.link);
        drop(last);
    }
    assert_eq!(chain.heads().last().unwrap().epoch, 2, "the closing segment's audit is anchored too");
}

#[tokio::test]
async fn an_anchor_is_taken_from_the_chain_with_its_block_and_foreign_or_old_ones_are_not() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    let account = peer.key.account();
    let anchoring = |s: &starling_protocol::state::State| matches!(s.phase(), Phase::Anchoring { .. });
    timeout(PATIENCE, peer.work_until(&bench, &bench.chain, anchoring)).await.unwrap();
    let mut run = [0; 8];
    run.copy_from_slice(&config.id().0[..8]);
    let me = &peer.state.members()[&account];
    let good = Anchor { run, epoch: 0, count: me.count, head: me.link };
    for other in [
        Anchor { run: [9; 8], ..good }.to_commitment(),
        Anchor { epoch: 7, ..good }.to_commitment(),
        b"something else".to_vec(),
    ] {
        bench.chain.put(account, other);
    }
    bench.chain.put(account, good.to_commitment());
    let block = bench.chain.block();
    timeout(PATIENCE, peer.read(&bench)).await.unwrap();
    let anchored = bench.events().into_iter().find(|e| e.name() == "anchored");
    assert_eq!(anchored, Some(Event::Anchored { account, block, count: good.count, head: good.head }));
}

#[tokio::test]
async fn training_goes_on_while_the_chain_is_away_and_closes_when_it_is_back() {
    let config = config(1, 1);
    let chain = Script::new();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), &config, chain.clone());
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    bench.kill().await;

    // Started anew without a chain: whoever the ledger knows is let in, and no height is made up.
    chain.away(true);
    let bench = Bench::open(folder.path(), &config, chain.clone());
    assert_eq!(bench.requests.roll.uid(&peer.key.account()).await, Ok(Some(1)));
    assert!(bench.requests.roll.uid(&key(2).account()).await.is_err());
    let stepped =
        |s: &starling_protocol::state::State| s.training().round == Some(1) && !s.training().stepped.is_empty();
    timeout(PATIENCE, peer.work_until(&bench, &chain, stepped)).await.unwrap();
    assert_eq!(bench.count("closed"), 0);
    chain.away(false);
    timeout(PATIENCE, peer.read(&bench)).await.unwrap();
    assert!(matches!(peer.state.phase(), Phase::Anchoring { block: 100 }));
}

#[tokio::test]
async fn killed_at_any_moment_and_started_again_the_run_continues_for_everybody_who_reads() {
    let config = config(1, 1);
    let chain = Script::new();
    let folder = tempfile::tempdir().unwrap();
    let mut peer = miner(1, &config);
    let mut bench = Bench::open(folder.path(), &config, chain.clone());
    peer.join(&bench).await;
    let mut lives = 0;
    while *peer.state.phase() != Phase::Finished {
        // Every life lets the peer see a few more entries; its copy must continue in the next.
        let until = peer.state.head().length + 7;
        let done = |s: &starling_protocol::state::State| s.head().length >= until || *s.phase() == Phase::Finished;
        timeout(PATIENCE, peer.work_until(&bench, &chain, done)).await.unwrap();
        bench.kill().await;
        bench = Bench::open(folder.path(), &config, chain.clone());
        lives += 1;
    }
    assert!(lives >= 4, "{lives}");
    let rounds = bench.events().iter().filter(|e| matches!(e, Event::Round { .. })).count();
    assert_eq!(rounds, 2, "nothing was done twice");
}

/// Deadlines are not for peers that could not be heard.
#[tokio::test]
async fn a_restart_after_longer_than_any_deadline_takes_nobodys_work_away() {
    let mut config = config(1, 1);
    config.epoch.sample_timeout_ms = 1_500;
    let chain = Script::new();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), &config, chain.clone());
    let mut peer = miner(1, &config);
    peer.join(&bench).await;
    let ordered = |s: &starling_protocol::state::State| s.training().steps.is_some();
    timeout(PATIENCE, peer.work_until(&bench, &chain, ordered)).await.unwrap();
    bench.kill().await;
    // The time that the orchestrator is away.
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    let bench = Bench::open(folder.path(), &config, chain.clone());
    // A peer that comes makes the rules be asked.
    assert_eq!(miner(2, &config).join(&bench).await, Response::Accepted);
    let stepped = |s: &starling_protocol::state::State| s.training().round == Some(1);
    timeout(PATIENCE, peer.work_until(&bench, &chain, stepped)).await.unwrap();
    assert_eq!((bench.count("gone"), bench.count("rerouted")), (0, 0));
}

#[tokio::test]
async fn a_slot_that_changed_hands_on_chain_sends_its_former_holder_away() {
    let mut config = config(1, 1);
    config.epoch.gather_ms = 60_000;
    let bench = Bench::fresh(&config);
    let (former, newcomer) = (miner(1, &config), miner(2, &config));
    former.join(&bench).await;
    bench.chain.register(newcomer.key.account(), 1);
    assert_eq!(newcomer.join(&bench).await, Response::Accepted);
    bench.ledger.look(|s| {
        assert!(!s.members()[&former.key.account()].live);
        assert_eq!(s.miner(1).unwrap().0, &newcomer.key.account());
    });
}

#[tokio::test]
async fn told_to_stop_it_stops_and_says_so_to_whoever_asks() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    bench.stop.send_replace(true);
    let Bench { task, requests, .. } = bench;
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
    let from: Account = key(1).account();
    let join = Request::Join(super::join(&config, &key(1), 1));
    let Response::Refused(why) = requests.respond(from, join).await else { panic!() };
    assert_eq!(why.code, Code::Stopping, "{why}");
}

#[tokio::test]
async fn a_validator_is_a_peer_too() {
    let config = config(1, 1);
    let bench = Bench::fresh(&config);
    let validator = key(3);
    let mut join = super::join(&config, &validator, 1).body;
    join.role = Role::Validator;
    let request = Request::Join(Signed::new(join, &validator));
    assert_eq!(miner(3, &config).ask(&bench, &request).await, Response::Accepted);
    assert_eq!(bench.ledger.look(|s| s.auditors().len()), 1);
}
