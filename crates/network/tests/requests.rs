//! Promises about requests between honest nodes, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{Echo, PATIENCE, Raw, config, everybody, key, node, pair};
use starling_keys::Signer;
use starling_network::{Limits, NetworkConfig, NetworkError, NoRequests, Node, PeerAddress, handshake::Unbelieved};
use starling_protocol::Code;

const HI: Bytes = Bytes::from_static(b"hi");

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_with_the_hotkey_that_sent_it() {
    let p = pair().await;
    let answer = p.one.request(&p.two.address(), Some(&key(2).account()), HI, PATIENCE).await.unwrap();
    assert_eq!(answer, [&key(1).account().0[..], b"hi"].concat());
    let back = p.two.request(&p.one.address(), Some(&key(1).account()), HI, PATIENCE).await.unwrap();
    assert_eq!(back, [&key(2).account().0[..], b"hi"].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_in_words_without_control_characters() {
    let p = pair().await;
    let refused = p.one.request(&p.two.address(), None, Bytes::from_static(b"no"), PATIENCE).await;
    assert!(
        matches!(&refused, Err(NetworkError::Refused { why, .. }) if why.code == Code::Full && why.words == "because [31m"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_only_serves_blobs_says_so() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1).await;
    let two = Node::start(config(dirs.1.path()), key(2), everybody(), Arc::new(NoRequests)).await.unwrap();
    let refused = one.request(&two.address(), None, HI, PATIENCE).await;
    assert!(matches!(&refused, Err(NetworkError::Refused { why, .. }) if why.code == Code::NotServed), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_answer_of_another_type_is_refused() {
    let p = pair().await;
    let at = p.two.address();
    // "typed" without a length prefix, as the handler expects it.
    let request = *b"typed";
    let answer: (u32, String) = p.one.request_typed(&at, None, &request, PATIENCE).await.unwrap();
    assert_eq!(answer, (7, "seven".to_owned()));
    let wrong = p.one.request_typed::<_, u32>(&at, None, &request, PATIENCE).await;
    assert!(matches!(wrong, Err(NetworkError::Malformed { .. })), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_at_once_than_streams_all_get_their_answer() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = Arc::new(node(dirs.0.path(), 1).await);
    let limits = Limits { open_requests: 4, ..Limits::default() };
    let tight = NetworkConfig { limits, ..config(dirs.1.path()) };
    let two = Node::start(tight, key(2), everybody(), Arc::new(Echo::default())).await.unwrap();
    let at = two.address();
    let mut asked = tokio::task::JoinSet::new();
    for i in 0..60u8 {
        let (one, at) = (one.clone(), at.clone());
        asked.spawn(async move { (i, one.request(&at, None, vec![i; 1000].into(), PATIENCE).await.unwrap()) });
    }
    while let Some(done) = asked.join_next().await {
        let (i, answer) = done.unwrap();
        assert_eq!(answer[32..], [i; 1000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_slower_than_the_deadline_is_given_up_and_the_peer_stays_usable() {
    let p = pair().await;
    let at = p.two.address();
    let slow = p.one.request(&at, None, Bytes::from_static(b"sleep"), Duration::from_millis(300)).await;
    assert!(matches!(slow, Err(NetworkError::Deadline { .. })), "{slow:?}");
    assert!(p.one.request(&at, None, HI, PATIENCE).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_slower_than_its_own_limit_is_stopped_and_said_so() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1).await;
    let limits = Limits { handling: Duration::from_millis(200), ..Limits::default() };
    let strict = NetworkConfig { limits, ..config(dirs.1.path()) };
    let two = Node::start(strict, key(2), everybody(), Arc::new(Echo::default())).await.unwrap();
    let slow = one.request(&two.address(), None, Bytes::from_static(b"sleep"), PATIENCE).await;
    assert!(matches!(&slow, Err(NetworkError::Refused { why, .. }) if why.code == Code::NotDone), "{slow:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_or_an_answer_beyond_the_limit_is_not_sent() {
    let p = pair().await;
    let at = p.two.address();
    let result = p.one.request(&at, None, vec![0; (1 << 20) + 1].into(), PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::TooLarge { .. })));
    let result = p.one.request(&at, None, Bytes::from_static(b"long"), PATIENCE).await;
    assert!(matches!(&result, Err(NetworkError::Refused { why, .. }) if why.code == Code::TooLarge), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_is_said_to_be_gone_within_the_deadline() {
    let p = pair().await;
    let at = p.two.address();
    p.one.request(&at, None, HI, PATIENCE).await.unwrap();
    p.two.shutdown().await;
    let gone = p.one.request(&at, None, HI, Duration::from_secs(2)).await;
    assert!(matches!(gone, Err(NetworkError::Deadline { .. } | NetworkError::Unreachable { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_greets_costs_no_more_than_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let one = node(dir.path(), 1).await;
    let silent = Raw::new().await;
    let endpoint = silent.endpoint.clone();
    let holding = tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        connection.closed().await
    });
    let result = one.request(&silent.address(), None, HI, Duration::from_secs(1)).await;
    assert!(matches!(result, Err(NetworkError::Deadline { .. })), "{result:?}");
    holding.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_is_reached_again_at_the_same_and_at_another_port() {
    let p = pair().await;
    let first = p.two.address();
    p.one.request(&first, None, HI, PATIENCE).await.unwrap();
    // Gone without a word to anybody, like a killed process: the endpoint is dropped, not closed.
    drop(p.two);
    let mut again = config(p.dirs.1.path());
    let two = loop {
        // The port is free once the dropped endpoint's tasks are gone.
        again.bind = first.addresses[0];
        match Node::start(again.clone(), key(2), everybody(), Arc::new(Echo::default())).await {
            Ok(node) => break node,
            Err(NetworkError::Bind { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(two.address(), first);
    let mut tries = 0;
    while let Err(error) = p.one.request(&first, None, HI, Duration::from_secs(2)).await {
        tries += 1;
        assert!(tries < 3, "{error}");
    }
    two.shutdown().await;
    let three = node(p.dirs.1.path(), 2).await;
    assert_eq!(three.endpoint_id(), first.endpoint);
    p.one.request(&three.address(), None, HI, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_outlives_the_process_and_is_readable_by_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path(), 1).await;
    let id = first.endpoint_id();
    first.shutdown().await;
    let path = dir.path().join("endpoint.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let second = node(dir.path(), 1).await;
    assert_eq!(second.endpoint_id(), id);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    second.shutdown().await;
    std::fs::write(&path, b"short").unwrap();
    let error = Node::start(config(dir.path()), key(1), everybody(), Arc::new(Echo::default())).await.unwrap_err();
    assert!(error.to_string().contains("32 are needed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_or_a_folder_in_use_is_said() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let taken = NetworkConfig { bind: socket.local_addr().unwrap(), ..config(dir.path()) };
    let error = Node::start(taken, key(1), everybody(), Arc::new(Echo::default())).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on") && error.contains("port"), "{error}");
    let _node = node(dir.path(), 1).await;
    let error = Node::start(config(dir.path()), key(1), everybody(), Arc::new(Echo::default())).await.unwrap_err();
    assert!(matches!(error, NetworkError::InUse { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_at_the_address_is_noticed_before_and_after_the_handshake() {
    let p = pair().await;
    for _ in 0..2 {
        let result = p.one.request(&p.two.address(), Some(&key(5).account()), HI, PATIENCE).await;
        assert!(matches!(result, Err(NetworkError::Unbelieved(Unbelieved::SomebodyElse { .. }))), "{result:?}");
        p.one.request(&p.two.address(), Some(&key(2).account()), HI, PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_one_copyable_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut a = node(dir.path(), 1).await.address();
    a.addresses.push("[::1]:4000".parse().unwrap());
    a.relay = Some("https://relay.example./".to_owned());
    let token = a.to_string();
    assert!(!token.contains(char::is_whitespace));
    assert_eq!(token.parse::<PeerAddress>().unwrap(), a);
    let many = format!("{}@{}", hex::encode(a.endpoint), ["1.2.3.4:5"; 9].join(","));
    for bad in ["", "xyz@", "00@127.0.0.1:1", "zz", &many, &format!("{token}x y"), &token.repeat(40)] {
        assert!(bad.parse::<PeerAddress>().is_err(), "{bad}");
    }
}
