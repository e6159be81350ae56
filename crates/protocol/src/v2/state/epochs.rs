//! Tables, and epochs that overlap: the end of one, the merge of those before.
//!
//! Invariants: epochs are merged in order, one at a time; a base follows from the one before and the agreed shards; whoever did not close in
//! time does not contribute, and nobody waits for it.

use std::sync::Arc;

use super::{
    super::{
        code::Refusal,
        merge::{Base, Plan, Reason, StagePlan},
        message::{MAX_SHARDS, Shards},
        signed::Signed,
        table::{Candidate, Lines, Table},
    },
    BASES_KEPT, EPOCHS_KEPT, State, TABLES_KEPT,
    apply::{Check, must},
};
use crate::{Digest, Epoch, Stage, Uid};

impl State {
    pub(super) fn genesis(&mut self, shards: &[Vec<Digest>]) -> Check {
        must(self.core.head.length == 0, "the first base comes first")?;
        let base = Base { number: 0, stages: shards.to_vec() };
        let whole = shards.len() == usize::from(self.config.stages())
            && shards.iter().all(|s| s.len() == usize::from(self.config.merge.shards));
        must(whole, "every stage has the shards that the configuration says")?;
        let roots = (0..self.config.stages()).map(|s| base.root(s));
        must(roots.eq(self.config.base.iter().map(|r| Some(*r))), "the first base is the one of the run's file")?;
        self.core.bases.push(base);
        Ok(())
    }

    /// A table may be made at this clock.
    pub(super) fn table_allowed(&self, clock: u64) -> bool {
        let c = &self.core;
        let t = &self.config.tables;
        if c.finished {
            return false;
        }
        if c.tables.is_empty() {
            // Nobody is waited for beyond that: whoever comes later is a ghost like any other.
            let least = u32::from(self.config.epoch.min_miners);
            let gathered = c.mustered.is_some_and(|since| clock.saturating_sub(since) >= self.config.epoch.gather_ms);
            return gathered && c.working.iter().all(|n| *n >= least);
        }
        let since = clock.saturating_sub(c.table_clock);
        c.working.iter().all(|n| *n > 0) && since >= t.min_ms && (c.table_due || since >= t.max_ms)
    }

    /// What the next table is made of.
    fn next_lines(&self) -> Option<Lines> {
        let stages = usize::from(self.config.stages());
        let number = self.table().map_or(0, |t| t.number().saturating_add(1));
        let mut roster: Vec<Vec<Candidate>> = vec![Vec::new(); stages];
        // Those who complete nothing are let in only where there is nobody else. They come back by joining again.
        let mut fruitless = roster.clone();
        for (uid, m) in self.core.members.iter().filter(|(_, m)| m.works()) {
            let turns = u32::try_from(m.tally.counts.turns).unwrap_or(u32::MAX);
            let candidate = Candidate { uid: *uid, rate: m.rate, doubted: m.doubted(), turns };
            let kept = !m.shirks() && (!m.barren() || number.is_multiple_of(super::TRIAL));
            let list = if kept { &mut roster } else { &mut fruitless };
            list.get_mut(usize::from(m.stage))?.push(candidate);
        }
        for (list, others) in roster.iter_mut().zip(fruitless) {
            if list.is_empty() {
                *list = others;
            }
        }
        let first = match self.table() {
            None => 0,
            Some(old) => {
                // After the farthest place that anybody tallied.
                let turns = |uid: Uid| {
                    let turns = self.core.members.get(&uid).map_or(0, |m| m.tally.counts.turns);
                    u32::try_from(turns).unwrap_or(u32::MAX)
                };
                let farthest = old.miners(0).filter_map(|uid| old.place(uid, turns(uid))).max().unwrap_or(0);
                old.lines().first.saturating_add(farthest)
            }
        };
        Lines::new(self.config.seed, number, first, &roster)
    }

    pub(super) fn make_table(&mut self) -> Check {
        must(
            self.table_allowed(self.core.clock),
            "tables come when the roster changed or time passed, and not too often",
        )?;
        let lines = self.next_lines().ok_or("every stage has a working miner")?;
        if self.core.tables.is_empty() {
            // Training begins now: the first epoch's time counts from here, and nobody was silent before.
            self.core.epoch_since = self.core.clock;
        }
        let whole = Table::new(self.config.seed, lines.clone());
        self.core.tables.push(lines);
        self.tables.push(Arc::new(whole));
        if self.core.tables.len() > TABLES_KEPT {
            self.core.tables.remove(0);
            self.tables.remove(0);
        }
        self.core.table_clock = self.core.clock;
        self.core.table_due = false;
        self.core.rebalance = false;
        Ok(())
    }

