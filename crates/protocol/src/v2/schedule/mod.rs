//! What a miner does next: pure decisions that the real miner and the simulated one run alike.
//!
//! Owns [`Scheduler`] (lanes, inputs, gradients, give-ups), [`Outbox`] (credit, detours, hold-offs), [`Credit`] (what upstream peers may push) and
//! [`choose`] (samples per step and lanes). Time comes in as milliseconds of any clock that runs forward.
//!
//! Invariants: a lane's forwards and backwards of one step use one version (unless the run allows staleness), and a step sums what the lane
//! took, no more than `samples_per_step`; nothing here waits for ledger, chain or disk; what is kept is bounded by lanes · samples per
//! step and by credit. Async.md 1.9 and 9 (lanes, carry) are what this follows.

mod credit;
mod lane;
mod outbox;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub use credit::Credit;
pub use lane::{Choice, Lane, Memory, choose};
pub use outbox::{Outbox, Outgoing};

use super::{
    code::PushCode,
    config::{Carry, RunConfig},
    sample::Sample,
    table::Table,
    tally::Counts,
};
use crate::{Epoch, Stage, Uid};

/// Resolved samples that are remembered.
pub const SEEN_KEPT: usize = 4_096;
/// Loop times that the median is taken of.
const LOOPS_KEPT: usize = 32;

/// One thing to do. The miner does one at a time and answers with [`Scheduler::done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Sum the lane's gradients and step.
    Step {
        /// Which lane.
        lane: u8,
    },
    /// Commit to the lane's weights: it is done with the epoch.
    Close {
        /// Which lane.
        lane: u8,
        /// The epoch.
        epoch: Epoch,
    },
    /// Add a merged base's difference to the lane.
    Carry {
        /// Which lane.
        lane: u8,
        /// Number of the base.
        base: u32,
    },
    /// The lane missed an epoch's end: begin again with the newest base, in the epoch under way.
    Restart {
        /// Which lane.
        lane: u8,
        /// Number of the base.
        base: u32,
    },
    /// Backward of a sample whose gradient is there.
    Backward {
        /// Which sample.
        sample: Sample,
        /// The lane that did its forward.
        lane: u8,
    },
    /// Forward of a sample that was pushed, or of an own turn at stage 0.
    Forward {
        /// Which sample.
        sample: Sample,
        /// The lane.
        lane: u8,
    },
}

/// A sample that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which.
    pub sample: Sample,
    /// Whom its input came from: to be told.
    pub from: Option<Uid>,
    /// Who took its output, as far as is known.
    pub to: Option<Uid>,
}

/// A sample that a lane took and that is not resolved.
#[derive(Clone, Copy, Debug)]
struct Open {
    lane: u8,
    /// The lane's steps in all when it took it.
    taken_at: u64,
    from: Option<Uid>,
    to: Option<Uid>,
    forwarded: bool,
    gradient: bool,
    /// When its forward was done: from then the loop is measured.
    since: u64,
}

/// Decides what one miner does next.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Arc<RunConfig>,
    uid: Uid,
    stage: Stage,
    last: bool,
    lanes: Vec<Lane>,
    per_step: u32,
    inputs: VecDeque<(Sample, Uid)>,
    gradients: VecDeque<Sample>,
    open: BTreeMap<Sample, Open>,
    /// In order of `since`: what is given up when it gets too old.
    waiting: VecDeque<(u64, Sample)>,
    /// Samples that were resolved not long ago, and whether with a gradient: they are not taken a second time.
    seen: BTreeMap<Sample, bool>,
    seen_order: VecDeque<Sample>,
    turn: u32,
    table: Option<Arc<Table>>,
    next_table: Option<(u64, Arc<Table>)>,
    loops: VecDeque<u64>,
    /// Rounds of giving up since a gradient came: patience doubles, or a loop longer than the floor would never be measured.
    losses: u32,
    expected: u64,
    epoch: Epoch,
    /// Clock by which lanes of an ended epoch close with what they have.
    hurry: Option<u64>,
    base: u32,
    closed: Epoch,
    counts: Counts,
}

