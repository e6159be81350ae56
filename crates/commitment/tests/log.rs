//! What others build on: a root fixes size and leaves, every leaf proves and nothing else does, a later root continues an earlier one.
#![allow(clippy::unwrap_used)]

use parity_scale_codec::{Compact, Decode, DecodeAll, Encode};
use proptest::prelude::*;
use starling_commitment::{
    Digest,
    log::{Consistency, Frontier, Inclusion, Log, LogError, MAX_OPENED, MAX_SIZE, Root},
};

fn bytes(i: u64) -> Vec<u8> {
    format!("receipt {i}").into_bytes()
}

fn log_of(size: u64) -> Log {
    let mut log = Log::new();
    for i in 0..size {
        assert_eq!(log.append(&bytes(i)), i);
    }
    log
}

fn opened(indices: &[u64]) -> Vec<(u64, Vec<u8>)> {
    indices.iter().map(|i| (*i, bytes(*i))).collect()
}

fn at_size(size: u64, digest: Digest) -> Root {
    Root { size, digest }
}

/// RFC 6962, section 2.1, word by word and by recursion: nothing here is shared with the code under test but BLAKE3.
mod rfc {
    pub type Hash = [u8; 32];

    fn split(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    fn join(left: Hash, right: Hash) -> Hash {
        blake3::derive_key("starling.log.node.v1", &[left, right].concat())
    }

    pub fn mth(d: &[Vec<u8>]) -> Hash {
        match d {
            [] => blake3::derive_key("starling.log.node.v1", b""),
            [leaf] => blake3::derive_key("starling.log.leaf.v1", leaf),
            _ => join(mth(&d[..split(d.len())]), mth(&d[split(d.len())..])),
        }
    }

    pub fn root(d: &[Vec<u8>]) -> Hash {
        blake3::derive_key("starling.log.root.v1", &[&(d.len() as u64).to_le_bytes()[..], &mth(d)].concat())
    }

    pub fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        if d.len() == 1 {
            return vec![];
        }
        let k = split(d.len());
        if m < k {
            [path(m, &d[..k]), vec![mth(&d[k..])]].concat()
        } else {
            [path(m - k, &d[k..]), vec![mth(&d[..k])]].concat()
        }
    }

    /// SUBPROOF, with the first node always there.
    pub fn subproof(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
        if m == d.len() {
            return vec![mth(d)];
        }
        let k = split(d.len());
        if m <= k {
            [subproof(m, &d[..k]), vec![mth(&d[k..])]].concat()
        } else {
            [subproof(m - k, &d[k..]), vec![mth(&d[..k])]].concat()
        }
    }
}

#[test]
fn roots_and_proofs_are_those_of_the_recursive_definition() {
    let log = log_of(70);
    let leaves: Vec<Vec<u8>> = (0..70).map(bytes).collect();
    for n in 0..=70u64 {
        let d = &leaves[..n as usize];
        assert_eq!(log.root_at(n).unwrap(), Root { size: n, digest: Digest(rfc::root(d)) });
        for m in 0..n {
            assert_eq!(log.prove(n, &[m]).unwrap().encode(), rfc::path(m as usize, d).encode());
        }
        for m in 1..n {
            assert_eq!(log.consistency(m, n).unwrap().encode(), rfc::subproof(m as usize, d).encode());
        }
    }
}

/// Made outside of this code base, from the recursive definition over another binding of BLAKE3; sizes 0 to 8.
const ROOTS: [&str; 9] = [
    "a35ad370b3aa2268475d775094272d758fe130a4d186b591f7ecb3d262df2cb6",
    "79be9e2f95302cb371b3def441f515e81f0b885d20e09d495893772943601fa1",
    "1a6e80dea03ca6662424c3a5ddecd1c1c930381611bf184d6924745c7c24f499",
    "237a7e15f5e083332254d8db36ca70f5f92dc2e785f5861ad4e5e90fa19cf47c",
    "7c6d7bca28008538bc3f60fb3ef14d4aa76814bd77fad95e734d911cc2fb2d5c",
    "8d43b84015886a046d55591211c9439ce064f853733f19bdf2e5746aa6062bf6",
    "f320974b4b0e00a1e65f7434159a1080bca1e1af7e46699e85f7cd105cce4291",
    "984309fd7a7037526f4bf99177d8c9b615e6fb19d6a229966fb2839dbf5ea15f",
    "ffc24ec0e4873bea7b8ebbafe46931dc4652fc9d11915a497410fcb45ef86f05",
];
/// Leaf 4 of 7.
const PATH: [&str; 3] = [
    "96c1b8f8859fbd021a6bfd4cfe1a4508f7696383283374fb35c2a88bc6aa36a3",
    "44b7fb73c0af8d7c1718ea48adea69e1acc124849845868057e3c22a5733e71f",
    "e518a67ff9609342309415038de7f23ea7c56852bf17c4c13d99e56ab9fb8c76",
];
/// From 3 to 7 leaves.
const CONTINUED: [&str; 4] = [
    "f9981345b88f3763bce0e3a54aac5a35e44ca1d26d5bec23acb6d4c656cd8bab",
    "bc2d33426d99faa4090c7287b1ccf7802913d1fff938b747e40499b3eeb708d9",
    "c8d28f8b3535aa6b9c40e7af54481d05205f04a02ec2ebe11c3a129808b715e6",
    "dd680571222d7ced725b1a24f886e9615b6dda7909f80b164e41421d94219e91",
];

