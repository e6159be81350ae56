//! The orchestrator: admits miners, routes samples, runs epochs, writes the ledger. It never touches a tensor.
//!
//! All rules live in `starling_protocol::state`; this room gives them a clock, a disk, a network and a chain. One task
//! (`actor`) writes; an entry is on disk before anybody sees it ([`ledger`], [`store`]), so `kill -9` at any instruction loses
//! nothing that was promised (design D10). Peers' requests are answered in `requests`, the chain is followed in `watch`.

mod actor;
pub mod chain;
pub mod ledger;
mod peers;
mod requests;
pub mod store;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use starling_keys::{Account, Signer};
use starling_network::{NetworkConfig, NetworkError, Node, PeerAddress, Relays, Roll};
use starling_protocol::{
    Uid,
    config::{ConfigError, RunConfig},
    ledger::Entry,
    state::State,
};
use tokio::sync::{broadcast, mpsc, watch as channel};
use tokio_util::task::AbortOnDropHandle;

pub use chain::{Chain, Subnet};
pub use ledger::Ledger;
pub use store::StoreError;

use crate::{actor::Actor, ledger::Writer, peers::Peers, requests::Requests};

/// How long the chain's word on a registration is good for.
const REGISTRATION: Duration = Duration::from_secs(30);
/// Longest wait for the task to end when told to.
const STOPPING: Duration = Duration::from_secs(10);

/// How an orchestrator is set up.
#[derive(Clone, Debug)]
pub struct OrchestratorConfig {
    /// The run.
    pub run: RunConfig,
    /// Folder for ledger, identity and served blobs.
    pub state_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where peers behind a NAT are met.
    pub relays: Relays,
    /// Folder with token shards and manifest, served by hash.
    pub shards: Option<PathBuf>,
}

/// Why an orchestrator stopped or did not start.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    /// The hotkey is not the one that the run names.
    #[error("the run is led by hotkey {needed}, this is {found}: use the wallet that made the run's file")]
    NotTheLeader {
        /// In the run's file.
        needed: Account,
        /// In the wallet.
        found: Account,
    },
    /// The configuration has no text form.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The ledger's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file that was to be served, or the state directory.
    #[error("cannot use {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The task that owns the state ended early.
    #[error("the orchestrator stopped: {0}")]
    Stopped(String),
}

/// A running orchestrator. Dropping it ends it as abruptly as a kill; nothing that was promised is lost.
#[derive(Debug)]
pub struct Orchestrator {
    node: Node,
    ledger: Arc<Ledger>,
    stop: channel::Sender<bool>,
    task: Option<AbortOnDropHandle<Result<(), OrchestratorError>>>,
}

/// An entry that has just become durable, for whoever shows progress.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its index.
    pub index: u64,
}

impl Orchestrator {
    /// Start, or continue where the state directory stands.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn start(
        config: OrchestratorConfig,
        hotkey: Arc<dyn Signer>,
        chain: Arc<dyn Chain>,
    ) -> Result<Self, OrchestratorError> {
        if hotkey.account() != config.run.orchestrator {
            return Err(OrchestratorError::NotTheLeader { needed: config.run.orchestrator, found: hotkey.account() });
        }
        config.run.validate()?;
        std::fs::create_dir_all(&config.state_dir).map_err(|e| file(&config.state_dir, &e))?;
        let (ledger, writer) = Ledger::open(&config.state_dir, &config.run, hotkey.clone())?;
        let roll = Arc::new(Roll::new(config.run.netuid, REGISTRATION, lookup(ledger.clone(), chain.clone())));
        let (stop, stopped) = channel::channel(false);
        let parts = Parts { run: &config.run, roll: roll.clone(), hotkey: hotkey.clone(), chain, stop: stopped };
        let (task, requests) = parts.spawn(ledger.clone(), writer)?;
        let network = NetworkConfig {
            bind: config.bind,
            relays: config.relays.clone(),
            ..NetworkConfig::local(config.state_dir.join("network"), config.run.id())
        };
        let node = Node::start(network, hotkey, roll, Arc::new(requests)).await?;
        if let Some(folder) = &config.shards {
            serve(&node, folder).await?;
        }
        Ok(Self { node, ledger, stop, task: Some(task) })
    }

    /// Where peers reach it.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        self.node.address()
    }

    /// Every entry from now on.
    #[must_use]
    pub fn entries(&self) -> broadcast::Receiver<Progress> {
        self.ledger.progress()
    }

    /// Look at the state; keep it short, the run waits meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        self.ledger.look(at)
    }

    /// Changes whenever the ledger grows.
    #[must_use]
    pub fn length(&self) -> channel::Receiver<u64> {
        self.ledger.length()
    }

    /// Until the run is finished, peers have read the end and it is anchored (or had half a minute for it), or until the
    /// orchestrator cannot go on. Asked again, answers at once.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn finished(&mut self) -> Result<(), OrchestratorError> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let result = task.await;
        self.task = None;
        result.map_err(|e| OrchestratorError::Stopped(e.to_string()))?
    }

    /// Stop taking anything, and close. The run can be continued from the state directory.
    ///
    /// # Errors
    /// [`OrchestratorError`] if the last entries could not be written.
    pub async fn shutdown(mut self) -> Result<(), OrchestratorError> {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(STOPPING, self.finished()).await;
        self.node.shutdown().await;
        // Requests that were under way let go of the store; then another may open it.
        let released = async {
            while Arc::strong_count(&self.ledger) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(STOPPING, released).await.is_err() {
            tracing::warn!("a request still holds the ledger; its directory is free when this process ends");
        }
        ended.unwrap_or_else(|_| Err(OrchestratorError::Stopped(format!("not within {} s", STOPPING.as_secs()))))
    }
}

