//! One entry at a time: the only way the state moves, and the place where a broken rule is noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Anchored, ClosedEpoch, Merging, Phase, RoundLoss, Sample, State, Training};
use starling_keys::Account;

use crate::{
    Uid,
    ledger::{Entry, Event},
    message::{Complaint, Report},
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
pub(super) type Check = Result<(), &'static str>;

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

    pub(super) fn enter(&mut self, phase: Phase) {
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
                must(
                    self.replacement_for_an_empty_stage() == Some(*account),
                    "only the first ready miner of an empty stage is enlisted",
                )?;
                self.enlist(account);
                Ok(())
            }
            Event::Round { round, pathways } => self.round(*round, pathways),
            Event::Rerouted { sample, attempt, pathway, because } => {
                must(self.phase == Phase::Training, "samples are rerouted while training")?;
                let current = self.training.samples.get(sample).ok_or("the sample is of this round")?;
                must(!current.complete(), "a complete sample stays")?;
                must(*attempt == current.attempt.saturating_add(1), "attempts count up by one")?;
                must(
                    self.reason_to_reroute(current, self.at_ms) == Some(*because),
                    "a sample moves because of who left, was complained about or is overdue",
                )?;
                must(
                    self.reroute(*sample, because).as_ref() == Some(pathway),
                    "the new pathway is the one the rules give",
                )?;
                let accounts = self.accounts(pathway)?;
                self.training.samples.insert(*sample, Sample::new(*attempt, accounts, self.at_ms));
                Ok(())
            }
            Event::Receipt(receipt) => self.receipt(receipt),
            Event::Complaint(complaint) => self.complaint(complaint),
            Event::Step { round, samples } => {
                must(
                    self.phase == Phase::Training && self.training.round == Some(*round),
                    "a step belongs to the round under way",
                )?;
                must(self.training.steps.is_none(), "a round has one step")?;
                must(
                    self.training.samples.values().all(super::Sample::complete),
                    "every sample is complete before the step",
                )?;
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
                must(
                    self.closing()
                        || self.round_done()
                            && self.training.round.is_some_and(|r| r + 1 >= self.config.training.rounds_per_epoch),
                    "every round is done",
                )?;
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
                let Phase::Anchoring { block: closed } = self.phase else {
                    return Err("the audit opens after anchoring");
                };
                must(
                    self.anchoring_over(closed, *block),
                    "miners have the blocks to anchor that the configuration gives",
                )?;
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
                must(self.merging_over(self.at_ms), "reducers have the time that the configuration gives")?;
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

    pub(super) fn round_done(&self) -> bool {
        let t = &self.training;
        t.round.is_none()
            || t.steps.as_ref().is_some_and(|steps| steps.keys().all(|a| t.stepped.contains(a) || !self.works(a)))
    }

    fn round(&mut self, round: u32, pathways: &[Vec<Uid>]) -> Check {
        must(self.phase == Phase::Training && !self.closing(), "rounds are for training")?;
        must(
            round == self.training.round.map_or(0, |r| r + 1) && round < self.config.training.rounds_per_epoch,
            "rounds count up by one",
        )?;
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
        must(
            sample.pathway.contains(&signed.signer) && sample.pathway.contains(&c.about) && c.about != signed.signer,
            "both work on the sample",
        )?;
        must(sample.attempt < super::MAX_COMPLAINED, "later attempts move by the clock alone")?;
        sample.complaints.insert(c.about);
        Ok(())
    }

    fn report(&mut self, signed: &Signed<Report>) -> Check {
        let report = &signed.body;
        must(report.run == self.run, "a message names this run")?;
        must(
            matches!(self.phase, Phase::Auditing { .. }) && report.epoch == self.epoch,
            "reports are for the audit under way",
        )?;
        must(report.verdicts.len() <= crate::message::MAX_VERDICTS, "a report is of bounded length")?;
        let auditor = self.auditors.get_mut(&signed.signer).ok_or("a validator of this run")?;
        must(!auditor.complete, "nothing follows a complete report")?;
        must(auditor.verdicts.len() + report.verdicts.len() <= super::MAX_EPOCH_VERDICTS, "verdicts are bounded")?;
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
