//! The ledger that everybody reads: durable entries, the state they lead to, signed pages, news for whoever waits.
//!
//! Invariant: what can be read here is on disk. The one writer ([`Writer`]) keeps a state of its own that runs ahead while entries
//! are being written.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use starling_keys::Signer;
use starling_protocol::{
    Digest,
    config::RunConfig,
    ledger::{Entry, Event, Head},
    signed::Signed,
    state::{Broken, State},
    wire::{MAX_PAGE, Page},
};
use tokio::sync::{broadcast, watch};

use crate::{
    Progress,
    store::{Found, Store, StoreError},
};

/// Bytes of entries in one page; a single entry may be longer (the configuration's rules bound it).
const PAGE_BYTES: usize = 1 << 20;
/// Entries that a slow reader of [`Ledger::progress`] may lie behind before it misses some.
const NEWS: usize = 4096;

/// What is on disk.
#[derive(Debug)]
struct Durable {
    state: State,
    /// Link after each entry, to sign pages that end before the newest.
    links: Vec<Digest>,
}

/// The ledger as readers see it.
pub struct Ledger {
    store: Store,
    durable: Mutex<Durable>,
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
    pub fn open(
        directory: &Path,
        config: &RunConfig,
        hotkey: Arc<dyn Signer>,
    ) -> Result<(Arc<Self>, Writer), StoreError> {
        let (store, found) = Store::open(directory, config)?;
        Ok(Self::with(store, found, hotkey))
    }

    pub(crate) fn with(store: Store, found: Found, hotkey: Arc<dyn Signer>) -> (Arc<Self>, Writer) {
        let Found { state, links } = found;
        let length = watch::Sender::new(links.len() as u64);
        let ahead = state.clone();
        let durable = Mutex::new(Durable { state, links });
        let ledger = Arc::new(Self { store, durable, hotkey, length, progress: broadcast::Sender::new(NEWS) });
        let writer = Writer { clock: Clock::from(ahead.at_ms()), ledger: ledger.clone(), ahead, entries: Vec::new() };
        (ledger, writer)
    }

    fn lock(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look at the state; keep it short, the writer waits meanwhile.
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

    /// Entries from `from` on, with the signed head after the last of them. Reads the disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(&self, from: u64) -> Result<Page, StoreError> {
        let length = self.lock().links.len() as u64;
        let wanted = usize::try_from(length.saturating_sub(from)).unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let entries = if wanted > 0 { self.store.page(from, wanted, PAGE_BYTES)? } else { Vec::new() };
        let head = {
            let durable = self.lock();
            let length = from.min(length) + entries.len() as u64;
            let last = usize::try_from(length).ok().and_then(|n| n.checked_sub(1)).and_then(|i| durable.links.get(i));
            Head { run: durable.state.run(), length, link: last.copied().unwrap_or(Digest::ZERO) }
        };
        Ok(Page { from, entries, head: Signed::new(head, self.hotkey.as_ref()) })
    }
}

/// Milliseconds since 1970: the system's clock at the start, from there on time that passes. So a clock that is set while the
/// orchestrator runs neither hurries nor stops the run, and time never runs backward over a restart.
#[derive(Clone, Copy, Debug)]
struct Clock {
    base_ms: u64,
    started: Instant,
}

impl Clock {
    fn from(newest_ms: u64) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        Self { base_ms: now_ms.max(newest_ms), started: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        self.base_ms.saturating_add(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// The one who writes: drafts entries against a state that runs ahead, then makes them durable together.
#[derive(Debug)]
pub struct Writer {
    ledger: Arc<Ledger>,
    ahead: State,
    entries: Vec<Entry>,
    clock: Clock,
}

impl Writer {
    /// The state with the drafted entries.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.ahead
    }

    /// The orchestrator's time.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms().max(self.ahead.at_ms())
    }

    /// Draft an event if the rules allow it. Its signature must have been checked.
    ///
    /// # Errors
    /// [`Broken`]; then nothing changed.
    pub fn push(&mut self, event: Event) -> Result<(), Broken> {
        let entry = Entry { at_ms: self.now_ms(), event };
        self.ahead.apply_trusted(&entry)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Make the drafted entries durable in one transaction, then show them.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was shown, and the writer must not be used again, for its state is ahead of the disk.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(());
        }
        let ledger = self.ledger.clone();
        let written = tokio::task::spawn_blocking(move || ledger.publish(entries)).await;
        written.map_err(|e| StoreError::Failed(e.to_string()))?
    }
}

impl Ledger {
    fn publish(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let first = self.lock().links.len() as u64;
        self.store.append(first, &entries)?;
        let length = {
            let mut durable = self.lock();
            for entry in &entries {
                durable.state.apply_trusted(entry)?;
                let link = durable.state.head().link;
                durable.links.push(link);
            }
            durable.links.len() as u64
        };
        for (index, entry) in (first..).zip(entries) {
            // Nobody may be listening.
            let _ = self.progress.send(Progress { entry: Arc::new(entry), index });
        }
        self.length.send_replace(length);
        Ok(())
    }
}