    /// The epoch under way may end at this clock.
    pub(super) fn ending_allowed(&self, clock: u64) -> bool {
        let c = &self.core;
        if c.finished || c.tables.is_empty() || c.epoch >= self.config.training.epochs {
            return false;
        }
        let mut stages = c.closed.iter().zip(&c.working).map(|(closed, n)| *n > 0 && closed * 2 >= *n);
        // A stage that is done with the last epoch takes no more samples, so the others wait in vain for theirs.
        let last = c.epoch + 1 >= self.config.training.epochs;
        let half = if last { stages.any(|done| done) } else { stages.all(|done| done) };
        let overdue = clock.saturating_sub(c.epoch_since) >= self.config.epoch.max_ms;
        (half || overdue) && c.epoch - c.next_merge.min(c.epoch) < self.config.epoch.backlog
    }

    pub(super) fn epoch_ended(&mut self) -> Check {
        must(
            self.ending_allowed(self.core.clock),
            "an epoch ends when half of every stage is done or its time is over, and few epochs await their merge",
        )?;
        self.core.epochs.entry(self.core.epoch).or_default().ended = Some(self.core.clock);
        self.core.epoch += 1;
        self.core.epoch_since = self.core.clock;
        self.core.closed.iter_mut().for_each(|n| *n = 0);
        for m in self.core.members.values_mut() {
            m.complaints = 0;
            if m.works()
                && m.next_close > self.core.epoch
                && let Some(n) = self.core.closed.get_mut(usize::from(m.stage))
            {
                *n += 1;
            }
        }
        let epoch = self.core.epoch;
        for a in self.core.auditors.values_mut() {
            a.words = 0;
        }
        self.core.findings.retain(|_, f| f.epoch.saturating_add(QUIET) >= epoch);
        let known = &self.core.findings;
        self.core.failed_by.retain(|account, _| known.values().any(|f| f.account == *account));
        self.core.rebalance = true;
        self.core.table_due = true;
        Ok(())
    }

    /// The oldest unmerged epoch may be planned at this clock.
    pub(super) fn planning_allowed(&self, clock: u64) -> bool {
        let c = &self.core;
        let epoch = c.next_merge;
        if c.finished || c.merging.is_some() || !c.corrections.is_empty() {
            return false;
        }
        let Some(record) = c.epochs.get(&epoch) else { return false };
        let Some(ended) = record.ended else { return false };
        let all_closed = c.unclosed.first_key_value().is_none_or(|(next, _)| *next > epoch);
        let closed = all_closed || clock.saturating_sub(ended) >= self.config.epoch.close_ms;
        let Some(block) = c.block else { return false };
        if !closed || record.awaiting > 0 {
            return false;
        }
        block.number >= record.beacon.saturating_add(self.config.audit.window_blocks) || self.audited(epoch)
    }

    fn working_contributors(&self, record: &super::EpochRecord, stage: Stage) -> Vec<Uid> {
        let works = |uid: &Uid, c: &super::Contribution| {
            self.core.members.get(uid).is_some_and(|m| m.works() && m.account == c.account && m.stage == stage)
        };
        record
            .contributions
            .iter()
            .filter(|(u, c)| c.stage == stage && !c.barred && works(u, c))
            .map(|(u, _)| *u)
            .collect()
    }

    fn plan_of(&self, epoch: Epoch, reason: Reason) -> Option<Plan> {
        let record = self.core.epochs.get(&epoch)?;
        let beacon = self.core.block?.hash;
        let stages: Vec<StagePlan> = (0..self.config.stages())
            .map(|stage| {
                let wanted = |uid: &Uid, barred: bool| match reason {
                    Reason::Epoch(_) => !barred,
                    // What is left, and what is subtracted.
                    Reason::Correction { uid: fraud, .. } => !barred || *uid == fraud,
                };
                let concerned = match reason {
                    Reason::Epoch(_) => true,
                    Reason::Correction { uid, .. } => record.contributions.get(&uid).is_some_and(|c| c.stage == stage),
                };
                let contributions = record
                    .contributions
                    .iter()
                    .filter(|(u, c)| concerned && c.stage == stage && c.samples > 0 && wanted(u, c.barred))
                    .map(|(u, c)| (*u, c.contribution, c.samples))
                    .collect::<Vec<_>>();
                let reducers =
                    if contributions.is_empty() { Vec::new() } else { self.working_contributors(record, stage) };
                StagePlan::new(contributions, &reducers, self.config.merge.shards, &beacon, stage)
            })
            .collect();
        let open = stages.iter().filter(|s| s.width() > 0).map(|s| s.votes.len() as u32).sum();
        let base = self.base()?.number.saturating_add(1);
        Some(Plan { base, reason, since: self.core.clock, stages, open })
    }

