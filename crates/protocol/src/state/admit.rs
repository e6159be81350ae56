//! May this message of a peer become an entry? Asked before anything is written.

use super::{Phase, State};
use crate::{
    keys::Account,
    ledger::Event,
    message::{MAX_TEXT, MAX_VERDICTS, Outcome},
    receipt::Work,
    wire::Submission,
};

/// Why not, for the peer's owner to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Signed by somebody else than the connection's hotkey, or not at all.
    #[error("the message is not signed by {0}, who sends it")]
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
    /// More receipts than any honest miner has.
    #[error("{sent} receipts in this epoch, {limit} is the most that honest work can need")]
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
    /// Right in itself, too early or too late.
    #[error("{0}")]
    NotNow(&'static str),
}

impl State {
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
        if run != self.run {
            return Err(Refusal::OtherRun { theirs: run.to_string(), ours: self.run.to_string() });
        }
        match submission {
            Submission::Receipt(receipt) => {
                let member = self.members.get(from).ok_or(Refusal::NotJoined(*from))?;
                let got = receipt.body.sequence;
                if got < member.count {
                    let filed = self.filed.get(from).into_iter().flatten();
                    let same = filed.filter(|f| f.signed.body.sequence == got).any(|f| f.link == receipt.body.link(from));
                    return if same { Ok(None) } else { Err(Refusal::OutOfSequence { got, need: member.count }) };
                }
                if got > member.count {
                    return Err(Refusal::OutOfSequence { got, need: member.count });
                }
                if receipt.body.previous != member.link {
                    return Err(Refusal::OtherChain(got));
                }
                if let Work::Step { samples, .. } = &receipt.body.work {
                    bounded("the list of samples", samples.len(), self.config.training.samples_per_round as usize)?;
                }
                let t = &self.config.training;
                // Twice the work of a miner that does a whole stage alone, for reroutes, and a few steps and shards.
                let limit = 4 * (t.samples_per_round as usize * t.rounds_per_epoch as usize) + 2 * t.rounds_per_epoch as usize + 512;
                let sent = self.filed.get(from).map_or(0, Vec::len);
                if sent >= limit {
                    return Err(Refusal::TooMany { sent, limit });
                }
                Ok(Some(Event::Receipt(receipt)))
            }
            Submission::Ready(ready) => {
                let member = self.members.get(from).ok_or(Refusal::NotJoined(*from))?;
                if !member.live {
                    return Err(Refusal::NotJoined(*from));
                }
                if ready.body.epoch != self.epoch {
                    return Err(Refusal::NotNow("readiness is for another epoch than the one under way: read the ledger"));
                }
                let said = member.ready.is_some_and(|(e, w)| e == ready.body.epoch && w.weights == ready.body.weights && w.momentum == ready.body.momentum);
                Ok((!said).then_some(Event::Ready(ready)))
            }
            Submission::Complaint(complaint) => {
                let c = &complaint.body;
                bounded("the reason", c.reason.len(), MAX_TEXT)?;
                let now = self.phase == Phase::Training
                    && self.training.samples.get(&c.sample).is_some_and(|s| {
                        s.attempt == c.attempt && s.pathway.contains(from) && s.pathway.contains(&c.about) && c.about != *from && !s.complaints.contains(&c.about)
                    });
                // A complaint about what is over already is no fault of the one who complains.
                Ok(now.then_some(Event::Complaint(complaint)))
            }
            Submission::Report(report) => {
                bounded("the report", report.body.verdicts.len(), MAX_VERDICTS)?;
                for verdict in &report.body.verdicts {
                    match &verdict.outcome {
                        Outcome::Differs { what: text, .. } | Outcome::Unsound { reason: text } => bounded("a verdict's text", text.len(), MAX_TEXT)?,
                        Outcome::Passed | Outcome::Withheld { .. } => {}
                    }
                }
                let auditor = self.auditors.get(from).ok_or(Refusal::NotJoined(*from))?;
                if !matches!(self.phase, Phase::Auditing { .. }) || report.body.epoch != self.epoch {
                    return Err(Refusal::NotNow("the audit of that epoch is not open: the report came too late to count before the merge"));
                }
                if auditor.complete {
                    return Ok(None);
                }
                Ok(Some(Event::Report(report)))
            }
        }
    }
}

fn bounded(what: &'static str, length: usize, limit: usize) -> Result<(), Refusal> {
    if length > limit { Err(Refusal::TooLong { what, length, limit }) } else { Ok(()) }
}
