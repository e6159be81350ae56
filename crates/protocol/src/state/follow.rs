//! Reading somebody else's ledger: a page is believed only if it continues what was read, keeps the rules, and ends in a head
//! that the orchestrator signed.

use super::{Broken, State};
use crate::{ledger::Head, signed::BadSignature, wire::Page};

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
    /// Signed by somebody else.
    #[error("the ledger's head is not signed by this run's orchestrator {0}")]
    Stranger(starling_keys::Account),
    /// Bad signature.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The orchestrator did not keep the rules.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The signed head is that of another history.
    #[error(
        "entry {length}: the entries sent lead to another head than the one signed: two histories under one signature"
    )]
    Fork {
        /// Length at which they differ.
        length: u64,
    },
}

impl State {
    /// Check a page and move by its entries; answers how many there were.
    ///
    /// # Errors
    /// [`Distrust`]; the state may then stand in the middle of the page and must not be used to judge anybody.
    pub fn absorb(&mut self, page: &Page) -> Result<usize, Distrust> {
        if page.head.signer != self.config.orchestrator {
            return Err(Distrust::Stranger(self.config.orchestrator));
        }
        page.head.verify()?;
        if page.from != self.head.length {
            return Err(Distrust::Gap { got: page.from, need: self.head.length });
        }
        for entry in &page.entries {
            self.apply(entry)?;
        }
        let Head { run, length, link } = page.head.body;
        if (Head { run, length, link }) != self.head {
            return Err(Distrust::Fork { length: self.head.length });
        }
        Ok(page.entries.len())
    }
}
