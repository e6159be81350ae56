//! One entry at a time: the only way the state moves, and the place where a broken rule is noticed.

use super::{
    super::{
        code::Refusal,
        ledger::{Entry, Event},
        signed::{BadSignature, Body, Signed},
    },
    State,
};

/// An entry breaks a rule: whoever wrote the ledger did not keep to the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A peer's word in the ledger is not the peer's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The entry does not follow from the state.
    #[error("the ledger breaks a rule at entry {index} ({event}, epoch {epoch}): {rule}")]
    Rule {
        /// Index of the entry.
        index: u64,
        /// Kind of event.
        event: &'static str,
        /// Epoch under way.
        epoch: crate::Epoch,
        /// The rule.
        rule: Rule,
    },
}

/// A rule that an entry breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Of the orchestrator's decisions.
    #[error("{0}")]
    Decision(&'static str),
    /// Of a peer's word, which should have been refused.
    #[error("a word that should have been refused: {0}")]
    Word(Refusal),
}

impl From<&'static str> for Rule {
    fn from(rule: &'static str) -> Self {
        Self::Decision(rule)
    }
}

impl Broken {
    pub(super) fn said(refusal: Refusal) -> Rule {
        Rule::Word(refusal)
    }
}

/// The rule that did not hold.
pub(super) type Check = Result<(), Rule>;

pub(super) fn must(holds: bool, rule: &'static str) -> Check {
    if holds { Ok(()) } else { Err(Rule::Decision(rule)) }
}

impl State {
    fn signed_by_holder<T: Body>(&self, signed: &Signed<T>) -> Result<(), BadSignature> {
        let account = self.account(signed.by).ok_or(BadSignature(starling_keys::Account([0; 32])))?;
        signed.verify(&self.run, &account)
    }

    fn verify(&self, event: &Event) -> Result<(), BadSignature> {
        match event {
            Event::Joined { join, .. } => join.verify(&self.run),
            Event::Ready(s) => self.signed_by_holder(s),
            Event::Tallies { all, .. } => all.iter().try_for_each(|s| self.signed_by_holder(s)),
            Event::Left(s) => self.signed_by_holder(s),
            Event::Shards(s) => self.signed_by_holder(s),
            Event::Finding(s) => self.signed_by_holder(s),
            Event::Refutation(s) => self.signed_by_holder(s),
            Event::Assurance(s) => self.signed_by_holder(s),
            Event::Complaint(s) => self.signed_by_holder(s),
            // A proof checks its own signatures wherever it is looked at.
            _ => Ok(()),
        }
    }

    /// Move by one entry. On an error the state is unchanged.
    ///
    /// # Errors
    /// [`Broken`] names the rule.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.verify(&entry.event)?;
        self.apply_trusted(entry)
    }

    /// As [`State::apply`], for whoever has checked the signatures already (the orchestrator before it appends, or a peer that reads its own
    /// store).
    ///
    /// # Errors
    /// [`Broken`] names the rule.
    pub fn apply_trusted(&mut self, entry: &Entry) -> Result<(), Broken> {
        let before = (self.core.at_ms, self.core.clock);
        // Named is the state before this entry, its time included.
        let right = match &entry.event {
            Event::Snapshot { digest } => self.digest() == *digest,
            _ => true,
        };
        let timely = must(entry.at_ms >= before.0, "time runs forward");
        let result = timely.and_then(|()| must(right, "a snapshot names the state before it")).and_then(|()| {
            self.core.clock = self.clock_at(entry.at_ms);
            self.core.at_ms = entry.at_ms;
            self.event(&entry.event)
        });
        match result {
            Ok(()) => {
                self.core.head = self.core.head.then(entry);
                Ok(())
            }
            Err(rule) => {
                (self.core.at_ms, self.core.clock) = before;
                let (index, epoch) = (self.core.head.length, self.core.epoch);
                Err(Broken::Rule { index, event: entry.event.name(), epoch, rule })
            }
        }
    }

    /// Every arm checks everything before it changes anything.
    fn event(&mut self, event: &Event) -> Check {
        if !matches!(event, Event::Genesis(_)) {
            must(self.core.head.length > 0, "the first base comes first")?;
        }
        must(!self.core.finished, "nothing follows the end")?;
        match event {
            Event::Genesis(shards) => self.genesis(shards),
            Event::Joined { join, uid, stage } => self.joined(join, *uid, *stage),
            Event::Ready(ready) => self.ready(ready),
            Event::Tallies { height, all } => self.tallies(*height, all),
            Event::Left(leave) => self.left(leave.by, leave.body.at_ms),
            Event::Silent { uid } => self.silent(*uid),
            Event::Block { number, hash } => self.noted(*number, *hash),
            Event::Stakes { block, permits } => self.stakes(*block, permits),
            Event::Table => self.make_table(),
            Event::EpochEnded => self.epoch_ended(),
            Event::Moved { uid, stage } => self.moved(*uid, *stage),
            Event::Planned => self.planned(),
            Event::Corrected { epoch, uid } => self.corrected(*epoch, *uid),
            Event::Shards(shards) => self.shards(shards),
            Event::Merged => self.merged(),
            Event::Finding(finding) => self.finding(finding),
            Event::Refutation(refutation) => self.refutation(refutation),
            Event::Assurance(assurance) => self.assurance(assurance),
            Event::Excluded { uid } => self.excluded(*uid),
            Event::Offence(proof) => self.offence(proof),
            Event::Complaint(complaint) => self.complaint(complaint),
            Event::Snapshot { .. } => {
                self.core.snapshot_length = self.core.head.length;
                self.core.snapshot_due = false;
                Ok(())
            }
            Event::Beat => Ok(()),
            Event::Finished => {
                must(self.over(), "the run ends when the last epoch is merged")?;
                self.core.finished = true;
                Ok(())
            }
        }
    }
}
