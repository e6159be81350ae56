//! The run's state: a fold over the ledger, the same for orchestrator, miner and validator.
//!
//! ```text
//!            Begun             Closed            AuditOpened          AuditClosed
//! Gathering ───────▶ Training ───────▶ Anchoring ───────────▶ Auditing ──────────▶ Merging
//!     ▲               │  ▲ Round, Step                            │ after the last epoch   │
//!     │               └──┘                                        └────────▶ Finished      │
//!     └──────────────────────────────── Merged ────────────────────────────────────────────┘
//! ```
//!
//! Three verbs, one file each: [`State::apply`] moves the state by one entry and refuses an entry that breaks a rule,
//! [`State::admit`] says whether a peer's message may become an entry, [`State::decide`] says which entry the rules demand
//! next. Invariant: everything the orchestrator decides is recomputed by `apply`, so a follower notices any favour.
//! An epoch's segment of receipts runs from one anchor to the next: first the merge that made its weights, then training.

mod admit;
mod apply;
mod decide;
mod follow;
mod members;
mod receipts;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

pub use admit::Refusal;
pub use apply::Broken;
pub use follow::Distrust;
use starling_keys::Account;

use crate::{
    Digest, Epoch, Round, Stage, Uid,
    config::RunConfig,
    ledger::{Head, MergedShard, StageMerge, StageWeights},
    message::Verdict,
    receipt::Receipt,
    signed::Signed,
};

/// Attempts at a sample that a complaint can end; after these only the clock does, so that nobody can keep a sample moving
/// for ever by complaining about whoever gets it.
pub const MAX_COMPLAINED: u16 = 8;
/// Verdicts of one validator on one epoch at most.
pub const MAX_EPOCH_VERDICTS: usize = 4 * crate::message::MAX_VERDICTS;

/// Where the run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for miners that hold the epoch's first weights.
    Gathering,
    /// Forward, backward, step.
    Training,
    /// Miners write the heads of their chains to the blockchain.
    Anchoring {
        /// Chain block seen when training closed.
        block: u32,
    },
    /// Validators re-execute what the beacon drew.
    Auditing {
        /// Chain block seen when the audit opened.
        block: u32,
    },
    /// Pairs of miners average shards.
    Merging,
    /// Nothing more happens.
    Finished,
}

impl Phase {
    /// One word for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Training => "training",
            Self::Anchoring { .. } => "anchoring",
            Self::Auditing { .. } => "auditing",
            Self::Merging => "merging",
            Self::Finished => "finished",
        }
    }
}

/// A miner as the ledger knows it. Survives its restarts.
#[derive(Clone, Debug)]
pub struct Member {
    /// Slot on the subnet.
    pub uid: Uid,
    /// Where it computes, for the whole run.
    pub stage: Stage,
    /// Encoded network address.
    pub address: Vec<u8>,
    /// Time of its newest join.
    pub joined_ms: u64,
    /// Not fallen silent.
    pub live: bool,
    /// Works in the current epoch.
    pub enlisted: bool,
    /// First epoch in which it may work again after a failed audit.
    pub benched_until: Epoch,
    /// The first weights it says to hold, and of which epoch.
    pub ready: Option<(Epoch, StageWeights)>,
    /// Weights it computes with now.
    pub weights: Option<Digest>,
    /// Its optimiser state after its newest step; none before the first.
    pub optimiser: Option<Digest>,
    /// Receipts in its chain.
    pub count: u64,
    /// Link of the newest.
    pub link: Digest,
    /// Steps taken in the current epoch.
    pub steps: u32,
    /// Its anchor of the current epoch.
    pub anchor: Option<Anchored>,
}

/// An anchor as seen on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Block that holds it.
    pub block: u32,
    /// Receipts in the chain.
    pub count: u64,
    /// Link of the last.
    pub head: Digest,
    /// It is the head of the chain in this ledger.
    pub matches: bool,
}

/// A validator that takes part.
#[derive(Clone, Debug)]
pub struct Auditor {
    /// Slot on the subnet.
    pub uid: Uid,
    /// Encoded network address.
    pub address: Vec<u8>,
    /// Time of its newest join.
    pub joined_ms: u64,
    /// Not fallen silent.
    pub live: bool,
    /// Has said everything about the current epoch.
    pub complete: bool,
    /// Verdicts on the current epoch.
    pub verdicts: Vec<Verdict>,
}

