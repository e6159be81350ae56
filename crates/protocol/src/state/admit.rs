//! May this message of a peer become an entry? Asked before anything is written.

use super::{MAX_COMPLAINED, MAX_EPOCH_VERDICTS, Phase, Standing, State};
use starling_keys::Account;

use crate::{
    Code, Digest, Refused, Uid,
    ledger::Event,
    message::{Join, MAX_ADDRESS, MAX_TEXT, MAX_VERDICTS, Outcome, Role},
    receipt::Work,
    signed::Signed,
    wire::Submission,
};

/// Why not, for the peer's owner to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Signed by somebody else than the connection's hotkey, or not at all.
    #[error(
        "the message is not signed by {0}, who sends it: it was altered, or signed with another key. Sign with the hotkey that joined"
    )]
    NotYours(Account),
    /// For another run.
    #[error("the message is for run {theirs}, this is run {ours}: restart with this run's file")]
    OtherRun {
        /// Run named.
        theirs: String,
        /// Run here.
        ours: String,
    },
    /// Unknown miner.
    #[error("{0} has not joined this run: join first")]
    NotJoined(Account),
    /// Not the next link of the chain.
    #[error("receipt {got} of your chain was sent, {need} comes next: read the ledger and continue from there")]
    OutOfSequence {
        /// Sequence sent.
        got: u64,
        /// Sequence needed.
        need: u64,
    },
    /// Does not continue the chain although the number is right.
    #[error("receipt {0} does not continue your chain: its previous link is another")]
    OtherChain(u64),
    /// More receipts that count for nothing than any honest miner has.
    #[error(
        "{sent} receipts in this epoch that were late or not asked for, {limit} is the most that honest work can need"
    )]
    TooMany {
        /// Filed already.
        sent: usize,
        /// Limit.
        limit: usize,
    },
    /// A field is longer than allowed.
    #[error("{what} has {length}, at most {limit} are allowed")]
    TooLong {
        /// Which field.
        what: &'static str,
        /// Its length.
        length: usize,
        /// Limit.
        limit: usize,
    },
    /// Every stage has as many miners as it takes.
    #[error("every stage has its {0} miners: come back when one leaves")]
    Full(u16),
    /// The slot's former holder has open work.
    #[error(
        "slot {0} of the subnet still has work of another hotkey in this epoch: try again when the next epoch begins"
    )]
    SlotTaken(Uid),
    /// Miner and validator at once.
    #[error("{account} takes part as a {role} already: use another hotkey")]
    OtherRole {
        /// Who.
        account: Account,
        /// As what.
        role: &'static str,
    },
    /// Joins are ordered by the peer's clock.
    #[error("the join is dated {theirs_ms} ms, {relation} {ours_ms} ms: check this machine's clock")]
    Clock {
        /// Date of the join.
        theirs_ms: u64,
        /// How it is wrong.
        relation: &'static str,
        /// What it is compared with.
        ours_ms: u64,
    },
    /// Right in itself, too early or too late.
    #[error("{0}")]
    NotNow(&'static str),
}

