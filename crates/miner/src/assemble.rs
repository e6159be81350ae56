//! An epoch's first weights from a merge: new shards where there are some, old values where a shard was lost. Pure.

use starling_protocol::merge::shard_range;

/// New weights and new momentum of one shard.
pub type Shard = (Vec<f32>, Vec<f32>);

/// Put shards together. `old` are the weights and the momentum before, needed only where a shard is `None`. `None` if the pieces
/// do not cover `length` elements exactly.
#[must_use]
pub fn assemble(length: u64, shards: &[Option<Shard>], old: Option<(&[f32], &[f32])>) -> Option<Shard> {
    let whole = usize::try_from(length).ok()?;
    if shards.is_empty() {
        let (weights, momentum) = old?;
        return (weights.len() == whole && momentum.len() == whole).then(|| (weights.to_vec(), momentum.to_vec()));
    }
    let (mut weights, mut momentum) = (Vec::with_capacity(whole), Vec::with_capacity(whole));
    for (index, shard) in (0u64..).zip(shards) {
        let range = shard_range(length, index, shards.len() as u64);
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        let (w, m) = match shard {
            Some((w, m)) => (w.as_slice(), m.as_slice()),
            None => {
                let (w, m) = old?;
                (w.get(range.clone())?, m.get(range.clone())?)
            }
        };
        if w.len() != range.len() || m.len() != range.len() {
            return None;
        }
        weights.extend_from_slice(w);
        momentum.extend_from_slice(m);
    }
    (weights.len() == whole).then_some((weights, momentum))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use starling_model::merge::outer_shard;
    use starling_protocol::config::OuterConfig;

    use super::*;

    fn vector(length: usize, seed: u32) -> Vec<f32> {
        (0..length as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) % 1000) as f32 / 500.0 - 1.0)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// However the vector is cut, the merge is what one machine computes over the whole of it, bit for bit.
        #[test]
        fn a_sharded_merge_equals_the_direct_one(length in 1usize..300, miners in 1usize..6, lost: u64) {
            let outer = OuterConfig::default();
            let (previous, momentum) = (vector(length, 1), vector(length, 2));
            let contributions: Vec<Vec<f32>> = (0..miners).map(|i| vector(length, 10 + i as u32)).collect();
            let refs: Vec<&[f32]> = contributions.iter().map(Vec::as_slice).collect();
            let (weights, velocity) = outer_shard(&previous, &momentum, &refs, &outer);

            let count = starling_protocol::merge::pairs(miners).len();
            let shards: Vec<Option<Shard>> = (0..count).map(|i| {
                let r = shard_range(length as u64, i as u64, count as u64);
                let r = r.start as usize..r.end as usize;
                let cut: Vec<&[f32]> = contributions.iter().map(|c| &c[r.clone()]).collect();
                (lost >> i & 1 == 0).then(|| outer_shard(&previous[r.clone()], &momentum[r.clone()], &cut, &outer))
            }).collect();
            let (w, m) = assemble(length as u64, &shards, Some((&previous, &momentum))).unwrap();
            for (i, shard) in shards.iter().enumerate() {
                let r = shard_range(length as u64, i as u64, count as u64);
                let r = r.start as usize..r.end as usize;
                let (expected_w, expected_m) = if shard.is_some() { (&weights, &velocity) } else { (&previous, &momentum) };
                prop_assert_eq!(&w[r.clone()], &expected_w[r.clone()]);
                prop_assert_eq!(&m[r.clone()], &expected_m[r.clone()]);
            }
        }
    }

    #[test]
    fn pieces_that_do_not_fit_give_nothing() {
        let shard = |n: usize| Some((vec![0.0; n], vec![0.0; n]));
        assert!(assemble(10, &[shard(5), shard(4)], None).is_none());
        assert!(assemble(10, &[shard(5), None], None).is_none(), "a lost shard needs the old values");
        assert!(assemble(10, &[], Some((&[0.0; 9], &[0.0; 10]))).is_none());
        assert!(assemble(10, &[], Some((&[0.5; 10], &[0.0; 10]))).is_some(), "nobody contributed: all stays");
    }
}
