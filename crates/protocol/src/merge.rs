//! The butterfly: who averages which slice of a stage's weights (training.md 4.1).
//!
//! Invariant: with two or more contributors every shard has exactly two reducers, every unordered pair of contributors
//! reduces exactly one shard, and shards partition the flat vector. So each miner reduces n − 1 of n(n − 1)/2 shards:
//! what it moves does not grow with n, and a lie needs its partner to lie alike.

use std::ops::Range;

/// Pairs `(i, j)`, `i < j`, of positions in the contributor list, one per shard; a lone contributor reduces alone.
#[must_use]
pub fn pairs(contributors: usize) -> Vec<(usize, Option<usize>)> {
    match contributors {
        0 => Vec::new(),
        1 => vec![(0, None)],
        n => (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, Some(j)))).collect(),
    }
}

/// The slice of a vector of `length` elements that shard `index` of `count` covers; slices differ by at most one element.
#[must_use]
pub fn shard_range(length: u64, index: u64, count: u64) -> Range<u64> {
    let cut = |i: u64| ((u128::from(length) * u128::from(i)) / u128::from(count.max(1))) as u64;
    cut(index.min(count))..cut((index + 1).min(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_partition_the_vector(length in 0u64..1_000_000, count in 1u64..200) {
            let mut end = 0;
            for i in 0..count {
                let range = shard_range(length, i, count);
                prop_assert_eq!(range.start, end);
                prop_assert!(range.end >= range.start);
                end = range.end;
            }
            prop_assert_eq!(end, length);
        }

        #[test]
        fn every_pair_shares_exactly_one_shard(n in 2usize..30) {
            let all = pairs(n);
            prop_assert_eq!(all.len(), n * (n - 1) / 2);
            let distinct: std::collections::BTreeSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), all.len());
            for miner in 0..n {
                prop_assert_eq!(all.iter().filter(|(i, j)| *i == miner || *j == Some(miner)).count(), n - 1);
            }
        }
    }
}
