//! The node: one endpoint, one store, two protocols (requests and blobs), each behind the handshake.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint, RelayMap, RelayMode, RelayUrl, SecretKey,
    endpoint::{Connection, PortmapperConfig, RecvStream, SendStream, presets},
    protocol::{AcceptError, ProtocolHandler, Router},
};
use iroh_blobs::{BlobsProtocol, store::fs::FsStore};
use parity_scale_codec::Encode;
use starling_protocol::{
    Digest,
    keys::{Account, Signer},
};
use tokio::{sync::{Mutex, Semaphore}, time::timeout};

use crate::{Admission, Handler, Peer, PeerAddress, handshake::{Hello, MAX_HELLO, Unbelieved}};

const ALPN: &[u8] = b"starling/requests/1";
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
const OK: u8 = 0;
const REFUSED: u8 = 1;

/// Bounds on what peers may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request, bytes.
    pub request: usize,
    /// Largest answer, bytes.
    pub response: usize,
    /// Requests of one connection in work at once; more must wait.
    pub open_requests: usize,
    /// Connections in all.
    pub connections: usize,
    /// Longest time to work on one request.
    pub handling: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: starling_protocol::wire::MAX_REQUEST,
            response: starling_protocol::wire::MAX_RESPONSE,
            open_requests: 16,
            connections: 4096,
            handling: Duration::from_secs(60),
        }
    }
}

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Relays; empty: only direct connections.
    pub relays: Vec<String>,
    /// Folder for the endpoint's key and the blobs.
    pub store: PathBuf,
    /// Protocol spoken.
    pub protocol_version: u32,
    /// The run: peers of another are refused.
    pub run: Digest,
    /// Bounds.
    pub limits: Limits,
}

impl NetworkConfig {
    /// A node for one machine: loopback, any port, no relay.
    #[must_use]
    pub fn local(store: PathBuf, run: Digest) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            relays: Vec::new(),
            store,
            protocol_version: starling_protocol::wire::PROTOCOL_VERSION,
            run,
            limits: Limits::default(),
        }
    }
}

/// Why the network did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetworkError {
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {reason}. Is the port in use? Port 0 takes a free one")]
    Bind {
        /// Wanted.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The store or the key file failed.
    #[error("the blob store in {path} failed: {reason}. Check free disk space and permissions")]
    Store {
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The peer's address cannot be used.
    #[error("the peer's address cannot be used: {0}")]
    Address(String),
    /// Nobody answers.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The deadline passed.
    #[error("{peer} did not answer within {seconds:.1} s ({what})")]
    Deadline {
        /// Whom.
        peer: String,
        /// How long was waited.
        seconds: f32,
        /// For what.
        what: &'static str,
    },
    /// The handshake failed here.
    #[error(transparent)]
    Unbelieved(#[from] Unbelieved),
    /// The peer refused us or the request, in its words.
    #[error("{peer} refused: {reason}")]
    Refused {
        /// Whom.
        peer: String,
        /// Its words.
        reason: String,
    },
    /// More than allowed.
    #[error("{what} of {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many.
        bytes: u64,
        /// Limit.
        limit: u64,
    },
    /// The peer has no such blob.
    #[error("{peer} does not serve blob {digest:?}: {reason}")]
    Missing {
        /// Whom.
        peer: String,
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
}

pub(crate) struct Shared {
    pub(crate) config: NetworkConfig,
    signer: Arc<dyn Signer>,
    admission: Arc<dyn Admission>,
    handler: Arc<dyn Handler>,
    own: [u8; 32],
    /// Endpoints that completed the handshake; blobs are served to these.
    bound: RwLock<HashMap<[u8; 32], Account>>,
    slots: Arc<Semaphore>,
}

/// A running node.
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoint: Endpoint,
    router: Router,
    pub(crate) store: FsStore,
    address: PeerAddress,
    connections: Mutex<HashMap<[u8; 32], Arc<Mutex<Option<(Connection, Account)>>>>>,
    pub(crate) blob_connections: Mutex<HashMap<[u8; 32], Connection>>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address.to_string()).finish_non_exhaustive()
    }
}

