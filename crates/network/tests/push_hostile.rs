//! What cheats and vandals get who push, or who are pushed to, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use common::{ALPN, Echo, PATIENCE, Raw, Shelf, Taken, config, everybody, frame, key, node, noise};
use futures::FutureExt;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_keys::Signer;
use starling_network::{Credit, Grants, Limits, NetworkConfig, NetworkError, Node, Outcome, Pusher, handshake::Hello};
use starling_protocol::{Code, Digest, Refused, wire::PROTOCOL_VERSION};
use tokio::time::timeout;

const PUSHES: u8 = 3;
const ITEM: u8 = 4;
const RECORD: u8 = 5;
const OK: u8 = 0;

/// As the channel's other end writes it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Record {
    Credit { items: u64, bytes: u64 },
    Answer { number: u64, refused: Option<Refused> },
    End(Refused),
}

/// A node that takes what `key(3)` pushes, within this credit.
struct Target {
    _dir: tempfile::TempDir,
    node: Node,
    shelf: Arc<Shelf>,
    taken: Taken,
    grants: Grants,
}

async fn target(limits: Limits, credit: Credit) -> Target {
    let dir = tempfile::tempdir().unwrap();
    let config = NetworkConfig { limits, ..config(dir.path()) };
    let node = Node::start(config, key(2), everybody(), Arc::new(Echo::default())).await.unwrap();
    let (shelf, taken) = Shelf::new(1000);
    let grants = node.accept_pushes(shelf.clone());
    grants.set(key(3).account(), credit);
    Target { _dir: dir, node, shelf, taken, grants }
}

/// A channel that the test writes as it likes.
struct Vandal {
    _raw: Raw,
    connection: Connection,
    _open: SendStream,
    records: RecvStream,
}

async fn read_frame(stream: &mut RecvStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("a frame in time").ok()?;
    let mut bytes = vec![0; u32::from_le_bytes(head[1..].try_into().unwrap()) as usize];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("a frame in time").ok()?;
    Some((head[0], bytes))
}

impl Vandal {
    async fn new(target: &Target) -> Self {
        let raw = Raw::new().await;
        let (connection, answer) = raw.greet(&target.node.address(), key(3).as_ref()).await;
        assert_eq!(answer.0, OK);
        assert!(connection.open_uni().now_or_never().is_none(), "no item may be sent before a channel is open");
        let (mut open, mut records) = connection.open_bi().await.unwrap();
        open.write_all(&frame(PUSHES, &1u32.to_le_bytes())).await.unwrap();
        assert_eq!(read_frame(&mut records).await.unwrap().0, OK);
        Self { _raw: raw, connection, _open: open, records }
    }

    /// Begin an item; its stream is left open.
    async fn begin(&self, channel: u32, number: u64, header: u32, body: u64, bytes: &[u8]) -> SendStream {
        let mut stream = timeout(PATIENCE, self.connection.open_uni()).await.unwrap().unwrap();
        let head = [
            &[ITEM][..],
            &channel.to_le_bytes(),
            &number.to_le_bytes(),
            &header.to_le_bytes(),
            &body.to_le_bytes(),
            bytes,
        ];
        // It may be stopped meanwhile.
        let _ = stream.write_all(&head.concat()).await;
        stream
    }

    async fn item(&self, number: u64, header: u32, body: u64, bytes: &[u8]) {
        let _ = self.begin(1, number, header, body, bytes).await.finish();
    }

    async fn record(&mut self) -> Option<Record> {
        let (kind, bytes) = read_frame(&mut self.records).await?;
        assert_eq!(kind, RECORD);
        Some(Record::decode_all(&mut &bytes[..]).unwrap())
    }