fn nodes(text: &[&str]) -> Vec<u8> {
    let digests: Vec<Digest> = text.iter().map(|t| t.parse().unwrap()).collect();
    digests.encode()
}

/// If this fails, every tally ever signed has become unreadable.
#[test]
fn the_hashes_and_the_wire_do_not_drift() {
    let log = log_of(8);
    for (size, expected) in (0..).zip(ROOTS) {
        let root = log.root_at(size).unwrap();
        assert_eq!(root.digest.to_string(), expected);
        assert_eq!(root.encode(), [&size.to_le_bytes()[..], &root.digest.0].concat());
    }
    assert_eq!(Root::empty(), Log::new().root());
    assert_eq!(log.prove(7, &[4]).unwrap().encode(), nodes(&PATH));
    assert_eq!(log.consistency(3, 7).unwrap().encode(), nodes(&CONTINUED));
    let frontier = log.frontier_at(6).unwrap().encode();
    assert_eq!(frontier.len(), 8 + 2 * 32, "the size says how many digests follow");
    assert_eq!(frontier[..8], 6u64.to_le_bytes());
}

/// Every set of leaves of every log of up to 9 leaves.
#[test]
fn every_set_of_leaves_proves_and_shared_nodes_are_sent_once() {
    let log = log_of(9);
    for size in 1..=9u64 {
        let root = log.root_at(size).unwrap();
        for set in 1u64..1 << size {
            let indices: Vec<u64> = (0..size).filter(|i| set >> i & 1 == 1).collect();
            let proof = log.prove(size, &indices).unwrap();
            proof.verify(&root, &opened(&indices)).unwrap();
            let alone: usize = indices.iter().map(|i| Inclusion::length(size, &[*i]).unwrap()).sum();
            assert!(Inclusion::length(size, &indices).unwrap() <= alone);
        }
    }
    let all: Vec<u64> = (0..9).collect();
    assert_eq!(Inclusion::length(9, &all), Ok(0), "who knows every leaf needs no node");
    assert_eq!(log.prove(9, &all).unwrap().encode(), [0]);
}

#[test]
fn consistency_holds_for_every_pair_and_only_for_it() {
    let log = log_of(40);
    let mut other = Log::new();
    for i in 0..40 {
        other.append(&bytes(i + u64::from(i >= 20)));
    }
    for new in 0..=40 {
        for old in 0..=new {
            let (before, after) = (log.root_at(old).unwrap(), log.root_at(new).unwrap());
            let proof = log.consistency(old, new).unwrap();
            proof.verify(&before, &after).unwrap();
            let (fork_before, fork_after) = (other.root_at(old).unwrap(), other.root_at(new).unwrap());
            other.consistency(old, new).unwrap().verify(&fork_before, &fork_after).unwrap();
            if new > 20 {
                assert_eq!(proof.verify(&before, &fork_after).is_ok(), old == 0, "{old} {new}");
                assert_eq!(other.consistency(old, new).unwrap().verify(&before, &fork_after).is_ok(), old <= 20);
            }
            if old != new {
                assert_eq!(proof.verify(&after, &before), Err(LogError::Backwards { old: new, new: old }));
                // Every root continues the empty log: there is nothing that it could contradict.
                assert_eq!(proof.verify(&before, &Root { size: new, digest: before.digest }).is_ok(), old == 0);
                assert!(proof.verify(&Root { size: old, digest: after.digest }, &after).is_err());
            }
        }
    }
    let (one, two) = (log.root(), other.root());
    assert_eq!(log.consistency(40, 40).unwrap().verify(&one, &two), Err(LogError::Forked { size: 40 }));
}

