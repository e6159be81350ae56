//! Which tokens a sample consists of.
//!
//! The training part of the corpus is cut into windows of `length + 1` tokens that share their edge token. A pass visits every
//! window once in an order drawn from the seed; the order is a keyed permutation computed index by index (a four-round Feistel
//! network walked until it lands inside the range), so nothing is shuffled in memory. Each pass has its own order.

use starling_commitment::{Canonical, DType};
use starling_protocol::seed;

use crate::{ModelError, convert::tensor_error, data::Manifest};

/// `length + 1` tokens from `offset` on, counted over the whole corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First token.
    pub offset: u64,
}

/// The windows of sample `index`.
///
/// # Errors
/// [`ModelError::Data`] if the corpus is shorter than one window.
pub fn sample(
    manifest: &Manifest,
    run_seed: u64,
    index: u32,
    sequences: u32,
    length: u32,
) -> Result<Vec<Window>, ModelError> {
    let windows = manifest.training_tokens().saturating_sub(1) / u64::from(length.max(1));
    if windows == 0 {
        return Err(ModelError::Data(format!(
            "the corpus has {} training tokens, one sequence needs {}: give more text or a shorter training.sequence_length",
            manifest.training_tokens(),
            u64::from(length) + 1
        )));
    }
    let first = u64::from(index) * u64::from(sequences);
    Ok((first..first + u64::from(sequences))
        .map(|i| Window { offset: permuted(i % windows, windows, run_seed, i / windows) * u64::from(length) })
        .collect())
}

