//! What strangers, cheats and vandals get, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{ALPN, Echo, Impostor, Only, PATIENCE, Raw, answer, ask, config, everybody, frame, key, node, noise};
use parity_scale_codec::Encode;
use starling_keys::Signer;
use starling_network::{
    Limits, NetworkConfig, NetworkError, Node,
    handshake::{Ends, Hello},
};
use starling_protocol::{Code, Digest, wire::PROTOCOL_VERSION};

const HI: Bytes = Bytes::from_static(b"hi");
const HELLO: u8 = 0;
const REQUEST: u8 = 1;
const BLOB: u8 = 2;
const OK: u8 = 0;
const REFUSED: u8 = 1;

struct Target {
    _dir: tempfile::TempDir,
    node: Node,
    handler: Arc<Echo>,
    admission: Arc<Only>,
}

async fn target(limits: Limits) -> Target {
    let dir = tempfile::tempdir().unwrap();
    let (handler, admission) = (Arc::new(Echo::default()), everybody());
    let config = NetworkConfig { limits, ..config(dir.path()) };
    let node = Node::start(config, key(2), admission.clone(), handler.clone()).await.unwrap();
    Target { _dir: dir, node, handler, admission }
}

/// Refused with this code, and with words.
fn is(answer: &(u8, Vec<u8>), code: Code) -> String {
    assert_eq!(answer.0, REFUSED, "{answer:?}");
    let (number, words) = answer.1.split_first_chunk::<2>().expect("a code comes first");
    let words = String::from_utf8_lossy(words).into_owned();
    assert_eq!(Code::from(u16::from_le_bytes(*number)), code, "{words}");
    assert!(!words.is_empty());
    words
}

