//! What others build on: the address of the weights follows from their shards, however they are cut, and from nothing else.
#![allow(clippy::unwrap_used)]

use std::ops::Range;

use proptest::prelude::*;
use starling_commitment::{
    Canonical, DType, Digest, HEADER, TensorError, f32_bytes, opening,
    tree::{LEAF, Layout, Tree, TreeError},
};

/// Elements of a full leaf, and what the header takes of the first.
const FULL: u64 = LEAF / 4;
const LESS: u64 = HEADER as u64 / 4;

/// Weights from a seed.
fn seeded(elements: u64, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..elements)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
        .collect()
}

fn committed(dtype: DType, shape: &[u64], data: &[u8]) -> Result<(Canonical, Tree), TensorError> {
    Tree::build(dtype, shape, |to| {
        let (need, got) = (to.len() as u64, data.len() as u64);
        if need != got {
            return Err(TensorError::Length { need, got });
        }
        to.copy_from_slice(data);
        Ok(())
    })
}

fn part<'a>(layout: &Layout, weights: &'a [f32], leaves: &Range<u64>) -> &'a [f32] {
    let elements = layout.elements(leaves).unwrap();
    &weights[elements.start as usize..elements.end as usize]
}

/// The root from shards that were each hashed alone.
fn derived(layout: &Layout, weights: &[f32], shards: &[Range<u64>]) -> Result<Digest, TreeError> {
    let digests: Vec<Vec<Digest>> =
        shards.iter().map(|shard| layout.digests(shard, &f32_bytes(part(layout, weights, shard))).unwrap()).collect();
    layout.root(shards.iter().cloned().zip(digests.iter().map(Vec::as_slice)))
}

fn differs(result: &Result<(), TreeError>) -> bool {
    matches!(result, Err(TreeError::Differs { .. }))
}

fn is_data(result: &Result<(), TreeError>) -> bool {
    matches!(result, Err(TreeError::Data { .. }))
}

fn is_count(result: &Result<(), TreeError>) -> bool {
    matches!(result, Err(TreeError::Count { .. }))
}

/// Around every boundary of chunks, leaves and powers of two of leaves.
fn lengths() -> Vec<u64> {
    let leaf_ends = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17].map(|leaves| leaves * FULL - LESS);
    let around = leaf_ends.iter().flat_map(|end| [end - 1, *end, end + 1]);
    [0, 1, 200, 224, 225, 1000].into_iter().chain(around).collect()
}

/// Every way to cut up to 17 leaves in two, and in as many shards as anybody asks for.
#[test]
fn the_derived_root_is_the_hash_of_the_whole_blob_for_every_cut() {
    for length in lengths() {
        let weights = seeded(length, length);
        let whole = Canonical::from_f32(&[length], &weights).unwrap();
        assert_eq!(whole.digest().0, *blake3::hash(whole.bytes()).as_bytes());
        let layout = Layout::new(DType::F32, &[length]).unwrap();
        let leaves = layout.leaves();
        assert_eq!(layout.length(), whole.bytes().len() as u64);
        assert_eq!(
            derived(&layout, &weights, std::slice::from_ref(&(0..leaves))),
            Ok(whole.digest()),
            "one shard of {length}"
        );
        let each: Vec<Range<u64>> = (0..leaves).map(|leaf| leaf..leaf + 1).collect();
        assert_eq!(derived(&layout, &weights, &each), Ok(whole.digest()), "single leaves of {length}");
        for at in 1..leaves {
            assert_eq!(derived(&layout, &weights, &[0..at, at..leaves]), Ok(whole.digest()), "{length} at {at}");
        }
        for asked in 0..=leaves + 2 {
            let cut = layout.cut(asked);
            let shards: Vec<Range<u64>> = cut.shards().collect();
            assert_eq!(shards.len() as u64, cut.count());
            assert!(cut.count() >= asked.clamp(1, leaves) && cut.count() <= (2 * asked).max(1), "{asked} of {leaves}");
            assert!(shards.iter().all(|shard| layout.digest_count(shard) == Ok(1)), "a shard of a cut has one digest");
            assert_eq!(derived(&layout, &weights, &shards), Ok(whole.digest()), "{length} in {asked}");
        }
    }
}

