//! Pathways: one miner per stage for every sample of a round.
//!
//! Invariant: a pure function of the run's seed, epoch, round and the live roster, so every reader of the ledger can check
//! that the orchestrator favoured nobody. Shares within a stage differ by at most one sample. Who works with whom changes
//! from round to round, which is what attribution by pathways (CLASP, training.md 4.5) needs.

use crate::{Epoch, Round, Uid, seed};

/// `roster[stage]` lists the live miners of a stage by uid, ascending. Returns for each of `samples` one uid per stage.
/// Empty if a stage has nobody.
#[must_use]
pub fn pathways(run_seed: u64, epoch: Epoch, round: Round, samples: u32, roster: &[Vec<Uid>]) -> Vec<Vec<Uid>> {
    if roster.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let mut paths = vec![Vec::with_capacity(roster.len()); samples as usize];
    for (stage, miners) in roster.iter().enumerate() {
        let mut rng = seed::stream(run_seed, "routing", &[u64::from(epoch), u64::from(round), stage as u64]);
        let mut order: Vec<usize> = (0..paths.len()).collect();
        seed::shuffle(&mut order, &mut rng);
        // Who takes the odd sample when shares are uneven rotates with the draw as well.
        let mut dealt = miners.clone();
        seed::shuffle(&mut dealt, &mut rng);
        for (position, sample) in order.into_iter().enumerate() {
            paths[sample].push(dealt[position % dealt.len()]);
        }
    }
    paths
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_sample_gets_one_miner_of_each_stage_and_shares_are_even(
            seed: u64, epoch in 0u32..9, round in 0u32..9, samples in 1u32..40, sizes in prop::collection::vec(1usize..6, 1..5)
        ) {
            let mut next = 0;
            let roster: Vec<Vec<Uid>> = sizes.iter().map(|n| (0..*n).map(|_| { next += 1; next }).collect()).collect();
            let paths = pathways(seed, epoch, round, samples, &roster);
            prop_assert_eq!(paths.len(), samples as usize);
            for (stage, miners) in roster.iter().enumerate() {
                let mut load: BTreeMap<Uid, u32> = miners.iter().map(|u| (*u, 0)).collect();
                for path in &paths {
                    prop_assert_eq!(path.len(), roster.len());
                    *load.get_mut(&path[stage]).expect("a miner of another stage") += 1;
                }
                let (least, most) = (load.values().min().copied().unwrap_or(0), load.values().max().copied().unwrap_or(0));
                prop_assert!(most - least <= 1);
            }
            prop_assert_eq!(paths, pathways(seed, epoch, round, samples, &roster));
        }
    }

    #[test]
    fn a_stage_without_miners_gives_no_pathway() {
        assert!(pathways(1, 0, 0, 4, &[vec![1], vec![]]).is_empty());
    }
}