impl Node {
    /// Start listening.
    ///
    /// # Errors
    /// [`NetworkError::Bind`], [`NetworkError::Store`], [`NetworkError::Address`] for a relay that is no URL.
    pub async fn start(
        config: NetworkConfig,
        signer: Arc<dyn Signer>,
        admission: Arc<dyn Admission>,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, NetworkError> {
        let failed = |reason: String| NetworkError::Store { path: config.store.clone(), reason };
        std::fs::create_dir_all(&config.store).map_err(|e| failed(e.to_string()))?;
        let key = identity(&config.store.join("endpoint.key")).map_err(|e| failed(e.to_string()))?;
        let store = crate::blobs::open(&config.store).await?;
        let relay_mode = if config.relays.is_empty() {
            RelayMode::Disabled
        } else {
            let urls: Vec<RelayUrl> = config.relays.iter().map(|r| r.parse()).collect::<Result<_, _>>().map_err(|e| NetworkError::Address(format!("relay: {e}")))?;
            RelayMode::Custom(RelayMap::from_iter(urls))
        };
        let bind = |reason: String| NetworkError::Bind { address: config.bind, reason };
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(key)
            .relay_mode(relay_mode)
            .clear_address_lookup()
            .portmapper_config(PortmapperConfig::Disabled)
            .clear_ip_transports()
            .bind_addr(config.bind)
            .map_err(|e| bind(e.to_string()))?
            .bind()
            .await
            .map_err(|e| bind(format!("{e:#}")))?;
        let own = *endpoint.id().as_bytes();
        let sockets = endpoint.bound_sockets();
        let mut address = PeerAddress { endpoint: own, addresses: sockets, relay: config.relays.first().cloned() };
        if config.bind.ip().is_unspecified() {
            address = PeerAddress::of(&endpoint.addr());
        }
        let slots = Arc::new(Semaphore::new(config.limits.connections));
        let shared = Arc::new(Shared { config, signer, admission, handler, own, bound: RwLock::new(HashMap::new()), slots });
        let router = Router::builder(endpoint.clone())
            .accept(ALPN, Requests(shared.clone()))
            .accept(iroh_blobs::ALPN, GatedBlobs { shared: shared.clone(), inner: BlobsProtocol::new(&store, None) })
            .spawn();
        Ok(Self { shared, endpoint, router, store, address, connections: Mutex::default(), blob_connections: Mutex::default() })
    }

    /// Where others reach this node.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        self.address.clone()
    }

    /// This node's endpoint id.
    #[must_use]
    pub fn endpoint_id(&self) -> [u8; 32] {
        self.shared.own
    }

    /// Ask a peer; `expect` is the hotkey that must be there.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn request(&self, peer: &PeerAddress, expect: Option<&Account>, request: Bytes, deadline: Duration) -> Result<Bytes, NetworkError> {
        let limits = self.shared.config.limits;
        too_large("a request", request.len(), limits.request)?;
        let asked = async {
            let connection = self.connected(peer, expect).await?;
            let name = || peer.to_string();
            let lost = |e: &dyn fmt::Display| NetworkError::Unreachable { peer: name(), reason: e.to_string() };
            let answer = async {
                let (mut send, mut receive) = connection.open_bi().await.map_err(|e| lost(&e))?;
                write_frame(&mut send, OK, &request).await.map_err(|e| lost(&e))?;
                read_frame(&mut receive, limits.response).await.map_err(|e| e.at(&name()))
            };
            match answer.await {
                Ok((OK, bytes)) => Ok(bytes),
                Ok((_, reason)) => Err(NetworkError::Refused { peer: name(), reason: String::from_utf8_lossy(&reason).into_owned() }),
                Err(error) => {
                    self.disconnect(peer, &connection).await;
                    Err(error)
                }
            }
        };
        within(deadline, peer, "a request", asked).await
    }

    async fn disconnect(&self, peer: &PeerAddress, broken: &Connection) {
        if let Some(slot) = self.connections.lock().await.get(&peer.endpoint).cloned() {
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|(c, _)| c.stable_id() == broken.stable_id()) {
                *slot = None;
            }
        }
        broken.close(0u32.into(), b"broken");
    }

    /// A connection with the handshake done, cached.
    pub(crate) async fn connected(&self, peer: &PeerAddress, expect: Option<&Account>) -> Result<Connection, NetworkError> {
        let slot = {
            let mut all = self.connections.lock().await;
            if all.len() > self.shared.config.limits.connections {
                all.clear();
            }
            all.entry(peer.endpoint).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some((connection, account)) = slot.as_ref().filter(|(c, _)| c.close_reason().is_none()) {
            return match expect {
                Some(expected) if expected != account => Err(Unbelieved::SomebodyElse { expected: *expected, found: *account }.into()),
                _ => Ok(connection.clone()),
            };
        }
        *slot = None;
        let (connection, account) = within(HANDSHAKE, peer, "the handshake", self.shake(peer, expect)).await?;
        *slot = Some((connection.clone(), account));
        Ok(connection)
    }

    async fn shake(&self, peer: &PeerAddress, expect: Option<&Account>) -> Result<(Connection, Account), NetworkError> {
        let shared = &self.shared;
        let name = peer.to_string();
        let lost = |e: &dyn fmt::Display| NetworkError::Unreachable { peer: name.clone(), reason: e.to_string() };
        let addr = peer.endpoint_addr().map_err(NetworkError::Address)?;
        let connection = self.endpoint.connect(addr, ALPN).await.map_err(|e| lost(&format!("{e:#}")))?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(|e| lost(&e))?;
        let hello = Hello::new(shared.config.protocol_version, shared.config.run, shared.own, peer.endpoint, shared.signer.as_ref());
        write_frame(&mut send, OK, &hello.encode()).await.map_err(|e| lost(&e))?;
        let (status, bytes) = read_frame(&mut receive, MAX_HELLO * 4).await.map_err(|e| e.at(&name))?;
        if status != OK {
            return Err(NetworkError::Refused { peer: name, reason: String::from_utf8_lossy(&bytes).into_owned() });
        }
        let account = Hello::check(&bytes, shared.config.protocol_version, shared.config.run, shared.own, peer.endpoint, expect)?;
        shared.admission.admit(&account).await.map_err(|reason| NetworkError::Refused { peer: "this side".into(), reason })?;
        shared.bind(peer.endpoint, account);
        Ok((connection, account))
    }

    /// Stop listening and close the store.
    pub async fn shutdown(self) {
        let _ = timeout(Duration::from_secs(5), self.router.shutdown()).await;
        let _ = timeout(Duration::from_secs(5), self.endpoint.close()).await;
    }
}

