//! The node: what the rest of Starling uses of the network.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    ops::Range,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint, RelayMap, RelayMode, RelayUrl, SecretKey,
    endpoint::{IdleTimeout, NetReportConfig, PortmapperConfig, QuicTransportConfig, presets},
    protocol::Router,
};
use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_keys::{Account, Signer};
use starling_protocol::Digest;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{
    Admission, Handler, NetworkConfig, NetworkError, PeerAddress,
    dial::Dialer,
    door::{Door, Shared},
    frame::{self, OK, REFUSED},
    store::{self, Store},
    transfer,
};

/// Of the framing. It stays when the protocol changes, so that both sides can say which version they speak.
pub(crate) const ALPN: &[u8] = b"starling/1";
/// How long the disk may take.
const DISK: Duration = Duration::from_secs(60);

/// An endpoint, its blobs and its peers.
pub struct Node {
    shared: Arc<Shared>,
    dialer: Dialer,
    router: Router,
    address: PeerAddress,
    _claim: File,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Node {
    /// Listen, and serve what is in the store.
    ///
    /// # Errors
    /// [`NetworkError::Bind`], [`NetworkError::Store`], [`NetworkError::InUse`], or [`NetworkError::Address`] for a relay that
    /// is no URL.
    pub async fn start(
        config: NetworkConfig,
        signer: Arc<dyn Signer>,
        admission: Arc<dyn Admission>,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, NetworkError> {
        let failed = |e: io::Error| NetworkError::Store { path: config.store.clone(), reason: e.to_string() };
        std::fs::create_dir_all(&config.store).map_err(failed)?;
        let claim = store::claim(&config.store)?;
        let key = identity(&config.store.join("endpoint.key")).map_err(failed)?;
        let store = Arc::new(Store::open(config.store.join("blobs"))?);
        let endpoint = bind(&config, key).await?;
        let own = *endpoint.id().as_bytes();
        let address = if config.bind.ip().is_unspecified() {
            PeerAddress::of(&endpoint.addr())
        } else {
            PeerAddress { endpoint: own, addresses: endpoint.bound_sockets(), relay: config.relays.first().cloned() }
        };
        let shared = Arc::new(Shared { config, signer, admission, handler, store, own });
        let router = Router::builder(endpoint.clone()).accept(ALPN, Door::new(shared.clone())).spawn();
        Ok(Self { dialer: Dialer::new(shared.clone(), endpoint), shared, router, address, _claim: claim })
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

    /// Ask a peer; `expect` is the hotkey that must be there. A request may arrive twice where the connection breaks.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn request(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, NetworkError> {
        let limits = self.shared.config.limits;
        if request.len() > limits.request {
            let (bytes, limit) = (request.len() as u64, limits.request as u64);
            return Err(NetworkError::TooLarge { what: "a request", bytes, limit });
        }
        let (name, request) = (&peer.to_string(), &request);
        let ask = async |mut send, mut receive| {
            frame::write_last(&mut send, frame::REQUEST, request).await.map_err(|e| e.at(name))?;
            match frame::read(&mut receive, limits.response).await.map_err(|e| e.at(name))? {
                (OK, answer) => Ok(answer),
                (REFUSED, reason) => Err(NetworkError::Refused { peer: name.clone(), reason: frame::words(&reason) }),
                (_, answer) => Err(NetworkError::Malformed { peer: name.clone(), bytes: answer.len() }),
            }
        };
        self.dialer.with_stream(peer, expect, deadline, "a request", ask).await
    }

    /// [`Node::request`] in SCALE.
    ///
    /// # Errors
    /// [`NetworkError`]; [`NetworkError::Malformed`] for an answer that is not exactly one `R`.
    pub async fn request_typed<Q: Encode, R: Decode>(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        request: &Q,
        deadline: Duration,
    ) -> Result<R, NetworkError> {
        let answer = self.request(peer, expect, request.encode().into(), deadline).await?;
        let malformed = |_| NetworkError::Malformed { peer: peer.to_string(), bytes: answer.len() };
        R::decode_all(&mut &answer[..]).map_err(malformed)
    }

    async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, NetworkError> + Send + 'static,
    ) -> Result<T, NetworkError> {
        let store = self.shared.store.clone();
        let failed = |reason: String| NetworkError::Store { path: self.shared.config.store.clone(), reason };
        match timeout(DISK, tokio::task::spawn_blocking(move || work(&store))).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("the disk did not answer within {} s", DISK.as_secs()))),
        }
    }

    /// Keep bytes and serve them by their digest. They are on disk when this returns.
    ///
    /// # Errors
    /// [`NetworkError::Store`], [`NetworkError::StorageFull`].
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, NetworkError> {
        self.disk(move |store| store.put(&bytes)).await
    }

    /// True if the blob is here.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn has(&self, digest: &Digest) -> Result<bool, NetworkError> {
        let digest = *digest;
        self.disk(move |store| store.has(&digest)).await
    }

    /// The blob, if it is here.
    ///
    /// # Errors
    /// [`NetworkError::Store`]; [`NetworkError::Damaged`] once for a blob that no longer hashes to its name, and then it is
    /// not here any more.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, NetworkError> {
        let digest = *digest;
        self.disk(move |store| store.get(&digest)).await
    }

    /// Stop keeping these blobs; those that are not here are passed over.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn remove(&self, digests: &[Digest]) -> Result<(), NetworkError> {
        let digests = digests.to_vec();
        self.disk(move |store| digests.iter().try_for_each(|d| store.remove(d))).await
    }

    /// Every blob here, in the order of digests.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn list(&self) -> Result<Vec<Digest>, NetworkError> {
        self.disk(Store::list).await
    }

    /// The blob from the local store, where it is there and sound.
    async fn local(&self, digest: &Digest) -> Result<Option<Bytes>, NetworkError> {
        match self.get(digest).await {
            Err(NetworkError::Damaged { .. }) => Ok(None),
            result => result,
        }
    }

    /// The blob: from the local store, or verified while it comes from `peer`, and kept.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn fetch(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        digest: &Digest,
        max_bytes: u64,
        deadline: Duration,
    ) -> Result<Bytes, NetworkError> {
        if let Some(bytes) = self.local(digest).await? {
            return within_limit(bytes, max_bytes);
        }
        let bytes = self.receive(peer, expect, digest, None, max_bytes, deadline).await?;
        self.put(bytes.clone()).await?;
        Ok(bytes)
    }

    /// Bytes `range` of the blob, proven to stand there; from the local store, or from `peer`, and then not kept.
    ///
    /// # Errors
    /// [`NetworkError`]; [`NetworkError::Range`] for a range that is empty or none of this blob.
    pub async fn fetch_range(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        digest: &Digest,
        range: Range<u64>,
        deadline: Duration,
    ) -> Result<Bytes, NetworkError> {
        let (start, end) = (range.start, range.end);
        if let Some(bytes) = self.local(digest).await? {
            let length = bytes.len() as u64;
            return if start < end && end <= length {
                Ok(bytes.slice(start as usize..end as usize))
            } else {
                Err(NetworkError::Range { digest: *digest, start, end, length: Some(length) })
            };
        }
        if start >= end {
            return Err(NetworkError::Range { digest: *digest, start, end, length: None });
        }
        self.receive(peer, expect, digest, Some(range), u64::MAX, deadline).await
    }

    async fn receive(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        digest: &Digest,
        range: Option<Range<u64>>,
        limit: u64,
        deadline: Duration,
    ) -> Result<Bytes, NetworkError> {
        let (name, range) = (&peer.to_string(), &range);
        let get =
            async |mut send, receive| transfer::receive(&mut send, receive, name, digest, range.clone(), limit).await;
        self.dialer.with_stream(peer, expect, deadline, "a blob", get).await
    }

    /// Stop listening, and say so to the peers.
    pub async fn shutdown(self) {
        if timeout(Duration::from_secs(5), self.router.shutdown()).await.is_err() {
            tracing::warn!("the network did not shut down within 5 s; it is left as it is");
        }
    }
}

