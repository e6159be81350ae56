//! What a run writes into the chain's Commitments pallet: where a miner's receipts end, and where the ledger stands.
//!
//! Owns the bytes: a tag of four, then the SCALE encoding, 56 bytes in all. Invariant: no other bytes are read as an anchor, neither more
//! nor fewer, nor those of the other kind. It stands here, and not among the rules of a run, for whoever reads the chain.

use parity_scale_codec::{Decode, Encode};

use crate::Digest;

/// What a miner writes into the chain's Commitments pallet: the head of its receipt chain at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Anchor {
    /// First eight bytes of the run's id.
    pub run: [u8; 8],
    /// Epoch that it closes.
    pub epoch: u32,
    /// Receipts in the chain so far.
    pub count: u64,
    /// Link of the last one.
    pub head: Digest,
}

/// Tag before a SCALE-encoded [`Anchor`] in a commitment.
const ANCHOR_TAG: &[u8; 4] = b"sta1";

impl Anchor {
    /// The bytes for `Commitments.set_commitment` (56 bytes, below the pallet's 128).
    #[must_use]
    pub fn to_commitment(&self) -> Vec<u8> {
        let mut bytes = ANCHOR_TAG.to_vec();
        self.encode_to(&mut bytes);
        bytes
    }

    /// Read a commitment's bytes; `None` if they are something else.
    #[must_use]
    pub fn from_commitment(mut bytes: &[u8]) -> Option<Self> {
        bytes = bytes.strip_prefix(ANCHOR_TAG.as_slice())?;
        let anchor = Self::decode(&mut bytes).ok()?;
        bytes.is_empty().then_some(anchor)
    }
}

/// What the orchestrator writes into the Commitments pallet after every audit: where its ledger stands. Whoever holds the
/// ledger can check that no other was shown to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LedgerAnchor {
    /// First eight bytes of the run's id.
    pub run: [u8; 8],
    /// Epoch whose audit closed.
    pub epoch: u32,
    /// Entries.
    pub length: u64,
    /// Link of the last entry.
    pub link: Digest,
}

/// Tag before a SCALE-encoded [`LedgerAnchor`].
const LEDGER_TAG: &[u8; 4] = b"stl1";

impl LedgerAnchor {
    /// The bytes for `Commitments.set_commitment`.
    #[must_use]
    pub fn to_commitment(&self) -> Vec<u8> {
        let mut bytes = LEDGER_TAG.to_vec();
        self.encode_to(&mut bytes);
        bytes
    }

    /// Read a commitment's bytes; `None` if they are something else.
    #[must_use]
    pub fn from_commitment(mut bytes: &[u8]) -> Option<Self> {
        bytes = bytes.strip_prefix(LEDGER_TAG.as_slice())?;
        let anchor = Self::decode(&mut bytes).ok()?;
        bytes.is_empty().then_some(anchor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn anchors_survive_the_chain_and_are_not_taken_for_each_other() {
        let anchor = Anchor { run: [7; 8], epoch: 3, count: 99, head: Digest::of(b"head") };
        let ledger = LedgerAnchor { run: [7; 8], epoch: 3, length: 99, link: Digest::of(b"head") };
        let (a, l) = (anchor.to_commitment(), ledger.to_commitment());
        assert!(a.len() <= 128 && l.len() <= 128, "the pallet takes 128 bytes");
        assert_eq!(Anchor::from_commitment(&a), Some(anchor));
        assert_eq!(LedgerAnchor::from_commitment(&l), Some(ledger));
        assert_eq!(Anchor::from_commitment(&l), None);
        assert_eq!(LedgerAnchor::from_commitment(&a), None);
        assert_eq!(Anchor::from_commitment(&a[..a.len() - 1]), None);
        assert_eq!(Anchor::from_commitment(&[&a[..], &[0]].concat()), None);
    }

    proptest! {
        #[test]
        fn garbage_is_no_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Anchor::from_commitment(&bytes);
            let _ = LedgerAnchor::from_commitment(&bytes);
        }
    }
}
