//! Who takes part: coming, leaving, being ready, beginning an epoch.
//!
//! Invariant: of all members with one slot at most one is live, and a hotkey is a miner or a validator, never both. Whoever
//! leaves while training loses its place in the epoch: what it held in memory is no longer vouched for.

use super::{
    Auditor, Member, Phase, State, Training,
    apply::{Check, must},
};
use starling_keys::Account;

use crate::{
    Digest, Stage, Uid,
    ledger::StageWeights,
    message::{Join, Ready, Role},
    signed::Signed,
};

impl State {
    pub(super) fn joined(&mut self, signed: &Signed<Join>, uid: Uid, stage: Stage) -> Check {
        let (join, account) = (&signed.body, signed.signer);
        must(join.run == self.run, "a join names this run")?;
        must(join.address.len() <= crate::message::MAX_ADDRESS, "an address is short")?;
        must(self.phase != Phase::Finished, "nobody joins a finished run")?;
        match join.role {
            Role::Validator => {
                must(!self.members.contains_key(&account), "a hotkey has one role")?;
                let known = self.auditors.get(&account);
                must(known.is_none_or(|a| join.at_ms > a.joined_ms), "a join is newer than the last")?;
                let (complete, verdicts) = known.map(|a| (a.complete, a.verdicts.clone())).unwrap_or_default();
                let (address, joined_ms) = (join.address.clone(), join.at_ms);
                self.auditors.insert(account, Auditor { uid, address, joined_ms, live: true, complete, verdicts });
            }
            Role::Miner => {
                must(!self.auditors.contains_key(&account), "a hotkey has one role")?;
                must(self.slot_is_free(&account, uid), "a slot has one miner, who has no open work if it left")?;
                if let Some(m) = self.members.get(&account) {
                    must(join.at_ms > m.joined_ms, "a join is newer than the last")?;
                    must(m.stage == stage, "a miner keeps its stage")?;
                    // A miner that joins while it still counts as live was restarted before anybody noticed.
                    if self.phase == Phase::Training {
                        self.step_down(&account);
                    }
                    if let Some(m) = self.members.get_mut(&account) {
                        m.uid = uid;
                        m.address.clone_from(&join.address);
                        m.joined_ms = join.at_ms;
                        m.live = true;
                        m.ready = None;
                    }
                } else {
                    must(self.stage_for_a_newcomer() == Some(stage), "a newcomer goes where miners are fewest")?;
                    self.members.insert(account, newcomer(join, uid, stage));
                    self.newest_join_ms = self.at_ms;
                }
            }
        }
        Ok(())
    }

    /// Nobody else holds the slot, or it did and left with nothing open: slots are reused on chain, and pathways, steps and
    /// merge plans name slots.
    pub(super) fn slot_is_free(&self, account: &Account, uid: Uid) -> bool {
        let planned = |m: &super::Merging| {
            m.stages.iter().any(|s| s.contributions.iter().any(|(contributor, _)| *contributor == uid))
        };
        self.members.iter().filter(|(a, m)| *a != account && m.uid == uid).all(|(a, m)| {
            !m.live
                && !self.filed.contains_key(a)
                && !self.merging.as_ref().is_some_and(planned)
                && !self.training.samples.values().any(|s| s.pathway.contains(a))
        })
    }

    pub(super) fn gone(&mut self, account: &Account) -> Check {
        if let Some(m) = self.members.get(account) {
            must(m.live, "only the living leave")?;
            self.step_down(account);
            if let Some(m) = self.members.get_mut(account) {
                m.live = false;
                m.ready = None;
            }
            return Ok(());
        }
        let auditor = self.auditors.get_mut(account).ok_or("a peer of this run")?;
        must(auditor.live, "only the living leave")?;
        auditor.live = false;
        Ok(())
    }

    /// A miner loses its place in the epoch: its unfinished samples start again, its step is not waited for. Should it be
    /// enlisted again, then with the epoch's first weights and a fresh optimiser.
    fn step_down(&mut self, account: &Account) {
        if let Some(m) = self.members.get_mut(account) {
            m.enlisted = false;
            m.weights = None;
            m.optimiser = None;
        }
        let t = &mut self.training;
        if !t.stepped.contains(account)
            && let Some(steps) = &mut t.steps
        {
            steps.remove(account);
        }
        for sample in t.samples.values_mut().filter(|s| !s.complete() && s.pathway.contains(account)) {
            sample.complaints.insert(*account);
        }
    }

    pub(super) fn ready(&mut self, signed: &Signed<Ready>) -> Check {
        let ready = &signed.body;
        must(ready.run == self.run, "a message names this run")?;
        must(ready.epoch == self.epoch, "readiness is for the epoch under way")?;
        let m = self.members.get_mut(&signed.signer).ok_or("a miner of this run")?;
        must(m.live, "the miner has joined")?;
        m.ready = Some((ready.epoch, StageWeights { weights: ready.weights, momentum: ready.momentum }));
        Ok(())
    }

    pub(super) fn enlist(&mut self, account: &Account) {
        if let Some(m) = self.members.get_mut(account) {
            m.enlisted = true;
            m.weights = self.base.get(usize::from(m.stage)).map(|w| w.weights);
            m.steps = 0;
            m.anchor = None;
        }
    }

    pub(super) fn begun(&mut self, epoch: u32, roster: &[Vec<Uid>], weights: &[StageWeights]) -> Check {
        must(self.phase == Phase::Gathering && epoch == self.epoch, "an epoch begins after gathering")?;
        let (own_roster, own_weights) = self.muster().ok_or("every stage has its minimum of ready miners")?;
        must(own_roster == roster && own_weights == weights, "roster and weights are those the ready miners give")?;
        must(self.gathered(&own_roster, self.at_ms), "everyone is waited for as long as the configuration says")?;
        let enlisted = self.accounts(&roster.concat())?;
        self.previous_base = std::mem::replace(&mut self.base, weights.to_vec());
        for m in self.members.values_mut() {
            m.enlisted = false;
        }
        for account in enlisted {
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
}

fn newcomer(join: &Join, uid: Uid, stage: Stage) -> Member {
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
    }
}