/// What the task needs besides the ledger.
struct Parts<'a> {
    run: &'a RunConfig,
    roll: Arc<Roll>,
    hotkey: Arc<dyn Signer>,
    chain: Arc<dyn Chain>,
    stop: channel::Receiver<bool>,
}

type Task = AbortOnDropHandle<Result<(), OrchestratorError>>;

impl Parts<'_> {
    /// The task, and the handler through which peers reach it.
    fn spawn(self, ledger: Arc<Ledger>, writer: Writer) -> Result<(Task, Requests), OrchestratorError> {
        let toml = self.run.to_toml()?;
        let patience = Duration::from_millis(self.run.epoch.liveness_timeout_ms);
        let peers = Arc::new(Peers::new(patience));
        let (ask, asks) = mpsc::channel(1024);
        let (seen, sights) = mpsc::channel(1024);
        let requests = Requests {
            ledger: ledger.clone(),
            roll: self.roll,
            ask,
            peers: peers.clone(),
            toml,
            longest_wait: patience / 3,
        };
        let follow = tokio::spawn(watch::follow(ledger.clone(), self.chain.clone(), seen));
        let mut follow = AbortOnDropHandle::new(follow);
        let anchorer = AbortOnDropHandle::new(tokio::spawn(watch::anchor_ledger(ledger, self.chain, self.hotkey)));
        let mut actor = Actor { writer, asks, sights, peers, stop: self.stop, anchorer };
        let task = tokio::spawn(async move {
            let result = actor.run().await;
            for helper in [&mut follow, &mut actor.anchorer] {
                helper.abort();
                // Cancelled, or ended by itself before.
                let _ = helper.await;
            }
            result
        });
        Ok((AbortOnDropHandle::new(task), requests))
    }
}

/// Who is registered: the chain's word; while the chain is away, the ledger's.
fn lookup(ledger: Arc<Ledger>, chain: Arc<dyn Chain>) -> starling_network::roll::Lookup {
    Box::new(move |account| -> BoxFuture<'static, Result<Option<Uid>, String>> {
        let (ledger, chain) = (ledger.clone(), chain.clone());
        Box::pin(async move {
            let error = match chain.uid(account).await {
                Ok(uid) => return Ok(uid),
                Err(error) => error,
            };
            let known = ledger.look(|s| {
                let miner = s.members().get(&account).map(|m| m.uid);
                miner.or_else(|| s.auditors().get(&account).map(|a| a.uid))
            });
            known.map(Some).ok_or(error)
        })
    })
}

fn file(path: &Path, reason: &dyn std::fmt::Display) -> OrchestratorError {
    OrchestratorError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// Serve every file of a folder by its hash.
async fn serve(node: &Node, folder: &Path) -> Result<(), OrchestratorError> {
    for item in std::fs::read_dir(folder).map_err(|e| file(folder, &e))? {
        let path = item.map_err(|e| file(folder, &e))?.path();
        if path.is_file() {
            let bytes = tokio::fs::read(&path).await.map_err(|e| file(&path, &e))?;
            node.put(bytes.into()).await?;
        }
    }
    Ok(())
}
