//! The one task that owns the run's state, and the ledger that everybody else reads.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use starling_network::Roll;
use starling_protocol::{
    Account, Digest, Signer,
    config::RunConfig,
    ledger::{Entry, Event, Head},
    receipt::{Anchor, LedgerAnchor},
    signed::Signed,
    state::{Phase, State},
    wire::{MAX_PAGE, Page},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{Chain, OrchestratorError, Progress, StoreError, requests::{Ask, Requests}, store::Store};

/// How often deadlines are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(50);
/// Longest answer to a call of the chain's that the anchoring phase waits for.
const CHAIN: Duration = Duration::from_secs(10);
/// Bytes of entries in one page.
const PAGE_BYTES: usize = 1 << 20;
/// Requests drained into one transaction.
const BATCH: usize = 256;

struct Inner {
    store: Store,
    state: State,
    /// Link after each entry, to sign pages that end before the newest.
    links: Vec<Digest>,
}

/// The ledger: durable entries, the state they lead to, signed pages.
pub struct Ledger {
    inner: Mutex<Inner>,
    hotkey: Arc<dyn Signer>,
    length: watch::Sender<u64>,
    progress: broadcast::Sender<Progress>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("length", &*self.length.borrow()).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Open or make the ledger in a folder.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, config: &RunConfig, hotkey: Arc<dyn Signer>) -> Result<Self, StoreError> {
        let (store, state, links) = Store::open(directory, config)?;
        let length = watch::Sender::new(links.len() as u64);
        Ok(Self { inner: Mutex::new(Inner { store, state, links }), hotkey, length, progress: broadcast::Sender::new(4096) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look at the state.
    pub fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.lock().state)
    }

    /// Changes whenever the ledger grows.
    #[must_use]
    pub fn length(&self) -> watch::Receiver<u64> {
        self.length.subscribe()
    }

    /// Entries from now on.
    #[must_use]
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Entries from `from` on, with the signed head after the last of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(&self, from: u64) -> Result<Page, StoreError> {
        let (entries, head) = {
            let inner = self.lock();
            let entries = if from < inner.links.len() as u64 { inner.store.page(from, MAX_PAGE, PAGE_BYTES)? } else { Vec::new() };
            let length = from.min(inner.links.len() as u64) + entries.len() as u64;
            let link = length.checked_sub(1).and_then(|i| inner.links.get(usize::try_from(i).unwrap_or(usize::MAX))).copied().unwrap_or(Digest::ZERO);
            (entries, Head { run: inner.state.run(), length, link })
        };
        Ok(Page { from, entries, head: Signed::new(head, self.hotkey.as_ref()) })
    }

    /// Try events one after the other; keep those that the rules allow; write them; then show them. If writing fails, the state
    /// in memory is ahead of the disk: the caller must end the process, and nobody has been told anything.
    fn append(&self, now_ms: u64, decide: impl FnOnce(&mut Draft<'_>)) -> Result<(), StoreError> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut draft = Draft { state: &mut inner.state, entries: Vec::new(), links: Vec::new(), now_ms };
        decide(&mut draft);
        let (entries, links) = (draft.entries, draft.links);
        if entries.is_empty() {
            return Ok(());
        }
        inner.store.append(&entries)?;
        let first = inner.links.len() as u64;
        inner.links.extend(links);
        let length = inner.links.len() as u64;
        drop(guard);
        for (index, entry) in (first..).zip(entries) {
            let _ = self.progress.send(Progress { entry: Arc::new(entry), index });
        }
        self.length.send_replace(length);
        Ok(())
    }
}

/// Entries that are about to be written.
pub(crate) struct Draft<'a> {
    pub(crate) state: &'a mut State,
    entries: Vec<Entry>,
    links: Vec<Digest>,
    pub(crate) now_ms: u64,
}

impl Draft<'_> {
    /// Add an event if the rules allow it.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), String> {
        let entry = Entry { at_ms: self.now_ms.max(self.state.at_ms()), event };
        self.state.apply_trusted(&entry).map_err(|e| e.to_string())?;
        self.links.push(self.state.head().link);
        self.entries.push(entry);
        Ok(())
    }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// What the chain showed.
