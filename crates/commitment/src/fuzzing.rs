//! What a peer sends, as functions of bytes: the bodies of the fuzz targets in `fuzz/`, also driven by `tests/fuzzing.rs`.
//!
//! Invariant of each: it returns, whatever the bytes, and nothing that was not committed to verifies. Not part of the API.
#![allow(missing_docs)]

use bytes::Bytes;
use parity_scale_codec::{Compact, Decode};

use crate::{
    Canonical, DType, Digest, Limits,
    log::{Consistency, Frontier, Inclusion, Log, Root},
    opening,
    tree::{Layout, Tree},
};

/// A root that no bytes lead to, unless BLAKE3 is broken.
const NOBODYS: Digest = Digest(*b"a digest that nothing can reach.");

/// Proofs and frontiers of receipt logs; roots are signed, but by a stranger.
pub fn log(mut bytes: &[u8]) {
    let input = &mut bytes;
    let Ok(indices) = <Vec<Compact<u64>>>::decode(&mut input.split_off(..input.len().min(64)).unwrap_or_default())
    else {
        return;
    };
    let Ok((old, size)) = <(u64, u64)>::decode(input) else { return };
    let leaves: Vec<(u64, &[u8])> = indices.iter().map(|index| (index.0, &b"a leaf"[..])).collect();
    let root = Root { size, digest: NOBODYS };
    if let Ok(proof) = Inclusion::decode(&mut &**input) {
        assert!(proof.verify(&root, &leaves).is_err(), "a leaf below a root that nobody made");
    }
    if let Ok(proof) = Consistency::decode(&mut &**input) {
        let before = Root { size: old, digest: Digest::ZERO };
        assert!(proof.verify(&before, &root).is_err(), "a root that nobody made continues another");
    }
    if let Ok(mut frontier) = Frontier::decode(input) {
        let mut log = Log::resume(&frontier);
        assert_eq!(log.root(), frontier.root(), "a log begins where its frontier ends");
        for _ in 0..3 {
            frontier.append(b"a leaf");
            log.append(b"a leaf");
        }
        assert_eq!(log.root(), frontier.root(), "and goes on as it does");
        let proof = log.prove(log.size(), &[log.kept_from(), log.kept_from() + 2]);
        let leaves = [log.kept_from(), log.kept_from() + 2].map(|index| (index, b"a leaf"));
        assert_eq!(proof.and_then(|p| p.verify(&log.root(), &leaves)), Ok(()), "what was appended proves");
    }
}

/// Canonical tensors, openings, and shards of a weight tree.
pub fn weights(bytes: &[u8]) {
    let _ = Canonical::decode(Bytes::copy_from_slice(bytes), Limits { max_bytes: 1 << 20, max_rank: 8 });
    let mut input = bytes;
    let Ok((elements, start, end, count)) = <(u64, u64, u64, u8)>::decode(&mut input) else { return };
    assert!(opening::verify(&NOBODYS, elements, start..end, input).is_err(), "an opening of a root that nobody made");
    let Ok(layout) = Layout::new(DType::F32, &[elements]) else { return };
    assert!(layout.opened(&NOBODYS, start..end, input).is_err());
    let leaves = start..end;
    let digests = vec![NOBODYS; count.into()];
    assert!(layout.verify(&leaves, input, &digests).is_err(), "a shard that nobody committed to");
    let _ = layout.digests(&leaves, input);
    let _ = (layout.elements(&leaves), layout.digest_count(&leaves));
    // Any cut in two, and more: the root is the whole's digests' root or an error.
    let whole = 0..layout.leaves();
    let cut = layout.cut(start.min(256));
    assert!(cut.count() >= 1 && cut.shard(cut.count()).is_none());
    if let (Some(first), Some(last)) = (cut.shard(0), cut.shard(cut.count() - 1)) {
        assert!(first.start == 0 && last.end == whole.end, "a cut covers the whole");
    }
    let parts = [0..start, start..whole.end];
    let digests: Vec<Vec<Digest>> =
        parts.iter().map(|part| vec![NOBODYS; layout.digest_count(part).unwrap_or_default()]).collect();
    let _ = layout.root(parts.iter().cloned().zip(digests.iter().map(Vec::as_slice)));
    if elements <= 1 << 16
        && let Ok(tree) = Tree::from_leaves(layout.clone(), vec![NOBODYS; whole.end as usize])
    {
        let _ = (tree.digests(&leaves), tree.open(input, start..end));
    }
}
