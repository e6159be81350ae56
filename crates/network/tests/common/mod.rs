//! Nodes on loopback with test hotkeys, and a raw iroh endpoint to misbehave with.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use parity_scale_codec::Encode;
use starling_keys::{Account, Signature, Signer};
use starling_network::{
    Admission, Handler, Intake, Item, NetworkConfig, Node, Peer, PeerAddress, Verdict,
    handshake::{self, Ends, Hello},
};
use starling_protocol::{Code, Digest, Refused, wire::PROTOCOL_VERSION};

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const ALPN: &[u8] = b"starling/1";

pub struct Key(schnorrkel::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

pub fn key(seed: u8) -> Arc<Key> {
    let secret = schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap();
    Arc::new(Key(secret.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519)))
}

/// A key whose owner says it is somebody else.
pub struct Impostor(pub Arc<Key>, pub Account);

impl Signer for Impostor {
    fn account(&self) -> Account {
        self.1
    }
    fn sign(&self, message: &[u8]) -> Signature {
        self.0.sign(message)
    }
}

/// The metagraph: whoever is on the list.
pub struct Only(pub Mutex<BTreeSet<Account>>);

impl Admission for Only {
    fn admit(&self, who: &Account) -> BoxFuture<'_, Result<(), Refused>> {
        let known = self.0.lock().unwrap().contains(who);
        let result =
            if known { Ok(()) } else { Err(Refused::new(Code::NotRegistered, format!("{who} is not registered"))) };
        Box::pin(async move { result })
    }
}

/// Answers with who asked and what; `sleep` never answers, `long` too long.
#[derive(Default)]
pub struct Echo(pub AtomicUsize);

impl Handler for Echo {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'_, Result<Bytes, Refused>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match &request[..] {
                b"sleep" => std::future::pending().await,
                b"no" => Err(Refused::new(Code::Full, "because\u{1b}[31m")),
                b"long" => Ok(vec![0; 5 << 20].into()),
                b"typed" => Ok((7u32, String::from("seven")).encode().into()),
                _ => Ok([&from.account.0[..], &request[..]].concat().into()),
            }
        })
    }
}

pub fn everybody() -> Arc<Only> {
    Arc::new(Only(Mutex::new((0..10).map(|s| key(s).account()).collect())))
}

pub fn config(dir: &Path) -> NetworkConfig {
    NetworkConfig::local(dir.to_owned(), Digest::of(b"run"))
}

pub async fn node(dir: &Path, seed: u8) -> Node {
    Node::start(config(dir), key(seed), everybody(), Arc::new(Echo::default())).await.unwrap()
}

pub struct Pair {
    pub dirs: (tempfile::TempDir, tempfile::TempDir),
    pub one: Node,
    pub two: Node,
}

pub async fn pair() -> Pair {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (node(dirs.0.path(), 1).await, node(dirs.1.path(), 2).await);
    Pair { dirs, one, two }
}

pub fn noise(length: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    let step = |x: &mut u32| {
        *x ^= *x << 13;
        *x ^= *x >> 17;
        *x ^= *x << 5;
        *x as u8
    };
    (0..length).map(|_| step(&mut x)).collect()
}

/// Where a node keeps a blob.
pub fn file_of(dir: &Path, digest: &Digest) -> std::path::PathBuf {
    let name = digest.to_string();
    dir.join("blobs").join(&name[..2]).join(name)
}

/// An iroh endpoint that does what the test wants.
pub struct Raw {
    pub endpoint: iroh::Endpoint,
}

impl Raw {
    pub async fn new() -> Self {
        let endpoint = iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
            .relay_mode(iroh::RelayMode::Disabled)
            .clear_address_lookup()
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .unwrap()
            .alpns(vec![ALPN.to_vec()])
            .bind()
            .await
            .unwrap();
        Self { endpoint }
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress { endpoint: *self.endpoint.id().as_bytes(), addresses: self.endpoint.bound_sockets(), relay: None }
    }

    pub async fn connect(&self, at: &PeerAddress, alpn: &[u8]) -> Result<Connection, String> {
        let mut addr = iroh::EndpointAddr::new(iroh::EndpointId::from_bytes(&at.endpoint).unwrap());
        for socket in &at.addresses {
            addr = addr.with_ip_addr(*socket);
        }
        let connected = tokio::time::timeout(PATIENCE, self.endpoint.connect(addr, alpn)).await.unwrap();
        connected.map_err(|e| format!("{e:#}"))
    }

