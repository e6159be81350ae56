//! A local Substrate chain: the FRAME runtime of `starling-runtime`, executed natively, served over JSON-RPC (design D9, localnet.md).
//!
//! It can begin as the fork of a public subnet ([`Snapshot`]). It can present itself as an older or a newer public runtime and upgrade itself while clients are connected ([`Presentation`]).
//!
//! No consensus: one author makes a block at every tick, and every block is final at once. What is real: the runtime, its trie and
//! state roots, signatures, fees, nonces, the pool's checks, metadata. Invariant: blocks go on whatever is submitted.

mod beacon;
mod chain;
mod execute;
mod pool;
mod rpc;
mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use starling_runtime::{Hyperparams, Presentation, fork::Snapshot};

use chain::Chain;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, RandomStringIdProvider, Server, ServerConfig, ServerHandle};
use parity_scale_codec::Encode;
use sp_core::crypto::Ss58Codec;
use tokio::{sync::watch, task::JoinHandle};

/// How a local chain is set up.
#[derive(Clone, Debug)]
pub struct LocalnetConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time between blocks; `None` or zero: only on demand ([`Localnet::produce_block`]).
    pub block_time: Option<Duration>,
    /// Folder to keep the chain in; `None`: memory.
    pub state: Option<PathBuf>,
    /// Chain time that each block adds, however quickly it is made; `None`: the time of day.
    pub step: Option<Duration>,
    /// Seconds between the local beacon's rounds; `None`: the chain listens to quicknet, whose rounds nobody brings, so that nothing that
    /// is timelocked ever opens.
    pub beacon: Option<u32>,
    /// Fast hyperparameters (tempo 10, no rate limits) instead of the public chain's.
    pub fast: bool,
    /// A subnet that a new chain begins with in place of subnet 1, at its snapshot's block.
    pub fork: Option<Snapshot>,
    /// The runtime that a new chain begins as (chain.md 0).
    pub runtime: Presentation,
    /// Upgrades to come: the block that makes each, and what the chain is afterwards.
    pub upgrades: Vec<(u32, Presentation)>,
    /// States of this many blocks can be asked for; blocks themselves are kept for ever.
    pub states: u32,
    /// Largest request, bytes.
    pub max_request: u32,
}

/// Most requests in one batch.
const MAX_BATCH: u32 = 1024;

impl Default for LocalnetConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            block_time: Some(Duration::from_millis(250)),
            state: None,
            step: None,
            beacon: Some(1),
            fast: true,
            fork: None,
            runtime: Presentation::CURRENT,
            upgrades: Vec::new(),
            states: 1024,
            max_request: 10 << 20,
        }
    }
}

/// Largest snapshot file: a neuron takes half a kilobyte.
const MAX_SNAPSHOT: u64 = 64 << 20;

