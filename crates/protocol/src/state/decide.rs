//! Which entry the rules demand next. Time and block height are arguments; nothing here waits.
//!
//! Every function that computes an event's content does so from the state alone, and `apply` calls the same functions to check
//! an entry; where the entry carries the time or block that allows it (an epoch's beginning, a reroute, the audit's opening, the
//! merge's end), that is checked too. What is left to the orchestrator is *when*, within these bounds, and who fell silent.

use std::collections::BTreeMap;

use super::{Phase, Sample, State};
use starling_keys::Account;

use crate::{
    Epoch, Stage, Uid,
    ledger::{Event, MergedShard, StageMerge, StageWeights},
    merge, routing,
};

impl State {
    /// The next entry that the rules demand at `now_ms` with the chain at `block`, if any. Call until it returns `None`.
    #[must_use]
    pub fn decide(&self, now_ms: u64, block: u32) -> Option<Event> {
        match &self.phase {
            Phase::Gathering => {
                let (roster, weights) = self.muster()?;
                self.gathered(&roster, now_ms).then_some(Event::Begun { epoch: self.epoch, roster, weights })
            }
            Phase::Training => self.decide_training(now_ms, block),
            Phase::Anchoring { block: closed } => {
                self.anchoring_over(*closed, block).then_some(Event::AuditOpened { block })
            }
            Phase::Auditing { block: opened } => {
                let mut live = self.auditors.values().filter(|a| a.live).peekable();
                let everyone = live.peek().is_some() && live.all(|a| a.complete);
                (everyone || block >= self.audit_deadline(*opened))
                    .then(|| Event::AuditClosed { benched: self.verdict_of_the_majority() })
            }
            Phase::Merging => match &self.merging {
                None => Some(Event::MergePlanned { epoch: self.epoch, stages: self.merge_plan() }),
                Some(_) => self.merging_over(now_ms).then(|| Event::Merged { stages: self.merge_result().0 }),
            },
            Phase::Finished => None,
        }
    }

    fn decide_training(&self, now_ms: u64, block: u32) -> Option<Event> {
        if let Some(account) = self.replacement_for_an_empty_stage() {
            return Some(Event::Enlisted { account });
        }
        let t = &self.training;
        let next = match t.round {
            None => 0,
            Some(round) => {
                for (index, sample) in t.samples.iter().filter(|(_, s)| !s.complete()) {
                    if let Some(because) = self.reason_to_reroute(sample, now_ms)
                        && let Some(pathway) = self.reroute(*index, &because)
                    {
                        return Some(Event::Rerouted {
                            sample: *index,
                            attempt: sample.attempt.saturating_add(1),
                            pathway,
                            because,
                        });
                    }
                }
                if t.samples.values().any(|s| !s.complete()) {
                    return None;
                }
                let Some(steps) = &t.steps else {
                    return Some(Event::Step { round, samples: self.step_lists() });
                };
                if let Some(missing) = steps.keys().find(|a| self.works(a) && !t.stepped.contains(a)) {
                    let overdue = now_ms.saturating_sub(t.ordered_ms) >= self.config.epoch.sample_timeout_ms;
                    return overdue.then_some(Event::Gone { account: *missing });
                }
                round + 1
            }
        };
        if self.closing() || next >= self.config.training.rounds_per_epoch {
            return Some(Event::Closed { block });
        }
        let pathways = self.round_pathways(next);
        (!pathways.is_empty()).then_some(Event::Round { round: next, pathways })
    }

    /// The roster is complete, or everyone else had time enough.
    pub(super) fn gathered(&self, roster: &[Vec<Uid>], now_ms: u64) -> bool {
        let candidates = self.members.values().filter(|m| m.live && !self.benched(m)).count();
        let everyone = roster.iter().map(Vec::len).sum::<usize>() == candidates;
        let patience = self.config.epoch.merge_timeout_ms;
        if self.epoch == 0 {
            // Nobody can say how many will come to a new run: each newcomer gives the next one a chance.
            let quiet = now_ms.saturating_sub(self.newest_join_ms);
            everyone && quiet >= self.config.epoch.gather_ms || quiet >= patience
        } else {
            everyone || now_ms.saturating_sub(self.phase_since_ms) >= patience
        }
    }

    /// Everyone who can has anchored, or had the blocks to.
    pub(super) fn anchoring_over(&self, closed: u32, block: u32) -> bool {
        let everyone = self.members.values().filter(|m| m.live && m.enlisted).all(|m| m.anchor.is_some());
        everyone || block >= closed.saturating_add(self.config.epoch.anchor_blocks)
    }