    pub(super) fn planned(&mut self) -> Check {
        must(
            self.planning_allowed(self.core.clock),
            "a merge is planned when its miners closed, its audit is over and the one before is merged",
        )?;
        let epoch = self.core.next_merge;
        let plan = self.plan_of(epoch, Reason::Epoch(epoch)).ok_or("a base, a block and an ended epoch are known")?;
        if let Some(record) = self.core.epochs.get_mut(&epoch) {
            record.sealed = true;
        }
        self.core.merging = Some(plan);
        // Whoever did not close is not waited for: its next close is for the next epoch.
        let late: Vec<Uid> =
            self.core.members.iter().filter(|(_, m)| m.works() && m.next_close <= epoch).map(|(u, _)| *u).collect();
        for uid in late {
            self.count(uid, false);
            if let Some(m) = self.core.members.get_mut(&uid) {
                m.next_close = epoch + 1;
            }
            self.count(uid, true);
        }
        Ok(())
    }

    pub(super) fn corrected(&mut self, epoch: Epoch, uid: Uid) -> Check {
        let due = self.core.merging.is_none()
            && self.core.corrections.contains(&(epoch, uid))
            && epoch < self.core.next_merge;
        must(due, "fraud is subtracted once its merge is over, one at a time")?;
        let plan =
            self.plan_of(epoch, Reason::Correction { epoch, uid }).ok_or("a base, a block and the epoch are known")?;
        self.core.merging = Some(plan);
        Ok(())
    }

    pub(super) fn check_shards(&self, signed: &Signed<Shards>) -> Result<(), Refusal> {
        let m = self.core.members.get(&signed.by).filter(|m| m.works()).ok_or(Refusal::NotJoined)?;
        let plan = self.core.merging.as_ref().filter(|p| p.base == signed.body.base).ok_or(Refusal::NotNow)?;
        let stage = plan.stages.get(usize::from(m.stage)).ok_or(Refusal::NotNow)?;
        let own = stage.shards_of(signed.by);
        if signed.body.outputs.len() > MAX_SHARDS || own.is_empty() || own.len() != signed.body.outputs.len() {
            return Err(Refusal::TooLong);
        }
        let said =
            own.first().and_then(|s| stage.votes.get(*s)).is_some_and(|v| v.iter().any(|(u, _)| *u == signed.by));
        if said { Err(Refusal::NotNow) } else { Ok(()) }
    }

    pub(super) fn shards(&mut self, signed: &Signed<Shards>) -> Check {
        self.check_shards(signed).map_err(super::Broken::said)?;
        let stage = self.core.members.get(&signed.by).map_or(0, |m| usize::from(m.stage));
        let Some(plan) = &mut self.core.merging else { return Ok(()) };
        let Some(part) = plan.stages.get_mut(stage) else { return Ok(()) };
        let width = part.width();
        for (shard, output) in part.shards_of(signed.by).into_iter().zip(&signed.body.outputs) {
            let over =
                |p: &StagePlan| p.agreed(shard).is_some() || p.votes.get(shard).is_some_and(|v| v.len() >= width);
            let before = over(part);
            if let Some(votes) = part.votes.get_mut(shard) {
                votes.push((signed.by, *output));
            }
            if !before && over(part) {
                plan.open = plan.open.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// The planned merge may end at this clock.
    pub(super) fn merging_over(&self, clock: u64) -> bool {
        let over = |p: &Plan| p.open == 0 || clock.saturating_sub(p.since) >= self.config.merge.timeout_ms;
        self.core.merging.as_ref().is_some_and(over)
    }

    pub(super) fn merged(&mut self) -> Check {
        must(self.merging_over(self.core.clock), "reducers have the time that the configuration gives")?;
        let old = self.base().ok_or("a base is known")?;
        let Some(plan) = &self.core.merging else { return Err("a planned merge ends".into()) };
        let base = plan.result(old);
        let reason = plan.reason;
        self.core.merging = None;
        self.core.bases.push(base);
        if self.core.bases.len() > BASES_KEPT {
            self.core.bases.remove(0);
        }
        match reason {
            Reason::Epoch(epoch) => {
                self.core.next_merge = epoch + 1;
                let keep = self.core.next_merge.saturating_sub(EPOCHS_KEPT);
                self.core.epochs.retain(|e, _| *e >= keep);
                self.core.corrections.retain(|(e, _)| *e >= keep);
            }
            Reason::Correction { epoch, uid } => {
                self.core.corrections.remove(&(epoch, uid));
            }
        }
        self.core.snapshot_due = true;
        Ok(())
    }
}

/// Epochs for which findings are remembered.
const QUIET: Epoch = super::QUIET_EPOCHS;