/// Reads a snapshot as `starling metagraph --json` prints it.
///
/// # Errors
/// [`LocalnetError::Fork`] with what is wrong and where.
pub fn read_snapshot(path: &Path) -> Result<Snapshot, LocalnetError> {
    let failed = |reason: String| LocalnetError::Fork(format!("{}: {reason}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_SNAPSHOT {
        return Err(failed(format!("it has {size} bytes; at most {MAX_SNAPSHOT} are read")));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    parse_snapshot(&bytes).map_err(failed)
}

/// Reads a snapshot's bytes.
///
/// # Errors
/// What is wrong with it.
pub fn parse_snapshot(bytes: &[u8]) -> Result<Snapshot, String> {
    let wrong =
        |e: serde_json::Error| format!("it is no metagraph as `starling metagraph NETUID --json` prints it: {e}");
    let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(wrong)?;
    snapshot.check()?;
    Ok(snapshot)
}

/// Why the chain did not start or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalnetError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {reason}. Is another chain running there? Choose another --listen, or port 0")]
    Bind {
        /// Wanted.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The folder.
    #[error("the chain's folder {path} failed: {reason}. Is another chain using it, or the disk full?")]
    Store {
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The folder holds a chain that this program cannot continue.
    #[error("the chain in {path} cannot be continued: {reason}. Choose another --state folder, or delete this one")]
    OtherChain {
        /// Where.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The genesis cannot be built.
    #[error("the genesis cannot be built: {0}")]
    Genesis(String),
    /// The snapshot to fork.
    #[error("the snapshot cannot be forked: {0}")]
    Fork(String),
    /// An upgrade that cannot be.
    #[error("the runtime cannot be upgraded: {0}")]
    Upgrade(String),
    /// A block cannot be made.
    #[error("a block cannot be made: {0}")]
    Authoring(String),
    /// The RPC server.
    #[error("the RPC server failed: {0}")]
    Server(String),
}

/// A funded account whose key is public knowledge.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// Name.
    pub name: String,
    /// Address.
    pub ss58: String,
    /// Secret URI.
    pub uri: String,
    /// Balance at genesis, rao.
    pub balance: u64,
}

/// A running chain.
pub struct Localnet {
    chain: Arc<Chain>,
    address: SocketAddr,
    server: ServerHandle,
    author: JoinHandle<()>,
    stop: watch::Sender<bool>,
    failure: Arc<OnceLock<LocalnetError>>,
    accounts: Vec<DevAccount>,
}

impl std::fmt::Debug for Localnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Localnet").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Localnet {
    /// Start a chain, or continue the one in the state folder.
    ///
    /// # Errors
    /// [`LocalnetError`].
    pub async fn start(config: LocalnetConfig) -> Result<Self, LocalnetError> {
        let server = |e: &dyn std::fmt::Display| LocalnetError::Server(e.to_string());
        let limits = ServerConfig::builder()
            .max_request_body_size(config.max_request)
            .max_response_body_size(64 << 20)
            .max_connections(2048)
            .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
            // Names of subscriptions are texts, as public nodes give them; chainHead_v1 knows no others.
            .set_id_provider(RandomStringIdProvider::new(16))
            // A client that went without a word is noticed, and what it had subscribed to ends.
            .enable_ws_ping(PingConfig::new())
            .build();
        let listener = Server::builder()
            .set_config(limits)
            .build(config.listen)
            .await
            .map_err(|e| LocalnetError::Bind { address: config.listen, reason: e.to_string() })?;
        let address = listener.local_addr().map_err(|e| server(&e))?;
        let state = config.state.clone();
        let (fast, states, runtime) = (config.fast, config.states.max(16), config.runtime);
        let fork = config.fork.clone();
        let beacon = config.beacon.map(|period| (beacon::beacon().public_key().to_bytes().to_vec(), period));
        if let Some(snapshot) = &fork {
            snapshot.check().map_err(LocalnetError::Fork)?;
        }
        let opened = tokio::task::spawn_blocking(move || {
            let genesis = serde_json::to_vec(&starling_runtime::dev_genesis(fast, fork, beacon))
                .map_err(|e| LocalnetError::Genesis(e.to_string()))?;
            let interface = starling_runtime::Runtime::metadata_at_version(15).map(|metadata| metadata.encode());
            let interface = sp_crypto_hashing::blake2_256(&interface.unwrap_or_default());
            let store = state.map(|directory| store::Store::open(&directory, &interface)).transpose()?;
            Chain::open(store, genesis, &runtime, states)
        });
        let chain = Arc::new(opened.await.map_err(|e| server(&e))??);
        if config.fork.is_some() && chain.best().0.number == 0 {
            // Nobody is to see a chain whose newest block is number 0 and the next one millions.
            let first = chain.clone();
            tokio::task::spawn_blocking(move || first.produce()).await.map_err(|e| server(&e))??;
        }
        if let Some(time) = config.block_time.filter(|time| !time.is_zero()) {
            chain.set_slot(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(step) = config.step {
            chain.set_step(u64::try_from(step.as_millis()).unwrap_or(u64::MAX));
        }
        let mut upgrades = config.upgrades.clone();
        upgrades.sort_unstable_by_key(|(block, _)| *block);
        let made = chain.best().0.number;
        // A chain that is continued has made its earlier upgrades already.
        for (block, to) in upgrades.into_iter().filter(|(block, _)| *block > made) {
            chain.plan(to, Some(block)).map_err(LocalnetError::Upgrade)?;
        }
        let module = rpc::module(chain.clone()).map_err(|e| server(&e))?;
        let handle = listener.start(module);
        let (stop, stopped) = watch::channel(false);
        let failure = Arc::new(OnceLock::new());
        let block_time = config.block_time.filter(|time| !time.is_zero());
        let author = author(chain.clone(), block_time, stopped, handle.clone(), failure.clone());
        let author = tokio::spawn(author);
        let accounts = starling_runtime::ENDOWED
            .iter()
            .map(|(key, uri, balance)| DevAccount {
                name: format!("{key:?}"),
                ss58: key.to_account_id().to_ss58check_with_version(42u16.into()),
                uri: (*uri).to_owned(),
                balance: *balance,
            })
            .collect();
        Ok(Self { chain, address, server: handle, author, stop, failure, accounts })
    }

    /// Where it serves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Funded development accounts.
    #[must_use]
    pub fn accounts(&self) -> &[DevAccount] {
        &self.accounts
    }

    /// Make one block now.
    ///
    /// # Errors
    /// [`LocalnetError`].
    pub async fn produce_block(&self) -> Result<(), LocalnetError> {
        let chain = self.chain.clone();
        tokio::task::spawn_blocking(move || chain.produce())
            .await
            .map_err(|e| LocalnetError::Authoring(e.to_string()))?
    }

    /// Have a block (the next one if none is named) upgrade the runtime, as a real chain would; says which block it will be. The blocks
    /// after it run as the new runtime.
    ///
    /// # Errors
    /// [`LocalnetError::Upgrade`] if the spec version does not increase, or the block is made already.
    pub async fn upgrade(&self, to: Presentation, block: Option<u32>) -> Result<u32, LocalnetError> {
        let chain = self.chain.clone();
        let planned = tokio::task::spawn_blocking(move || chain.plan(to, block)).await;
        planned.map_err(|e| LocalnetError::Upgrade(e.to_string()))?.map_err(LocalnetError::Upgrade)
    }

    /// Until the node stops: it was told to, or it can no longer keep its blocks ([`Self::failure`] says why).
    pub async fn stopped(&self) {
        self.server.clone().stopped().await;
    }

    /// Why the node stopped by itself, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&LocalnetError> {
        self.failure.get()
    }

    /// Stop authoring and serving; the state folder is free afterwards.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let _ = self.server.stop();
        let _ = (&mut self.author).await;
        self.server.clone().stopped().await;
        self.chain.close();
    }
}

/// A node that is dropped stops at once and loses nothing: what was served was committed before.
impl Drop for Localnet {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = self.server.stop();
        self.chain.close();
    }
}

/// A block at every tick. A block that cannot be made is tried again at the next; if blocks can no longer be kept, the node stops.
async fn author(
    chain: Arc<Chain>,
    block_time: Option<Duration>,
    mut stop: watch::Receiver<bool>,
    server: ServerHandle,
    failure: Arc<OnceLock<LocalnetError>>,
) {
    let Some(block_time) = block_time else {
        let _ = stop.wait_for(|s| *s).await;
        return;
    };
    let mut tick = tokio::time::interval(block_time);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        let chain = chain.clone();
        match tokio::task::spawn_blocking(move || chain.produce()).await {
            Ok(Ok(())) => {}
            Ok(Err(error @ LocalnetError::Store { .. })) => {
                tracing::error!(%error, "the node stops");
                let _ = failure.set(error);
                let _ = server.stop();
                return;
            }
            // The node is being dropped.
            Ok(Err(_)) if *stop.borrow() => return,
            Ok(Err(error)) => tracing::error!(%error, "no block this time"),
            Err(error) => tracing::error!(%error, "no block this time"),
        }
    }
}
