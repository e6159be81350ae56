//! What a sample is called.
//!
//! Invariant: one name, one attempt. A sample that is lost is not tried again, so nobody can be paid for it twice; the stage-0 miner takes its
//! next turn instead.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::Uid;

/// The `turn`-th sample that the stage-0 miner `head` started since it first joined, routed by table `table` (10 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct Sample {
    /// Number of the routing table.
    pub table: u32,
    /// Slot of the stage-0 miner.
    pub head: Uid,
    /// Its turn, counted from 0 over the whole run; one after the other, none skipped but by a crash.
    pub turn: u32,
}
