//! One lane on the device: weights, optimiser state, the sum of the step under way, and the weights' name.
//!
//! Invariant: the name follows from base and receipts as [`starling_protocol::v2::receipt`] says, and names the weights that the next pass
//! uses. The learning rate of a step is that of its position in the run's schedule, not of anybody's count.

use std::collections::VecDeque;

use starling_commitment::Canonical;
use starling_model::{Gradient, ModelError, OptimiserState, Stage, Weights, optimiser::learning_rate};
use starling_protocol::{
    Digest, Epoch,
    v2::{
        config::RunConfig,
        receipt::{At, Content, first_version, next_version},
    },
};

/// The weights that an epoch begins with, for one stage.
#[derive(Clone, Debug)]
pub struct Base {
    /// Counts bases from 0.
    pub number: u32,
    /// Its root, by which versions are named.
    pub root: Digest,
    /// Flat f32 `[P]`.
    pub weights: Canonical,
    /// Averaged optimiser state; none before the first merge.
    pub optimiser: Option<Canonical>,
}

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) weights: Weights,
    state: OptimiserState,
    pub(super) sum: Gradient,
    pub(super) at: At,
    /// What it committed to at the end of epochs whose base has not come yet.
    committed: VecDeque<Canonical>,
}

impl Replica {
    pub(super) fn begin(
        stage: &Stage,
        run: &RunConfig,
        lane: u8,
        epoch: Epoch,
        base: &Base,
    ) -> Result<Self, ModelError> {
        let hyper = &run.training.optimiser;
        let state = match &base.optimiser {
            Some(state) => stage.load_state(state, hyper)?,
            None => stage.first_state(hyper)?,
        };
        Ok(Self {
            weights: stage.load(&base.weights)?,
            state,
            sum: stage.no_gradient()?,
            at: At { lane, epoch, step: 0, version: first_version(lane, &base.root) },
            committed: VecDeque::new(),
        })
    }

    /// Change the weights; the name changes with the receipt ([`Replica::stepped`]).
    pub(super) fn step(&mut self, stage: &Stage, run: &RunConfig) -> Result<(), ModelError> {
        let hyper = &run.training.optimiser;
        let place = run.schedule_step(self.at.epoch, self.at.step).saturating_add(1);
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let rate = learning_rate(hyper, clamp(place), clamp(run.total_steps()));
        stage.step_at(&mut self.weights, &mut self.state, &self.sum, hyper, rate)?;
        self.sum.clear()
    }

    pub(super) fn stepped(&mut self, link: &Digest) {
        self.at.step = self.at.step.saturating_add(1);
        self.renamed(link);
    }

    pub(super) fn renamed(&mut self, link: &Digest) {
        self.at.version = next_version(&self.at.version, link);
    }

    /// Digests of weights and optimiser state, and the weights' bytes.
    pub(super) fn content(&self, stage: &Stage) -> Result<(Content, Canonical), ModelError> {
        let (weights, state) = (self.weights.to_canonical(stage)?, self.state.to_canonical(stage)?);
        Ok((Content { weights: weights.digest(), optimiser: state.digest() }, weights))
    }

    pub(super) fn closed(&mut self, committed: Canonical) {
        self.committed.push_back(committed);
        self.at.epoch = self.at.epoch.saturating_add(1);
        self.at.step = 0;
    }

    /// Add what a base has more than what was committed. Gives the digest of what was committed.
    pub(super) fn carry(&mut self, stage: &Stage, base: &Base) -> Result<Digest, ModelError> {
        let missing = ModelError::Misuse("a lane carries a base only for an epoch that it closed");
        let committed = self.committed.pop_front().ok_or(missing)?;
        stage.add_difference(&mut self.weights, &base.weights, &committed)?;
        Ok(committed.digest())
    }
}
