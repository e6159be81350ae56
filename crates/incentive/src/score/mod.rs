//! Scores: what the ledger and the verdicts say that a miner's work is worth, and the weights that follow (design D13).
//!
//! A miner earns the floating-point operations of the work that counted, over the last epochs (the window). One failed or
//! withheld audit in the window forfeits all of it: a cheat who is caught once in a window has worked for nothing, so
//! checking a small sample is enough.
//!
//! Invariants: the result does not depend on the order of the evidence; a failure never raises anybody's score; more
//! counted work never lowers its miner's score; equal operations are equal pay, whatever the stage or the kind of work.
//!
//! Work is remembered by account and not by uid: a uid changes hands, and neither pay nor guilt goes with it.
//!
//! [`gather`] reads the evidence of one audited epoch, [`scores`] adds up a window, [`weights`] makes the vector to submit.

mod evidence;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use parity_scale_codec::{Decode, Encode};
use starling_keys::Account;
use starling_protocol::{Epoch, Uid};

pub use evidence::gather;

/// Floating-point operations of work that counted, by kind. A day of one large GPU is beyond 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Flops {
    /// Forward passes.
    pub forward: u128,
    /// Backward passes.
    pub backward: u128,
    /// Optimiser steps.
    pub step: u128,
    /// Merged shards.
    pub merge: u128,
}

impl Flops {
    /// What is paid: an operation is an operation.
    #[must_use]
    pub fn total(&self) -> u128 {
        [self.forward, self.backward, self.step, self.merge].into_iter().fold(0, u128::saturating_add)
    }
}

/// What one miner did in one epoch. Several records of one miner add up.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MinerWork {
    /// Who.
    pub miner: Account,
    /// Work that was assigned, in time, structurally sound and anchored.
    pub flops: Flops,
    /// Re-execution differed, or a receipt contradicts the ledger.
    pub failed: bool,
    /// Something committed was not opened in time.
    pub withheld: bool,
}

/// The evidence of one audited epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct EpochWork {
    /// Which.
    pub epoch: Epoch,
    /// Who did what, in any order.
    pub miners: Vec<MinerWork>,
}

/// Scores (operations) of everyone with a record in the `window` epochs that end with `newest`.
///
/// A miner with a failed or withheld audit among them scores 0; records of later epochs are ignored.
#[must_use]
pub fn scores(history: &[EpochWork], newest: Epoch, window: NonZeroU32) -> BTreeMap<Account, u128> {
    let inside = |epoch: Epoch| epoch <= newest && newest - epoch < window.get();
    let mut scores: BTreeMap<Account, u128> = BTreeMap::new();
    let mut forfeited: BTreeSet<Account> = BTreeSet::new();
    for work in history.iter().filter(|work| inside(work.epoch)).flat_map(|work| &work.miners) {
        let score = scores.entry(work.miner).or_default();
        *score = score.saturating_add(work.flops.total());
        if work.failed || work.withheld {
            forfeited.insert(work.miner);
        }
    }
    for miner in forfeited {
        scores.insert(miner, 0);
    }
    scores
}

/// Weights `(uid, value)` in ascending order of uid: proportional to scores, the largest 65 535, halves to even, zeros left
/// out. `holders` says who holds which uid now; scores of those who hold none are left out. Empty when nobody scored.
#[must_use]
pub fn weights(scores: &BTreeMap<Account, u128>, holders: &BTreeMap<Uid, Account>) -> Vec<(Uid, u16)> {
    let scored: Vec<(Uid, u128)> =
        holders.iter().filter_map(|(uid, account)| scores.get(account).map(|score| (*uid, *score))).collect();
    let Some(max) = scored.iter().map(|(_, score)| *score).max().filter(|max| *max > 0) else {
        return Vec::new();
    };
    scored.into_iter().map(|(uid, score)| (uid, proportion(score, max))).filter(|(_, value)| *value > 0).collect()
}

/// `score / max` in 65 535ths, halves to even. `max` is positive and the largest.
fn proportion(score: u128, max: u128) -> u16 {
    const TOP: u128 = 65_535;
    // Keep the product and the doubled remainder below 2^128; 111 bits of a score are more than enough for 16.
    let excess = (u128::BITS - max.leading_zeros()).saturating_sub(111);
    let (score, max) = (score >> excess, max >> excess);
    let product = score * TOP;
    let (value, rest) = (product / max, product % max);
    let up = rest * 2 > max || (rest * 2 == max && value % 2 == 1);
    u16::try_from(value + u128::from(up)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
