//! The validator: follows the ledger, re-executes what the beacon draws, scores, and keeps its weights on chain.
//!
//! It judges for itself (design D5): it believes bytes that hash to what a miner signed, a ledger whose every entry keeps the
//! rules, and the chain. Another validator's verdict moves it only after it has replayed the receipt.

pub mod docket;
mod follow;
mod judge;
mod openings;
pub mod store;
mod tokens;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use starling_chain::Client;
use starling_keeper::{Keeper, StoreFailure, Target, WeightStatus};
use starling_keys::Signer;
use starling_model::Device;
use starling_network::{Link, LinkError, NetworkConfig, NetworkError, NoRequests, Node, PeerAddress, Relays, Roll};
use starling_protocol::{Epoch, Stage, Uid, config::RunConfig, state::Distrust};
use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
};

pub use judge::Judge;
pub use store::StoreError;

/// How a validator is set up.
#[derive(Clone, Debug)]
pub struct ValidatorConfig {
    /// The run.
    pub run: RunConfig,
    /// Where the orchestrator is.
    pub orchestrator: PeerAddress,
    /// Folder for scores, commits and fetched blobs.
    pub state_dir: PathBuf,
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where peers behind a NAT are met.
    pub relays: Relays,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads that compute and hash.
    pub threads: usize,
}

/// Why a validator stopped or did not start.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// The folder.
    #[error("the state folder {path} cannot be made: {reason}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] starling_model::ModelError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The orchestrator's ledger cannot be believed.
    #[error("the orchestrator's ledger cannot be believed: {0}")]
    Distrust(#[from] Distrust),
    /// The run is on another chain.
    #[error("the run lives on the chain with genesis {run}, this chain's is {chain}: check --endpoint")]
    OtherChain {
        /// In the run's file.
        run: String,
        /// Here.
        chain: String,
    },
    /// What the weights need to be kept.
    #[error("weights can no longer be kept on chain: {0}")]
    Keeper(StoreFailure),
    /// The orchestrator says no, and would say so again.
    #[error(transparent)]
    Refused(LinkError),
    /// A task ended.
    #[error("the validator stopped: {0}")]
    Stopped(String),
}

/// Something to tell.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum ValidatorEvent {
    /// A receipt was judged.
    Audited {
        /// Epoch.
        epoch: Epoch,
        /// The miner's slot.
        uid: Uid,
        /// Its stage.
        stage: Stage,
        /// forward, backward, step or merge.
        work: &'static str,
        /// Which receipt.
        sequence: u64,
        /// True if it is as it should be.
        passed: bool,
        /// What was found.
        finding: String,
    },
    /// An epoch's weights were computed.
    Scored {
        /// Epoch.
        epoch: Epoch,
        /// `(uid, weight)`.
        weights: Vec<(Uid, u16)>,
    },
    /// What the weight keeper does.
    Weights {
        /// In words.
        doing: String,
        /// Read back from the chain.
        confirmed: bool,
    },
}

impl fmt::Display for ValidatorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audited { epoch, uid, stage, work, sequence, passed, finding } => {
                let mark = if *passed { "ok  " } else { "FAIL" };
                write!(f, "{mark} epoch {epoch} uid {uid} stage {stage} {work} #{sequence}: {finding}")
            }
            Self::Scored { epoch, weights } => write!(f, "epoch {epoch} weights {weights:?}"),
            Self::Weights { doing, .. } => write!(f, "weights: {doing}"),
        }
    }
}

/// What a finished validator leaves.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Newest weights that were read back from the chain.
    pub weights: Vec<(u16, u16)>,
    /// Block at which they were read.
    pub block: u32,
}

/// A running validator.
#[derive(Debug)]
pub struct Validator {
    task: JoinHandle<Result<Summary, ValidatorError>>,
    events: broadcast::Sender<ValidatorEvent>,
    first: Option<broadcast::Receiver<ValidatorEvent>>,
}

impl Validator {
    /// Start, or continue where the state directory stands.
    ///
    /// # Errors
    /// [`ValidatorError`].
    pub async fn start(
        config: ValidatorConfig,
        hotkey: Arc<dyn Signer>,
        chain: Client,
    ) -> Result<Self, ValidatorError> {
        let found = chain.genesis_hash();
        if found != config.run.genesis.0 {
            return Err(ValidatorError::OtherChain {
                run: config.run.genesis.to_string(),
                chain: starling_protocol::Digest(found).to_string(),
            });
        }
        let folder =
            |e: std::io::Error| ValidatorError::Folder { path: config.state_dir.clone(), reason: e.to_string() };
        std::fs::create_dir_all(&config.state_dir).map_err(folder)?;
        let device = Device::open_with(&config.device, config.threads)?;
        let run = config.run.id();
        let store = Arc::new(store::Store::open(&config.state_dir, run)?);
        let netuid = config.run.netuid;
        let lookup = {
            let chain = chain.clone();
            Box::new(move |account| -> futures::future::BoxFuture<'static, _> {
                let chain = chain.clone();
                Box::pin(async move { chain.uid(netuid, &account).await.map_err(|e| e.to_string()) })
            })
        };
        let roll = Arc::new(Roll::new(netuid, Duration::from_secs(60), lookup));
        let network = NetworkConfig {
            bind: config.bind,
            relays: config.relays.clone(),
            ..NetworkConfig::local(config.state_dir.join("network"), run)
        };
        let node = Arc::new(Node::start(network, hotkey.clone(), roll, Arc::new(NoRequests)).await?);
        let link = Link::new(node.clone(), config.orchestrator.clone(), config.run.orchestrator);
        let (events, first) = broadcast::channel(4096);
        let (target, targets) = watch::channel(Target::default());
        let (status, statuses) = watch::channel(WeightStatus::default());
        let keeper = Keeper::new(chain.clone(), hotkey.clone(), netuid, store.clone(), targets, status);
        let follower = follow::Follower {
            run: config.run,
            hotkey,
            chain,
            node,
            link,
            device,
            store,
            events: events.clone(),
            target,
            statuses,
        };
        let task = tokio::spawn(async move {
            // A keeper that cannot store must not be outlived: judging without weights earns nothing, unnoticed.
            let mut keeper = tokio::spawn(keeper.run());
            let mut followed = std::pin::pin!(follower.run());
            tokio::select! {
                result = &mut followed => {
                    keeper.abort();
                    result
                }
                kept = &mut keeper => match kept {
                    Ok(Ok(())) => followed.await,
                    Ok(Err(failure)) => Err(ValidatorError::Keeper(failure)),
                    Err(e) => Err(ValidatorError::Stopped(e.to_string())),
                },
            }
        });
        Ok(Self { task, events, first: Some(first) })
    }

    /// What happens, from the start for the first caller.
    #[must_use]
    pub fn events(&mut self) -> broadcast::Receiver<ValidatorEvent> {
        self.first.take().unwrap_or_else(|| self.events.subscribe())
    }

    /// Until the run is finished and the last weights are on chain.
    ///
    /// # Errors
    /// [`ValidatorError`].
    pub async fn finished(&mut self) -> Result<Summary, ValidatorError> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(e) => Err(ValidatorError::Stopped(e.to_string())),
        }
    }
}
