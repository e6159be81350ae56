//! The miner: computes a stage of a run, commits to every result, serves it, and merges.
//!
//! One process is one hotkey on one stage. It follows the orchestrator's ledger; everything it does follows from
//! [`agenda`], a pure function of the ledger's state. The main loop (`actor`) alone holds that state and signs; one thread
//! computes ([`compute`]); fetching, storing and anchoring are errands beside it. What must outlive a crash is in [`outbox`]
//! and in the blob store (design D10): killed at any instruction and started again with the same state directory, a miner
//! keeps its endpoint, its stage and its chain of receipts.
//!
//! Reading order: [`agenda`], `actor`, `errands`, [`compute`], [`library`], [`outbox`].

mod actor;
pub mod adversary;
pub mod agenda;
pub mod assemble;
pub mod chain;
pub mod compute;
mod errands;
pub mod library;
pub mod outbox;
pub mod status;
pub mod tokens;
pub mod workbench;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use starling_chain::Client;
use starling_keys::{Account, Signer};
use starling_model::Device;
use starling_network::{NetworkConfig, NetworkError, NoRequests, Node, PeerAddress, Relays, Roll};
use starling_protocol::{Digest, config::RunConfig};
use tokio::{sync::watch, task::JoinHandle};

pub use adversary::Adversary;
pub use chain::{Chain, Subnet};
pub use outbox::OutboxError;
pub use status::Status;

use actor::{Actor, Parts};
use outbox::Outbox;
use status::Board;

/// How long a peer's registration is believed.
const ROLL: Duration = Duration::from_secs(30);

/// How a miner is set up.
#[derive(Clone, Debug)]
pub struct MinerConfig {
    /// The run.
    pub run: RunConfig,
    /// Where the orchestrator is.
    pub orchestrator: PeerAddress,
    /// Folder for blobs, the endpoint's key and receipts; keep it over restarts.
    pub state_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where peers behind a NAT are met.
    pub relays: Relays,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads that compute and hash.
    pub threads: usize,
    /// TEST ONLY: a way to cheat.
    pub adversary: Option<Adversary>,
    /// Version of the protocol to speak: [`starling_protocol::wire::PROTOCOL_VERSION`], but for tests of its refusal.
    pub protocol_version: u32,
}

/// Why a miner stopped or did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MinerError {
    /// The chain does not know the hotkey on the run's subnet.
    #[error("hotkey {hotkey} is not registered on subnet {netuid}: register it first (`starling register`)")]
    NotRegistered {
        /// Who.
        hotkey: Account,
        /// Where.
        netuid: u16,
    },
    /// The node belongs to another chain.
    #[error(
        "the run lives on the chain with genesis {needed}, this node serves {found}: give the endpoint of the run's chain"
    )]
    OtherChain {
        /// In the run's file.
        needed: Digest,
        /// At the endpoint.
        found: Digest,
    },
    /// The device cannot be had, or computing fails again and again.
    #[error("computing failed: {0}")]
    Compute(String),
    /// The state directory cannot be made.
    #[error("cannot use {path} as state directory: {reason}")]
    StateDir {
        /// Which.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Receipts and notes on disk.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The endpoint or the blob store.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The orchestrator will not have this miner.
    #[error("cannot take part in the run: {0}")]
    Refused(String),
    /// The orchestrator broke the rules.
    #[error("the orchestrator's ledger is not to be believed, the miner stops: {0}")]
    Distrust(String),
    /// The run's data.
    #[error("the run's data cannot be used: {0}")]
    Data(String),
    /// A blob of its own is missing.
    #[error("blob {digest}, which this miner should hold, is not in its store: was the state directory emptied?")]
    Gone {
        /// Which.
        digest: Digest,
    },
    /// A blob of its own is not what it should be.
    #[error("blob {digest} of this miner is not what it should be: {reason}")]
    Damaged {
        /// Which.
        digest: Digest,
        /// How.
        reason: String,
    },
    /// A thread or task died.
    #[error("a part of the miner stopped: {0}")]
    Thread(String),
}