    /// Nothing more can come, or there was time enough.
    pub(super) fn merging_over(&self, now_ms: u64) -> bool {
        let Some(m) = &self.merging else { return false };
        self.merge_result().1 || now_ms.saturating_sub(m.planned_ms) >= self.config.epoch.merge_timeout_ms
    }

    /// The miner because of whom an incomplete sample starts again: one that left, one accused, or one overdue.
    pub(super) fn reason_to_reroute(&self, sample: &Sample, now_ms: u64) -> Option<Account> {
        let gone = sample.pathway.iter().copied().find(|a| !self.works(a));
        let accused = sample.complaints.iter().next().copied();
        let overdue = now_ms.saturating_sub(sample.progressed_ms) >= self.config.epoch.sample_timeout_ms;
        gone.or(accused).or_else(|| sample.waiting_for().filter(|_| overdue))
    }

    pub(super) fn works(&self, account: &Account) -> bool {
        self.members.get(account).is_some_and(|m| m.live && m.enlisted)
    }

    /// A stage all of whose miners are gone takes the first ready one, at the epoch's first weights.
    pub(super) fn replacement_for_an_empty_stage(&self) -> Option<Account> {
        let working = self.working();
        self.members
            .iter()
            .find(|(_, m)| {
                let stage = usize::from(m.stage);
                m.live
                    && !m.enlisted
                    && !self.benched(m)
                    && working.get(stage).is_some_and(Vec::is_empty)
                    && m.ready.is_some_and(|(epoch, w)| epoch == self.epoch && self.base.get(stage) == Some(&w))
            })
            .map(|(account, _)| *account)
    }

    /// Who can begin the epoch, with which weights: per stage the weights that most ready miners hold (ties: the smaller
    /// digest), and those miners. `None` while a stage has fewer than the minimum.
    pub(super) fn muster(&self) -> Option<(Vec<Vec<Uid>>, Vec<StageWeights>)> {
        let stages = usize::from(self.config.stages());
        let mut votes: Vec<BTreeMap<(crate::Digest, crate::Digest), Vec<Uid>>> = vec![BTreeMap::new(); stages];
        for m in self.members.values().filter(|m| m.live && !self.benched(m)) {
            if let (Some((epoch, w)), Some(stage)) = (m.ready, votes.get_mut(usize::from(m.stage)))
                && epoch == self.epoch
            {
                stage.entry((w.weights, w.momentum)).or_default().push(m.uid);
            }
        }
        let mut roster = Vec::with_capacity(stages);
        let mut weights = Vec::with_capacity(stages);
        for stage in votes {
            // `rev` so that among equals `max_by_key`, which keeps the last, keeps the smallest digest.
            let (held, mut uids) = stage.into_iter().rev().max_by_key(|(_, uids)| uids.len())?;
            if uids.len() < usize::from(self.config.epoch.min_miners_per_stage) {
                return None;
            }
            uids.sort_unstable();
            roster.push(uids);
            weights.push(StageWeights { weights: held.0, momentum: held.1 });
        }
        Some((roster, weights))
    }

    pub(super) fn round_pathways(&self, round: u32) -> Vec<Vec<Uid>> {
        routing::pathways(self.config.seed, self.epoch, round, self.config.training.samples_per_round, &self.working())
    }

    /// The pathway of a sample's next attempt: `because` and whoever is gone give way to the miner of their stage with the
    /// fewest samples of this round (ties: the lower uid). A miner without a colleague keeps the sample if it still works.
    pub(super) fn reroute(&self, sample: u32, because: &Account) -> Option<Vec<Uid>> {
        let current = self.training.samples.get(&sample)?;
        let mut load: BTreeMap<Account, usize> = BTreeMap::new();
        for s in self.training.samples.values() {
            for account in &s.pathway {
                *load.entry(*account).or_default() += 1;
            }
        }
        let mut pathway = Vec::with_capacity(current.pathway.len());
        for (stage, account) in current.pathway.iter().enumerate() {
            let colleague = self
                .members
                .iter()
                .filter(|(a, m)| usize::from(m.stage) == stage && m.live && m.enlisted && *a != account)
                .min_by_key(|(a, m)| (load.get(*a).copied().unwrap_or(0), m.uid))
                .map(|(_, m)| m.uid);
            let keeps = self.works(account);
            let own = self.members.get(account).map(|m| m.uid);
            pathway.push(if keeps && account != because { own } else { colleague.or(own.filter(|_| keeps)) }?);
        }
        Some(pathway)
    }