impl Scheduler {
    /// Of a miner that is ready at `stage` with base `base`, in ledger epoch `epoch`. `counts` are its totals so far: after a crash, those of
    /// its newest durable tally, with `turns` beyond whatever it may have used.
    #[must_use]
    pub fn new(
        config: Arc<RunConfig>,
        uid: Uid,
        stage: Stage,
        choice: Choice,
        epoch: Epoch,
        base: u32,
        counts: Counts,
    ) -> Self {
        let last = stage + 1 >= config.stages();
        Self {
            uid,
            stage,
            last,
            lanes: (0..choice.lanes).map(|_| Lane::new(epoch)).collect(),
            per_step: choice.samples_per_step,
            inputs: VecDeque::new(),
            gradients: VecDeque::new(),
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            seen: BTreeMap::new(),
            seen_order: VecDeque::new(),
            turn: u32::try_from(counts.turns).unwrap_or(u32::MAX),
            table: None,
            next_table: None,
            loops: VecDeque::new(),
            losses: 0,
            expected: 0,
            epoch,
            hurry: None,
            base,
            closed: epoch,
            counts,
            config,
        }
    }

    /// A new table was read from the ledger. A head uses it a little later, so that the others have read it too.
    pub fn table(&mut self, table: Arc<Table>, now: u64) {
        if self.table.is_none() {
            self.table = Some(table);
        } else {
            self.next_table = Some((now.saturating_add(self.config.tables.settle_ms), table));
        }
    }

