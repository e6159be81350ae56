//! The main loop: it alone holds the ledger's state, decides what is wanted, and signs.
//!
//! Invariant: nothing is signed before the ledger has been read to its end, and nothing whose duty is no longer on the agenda.
//! Fetching, storing and anchoring are errands; computing is another thread; whatever comes back too late is thrown away.

mod desk;
mod duties;
mod ledger;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use starling_commitment::anchor::Anchor;
use starling_keys::{Account, Signer};
use starling_model::{Device, ModelError};
use starling_network::{Link, LinkError, Node};
use starling_protocol::{
    Digest, Epoch, Reaction, Round,
    message::{Complaint, MAX_TEXT, Ready, Role},
    receipt::{Receipt, Work},
    signed::Signed,
    state::{Phase, State},
    wire::{Page, Submission},
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};

use crate::{
    Adversary, Chain, MinerConfig, MinerError,
    adversary::Forger,
    agenda::{Agenda, Duty, Key, agenda, keep},
    compute::{Compute, Engine, Finished, Job},
    errands::{Draft, Kit, Outcome, Prepared, anchor},
    library::{Library, Unavailable, Undelivered},
    now_ms,
    outbox::{Outbox, Standing},
    status::Board,
    tokens::Tokens,
};

/// Longest wait for a page; the orchestrator shortens it to a third of the time after which it takes a miner for gone.
const LONG_POLL: Duration = Duration::from_secs(10);
/// Duties whose inputs are fetched or wait in memory at once.
const AHEAD: usize = 8;
/// Pause before a duty that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Failed computations in a row after which something is wrong with this machine.
const FAILURES: u32 = 5;
/// Messages in one submission.
const BATCH: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a newcomer that is refused asks again: longer than a peer remembers that somebody is not registered.
const REFUSED: Duration = Duration::from_secs(60);

/// What comes back to the main loop.
enum Errand {
    Page(Result<Page, LinkError>),
    Joined(u64, Result<(), LinkError>),
    Submitted(Sent, Result<(), LinkError>),
    Prepared(Key, Result<Prepared, Unavailable>),
    Published(Key, Result<Outcome, MinerError>),
    Anchored(Key),
    Tidied(Result<usize, MinerError>),
}

/// What was handed in.
enum Sent {
    /// Receipts up to this sequence.
    Receipts(u64),
    /// The oldest message.
    Message,
}

/// How far a duty has come.
enum Progress {
    Errand(AbortHandle),
    Waiting(Box<(Job, Draft)>),
    Computing(Draft),
    /// Said or complained about: the ledger will show what follows.
    Said,
}

pub(crate) struct Actor {
    config: MinerConfig,
    hotkey: Arc<dyn Signer>,
    me: Account,
    device: Device,
    chain: Arc<dyn Chain>,
    link: Link,
    library: Arc<Library>,
    tokens: Arc<Tokens>,
    outbox: Arc<Outbox>,
    board: Arc<Board>,
    state: State,
    caught_up: bool,
    errands: JoinSet<Errand>,
    /// Once the ledger has given it a stage.
    bench: Option<Bench>,
    work: BTreeMap<Key, Progress>,
    /// Signed in this round: never done twice, whatever the ledger makes of it.
    signed: BTreeSet<Key>,
    round: Option<(Epoch, Option<Round>)>,
    /// Not to be tried before.
    later: BTreeMap<Key, Instant>,
    failures: u32,
    joining: bool,
    /// The orchestrator does not count this miner as one of the run, whatever the ledger read so far says.
    rejoin: bool,
    /// Date of this process's newest join that was accepted.
    joined_ms: Option<u64>,
    refused_since: Option<Instant>,
    pause: BTreeMap<&'static str, Duration>,
    messages: VecDeque<Submission>,
    submitting: bool,
    /// Receipts handed in up to, and not including, this sequence.
    sent: u64,
    tidied: Option<Epoch>,
    withheld: Option<Epoch>,
}

/// The stage's thread and what its errands share.
struct Bench {
    compute: Compute,
    finished: mpsc::UnboundedReceiver<Finished>,
    busy: Option<Key>,
    kit: Arc<Kit>,
}

/// Parts that are made before the actor.
pub(crate) struct Parts {
    pub config: MinerConfig,
    pub hotkey: Arc<dyn Signer>,
    pub device: Device,
    pub chain: Arc<dyn Chain>,
    pub node: Arc<Node>,
    pub outbox: Arc<Outbox>,
    pub board: Arc<Board>,
}

impl Actor {
    pub fn new(parts: Parts) -> Self {
        let Parts { config, hotkey, device, chain, node, outbox, board } = parts;
        let me = hotkey.account();
        let link = Link::new(node.clone(), config.orchestrator.clone(), config.run.orchestrator);
        let library = Arc::new(Library::new(node.clone(), outbox.clone(), me));
        let tokens = Arc::new(Tokens::new(node, link.clone(), config.run.clone()));
        let state = State::new(config.run.clone());
        Self {
            config,
            hotkey,
            me,
            device,
            chain,
            link,
            library,
            tokens,
            outbox,
            board,
            state,
            caught_up: false,
            errands: JoinSet::new(),
            bench: None,
            work: BTreeMap::new(),
            signed: BTreeSet::new(),
            round: None,
            later: BTreeMap::new(),
            failures: 0,
            joining: false,
            rejoin: false,
            joined_ms: None,
            refused_since: None,
            pause: BTreeMap::new(),
            messages: VecDeque::new(),
            submitting: false,
            sent: 0,
            tidied: None,
            withheld: None,
        }
    }

