//! Promises about relays: peers that know of each other nothing but a relay, over real sockets on loopback. One peer speaks IPv6 and
//! the other IPv4, so that no direct way exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Echo, PATIENCE, Shelf, config, everybody, key, noise};
use starling_keys::Signer;
use starling_network::{
    Credit, Links, NetworkConfig, NetworkError, Node, Outcome, PeerAddress, Relays,
    relay::{Relay, RelayConfig, RelayError, RelayTls},
};

const HI: Bytes = Bytes::from_static(b"hi");
const LOOPBACK: &str = "127.0.0.1:0";

fn plain(http: &str) -> RelayConfig {
    RelayConfig { http: http.parse().unwrap(), tls: None, rate: None }
}

async fn node(dir: &Path, seed: u8, bind: &str, relay: &str, roots: &[&Path]) -> Node {
    let config = NetworkConfig {
        bind: bind.parse().unwrap(),
        relays: Relays { urls: vec![relay.to_owned()], roots: roots.iter().map(|p| p.to_path_buf()).collect() },
        ..config(dir)
    };
    Node::start(config, key(seed), everybody(), Arc::new(Echo::default())).await.unwrap()
}

/// All that is known of the node is its relay.
fn only_relay(node: &Node) -> PeerAddress {
    let mut at = node.address();
    assert!(at.relay.is_some());
    at.addresses.clear();
    at
}

async fn exchange(one: &Node, two: &Node) {
    let at = only_relay(two);
    let bytes = noise(300_000);
    let digest = two.put(bytes.clone().into()).await.unwrap();
    assert_eq!(one.fetch(&at, Some(&key(2).account()), &digest, 1 << 20, PATIENCE).await.unwrap(), bytes);
    let (shelf, mut taken) = Shelf::new(1 << 20);
    two.accept_pushes(shelf).set(key(1).account(), Credit { items: 4, bytes: 1 << 20 });
    let pusher = one.pusher(&at, key(2).account());
    let body = Bytes::from(noise(131_072));
    assert_eq!(pusher.push(HI, body.clone(), PATIENCE).await.unwrap(), Outcome::Accepted);
    assert_eq!(taken.recv().await.unwrap().body, body);
    assert_eq!(one.links(), Links { direct: 0, relayed: 1 });
    assert_eq!(one.links().to_string(), "0 direct, 1 by relay");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_peers_that_know_only_a_relay_exchange_a_blob_and_a_push() {
    let relay = Relay::start(plain(LOOPBACK)).await.unwrap();
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1, "[::1]:0", &relay.url(), &[]).await;
    let two = node(dirs.1.path(), 2, LOOPBACK, &relay.url(), &[]).await;
    assert!(two.relay().is_some_and(|(_, connected)| connected));
    exchange(&one, &two).await;
    relay.shutdown().await.unwrap();
}

/// A port that was free a moment ago.
fn port() -> SocketAddr {
    std::net::TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_relay_dies_and_comes_back_its_peers_find_each_other_again() {
    let at = port().to_string();
    let life = tokio::runtime::Runtime::new().unwrap();
    let relay = life.spawn(Relay::start(plain(&at))).await.unwrap().unwrap();
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1, "[::1]:0", &relay.url(), &[]).await;
    let two = node(dirs.1.path(), 2, LOOPBACK, &relay.url(), &[]).await;
    let peer = only_relay(&two);
    one.request(&peer, None, HI, PATIENCE).await.unwrap();
    // All of it ends at once and without a word, as with a killed process.
    life.shutdown_background();
    drop(relay);
    let gone = one.request(&peer, None, HI, Duration::from_secs(2)).await;
    assert!(matches!(gone, Err(NetworkError::Deadline { .. } | NetworkError::Unreachable { .. })), "{gone:?}");
    let relay = loop {
        match Relay::start(plain(&at)).await {
            Ok(relay) => break relay,
            Err(RelayError::Start(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let since = Instant::now();
    while let Err(error) = one.request(&peer, None, HI, Duration::from_secs(3)).await {
        assert!(since.elapsed() < Duration::from_secs(60), "{error}");
    }
    exchange(&one, &two).await;
    relay.shutdown().await.unwrap();
}

struct Certificate {
    _dir: tempfile::TempDir,
    tls: RelayTls,
}

fn certificate() -> Certificate {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let any: SocketAddr = LOOPBACK.parse().unwrap();
    Certificate { _dir: dir, tls: RelayTls { https: any, quic: any, certificate, key } }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_a_certificate_serves_those_who_trust_it_and_no_others() {
    let c = certificate();
    let relay = Relay::start(RelayConfig { tls: Some(c.tls.clone()), ..plain(LOOPBACK) }).await.unwrap();
    assert!(relay.url().starts_with("https://127.0.0.1:") && relay.quic().is_some());
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = node(dirs.0.path(), 1, "[::1]:0", &relay.url(), &[&c.tls.certificate]).await;
    let two = node(dirs.1.path(), 2, LOOPBACK, &relay.url(), &[&c.tls.certificate]).await;
    exchange(&one, &two).await;
    // This one starts without its relay, is reached directly, and says which relay it has not got.
    let distrustful = node(dirs.2.path(), 3, LOOPBACK, &relay.url(), &[]).await;
    assert!(!distrustful.relay().is_some_and(|(_, connected)| connected));
    two.request(&distrustful.address(), None, HI, PATIENCE).await.unwrap();
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_cannot_work_with_is_said() {
    let open = Relay::start(plain("0.0.0.0:0")).await.unwrap_err();
    assert!(matches!(&open, RelayError::Plain(_)) && open.to_string().contains("certificate"), "{open}");
    let mut c = certificate();
    std::fs::write(&c.tls.key, "no key").unwrap();
    let bad = Relay::start(RelayConfig { tls: Some(c.tls.clone()), ..plain(LOOPBACK) }).await.unwrap_err();
    assert!(matches!(&bad, RelayError::Certificate { .. }), "{bad}");
    c.tls.certificate = "/nowhere/at-all.pem".into();
    let bad = Relay::start(RelayConfig { tls: Some(c.tls), ..plain(LOOPBACK) }).await.unwrap_err();
    assert!(bad.to_string().contains("/nowhere/at-all.pem"), "{bad}");
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let bad = Relay::start(plain(&taken.local_addr().unwrap().to_string())).await.unwrap_err();
    assert!(matches!(&bad, RelayError::Start(_)), "{bad}");
    for (relay, words) in [("no url", "no URL"), ("ftp://a.example/", "begins with ftp")] {
        let dir = tempfile::tempdir().unwrap();
        let config =
            NetworkConfig { relays: Relays { urls: vec![relay.to_owned()], roots: vec![] }, ..config(dir.path()) };
        let error = Node::start(config, key(1), everybody(), Arc::new(Echo::default())).await.unwrap_err();
        assert!(matches!(&error, NetworkError::Address(why) if why.contains(words)), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let config = NetworkConfig {
        relays: Relays { urls: vec![], roots: vec![dir.path().join("none.pem")] },
        ..config(dir.path())
    };
    let error = Node::start(config, key(1), everybody(), Arc::new(Echo::default())).await.unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
}