    /// The ledger ended the epochs before `epoch`.
    pub fn ledger_epoch(&mut self, epoch: Epoch, now: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.hurry = Some(now.saturating_add(self.config.epoch.close_ms / 2));
        }
    }

    /// The ledger planned the merge of `epoch`: lanes that have not closed it are too late.
    pub fn planned(&mut self, epoch: Epoch) {
        for lane in &mut self.lanes {
            if lane.epoch <= epoch {
                lane.restart = true;
            }
        }
        if self.closed <= epoch {
            self.closed = epoch + 1;
        }
    }

    /// A merge is over: its base is to be carried. `epoch` is the one that was merged, none for a correction.
    pub fn merged(&mut self, base: u32, epoch: Option<Epoch>) {
        self.base = base;
        for lane in &mut self.lanes {
            // A lane that missed the epoch's end starts again from this base and has nothing to carry.
            if !lane.restart {
                lane.carry.push_back((base, epoch));
            }
        }
    }

    /// May this input come in? Pathway and signature are the caller's to check. `Taken` means that it will be computed.
    pub fn input(&mut self, sample: Sample, from: Uid) -> PushCode {
        if self.open.contains_key(&sample) || self.inputs.iter().any(|(s, _)| *s == sample) {
            return PushCode::Duplicate;
        }
        if let Some(done) = self.seen.get(&sample) {
            return if *done { PushCode::Duplicate } else { PushCode::Stale };
        }
        if self.epoch >= self.config.training.epochs {
            return PushCode::Closing;
        }
        self.inputs.push_back((sample, from));
        PushCode::Taken
    }

    /// The sender took a detour. Answers whether the input had not begun.
    pub fn cancel(&mut self, sample: Sample) -> bool {
        let before = self.inputs.len();
        self.inputs.retain(|(s, _)| *s != sample);
        self.inputs.len() < before
    }

    /// A gradient came for a sample.
    pub fn gradient(&mut self, sample: Sample, now: u64) -> PushCode {
        let Some(open) = self.open.get_mut(&sample) else { return PushCode::Stale };
        if open.gradient || !open.forwarded {
            return PushCode::Duplicate;
        }
        open.gradient = true;
        self.losses = 0;
        let loop_ms = now.saturating_sub(open.since);
        self.gradients.push_back(sample);
        if self.loops.len() >= LOOPS_KEPT {
            self.loops.pop_front();
        }
        self.loops.push_back(loop_ms);
        PushCode::Taken
    }

    /// No gradient will come for a sample: the last stage dropped it, with a receipt.
    pub fn dropped(&mut self, sample: Sample) -> bool {
        let known = self.open.get(&sample).is_some_and(|o| o.forwarded && !o.gradient);
        if known {
            self.resolve(&sample, false);
            self.counts.dropped += 1;
        }
        known
    }

    /// Median of the last loops, milliseconds: from the end of a forward to its gradient.
    #[must_use]
    pub fn loop_ms(&self) -> Option<u64> {
        let mut all: Vec<u64> = self.loops.iter().copied().collect();
        let middle = all.len() / 2;
        (!all.is_empty()).then(|| *all.select_nth_unstable(middle).1)
    }

    /// What a loop should take, until one is measured: own time and links, times the stages that follow.
    pub fn expect_loop(&mut self, ms: u64) {
        self.expected = ms;
    }

    fn patience(&self) -> u64 {
        let patience = self.loop_ms().unwrap_or(self.expected).saturating_mul(3).max(self.floor());
        patience.saturating_mul(1 << self.losses.min(6))
    }

    /// Nearer to the last stage less: who is next to a culprit gives up first, and the others hear of it.
    fn floor(&self) -> u64 {
        let (stages, stage) = (u64::from(self.config.stages()), u64::from(self.stage));
        let share = self.config.lanes.loop_floor_ms.saturating_mul(stages.saturating_sub(stage)) / stages.max(1);
        share.max(self.config.lanes.detour_ms.saturating_mul(2))
    }

    /// A sample's output was taken by this peer.
    pub fn pushed(&mut self, sample: &Sample, to: Uid) {
        if let Some(open) = self.open.get_mut(sample) {
            open.to = Some(to);
        }
    }

    /// A peer further on gave the sample up: its place is free again. Whoever it came from is to be told.
    pub fn lost(&mut self, sample: Sample) -> Option<Given> {
        let open = self.open.get(&sample).filter(|o| o.forwarded && !o.gradient)?;
        let given = Given { sample, from: open.from, to: open.to };
        self.resolve(&sample, false);
        Some(given)
    }

    /// The connection to a peer is lost, or the ledger says that it is gone: no gradient will come from it.
    pub fn gone(&mut self, peer: Uid) -> Vec<Given> {
        let there: Vec<Sample> = self.open.iter().filter(|(_, o)| o.to == Some(peer)).map(|(s, _)| *s).collect();
        there.into_iter().filter_map(|sample| self.lost(sample)).collect()
    }

    /// Samples that are given up now: their places are free again.
    pub fn overdue(&mut self, now: u64) -> Vec<Given> {
        if self.waiting.front().is_none_or(|(since, _)| now.saturating_sub(*since) < self.floor()) {
            return Vec::new();
        }
        let patience = self.patience();
        let mut lost = Vec::new();
        while let Some((since, sample)) = self.waiting.front().copied()
            && now.saturating_sub(since) >= patience
        {
            self.waiting.pop_front();
            if self.open.get(&sample).is_some_and(|o| o.since == since) {
                lost.extend(self.lost(sample));
            }
        }
        if !lost.is_empty() {
            self.losses = self.losses.saturating_add(1);
        }
        lost
    }

    /// When [`Scheduler::overdue`] may next find something.
    #[must_use]
    pub fn next_overdue(&self) -> Option<u64> {
        self.waiting.front().map(|(since, _)| since.saturating_add(self.patience()))
    }

    fn resolve(&mut self, sample: &Sample, summed: bool) {
        if let Some(open) = self.open.remove(sample)
            && let Some(lane) = self.lanes.get_mut(usize::from(open.lane))
        {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            if summed {
                lane.summed.push(*sample);
            }
            self.remember(*sample, summed);
        }
    }

    /// A sample is not to be taken again. After a restart: for those in the tail of the log ([`SEEN_KEPT`] of them).
    pub fn remember(&mut self, sample: Sample, done: bool) {
        if self.seen.insert(sample, done).is_none() {
            self.seen_order.push_back(sample);
            if self.seen_order.len() > SEEN_KEPT
                && let Some(oldest) = self.seen_order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
    }

    /// The next thing to do. `outbox` is how many outputs wait to be pushed: a head with a full outbox starts no turn.
    pub fn next(&mut self, now: u64, outbox: usize) -> Option<Task> {
        if self.next_table.as_ref().is_some_and(|(from, _)| now >= *from) {
            self.table = self.next_table.take().map(|(_, table)| table);
        }
        self.lane_task(now).or_else(|| self.backward()).or_else(|| self.forward()).or_else(|| self.own_turn(outbox))
    }

    fn lane_task(&mut self, now: u64) -> Option<Task> {
        let stale = self.config.lanes.max_stale;
        let hurry = self.hurry.is_some_and(|by| now >= by);
        for (index, lane) in (0u8..).zip(&mut self.lanes) {
            lane.hurry = hurry && lane.epoch < self.epoch;
            if lane.due(self.per_step, stale) {
                return Some(Task::Step { lane: index });
            }
            if !lane.at_boundary(stale) {
                continue;
            }
            if lane.restart {
                // The base of the epoch that it missed comes with `merged`; until then it starts from the newest there is.
                return Some(Task::Restart { lane: index, base: self.base });
            }
            let whole = lane.step >= self.config.lanes.steps_per_epoch && self.epoch >= lane.epoch;
            if lane.epoch < self.config.training.epochs && (whole || self.epoch > lane.epoch) {
                return Some(Task::Close { lane: index, epoch: lane.epoch });
            }
            if let Some((base, _)) = lane.carry.front() {
                return Some(Task::Carry { lane: index, base: *base });
            }
        }
        None
    }

    fn backward(&mut self) -> Option<Task> {
        let stale = u64::from(self.config.lanes.max_stale);
        while let Some(sample) = self.gradients.pop_front() {
            let Some(open) = self.open.get(&sample).copied() else { continue };
            let Some(lane) = self.lanes.get(usize::from(open.lane)) else { continue };
            // Enforced, not assumed: a gradient from too many steps ago is not summed.
            if lane.steps.saturating_sub(open.taken_at) > stale {
                self.resolve(&sample, false);
                continue;
            }
            return Some(Task::Backward { sample, lane: open.lane });
        }
        None
    }

    /// The fullest lane that still has a place, so that one drains while the others fill; among equals the one with the fewest steps, so that all
    /// come to the epoch's end together.
    fn lane_with_a_place(&self) -> Option<u8> {
        let stale = self.config.lanes.max_stale;
        let open = |lane: &Lane| lane.places(self.per_step, stale, self.config.training.epochs);
        (0u8..)
            .zip(&self.lanes)
            .filter(|(_, l)| open(l) > 0)
            .min_by_key(|(_, l)| (open(l), l.epoch, l.step))
            .map(|(i, _)| i)
    }

    fn forward(&mut self) -> Option<Task> {
        if self.inputs.is_empty() {
            return None;
        }
        let lane = self.lane_with_a_place()?;
        let (sample, from) = self.inputs.pop_front()?;
        self.take(sample, lane, Some(from));
        Some(Task::Forward { sample, lane })
    }

    fn own_turn(&mut self, outbox: usize) -> Option<Task> {
        if self.stage > 0 || outbox >= self.capacity() as usize {
            return None;
        }
        let table = self.table.as_ref()?;
        let sample = Sample { table: table.number(), head: self.uid, turn: self.turn };
        table.place(self.uid, self.turn)?;
        let lane = self.lane_with_a_place()?;
        self.turn = self.turn.checked_add(1)?;
        self.counts.turns = u64::from(self.turn);
        self.take(sample, lane, None);
        Some(Task::Forward { sample, lane })
    }

    fn take(&mut self, sample: Sample, lane: u8, from: Option<Uid>) {
        if let Some(l) = self.lanes.get_mut(usize::from(lane)) {
            l.in_flight += 1;
            let open = Open { lane, taken_at: l.steps, from, to: None, forwarded: false, gradient: false, since: 0 };
            self.open.insert(sample, open);
        }
    }

    /// A task is done. At the last stage a forward brings its own gradient.
    pub fn done(&mut self, task: Task, now: u64) {
        match task {
            Task::Forward { sample, .. } => {
                self.counts.forwards += 1;
                if let Some(open) = self.open.get_mut(&sample) {
                    open.forwarded = true;
                    open.since = now;
                    if self.last {
                        open.gradient = true;
                        self.gradients.push_back(sample);
                    } else {
                        self.waiting.push_back((now, sample));
                    }
                }
            }
            Task::Backward { sample, .. } => {
                self.counts.backwards += 1;
                self.resolve(&sample, true);
            }
            Task::Step { lane } => {
                self.counts.steps += 1;
                if let Some(l) = self.lanes.get_mut(usize::from(lane)) {
                    l.stepped();
                }
            }
            Task::Close { lane, epoch } => {
                let stalled = self.config.lanes.carry == Carry::Stalled;
                if let Some(l) = self.lanes.get_mut(usize::from(lane)) {
                    l.closed(epoch, stalled);
                }
                self.closed = self.lanes.iter().map(|l| l.epoch).min().unwrap_or(self.closed).max(self.closed);
                if self.lanes.iter().all(|l| l.epoch >= self.epoch) {
                    self.hurry = None;
                }
            }
            Task::Carry { lane, .. } => {
                if let Some(l) = self.lanes.get_mut(usize::from(lane)) {
                    l.carried();
                }
            }
            Task::Restart { lane, .. } => {
                let epoch = self.epoch;
                if let Some(l) = self.lanes.get_mut(usize::from(lane)) {
                    l.restarted(epoch);
                }
            }
        }
    }

    /// Samples that the lane's next step sums, in the order in which their gradients came.
    #[must_use]
    pub fn summed(&self, lane: u8) -> &[Sample] {
        self.lanes.get(usize::from(lane)).map_or(&[], |l| &l.summed)
    }

    /// A push went to another than the pathway's miner.
    pub fn detoured(&mut self) {
        self.counts.detours += 1;
    }
}