fn permuted(index: u64, size: u64, run_seed: u64, pass: u64) -> u64 {
    let half = (64 - (size - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let mut keys = [0u64; 4];
    let mut rng = seed::stream(run_seed, "data", &[pass]);
    for key in &mut keys {
        *key = rand_chacha::rand_core::RngCore::next_u64(&mut rng);
    }
    let mut x = index;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for key in keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        x = (left << half) | right;
        if x < size {
            return x;
        }
    }
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Tokens and targets `[sequences, length]` of some windows; `shards` are all of the manifest's, in order.
///
/// # Errors
/// [`ModelError::Data`] if a shard is missing or not what the manifest says.
pub fn batch(
    manifest: &Manifest,
    shards: &[Canonical],
    windows: &[Window],
    length: u32,
) -> Result<(Canonical, Canonical), ModelError> {
    let wrong = |why: &str| ModelError::Data(format!("the token shards are not the manifest's: {why}"));
    if shards.len() != manifest.shards.len() {
        return Err(wrong("their number differs"));
    }
    let Some(dtype) = shards.first().map(Canonical::dtype).filter(|d| matches!(d, DType::U16 | DType::I64)) else {
        return Err(wrong("they hold no token ids"));
    };
    if !manifest.shards.iter().zip(shards).all(|(m, s)| s.dtype() == dtype && s.shape() == [m.tokens]) {
        return Err(wrong("element types or lengths differ"));
    }
    let size = dtype.size();
    let length = length as usize;
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for window in windows {
        let bytes = slice(manifest, shards, window.offset, length as u64 + 1, size)
            .ok_or_else(|| wrong("a window lies outside"))?;
        inputs.extend_from_slice(&bytes[..length * size]);
        targets.extend_from_slice(&bytes[size..]);
    }
    let shape = [windows.len() as u64, length as u64];
    let tensor = |data: &[u8]| Canonical::new(dtype, &shape, data).map_err(tensor_error("a batch"));
    Ok((tensor(&inputs)?, tensor(&targets)?))
}

/// Bytes of `count` tokens from `offset` on, across shard edges.
fn slice(manifest: &Manifest, shards: &[Canonical], offset: u64, count: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut start, end) = (0u64, offset.checked_add(count)?);
    for (shard, data) in manifest.shards.iter().zip(shards) {
        let stop = start.checked_add(shard.tokens)?;
        let (from, to) = (offset.max(start), end.min(stop));
        if from < to {
            bytes.extend_from_slice(data.data().get((from - start) as usize * size..(to - start) as usize * size)?);
        }
        start = stop;
    }
    (bytes.len() == count as usize * size).then_some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use starling_commitment::Digest;

    use super::*;
    use crate::data::Shard;

    fn corpus(tokens: u64, shard: u64) -> (Manifest, Vec<Canonical>) {
        let all: Vec<u16> = (0..tokens).map(|i| (i % 60_000) as u16).collect();
        let blobs: Vec<Canonical> =
            all.chunks(shard as usize).map(|c| Canonical::from_u16(&[c.len() as u64], c).unwrap()).collect();
        let shards = blobs.iter().map(|b| Shard { digest: b.digest(), tokens: b.elements() }).collect();
        (Manifest { vocab: 60_000, tokenizer: Digest::ZERO, tokens, held_out: 0, shards }, blobs)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_pass_visits_every_window_once(windows in 1u64..400, seed: u64, pass in 0u64..3) {
            let seen: BTreeSet<u64> = (0..windows).map(|i| permuted(i, windows, seed, pass)).collect();
            prop_assert_eq!(seen.len() as u64, windows);
            prop_assert!(seen.iter().all(|w| *w < windows));
        }
    }

    #[test]
    fn every_pass_and_every_seed_has_its_own_order() {
        let order = |seed, pass| (0..200).map(|i| permuted(i, 200, seed, pass)).collect::<Vec<_>>();
        let all: BTreeSet<_> = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0)].map(|(seed, pass)| order(seed, pass)).into();
        assert_eq!(all.len(), 5);
        let sorted: Vec<u64> = (0..200).collect();
        assert!(!all.contains(&sorted));
    }

    #[test]
    fn samples_of_one_pass_never_overlap_and_stay_out_of_the_held_out_part() {
        let (mut manifest, _) = corpus(1000, 64);
        manifest.held_out = 190;
        // 809 / 50 = 16 windows: four samples of four sequences are exactly one pass.
        let seen: BTreeSet<u64> =
            (0..4).flat_map(|i| sample(&manifest, 7, i, 4, 50).unwrap()).map(|w| w.offset).collect();
        assert_eq!(seen, (0..16).map(|i| i * 50).collect());
        let next = sample(&manifest, 7, 4, 4, 50).unwrap();
        assert_ne!(next, sample(&manifest, 7, 0, 4, 50).unwrap(), "the second pass has another order");
    }

    #[test]
    fn shards_that_are_not_the_manifests_are_refused() {
        let (manifest, mut shards) = corpus(1000, 64);
        let windows = sample(&manifest, 7, 0, 4, 50).unwrap();
        let far = [Window { offset: u64::MAX - 3 }];
        assert!(batch(&manifest, &shards, &far, 50).is_err());
        assert!(batch(&manifest, &shards[1..], &windows, 50).is_err());
        shards.swap(0, 15);
        assert!(batch(&manifest, &shards, &windows, 50).unwrap_err().to_string().contains("lengths differ"));
        shards[0] = Canonical::from_i64(&[64], &[0; 64]).unwrap();
        assert!(batch(&manifest, &shards, &windows, 50).is_err());
    }

    #[test]
    fn targets_are_the_inputs_one_further_across_shard_edges() {
        let (manifest, shards) = corpus(1000, 64);
        let windows = sample(&manifest, 7, 3, 4, 50).unwrap();
        let (inputs, targets) = batch(&manifest, &shards, &windows, 50).unwrap();
        assert_eq!(inputs.shape(), [4, 50]);
        for (x, y) in inputs.to_u16().unwrap().iter().zip(targets.to_u16().unwrap()) {
            assert_eq!(x + 1, y);
        }
    }

    #[test]
    fn a_corpus_shorter_than_a_sequence_is_refused_in_words() {
        let (manifest, _) = corpus(10, 10);
        assert!(sample(&manifest, 0, 0, 1, 50).unwrap_err().to_string().contains("give more text"));
    }
}