/// What the ledger makes of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Assigned, in time, consistent: paid if no audit fails.
    Counted,
    /// Worth nothing (late, not assigned, done before), and no offence.
    Void(&'static str),
    /// Contradicts the ledger: an offence without any re-execution.
    Unsound(&'static str),
}

/// A receipt in the ledger.
#[derive(Clone, Debug)]
pub struct Filed {
    /// The receipt with its signature.
    pub signed: Signed<Receipt>,
    /// Its link in the miner's chain.
    pub link: Digest,
    /// What the ledger makes of it.
    pub standing: Standing,
    /// The optimiser state is the miner's first (must be the zero state); steps only.
    pub first_step: bool,
}

/// One sample of the current round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Which attempt is under way.
    pub attempt: u16,
    /// One miner per stage.
    pub pathway: Vec<Account>,
    /// Per stage: the forward's output, once committed.
    pub outputs: Vec<Option<Digest>>,
    /// Per stage: the forward's input, once committed.
    pub inputs: Vec<Option<Digest>>,
    /// Per stage: the backward is done; with the input gradient where there is one.
    pub gradients: Vec<Option<Option<Digest>>>,
    /// Loss at the last stage, once committed.
    pub loss: Option<f32>,
    /// When something last happened to it.
    pub progressed_ms: u64,
    /// Miners complained about in this attempt, or that left during it.
    pub complaints: BTreeSet<Account>,
}

impl Sample {
    fn new(attempt: u16, pathway: Vec<Account>, at_ms: u64) -> Self {
        let n = pathway.len();
        Self {
            attempt,
            pathway,
            outputs: vec![None; n],
            inputs: vec![None; n],
            gradients: vec![None; n],
            loss: None,
            progressed_ms: at_ms,
            complaints: BTreeSet::new(),
        }
    }

    /// Every stage has done its backward.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.gradients.iter().all(Option::is_some)
    }

    /// The miner whose turn it is.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Account> {
        let forward = self.outputs.iter().position(Option::is_none);
        let backward = self.gradients.iter().rposition(Option::is_none);
        forward.or(backward).and_then(|stage| self.pathway.get(stage).copied())
    }
}

/// The current round.
#[derive(Clone, Debug, Default)]
pub struct Training {
    /// None before the epoch's first round.
    pub round: Option<Round>,
    /// By index in the run.
    pub samples: BTreeMap<u32, Sample>,
    /// Once ordered: per miner, what its step sums.
    pub steps: Option<BTreeMap<Account, Vec<(u32, u16)>>>,
    /// Who has stepped.
    pub stepped: BTreeSet<Account>,
    /// When the step was ordered.
    pub ordered_ms: u64,
}

/// The merge under way.
#[derive(Clone, Debug, Default)]
pub struct Merging {
    /// Per stage.
    pub stages: Vec<StageMerge>,
    /// Per stage and shard, what each reducer committed to.
    pub outputs: Vec<Vec<BTreeMap<Uid, Digest>>>,
    /// When it was planned.
    pub planned_ms: u64,
}

/// Mean loss of a round, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundLoss {
    /// Epoch.
    pub epoch: Epoch,
    /// Round.
    pub round: Round,
    /// Mean over the round's samples, nats per token.
    pub loss: f32,
    /// When the round's last sample was done.
    pub at_ms: u64,
}

/// Everything about an epoch whose audit is closed.
#[derive(Clone, Debug)]
pub struct ClosedEpoch {
    /// Which.
    pub epoch: Epoch,
    /// Per miner its receipts of that epoch.
    pub filed: BTreeMap<Account, Vec<Filed>>,
    /// Per validator its verdicts.
    pub verdicts: BTreeMap<Account, Vec<Verdict>>,
    /// The plan of the merge that made the epoch's weights, where there was one.
    pub merge: Option<Merging>,
    /// Benched by this audit.
    pub benched: Vec<Account>,
}