impl Refusal {
    /// What the peer is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotYours(_) => Code::Forged,
            Self::OtherRun { .. } => Code::OtherRun,
            Self::NotJoined(_) => Code::NotJoined,
            Self::OutOfSequence { .. } => Code::OutOfSequence,
            Self::OtherChain(_) => Code::OtherChain,
            Self::TooMany { .. } => Code::TooMany,
            Self::TooLong { .. } => Code::TooLong,
            Self::Full(_) => Code::Full,
            Self::SlotTaken(_) => Code::SlotTaken,
            Self::OtherRole { .. } => Code::OtherRole,
            Self::Clock { .. } => Code::Clock,
            Self::NotNow(_) => Code::NotNow,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

/// How far a peer's clock may be ahead of the orchestrator's, milliseconds.
const CLOCK_AHEAD_MS: u64 = 600_000;

impl State {
    /// The event that a join becomes, or `None` if it stands in the ledger already. `uid` is the slot that the chain names.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn admit_join(
        &self,
        from: &Account,
        join: Signed<Join>,
        uid: Uid,
        now_ms: u64,
    ) -> Result<Option<Event>, Refusal> {
        if join.signer != *from || join.verify().is_err() {
            return Err(Refusal::NotYours(*from));
        }
        self.same_run(&join.body.run)?;
        bounded("the address", join.body.address.len(), MAX_ADDRESS)?;
        let (member, auditor) = (self.members.get(from), self.auditors.get(from));
        let known = match join.body.role {
            Role::Miner if auditor.is_some() => return Err(Refusal::OtherRole { account: *from, role: "validator" }),
            Role::Validator if member.is_some() => return Err(Refusal::OtherRole { account: *from, role: "miner" }),
            Role::Miner => member.map(|m| (m.joined_ms, m.live, &m.address)),
            Role::Validator => auditor.map(|a| (a.joined_ms, a.live, &a.address)),
        };
        let theirs_ms = join.body.at_ms;
        if theirs_ms > now_ms.saturating_add(CLOCK_AHEAD_MS) {
            return Err(Refusal::Clock { theirs_ms, relation: "far after the time here,", ours_ms: now_ms });
        }
        if let Some((ours_ms, live, address)) = known {
            if theirs_ms == ours_ms && live && *address == join.body.address {
                return Ok(None);
            }
            if theirs_ms <= ours_ms {
                return Err(Refusal::Clock { theirs_ms, relation: "not after the join on record,", ours_ms });
            }
        }
        if self.phase == Phase::Finished {
            return Err(FINISHED);
        }
        let stage = match (join.body.role, member) {
            (Role::Validator, _) => 0,
            (Role::Miner, known) => {
                if !self.slot_is_free(from, uid) {
                    return Err(Refusal::SlotTaken(uid));
                }
                let newcomer = || self.stage_for_a_newcomer();
                known.map(|m| m.stage).or_else(newcomer).ok_or(Refusal::Full(self.config.epoch.max_miners_per_stage))?
            }
        };
        Ok(Some(Event::Joined { join, uid, stage }))
    }

    fn same_run(&self, theirs: &Digest) -> Result<(), Refusal> {
        if *theirs == self.run {
            return Ok(());
        }
        Err(Refusal::OtherRun { theirs: theirs.to_string(), ours: self.run.to_string() })
    }