enum Seen {
    Block(u32),
    Anchor { account: Account, block: u32, anchor: Anchor },
}

pub(crate) fn spawn(
    ledger: Arc<Ledger>,
    chain: Arc<dyn Chain>,
    roll: Arc<Roll>,
    hotkey: Arc<dyn Signer>,
    toml: String,
) -> (JoinHandle<Result<(), OrchestratorError>>, Requests) {
    let (ask, asks) = mpsc::channel(1024);
    let liveness = Arc::new(Mutex::new(BTreeMap::new()));
    let liveness_ms = ledger.look(|s| s.config().epoch.liveness_timeout_ms);
    let requests = Requests::new(ledger.clone(), roll, ask, liveness.clone(), toml, Duration::from_millis(liveness_ms / 3));
    let task = tokio::spawn(async move {
        let (seen, sights) = mpsc::channel(256);
        let watcher = tokio::spawn(watch_chain(ledger.clone(), chain.clone(), seen));
        let anchorer = tokio::spawn(anchor_ledger(ledger.clone(), chain, hotkey));
        let result = run(&ledger, asks, sights, &liveness, Duration::from_millis(liveness_ms)).await;
        watcher.abort();
        if result.is_ok() {
            // The last ledger head still has to reach the chain; peers still have to read the last entries.
            let _ = tokio::time::timeout(Duration::from_secs(20), anchorer).await;
        } else {
            anchorer.abort();
        }
        result
    });
    (task, requests)
}

type Liveness = Mutex<BTreeMap<Account, Instant>>;

async fn run(
    ledger: &Ledger,
    mut asks: mpsc::Receiver<Ask>,
    mut sights: mpsc::Receiver<Seen>,
    liveness: &Liveness,
    patience: Duration,
) -> Result<(), OrchestratorError> {
    let mut block = 0;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Peers of a run that is being continued get their whole patience from now on.
    let started = Instant::now();
    loop {
        let mut batch = Vec::new();
        let mut anchors = Vec::new();
        tokio::select! {
            n = asks.recv_many(&mut batch, BATCH) => if n == 0 { return Err(OrchestratorError::Stopped("nobody can ask any more".into())) },
            seen = sights.recv() => match seen {
                Some(Seen::Block(number)) => block = block.max(number),
                Some(Seen::Anchor { account, block, anchor }) => anchors.push((account, block, anchor)),
                None => return Err(OrchestratorError::Stopped("the chain is no longer watched".into())),
            },
            _ = tick.tick() => {}
        }
        let silent = silent(ledger, liveness, started, patience);
        let mut answers = Vec::new();
        ledger.append(now_ms(), |draft| {
            for ask in batch {
                let (answer, result) = ask.enter(draft);
                answers.push((answer, result));
            }
            for (account, block, anchor) in anchors {
                let event = Event::Anchored { account, block, count: anchor.count, head: anchor.head };
                if let Err(error) = draft.push(event) {
                    tracing::debug!(%account, %error, "an anchor seen on chain does not count");
                }
            }
            for account in silent {
                tracing::warn!(%account, "fell silent");
                let _ = draft.push(Event::Gone { account });
            }
            let now = draft.now_ms.max(draft.state.at_ms());
            while let Some(event) = draft.state.decide(now, block) {
                let name = event.name();
                if let Err(error) = draft.push(event) {
                    // A decision that the rules refuse is a defect of the rules: say so, and let time change the state.
                    tracing::error!(name, %error, "the rules contradict themselves");
                    break;
                }
            }
        })?;
        // Only now, with the entries on disk, is anybody told.
        for (answer, result) in answers {
            let _ = answer.send(result);
        }
        if ledger.look(|s| *s.phase() == Phase::Finished) {
            linger(ledger, &mut asks, liveness).await;
            return Ok(());
        }
    }
}

