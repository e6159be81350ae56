//! How the nodes of a receipt log are hashed.
//!
//! Invariant: leaf, inner node and root are three different functions (BLAKE3's key derivation mode, one context each), so that
//! no bytes can stand for a node of another kind. RFC 6962 has prefixes 0 and 1 for the first two. It has no third: there a root
//! does not say how many leaves it stands for, and an inner node's left part passes for a leaf of a smaller tree. Here the
//! root is a hash of the number of leaves, too: 32 bytes on chain fix size and content.

use std::sync::LazyLock;

use blake3::{
    Hasher,
    hazmat::{ContextKey, HasherExt, hash_derive_key_context},
};

use crate::Digest;

static LEAF: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("starling.log.leaf.v1"));
static NODE: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("starling.log.node.v1"));
static ROOT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("starling.log.root.v1"));

fn derive(context: &ContextKey, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::new_from_context_key(context);
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

pub(super) fn leaf(bytes: &[u8]) -> Digest {
    derive(&LEAF, &[bytes])
}

pub(super) fn join(left: Digest, right: Digest) -> Digest {
    derive(&NODE, &[&left.0, &right.0])
}

/// What stands in the place of the top node of a log without leaves.
pub(super) fn nothing() -> Digest {
    derive(&NODE, &[])
}

pub(super) fn root(size: u64, top: Digest) -> Digest {
    derive(&ROOT, &[&size.to_le_bytes(), &top.0])
}
