//! The run's state: a fold over the ledger, the same for orchestrator, miner and validator.
//!
//! Three verbs: [`State::apply`] moves the state by one entry and refuses an entry that breaks a rule, [`State::admit`] says whether a peer's word
//! may become an entry, [`State::decide`] says which entry the rules demand next. Words and decisions each have one rule, which
//! `admit`/`decide` and `apply` call alike.
//!
//! Invariants: everything the orchestrator decides is recomputed by `apply`; the state's size depends on peers, stages and shards, not on how
//! much was computed; no entry but those once a table and once an epoch looks at all members. Epochs overlap: while one runs, the
//! ones before are audited and merged (`docs/protocol-2.md` has the diagrams).
//!
//! Time is [`State::clock`]: gaps between entries, each counted as `tally.beat_ms` at most. An orchestrator that was away makes nobody late.

mod admit;
mod apply;
mod decide;
mod epochs;
mod follow;
mod members;
mod tallies;
#[cfg(test)]
mod tests;
mod trust;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parity_scale_codec::{Decode, Encode};

pub use admit::Submission;
pub use apply::{Broken, Rule};
pub use decide::View;
pub use follow::{Distrust, Witness};

use super::{
    config::RunConfig,
    ledger::Head,
    merge::{Base, Plan},
    message::Assurance,
    table::{Lines, Table},
    tally::Tally,
};
use starling_keys::Account;

use crate::{Digest, Epoch, Stage, Uid};

/// Tables that stay known, so that samples on their way stay valid: for eight times `tables.min_ms` at least, which must be longer than a loop.
pub const TABLES_KEPT: usize = 8;
/// Measurements in a row without a sample after which a miner that is complained about is left out of the tables.
pub const FRUITLESS: u8 = 2;
/// Measurements in a row without a sample after which a miner is left out of the tables although nobody complains: with a small share it
/// costs nobody enough for a complaint, and yet it changes who works with whom for all.
pub const BARREN: u8 = 8;
/// Every so many tables those are let in again: who was only starved shows it then.
pub const TRIAL: u32 = 8;
/// Bases that a newcomer may begin with.
pub const BASES_KEPT: usize = 2;
/// Merged epochs whose contributions are remembered, for late fraud and for scores.
pub const EPOCHS_KEPT: u32 = 2;
/// A validator that said nothing for so many epochs does not count among the participating stake.
pub const QUIET_EPOCHS: u32 = 2;

/// Where a miner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// Fetches its base.
    Ghost,
    /// Is in the tables.
    Working,
    /// Left, or fell silent.
    Gone,
    /// Excluded, or proven guilty.
    Barred,
}

/// A miner.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Who holds the slot.
    pub account: Account,
    /// Where it computes.
    pub stage: Stage,
    /// Where it is to move as soon as it is ready there.
    pub moving: Option<Stage>,
    /// Where it stands.
    pub status: Status,
    /// Encoded network address.
    pub address: Vec<u8>,
    /// Declared class of hardware and build.
    pub class: Digest,
    /// What its class challenge gave.
    pub challenge: Digest,
    /// Date of its newest join.
    pub joined_ms: u64,
    /// Clock at its newest tally, or when it became what it is.
    pub heard: u64,
    /// Clock at which it is too late for the next word.
    pub deadline: u64,
    /// First epoch in which it may join again.
    pub barred_until: Epoch,
    /// Its newest tally.
    pub tally: Tally,
    /// Public rate, samples per 10⁶ seconds.
    pub rate: u64,
    /// Clock, samples and busy time from which the next rate is measured.
    pub measured: (u64, u64, u64),
    /// First epoch that it has not closed.
    pub next_close: Epoch,
    /// Samples that its closes brought in so far.
    pub closed_samples: u64,
    /// Complaints it made in this epoch.
    pub complaints: u16,
    /// Measurements in a row in which it did not complete a single sample.
    pub fruitless: u8,
    /// Who complained of it since it last tallied progress.
    pub accused_by: BTreeSet<Uid>,
}

impl Member {
    /// Backwards and drops so far: what it is paid for.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.tally.counts.backwards.saturating_add(self.tally.counts.dropped)
    }

    /// Works now.
    #[must_use]
    pub fn works(&self) -> bool {
        self.status == Status::Working
    }

    /// It completes nothing, and not for want of work: a neighbour complained, or it is a head and could begin turns of its own. It is left
    /// out of tables until it is ready anew, or completes something.
    #[must_use]
    pub fn shirks(&self) -> bool {
        self.fruitless >= FRUITLESS && (self.stage == 0 || !self.accused_by.is_empty())
    }

    /// It completes nothing, for whatever reason: it is let into every [`TRIAL`]th table only.
    #[must_use]
    pub fn barren(&self) -> bool {
        self.fruitless >= BARREN
    }

    /// Two complained: its weight in tables is halved.
    #[must_use]
    pub fn doubted(&self) -> bool {
        self.accused_by.len() >= 2
    }
}

