//! Promises of the network room, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use starling_network::{Admission, Handler, NetworkConfig, NetworkError, Node, Peer, PeerAddress, handshake::Unbelieved};
use starling_protocol::{
    Digest,
    keys::{Account, Signature, Signer},
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Key(schnorrkel::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

fn key(seed: u8) -> Arc<Key> {
    Arc::new(Key(schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap().expand_to_keypair(schnorrkel::ExpansionMode::Ed25519)))
}

/// A key whose owner says it is somebody else.
struct Impostor(Arc<Key>, Account);

impl Signer for Impostor {
    fn account(&self) -> Account {
        self.1
    }
    fn sign(&self, message: &[u8]) -> Signature {
        self.0.sign(message)
    }
}

struct Only(BTreeSet<Account>);

impl Admission for Only {
    fn admit(&self, who: &Account) -> BoxFuture<'_, Result<(), String>> {
        let result = if self.0.contains(who) { Ok(()) } else { Err(format!("{who} is not registered")) };
        Box::pin(async move { result })
    }
}

/// Answers with who asked and what; `sleep` never answers.
struct Echo;

impl Handler for Echo {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'_, Result<Bytes, String>> {
        Box::pin(async move {
            match &request[..] {
                b"sleep" => std::future::pending().await,
                b"no" => Err("because".into()),
                _ => Ok([&from.account.0[..], &request[..]].concat().into()),
            }
        })
    }
}

fn everybody() -> Arc<Only> {
    Arc::new(Only((0..10).map(|s| key(s).account()).collect()))
}

fn config(dir: &Path) -> NetworkConfig {
    NetworkConfig::local(dir.to_owned(), Digest::of(b"run"))
}

async fn node(dir: &Path, seed: u8) -> Node {
    Node::start(config(dir), key(seed), everybody(), Arc::new(Echo)).await.unwrap()
}

struct Pair {
    _dirs: (tempfile::TempDir, tempfile::TempDir),
    one: Node,
    two: Node,
}

