//! What a receipt is worth when it enters the ledger.
//!
//! Invariant: every receipt that continues its miner's chain is filed; only one that was assigned, in time and consistent with
//! what others committed to moves the run on. A receipt that contradicts the ledger is an offence in itself.

use super::{Filed, Phase, Standing, State, apply::must};
use starling_keys::Account;

use crate::{
    Digest,
    receipt::{Receipt, Work},
    signed::Signed,
};

const LATE: Standing = Standing::Void("late, or replaced by another attempt");

impl State {
    pub(super) fn receipt(&mut self, signed: &Signed<Receipt>) -> Result<(), &'static str> {
        let (receipt, who) = (&signed.body, signed.signer);
        must(receipt.run == self.run, "a receipt names this run")?;
        let m = self.members.get(&who).ok_or("a miner of this run")?;
        must(receipt.sequence == m.count && receipt.previous == m.link, "a receipt continues its miner's chain")?;
        let first_step = m.optimiser.is_none();
        let standing = self.standing(&who, receipt);
        let link = receipt.link(&who);
        if standing == Standing::Counted {
            self.advance(&who, &receipt.work);
        }
        if let Some(m) = self.members.get_mut(&who) {
            m.count += 1;
            m.link = link;
        }
        self.filed.entry(who).or_default().push(Filed { signed: signed.clone(), link, standing, first_step });
        Ok(())
    }

    fn standing(&self, who: &Account, receipt: &Receipt) -> Standing {
        let Some(m) = self.members.get(who) else { return LATE };
        if receipt.stage != m.stage {
            return Standing::Unsound("names a stage that is not the miner's");
        }
        if receipt.epoch != self.epoch {
            return LATE;
        }
        match &receipt.work {
            Work::Forward { .. } | Work::Backward { .. } => self.standing_of_pass(who, m.weights, receipt),
            Work::Step { round, samples, weights_before, optimiser_before, .. } => {
                let t = &self.training;
                if self.phase != Phase::Training || t.round != Some(*round) || !self.works(who) {
                    return LATE;
                }
                let Some(ordered) = t.steps.as_ref().and_then(|s| s.get(who)) else {
                    return Standing::Void("no step was ordered");
                };
                if t.stepped.contains(who) {
                    return Standing::Void("a second step in one round");
                }
                if samples != ordered {
                    return Standing::Unsound("steps with other samples than ordered");
                }
                if m.weights != Some(*weights_before) {
                    return Standing::Unsound("steps from weights that it does not hold");
                }
                if m.optimiser.is_some_and(|o| o != *optimiser_before) {
                    return Standing::Unsound("steps from an optimiser state that it does not hold");
                }
                Standing::Counted
            }
            Work::Merge { shard, .. } => {
                let Some(plan) = self.merging.as_ref().filter(|_| self.phase == Phase::Merging) else { return LATE };
                let stage = usize::from(m.stage);
                let reducers = plan.stages.get(stage).and_then(|s| s.shards.get(usize::from(*shard)));
                let Some(delivered) = plan.outputs.get(stage).and_then(|s| s.get(usize::from(*shard))) else {
                    return Standing::Unsound("merges a shard that is not in the plan");
                };
                if !reducers.is_some_and(|r| r.contains(&m.uid)) {
                    return Standing::Void("merges a shard of others");
                }
                if delivered.contains_key(&m.uid) { Standing::Void("merges a shard twice") } else { Standing::Counted }
            }
        }
    }

    fn standing_of_pass(&self, who: &Account, held: Option<Digest>, receipt: &Receipt) -> Standing {
        let (Work::Forward { round, sample, attempt, weights, input, .. }
        | Work::Backward { round, sample, attempt, weights, input, .. }) = &receipt.work
        else {
            return LATE;
        };
        let t = &self.training;
        let current = t.samples.get(sample).filter(|s| s.attempt == *attempt);
        let (Phase::Training, Some(s), true) = (&self.phase, current, t.round == Some(*round) && self.works(who))
        else {
            return LATE;
        };
        let stage = usize::from(receipt.stage);
        if s.pathway.get(stage) != Some(who) {
            return Standing::Void("not assigned");
        }
        if held != Some(*weights) {
            return Standing::Unsound("computes with weights that it does not hold");
        }
        let last = stage + 1 == s.pathway.len();
        let slot = |of: &[Option<Digest>], i: usize| of.get(i).copied().flatten();
        match &receipt.work {
            Work::Forward { loss, .. } => {
                if slot(&s.outputs, stage).is_some() {
                    return Standing::Void("done before");
                }
                // Stage 0 reads tokens, which the ledger does not hold: the audit compares those with the data.
                if stage > 0 && slot(&s.outputs, stage - 1) != Some(*input) {
                    return Standing::Unsound("takes an input that the stage before did not commit to");
                }
                if loss.is_some() != last {
                    return Standing::Unsound("a loss belongs to the last stage, and only there");
                }
                Standing::Counted
            }
            Work::Backward { output_gradient, input_gradient, .. } => {
                if s.gradients.get(stage).is_some_and(Option::is_some) {
                    return Standing::Void("done before");
                }
                if slot(&s.inputs, stage) != Some(*input) {
                    return Standing::Unsound("goes back through another input than it went forward");
                }
                let given = if last { None } else { s.gradients.get(stage + 1).copied().flatten().flatten() };
                if last != output_gradient.is_none() || given != *output_gradient {
                    return Standing::Unsound("takes a gradient that the next stage did not commit to");
                }
                if (stage == 0) != input_gradient.is_none() {
                    return Standing::Unsound("stage 0 has no input gradient, and every other stage has one");
                }
                Standing::Counted
            }
            Work::Step { .. } | Work::Merge { .. } => LATE,
        }
    }

    /// Only for receipts that count.
    fn advance(&mut self, who: &Account, work: &Work) {
        let now = self.at_ms;
        let Some(m) = self.members.get_mut(who) else { return };
        let stage = usize::from(m.stage);
        match work {
            Work::Forward { sample, input, output, loss, .. } => {
                if let Some(s) = self.training.samples.get_mut(sample) {
                    s.progressed_ms = now;
                    if let (Some(i), Some(o)) = (s.inputs.get_mut(stage), s.outputs.get_mut(stage)) {
                        (*i, *o) = (Some(*input), Some(*output));
                    }
                    if let Some(bits) = loss {
                        s.loss = Some(f32::from_bits(*bits));
                    }
                }
            }
            Work::Backward { sample, input_gradient, .. } => {
                if let Some(s) = self.training.samples.get_mut(sample) {
                    s.progressed_ms = now;
                    if let Some(g) = s.gradients.get_mut(stage) {
                        *g = Some(*input_gradient);
                    }
                }
            }
            Work::Step { weights_after, optimiser_after, .. } => {
                m.weights = Some(*weights_after);
                m.optimiser = Some(*optimiser_after);
                m.steps += 1;
                self.training.stepped.insert(*who);
            }
            Work::Merge { shard, output } => {
                let uid = m.uid;
                if let Some(slot) = self
                    .merging
                    .as_mut()
                    .and_then(|p| p.outputs.get_mut(stage))
                    .and_then(|s| s.get_mut(usize::from(*shard)))
                {
                    slot.insert(uid, *output);
                }
            }
        }
    }
}
