//! The orchestrator: admits miners, routes samples, runs epochs, writes the ledger. It never touches a tensor.
//!
//! All rules live in `starling_protocol::state`; this room gives them a clock, a disk, a network and a chain. One task
//! ([`actor`]) owns the state; it appends to the store before anybody sees an entry, so `kill -9` at any instruction loses nothing
//! that was promised (design D10).

mod actor;
pub mod chain;
mod requests;
pub mod store;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use starling_network::{NetworkConfig, NetworkError, Node, PeerAddress, Roll};
use starling_protocol::{Signer, config::RunConfig, ledger::Entry, state::State};
use tokio::sync::{broadcast, watch};

pub use actor::Ledger;
pub use chain::{Chain, Subnet};
pub use store::StoreError;

/// How an orchestrator is set up.
#[derive(Clone, Debug)]
pub struct OrchestratorConfig {
    /// The run.
    pub run: RunConfig,
    /// Folder for ledger, identity and served blobs.
    pub state_dir: PathBuf,
    /// Where to listen.
    pub bind: SocketAddr,
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
        needed: starling_protocol::Account,
        /// In the wallet.
        found: starling_protocol::Account,
    },
    /// The ledger's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file that was to be served.
    #[error("cannot read {path}: {reason}")]
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

/// A running orchestrator.
#[derive(Debug)]
pub struct Orchestrator {
    node: Arc<Node>,
    ledger: Arc<Ledger>,
    task: tokio::task::JoinHandle<Result<(), OrchestratorError>>,
}

/// An entry together with the state after it, for whoever shows progress.
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
    pub async fn start(config: OrchestratorConfig, hotkey: Arc<dyn Signer>, chain: Arc<dyn Chain>) -> Result<Self, OrchestratorError> {
        if hotkey.account() != config.run.orchestrator {
            return Err(OrchestratorError::NotTheLeader { needed: config.run.orchestrator, found: hotkey.account() });
        }
        let file = |path: &std::path::Path, e: &dyn std::fmt::Display| OrchestratorError::File { path: path.to_owned(), reason: e.to_string() };
        std::fs::create_dir_all(&config.state_dir).map_err(|e| file(&config.state_dir, &e))?;
        let ledger = Arc::new(Ledger::open(&config.state_dir, &config.run, hotkey.clone())?);
        let lookup = {
            let chain = chain.clone();
            Box::new(move |account| -> futures::future::BoxFuture<'static, _> {
                let chain = chain.clone();
                Box::pin(async move { chain.uid(account).await })
            })
        };
        let roll = Arc::new(Roll::new(config.run.netuid, Duration::from_secs(30), lookup));
        let network = NetworkConfig { bind: config.bind, ..NetworkConfig::local(config.state_dir.join("network"), config.run.id()) };
        let (task, requests) = actor::spawn(ledger.clone(), chain, roll.clone(), hotkey.clone(), config.run.to_toml().unwrap_or_default());
        let node = Arc::new(Node::start(network, hotkey, roll, Arc::new(requests)).await?);
        if let Some(folder) = &config.shards {
            let listing = std::fs::read_dir(folder).map_err(|e| file(folder, &e))?;
            for item in listing {
                let path = item.map_err(|e| file(folder, &e))?.path();
                if path.is_file() {
                    let bytes = std::fs::read(&path).map_err(|e| file(&path, &e))?;
                    node.put(bytes.into()).await?;
                }
            }
        }
        Ok(Self { node, ledger, task })
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

    /// Look at the state.
    pub fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        self.ledger.look(at)
    }

    /// Changes whenever the ledger grows.
    #[must_use]
    pub fn length(&self) -> watch::Receiver<u64> {
        self.ledger.length()
    }

    /// Until the run is finished or the orchestrator cannot go on.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn finished(&mut self) -> Result<(), OrchestratorError> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(e) => Err(OrchestratorError::Stopped(e.to_string())),
        }
    }
}
