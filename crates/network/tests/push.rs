//! Promises about pushed items between honest nodes, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use common::{Echo, PATIENCE, Pair, Shelf, Taken, config, everybody, key, noise, pair};
use starling_keys::Signer;
use starling_network::{Credit, Grants, NetworkError, Node, Outcome, Pusher, handshake::Unbelieved};
use starling_protocol::Code;
use tokio::{task::JoinSet, time::timeout};

const MIB: u64 = 1 << 20;

/// Two nodes; the second takes what the first pushes.
struct Pushing {
    pair: Pair,
    shelf: Arc<Shelf>,
    taken: Taken,
    grants: Grants,
    pusher: Pusher,
}

async fn pushing(items: u64, bytes: u64) -> Pushing {
    let pair = pair().await;
    let (shelf, taken) = Shelf::new(64 * MIB);
    let grants = pair.two.accept_pushes(shelf.clone());
    grants.set(key(1).account(), Credit { items, bytes });
    let pusher = pair.one.pusher(&pair.two.address(), key(2).account());
    Pushing { pair, shelf, taken, grants, pusher }
}

fn header(number: u32) -> Bytes {
    number.to_le_bytes().to_vec().into()
}

impl Pushing {
    async fn push(&self, number: u32, body: impl Into<Bytes>) -> Outcome {
        self.pusher.push(header(number), body.into(), PATIENCE).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_arrives_whole_with_the_hotkey_that_sent_it() {
    let mut p = pushing(100, 100 * MIB).await;
    for (number, length) in [0, 1, 1_200, 131_072, 5 << 20].into_iter().enumerate() {
        let body = noise(length);
        assert_eq!(p.push(number as u32, body.clone()).await, Outcome::Accepted);
        let item = timeout(PATIENCE, p.taken.recv()).await.unwrap().unwrap();
        assert_eq!((item.header, item.body), (header(number as u32), body.into()));
        assert_eq!(item.from.account, key(1).account());
        assert_eq!(item.hold.bytes(), 4 + length as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_without_credit_and_credit_that_comes_lets_it_go() {
    let p = pushing(0, 0).await;
    let late = p.pusher.push(header(1), noise(10).into(), Duration::from_millis(200)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { what: "credit for a push", .. })), "{late:?}");
    let waiting = tokio::spawn({
        let pusher = p.pusher.clone();
        async move { pusher.push(header(2), noise(10).into(), PATIENCE).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(p.shelf.offers.load(Ordering::SeqCst), 0);
    p.grants.set(key(1).account(), Credit { items: 1, bytes: 14 });
    assert_eq!(waiting.await.unwrap().unwrap(), Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_comes_back_when_the_receiver_lets_go_and_not_before() {
    let mut p = pushing(2, MIB).await;
    for number in 0..2 {
        assert_eq!(p.push(number, noise(1000)).await, Outcome::Accepted);
    }
    let used = Credit { items: 2, bytes: 2008 };
    assert_eq!(p.grants.used(&key(1).account()), used);
    assert_eq!(p.pusher.credit().items, 0);
    let late = p.pusher.push(header(2), noise(10).into(), Duration::from_millis(100)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { .. })), "{late:?}");
    p.taken.recv().await.unwrap().hold.release();
    assert_eq!(p.push(3, noise(1000)).await, Outcome::Accepted);
    drop(p.taken.recv().await.unwrap());
    p.pusher.wait_for_credit(MIB - 1004, PATIENCE).await.unwrap();
    let never = p.pusher.wait_for_credit(MIB, Duration::from_millis(100)).await;
    assert!(matches!(never, Err(NetworkError::Deadline { .. })), "{never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_item_that_waits_for_credit_is_not_overtaken_for_ever() {
    let mut p = pushing(4, MIB).await;
    p.push(0, noise(900_000)).await;
    let pusher = p.pusher.clone();
    let large = tokio::spawn(async move { pusher.push(header(1), noise(1_000_000).into(), PATIENCE).await });
    // It is in turn as soon as whoever comes behind it has to wait although there would be credit for it.
    let small = || p.pusher.push(Bytes::from_static(b"no"), Bytes::new(), Duration::from_millis(50));
    while small().await.is_ok() {}
    drop(p.taken.recv().await.unwrap());
    assert_eq!(large.await.unwrap().unwrap(), Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_or_after_the_body_arrives_with_its_code_and_costs_no_credit() {
    let p = pushing(1, 8 * MIB).await;
    for _ in 0..10 {
        let refused = p.pusher.push(Bytes::from_static(b"no"), noise(1 << 20).into(), PATIENCE).await.unwrap();
        let Outcome::Refused(why) = refused else { panic!("taken") };
        assert_eq!((why.code, why.words.as_str()), (Code::OutOfTurn, "not now "));
        let refused = p.pusher.push(Bytes::from_static(b"late"), noise(10_000).into(), PATIENCE).await.unwrap();
        assert!(matches!(refused, Outcome::Refused(why) if why.code == Code::OtherDigest));
    }
    let long = p.pusher.push(vec![1; 4097].into(), Bytes::new(), PATIENCE).await.unwrap();
    assert!(matches!(long, Outcome::Refused(why) if why.code == Code::HeaderTooLarge));
    assert_eq!(p.push(1, noise(10)).await, Outcome::Accepted);
    let again = p.pair.one.pusher(&p.pair.two.address(), key(2).account());
    p.grants.set(key(1).account(), Credit { items: 2, bytes: 8 * MIB });
    let twice = again.push(header(1), noise(10).into(), PATIENCE).await.unwrap();
    assert!(matches!(twice, Outcome::Refused(why) if why.code == Code::Duplicate));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_within_little_credit_all_arrive_once() {
    let mut p = pushing(8, 2 * MIB).await;
    let mut under_way = JoinSet::new();
    for number in 0..300u32 {
        // Two handles of one node share a channel.
        let pusher = p.pair.one.pusher(&p.pair.two.address(), key(2).account());
        let body = noise(1 + (number as usize * 7919) % 400_000);
        under_way.spawn(async move { pusher.push(header(number), body.into(), PATIENCE).await.unwrap() });
    }
    let mut seen = BTreeMap::new();
    while seen.len() < 300 {
        let item = timeout(PATIENCE, p.taken.recv()).await.unwrap().unwrap();
        let used = p.grants.used(&key(1).account());
        assert!(used.items <= 8 && used.bytes <= 2 * MIB, "{used:?}");
        assert!(seen.insert(item.header, item.body.len()).is_none());
    }
    while let Some(outcome) = under_way.join_next().await {
        assert_eq!(outcome.unwrap(), Outcome::Accepted);
    }
    for (number, length) in (0..300u32).map(|n| (n, 1 + (n as usize * 7919) % 400_000)) {
        assert_eq!(seen[&header(number)], length);
    }
}

/// Withdrawn at any moment, on the wire or before: both ends count alike afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_are_too_late_or_given_up_leave_no_credit_behind() {
    let mut p = pushing(4, 4 * MIB).await;
    let lets_go = tokio::spawn(async move { while p.taken.recv().await.is_some() {} });
    let mut under_way = JoinSet::new();
    for number in 0..100u32 {
        let pusher = p.pusher.clone();
        let patience = Duration::from_micros(u64::from(number) * 300);
        under_way.spawn(async move { drop(pusher.push(header(number), noise(1 << 20).into(), patience).await) });
    }
    while under_way.join_next().await.is_some() {}
    // Four bytes of every header count, too: all that was granted is there again.
    p.pusher.wait_for_credit(4 * MIB, PATIENCE).await.unwrap();
    assert_eq!(p.grants.used(&key(1).account()), Credit::default());
    lets_go.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_that_is_taken_away_binds_and_another_peer_has_its_own() {
    let mut p = pushing(2, MIB).await;
    assert_eq!(p.push(0, noise(10)).await, Outcome::Accepted);
    p.grants.set(key(1).account(), Credit::default());
    // One item was granted before, and cannot be called back.
    assert_eq!(p.push(1, noise(10)).await, Outcome::Accepted);
    drop((p.taken.recv().await, p.taken.recv().await));
    let late = p.pusher.push(header(2), noise(10).into(), Duration::from_millis(100)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { .. })), "{late:?}");
    p.grants.set(key(3).account(), Credit { items: 1, bytes: 100 });
    let dir = tempfile::tempdir().unwrap();
    let three = common::node(dir.path(), 3).await;
    let other = three.pusher(&p.pair.two.address(), key(2).account());
    assert_eq!(other.push(header(3), noise(10).into(), PATIENCE).await.unwrap(), Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_pushes_says_so_and_somebody_else_is_not_pushed_to() {
    let p = pair().await;
    let at = p.two.address();
    let refused = p.one.pusher(&at, key(2).account()).push(header(0), Bytes::new(), PATIENCE).await;
    assert!(matches!(&refused, Err(NetworkError::Refused { why, .. }) if why.code == Code::NoIntake), "{refused:?}");
    let (shelf, _taken) = Shelf::new(MIB);
    p.two.accept_pushes(shelf.clone()).set(key(1).account(), Credit { items: 1, bytes: MIB });
    let wrong = p.one.pusher(&at, key(5).account()).push(header(0), Bytes::new(), PATIENCE).await;
    assert!(matches!(wrong, Err(NetworkError::Unbelieved(Unbelieved::SomebodyElse { .. }))), "{wrong:?}");
    let dir = tempfile::tempdir().unwrap();
    let stranger = Node::start(config(dir.path()), key(200), everybody(), Arc::new(Echo::default())).await.unwrap();
    let refused = stranger.pusher(&at, key(2).account()).push(header(0), Bytes::new(), PATIENCE).await;
    assert!(
        matches!(&refused, Err(NetworkError::Refused { why, .. }) if why.code == Code::NotRegistered),
        "{refused:?}"
    );
    assert_eq!(shelf.offers.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_comes_back_is_pushed_to_again() {
    let mut p = pushing(4, MIB).await;
    assert_eq!(p.push(0, noise(10)).await, Outcome::Accepted);
    drop(p.taken.recv().await);
    let at = p.pair.two.address();
    p.pair.two.shutdown().await;
    let mut again = config(p.pair.dirs.1.path());
    let two = loop {
        // The port is free once the old endpoint's tasks are gone.
        again.bind = at.addresses[0];
        match Node::start(again.clone(), key(2), everybody(), Arc::new(Echo::default())).await {
            Ok(node) => break node,
            Err(NetworkError::Bind { .. } | NetworkError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let (shelf, mut taken) = Shelf::new(MIB);
    two.accept_pushes(shelf).set(key(1).account(), Credit { items: 4, bytes: MIB });
    assert_eq!(p.pusher.push(header(1), noise(10).into(), PATIENCE).await.unwrap(), Outcome::Accepted);
    assert_eq!(taken.recv().await.unwrap().header, header(1));
}
