//! Tallies: what a miner says once a minute instead of each receipt.
//!
//! Invariant: a tally only extends the one before ([`Tally::extends`]). Its size does not depend on throughput: about 125 bytes signed, which at
//! one a minute is 7.5 kB per miner-hour.

use parity_scale_codec::{Compact, Decode, Encode};

use super::{code::Refusal, signed::Body};
use crate::{Digest, Epoch};

/// Where a log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Tally {
    /// Counts the tallies that the miner signed, from 1. Ascends; one that was refused or lost is not signed again.
    #[codec(compact)]
    pub number: u32,
    /// Leaves of the log.
    #[codec(compact)]
    pub leaves: u64,
    /// The log's root at that size.
    pub root: Digest,
    /// Totals since the log began.
    pub counts: Counts,
    /// In an epoch's last tally.
    pub close: Option<Close>,
}

/// Leaves by kind, and what is not a leaf; totals since the log began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns used at stage 0. More than forwards only where a crash lost some.
    pub turns: u64,
    /// Forward passes.
    pub forwards: u64,
    /// Backward passes.
    pub backwards: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Samples dropped with a receipt.
    pub dropped: u64,
    /// Pushes to another than the pathway's miner.
    pub detours: u64,
    /// Milliseconds spent computing.
    pub busy_ms: u64,
}

impl Encode for Counts {
    fn encode_to<T: parity_scale_codec::Output + ?Sized>(&self, out: &mut T) {
        for n in [self.turns, self.forwards, self.backwards, self.steps, self.dropped, self.detours, self.busy_ms] {
            Compact(n).encode_to(out);
        }
    }
}

impl Decode for Counts {
    fn decode<I: parity_scale_codec::Input>(input: &mut I) -> Result<Self, parity_scale_codec::Error> {
        let mut next = || Compact::<u64>::decode(input).map(|n| n.0);
        Ok(Self {
            turns: next()?,
            forwards: next()?,
            backwards: next()?,
            steps: next()?,
            dropped: next()?,
            detours: next()?,
            busy_ms: next()?,
        })
    }
}

impl Counts {
    fn fit(&self, leaves: u64) -> bool {
        [self.forwards, self.backwards, self.steps, self.dropped]
            .into_iter()
            .try_fold(0u64, u64::checked_add)
            .is_some_and(|sum| sum <= leaves)
            // No backward and no drop without a forward, and not both.
            && self.backwards.saturating_add(self.dropped) <= self.forwards
    }

    fn not_below(&self, other: &Self) -> bool {
        self.turns >= other.turns
            && self.forwards >= other.forwards
            && self.backwards >= other.backwards
            && self.steps >= other.steps
            && self.dropped >= other.dropped
            && self.detours >= other.detours
            && self.busy_ms >= other.busy_ms
    }
}

/// All lanes have closed an epoch: what the miner brings into its merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Close {
    /// Which epoch.
    #[codec(compact)]
    pub epoch: Epoch,
    /// Root over the digests of the contribution's shards.
    pub contribution: Digest,
    /// Samples in it: its weight in the mean.
    #[codec(compact)]
    pub samples: u64,
    /// Digest of the table of samples sent to and consumed from each neighbour.
    pub flows: Digest,
}

impl Body for Tally {
    const DOMAIN: &'static [u8] = b"starling.tally.v2\0";
}

impl Tally {
    /// Whether it may follow `last`, which was heard `elapsed_ms` ago. `Close` is the state's matter.
    ///
    /// # Errors
    /// The code that names the rule.
    pub fn extends(&self, last: &Self, elapsed_ms: u64, max_leaves_per_s: u32) -> Result<(), Refusal> {
        if self.number <= last.number {
            return Err(Refusal::WrongNumber);
        }
        let grows = self.leaves >= last.leaves && self.counts.not_below(&last.counts) && self.counts.fit(self.leaves);
        if !grows || (self.leaves == last.leaves && last.number > 0 && self.root != last.root) {
            return Err(Refusal::Shrinks);
        }
        // One second of grace: what was done just before the last tally was written down.
        let most = u64::from(max_leaves_per_s).saturating_mul(elapsed_ms.saturating_add(1_000)) / 1_000;
        let busy_most = elapsed_ms.saturating_add(600_000);
        if self.leaves - last.leaves > most || self.counts.busy_ms - last.counts.busy_ms > busy_most {
            return Err(Refusal::TooFast);
        }
        Ok(())
    }
}