fn within_limit(bytes: Bytes, limit: u64) -> Result<Bytes, NetworkError> {
    let length = bytes.len() as u64;
    if length > limit { Err(NetworkError::TooLarge { what: "a blob", bytes: length, limit }) } else { Ok(bytes) }
}

/// How often a quiet connection is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// After how long without a sign of life a connection is dead.
const IDLE: Duration = Duration::from_secs(6);

/// An endpoint that contacts nobody but the peers it is told of and the relays configured.
async fn bind(config: &NetworkConfig, key: SecretKey) -> Result<Endpoint, NetworkError> {
    let relay = |text: &String| {
        let url = text.parse::<RelayUrl>();
        url.map_err(|e| {
            NetworkError::Address(format!("the relay `{text}` is no URL ({e}); one is https://relay.example/"))
        })
    };
    let relays: Vec<RelayUrl> = config.relays.iter().map(relay).collect::<Result<_, _>>()?;
    let relay_mode =
        if relays.is_empty() { RelayMode::Disabled } else { RelayMode::Custom(RelayMap::from_iter(relays)) };
    let failed = |reason: String| NetworkError::Bind { address: config.bind, reason };
    // One stream more than requests: the handshake's may still be closing.
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(config.limits.open_requests.saturating_add(1).into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        // A killed peer says nothing: without these a request would hang on its dead connection for half a minute.
        .keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .build();
    let bound = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .transport_config(transport)
        .relay_mode(relay_mode)
        .clear_address_lookup()
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(NetReportConfig::minimal())
        .clear_ip_transports()
        .bind_addr(config.bind)
        .map_err(|e| failed(e.to_string()))?
        .bind();
    match timeout(Duration::from_secs(30), bound).await {
        Ok(bound) => bound.map_err(|e| failed(format!("{e:#}"))),
        Err(_) => Err(failed("no socket within 30 s".to_owned())),
    }
}

/// The endpoint's secret key, made on first use, readable by its owner alone.
fn identity(path: &Path) -> io::Result<SecretKey> {
    match std::fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            let wrong = || {
                let text = "{} holds {} bytes, 32 are needed: restore it, or remove it to get a new identity";
                io::Error::other(text.replacen("{}", &path.display().to_string(), 1).replacen(
                    "{}",
                    &bytes.len().to_string(),
                    1,
                ))
            };
            let key = Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| wrong())?);
            let mut permissions = std::fs::metadata(path)?.permissions();
            if permissions.mode() & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "the endpoint's key could be read by others; now it cannot");
                permissions.set_mode(0o600);
                std::fs::set_permissions(path, permissions)?;
            }
            Ok(SecretKey::from_bytes(&key))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let key = SecretKey::generate();
            let part = path.with_extension("part");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(Zeroizing::new(key.to_bytes()).as_slice())?;
            file.sync_all()?;
            std::fs::rename(part, path)?;
            Ok(key)
        }
        Err(e) => Err(e),
    }
}