    /// Per miner, by uid, the samples whose gradients it sums: in order of index, so that the sum has one value.
    pub(super) fn step_lists(&self) -> Vec<(Uid, Vec<(u32, u16)>)> {
        let mut lists: BTreeMap<Uid, Vec<(u32, u16)>> = BTreeMap::new();
        for (index, sample) in &self.training.samples {
            for account in &sample.pathway {
                if let Some(m) = self.members.get(account).filter(|m| m.live && m.enlisted) {
                    lists.entry(m.uid).or_default().push((*index, sample.attempt));
                }
            }
        }
        lists.into_iter().collect()
    }

    /// Miners failed by more than half of the validators that reported anything on this epoch.
    pub(super) fn verdict_of_the_majority(&self) -> Vec<Account> {
        let reporting: Vec<_> = self.auditors.values().filter(|a| !a.verdicts.is_empty()).collect();
        let mut failed: BTreeMap<Account, usize> = BTreeMap::new();
        for auditor in &reporting {
            let against: std::collections::BTreeSet<_> = auditor
                .verdicts
                .iter()
                .filter(|v| !v.outcome.passed() && self.is_filed(&v.miner, v.sequence, &v.receipt))
                .map(|v| v.miner)
                .collect();
            for miner in against {
                *failed.entry(miner).or_default() += 1;
            }
        }
        failed.into_iter().filter(|(_, n)| 2 * n > reporting.len()).map(|(account, _)| account).collect()
    }

    /// A verdict is about a receipt of this segment, or about nothing.
    fn is_filed(&self, miner: &Account, sequence: u64, link: &crate::Digest) -> bool {
        let filed = self.filed.get(miner).map_or(&[][..], Vec::as_slice);
        filed.binary_search_by_key(&sequence, |f| f.signed.body.sequence).is_ok_and(|i| filed[i].link == *link)
    }

    /// Contributors are those who worked to the end of the epoch before, took a step, anchored what they did and were not benched.
    pub(super) fn merge_plan(&self) -> Vec<StageMerge> {
        (0..self.config.stages())
            .map(|stage: Stage| {
                let mut contributions: Vec<(Uid, crate::Digest)> = self
                    .members
                    .values()
                    .filter(|m| m.stage == stage && m.live && m.enlisted && m.steps > 0 && !self.benched(m))
                    .filter(|m| m.anchor.is_some_and(|a| a.matches))
                    .filter_map(|m| Some((m.uid, m.weights?)))
                    .collect();
                contributions.sort_unstable_by_key(|(uid, _)| *uid);
                let shards = merge::pairs(contributions.len())
                    .into_iter()
                    .map(|(i, j)| {
                        [Some(i), j]
                            .into_iter()
                            .flatten()
                            .filter_map(|k| contributions.get(k))
                            .map(|(uid, _)| *uid)
                            .collect()
                    })
                    .collect();
                StageMerge { contributions, shards }
            })
            .collect()
    }

    /// What was agreed so far, and whether nothing more can come. A shard counts if all who delivered agree; a pair that
    /// disagrees loses it.
    pub(super) fn merge_result(&self) -> (Vec<Vec<Option<MergedShard>>>, bool) {
        let Some(m) = &self.merging else { return (Vec::new(), false) };
        let mut whole = true;
        let mut stages = Vec::with_capacity(m.stages.len());
        for (plan, outputs) in m.stages.iter().zip(&m.outputs) {
            let mut shards = Vec::with_capacity(plan.shards.len());
            for (reducers, delivered) in plan.shards.iter().zip(outputs) {
                let awaited = reducers
                    .iter()
                    .filter(|uid| self.miner(**uid).is_some_and(|(_, m)| m.live) && !delivered.contains_key(uid))
                    .count();
                whole &= awaited == 0;
                let first = delivered.values().next();
                let agreed = first.filter(|d| delivered.values().all(|other| other == *d));
                shards.push(
                    agreed.map(|output| MergedShard { output: *output, holders: delivered.keys().copied().collect() }),
                );
            }
            stages.push(shards);
        }
        (stages, whole)
    }

    /// The stage with the fewest live, unbenched miners (ties: the first), if it has room.
    #[must_use]
    pub fn stage_for_a_newcomer(&self) -> Option<Stage> {
        let mut load = vec![0u16; usize::from(self.config.stages())];
        for m in self.members.values().filter(|m| m.live && !self.benched(m)) {
            if let Some(n) = load.get_mut(usize::from(m.stage)) {
                *n = n.saturating_add(1);
            }
        }
        let (stage, n) = load.iter().enumerate().min_by_key(|(_, n)| **n)?;
        if *n >= self.config.epoch.max_miners_per_stage { None } else { Stage::try_from(stage).ok() }
    }

    /// First epoch in which a miner benched now may work again.
    pub(super) fn bench_until(&self) -> Epoch {
        self.epoch.saturating_add(1).saturating_add(self.config.audit.bench_epochs)
    }
}
