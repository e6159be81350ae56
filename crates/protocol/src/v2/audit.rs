//! What of a tally is looked at (design D1: commit, then sample).
//!
//! Invariant: the draw depends on the hash of a block that came after the tally was in the ledger, on the tally's root, on the validator and on a
//! salt that only the validator knows. So no miner can tell what will be drawn, not even with an orchestrator that holds blocks back.
//! A miner that cheats in a share q of its leaves passes n draws with probability (1 − q)^n.

use starling_keys::Account;

use super::config::AuditConfig;
use crate::{Digest, Uid};

/// How deep a drawn leaf is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The leaf itself.
    Leaf,
    /// The step that sums the drawn backward, with all its samples; another kind of leaf is looked at itself.
    Step,
}

/// A leaf to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// Index in the miner's log.
    pub leaf: u64,
    /// How deep.
    pub depth: Depth,
}

/// A tally that may be drawn from: its new leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Whose.
    pub miner: Uid,
    /// The account behind the slot.
    pub account: Account,
    /// Number of the tally.
    pub tally: u32,
    /// Leaves of the tally before.
    pub from: u64,
    /// Leaves of the tally.
    pub to: u64,
    /// Root of the tally.
    pub root: Digest,
    /// Root of the tally before: whoever opens must show that the log only grew.
    pub before: Digest,
}

/// How much to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Leaves per tally, on average, in thousandths.
    pub per_mille: u32,
    /// Of 256 drawn leaves, how many are looked at as deep as the step.
    pub step_share: u8,
}

/// The validator's draw, leaves ascending, none twice.
#[must_use]
pub fn draw(beacon: &Digest, range: &Range, validator: &Account, salt: &[u8; 32], quota: Quota) -> Vec<Drawn> {
    let new = range.to.saturating_sub(range.from);
    if new == 0 {
        return Vec::new();
    }
    let mut hasher = blake3::Hasher::new_derive_key("starling.audit.v2");
    for part in [&beacon.0, &range.root.0, &range.account.0, &validator.0, salt] {
        hasher.update(part);
    }
    let mut stream = hasher.finalize_xof();
    let mut next = || {
        let mut bytes = [0; 8];
        stream.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    let below = |n: u64, limit: u64| ((u128::from(n) * u128::from(limit)) >> 64) as u64;
    let more = below(next(), 1_000) < u64::from(quota.per_mille % 1_000);
    let wanted = u64::from(quota.per_mille / 1_000) + u64::from(more);
    let mut drawn: Vec<Drawn> = Vec::new();
    // Few are drawn of many; a repetition is simply drawn once.
    for _ in 0..wanted.min(new) {
        let leaf = range.from + below(next(), new);
        let depth = if below(next(), 256) < u64::from(quota.step_share) { Depth::Step } else { Depth::Leaf };
        if drawn.iter().all(|d| d.leaf != leaf) {
            drawn.push(Drawn { leaf, depth });
        }
    }
    drawn.sort_unstable();
    drawn
}

/// Milliseconds that a miner has to open `bytes`, from when the validator was able to ask.
#[must_use]
pub fn deadline_ms(audit: &AuditConfig, bytes: u64) -> u64 {
    audit.opening_ms.saturating_add(bytes.saturating_mul(1_000) / audit.bytes_per_s.max(1))
}

/// A follower's list of tallies that wait for their beacon. Its own, not the state's: it is a validator's work.
///
/// Invariant: every tally that passed through is drawn from once, by the first block noted after it.
#[derive(Clone, Debug, Default)]
pub struct Docket {
    waiting: Vec<Range>,
}

impl Docket {
    /// A tally is in the ledger. Ranges without new leaves are not kept.
    pub fn tallied(&mut self, range: Range) {
        if range.to > range.from {
            self.waiting.push(range);
        }
    }

    /// A block is noted: it is the beacon of everything that waits.
    pub fn block(&mut self) -> Vec<Range> {
        std::mem::take(&mut self.waiting)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(from: u64, to: u64) -> Range {
        Range { miner: 1, account: Account([1; 32]), tally: 4, from, to, root: Digest([9; 32]), before: Digest::ZERO }
    }

    fn at(beacon: u8, salt: u8, per_mille: u32) -> Vec<Drawn> {
        let quota = Quota { per_mille, step_share: 64 };
        draw(&Digest([beacon; 32]), &range(1_000, 3_000), &Account([2; 32]), &[salt; 32], quota)
    }

    proptest! {
        #[test]
        fn only_new_leaves_are_drawn_and_none_twice(from in 0u64..1_000, new in 0u64..50, per_mille in 0u32..30_000, beacon: [u8; 32]) {
            let quota = Quota { per_mille, step_share: 64 };
            let drawn = draw(&Digest(beacon), &range(from, from + new), &Account([2; 32]), &[0; 32], quota);
            prop_assert!(drawn.windows(2).all(|w| w[0].leaf < w[1].leaf));
            prop_assert!(drawn.iter().all(|d| (from..from + new).contains(&d.leaf)));
            prop_assert!(drawn.len() as u64 <= u64::from(per_mille / 1_000) + 1);
            prop_assert!(per_mille < 1_000 || new == 0 || !drawn.is_empty());
        }
    }

    #[test]
    fn another_block_or_another_salt_draws_other_leaves() {
        assert_ne!(at(1, 1, 8_000), at(2, 1, 8_000));
        assert_ne!(at(1, 1, 8_000), at(1, 2, 8_000));
    }

    #[test]
    fn a_fraction_of_a_leaf_is_drawn_that_often_and_a_quarter_as_deep_as_the_step() {
        let all: Vec<Drawn> = (0..=255).flat_map(|b| (0..8).flat_map(move |s| at(b, s, 250))).collect();
        assert!((450..=575).contains(&all.len()), "{} of 2048 tallies at a quota of 1/4", all.len());
        let deep = all.iter().filter(|d| d.depth == Depth::Step).count();
        assert!((80..=180).contains(&deep), "{deep} of {}", all.len());
    }

    #[test]
    fn deadlines_follow_sizes() {
        let audit = AuditConfig { opening_ms: 5_000, bytes_per_s: 1_250_000, ..Default::default() };
        assert_eq!(deadline_ms(&audit, 12_500_000), 15_000);
    }
}
