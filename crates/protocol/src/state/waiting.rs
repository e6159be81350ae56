//! What the run waits for, in words.

use super::{Phase, State};
use starling_keys::Account;

impl State {
    /// What the run waits for, in a sentence for people.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        match &self.phase {
            Phase::Gathering => {
                let need = self.config.epoch.min_miners_per_stage;
                let mut have = vec![0u16; usize::from(self.config.stages())];
                for m in self.members.values().filter(|m| m.live && !self.benched(m)) {
                    if let (Some(n), Some((epoch, _))) = (have.get_mut(usize::from(m.stage)), m.ready)
                        && epoch == self.epoch
                    {
                        *n += 1;
                    }
                }
                match have.iter().position(|n| *n < need) {
                    Some(s) => {
                        format!("stage {s} has {} of the {need} miners that epoch {} needs", have[s], self.epoch)
                    }
                    None => format!("epoch {} is about to begin; giving others time to come", self.epoch),
                }
            }
            Phase::Training => self.waiting_for_work(),
            Phase::Anchoring { block } => {
                let missing = self.members.iter().find(|(_, m)| m.enlisted && m.live && m.anchor.is_none());
                match missing {
                    Some((who, _)) => {
                        format!(
                            "{} to anchor, until block {}",
                            self.name(who),
                            block.saturating_add(self.config.epoch.anchor_blocks)
                        )
                    }
                    None => "the audit to open".into(),
                }
            }
            Phase::Auditing { block } => {
                let until = self.audit_deadline(*block);
                match self.auditors.values().find(|a| a.live && !a.complete) {
                    Some(a) => format!("validator uid {} to report, until block {until}", a.uid),
                    None => format!("the audit to close, at block {until}"),
                }
            }
            Phase::Merging => "miners to merge their weights".into(),
            Phase::Finished => "nothing: the run is finished".into(),
        }
    }

    fn waiting_for_work(&self) -> String {
        let unfinished = self.training.samples.values().find(|s| !s.complete());
        if let Some(stage) = self.working().iter().position(Vec::is_empty) {
            let idle = if unfinished.is_some() { "samples stand still" } else { "no round can begin" };
            return format!("a miner for stage {stage}: all of its miners are gone, {idle} until one comes (back)");
        }
        if let Some(sample) = unfinished {
            return match sample.waiting_for() {
                Some(who) => format!("{} to compute", self.name(&who)),
                None => "a sample to finish".into(),
            };
        }
        let steps = self.training.steps.iter().flat_map(|steps| steps.keys());
        match steps.into_iter().find(|a| !self.training.stepped.contains(a)) {
            Some(who) => format!("the optimiser step of {}", self.name(who)),
            None => "the next round".into(),
        }
    }

    fn name(&self, who: &Account) -> String {
        match self.members.get(who) {
            Some(m) => format!("miner uid {} (stage {})", m.uid, m.stage),
            None => who.short(),
        }
    }
}