    pub fn ends(&self, connection: &Connection) -> Ends {
        Ends {
            own: *self.endpoint.id().as_bytes(),
            peer: *connection.remote_id().as_bytes(),
            channel: handshake::channel(connection).unwrap(),
        }
    }

    /// Connect and do the handshake as `signer`; what the node answers.
    pub async fn greet(&self, at: &PeerAddress, signer: &dyn Signer) -> (Connection, (u8, Vec<u8>)) {
        let connection = self.connect(at, ALPN).await.unwrap();
        let hello = Hello::new(PROTOCOL_VERSION, Digest::of(b"run"), &self.ends(&connection), signer);
        connection.set_max_concurrent_uni_streams(64u32.into());
        let answer = ask(&connection, &frame(0, &hello.encode())).await.unwrap();
        (connection, answer)
    }

    /// Accept one connection after the other, greet politely as `seed`, then answer every stream with `bytes`.
    pub fn serve(self: Arc<Self>, seed: u8, bytes: Vec<u8>) {
        tokio::spawn(async move {
            while let Some(incoming) = self.endpoint.accept().await {
                let Ok(connection) = incoming.await else { continue };
                let hello =
                    Hello::new(PROTOCOL_VERSION, Digest::of(b"run"), &self.ends(&connection), key(seed).as_ref());
                let mut first = Some(frame(0, &hello.encode()));
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let _ = receive.read_to_end(1 << 20).await;
                    let _ = send.write_all(&first.take().unwrap_or_else(|| bytes.clone())).await;
                    let _ = send.finish();
                }
            }
        });
    }
}

pub fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

/// Send bytes on a new stream and read the frame that comes back, if one does.
pub async fn ask(connection: &Connection, bytes: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (mut send, receive) = connection.open_bi().await.ok()?;
    send.write_all(bytes).await.ok()?;
    let _ = send.finish();
    answer(send, receive).await
}

pub async fn answer(_send: SendStream, mut receive: RecvStream) -> Option<(u8, Vec<u8>)> {
    let all = tokio::time::timeout(PATIENCE, receive.read_to_end(8 << 20))
        .await
        .expect("an answer or an end in time")
        .ok()?;
    let (head, bytes) = all.split_at_checked(5)?;
    Some((head[0], bytes.to_vec()))
}

/// Takes what comes and hands it to the test, which lets go of it. A header that begins with `no` is refused at once, `late` when
/// the body is here; a header that was here is a duplicate.
pub struct Shelf {
    pub offers: AtomicUsize,
    pub limit: u64,
    seen: Mutex<BTreeSet<Digest>>,
    taken: tokio::sync::mpsc::UnboundedSender<Item>,
}

pub type Taken = tokio::sync::mpsc::UnboundedReceiver<Item>;

impl Shelf {
    pub fn new(limit: u64) -> (Arc<Self>, Taken) {
        let (taken, items) = tokio::sync::mpsc::unbounded_channel();
        (Arc::new(Self { offers: AtomicUsize::new(0), limit, seen: Mutex::default(), taken }), items)
    }
}

impl Intake for Shelf {
    fn offer(&self, _: Peer, header: &Bytes, _: u64) -> Verdict {
        self.offers.fetch_add(1, Ordering::SeqCst);
        if header.starts_with(b"no") {
            return Verdict::Refuse(Refused::new(Code::OutOfTurn, "not now\u{7}"));
        }
        if self.seen.lock().unwrap().contains(&Digest::of(header)) {
            return Verdict::Refuse(Refused::new(Code::Duplicate, "it is here"));
        }
        Verdict::Take { limit: self.limit }
    }

    fn take(&self, item: Item) -> Result<(), Refused> {
        if item.header.starts_with(b"late") {
            return Err(Refused::new(Code::OtherDigest, "another body"));
        }
        if !self.seen.lock().unwrap().insert(Digest::of(&item.header)) {
            return Err(Refused::new(Code::Duplicate, "it is here"));
        }
        self.taken.send(item).map_err(|_| Refused::new(Code::Stopping, "the test is over"))
    }
}
