//! May this word of a peer become an entry? Asked before anything is written; `apply` asks the same.

use parity_scale_codec::{Decode, Encode};

use super::{
    super::{
        code::Refusal,
        ledger::Event,
        message::{Assurance, Complaint, Finding, Leave, Ready, Refutation, Role, Shards, SignedJoin},
        proof::Proof,
        signed::{Body, Signed},
        tally::Tally,
    },
    State, Status,
};
use starling_keys::Account;

use crate::Uid;

/// A peer's word for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Submission {
    /// Work so far.
    Tally(Signed<Tally>),
    /// A base in hand.
    Ready(Signed<Ready>),
    /// Goodbye.
    Leave(Signed<Leave>),
    /// Merged shards.
    Shards(Signed<Shards>),
    /// A failed verdict.
    Finding(Signed<Finding>),
    /// A finding is wrong.
    Refutation(Signed<Refutation>),
    /// A verdict log's root.
    Assurance(Signed<Assurance>),
    /// Another peer does not do its part.
    Complaint(Signed<Complaint>),
    /// Two signatures that contradict each other. Anybody may bring them.
    Offence(Proof),
}

impl State {
    /// The event that a join becomes, or `None` if it stands in the ledger already. `uid` is the slot that the chain names.
    ///
    /// # Errors
    /// The code that says why not.
    pub fn admit_join(
        &self,
        from: &Account,
        join: SignedJoin,
        uid: Uid,
        now_ms: u64,
    ) -> Result<Option<Event>, Refusal> {
        if join.account != *from || join.verify(&self.run).is_err() {
            return Err(Refusal::NotYours);
        }
        self.admit_verified_join(join, uid, now_ms)
    }

    /// As [`State::admit_join`], for whoever has checked the signature already.
    ///
    /// # Errors
    /// The code that says why not.
    pub fn admit_verified_join(&self, join: SignedJoin, uid: Uid, now_ms: u64) -> Result<Option<Event>, Refusal> {
        let from = &join.account;
        let there = |m: &super::Member| {
            m.account == *from
                && m.joined_ms == join.join.at_ms
                && m.address == join.join.address
                && matches!(m.status, Status::Ghost | Status::Working)
        };
        let again = match join.join.role {
            Role::Miner => self.core.members.get(&uid).is_some_and(there),
            Role::Validator => self
                .core
                .auditors
                .get(&uid)
                .is_some_and(|a| a.account == *from && a.live && a.joined_ms == join.join.at_ms),
        };
        if again {
            return Ok(None);
        }
        self.check_join(&join, uid, now_ms)?;
        let stage = match join.join.role {
            Role::Miner => self.stage_for(&join.account).ok_or(Refusal::Full)?,
            Role::Validator => 0,
        };
        Ok(Some(Event::Joined { join, uid, stage }))
    }

    /// The event that a word becomes, or `None` if it stands in the ledger already: peers that lost the answer send again.
    ///
    /// # Errors
    /// The code that says why not.
    pub fn admit(&self, from: &Account, said: Submission, now_ms: u64) -> Result<Option<Event>, Refusal> {
        match &said {
            Submission::Tally(s) => self.own(from, s),
            Submission::Ready(s) => self.own(from, s),
            Submission::Leave(s) => self.own(from, s),
            Submission::Shards(s) => self.own(from, s),
            Submission::Finding(s) => self.own(from, s),
            Submission::Refutation(s) => self.own(from, s),
            Submission::Assurance(s) => self.own(from, s),
            Submission::Complaint(s) => self.own(from, s),
            Submission::Offence(_) => Ok(()),
        }?;
        self.admit_verified(said, now_ms)
    }

    /// As [`State::admit`], for whoever has checked signature and slot already.
    ///
    /// # Errors
    /// The code that says why not.
    pub fn admit_verified(&self, said: Submission, now_ms: u64) -> Result<Option<Event>, Refusal> {
        if self.core.finished {
            return Err(Refusal::Finished);
        }
        Ok(Some(match said {
            Submission::Tally(s) => {
                if self.core.members.get(&s.by).is_some_and(|m| m.tally == Tally { close: None, ..s.body.clone() }) {
                    return Ok(None);
                }
                self.check_tally(&s, self.clock_at(now_ms))?;
                Event::Tallies { height: self.core.height, all: vec![s] }
            }
            Submission::Ready(s) => {
                self.check_ready(&s)?;
                Event::Ready(s)
            }
            Submission::Leave(s) => {
                self.check_leave(s.by, s.body.at_ms)?;
                Event::Left(s)
            }
            Submission::Shards(s) => {
                self.check_shards(&s)?;
                Event::Shards(s)
            }
            Submission::Finding(s) => {
                let author = self.account(s.by).ok_or(Refusal::NotJoined)?;
                if self.core.findings.contains_key(&s.body.id(&author)) {
                    return Ok(None);
                }
                self.check_finding(&s)?;
                Event::Finding(s)
            }
            Submission::Refutation(s) => {
                self.check_refutation(&s)?;
                Event::Refutation(s)
            }
            Submission::Assurance(s) => {
                if self.core.auditors.get(&s.by).is_some_and(|a| a.assurance == Some(s.body)) {
                    return Ok(None);
                }
                self.check_assurance(&s)?;
                Event::Assurance(s)
            }
            Submission::Complaint(s) => {
                self.check_complaint(&s)?;
                Event::Complaint(s)
            }
            Submission::Offence(proof) => {
                self.check_offence(&proof)?;
                Event::Offence(proof)
            }
        }))
    }

    fn own<T: Body>(&self, from: &Account, signed: &Signed<T>) -> Result<(), Refusal> {
        if self.account(signed.by) != Some(*from) {
            return Err(Refusal::NotJoined);
        }
        signed.verify(&self.run, from).map_err(|_| Refusal::NotYours)
    }

    /// Several admitted tallies as one entry, at the chain's `height` as the orchestrator sees it: by slot, of each miner the first. What is left
    /// over is the second value.
    #[must_use]
    pub fn batch(mut tallies: Vec<Signed<Tally>>, height: u32) -> (Option<Event>, Vec<Signed<Tally>>) {
        tallies.sort_by_key(|t| (t.by, t.body.number));
        let mut rest = Vec::new();
        let mut one: Vec<Signed<Tally>> = Vec::with_capacity(tallies.len());
        for tally in tallies {
            if one.last().is_some_and(|last| last.by == tally.by) || one.len() >= 4096 {
                rest.push(tally);
            } else {
                one.push(tally);
            }
        }
        ((!one.is_empty()).then_some(Event::Tallies { height, all: one }), rest)
    }
}