/// After the end, answer for a while, so that peers learn of it.
async fn linger(ledger: &Ledger, asks: &mut mpsc::Receiver<Ask>, _: &Liveness) {
    let until = Instant::now() + Duration::from_secs(3);
    while let Ok(Some(ask)) = tokio::time::timeout_at(until, asks.recv()).await {
        let mut answers = Vec::new();
        let _ = ledger.append(now_ms(), |draft| answers.push(ask.enter(draft)));
        for (answer, result) in answers {
            let _ = answer.send(result);
        }
    }
}

fn silent(ledger: &Ledger, liveness: &Liveness, started: Instant, patience: Duration) -> Vec<Account> {
    let seen = liveness.lock().unwrap_or_else(PoisonError::into_inner);
    let late = |account: &Account| seen.get(account).copied().unwrap_or(started).elapsed() > patience;
    ledger.look(|s| {
        let miners = s.members().iter().filter(|(_, m)| m.live).map(|(a, _)| *a);
        let auditors = s.auditors().iter().filter(|(_, a)| a.live).map(|(a, _)| *a);
        miners.chain(auditors).filter(late).collect()
    })
}

/// Follow the chain: its height always, the miners' commitments while they anchor. A chain that is away is waited for.
async fn watch_chain(ledger: Arc<Ledger>, chain: Arc<dyn Chain>, seen: mpsc::Sender<Seen>) {
    let mut last = None;
    let mut away = false;
    loop {
        let block = match tokio::time::timeout(CHAIN, chain.block()).await {
            Ok(Ok(block)) => block,
            Ok(Err(error)) => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(%error, "the chain is away; training goes on, anchors wait");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(_) => continue,
        };
        away = false;
        if last == Some(block) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let awaited: Vec<Account> = ledger.look(|s| match s.phase() {
            Phase::Anchoring { .. } => s.members().iter().filter(|(_, m)| m.live && m.enlisted && m.anchor.is_none()).map(|(a, _)| *a).collect(),
            _ => Vec::new(),
        });
        let (run, epoch) = ledger.look(|s| (s.run(), s.epoch()));
        for account in awaited {
            let Ok(Ok(Some((at, data)))) = tokio::time::timeout(CHAIN, chain.commitment(account)).await else { continue };
            let Some(anchor) = Anchor::from_commitment(&data) else { continue };
            if anchor.run[..] == run.0[..8] && anchor.epoch == epoch && seen.send(Seen::Anchor { account, block: at, anchor }).await.is_err() {
                return;
            }
        }
        last = Some(block);
        if seen.send(Seen::Block(block)).await.is_err() {
            return;
        }
    }
}

/// Write the ledger's head to the chain after every audit. Nothing waits for it; it is tried until it is there.
async fn anchor_ledger(ledger: Arc<Ledger>, chain: Arc<dyn Chain>, hotkey: Arc<dyn Signer>) {
    let mut length = ledger.length();
    let mut anchored = None;
    loop {
        let (closed, finished) = ledger.look(|s| (s.closed().map(|c| c.epoch), *s.phase() == Phase::Finished));
        if let Some(epoch) = closed.filter(|e| anchored.is_none_or(|a| a < *e)) {
            let head = ledger.look(State::head);
            let mut run = [0; 8];
            run.copy_from_slice(&head.run.0[..8]);
            let data = LedgerAnchor { run, epoch, length: head.length, link: head.link }.to_commitment();
            match tokio::time::timeout(CHAIN * 3, chain.commit(hotkey.as_ref(), data)).await {
                Ok(Ok(())) => anchored = Some(epoch),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the ledger's head is not on chain yet");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    continue;
                }
                Err(_) => continue,
            }
        }
        if finished || length.changed().await.is_err() {
            return;
        }
    }
}
