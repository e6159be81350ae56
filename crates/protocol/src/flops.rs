//! What a unit of work is worth: its floating-point operations (design D13).
//!
//! Owns the table of a run's costs and nothing of how they come about: a block, a boundary and an optimiser each count their own
//! operations, and the model room adds them up (`starling_model::costs`). Invariant: what a receipt is worth depends on its stage
//! and its kind of work alone, so nobody can claim more for the same work.

use crate::{Stage, receipt::Work};

/// Floating-point operations of each kind of work of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCosts {
    /// One forward pass over one sample; a backward costs twice that.
    pub forward: u64,
    /// One optimiser step.
    pub step: u64,
    /// One shard of the stage's merge.
    pub merge: u64,
}

/// Costs of all stages of a run, first stage first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(pub Vec<StageCosts>);

impl Costs {
    /// Operations of a unit of work; 0 for a stage that the run does not have.
    #[must_use]
    pub fn of(&self, stage: Stage, work: &Work) -> u64 {
        let costs = self.0.get(usize::from(stage)).copied().unwrap_or_default();
        match work {
            Work::Forward { .. } => costs.forward,
            Work::Backward { .. } => costs.forward.saturating_mul(2),
            Work::Step { .. } => costs.step,
            Work::Merge { .. } => costs.merge,
        }
    }
}