/// A running miner.
#[derive(Debug)]
pub struct Miner {
    board: Arc<Board>,
    address: PeerAddress,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<Result<(), MinerError>>>,
    task: JoinHandle<()>,
}

impl Miner {
    /// Start, or continue where the state directory stands.
    ///
    /// # Errors
    /// [`MinerError`]: what is wrong with this machine, this hotkey or this configuration. An orchestrator or a chain that is away
    /// is no error: it is waited for, and the status says so.
    pub async fn start(config: MinerConfig, hotkey: Arc<dyn Signer>, chain: Client) -> Result<Self, MinerError> {
        let found = Digest(chain.genesis_hash());
        if found != config.run.genesis {
            return Err(MinerError::OtherChain { needed: config.run.genesis, found });
        }
        let netuid = config.run.netuid;
        Self::start_on(config, hotkey, Arc::new(Subnet { client: chain, netuid })).await
    }

    /// As [`Miner::start`], on anything that does what a chain does.
    ///
    /// # Errors
    /// As [`Miner::start`].
    pub async fn start_on(
        config: MinerConfig,
        hotkey: Arc<dyn Signer>,
        chain: Arc<dyn Chain>,
    ) -> Result<Self, MinerError> {
        let account = hotkey.account();
        let board = Arc::new(Board::new(account));
        match tokio::time::timeout(errands::CHAIN_READ, chain.uid(account)).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return Err(MinerError::NotRegistered { hotkey: account, netuid: config.run.netuid }),
            Ok(Err(error)) => board.trouble("chain", error),
            Err(_) => board.trouble("chain", format!("no answer within {} s", errands::CHAIN_READ.as_secs())),
        }
        let device =
            Device::open_with(&config.device, config.threads).map_err(|e| MinerError::Compute(e.to_string()))?;
        std::fs::create_dir_all(&config.state_dir)
            .map_err(|e| MinerError::StateDir { path: config.state_dir.clone(), reason: e.to_string() })?;
        let outbox = Arc::new(Outbox::open(&config.state_dir, config.run.id(), account)?);
        let lookup = {
            let chain = chain.clone();
            Box::new(move |who| -> futures::future::BoxFuture<'static, _> {
                let chain = chain.clone();
                Box::pin(async move { chain.uid(who).await })
            })
        };
        let roll = Arc::new(Roll::new(config.run.netuid, ROLL, lookup));
        let network = NetworkConfig {
            bind: config.bind,
            relays: config.relays.clone(),
            protocol_version: config.protocol_version,
            ..NetworkConfig::local(config.state_dir.join("network"), config.run.id())
        };
        let node = Arc::new(Node::start(network, hotkey.clone(), roll, Arc::new(NoRequests)).await?);
        let address = node.address();
        if let Some(how) = config.adversary {
            tracing::warn!(%how, "TEST ONLY: this miner cheats");
        }
        let actor =
            Actor::new(Parts { config, hotkey, device, chain, node: node.clone(), outbox, board: board.clone() });
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let result = actor.run(stopped).await;
            // The actor and its errands are gone: nobody else holds the node.
            if let Some(node) = Arc::into_inner(node) {
                node.shutdown().await;
            }
            end.send_replace(Some(result));
        });
        Ok(Self { board, address, stop, ended, task })
    }

    /// Where peers reach it.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        self.address.clone()
    }

    /// What it is doing or waiting for.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.board.watch()
    }

    /// Until the run is finished or the miner cannot go on.
    ///
    /// # Errors
    /// [`MinerError`].
    pub async fn finished(&self) -> Result<(), MinerError> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(MinerError::Thread("the main loop ended".into())),
        }
    }

    /// Stop in an orderly way. What is signed and not handed in stays in the state directory.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(Duration::from_secs(20), self.task).await.is_err() {
            tracing::warn!("the miner did not stop within 20 s");
        }
    }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