fn want(digest: &Digest) -> Vec<u8> {
    frame(BLOB, &(digest.0, None::<(u64, u64)>).encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_another_version_a_stranger_and_an_impostor_are_refused_with_the_reason() {
    let t = target(Limits::default()).await;
    let at = t.node.address();
    let ask = async |config: NetworkConfig, signer: Arc<dyn Signer>| {
        let node = Node::start(config, signer, everybody(), Arc::new(Echo::default())).await.unwrap();
        match node.request(&at, None, HI, PATIENCE).await.unwrap_err() {
            NetworkError::Refused { why, .. } => (why.code, why.words),
            other => panic!("{other}"),
        }
    };
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let other_run = NetworkConfig { run: Digest::of(b"other"), ..config(dirs[0].path()) };
    let (code, told) = ask(other_run, key(3)).await;
    assert!(code == Code::OtherRun && told.contains("same run.toml"), "{code:?} {told}");
    let newer = NetworkConfig { protocol_version: 9, ..config(dirs[1].path()) };
    let (code, told) = ask(newer, key(3)).await;
    assert_eq!(code, Code::OtherVersion);
    let ours = format!("speaks {PROTOCOL_VERSION}");
    assert!(told.contains("protocol 9") && told.contains(&ours) && told.contains("upgrade"), "{told}");
    assert_eq!(ask(config(dirs[2].path()), key(200)).await.0, Code::NotRegistered);
    let impostor = Arc::new(Impostor(key(3), key(4).account()));
    assert_eq!(ask(config(dirs[3].path()), impostor).await.0, Code::NotBound);
    assert_eq!(t.handler.0.load(Ordering::SeqCst), 0, "none of them reached the handler");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_caller_does_not_talk_to_an_unregistered_server() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1).await;
    let stranger = node(dirs.1.path(), 200).await;
    let result = one.request(&stranger.address(), None, HI, PATIENCE).await;
    assert!(matches!(&result, Err(NetworkError::Refused { peer, .. }) if peer == "this side"), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_for_another_connection_or_another_endpoint_is_worth_nothing() {
    let t = target(Limits::default()).await;
    let raw = Raw::new().await;
    let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
    let right = raw.ends(&connection);
    let wrong = [
        Ends { channel: [7; 32], ..right },
        Ends { own: [7; 32], ..right },
        Ends { peer: [7; 32], ..right },
        Ends { own: right.peer, peer: right.own, channel: right.channel },
    ];
    for ends in wrong {
        let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
        // The channel differs for every connection, so even the right ends of the first are wrong here.
        let hello = Hello::new(PROTOCOL_VERSION, Digest::of(b"run"), &ends, key(3).as_ref());
        let answer = ask(&connection, &frame(HELLO, &hello.encode())).await.unwrap();
        is(&answer, Code::NotBound);
    }
    let second = raw.connect(&t.node.address(), ALPN).await.unwrap();
    let replayed = Hello::new(PROTOCOL_VERSION, Digest::of(b"run"), &right, key(3).as_ref());
    let answer = ask(&second, &frame(HELLO, &replayed.encode())).await.unwrap();
    is(&answer, Code::NotBound);
    let answer = ask(&connection, &frame(HELLO, &replayed.encode())).await.unwrap();
    assert_eq!(answer.0, OK, "and yet it is right where it belongs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_is_none_is_refused_and_one_too_long_is_not_read() {
    let t = target(Limits::default()).await;
    let raw = Raw::new().await;
    let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
    let answer = ask(&connection, &frame(HELLO, b"hi there")).await.unwrap();
    is(&answer, Code::OtherVersion);
    let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
    let garbage = [&PROTOCOL_VERSION.to_le_bytes()[..], &[9; 200]].concat();
    let answer = ask(&connection, &frame(HELLO, &garbage)).await.unwrap();
    is(&answer, Code::NotHello);
    let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
    let endless = [&[HELLO][..], &u32::MAX.to_le_bytes(), &[0; 100_000]].concat();
    assert!(ask(&connection, &endless).await.is_none());
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_and_requests_are_refused_to_a_peer_that_skips_the_handshake() {
    let t = target(Limits::default()).await;
    let secret = noise(1000);
    let digest = t.node.put(secret.clone().into()).await.unwrap();
    let raw = Raw::new().await;
    for first in [want(&digest), frame(REQUEST, b"hi")] {
        let connection = raw.connect(&t.node.address(), ALPN).await.unwrap();
        // Several streams at once: not even behind one that waits for its handshake is anything served.
        let second = want(&digest);
        let (a, b) = tokio::join!(ask(&connection, &first), ask(&connection, &second));
        for answer in [a, b].into_iter().flatten() {
            assert_eq!(answer.0, REFUSED);
            assert!(!answer.1.windows(16).any(|w| w == &secret[..16]));
        }
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed");
    }
    assert!(raw.connect(&t.node.address(), iroh_blobs::ALPN).await.is_err(), "there is no other way to the blobs");
    assert_eq!(t.handler.0.load(Ordering::SeqCst), 0);
    let (connection, answer) = raw.greet(&t.node.address(), key(3).as_ref()).await;
    assert_eq!(answer.0, OK);
    let served = ask(&connection, &want(&digest)).await.unwrap();
    assert!(served.1.ends_with(&secret), "and after the handshake the same request is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_hotkey_gets_no_blob_and_no_answer() {
    let t = target(Limits::default()).await;
    let digest = t.node.put(noise(1000).into()).await.unwrap();
    let raw = Raw::new().await;
    let (connection, answer) = raw.greet(&t.node.address(), key(200).as_ref()).await;
    is(&answer, Code::NotRegistered);
    assert!(ask(&connection, &want(&digest)).await.is_none());
    assert!(ask(&connection, &frame(REQUEST, b"hi")).await.is_none());
    assert_eq!(t.handler.0.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotkey_struck_off_the_metagraph_is_served_no_longer_on_an_open_connection() {
    let t = target(Limits::default()).await;
    let digest = t.node.put(noise(1000).into()).await.unwrap();
    let raw = Raw::new().await;
    let (connection, _) = raw.greet(&t.node.address(), key(3).as_ref()).await;
    assert_eq!(ask(&connection, &want(&digest)).await.unwrap().0, OK);
    t.admission.0.lock().unwrap().remove(&key(3).account());
    let answer = ask(&connection, &want(&digest)).await.unwrap();
    is(&answer, Code::NotRegistered);
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_length_beyond_the_limit_is_refused_before_it_is_sent() {
    let t = target(Limits::default()).await;
    let raw = Raw::new().await;
    let (connection, _) = raw.greet(&t.node.address(), key(3).as_ref()).await;
    let announced = [&[REQUEST][..], &u32::MAX.to_le_bytes()].concat();
    let answer = ask(&connection, &announced).await.unwrap();
    assert!(is(&answer, Code::TooLarge).contains("4294967295"));
    let garbage = ask(&connection, &frame(BLOB, b"no want")).await.unwrap();
    is(&garbage, Code::Malformed);
    let unknown = ask(&connection, &frame(77, b"")).await.unwrap();
    is(&unknown, Code::UnknownKind);
    assert_eq!(ask(&connection, &frame(REQUEST, b"hi")).await.unwrap().0, OK, "others are not harmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hotkey_has_no_more_connections_than_allowed_whatever_its_endpoints() {
    let t = target(Limits { peer_connections: 3, ..Limits::default() }).await;
    let mut open = Vec::new();
    for i in 0..3 {
        let raw = Raw::new().await;
        let (connection, answer) = raw.greet(&t.node.address(), key(3).as_ref()).await;
        assert_eq!(answer.0, OK, "{i}");
        open.push((raw, connection));
    }
    let raw = Raw::new().await;
    let (_refused, answer) = raw.greet(&t.node.address(), key(3).as_ref()).await;
    is(&answer, Code::TooManyConnections);
    let (_other, answer) = raw.greet(&t.node.address(), key(4).as_ref()).await;
    assert_eq!(answer.0, OK, "another hotkey is not concerned");
    let (_, connection) = &open[0];
    connection.close(0u32.into(), b"done");
    // The place is free as soon as the node has seen the close.
    let started = Instant::now();
    loop {
        let (_again, answer) = raw.greet(&t.node.address(), key(3).as_ref()).await;
        if answer.0 == OK {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "a closed connection still counts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_rate_wait() {
    let t = target(Limits { requests_per_second: 10, ..Limits::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let one = node(dir.path(), 1).await;
    let started = Instant::now();
    // Twenty may come at once, the other ten take a second.
    for _ in 0..30 {
        one.request(&t.node.address(), None, HI, PATIENCE).await.unwrap();
    }
    assert!(started.elapsed() > Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_refused_in_time() {
    let t = target(Limits { reading: Duration::from_millis(200), ..Limits::default() }).await;
    let raw = Raw::new().await;
    let (connection, _) = raw.greet(&t.node.address(), key(3).as_ref()).await;
    let (mut send, receive) = connection.open_bi().await.unwrap();
    send.write_all(&[REQUEST, 100, 0, 0, 0, 1]).await.unwrap();
    is(&answer(send, receive).await.unwrap(), Code::Late);
    assert_eq!(t.handler.0.load(Ordering::SeqCst), 0);
}

/// A server that is registered and greets politely, and then sends what it likes.
async fn fetch_from_vandal(answer: Vec<u8>, digest: &Digest, range: Option<(u64, u64)>) -> NetworkError {
    let dir = tempfile::tempdir().unwrap();
    let one = node(dir.path(), 1).await;
    let raw = Arc::new(Raw::new().await);
    raw.clone().serve(3, answer);
    let at = raw.address();
    let result = match range {
        None => one.fetch(&at, Some(&key(3).account()), digest, 1 << 20, PATIENCE).await,
        Some((a, b)) => one.fetch_range(&at, None, digest, a..b, PATIENCE).await,
    };
    assert!(!one.has(digest).await.unwrap(), "nothing of it is kept");
    result.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_the_blob_are_not_taken() {
    let bytes = noise(10_000);
    let digest = Digest::of(&bytes);
    let answer = |length: u64, body: &[u8]| [&frame(OK, &length.to_le_bytes())[..], body].concat();
    let error = fetch_from_vandal(answer(10_000, &noise(10_001)[1..]), &digest, None).await;
    assert!(matches!(error, NetworkError::Corrupt { .. }), "{error}");
    let error = fetch_from_vandal(answer(10_000, &bytes[..9_000]), &digest, None).await;
    assert!(matches!(error, NetworkError::Missing { .. }), "{error}");
    let error = fetch_from_vandal(answer(9_999, &bytes[..9_999]), &digest, None).await;
    assert!(matches!(error, NetworkError::Corrupt { .. }), "{error}");
    let error = fetch_from_vandal(answer(10_000, &noise(10_001)[1..]), &digest, Some((0, 100))).await;
    assert!(matches!(error, NetworkError::Corrupt { .. } | NetworkError::Missing { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_length_moves_nobody_to_allocate() {
    let digest = Digest::of(b"small");
    for length in [(1 << 20) + 1, 1 << 40, u64::MAX] {
        let error = fetch_from_vandal(frame(OK, &u64::to_le_bytes(length)), &digest, None).await;
        assert!(matches!(error, NetworkError::TooLarge { .. }), "{error}");
        let error = fetch_from_vandal(frame(OK, &u64::to_le_bytes(length)), &digest, Some((5, 1 << 20))).await;
        assert!(matches!(error, NetworkError::Missing { .. } | NetworkError::Range { .. }), "{error}");
    }
    let error = fetch_from_vandal([&[OK][..], &u32::MAX.to_le_bytes()].concat(), &digest, None).await;
    assert!(matches!(error, NetworkError::TooLarge { .. }), "{error}");
    let error = fetch_from_vandal(frame(OK, b"seven b"), &digest, None).await;
    assert!(matches!(error, NetworkError::Malformed { .. }), "{error}");
}