/// What is remembered of an account whose slot somebody else holds now: its log goes on where it stood.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Former {
    pub tally: Tally,
    pub barred_until: Epoch,
    pub closed_samples: u64,
    pub joined_ms: u64,
}

/// A validator that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Auditor {
    /// Who.
    pub account: Account,
    /// Encoded network address.
    pub address: Vec<u8>,
    /// Date of its newest join.
    pub joined_ms: u64,
    /// Has not left.
    pub live: bool,
    /// Its newest word about its verdict log.
    pub assurance: Option<Assurance>,
    /// Last epoch in which it said anything.
    pub seen: Epoch,
    /// Findings and refutations in this epoch.
    pub words: u16,
    /// First epoch in which its findings count again, after a refuted one.
    pub discredited_until: Epoch,
}

/// What one miner brought into an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Contribution {
    /// Who.
    pub account: Account,
    /// Where it computed.
    pub stage: Stage,
    /// Root over the digests of its shards.
    pub contribution: Digest,
    /// Samples in it.
    pub samples: u64,
    /// Digest of its flows.
    pub flows: Digest,
    /// Number of the closing tally.
    pub tally: u32,
    /// The block that is its closing tally's beacon.
    pub beacon: Option<u32>,
    /// Excluded or guilty: not merged, or to be subtracted.
    pub barred: bool,
}

/// An epoch that is under way, audited or merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct EpochRecord {
    /// Clock at which it ended.
    pub ended: Option<u64>,
    /// By slot.
    pub contributions: BTreeMap<Uid, Contribution>,
    /// Work of those who left before they closed: account, stage, samples.
    pub left: Vec<(Account, Stage, u64)>,
    /// Complaints made in it: account and number.
    pub complaints: BTreeMap<Account, u32>,
    /// Newest beacon among the contributions.
    pub beacon: u32,
    /// Contributions that have no beacon yet.
    pub awaiting: u32,
    /// Planned or merged: nothing more comes in.
    pub sealed: bool,
}

/// A block of the chain that the ledger noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Noted {
    /// Number.
    pub number: u32,
    /// Hash.
    pub hash: Digest,
}

/// A finding that somebody may still refute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Filed {
    pub author: Uid,
    pub account: Account,
    pub epoch: Epoch,
    pub refuted_by: BTreeSet<Uid>,
}

/// Everything that a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Core {
    pub head: Head,
    pub at_ms: u64,
    pub clock: u64,
    pub finished: bool,
    pub epoch: Epoch,
    pub epoch_since: u64,
    pub members: BTreeMap<Uid, Member>,
    pub auditors: BTreeMap<Uid, Auditor>,
    /// Slot of each account that is a member or an auditor.
    pub slots: BTreeMap<Account, Uid>,
    pub former: BTreeMap<Account, Former>,
    pub permits: BTreeMap<Uid, (Account, u64)>,
    pub stakes_block: u32,
    pub bases: Vec<Base>,
    pub tables: Vec<Lines>,
    pub table_clock: u64,
    pub table_due: bool,
    pub rebalance: bool,
    pub block: Option<Noted>,
    /// Newest height of the chain that tallies came in at.
    pub height: u32,
    pub mustered: Option<u64>,
    /// Tallies since the newest block.
    pub unbeaconed: u64,
    /// Closing tallies since the newest block.
    pub awaiting: Vec<(Epoch, Uid)>,
    pub epochs: BTreeMap<Epoch, EpochRecord>,
    pub next_merge: Epoch,
    pub merging: Option<Plan>,
    pub corrections: BTreeSet<(Epoch, Uid)>,
    pub failed_by: BTreeMap<Account, BTreeSet<Uid>>,
    pub findings: BTreeMap<Digest, Filed>,
    pub to_exclude: BTreeSet<Uid>,
    pub snapshot_length: u64,
    pub snapshot_due: bool,
    /// Deadlines of ghosts and working miners.
    pub deadlines: BTreeSet<(u64, Uid)>,
    /// Per stage: working miners.
    pub working: Vec<u32>,
    /// Per stage: working miners that closed the epoch under way.
    pub closed: Vec<u32>,
    /// Working miners by the first epoch that they have not closed.
    pub unclosed: BTreeMap<Epoch, u32>,
    /// The orchestrator was proven a liar.
    pub distrusted: bool,
}

/// The fold.
#[derive(Clone, Debug)]
pub struct State {
    config: Arc<RunConfig>,
    run: Digest,
    pub(crate) core: Core,
    tables: Vec<Arc<Table>>,
}