    /// Until the run is finished, `stop` is set, or the miner cannot go on.
    pub async fn run(mut self, stop: watch::Receiver<bool>) -> Result<(), MinerError> {
        let result = self.follow(stop).await;
        // Errands hold the node: they must be gone before it can be shut down.
        self.errands.shutdown().await;
        result
    }

    async fn follow(&mut self, mut stop: watch::Receiver<bool>) -> Result<(), MinerError> {
        self.ask_for_page(Duration::ZERO);
        let mut tick = tokio::time::interval(AGAIN / 2);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let computed = async {
                match &mut self.bench {
                    Some(bench) => bench.finished.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                product = computed => match product {
                    Some(product) => self.computed(product)?,
                    None => return Err(MinerError::Thread("the compute thread ended".into())),
                },
                Some(errand) = self.errands.join_next() => match errand {
                    Ok(errand) => self.back(errand)?,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => return Err(MinerError::Thread(error.to_string())),
                },
                _ = tick.tick() => {}
            }
            if *self.state.phase() == Phase::Finished && self.caught_up {
                self.show("the run is finished");
                return Ok(());
            }
            self.plan()?;
        }
    }

    fn back(&mut self, errand: Errand) -> Result<(), MinerError> {
        match errand {
            Errand::Page(Ok(page)) => self.absorb(&page),
            Errand::Page(Err(error)) => {
                let pause = self.orchestrator_trouble("orchestrator", error)?;
                self.ask_for_page(pause);
                Ok(())
            }
            Errand::Joined(at_ms, result) => self.joined(at_ms, result),
            Errand::Submitted(sent, result) => self.submitted(sent, result),
            Errand::Prepared(key, result) => self.prepared(key, result),
            Errand::Published(key, result) => self.published(key, result?),
            Errand::Anchored(key) => {
                self.said(key);
                Ok(())
            }
            Errand::Tidied(result) => {
                let removed = result?;
                tracing::debug!(removed, "blobs of closed epochs removed");
                Ok(())
            }
        }
    }

    pub(super) fn plan(&mut self) -> Result<(), MinerError> {
        if !self.caught_up {
            self.show("reading the ledger");
            return Ok(());
        }
        let member = self.state.members().get(&self.me);
        let seen = self.joined_ms.is_some_and(|at| member.is_some_and(|m| m.joined_ms >= at));
        let gone = seen && member.is_some_and(|m| !m.live);
        if (self.joined_ms.is_none() || gone || self.rejoin) && !self.joining {
            self.join(Duration::ZERO);
        }
        let member = self.state.members().get(&self.me);
        if let (Some(member), true) = (member, seen) {
            let stage = member.stage;
            self.seat(stage)?;
        }
        let pending = self.pending();
        let agenda = if seen && !gone {
            agenda(&self.state, &self.me, &pending)
        } else {
            Agenda::idle("the orchestrator to let it join")
        };
        self.work.retain(|key, progress| {
            let wanted = agenda.duties.contains_key(key);
            if let (false, Progress::Errand(handle)) = (wanted, &progress) {
                handle.abort();
            }
            wanted
        });
        let current = |digest: &Digest| {
            self.state.members().get(&self.me).is_some_and(|m| {
                m.weights == Some(*digest)
                    || m.optimiser == Some(*digest)
                    || m.ready.is_some_and(|(_, w)| w.weights == *digest)
            })
        };
        if self.work.is_empty() {
            self.library.clear_shelf(current);
        }
        self.begin(&agenda);
        self.compute();
        self.submit(&pending);
        self.withhold();
        self.show(&agenda.waiting);
        Ok(())
    }

    /// Take the seat that the ledger gives.
    pub(super) fn seat(&mut self, stage: starling_protocol::Stage) -> Result<(), MinerError> {
        if self.bench.is_some() {
            return Ok(());
        }
        let compute = |e: ModelError| MinerError::Compute(e.to_string());
        let engine = Engine::new(&self.config.run, stage, &self.device, self.config.adversary).map_err(compute)?;
        let kit = Arc::new(Kit {
            run: self.config.run.clone(),
            me: self.me,
            forms: engine.forms().clone(),
            library: self.library.clone(),
            tokens: self.tokens.clone(),
            board: self.board.clone(),
        });
        let (compute, finished) = Compute::start(engine)?;
        self.bench = Some(Bench { compute, finished, busy: None, kit });
        Ok(())
    }
}

fn describe(key: &Key) -> String {
    match key {
        Key::Backward { sample, .. } => format!("the backward of sample {sample}"),
        Key::Forward { sample, .. } => format!("the forward of sample {sample}"),
        Key::Step { round, .. } => format!("the optimiser step of round {round}"),
        Key::Merge { shard, .. } => format!("shard {shard} of the merge"),
        Key::Hold { epoch, .. } => format!("the first weights of epoch {epoch}"),
        Key::Anchor { epoch } => format!("anchoring epoch {epoch} on chain"),
    }
}
