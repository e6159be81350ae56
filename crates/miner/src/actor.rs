//! The main loop: it alone holds the ledger's state, decides what is wanted, and signs.
//!
//! Invariant: nothing is signed before the ledger has been read to its end, and nothing whose duty is no longer on the agenda.
//! Fetching, storing and anchoring are errands; computing is another thread; whatever comes back too late is thrown away.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use starling_model::{Device, ModelError};
use starling_network::{Link, LinkError, Node};
use starling_protocol::{
    Account, Digest, Epoch, Round, Signer,
    message::{Complaint, MAX_TEXT, Ready, Role},
    receipt::{Anchor, Receipt, Work},
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
    agenda::{Agenda, Duty, Key, agenda, keep},
    compute::{Compute, Engine, Finished, Job},
    errands::{Draft, Kit, Outcome, Prepared, anchor},
    library::{Library, Unavailable, Undelivered},
    link_fault::{Fault, fault},
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
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), MinerError> {
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
                let pause = self.orchestrator_trouble(error)?;
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

    // The ledger.

    fn ask_for_page(&mut self, pause: Duration) {
        let (link, from) = (self.link.clone(), self.state.head().length);
        let wait = if self.caught_up { LONG_POLL } else { Duration::ZERO };
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Page(link.page(from, wait).await)
        });
    }

    fn absorb(&mut self, page: &Page) -> Result<(), MinerError> {
        self.fine("orchestrator");
        let entries = self.state.absorb(page).map_err(|e| MinerError::Distrust(e.to_string()))?;
        self.library.book().update(&self.state);
        // A full page may have more behind it; an empty one has not.
        self.caught_up |= entries == 0;
        if self.caught_up {
            if let Some(standing) = self.standing() {
                self.outbox.reconcile(standing)?;
                self.sent = self.sent.max(standing.count);
            }
            self.tidy();
        }
        let round = Some((self.state.epoch(), self.state.training().round));
        if self.round != round {
            self.round = round;
            self.signed.clear();
            self.later.clear();
        }
        self.ask_for_page(Duration::ZERO);
        Ok(())
    }

    /// Where this miner's chain stands in the ledger.
    fn standing(&self) -> Option<Standing> {
        self.state.members().get(&self.me).map(|m| Standing { count: m.count, link: m.link })
    }

    fn pending(&self) -> Vec<Receipt> {
        self.outbox.pending().into_iter().map(|s| s.body).collect()
    }

    /// After an audit closed: drop what only it needed.
    fn tidy(&mut self) {
        let Some(closed) = self.state.closed().map(|c| c.epoch).filter(|e| self.tidied.is_none_or(|t| t < *e)) else {
            return;
        };
        self.tidied = Some(closed);
        let kept = keep(&self.state, &self.me, &self.pending());
        let library = self.library.clone();
        self.errands.spawn(async move { Errand::Tidied(library.tidy(closed, |digest| kept.contains(digest)).await) });
    }

    // Trouble with the orchestrator.

    fn fine(&mut self, what: &'static str) {
        self.pause.remove(what);
        self.board.fine(what);
    }

    /// How long to wait before asking again; an error if asking again is of no use.
    fn orchestrator_trouble(&mut self, error: LinkError) -> Result<Duration, MinerError> {
        if fault(&error) == Fault::Permanent {
            return Err(MinerError::Refused(error.to_string()));
        }
        self.board.trouble("orchestrator", format!("{error}; trying again"));
        let pause = self.pause.entry("orchestrator").or_insert(FIRST_PAUSE);
        let now = *pause;
        *pause = (now * 2).min(LONGEST_PAUSE);
        Ok(now)
    }

    fn join(&mut self, pause: Duration) {
        self.joining = true;
        let known = self.state.members().get(&self.me).map_or(0, |m| m.joined_ms);
        // The clock may have been set back since the last join.
        let at_ms = now_ms().max(known + 1);
        let (link, hotkey, run) = (self.link.clone(), self.hotkey.clone(), self.state.run());
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Joined(at_ms, link.join(hotkey.as_ref(), run, Role::Miner, at_ms).await)
        });
    }

    fn joined(&mut self, at_ms: u64, result: Result<(), LinkError>) -> Result<(), MinerError> {
        match result {
            Ok(()) => {
                self.joining = false;
                self.joined_ms = Some(at_ms);
                self.refused_since = None;
                self.fine("orchestrator");
            }
            Err(error) => {
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                if fault(&error) == Fault::Refusal && self.joined_ms.is_none() && since.elapsed() > REFUSED {
                    return Err(MinerError::Refused(error.to_string()));
                }
                let pause = self.orchestrator_trouble(error)?;
                self.join(pause.max(AGAIN / 2));
            }
        }
        Ok(())
    }

    // Planning.

    fn plan(&mut self) -> Result<(), MinerError> {
        if !self.caught_up {
            self.show("reading the ledger");
            return Ok(());
        }
        let member = self.state.members().get(&self.me);
        let seen = self.joined_ms.is_some_and(|at| member.is_some_and(|m| m.joined_ms >= at));
        let gone = seen && member.is_some_and(|m| !m.live);
        if (self.joined_ms.is_none() || gone) && !self.joining {
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
    fn seat(&mut self, stage: starling_protocol::Stage) -> Result<(), MinerError> {
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

    /// Send errands for duties that nobody has begun.
    fn begin(&mut self, agenda: &Agenda) {
        let Some(bench) = &self.bench else { return };
        let mut ahead = self.work.values().filter(|p| matches!(p, Progress::Errand(_) | Progress::Waiting(_))).count();
        let now = Instant::now();
        for (key, duty) in &agenda.duties {
            if self.work.contains_key(key) || self.signed.contains(key) || self.later.get(key).is_some_and(|t| *t > now)
            {
                continue;
            }
            if ahead >= AHEAD {
                break;
            }
            ahead += 1;
            let (key, epoch) = (*key, self.state.epoch());
            let handle = if let Duty::Anchor { count, head } = duty {
                let mut run = [0; 8];
                run.copy_from_slice(&self.state.run().0[..8]);
                let data = Anchor { run, epoch, count: *count, head: *head }.to_commitment();
                let (chain, hotkey, board) = (self.chain.clone(), self.hotkey.clone(), self.board.clone());
                self.errands.spawn(async move {
                    anchor(chain, hotkey, data, board).await;
                    Errand::Anchored(key)
                })
            } else {
                let (kit, duty) = (bench.kit.clone(), duty.clone());
                self.errands.spawn(async move { Errand::Prepared(key, kit.prepare(epoch, duty).await) })
            };
            self.work.insert(key, Progress::Errand(handle));
        }
    }

    fn said(&mut self, key: Key) {
        if let Some(progress) = self.work.get_mut(&key) {
            *progress = Progress::Said;
        }
    }

    /// Try a duty again in a while, if it is still wanted then.
    fn postpone(&mut self, key: Key) {
        self.work.remove(&key);
        self.later.insert(key, Instant::now() + AGAIN);
    }

    fn prepared(&mut self, key: Key, result: Result<Prepared, Unavailable>) -> Result<(), MinerError> {
        if !self.work.contains_key(&key) {
            return Ok(());
        }
        match result {
            Ok(Prepared::Job(job)) => {
                self.board.fine("peers");
                self.work.insert(key, Progress::Waiting(job));
            }
            Ok(Prepared::Ready(weights)) => self.published(key, Outcome::Ready(weights))?,
            Err(Unavailable::Undelivered(fault)) => {
                self.board.trouble("peers", format!("{} does not deliver: {}", fault.peer, fault.reason));
                self.complain(key, fault);
                self.postpone(key);
            }
            // A blob of its own that is gone costs the work that needs it, not the run.
            Err(Unavailable::Own(error @ (MinerError::Gone { .. } | MinerError::Damaged { .. }))) => {
                self.board.trouble("store", error.to_string());
                self.postpone(key);
            }
            Err(Unavailable::Own(error)) => return Err(error),
        }
        Ok(())
    }

    fn complain(&mut self, key: Key, fault: Undelivered) {
        let (Key::Forward { sample, attempt } | Key::Backward { sample, attempt }) = key else { return };
        let said = self
            .state
            .training()
            .samples
            .get(&sample)
            .is_none_or(|s| s.attempt != attempt || s.complaints.contains(&fault.peer));
        let waiting = self.messages.iter().any(|m| matches!(m, Submission::Complaint(c) if (c.body.sample, c.body.attempt, c.body.about) == (sample, attempt, fault.peer)));
        if said || waiting {
            return;
        }
        let mut reason = fault.reason;
        let end = reason.floor_char_boundary(MAX_TEXT);
        reason.truncate(end);
        let complaint = Complaint { run: self.state.run(), sample, attempt, about: fault.peer, reason };
        self.messages.push_back(Submission::Complaint(Signed::new(complaint, self.hotkey.as_ref())));
        self.board.change(|s| s.done.complaints += 1);
    }

    // Computing.

    /// Give the thread the most urgent job.
    fn compute(&mut self) {
        let Some(bench) = self.bench.as_mut().filter(|b| b.busy.is_none()) else { return };
        let Some(key) = self.work.iter().find(|(_, p)| matches!(p, Progress::Waiting(_))).map(|(key, _)| *key) else {
            return;
        };
        if let Some(Progress::Waiting(job)) = self.work.remove(&key) {
            let (job, draft) = *job;
            self.work.insert(key, Progress::Computing(draft));
            if bench.compute.give(key, job) {
                bench.busy = Some(key);
            }
        }
    }

    fn computed(&mut self, (key, result): Finished) -> Result<(), MinerError> {
        let Some(bench) = &mut self.bench else { return Ok(()) };
        bench.busy = None;
        let product = match result {
            Ok(product) => product,
            Err(error) => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    return Err(MinerError::Compute(error.to_string()));
                }
                self.board.trouble("compute", format!("{}: {error}; trying again", describe(&key)));
                self.postpone(key);
                return Ok(());
            }
        };
        if self.failures > 0 {
            self.failures = 0;
            self.board.fine("compute");
        }
        match self.work.remove(&key) {
            Some(Progress::Computing(draft)) => {
                let (kit, epoch) = (bench.kit.clone(), self.state.epoch());
                let handle =
                    self.errands.spawn(async move { Errand::Published(key, kit.publish(epoch, draft, product).await) });
                self.work.insert(key, Progress::Errand(handle));
            }
            _ => self.board.change(|s| s.done.discarded += 1),
        }
        Ok(())
    }

    /// Sign, if it is still wanted: the last plan would have dropped it otherwise.
    fn published(&mut self, key: Key, outcome: Outcome) -> Result<(), MinerError> {
        if !self.work.contains_key(&key) {
            self.board.change(|s| s.done.discarded += 1);
            return Ok(());
        }
        match outcome {
            Outcome::Ready(held) => {
                let ready = Ready {
                    run: self.state.run(),
                    epoch: self.state.epoch(),
                    weights: held.weights,
                    momentum: held.momentum,
                };
                self.messages.push_back(Submission::Ready(Signed::new(ready, self.hotkey.as_ref())));
                self.said(key);
            }
            Outcome::Work(work) => {
                let (Some(standing), Some(member)) = (self.standing(), self.state.members().get(&self.me)) else {
                    return Ok(());
                };
                let (epoch, stage) = (self.state.epoch(), member.stage);
                self.board.change(|s| match &work {
                    Work::Forward { .. } => s.done.forwards += 1,
                    Work::Backward { .. } => s.done.backwards += 1,
                    Work::Step { .. } => s.done.steps += 1,
                    Work::Merge { .. } => s.done.merges += 1,
                });
                self.outbox.sign(self.hotkey.as_ref(), standing, epoch, stage, work)?;
                self.signed.insert(key);
                self.work.remove(&key);
            }
        }
        Ok(())
    }

    // Handing in.

    fn submit(&mut self, pending: &[Receipt]) {
        if self.submitting {
            return;
        }
        let receipts: Vec<_> = if pending.last().is_some_and(|r| r.sequence >= self.sent) {
            self.outbox.pending().into_iter().filter(|s| s.body.sequence >= self.sent).take(BATCH).collect()
        } else {
            Vec::new()
        };
        let (sent, batch) = match (receipts.last(), self.messages.front()) {
            (Some(last), _) => {
                (Sent::Receipts(last.body.sequence + 1), receipts.into_iter().map(Submission::Receipt).collect())
            }
            (None, Some(message)) => (Sent::Message, vec![message.clone()]),
            (None, None) => return,
        };
        self.submitting = true;
        let link = self.link.clone();
        let pause = self.pause.get("orchestrator").copied().unwrap_or_default();
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Submitted(sent, link.submit(batch).await)
        });
    }

    fn submitted(&mut self, sent: Sent, result: Result<(), LinkError>) -> Result<(), MinerError> {
        self.submitting = false;
        match (result, sent) {
            (Ok(()), Sent::Receipts(upto)) => self.sent = self.sent.max(upto),
            (Ok(()), Sent::Message) => drop(self.messages.pop_front()),
            (Err(LinkError::Refused(why)), Sent::Message) => {
                tracing::debug!(%why, "a message was refused");
                // Readiness for an epoch that has begun, say. The agenda knows better by the next page.
                if let Some(Submission::Ready(_)) = self.messages.pop_front() {
                    let keys: Vec<Key> = self.work.keys().filter(|k| matches!(k, Key::Hold { .. })).copied().collect();
                    keys.into_iter().for_each(|key| self.postpone(key));
                }
            }
            (Err(error), _) => {
                if fault(&error) == Fault::Refusal {
                    // The ledger may hold them already: it says so with the next page. Until then from the start.
                    self.sent = self.standing().map_or(0, |s| s.count);
                }
                self.orchestrator_trouble(error)?;
            }
        }
        Ok(())
    }

    /// TEST ONLY: the adversary that serves its peers and leaves the auditors with nothing.
    fn withhold(&mut self) {
        let epoch = self.state.epoch();
        let anchored = matches!(self.state.phase(), Phase::Anchoring { .. } | Phase::Auditing { .. });
        if self.config.adversary != Some(Adversary::WithholdOpening) || !anchored || self.withheld == Some(epoch) {
            return;
        }
        let (Some(bench), Some(member)) = (&self.bench, self.state.members().get(&self.me)) else { return };
        self.withheld = Some(epoch);
        let base = self.state.base().get(usize::from(member.stage));
        let needed =
            |d: &Digest| member.weights == Some(*d) || base.is_some_and(|b| b.weights == *d || b.momentum == *d);
        let filed = self.state.filed().get(&self.me).into_iter().flatten();
        let digests: Vec<Digest> = filed.flat_map(|f| f.signed.body.work.openings()).filter(|d| !needed(d)).collect();
        let spare = member.optimiser.map(|digest| (digest, bench.kit.forms.optimiser()));
        let library = self.library.clone();
        self.errands
            .spawn(async move { Errand::Tidied(library.withhold(&digests, spare).await.map(|()| digests.len())) });
    }

    fn show(&self, waiting: &str) {
        let busy = self.bench.as_ref().and_then(|b| b.busy);
        let errand = || self.work.iter().find(|(_, p)| matches!(p, Progress::Errand(_))).map(|(key, _)| key);
        let activity = match (busy, errand()) {
            (Some(key), _) => format!("computing {}", describe(&key)),
            (None, Some(key @ Key::Anchor { .. })) => describe(key),
            (None, Some(key)) => format!("moving the data of {}", describe(key)),
            (None, None) => format!("waiting for {waiting}"),
        };
        let member = self.state.members().get(&self.me);
        let phase = self.state.phase();
        self.board.change(|s| {
            (s.uid, s.stage) = (member.map(|m| m.uid), member.map(|m| m.stage));
            (s.epoch, s.phase) = (self.state.epoch(), phase.name());
            s.round = self.state.training().round.filter(|_| *phase == Phase::Training);
            s.activity = activity;
            s.unfiled = self.outbox.len();
        });
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