/// The fold. See the module's diagram.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) config: RunConfig,
    pub(crate) run: Digest,
    pub(crate) head: Head,
    pub(crate) at_ms: u64,
    pub(crate) epoch: Epoch,
    pub(crate) phase: Phase,
    pub(crate) phase_since_ms: u64,
    pub(crate) newest_join_ms: u64,
    pub(crate) members: BTreeMap<Account, Member>,
    pub(crate) auditors: BTreeMap<Account, Auditor>,
    pub(crate) base: Vec<StageWeights>,
    pub(crate) training: Training,
    pub(crate) merging: Option<Merging>,
    /// Result of the newest merge, for those who assemble.
    pub(crate) merged: Option<Vec<Vec<Option<MergedShard>>>>,
    pub(crate) previous_base: Vec<StageWeights>,
    pub(crate) filed: BTreeMap<Account, Vec<Filed>>,
    pub(crate) losses: Vec<RoundLoss>,
    pub(crate) closed: Option<ClosedEpoch>,
}

impl State {
    /// The state before the first entry.
    #[must_use]
    pub fn new(config: RunConfig) -> Self {
        let run = config.id();
        Self {
            run,
            head: Head::empty(run),
            config,
            at_ms: 0,
            epoch: 0,
            phase: Phase::Gathering,
            phase_since_ms: 0,
            newest_join_ms: 0,
            members: BTreeMap::new(),
            auditors: BTreeMap::new(),
            base: Vec::new(),
            training: Training::default(),
            merging: None,
            merged: None,
            previous_base: Vec::new(),
            filed: BTreeMap::new(),
            losses: Vec::new(),
            closed: None,
        }
    }

    /// The run's configuration.
    #[must_use]
    pub fn config(&self) -> &RunConfig {
        &self.config
    }
    /// The run's id.
    #[must_use]
    pub fn run(&self) -> Digest {
        self.run
    }
    /// Where the ledger stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }
    /// Time of the newest entry.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }
    /// Epoch under way (in `Gathering` and `Merging`: the one about to begin).
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
    /// Phase under way.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }
    /// Miners by account.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<Account, Member> {
        &self.members
    }
    /// Validators by account.
    #[must_use]
    pub fn auditors(&self) -> &BTreeMap<Account, Auditor> {
        &self.auditors
    }
    /// Per stage, the weights with which the epoch under way began; empty before the first.
    #[must_use]
    pub fn base(&self) -> &[StageWeights] {
        &self.base
    }
    /// Per stage, the weights with which the epoch before began.
    #[must_use]
    pub fn previous_base(&self) -> &[StageWeights] {
        &self.previous_base
    }
    /// The current round.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }
    /// The newest merge's plan and what was delivered.
    #[must_use]
    pub fn merging(&self) -> Option<&Merging> {
        self.merging.as_ref()
    }
    /// The newest merge's result.
    #[must_use]
    pub fn merged(&self) -> Option<&[Vec<Option<MergedShard>>]> {
        self.merged.as_deref()
    }
    /// Receipts of the segment under way.
    #[must_use]
    pub fn filed(&self) -> &BTreeMap<Account, Vec<Filed>> {
        &self.filed
    }
    /// Mean losses so far.
    #[must_use]
    pub fn losses(&self) -> &[RoundLoss] {
        &self.losses
    }
    /// The newest epoch whose audit closed.
    #[must_use]
    pub fn closed(&self) -> Option<&ClosedEpoch> {
        self.closed.as_ref()
    }
    /// The account behind a slot, if it takes part as a miner; a live one before one that left.
    #[must_use]
    pub fn miner(&self, uid: Uid) -> Option<(&Account, &Member)> {
        // Slots are reused on chain: one that left may have held it before.
        let holders = || self.members.iter().filter(|(_, m)| m.uid == uid);
        holders().find(|(_, m)| m.live).or_else(|| holders().next())
    }
    /// True in the segment that only anchors and audits the last merge.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.epoch >= self.config.training.epochs
    }

    /// Per stage, uids that work in this epoch and are live, ascending.
    #[must_use]
    pub fn working(&self) -> Vec<Vec<Uid>> {
        let mut stages = vec![Vec::new(); usize::from(self.config.stages())];
        for member in self.members.values().filter(|m| m.live && m.enlisted) {
            if let Some(stage) = stages.get_mut(usize::from(member.stage)) {
                stage.push(member.uid);
            }
        }
        for stage in &mut stages {
            stage.sort_unstable();
        }
        stages
    }

    pub(crate) fn benched(&self, member: &Member) -> bool {
        self.epoch < member.benched_until
    }

    pub(crate) fn audit_deadline(&self, opened: u32) -> u32 {
        opened.saturating_add(self.config.audit.beacon_delay_blocks).saturating_add(self.config.audit.window_blocks)
    }
}
