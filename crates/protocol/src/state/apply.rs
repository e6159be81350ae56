//! One entry at a time: the only way the state moves, and the place where a broken rule is noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Anchored, Auditor, ClosedEpoch, Member, Merging, Phase, RoundLoss, Sample, State, Training};
use crate::{
    Digest, Stage, Uid,
    keys::Account,
    ledger::{Entry, Event, StageWeights},
    message::{Complaint, Join, Ready, Report, Role},
    signed::{BadSignature, Signed},
};

/// An entry breaks a rule: whoever wrote the ledger did not keep to the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A peer's message in the ledger is not the peer's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The entry does not follow from the state.
    #[error("the ledger breaks a rule at entry {index} ({event}, while {phase}): {rule}")]
    Rule {
        /// Index of the entry.
        index: u64,
        /// Kind of event.
        event: &'static str,
        /// Phase of the run.
        phase: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

impl Event {
    /// One word for people and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "joined",
            Self::Gone { .. } => "gone",
            Self::Ready(_) => "ready",
            Self::Begun { .. } => "begun",
            Self::Enlisted { .. } => "enlisted",
            Self::Round { .. } => "round",
            Self::Rerouted { .. } => "rerouted",
            Self::Receipt(_) => "receipt",
            Self::Complaint(_) => "complaint",
            Self::Step { .. } => "step",
            Self::Closed { .. } => "closed",
            Self::Anchored { .. } => "anchored",
            Self::AuditOpened { .. } => "audit-opened",
            Self::Report(_) => "report",
            Self::AuditClosed { .. } => "audit-closed",
            Self::MergePlanned { .. } => "merge-planned",
            Self::Merged { .. } => "merged",
        }
    }
}

/// Shorthand: the rule that must hold, or the sentence that says which did not.
type Check = Result<(), &'static str>;

pub(super) fn must(holds: bool, rule: &'static str) -> Check {
    if holds { Ok(()) } else { Err(rule) }
}