/// In RFC 6962 the left part of three leaves passes for a leaf of a log of two. Here the root says how many leaves there are.
#[test]
fn a_root_of_one_size_is_none_of_another() {
    let log = log_of(33);
    for size in 1..=33 {
        let digest = log.root_at(size).unwrap().digest;
        for claimed in (1..=33).filter(|claimed| *claimed != size) {
            let root = Root { size: claimed, digest };
            for index in 0..claimed.min(size) {
                for made_for in [size, claimed] {
                    if index < made_for {
                        let proof = log.prove(made_for, &[index]).unwrap();
                        assert!(proof.verify(&root, &opened(&[index])).is_err(), "{size} as {claimed}, leaf {index}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_inner_node_is_no_leaf() {
    let leaves: Vec<Vec<u8>> = (0..2).map(bytes).collect();
    let inner = [rfc::mth(&leaves[..1]), rfc::mth(&leaves[1..])].concat();
    let mut log = Log::new();
    log.append(&inner);
    let (one, two) = (log.root(), log_of(2).root());
    assert_ne!(one.digest, two.digest);
    assert!(log.prove(1, &[0]).unwrap().verify(&two, &[(0, &inner)]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn leaves_prove_and_no_other_leaf_place_size_or_root_does(
        size in 1u64..600, at in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        which: prop::sample::Index, flip in 0usize..10_000,
    ) {
        let log = log_of(size);
        let mut indices: Vec<u64> = at.iter().map(|i| i.index(size as usize) as u64).collect();
        indices.sort_unstable();
        indices.dedup();
        let (root, proof, leaves) = (log.root(), log.prove(size, &indices).unwrap(), opened(&indices));
        prop_assert_eq!(proof.verify(&root, &leaves), Ok(()));
        prop_assert_eq!(proof.encode().len(), Compact(Inclusion::length(size, &indices).unwrap() as u32).encode().len()
            + 32 * Inclusion::length(size, &indices).unwrap());
        prop_assert_eq!(&Inclusion::decode_all(&mut &proof.encode()[..]).unwrap(), &proof);

        // Another leaf.
        let which = which.index(leaves.len());
        let mut wrong = leaves.clone();
        wrong[which].1.push(0);
        prop_assert_eq!(proof.verify(&root, &wrong), Err(LogError::Refused { size }));
        // The leaf elsewhere: with its own proof, and with that of its new place.
        for moved in (0..size).filter(|m| !indices.contains(m)).take(40) {
            let mut wrong = leaves.clone();
            wrong[which].0 = moved;
            wrong.sort();
            prop_assert!(proof.verify(&root, &wrong).is_err());
            let places: Vec<u64> = wrong.iter().map(|(i, _)| *i).collect();
            prop_assert!(log.prove(size, &places).unwrap().verify(&root, &wrong).is_err());
        }
        // Another size or root.
        for other in [size - 1, size + 1, 2 * size, 0, u64::MAX] {
            prop_assert!(proof.verify(&at_size(other, root.digest), &leaves).is_err());
        }
        let mut digest = root.digest;
        digest.0[flip % 32] ^= 1;
        prop_assert!(proof.verify(&at_size(size, digest), &leaves).is_err());
        // Any bit of the proof, one node less, one more.
        let encoded = proof.encode();
        let prefix = encoded.len() % 32;
        if encoded.len() > prefix {
            let mut forged = encoded.clone();
            forged[prefix + flip % (encoded.len() - prefix)] ^= 1;
            prop_assert!(Inclusion::decode_all(&mut &forged[..]).unwrap().verify(&root, &leaves).is_err());
        }
        let mut nodes: Vec<Digest> = Decode::decode(&mut &encoded[..]).unwrap();
        nodes.push(Digest::ZERO);
        let longer = Inclusion::decode_all(&mut &nodes.encode()[..]).unwrap();
        prop_assert_eq!(longer.verify(&root, &leaves), Err(LogError::Length { need: nodes.len() - 1, got: nodes.len() }));
        if nodes.len() > 1 {
            nodes.truncate(nodes.len() - 2);
            let shorter = Inclusion::decode_all(&mut &nodes.encode()[..]).unwrap();
            prop_assert_eq!(shorter.verify(&root, &leaves), Err(LogError::Length { need: nodes.len() + 1, got: nodes.len() }));
        }
    }

    #[test]
    fn a_damaged_consistency_proof_proves_nothing(old in 1u64..500, more in 1u64..500, flip in 0usize..10_000) {
        let (log, new) = (log_of(old + more), old + more);
        let (before, after, proof) = (log.root_at(old).unwrap(), log.root(), log.consistency(old, new).unwrap());
        prop_assert_eq!(proof.verify(&before, &after), Ok(()));
        let encoded = proof.encode();
        prop_assert_eq!(&Consistency::decode_all(&mut &encoded[..]).unwrap(), &proof);
        prop_assert!(encoded.len() <= 1 + 32 * (new.ilog2() as usize + 2));
        let mut forged = encoded.clone();
        forged[1 + flip % (encoded.len() - 1)] ^= 1;
        prop_assert!(Consistency::decode_all(&mut &forged[..]).unwrap().verify(&before, &after).is_err());
        for other in [old - 1, old + 1] {
            prop_assert!(proof.verify(&at_size(other, before.digest), &after).is_err());
        }
        for other in [new - 1, new + 1, u64::MAX] {
            prop_assert!(proof.verify(&before, &at_size(other, after.digest)).is_err());
        }
    }

    #[test]
    fn a_frontier_gives_the_same_roots_as_the_log_and_carries_it_over_a_restart(before in 0u64..300, after in 0u64..300) {
        let size = before + after;
        let whole = log_of(size);
        let mut frontier = Frontier::new();
        for i in 0..before {
            frontier.append(&bytes(i));
        }
        prop_assert_eq!(&whole.frontier_at(before).unwrap(), &frontier);
        frontier = Frontier::decode_all(&mut &frontier.encode()[..]).unwrap();
        let mut log = Log::resume(&frontier);
        prop_assert_eq!(log.root(), whole.root_at(before).unwrap());
        for i in before..size {
            prop_assert_eq!((frontier.append(&bytes(i)), log.append(&bytes(i))), (i, i));
            prop_assert_eq!((frontier.root(), log.root()), (whole.root_at(i + 1).unwrap(), whole.root_at(i + 1).unwrap()));
        }
        prop_assert_eq!(log.consistency(before, size), whole.consistency(before, size));
        prop_assert_eq!(log.frontier_at(size).unwrap(), frontier);
        for i in before..size {
            prop_assert_eq!(log.prove(size, &[i]), whole.prove(size, &[i]));
        }
    }

    #[test]
    fn a_pruned_log_proves_what_it_still_has_and_says_so_of_the_rest(
        size in 1u64..400, first: prop::sample::Index, second: prop::sample::Index, more in 0u64..70,
    ) {
        let whole = log_of(size + more);
        let mut log = log_of(size);
        for kept in [first.index(size as usize + 1) as u64, second.index(size as usize + 1) as u64] {
            log.prune(kept);
        }
        let kept_from = log.kept_from();
        prop_assert_eq!(kept_from, (first.index(size as usize + 1).max(second.index(size as usize + 1))) as u64);
        for i in size..size + more {
            log.append(&bytes(i));
        }
        let size = size + more;
        for n in kept_from.max(1)..=size {
            prop_assert_eq!(log.root_at(n), whole.root_at(n));
            prop_assert_eq!(log.frontier_at(n), whole.frontier_at(n));
            prop_assert_eq!(log.consistency(n, size), whole.consistency(n, size));
            prop_assert_eq!(log.consistency(kept_from, n), whole.consistency(kept_from, n));
            if n > kept_from {
                let (a, b) = (kept_from, n - 1);
                let indices = if a == b { vec![a] } else { vec![a, b] };
                prop_assert_eq!(log.prove(n, &indices), whole.prove(n, &indices));
            }
        }
        if kept_from > 0 {
            let pruned = LogError::Pruned { kept_from };
            prop_assert_eq!(log.prove(size, &[kept_from - 1]), Err(pruned.clone()));
            prop_assert_eq!(log.root_at(kept_from - 1), Err(pruned.clone()));
            prop_assert_eq!(log.consistency(kept_from - 1, size), Err(pruned));
        }
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_prove(bytes in prop::collection::vec(any::<u8>(), 0..300), size: u64, shift in 0u32..64) {
        starling_commitment::fuzzing::log(&bytes);
        let root = Root { size: size >> shift, digest: Digest(*b"what nobody has found a leaf for") };
        if let Ok(proof) = Inclusion::decode(&mut &bytes[..]) {
            prop_assert!(proof.verify(&root, &[(size % 7, &bytes)]).is_err());
        }
        if let Ok(proof) = Consistency::decode(&mut &bytes[..]) {
            let later = at_size(size | 1, root.digest);
            prop_assert!(proof.verify(&root, &later).is_err() || later == root);
        }
    }
}

#[test]
fn lengths_are_checked_before_anything_is_allocated_or_hashed() {
    // A count without nodes, too many nodes, a frontier of more leaves than any log.
    let claims = |count: u32| Compact(count).encode();
    for count in [1, 1000, u32::MAX / 4, u32::MAX] {
        assert!(Inclusion::decode(&mut &claims(count)[..]).is_err());
        assert!(Consistency::decode(&mut &claims(count)[..]).is_err());
    }
    assert!(Consistency::decode(&mut &vec![Digest::ZERO; 50].encode()[..]).is_err());
    assert!(Consistency::decode(&mut &vec![Digest::ZERO; 49].encode()[..]).is_ok());
    for size in [MAX_SIZE + 1, u64::MAX] {
        let bytes = [&size.to_le_bytes()[..], &[0; 64 * 32]].concat();
        assert!(Frontier::decode(&mut &bytes[..]).is_err());
    }
    let mut largest = Frontier::decode(&mut &[&(MAX_SIZE - 1).to_le_bytes()[..], &[0; 48 * 32]].concat()[..]).unwrap();
    assert_eq!(largest.append(b"one more"), MAX_SIZE - 1);

    let log = log_of(5);
    let (root, proof) = (log.root(), log.prove(5, &[1]).unwrap());
    assert_eq!(proof.verify::<&[u8]>(&root, &[]), Err(LogError::Leaves { asked: 0 }));
    let many: Vec<(u64, &[u8])> = (0..=MAX_OPENED as u64).map(|i| (i, &b""[..])).collect();
    assert_eq!(proof.verify(&root, &many), Err(LogError::Leaves { asked: MAX_OPENED + 1 }));
    assert_eq!(proof.verify(&root, &[(5, b"")]), Err(LogError::NoLeaf { index: 5, size: 5 }));
    assert_eq!(proof.verify(&root, &[(1, b""), (1, b"")]), Err(LogError::Order { index: 1 }));
    assert_eq!(proof.verify(&root, &[(2, b""), (1, b"")]), Err(LogError::Order { index: 1 }));
    assert_eq!(log.prove(6, &[1]), Err(LogError::NoSize { size: 6, have: 5 }));
    assert_eq!(log.prove(0, &[0]), Err(LogError::NoLeaf { index: 0, size: 0 }));
    let largest = Root { size: MAX_SIZE, ..root };
    assert_eq!(proof.verify(&largest, &[(MAX_SIZE - 1, b"")]), Err(LogError::Length { need: 48, got: 3 }));
    let beyond = Root { size: MAX_SIZE + 1, ..root };
    assert_eq!(proof.verify(&beyond, &[(0, b"")]), Err(LogError::NoSize { size: MAX_SIZE + 1, have: MAX_SIZE }));
}

/// The largest proof there can be: so many leaves, spread over the largest log.
#[test]
fn the_largest_proof_fits_the_limit_of_its_decoder() {
    let spread: Vec<u64> = (0..MAX_OPENED as u64).map(|i| i * (MAX_SIZE / MAX_OPENED as u64)).collect();
    let longest = Inclusion::length(MAX_SIZE, &spread).unwrap();
    assert_eq!(longest, MAX_OPENED * 38);
    let proof = vec![Digest::ZERO; longest].encode();
    let proof = Inclusion::decode_all(&mut &proof[..]).unwrap();
    let leaves: Vec<(u64, &[u8])> = spread.iter().map(|i| (*i, &b""[..])).collect();
    let root = Root { size: MAX_SIZE, digest: Digest::ZERO };
    assert_eq!(proof.verify(&root, &leaves), Err(LogError::Refused { size: MAX_SIZE }));
}

/// The figures of the book's page on commitments: one leaf, and at most so many for 64.
#[test]
fn proofs_have_the_lengths_that_the_book_says() {
    for (size, one, many) in [(1_000, 10, 256), (100_000, 17, 704), (10_000_000, 24, 1152)] {
        assert_eq!(Inclusion::length(size, &[0]), Ok(one));
        let spread: Vec<u64> = (0..64).map(|i| i * (size / 64)).collect();
        let length = Inclusion::length(size, &spread).unwrap();
        assert!(length <= many && length > many * 8 / 10, "{length} for {size}");
    }
}