impl State {
    /// The state before the first entry.
    #[must_use]
    pub fn new(config: RunConfig) -> Self {
        let run = config.id();
        let stages = usize::from(config.stages());
        let core = Core {
            head: Head::empty(run),
            at_ms: 0,
            clock: 0,
            finished: false,
            epoch: 0,
            epoch_since: 0,
            members: BTreeMap::new(),
            auditors: BTreeMap::new(),
            slots: BTreeMap::new(),
            former: BTreeMap::new(),
            permits: BTreeMap::new(),
            stakes_block: 0,
            bases: Vec::new(),
            tables: Vec::new(),
            table_clock: 0,
            table_due: true,
            rebalance: false,
            block: None,
            height: 0,
            mustered: None,
            unbeaconed: 0,
            awaiting: Vec::new(),
            epochs: BTreeMap::new(),
            next_merge: 0,
            merging: None,
            corrections: BTreeSet::new(),
            failed_by: BTreeMap::new(),
            findings: BTreeMap::new(),
            to_exclude: BTreeSet::new(),
            snapshot_length: 0,
            snapshot_due: false,
            deadlines: BTreeSet::new(),
            working: vec![0; stages],
            closed: vec![0; stages],
            unclosed: BTreeMap::new(),
            distrusted: false,
        };
        Self { config: Arc::new(config), run, core, tables: Vec::new() }
    }

    pub(crate) fn from_core(config: Arc<RunConfig>, run: Digest, core: Core) -> Self {
        let tables = core.tables.iter().map(|l| Arc::new(Table::new(config.seed, l.clone()))).collect();
        Self { config, run, core, tables }
    }

    /// The run's configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<RunConfig> {
        &self.config
    }
    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &Digest {
        &self.run
    }
    /// Where the ledger stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.core.head
    }
    /// Time of the newest entry.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.core.at_ms
    }
    /// Milliseconds that count for windows.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.core.clock
    }
    /// What the clock would be if an entry came at `now_ms`.
    #[must_use]
    pub fn clock_at(&self, now_ms: u64) -> u64 {
        let gap = if self.core.head.length == 0 { 0 } else { now_ms.saturating_sub(self.core.at_ms) };
        self.core.clock.saturating_add(gap.min(self.config.tally.beat_ms))
    }
    /// The epoch under way; after the last, the number of epochs.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.core.epoch
    }
    /// Nothing more happens.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.core.finished
    }
    /// The orchestrator signed two histories.
    #[must_use]
    pub fn distrusted(&self) -> bool {
        self.core.distrusted
    }
    /// Miners by slot.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<Uid, Member> {
        &self.core.members
    }
    /// Validators by slot.
    #[must_use]
    pub fn auditors(&self) -> &BTreeMap<Uid, Auditor> {
        &self.core.auditors
    }
    /// The newest routing table.
    #[must_use]
    pub fn table(&self) -> Option<&Arc<Table>> {
        self.tables.last()
    }
    /// A table by its number, while it is known.
    #[must_use]
    pub fn table_of(&self, number: u32) -> Option<&Arc<Table>> {
        self.tables.iter().rev().find(|t| t.number() == number)
    }
    /// The newest base.
    #[must_use]
    pub fn base(&self) -> Option<&Base> {
        self.core.bases.last()
    }
    /// A base by its number, while it is known.
    #[must_use]
    pub fn base_of(&self, number: u32) -> Option<&Base> {
        self.core.bases.iter().find(|b| b.number == number)
    }
    /// The merge under way.
    #[must_use]
    pub fn merging(&self) -> Option<&Plan> {
        self.core.merging.as_ref()
    }
    /// Oldest epoch that is not merged.
    #[must_use]
    pub fn next_merge(&self) -> Epoch {
        self.core.next_merge
    }
    /// Epochs under way, being audited, or merged not long ago.
    #[must_use]
    pub fn epochs(&self) -> &BTreeMap<Epoch, EpochRecord> {
        &self.core.epochs
    }
    /// The newest noted block.
    #[must_use]
    pub fn block(&self) -> Option<Noted> {
        self.core.block
    }
    /// Permits and stake, by slot.
    #[must_use]
    pub fn permits(&self) -> &BTreeMap<Uid, (Account, u64)> {
        &self.core.permits
    }

    /// The account behind a slot.
    #[must_use]
    pub fn account(&self, uid: Uid) -> Option<Account> {
        let member = self.core.members.get(&uid).map(|m| m.account);
        member.or_else(|| self.core.auditors.get(&uid).map(|a| a.account))
    }

    /// The slot of an account that takes part, or took.
    #[must_use]
    pub fn slot(&self, account: &Account) -> Option<Uid> {
        self.core.slots.get(account).copied()
    }

    /// The canonical bytes of everything but the configuration: equal states give equal bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.core.encode()
    }

    /// Its digest: what a snapshot entry names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        super::receipt::named("starling.state.v2", &[&self.bytes()])
    }
}