#[test]
fn shards_of_whole_leaves_partition_the_elements() {
    for length in lengths() {
        let layout = Layout::new(DType::F32, &[length]).unwrap();
        let mut at = 0;
        for shard in layout.cut(5).shards() {
            let elements = layout.elements(&shard).unwrap();
            assert_eq!(elements.start, at);
            at = elements.end;
        }
        assert_eq!(at, length);
    }
    let layout = Layout::new(DType::F32, &[10_000]).unwrap();
    assert_eq!(layout.elements(&(0..1)), Ok(0..4064));
    assert_eq!(layout.elements(&(1..3)), Ok(4064..10_000));
}

/// The blob's hash, computed outside of this code base by another binding of BLAKE3.
#[test]
fn the_root_does_not_drift() {
    let weights: Vec<f32> = (0..20_000u16).map(f32::from).collect();
    let layout = Layout::new(DType::F32, &[20_000]).unwrap();
    let root = derived(&layout, &weights, &[0..1, 1..4, 4..5]).unwrap();
    assert_eq!(root.to_string(), "dcfc9ff928bc12a9503b34901d4b967d8baac5621aa698483850aad1fcb69b3f");
}

#[test]
fn weights_made_from_a_seed_have_the_root_of_the_same_weights_from_shards() {
    let layout = Layout::new(DType::F32, &[30_000]).unwrap();
    let first = Canonical::from_f32(&[30_000], &seeded(30_000, 7)).unwrap();
    let shards: Vec<Range<u64>> = layout.cut(3).shards().collect();
    assert_eq!(derived(&layout, &seeded(30_000, 7), &shards), Ok(first.digest()));
    assert_ne!(derived(&layout, &seeded(30_000, 8), &shards), Ok(first.digest()));
}

/// Of other shapes and element types, too: the header is in the first leaf.
#[test]
fn every_dtype_and_shape_has_its_own_root() {
    let data = vec![7u8; 80_000];
    let mut roots = Vec::new();
    for dtype in DType::ALL {
        let n = 80_000 / dtype.size() as u64;
        for shape in [vec![n], vec![2, n / 2], vec![1, n, 1]] {
            let (tensor, tree) = committed(dtype, &shape, &data).unwrap();
            assert_eq!(tensor, Canonical::new(dtype, &shape, &data).unwrap());
            assert_eq!(Tree::of(&tensor).unwrap(), tree);
            assert_eq!((tree.root(), tensor.digest()), (tensor.digest(), Digest::of(tensor.bytes())));
            roots.push(tree.root());
        }
    }
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), DType::ALL.len() * 3);
    let short = committed(DType::F32, &[20_001], &data);
    assert_eq!(short.err(), Some(TensorError::Length { need: 80_004, got: 80_000 }));
    assert!(matches!(Layout::new(DType::F32, &[1 << 46]), Err(TensorError::TooLarge { .. })));
}

