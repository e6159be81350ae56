//! The node: what the rest of Starling uses of the network.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    ops::Range,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint, RelayConfig, RelayMap, RelayMode, RelayUrl, SecretKey, Watcher,
    endpoint::{NetReportConfig, PortmapperConfig, presets},
    protocol::Router,
};
use iroh_relay::tls::CaTlsConfig;
use parity_scale_codec::{Decode, DecodeAll, Encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use starling_keys::{Account, Signer};
use starling_protocol::Digest;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{
    Admission, Handler, NetworkConfig, NetworkError, PeerAddress,
    dial::Dialer,
    door::{Door, Shared},
    frame::{self, OK, REFUSED},
    push::{Grants, Intake, Pusher, Pushers},
    store::{self, Store},
    transfer, transport,
};

/// Of the framing. It stays when the protocol changes, so that both sides can say which version they speak.
pub(crate) const ALPN: &[u8] = b"starling/1";
/// How long a start waits for a relay.
const RELAY: Duration = Duration::from_secs(5);
/// How long the disk may take.
const DISK: Duration = Duration::from_secs(60);

/// How a node reaches its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Links {
    /// Peers reached directly.
    pub direct: usize,
    /// Peers reached through a relay.
    pub relayed: usize,
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} direct, {} by relay", self.direct, self.relayed)
    }
}

/// An endpoint, its blobs and its peers.
pub struct Node {
    shared: Arc<Shared>,
    dialer: Arc<Dialer>,
    pushers: Pushers,
    router: Router,
    endpoint: Endpoint,
    _claim: File,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address()).finish_non_exhaustive()
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
        let shared = Arc::new(Shared { config, signer, admission, handler, store, desk: Arc::default(), own });
        let router = Router::builder(endpoint.clone()).accept(ALPN, Door::new(shared.clone())).spawn();
        let dialer = Arc::new(Dialer::new(shared.clone(), endpoint.clone()));
        let node = Self { dialer, pushers: Pushers::default(), shared, router, endpoint, _claim: claim };
        node.find_relay().await;
        Ok(node)
    }

    /// Where others reach this node at the moment. With relays, the one that this node is connected to is part of it, and changes
    /// where that one is gone for long.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        let config = &self.shared.config;
        let bound = self.endpoint.bound_sockets();
        let mut address = if config.bind.ip().is_unspecified() {
            PeerAddress::of(&self.endpoint.addr())
        } else {
            PeerAddress { endpoint: self.shared.own, addresses: bound, relay: None }
        };
        address.relay = self.relay().map(|(url, _)| url).or_else(|| config.relays.urls.first().cloned());
        address
    }

    /// This node's own relay, and whether it is connected to it; `None` without relays, or before the nearest one is found.
    #[must_use]
    pub fn relay(&self) -> Option<(String, bool)> {
        let status = self.endpoint.home_relay_status().get();
        status.first().map(|status| (status.url().to_string(), status.is_connected()))
    }

    /// How this node reaches the peers that it talks to.
    #[must_use]
    pub fn links(&self) -> Links {
        self.dialer.links()
    }

    /// Wait a while for the relay: an address without it is of no use to those who can only come through it.
    async fn find_relay(&self) {
        if self.shared.config.relays.urls.is_empty() {
            return;
        }
        let mut status = self.endpoint.home_relay_status();
        let connected = async {
            while !status.get().iter().any(iroh::endpoint::RelayStatus::is_connected) {
                if status.updated().await.is_err() {
                    return;
                }
            }
        };
        if timeout(RELAY, connected).await.is_err() {
            tracing::warn!(relays = ?self.shared.config.relays.urls, "no relay answers; going on without, and trying again");
        }
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
                (REFUSED, bytes) => Err(NetworkError::Refused { peer: name.clone(), why: frame::refused(&bytes) }),
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

    /// Hand pushed items to `intake` from now on. Nobody may push before it is granted credit.
    pub fn accept_pushes(&self, intake: Arc<dyn Intake>) -> Grants {
        self.shared.desk.serve(intake)
    }

    /// A way to push items to a peer whose hotkey must be `expect`. Nothing is connected before the first push.
    #[must_use]
    pub fn pusher(&self, peer: &PeerAddress, expect: Account) -> Pusher {
        self.pushers.get(&self.dialer, peer, expect)
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

/// An endpoint that contacts nobody but the peers it is told of and the relays configured.
async fn bind(config: &NetworkConfig, key: SecretKey) -> Result<Endpoint, NetworkError> {
    let (relay_mode, net_report) = relays(config)?;
    let roots = roots(&config.relays.roots)?;
    let failed = |reason: String| NetworkError::Bind { address: config.bind, reason };
    let bound = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .transport_config(transport::config(&config.limits))
        .relay_mode(relay_mode)
        .clear_address_lookup()
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(net_report)
        .ca_tls_config(CaTlsConfig::embedded().with_extra_roots(roots))
        .clear_ip_transports()
        .bind_addr(config.bind)
        .map_err(|e| failed(e.to_string()))?
        .bind();
    match timeout(Duration::from_secs(30), bound).await {
        Ok(bound) => bound.map_err(|e| failed(format!("{e:#}"))),
        Err(_) => Err(failed("no socket within 30 s".to_owned())),
    }
}

/// The relays, and the questions that the nearest of them is found by.
fn relays(config: &NetworkConfig) -> Result<(RelayMode, NetReportConfig), NetworkError> {
    let mut questions = NetReportConfig::minimal();
    if config.relays.urls.is_empty() {
        return Ok((RelayMode::Disabled, questions));
    }
    questions.https_probes = true;
    let relay = |text: &String| {
        let wrong = |why: String| {
            let example = "one is https://relay.example/";
            NetworkError::Address(format!("the relay `{text}` is no URL ({why}); {example}"))
        };
        let url = text.parse::<RelayUrl>().map_err(|e| wrong(e.to_string()))?;
        match url.scheme() {
            "https" => Ok(RelayConfig::from(url)),
            // A plain one has no certificate to tell peers their public address with.
            "http" => Ok(RelayConfig::new(url, None)),
            other => Err(wrong(format!("it begins with {other}, not with http or https"))),
        }
    };
    let relays: Vec<RelayConfig> = config.relays.urls.iter().map(relay).collect::<Result<_, _>>()?;
    Ok((RelayMode::Custom(RelayMap::from_iter(relays)), questions))
}

fn roots(files: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, NetworkError> {
    let mut all = Vec::new();
    for path in files {
        let failed = |e: &dyn fmt::Display| NetworkError::Store {
            path: path.clone(),
            reason: format!("no certificate could be read from it: {e}"),
        };
        let found = CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))?;
        let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|e| failed(&e))?;
        if found.is_empty() {
            return Err(failed(&"it holds none"));
        }
        all.extend(found);
    }
    Ok(all)
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