impl State {
    /// Move by one entry. On an error the state is unchanged.
    ///
    /// # Errors
    /// [`Broken`] names the rule.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Broken> {
        match &entry.event {
            Event::Joined { join, .. } => join.verify()?,
            Event::Ready(s) => s.verify()?,
            Event::Receipt(s) => s.verify()?,
            Event::Complaint(s) => s.verify()?,
            Event::Report(s) => s.verify()?,
            _ => {}
        }
        self.apply_trusted(entry)
    }

    /// As [`State::apply`], for whoever has checked the signatures already (the orchestrator before it appends, or a peer that
    /// reads its own store).
    ///
    /// # Errors
    /// [`Broken`] names the rule.
    pub fn apply_trusted(&mut self, entry: &Entry) -> Result<(), Broken> {
        let before = self.at_ms;
        let result = must(entry.at_ms >= before, "time runs forward").and_then(|()| {
            self.at_ms = entry.at_ms;
            self.event(&entry.event)
        });
        match result {
            Ok(()) => {
                self.head = self.head.then(entry);
                Ok(())
            }
            Err(rule) => {
                self.at_ms = before;
                Err(Broken::Rule { index: self.head.length, event: entry.event.name(), phase: self.phase.name(), rule })
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_since_ms = self.at_ms;
    }

    /// Every arm checks everything before it changes anything.
    fn event(&mut self, event: &Event) -> Check {
        match event {
            Event::Joined { join, uid, stage } => self.joined(join, *uid, *stage),
            Event::Gone { account } => self.gone(account),
            Event::Ready(ready) => self.ready(ready),
            Event::Begun { epoch, roster, weights } => self.begun(*epoch, roster, weights),
            Event::Enlisted { account } => {
                must(self.phase == Phase::Training, "miners are enlisted while training")?;
                must(self.replacement_for_an_empty_stage() == Some(*account), "only the first ready miner of an empty stage is enlisted")?;
                self.enlist(account);
                Ok(())
            }
            Event::Round { round, pathways } => self.round(*round, pathways),
            Event::Rerouted { sample, attempt, pathway, because } => {
                must(self.phase == Phase::Training, "samples are rerouted while training")?;
                let current = self.training.samples.get(sample).ok_or("the sample is of this round")?;
                must(!current.complete(), "a complete sample stays")?;
                must(*attempt == current.attempt.saturating_add(1), "attempts count up by one")?;
                must(self.reroute(*sample, because).as_ref() == Some(pathway), "the new pathway is the one the rules give")?;
                let accounts = self.accounts(pathway)?;
                self.training.samples.insert(*sample, Sample::new(*attempt, accounts, self.at_ms));
                Ok(())
            }
            Event::Receipt(receipt) => self.receipt(receipt),
            Event::Complaint(complaint) => self.complaint(complaint),
            Event::Step { round, samples } => {
                must(self.phase == Phase::Training && self.training.round == Some(*round), "a step belongs to the round under way")?;
                must(self.training.steps.is_none(), "a round has one step")?;
                must(self.training.samples.values().all(super::Sample::complete), "every sample is complete before the step")?;
                must(*samples == self.step_lists(), "each miner steps with its own samples in order")?;
                let mut steps = BTreeMap::new();
                for (uid, list) in samples {
                    let (account, _) = self.miner(*uid).ok_or("a miner of this run")?;
                    steps.insert(*account, list.clone());
                }
                self.training.steps = Some(steps);
                self.training.ordered_ms = self.at_ms;
                self.record_loss(*round);
                Ok(())
            }
            Event::Closed { block } => {
                must(self.phase == Phase::Training, "only training closes")?;
                must(self.closing() || self.round_done() && self.training.round.is_some_and(|r| r + 1 >= self.config.training.rounds_per_epoch), "every round is done")?;
                self.enter(Phase::Anchoring { block: *block });
                Ok(())
            }
            Event::Anchored { account, block, count, head } => {
                let Phase::Anchoring { block: closed } = self.phase else { return Err("anchors come after training") };
                must(*block >= closed, "an anchor is made after training closed")?;
                let m = self.members.get_mut(account).ok_or("a miner of this run")?;
                must(m.enlisted && m.anchor.is_none(), "a working miner anchors once")?;
                let matches = m.count == *count && m.link == *head;
                m.anchor = Some(Anchored { block: *block, count: *count, head: *head, matches });
                Ok(())
            }
            Event::AuditOpened { block } => {
                must(matches!(self.phase, Phase::Anchoring { .. }), "the audit opens after anchoring")?;
                self.enter(Phase::Auditing { block: *block });
                Ok(())
            }
            Event::Report(report) => self.report(report),
            Event::AuditClosed { benched } => self.audit_closed(benched),
            Event::MergePlanned { epoch, stages } => {
                must(self.phase == Phase::Merging && self.merging.is_none(), "a merge is planned once")?;
                must(*epoch == self.epoch && *stages == self.merge_plan(), "the plan is the one the rules give")?;
                let outputs = stages.iter().map(|s| vec![BTreeMap::new(); s.shards.len()]).collect();
                self.merging = Some(Merging { stages: stages.clone(), outputs, planned_ms: self.at_ms });
                Ok(())
            }
            Event::Merged { stages } => {
                must(self.phase == Phase::Merging && self.merging.is_some(), "a planned merge ends")?;
                must(*stages == self.merge_result().0, "the result is what the reducers committed to")?;
                self.merged = Some(stages.clone());
                self.enter(Phase::Gathering);
                Ok(())
            }
        }
    }

    pub(super) fn accounts(&self, uids: &[Uid]) -> Result<Vec<Account>, &'static str> {
        uids.iter().map(|uid| self.miner(*uid).map(|(a, _)| *a).ok_or("a miner of this run")).collect()
    }

    fn joined(&mut self, signed: &Signed<Join>, uid: Uid, stage: Stage) -> Check {
        let (join, account) = (&signed.body, signed.signer);
        must(join.run == self.run, "a join names this run")?;
        must(join.address.len() <= crate::message::MAX_ADDRESS, "an address is short")?;
        must(self.phase != Phase::Finished, "nobody joins a finished run")?;
        match join.role {
            Role::Validator => {
                let known = self.auditors.get(&account);
                must(known.is_none_or(|a| join.at_ms > a.joined_ms), "a join is newer than the last")?;
                let (complete, verdicts) = known.map(|a| (a.complete, a.verdicts.clone())).unwrap_or_default();
                self.auditors.insert(account, Auditor { uid, address: join.address.clone(), joined_ms: join.at_ms, live: true, complete, verdicts });
            }
            Role::Miner => {
                must(self.members.iter().all(|(a, m)| *a == account || m.uid != uid || !m.live), "a slot has one miner")?;
                if let Some(m) = self.members.get_mut(&account) {
                    must(join.at_ms > m.joined_ms, "a join is newer than the last")?;
                    must(m.stage == stage, "a miner keeps its stage")?;
                    m.uid = uid;
                    m.address.clone_from(&join.address);
                    m.joined_ms = join.at_ms;
                    m.live = true;
                } else {
                    must(self.stage_for_a_newcomer() == Some(stage), "a newcomer goes where miners are fewest")?;
                    self.members.insert(
                        account,
                        Member {
                            uid,
                            stage,
                            address: join.address.clone(),
                            joined_ms: join.at_ms,
                            live: true,
                            enlisted: false,
                            benched_until: 0,
                            ready: None,
                            weights: None,
                            optimiser: None,
                            count: 0,
                            link: Digest::ZERO,
                            steps: 0,
                            anchor: None,
                        },
                    );
                }
                self.newest_join_ms = self.at_ms;
            }
        }
        Ok(())
    }

    fn gone(&mut self, account: &Account) -> Check {
        if let Some(m) = self.members.get_mut(account) {
            must(m.live, "only the living leave")?;
            m.live = false;
            m.enlisted = false;
            m.ready = None;
            // A rejoining miner starts from the epoch's weights with a fresh optimiser: what it held is no longer vouched for.
            m.weights = None;
            m.optimiser = None;
            return Ok(());
        }
        let auditor = self.auditors.get_mut(account).ok_or("a peer of this run")?;
        must(auditor.live, "only the living leave")?;
        auditor.live = false;
        Ok(())
    }

    fn ready(&mut self, signed: &Signed<Ready>) -> Check {
        let ready = &signed.body;
        must(ready.run == self.run, "a message names this run")?;
        must(ready.epoch == self.epoch, "readiness is for the epoch under way")?;
        let m = self.members.get_mut(&signed.signer).ok_or("a miner of this run")?;
        must(m.live, "the miner has joined")?;
        m.ready = Some((ready.epoch, StageWeights { weights: ready.weights, momentum: ready.momentum }));
        Ok(())
    }

    fn enlist(&mut self, account: &Account) {
        if let Some(m) = self.members.get_mut(account) {
            m.enlisted = true;
            m.weights = self.base.get(usize::from(m.stage)).map(|w| w.weights);
            m.steps = 0;
            m.anchor = None;
        }
    }

    fn begun(&mut self, epoch: u32, roster: &[Vec<Uid>], weights: &[StageWeights]) -> Check {
        must(self.phase == Phase::Gathering && epoch == self.epoch, "an epoch begins after gathering")?;
        let (own_roster, own_weights) = self.muster().ok_or("every stage has its minimum of ready miners")?;
        must(own_roster == roster && own_weights == weights, "roster and weights are those the ready miners give")?;
        self.previous_base = std::mem::replace(&mut self.base, weights.to_vec());
        for m in self.members.values_mut() {
            m.enlisted = false;
        }
        for account in self.accounts(&roster.concat())? {
            self.enlist(&account);
        }
        for a in self.auditors.values_mut() {
            a.complete = false;
            a.verdicts.clear();
        }
        self.training = Training::default();
        self.enter(Phase::Training);
        Ok(())
    }

    pub(super) fn round_done(&self) -> bool {
        let t = &self.training;
        t.round.is_none() || t.steps.as_ref().is_some_and(|steps| steps.keys().all(|a| t.stepped.contains(a) || !self.works(a)))
    }

    fn round(&mut self, round: u32, pathways: &[Vec<Uid>]) -> Check {
        must(self.phase == Phase::Training && !self.closing(), "rounds are for training")?;
        must(round == self.training.round.map_or(0, |r| r + 1) && round < self.config.training.rounds_per_epoch, "rounds count up by one")?;
        must(self.round_done(), "the round before is done")?;
        must(!pathways.is_empty() && self.round_pathways(round) == pathways, "pathways are those the seed gives")?;
        let first = self.config.first_sample(self.epoch, round);
        let mut samples = BTreeMap::new();
        for (i, path) in (0u32..).zip(pathways) {
            samples.insert(first.saturating_add(i), Sample::new(0, self.accounts(path)?, self.at_ms));
        }
        self.training = Training { round: Some(round), samples, steps: None, stepped: BTreeSet::new(), ordered_ms: 0 };
        Ok(())
    }

    fn complaint(&mut self, signed: &Signed<Complaint>) -> Check {
        let c = &signed.body;
        must(c.run == self.run, "a message names this run")?;
        must(self.phase == Phase::Training, "complaints are for training")?;
        let sample = self.training.samples.get_mut(&c.sample).ok_or("the sample is of this round")?;
        must(sample.attempt == c.attempt, "the attempt is under way")?;
        must(sample.pathway.contains(&signed.signer) && sample.pathway.contains(&c.about) && c.about != signed.signer, "both work on the sample")?;
        sample.complaints.insert(c.about);
        Ok(())
    }

    fn report(&mut self, signed: &Signed<Report>) -> Check {
        let report = &signed.body;
        must(report.run == self.run, "a message names this run")?;
        must(matches!(self.phase, Phase::Auditing { .. }) && report.epoch == self.epoch, "reports are for the audit under way")?;
        must(report.verdicts.len() <= crate::message::MAX_VERDICTS, "a report is of bounded length")?;
        let auditor = self.auditors.get_mut(&signed.signer).ok_or("a validator of this run")?;
        must(!auditor.complete, "nothing follows a complete report")?;
        auditor.verdicts.extend(report.verdicts.iter().cloned());
        auditor.complete = report.complete;
        Ok(())
    }

    fn audit_closed(&mut self, benched: &[Account]) -> Check {
        must(matches!(self.phase, Phase::Auditing { .. }), "an open audit closes")?;
        must(benched == self.verdict_of_the_majority(), "benched are those whom most validators failed")?;
        let until = self.bench_until();
        for account in benched {
            if let Some(m) = self.members.get_mut(account) {
                m.benched_until = until;
            }
        }
        self.closed = Some(ClosedEpoch {
            epoch: self.epoch,
            filed: std::mem::take(&mut self.filed),
            verdicts: self.auditors.iter().map(|(a, x)| (*a, x.verdicts.clone())).collect(),
            merge: self.merging.take(),
            benched: benched.to_vec(),
        });
        if self.closing() {
            self.enter(Phase::Finished);
        } else {
            self.epoch += 1;
            self.enter(Phase::Merging);
        }
        Ok(())
    }

    fn record_loss(&mut self, round: u32) {
        let losses: Vec<f32> = self.training.samples.values().filter_map(|s| s.loss).collect();
        if !losses.is_empty() {
            let loss = losses.iter().sum::<f32>() / losses.len() as f32;
            self.losses.push(RoundLoss { epoch: self.epoch, round, loss, at_ms: self.at_ms });
        }
    }
}
