//! Offences that two signatures prove: nobody votes on them.
//!
//! Invariant: [`Proof::culprit`] answers `Ok` only if one account signed two statements that no honest peer can both sign.

use parity_scale_codec::{Decode, Encode};

use super::{ledger::SignedHead, message::Ready, receipt::Receipt, signed::Signed, tally::Tally};
use starling_keys::Account;

use crate::{Digest, Uid};

/// What proves an offence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Proof {
    /// Two receipts with one sequence.
    Receipts(Box<Signed<Receipt>>, Box<Signed<Receipt>>),
    /// Two tallies with one number, or with one size and two roots.
    Tallies(Box<Signed<Tally>>, Box<Signed<Tally>>),
    /// A `Ready` for a base with another root than the ledger derives.
    Base(Box<Signed<Ready>>),
    /// Two heads of the orchestrator with one length.
    Heads(Box<SignedHead>, Box<SignedHead>),
}

/// The proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two statements are of different authors, badly signed, equal, or do not contradict each other")]
pub struct NoProof;

/// Who is proven guilty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// The holder of a slot.
    Peer(Uid),
    /// The orchestrator: nobody should believe this ledger any more.
    Orchestrator,
}

impl Proof {
    /// Check the proof. `account` is the account behind the slot that the statements name; `root` gives the root that the ledger derives for a
    /// base of that miner's stage.
    ///
    /// # Errors
    /// [`NoProof`].
    pub fn culprit(
        &self,
        run: &Digest,
        orchestrator: &Account,
        account: impl Fn(Uid) -> Option<Account>,
        root: impl Fn(Uid, u32) -> Option<Digest>,
    ) -> Result<Culprit, NoProof> {
        match self {
            Self::Receipts(a, b) => {
                let clash = a.by == b.by && a.body != b.body && a.body.sequence == b.body.sequence;
                let who = account(a.by).ok_or(NoProof)?;
                let signed = clash && a.verify(run, &who).is_ok() && b.verify(run, &who).is_ok();
                if signed { Ok(Culprit::Peer(a.by)) } else { Err(NoProof) }
            }
            Self::Tallies(a, b) => {
                let (x, y) = (&a.body, &b.body);
                let clash = a.by == b.by
                    && x != y
                    && (x.number == y.number
                        || x.leaves == y.leaves && x.root != y.root
                        || x.number < y.number && x.leaves > y.leaves
                        || x.number > y.number && x.leaves < y.leaves);
                let who = account(a.by).ok_or(NoProof)?;
                let signed = clash && a.verify(run, &who).is_ok() && b.verify(run, &who).is_ok();
                if signed { Ok(Culprit::Peer(a.by)) } else { Err(NoProof) }
            }
            Self::Base(ready) => {
                let right = root(ready.by, ready.body.base).ok_or(NoProof)?;
                let who = account(ready.by).ok_or(NoProof)?;
                let false_base = ready.body.root != right && ready.verify(run, &who).is_ok();
                if false_base { Ok(Culprit::Peer(ready.by)) } else { Err(NoProof) }
            }
            Self::Heads(a, b) => {
                let clash = a.head.run == *run
                    && b.head.run == *run
                    && a.head.length == b.head.length
                    && a.head.link != b.head.link;
                let signed = clash && a.verify(orchestrator).is_ok() && b.verify(orchestrator).is_ok();
                if signed { Ok(Culprit::Orchestrator) } else { Err(NoProof) }
            }
        }
    }
}