pub(crate) async fn within<T>(deadline: Duration, peer: &PeerAddress, what: &'static str, work: impl Future<Output = Result<T, NetworkError>>) -> Result<T, NetworkError> {
    match timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(NetworkError::Deadline { peer: peer.to_string(), seconds: deadline.as_secs_f32(), what }),
    }
}

fn too_large(what: &'static str, bytes: usize, limit: usize) -> Result<(), NetworkError> {
    if bytes > limit { Err(NetworkError::TooLarge { what, bytes: bytes as u64, limit: limit as u64 }) } else { Ok(()) }
}

/// The endpoint's secret key, made on first use, readable by its owner alone.
fn identity(path: &Path) -> std::io::Result<SecretKey> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::read(path) {
        Ok(bytes) => {
            let bytes: [u8; 32] = bytes.try_into().map_err(|b: Vec<u8>| std::io::Error::other(format!("{} holds {} bytes, 32 are needed", path.display(), b.len())))?;
            Ok(SecretKey::from_bytes(&bytes))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let key = SecretKey::generate();
            let part = path.with_extension("part");
            let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            std::io::Write::write_all(&mut file, &key.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(part, path)?;
            Ok(key)
        }
        Err(e) => Err(e),
    }
}

impl Shared {
    fn bind(&self, endpoint: [u8; 32], account: Account) {
        let mut bound = self.bound.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if bound.len() > self.config.limits.connections {
            bound.clear();
        }
        bound.insert(endpoint, account);
    }

    fn is_bound(&self, endpoint: &[u8; 32]) -> bool {
        self.bound.read().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(endpoint)
    }
}

struct Requests(Arc<Shared>);

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

impl ProtocolHandler for Requests {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let shared = &self.0;
        let Ok(_slot) = shared.slots.clone().try_acquire_owned() else {
            connection.close(1u32.into(), b"too many connections");
            return Ok(());
        };
        let endpoint = *connection.remote_id().as_bytes();
        let Ok(Ok(Some(account))) = timeout(HANDSHAKE, greet(shared, &connection, endpoint)).await else {
            connection.close(2u32.into(), b"no handshake");
            return Ok(());
        };
        shared.bind(endpoint, account);
        let open = Arc::new(Semaphore::new(shared.config.limits.open_requests));
        loop {
            let Ok(permit) = open.clone().acquire_owned().await else { return Ok(()) };
            let Ok((send, receive)) = connection.accept_bi().await else { return Ok(()) };
            let shared = shared.clone();
            tokio::spawn(async move {
                let limit = shared.config.limits.handling;
                let _ = timeout(limit, answer(&shared, Peer { account, endpoint }, send, receive)).await;
                drop(permit);
            });
        }
    }
}