async fn pair() -> Pair {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (node(dirs.0.path(), 1).await, node(dirs.1.path(), 2).await);
    Pair { _dirs: dirs, one, two }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_with_the_hotkey_that_sent_it() {
    let p = pair().await;
    let answer = p.one.request(&p.two.address(), Some(&key(2).account()), Bytes::from_static(b"hi"), PATIENCE).await.unwrap();
    assert_eq!(answer, [&key(1).account().0[..], b"hi"].concat());
    let refused = p.one.request(&p.two.address(), None, Bytes::from_static(b"no"), PATIENCE).await;
    assert!(matches!(refused, Err(NetworkError::Refused { reason, .. }) if reason == "because"));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_come_whole_in_part_and_only_if_they_are_there() {
    let p = pair().await;
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i * 31 % 251) as u8).collect();
    let digest = p.two.put(bytes.clone().into()).await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    let at = p.two.address();
    let part = p.one.fetch_range(&at, None, &digest, 70_001..170_003, PATIENCE).await.unwrap();
    assert_eq!(part, bytes[70_001..170_003]);
    assert!(!p.one.has(&digest).await.unwrap(), "a part is not the whole");
    assert_eq!(p.one.fetch(&at, None, &digest, 1 << 20, PATIENCE).await.unwrap(), bytes);
    assert!(p.one.has(&digest).await.unwrap());
    let missing = p.one.fetch(&at, None, &Digest::of(b"nowhere"), 1 << 20, PATIENCE).await;
    assert!(matches!(missing, Err(NetworkError::Missing { .. })), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_longer_than_allowed_is_cut_off() {
    let p = pair().await;
    let digest = p.two.put(vec![7; 2 << 20].into()).await.unwrap();
    let result = p.one.fetch(&p.two.address(), None, &digest, 1 << 20, PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::TooLarge { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_another_version_and_strangers_are_refused_with_the_reason() {
    let p = pair().await;
    let at = p.two.address();
    let ask = async |config: NetworkConfig, signer: Arc<dyn Signer>| {
        let node = Node::start(config, signer, everybody(), Arc::new(Echo)).await.unwrap();
        node.request(&at, None, Bytes::from_static(b"hi"), PATIENCE).await.unwrap_err().to_string()
    };
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let other_run = NetworkConfig { run: Digest::of(b"other"), ..config(dirs[0].path()) };
    assert!(ask(other_run, key(3)).await.contains("same run.toml"));
    let newer = NetworkConfig { protocol_version: 9, ..config(dirs[1].path()) };
    let said = ask(newer, key(3)).await;
    assert!(said.contains("protocol 9") && said.contains("speaks 1"), "{said}");
    assert!(ask(config(dirs[2].path()), key(200)).await.contains("not registered"));
    let impostor = Arc::new(Impostor(key(3), key(4).account()));
    assert!(ask(config(dirs[3].path()), impostor).await.contains("did not sign"));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_at_the_address_is_noticed() {
    let p = pair().await;
    let result = p.one.request(&p.two.address(), Some(&key(5).account()), Bytes::from_static(b"hi"), PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::Unbelieved(Unbelieved::SomebodyElse { .. }))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_refused_to_those_who_skip_the_handshake() {
    let p = pair().await;
    let digest = p.two.put(Bytes::from_static(b"secret until proven")).await.unwrap();
    let endpoint = iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
        .relay_mode(iroh::RelayMode::Disabled)
        .clear_address_lookup()
        .bind()
        .await
        .unwrap();
    let at = p.two.address();
    let mut addr = iroh::EndpointAddr::new(iroh::EndpointId::from_bytes(&at.endpoint).unwrap());
    for socket in at.addresses {
        addr = addr.with_ip_addr(socket);
    }
    let connection = endpoint.connect(addr, iroh_blobs::ALPN).await.unwrap();
    let store = iroh_blobs::store::mem::MemStore::new();
    let request = iroh_blobs::protocol::GetRequest::blob(iroh_blobs::Hash::from_bytes(digest.0));
    let result = tokio::time::timeout(PATIENCE, store.remote().execute_get(connection, request).complete()).await.unwrap();
    assert!(result.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_hold_when_a_peer_stalls_or_is_gone() {
    let p = pair().await;
    let at = p.two.address();
    let slow = p.one.request(&at, None, Bytes::from_static(b"sleep"), Duration::from_millis(300)).await;
    assert!(matches!(slow, Err(NetworkError::Deadline { .. })), "{slow:?}");
    p.two.shutdown().await;
    let gone = p.one.request(&at, None, Bytes::from_static(b"hi"), Duration::from_secs(2)).await;
    assert!(matches!(gone, Err(NetworkError::Deadline { .. } | NetworkError::Unreachable { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_the_limit_is_not_sent() {
    let p = pair().await;
    let result = p.one.request(&p.two.address(), None, vec![0; (1 << 20) + 1].into(), PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::TooLarge { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_and_blobs_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path(), 1).await;
    let id = first.endpoint_id();
    let digest = first.put(vec![3; 100_000].into()).await.unwrap();
    first.shutdown().await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.path().join("endpoint.key")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let second = node(dir.path(), 1).await;
    assert_eq!(second.endpoint_id(), id);
    assert_eq!(second.get(&digest).await.unwrap().unwrap(), vec![3; 100_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = NetworkConfig { bind: socket.local_addr().unwrap(), ..config(dir.path()) };
    let error = Node::start(config, key(1), everybody(), Arc::new(Echo)).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on") && error.contains("port"), "{error}");
}

#[test]
fn an_address_is_one_copyable_token() {
    let a = PeerAddress { endpoint: key(1).account().0, addresses: vec!["127.0.0.1:4000".parse().unwrap()], relay: None };
    if let Ok(parsed) = a.to_string().parse::<PeerAddress>() {
        assert_eq!(parsed, a);
    }
    for bad in ["", "xyz@", "00@127.0.0.1:1", "zz"] {
        assert!(bad.parse::<PeerAddress>().is_err());
    }
}