    /// The event that `submission` becomes, or `None` if it stands in the ledger already.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn admit(&self, from: &Account, submission: Submission) -> Result<Option<Event>, Refusal> {
        let (signer, run, verified) = match &submission {
            Submission::Receipt(s) => (s.signer, s.body.run, s.verify()),
            Submission::Ready(s) => (s.signer, s.body.run, s.verify()),
            Submission::Complaint(s) => (s.signer, s.body.run, s.verify()),
            Submission::Report(s) => (s.signer, s.body.run, s.verify()),
        };
        if signer != *from || verified.is_err() {
            return Err(Refusal::NotYours(*from));
        }
        self.same_run(&run)?;
        match submission {
            Submission::Receipt(receipt) => {
                let member = self.members.get(from).ok_or(Refusal::NotJoined(*from))?;
                let got = receipt.body.sequence;
                if got < member.count {
                    // The segment before counts too: the answer to an old submission may have been lost as its audit closed.
                    let before = self.closed.iter().filter_map(|c| c.filed.get(from)).flatten();
                    let filed = self.filed.get(from).into_iter().flatten().chain(before);
                    let same =
                        filed.filter(|f| f.signed.body.sequence == got).any(|f| f.link == receipt.body.link(from));
                    return if same { Ok(None) } else { Err(Refusal::OutOfSequence { got, need: member.count }) };
                }
                if got > member.count {
                    return Err(Refusal::OutOfSequence { got, need: member.count });
                }
                if receipt.body.previous != member.link {
                    return Err(Refusal::OtherChain(got));
                }
                let t = &self.config.training;
                if let Work::Step { samples, .. } = &receipt.body.work {
                    bounded("the list of samples", samples.len(), t.samples_per_round as usize)?;
                }
                // Work that counts is bounded by what was assigned. Work that does not: as much again as a miner that does
                // a whole stage alone, should all of it come too late.
                let limit = 2 * (t.samples_per_round as usize * t.rounds_per_epoch as usize) + 512;
                let idle = |f: &&super::Filed| f.standing != Standing::Counted;
                let sent = self.filed.get(from).map_or(0, |filed| filed.iter().filter(idle).count());
                if sent >= limit {
                    return Err(Refusal::TooMany { sent, limit });
                }
                if self.phase == Phase::Finished {
                    return Err(FINISHED);
                }
                Ok(Some(Event::Receipt(receipt)))
            }
            Submission::Ready(ready) => {
                let member = self.members.get(from).ok_or(Refusal::NotJoined(*from))?;
                if !member.live {
                    return Err(Refusal::NotJoined(*from));
                }
                if ready.body.epoch != self.epoch {
                    return Err(Refusal::NotNow(
                        "readiness is for another epoch than the one under way: read the ledger",
                    ));
                }
                if self.phase == Phase::Finished {
                    return Err(FINISHED);
                }
                let said = member.ready.is_some_and(|(e, w)| {
                    e == ready.body.epoch && w.weights == ready.body.weights && w.momentum == ready.body.momentum
                });
                Ok((!said).then_some(Event::Ready(ready)))
            }
            Submission::Complaint(complaint) => {
                let c = &complaint.body;
                bounded("the reason", c.reason.len(), MAX_TEXT)?;
                let now = self.phase == Phase::Training
                    && self.training.samples.get(&c.sample).is_some_and(|s| {
                        s.attempt == c.attempt
                            && s.attempt < MAX_COMPLAINED
                            && s.pathway.contains(from)
                            && s.pathway.contains(&c.about)
                            && c.about != *from
                            && !s.complaints.contains(&c.about)
                    });
                // A complaint about what is over already is no fault of the one who complains.
                Ok(now.then_some(Event::Complaint(complaint)))
            }
            Submission::Report(report) => {
                bounded("the report", report.body.verdicts.len(), MAX_VERDICTS)?;
                for verdict in &report.body.verdicts {
                    match &verdict.outcome {
                        Outcome::Differs { what: text, .. } | Outcome::Unsound { reason: text } => {
                            bounded("a verdict's text", text.len(), MAX_TEXT)?
                        }
                        Outcome::Passed | Outcome::Withheld { .. } => {}
                    }
                }
                let auditor = self.auditors.get(from).ok_or(Refusal::NotJoined(*from))?;
                if !matches!(self.phase, Phase::Auditing { .. }) || report.body.epoch != self.epoch {
                    return Err(Refusal::NotNow(
                        "the audit of that epoch is not open: the report came too late to count before the merge",
                    ));
                }
                if auditor.complete {
                    return Ok(None);
                }
                let all = auditor.verdicts.len() + report.body.verdicts.len();
                bounded("this epoch's verdicts", all, MAX_EPOCH_VERDICTS)?;
                Ok(Some(Event::Report(report)))
            }
        }
    }
}

const FINISHED: Refusal = Refusal::NotNow("the run is finished");

fn bounded(what: &'static str, length: usize, limit: usize) -> Result<(), Refusal> {
    if length > limit { Err(Refusal::TooLong { what, length, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::code::Reaction;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_its_words() {
        let who = Account([1; 32]);
        let all = [
            Refusal::NotYours(who),
            Refusal::OtherRun { theirs: "a".into(), ours: "b".into() },
            Refusal::NotJoined(who),
            Refusal::OutOfSequence { got: 1, need: 2 },
            Refusal::OtherChain(3),
            Refusal::TooMany { sent: 4, limit: 3 },
            Refusal::TooLong { what: "the address", length: 5, limit: 4 },
            Refusal::Full(6),
            Refusal::SlotTaken(7),
            Refusal::OtherRole { account: who, role: "miner" },
            Refusal::Clock { theirs_ms: 8, relation: "far after the time here,", ours_ms: 9 },
            FINISHED,
        ];
        let codes: BTreeSet<u16> = all.iter().map(|r| r.code().number()).collect();
        assert_eq!(codes.len(), all.len());
        for refusal in all {
            let told = Refused::from(refusal.clone());
            assert_eq!((told.code, told.words), (refusal.code(), refusal.to_string()));
        }
        assert_eq!(Refusal::NotJoined(who).code().reaction(), Reaction::Rejoin);
        assert_eq!(Refusal::NotYours(who).code().reaction(), Reaction::End);
    }
}