/// The listening side of the handshake; `None` if the peer was told why not.
async fn greet(shared: &Shared, connection: &Connection, endpoint: [u8; 32]) -> Result<Option<Account>, FrameError> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|e| FrameError::Lost(e.to_string()))?;
    let (_, bytes) = read_frame(&mut receive, MAX_HELLO).await?;
    let config = &shared.config;
    let checked = Hello::check(&bytes, config.protocol_version, config.run, shared.own, endpoint, None);
    let admitted = match checked {
        Ok(account) => shared.admission.admit(&account).await.map(|()| account),
        Err(error) => Err(error.to_string()),
    };
    match admitted {
        Ok(account) => {
            let hello = Hello::new(config.protocol_version, config.run, shared.own, endpoint, shared.signer.as_ref());
            // Bound before the answer is sent: the peer may ask for blobs the moment it has it.
            shared.bind(endpoint, account);
            write_frame(&mut send, OK, &hello.encode()).await?;
            Ok(Some(account))
        }
        Err(reason) => {
            tracing::debug!(%reason, "a peer was not let in");
            let reason: String = reason.chars().take(MAX_HELLO).collect();
            write_frame(&mut send, REFUSED, reason.as_bytes()).await?;
            let _ = timeout(Duration::from_secs(2), send.stopped()).await;
            Ok(None)
        }
    }
}

async fn answer(shared: &Shared, from: Peer, mut send: SendStream, mut receive: RecvStream) -> Result<(), FrameError> {
    let result = match read_frame(&mut receive, shared.config.limits.request).await {
        Ok((_, request)) => shared.handler.handle(from, request).await,
        Err(FrameError::TooLarge { bytes, limit }) => Err(format!("a request of {bytes} bytes, at most {limit} are allowed")),
        Err(error) => return Err(error),
    };
    match result {
        Ok(bytes) if bytes.len() > shared.config.limits.response => write_frame(&mut send, REFUSED, b"the answer would be too large").await,
        Ok(bytes) => write_frame(&mut send, OK, &bytes).await,
        Err(reason) => write_frame(&mut send, REFUSED, reason.as_bytes()).await,
    }
}

#[derive(Debug)]
struct GatedBlobs {
    shared: Arc<Shared>,
    inner: BlobsProtocol,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl ProtocolHandler for GatedBlobs {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        if !self.shared.is_bound(connection.remote_id().as_bytes()) {
            connection.close(3u32.into(), b"blobs are for peers that completed the handshake");
            return Ok(());
        }
        self.inner.accept(connection).await
    }

    async fn shutdown(&self) {
        self.inner.shutdown().await;
    }
}

#[derive(Debug, thiserror::Error)]
enum FrameError {
    #[error("{0}")]
    Lost(String),
    #[error("{bytes} bytes, at most {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
}

impl FrameError {
    fn at(self, peer: &str) -> NetworkError {
        match self {
            Self::Lost(reason) => NetworkError::Unreachable { peer: peer.to_owned(), reason },
            Self::TooLarge { bytes, limit } => NetworkError::TooLarge { what: "an answer", bytes, limit },
        }
    }
}

/// `[status u8][length u32 LE][bytes]`, then the end of the stream.
async fn write_frame(send: &mut SendStream, status: u8, bytes: &[u8]) -> Result<(), FrameError> {
    let lost = |e: &dyn fmt::Display| FrameError::Lost(e.to_string());
    let length = u32::try_from(bytes.len()).map_err(|_| FrameError::TooLarge { bytes: bytes.len() as u64, limit: u64::from(u32::MAX) })?;
    let mut head = vec![status];
    head.extend_from_slice(&length.to_le_bytes());
    send.write_all(&head).await.map_err(|e| lost(&e))?;
    send.write_all(bytes).await.map_err(|e| lost(&e))?;
    send.finish().map_err(|e| lost(&e))
}

/// The length is checked before anything is allocated for it.
async fn read_frame(receive: &mut RecvStream, limit: usize) -> Result<(u8, Bytes), FrameError> {
    let lost = |e: &dyn fmt::Display| FrameError::Lost(e.to_string());
    let mut head = [0; 5];
    receive.read_exact(&mut head).await.map_err(|e| lost(&e))?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > limit {
        return Err(FrameError::TooLarge { bytes: length as u64, limit: limit as u64 });
    }
    let mut bytes = vec![0; length];
    receive.read_exact(&mut bytes).await.map_err(|e| lost(&e))?;
    Ok((head[0], bytes.into()))
}