#[test]
fn a_kept_tree_gives_every_shards_digests_and_opens_as_the_blob_does() {
    for length in lengths().into_iter().filter(|length| *length > 0) {
        let weights = seeded(length, 3);
        let (tensor, tree) = committed(DType::F32, &[length], &f32_bytes(&weights)).unwrap();
        let layout = tree.layout().clone();
        assert_eq!(Tree::from_leaves(layout.clone(), tree.leaves().to_vec()), Ok(tree.clone()));
        for start in 0..layout.leaves() {
            for end in start + 1..=layout.leaves() {
                let shard = start..end;
                let data = f32_bytes(part(&layout, &weights, &shard));
                assert_eq!(tree.digests(&shard), layout.digests(&shard, &data), "{shard:?} of {length}");
            }
            let elements = layout.elements(&(start..start + 1)).unwrap();
            if elements.is_empty() {
                continue;
            }
            let proof = tree.open(tensor.bytes(), elements.clone()).unwrap();
            let range = tensor.data_range(elements.clone()).unwrap();
            assert_eq!(proof, opening::open(tensor.bytes(), range).unwrap(), "one encoding, whoever makes it");
            let opened = layout.opened(&tree.root(), elements, &proof).unwrap();
            assert_eq!(opened[..], f32_bytes(part(&layout, &weights, &(start..start + 1)))[..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_derived_root_is_that_of_the_whole_for_any_cut(length in 0u64..400_000, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let weights = seeded(length, 1);
        let layout = Layout::new(DType::F32, &[length]).unwrap();
        let mut ends: Vec<u64> = cuts.iter().map(|i| 1 + i.index(layout.leaves() as usize) as u64).collect();
        ends.push(layout.leaves());
        ends.sort_unstable();
        ends.dedup();
        let mut at = 0;
        let shards: Vec<Range<u64>> = ends.into_iter().map(|end| std::mem::replace(&mut at, end)..end).collect();
        for shard in &shards {
            let most = 2 * (shard.end - shard.start).ilog2() as usize + 1;
            prop_assert!(layout.digest_count(shard).unwrap() <= most);
        }
        let whole = Canonical::from_f32(&[length], &weights).unwrap();
        prop_assert_eq!(derived(&layout, &weights, &shards), Ok(whole.digest()));
    }

    #[test]
    fn a_shard_verifies_and_no_other_bytes_place_or_digest_do(
        length in 5_000u64..100_000, a: prop::sample::Index, b: prop::sample::Index, flip: prop::sample::Index, which: prop::sample::Index,
    ) {
        let weights = seeded(length, 2);
        let layout = Layout::new(DType::F32, &[length]).unwrap();
        let leaves = layout.leaves();
        let (a, b) = (a.index(leaves as usize) as u64, b.index(leaves as usize) as u64);
        let shard = a.min(b)..a.max(b) + 1;
        let data = f32_bytes(part(&layout, &weights, &shard)).into_owned();
        let digests = layout.digests(&shard, &data).unwrap();
        prop_assert_eq!(layout.verify(&shard, &data, &digests), Ok(()));

        let mut forged = data.clone();
        forged[flip.index(data.len())] ^= 1;
        let refused = layout.verify(&shard, &forged, &digests);
        prop_assert!(differs(&refused), "{:?}", refused);
        prop_assert!(is_data(&layout.verify(&shard, &data[1..], &digests)));
        let more = [&digests[..], &[Digest::ZERO]].concat();
        prop_assert!(is_count(&layout.verify(&shard, &data, &more)));
        let mut wrong = digests.clone();
        let i = which.index(wrong.len());
        wrong[i].0[0] ^= 1;
        prop_assert!(differs(&layout.verify(&shard, &data, &wrong)));
        // The same bytes elsewhere have other digests: a chunk's number is part of its hash.
        if shard.end - shard.start == 1 && shard.start > 0 && shard.end < leaves {
            let elsewhere = if shard.start + 2 < leaves { shard.start + 1 } else { shard.start - 1 };
            if elsewhere > 0 {
                let elsewhere = elsewhere..elsewhere + 1;
                prop_assert!(layout.verify(&elsewhere, &data, &digests).is_err());
            }
        }
        // A wrong digest gives another root.
        if shard != (0..leaves) {
            let around = [0..shard.start, shard.clone(), shard.end..leaves];
            let tree = committed(DType::F32, &[length], &f32_bytes(&weights)).unwrap().1;
            let parts: Vec<(Range<u64>, Vec<Digest>)> = around.into_iter().filter(|r| !r.is_empty())
                .map(|r| (r.clone(), tree.digests(&r).unwrap())).collect();
            let root = |parts: &[(Range<u64>, Vec<Digest>)]| layout.root(parts.iter().map(|(r, d)| (r.clone(), &d[..])));
            prop_assert_eq!(root(&parts), Ok(tree.root()));
            let lied: Vec<_> = parts.iter().map(|(r, d)| (r.clone(), if *r == shard { wrong.clone() } else { d.clone() })).collect();
            prop_assert_ne!(root(&lied), Ok(tree.root()));
        }
    }
}

#[test]
fn shards_that_are_not_the_whole_make_no_root() {
    let layout = Layout::new(DType::F32, &[5 * FULL - LESS]).unwrap();
    let weights = seeded(5 * FULL - LESS, 4);
    let root = |shards: &[Range<u64>]| derived(&layout, &weights, shards);
    assert!(root(&[0..2, 2..5]).is_ok());
    assert_eq!(root(&[]), Err(TreeError::Gap { need: 0, got: 5 }));
    assert_eq!(root(std::slice::from_ref(&(0..4))), Err(TreeError::Gap { need: 4, got: 5 }));
    assert_eq!(root(&[0..2, 3..5]), Err(TreeError::Gap { need: 2, got: 3 }));
    assert_eq!(root(&[0..3, 2..5]), Err(TreeError::Gap { need: 3, got: 2 }));
    assert_eq!(root(&[2..5, 0..2]), Err(TreeError::Gap { need: 0, got: 2 }));
    assert_eq!(root(&[0..5, 0..5]), Err(TreeError::Gap { need: 5, got: 0 }));
    let digests = [Digest::ZERO; 3];
    assert_eq!(
        layout.root([(0..3, &digests[..])]),
        Err(TreeError::Count { start: 0, end: 3, need: 2, got: 3 }),
        "a subtree of two leaves and one of one"
    );
    let all = f32_bytes(&weights);
    for (start, end) in [(3, 3), (4, 2), (0, 6), (7, 9), (u64::MAX - 1, u64::MAX)] {
        let none = Err(TreeError::Leaves { start, end, leaves: 5 });
        assert_eq!(layout.digests(&(start..end), &all), none);
        assert_eq!(layout.leaf_digests(&(start..end), &all), none);
        assert_eq!(layout.elements(&(start..end)).err(), none.clone().err());
        assert!(layout.root([(start..end, &digests[..])]).is_err());
    }
    let short = Tree::from_leaves(layout, vec![Digest::ZERO; 4]);
    assert_eq!(short.err(), Some(TreeError::Count { start: 0, end: 5, need: 5, got: 4 }));
}

#[test]
fn a_tree_opens_no_other_blob() {
    let (tensor, tree) = committed(DType::F32, &[9_000], &f32_bytes(&seeded(9_000, 5))).unwrap();
    let mut other = tensor.bytes().to_vec();
    other[20_000] ^= 1;
    assert!(tree.open(&other, 4_064..9_000).is_err(), "what cannot be proven is not sent");
    assert!(tree.open(&other[1..], 0..10).is_err());
    assert!(tree.open(tensor.bytes(), 9_000..9_001).is_err() && tree.open(tensor.bytes(), 5..5).is_err());
    let proof = tree.open(tensor.bytes(), 10..20).unwrap();
    assert!(tree.layout().opened(&tree.root(), 10..20, &proof).is_ok());
    assert!(tree.layout().opened(&Digest::ZERO, 10..20, &proof).is_err());
    assert!(tree.layout().opened(&tree.root(), 5_000..5_010, &proof).is_err());
    assert!(tree.layout().opened(&tree.root(), u64::MAX - 1..u64::MAX, &proof).is_err());
}

/// However many threads hash, the tree is the same.
#[cfg(feature = "parallel")]
#[test]
fn threads_change_nothing() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for length in lengths() {
        let weights = seeded(length, 6);
        let (tensor, tree) = committed(DType::F32, &[length], &f32_bytes(&weights)).unwrap();
        let fill = |to: &mut [u8]| {
            to.copy_from_slice(&f32_bytes(&weights));
            Ok::<(), TensorError>(())
        };
        let parallel = Tree::build_parallel(&pool, DType::F32, &[length], fill).unwrap();
        assert_eq!(parallel, (tensor.clone(), tree.clone()));
        assert_eq!(Tree::of_parallel(&pool, &tensor).unwrap(), tree);
    }
}

/// The figures of the book's page on commitments.
#[test]
fn a_large_base_needs_few_digests() {
    let figures = |bytes: u64| {
        let layout = Layout::new(DType::F32, &[bytes / 4]).unwrap();
        (layout.leaves(), layout.cut(64).count())
    };
    assert_eq!(figures(1_600_000), (98, 98));
    assert_eq!(figures(1_000_000_000), (61_036, 120));
    assert_eq!(figures(8_000_000_000), (488_282, 120));
}
