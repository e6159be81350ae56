//! Reading somebody else's ledger: a page is believed only if it continues what was read, keeps the rules, agrees with the chain that the follower
//! sees itself, and ends in a head that the orchestrator signed.

use super::{
    super::{
        ledger::{Event, Page},
        signed::BadSignature,
    },
    Broken, State,
};
use starling_keys::Account;

use crate::Digest;

/// What a follower knows of the chain by itself.
pub trait Witness {
    /// Number of the newest finalised block that it saw; none without a chain of its own.
    fn newest(&self) -> Option<u32>;
    /// Hash of a finalised block; none if it does not know it (yet).
    fn hash(&self, number: u32) -> Option<Digest>;
    /// The page is of now, and not of the past that is being read up: only then can lag be judged.
    fn live(&self) -> bool;
}

/// No chain of its own: believes the blocks it is told.
impl Witness for () {
    fn newest(&self) -> Option<u32> {
        None
    }
    fn hash(&self, _: u32) -> Option<Digest> {
        None
    }
    fn live(&self) -> bool {
        false
    }
}

/// Why a page was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Not the page that was asked for.
    #[error("the page starts at entry {got}, entry {need} comes next")]
    Gap {
        /// First entry of the page.
        got: u64,
        /// Entry needed.
        need: u64,
    },
    /// The head is not the orchestrator's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The orchestrator did not keep the rules.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A block that the chain does not have.
    #[error(
        "the ledger notes block {number} with another hash than this chain's: orchestrator and this machine follow different chains"
    )]
    OtherChain {
        /// Its number.
        number: u32,
    },
    /// The noted block is too old: draws could be known before they bind.
    #[error("the ledger notes block {noted} while the chain is at {seen}: more than {limit} blocks behind")]
    Lag {
        /// Noted.
        noted: u32,
        /// Seen.
        seen: u32,
        /// Allowed.
        limit: u32,
    },
    /// The signed head is that of another history.
    #[error(
        "entry {length}: the entries sent lead to another head than the one signed: two histories under one signature"
    )]
    Fork {
        /// Length at which they differ.
        length: u64,
    },
    /// The state sent is not the one that the snapshot names.
    #[error("the snapshot's bytes do not give the digest that the ledger names, or do not decode: ask another peer")]
    Snapshot,
}

impl State {
    /// Check a page and move by its entries; answers how many there were. `each` sees every entry before it is applied.
    ///
    /// # Errors
    /// [`Distrust`]; the state may then stand in the middle of the page and must not be used to judge anybody.
    pub fn absorb(
        &mut self,
        page: &Page,
        chain: &impl Witness,
        mut each: impl FnMut(&Self, &Event),
    ) -> Result<usize, Distrust> {
        let orchestrator: Account = self.config.orchestrator;
        page.head.verify(&orchestrator)?;
        if page.from != self.core.head.length {
            return Err(Distrust::Gap { got: page.from, need: self.core.head.length });
        }
        for entry in &page.entries {
            if let Event::Block { number, hash } = &entry.event
                && chain.hash(*number).is_some_and(|own| own != *hash)
            {
                return Err(Distrust::OtherChain { number: *number });
            }
            if let Event::Block { number: noted, .. } | Event::Tallies { height: noted, .. } = &entry.event {
                let limit = self.config.audit.lag_blocks;
                if let Some(seen) = chain.newest().filter(|seen| chain.live() && seen.saturating_sub(limit) > *noted) {
                    return Err(Distrust::Lag { noted: *noted, seen, limit });
                }
            }
            each(self, &entry.event);
            self.apply(entry)?;
        }
        if page.head.head != self.core.head {
            return Err(Distrust::Fork { length: self.core.head.length });
        }
        Ok(page.entries.len())
    }
}