    /// What became of the item.
    async fn answer(&mut self, number: u64) -> Option<Refused> {
        loop {
            match self.record().await.expect("the channel goes on") {
                Record::Answer { number: n, refused } if n == number => return refused,
                Record::End(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    async fn refused(&mut self, number: u64, code: Code) {
        let why = self.answer(number).await.expect("refused");
        assert_eq!(why.code, code, "{why}");
        assert!(!why.words.is_empty());
    }
}

const ENOUGH: Credit = Credit { items: 16, bytes: 1 << 20 };

async fn until_given_back(target: &Target) {
    timeout(PATIENCE, async {
        while target.grants.used(&key(3).account()) != Credit::default() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the credit comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_without_credit_is_refused_unread_and_who_goes_on_so_loses_the_channel() {
    let t = target(Limits::default(), Credit { items: 1, bytes: 100 }).await;
    let mut v = Vandal::new(&t).await;
    assert_eq!(v.record().await, Some(Record::Credit { items: 1, bytes: 100 }));
    v.item(0, 4, 97, &[1; 101]).await;
    v.refused(0, Code::NoCredit).await;
    for number in 1..4 {
        v.item(number, u32::MAX, u64::MAX, &[1; 100]).await;
        v.refused(number, Code::NoCredit).await;
    }
    assert_eq!(t.shelf.offers.load(Ordering::SeqCst), 0);
    v.item(4, 4, 96, &[1; 100]).await;
    assert_eq!(v.answer(4).await, None, "what the credit covers is taken");
    let sending = async {
        for number in 5.. {
            if v.connection.close_reason().is_some() || number > 5000 {
                break;
            }
            let Ok(Ok(mut stream)) = timeout(Duration::from_secs(1), v.connection.open_uni()).await else { break };
            let _ = stream.write_all(&[ITEM; 200]).await;
        }
    };
    let reading = async {
        let mut records = Vec::new();
        while let Some((_, bytes)) = read_frame(&mut v.records).await {
            records.push(Record::decode_all(&mut &bytes[..]).unwrap());
        }
        records
    };
    let (records, ()) = tokio::join!(reading, sending);
    assert!(records.len() < 1000, "{}", records.len());
    assert!(matches!(records.last(), Some(Record::End(_))), "{:?}", records.last());
    assert_eq!(t.shelf.offers.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_or_a_body_that_is_too_large_is_refused_and_the_body_never_read() {
    let mut t = target(Limits { push_header: 100, ..Limits::default() }, ENOUGH).await;
    let mut v = Vandal::new(&t).await;
    v.item(0, 101, 0, &[1; 101]).await;
    v.refused(0, Code::HeaderTooLarge).await;
    assert_eq!(t.shelf.offers.load(Ordering::SeqCst), 0);
    // The body never comes, and the answer does not wait for it.
    let _open = v.begin(1, 1, 4, 1001, b"head").await;
    v.refused(1, Code::BodyTooLarge).await;
    let _open = v.begin(1, 2, 2, 1000, b"no").await;
    v.refused(2, Code::OutOfTurn).await;
    v.item(3, 100, 1000, &[1; 1100]).await;
    assert_eq!(v.answer(3).await, None);
    assert_eq!(t.taken.recv().await.unwrap().body.len(), 1000);
    until_given_back(&t).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_shorter_or_longer_than_it_was_said_to_be_is_not_taken() {
    let mut t = target(Limits::default(), ENOUGH).await;
    let mut v = Vandal::new(&t).await;
    for (number, bytes) in [(0, 4 + 99), (1, 4 + 101), (2, 3), (3, 4), (4, 4 + 500)] {
        v.item(number, 4, 100, &noise(bytes)).await;
        v.refused(number, Code::WrongLength).await;
    }
    assert!(t.taken.try_recv().is_err());
    until_given_back(&t).await;
    v.item(9, 4, 100, &noise(104)).await;
    assert_eq!(v.answer(9).await, None, "the channel is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_in_the_middle_is_given_up_and_holds_up_nobody_else() {
    let t = target(Limits { push_time: Duration::from_millis(400), ..Limits::default() }, ENOUGH).await;
    let mut v = Vandal::new(&t).await;
    let stalled = [v.begin(1, 0, 4, 1000, b"he").await, v.begin(1, 1, 4, 1000, b"head and a part").await];
    v.item(2, 4, 10, &noise(14)).await;
    assert_eq!(v.answer(2).await, None, "an item behind them arrives first");
    let mut refused = Vec::new();
    while refused.len() < 2 {
        if let Record::Answer { number, refused: Some(why) } = v.record().await.unwrap() {
            refused.push((number, why.code));
        }
    }
    refused.sort_by_key(|(number, _)| *number);
    assert_eq!(refused, [(0, Code::Stalled), (1, Code::Stalled)]);
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_does_not_even_begin_ends_the_channel_in_time() {
    let t = target(Limits { push_time: Duration::from_millis(300), ..Limits::default() }, ENOUGH).await;
    for garbage in [&[ITEM, 1, 0][..], &[77; 25]] {
        let mut v = Vandal::new(&t).await;
        let mut stream = v.connection.open_uni().await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let end = loop {
            match v.record().await {
                Some(Record::Credit { .. }) => {}
                other => break other,
            }
        };
        assert!(matches!(&end, Some(Record::End(why)) if why.code == Code::Malformed), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_dies_in_the_middle_leaves_nothing_behind() {
    let mut t = target(Limits::default(), ENOUGH).await;
    for _ in 0..3 {
        let v = Vandal::new(&t).await;
        let open = v.begin(1, 0, 4, 1000, &noise(500)).await;
        timeout(PATIENCE, async {
            while t.grants.used(&key(3).account()).items == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it has begun");
        v.connection.close(0u32.into(), b"");
        drop(open);
        until_given_back(&t).await;
    }
    assert!(t.taken.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_for_another_channel_is_refused_and_a_newer_channel_takes_the_place() {
    let t = target(Limits::default(), ENOUGH).await;
    let mut first = Vandal::new(&t).await;
    let _ = first.begin(2, 0, 4, 10, &noise(14)).await.finish();
    first.refused(0, Code::NoChannel).await;
    let mut second = Vandal::new(&t).await;
    let end = loop {
        if let Some(Record::End(why)) = first.record().await {
            break why;
        }
    };
    assert_eq!(end.code, Code::Replaced);
    second.item(0, 4, 10, &noise(14)).await;
    assert_eq!(second.answer(0).await, None);
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Two gigabytes are announced and a good part of them is sent; the process stays small.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_offers_take_no_memory() {
    let t = target(Limits::default(), Credit { items: 4, bytes: 1 << 30 }).await;
    let mut v = Vandal::new(&t).await;
    let before = resident();
    let body = Bytes::from(vec![7; 128 << 10]);
    for number in 0..2000 {
        let mut stream = v.begin(1, number, 4, 1 << 20, b"no!!").await;
        let _ = timeout(PATIENCE, stream.write_chunk(body.clone())).await.expect("it is stopped or read");
        let _ = stream.finish();
        v.refused(number, Code::OutOfTurn).await;
    }
    assert_eq!(t.shelf.offers.load(Ordering::SeqCst), 2000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 128 << 20, "{} MiB", grown >> 20);
    until_given_back(&t).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotkey_struck_off_the_metagraph_loses_its_channel() {
    let dir = tempfile::tempdir().unwrap();
    let admission = everybody();
    let node = Node::start(config(dir.path()), key(2), admission.clone(), Arc::new(Echo::default())).await.unwrap();
    let (shelf, taken) = Shelf::new(1000);
    let grants = node.accept_pushes(shelf.clone());
    let t = Target { _dir: dir, node, shelf, taken, grants };
    let mut v = Vandal::new(&t).await;
    admission.0.lock().unwrap().remove(&key(3).account());
    let end = loop {
        match v.record().await {
            Some(Record::End(why)) => break why,
            other => assert!(other.is_some(), "it ends without a word"),
        }
    };
    assert_eq!(end.code, Code::NotRegistered);
}

/// A receiver that greets politely, opens the channel, says `records`, and does with the items what `deal` does.
async fn pusher_to_vandal<F: Future<Output = ()> + Send>(
    records: Vec<Record>,
    deal: impl Fn(usize, Connection, SendStream) -> F + Send + 'static,
) -> (tempfile::TempDir, Node, Pusher) {
    let raw = Raw::new().await;
    let at = raw.address();
    tokio::spawn(async move {
        for turn in 0.. {
            let Some(incoming) = raw.endpoint.accept().await else { return };
            let Ok(connection) = incoming.await else { continue };
            let hello = Hello::new(PROTOCOL_VERSION, Digest::of(b"run"), &raw.ends(&connection), key(3).as_ref());
            let (mut send, mut receive) = connection.accept_bi().await.unwrap();
            let _ = receive.read_to_end(1000).await;
            send.write_all(&frame(OK, &hello.encode())).await.unwrap();
            let _ = send.finish();
            connection.set_max_concurrent_uni_streams(64u32.into());
            let Ok((mut send, _receive)) = connection.accept_bi().await else { continue };
            send.write_all(&frame(OK, &[])).await.unwrap();
            for record in &records {
                send.write_all(&frame(RECORD, &record.encode())).await.unwrap();
            }
            deal(turn, connection, send).await;
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let one = node(dir.path(), 1).await;
    let pusher = one.pusher(&at, key(3).account());
    (dir, one, pusher)
}

const PLENTY: Record = Record::Credit { items: u64::MAX, bytes: u64::MAX };
const HEADER: Bytes = Bytes::from_static(b"head");

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_costs_no_more_than_the_deadline() {
    let (_dir, _node, pusher) = pusher_to_vandal(vec![PLENTY], |_, connection, send| async move {
        connection.closed().await;
        drop(send);
    })
    .await;
    let late = pusher.push(HEADER, noise(1000).into(), Duration::from_millis(300)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { what: "a push", .. })), "{late:?}");
    // A large body fills every window, and ends all the same.
    let late = pusher.push(HEADER, vec![0; 64 << 20].into(), Duration::from_millis(300)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_none_and_answers_to_nothing_do_no_harm() {
    let unasked = Record::Answer { number: 77, refused: None };
    let garbage = |_, connection: Connection, mut send: SendStream| async move {
        let _ = connection.accept_uni().await;
        let _ = send.write_all(&frame(RECORD, &[9; 30])).await;
        connection.closed().await;
    };
    let (_dir, _node, pusher) = pusher_to_vandal(vec![unasked.clone(), PLENTY, PLENTY], garbage).await;
    let lost = pusher.push(HEADER, Bytes::new(), PATIENCE).await;
    assert!(matches!(lost, Err(NetworkError::Unreachable { .. })), "{lost:?}");
    let long = |_, connection: Connection, mut send: SendStream| async move {
        let _ = connection.accept_uni().await;
        let _ = send.write_all(&[&[RECORD][..], &u32::MAX.to_le_bytes()].concat()).await;
        connection.closed().await;
    };
    let (_dir, _node, pusher) = pusher_to_vandal(vec![PLENTY], long).await;
    let lost = pusher.push(HEADER, Bytes::new(), PATIENCE).await;
    assert!(matches!(lost, Err(NetworkError::Unreachable { .. })), "{lost:?}");
    let end = Record::End(Refused::new(Code::from(60_001), "a\u{1b}[31m"));
    let ended = |_, connection: Connection, send: SendStream| async move {
        connection.closed().await;
        drop(send);
    };
    let (_dir, _node, pusher) = pusher_to_vandal(vec![unasked, end], ended).await;
    let Err(NetworkError::Refused { why, .. }) = pusher.push(HEADER, Bytes::new(), PATIENCE).await else { panic!() };
    assert_eq!((why.code, why.words.as_str()), (Code::Other(60_001), "a [31m"));
}

/// The first copy arrives and its answer does not: the second is a duplicate, and that is success.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_answer_is_lost_is_sent_again_and_not_counted_twice() {
    let deal = |turn, connection: Connection, mut send: SendStream| async move {
        let answer = |number, refused| frame(RECORD, &Record::Answer { number, refused }.encode());
        let mut items = 0;
        while let Ok(mut item) = connection.accept_uni().await {
            let bytes = item.read_to_end(1 << 20).await.unwrap();
            let number = u64::from_le_bytes(bytes[5..13].try_into().unwrap());
            items += 1;
            if turn == 0 && items == 2 {
                connection.close(0u32.into(), b"gone");
                return;
            }
            let refused = (turn == 1).then(|| Refused::new(Code::Duplicate, "it is here"));
            let _ = send.write_all(&answer(number, refused)).await;
        }
    };
    let (_dir, _node, pusher) = pusher_to_vandal(vec![PLENTY], deal).await;
    assert_eq!(pusher.push(HEADER, Bytes::new(), PATIENCE).await.unwrap(), Outcome::Accepted);
    assert_eq!(pusher.push(HEADER, Bytes::new(), PATIENCE).await.unwrap(), Outcome::Accepted, "sent twice");
    let once = pusher.push(HEADER, Bytes::new(), PATIENCE).await.unwrap();
    assert!(matches!(once, Outcome::Refused(why) if why.code == Code::Duplicate), "sent once, and yet a duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_accepts_nothing_at_all_is_given_up_in_time() {
    let raw = Raw::new().await;
    let at = raw.address();
    let silent = tokio::spawn(async move {
        let connection = raw.endpoint.accept().await.unwrap().await.unwrap();
        assert_eq!(connection.alpn(), ALPN);
        connection.closed().await
    });
    let dir = tempfile::tempdir().unwrap();
    let one = node(dir.path(), 1).await;
    let late = one.pusher(&at, key(3).account()).push(HEADER, Bytes::new(), Duration::from_millis(500)).await;
    assert!(matches!(late, Err(NetworkError::Deadline { .. })), "{late:?}");
    silent.abort();
}
