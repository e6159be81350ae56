//! Which of a miner's receipts a validator re-executes.
//!
//! Invariant: the draw depends on a block hash that nobody could know when the miner anchored its chain (design D1), on
//! the anchored head, and on the validator, so validators look at different receipts and no miner can tell which.
//! Detection of a miner that cheats in a share q of its work is 1 − (1 − q)^n for n draws (training.md 2.6).

use starling_keys::Account;

use crate::{Digest, receipt::Work, seed};

/// A receipt that may be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Position in the miner's chain.
    pub sequence: u64,
    /// What it says was done.
    pub work: &'a Work,
}

/// How many to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Forward and backward receipts.
    pub samples: usize,
    /// Step receipts.
    pub steps: usize,
}

/// Sequences to audit, ascending. Forwards and backwards alternate in the draw, so that with a quota of two or more both
/// are looked at; merges are recomputed always and are not drawn.
#[must_use]
pub fn draw(
    beacon: &[u8; 32],
    head: &Digest,
    miner: &Account,
    validator: &Account,
    candidates: &[Candidate<'_>],
    quota: Quota,
) -> Vec<u64> {
    let mut hasher = blake3::Hasher::new_derive_key("starling.audit.v1");
    for part in [beacon, &head.0, &miner.0, &validator.0] {
        hasher.update(part);
    }
    let mut key = [0; 8];
    hasher.finalize_xof().fill(&mut key);
    let seed = u64::from_le_bytes(key);

    let of = |kind: &str| -> Vec<u64> {
        let mut found: Vec<u64> = candidates.iter().filter(|c| c.work.name() == kind).map(|c| c.sequence).collect();
        let mut rng = seed::stream(seed, kind, &[]);
        seed::shuffle(&mut found, &mut rng);
        found
    };
    let (forwards, backwards) = (of("forward"), of("backward"));
    let longest = forwards.len().max(backwards.len());
    let alternating = (0..longest).flat_map(|i| [forwards.get(i), backwards.get(i)]).flatten().copied();
    let mut drawn: Vec<u64> = alternating.take(quota.samples).collect();
    drawn.extend(of("step").into_iter().take(quota.steps));
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn work(kind: u8) -> Work {
        let z = Digest::ZERO;
        match kind {
            0 => Work::Forward { round: 0, sample: 0, attempt: 0, weights: z, input: z, output: z, loss: None },
            1 => Work::Backward {
                round: 0,
                sample: 0,
                attempt: 0,
                weights: z,
                input: z,
                output_gradient: None,
                input_gradient: None,
            },
            _ => Work::Step {
                round: 0,
                samples: vec![],
                weights_before: z,
                optimiser_before: z,
                weights_after: z,
                optimiser_after: z,
            },
        }
    }

    proptest! {
        #[test]
        fn the_quota_is_met_from_what_is_there_and_nothing_is_drawn_twice(
            kinds in prop::collection::vec(0u8..3, 0..60), samples in 0usize..8, steps in 0usize..4, beacon: [u8; 32]
        ) {
            let works: Vec<Work> = kinds.iter().map(|k| work(*k)).collect();
            let candidates: Vec<_> = works.iter().enumerate().map(|(i, work)| Candidate { sequence: i as u64, work }).collect();
            let drawn = draw(&beacon, &Digest::ZERO, &Account([1; 32]), &Account([2; 32]), &candidates, Quota { samples, steps });
            let passes = kinds.iter().filter(|k| **k < 2).count();
            let step_count = kinds.len() - passes;
            prop_assert_eq!(drawn.len(), samples.min(passes) + steps.min(step_count));
            prop_assert!(drawn.windows(2).all(|w| w[0] < w[1]));
        }
    }

    #[test]
    fn another_block_hash_draws_other_receipts() {
        let works: Vec<Work> = (0..200).map(|_| work(0)).collect();
        let candidates: Vec<_> =
            works.iter().enumerate().map(|(i, work)| Candidate { sequence: i as u64, work }).collect();
        let at = |b: u8| {
            draw(
                &[b; 32],
                &Digest::ZERO,
                &Account([1; 32]),
                &Account([2; 32]),
                &candidates,
                Quota { samples: 6, steps: 0 },
            )
        };
        assert_ne!(at(1), at(2));
    }
}
