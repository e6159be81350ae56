//! What can be asked of a scheduler, for tallies, receipts and status.

use super::{Lane, Scheduler};
use crate::{
    Epoch, Uid,
    v2::{sample::Sample, tally::Counts},
};

impl Scheduler {
    /// Totals for the next tally.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Time spent computing, for the tally.
    pub fn busy(&mut self, ms: u64) {
        self.counts.busy_ms = self.counts.busy_ms.saturating_add(ms);
    }

    /// Samples that it can work on at once.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.per_step.saturating_mul(self.lanes.len() as u32)
    }

    /// First epoch that not all lanes have closed: the ones before may be closed in a tally.
    #[must_use]
    pub fn closed(&self) -> Epoch {
        self.closed
    }

    /// The lanes, for status and receipts.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Samples taken and not resolved.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// Inputs that wait for a lane.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inputs.len()
    }

    /// The lane that took a sample.
    #[must_use]
    pub fn lane_of(&self, sample: &Sample) -> Option<u8> {
        self.open.get(sample).map(|o| o.lane)
    }

    /// The miner that a sample's input came from.
    #[must_use]
    pub fn source(&self, sample: &Sample) -> Option<Uid> {
        self.open.get(sample).and_then(|o| o.from)
    }
}
