//! One lane: a replica that is synchronous in itself; and how many lanes of how many samples a miner runs.

use std::collections::VecDeque;

use crate::{
    Epoch,
    v2::{config::LanesConfig, receipt::LaneStep, sample::Sample},
};

/// One of a miner's replicas.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its epoch: at most one ahead of the ledger's.
    pub epoch: Epoch,
    /// Steps in this epoch.
    pub step: LaneStep,
    /// Steps in all.
    pub steps: u64,
    pub(super) in_flight: u32,
    pub(super) summed: Vec<Sample>,
    pub(super) carry: VecDeque<(u32, Option<Epoch>)>,
    /// Waits for the base of this epoch (stalled runs only).
    pub(super) waits_for: Option<Epoch>,
    pub(super) restart: bool,
    pub(super) hurry: bool,
}

impl Lane {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            step: 0,
            steps: 0,
            in_flight: 0,
            summed: Vec::new(),
            carry: VecDeque::new(),
            waits_for: None,
            restart: false,
            hurry: false,
        }
    }

    /// Forwards that it may still take.
    pub(super) fn places(&self, per_step: u32, stale: u32, epochs: Epoch) -> u32 {
        if self.hurry || self.restart || self.waits_for.is_some() || self.epoch >= epochs {
            return 0;
        }
        per_step
            .saturating_mul(stale.saturating_add(1))
            .saturating_sub(self.in_flight)
            .saturating_sub(self.summed.len() as u32)
    }

    /// It has what its step needs; or it must close, nothing more comes, and it has something.
    pub(super) fn due(&self, per_step: u32, _stale: u32) -> bool {
        let full = self.summed.len() as u32 >= per_step;
        full || (self.hurry || self.restart) && self.in_flight == 0 && !self.summed.is_empty()
    }

    /// Between two steps.
    pub(super) fn at_boundary(&self, stale: u32) -> bool {
        self.summed.is_empty() && (stale > 0 || self.in_flight == 0)
    }

    pub(super) fn stepped(&mut self) {
        self.summed.clear();
        self.step = self.step.saturating_add(1);
        self.steps = self.steps.saturating_add(1);
    }

    pub(super) fn closed(&mut self, epoch: Epoch, stalled: bool) {
        self.epoch = epoch.saturating_add(1);
        self.step = 0;
        self.hurry = false;
        self.waits_for = stalled.then_some(epoch);
    }

    pub(super) fn carried(&mut self) {
        if let Some((_, epoch)) = self.carry.pop_front()
            && self.waits_for == epoch
        {
            self.waits_for = None;
        }
    }

    pub(super) fn restarted(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.step = 0;
        self.carry.clear();
        self.waits_for = None;
        self.restart = false;
        self.hurry = false;
    }
}

/// What a miner chose within the run's bounds; said in its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Backwards that a step sums.
    pub samples_per_step: u32,
    /// Replicas.
    pub lanes: u8,
}

/// What memory allows.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that lanes may take.
    pub free: u64,
    /// Bytes of one lane: weights, moments, accumulators.
    pub lane: u64,
    /// Bytes kept for one sample in flight.
    pub sample: u64,
}

/// Samples per step and lanes for a loop of `loop_ms` and `sample_ms` of own computing per sample.
///
/// K = loop / own time samples must be in flight to hide the loop. One lane of a samples keeps a machine busy for a / (a + K) of the time, n lanes
/// for n·a / (a + K). So first a = K within bounds, then n = 1.5 · (a + K) / a lanes: half as much again, because samples of several heads queue
/// at one miner (in virtual time 1.25 gave 0.93 of the machines' time, 1.5 gave 0.95 and more). Unknown times count as
/// K = the largest a.
#[must_use]
pub fn choose(bounds: &LanesConfig, memory: Memory, loop_ms: Option<u64>, sample_ms: Option<u64>) -> Choice {
    let (least, most) = bounds.samples_per_step;
    let depth = match (loop_ms, sample_ms) {
        (Some(l), Some(s)) if s > 0 => l.div_ceil(s).max(1),
        _ => u64::from(most),
    };
    let per_step = depth.clamp(u64::from(least), u64::from(most.max(least)));
    let wanted = (3 * (per_step + depth)).div_ceil(2 * per_step);
    let one = memory.lane.saturating_add(memory.sample.saturating_mul(per_step)).max(1);
    let fit = (memory.free / one).max(1);
    let (fewest, mosts) = (u64::from(bounds.lanes.0), u64::from(bounds.lanes.1));
    let lanes = wanted.min(fit).clamp(fewest, mosts.max(fewest));
    Choice {
        samples_per_step: u32::try_from(per_step).unwrap_or(most),
        lanes: u8::try_from(lanes).unwrap_or(bounds.lanes.1),
    }
}
