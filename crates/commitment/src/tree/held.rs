//! The nodes of a weight tree, kept by whoever holds the weights or has verified all leaves.
//!
//! Invariant: every node kept is the join of those below it, and the top is the root.

use std::ops::Range;

use bao_tree::{BaoTree, TreeNode, io::sync::Outboard};
use bytes::Bytes;

use super::{LEAF, Layout, TreeError};
use crate::{
    Canonical, DType, Digest, HEADER, TensorError, data_range,
    opening::{GROUP, OpeningError, open_with},
};

/// All nodes above the leaves of one weight tree, leaves included: 64 bytes a leaf, four thousandths of the weights.
///
/// With it, digests of any shard and openings of any range cost no second hashing of the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    layout: Layout,
    /// Level 0 are the leaves; a last node without a partner moves up as it is. The last level is the root alone.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Commit to elements that `fill` writes, little-endian: the blob and its tree, hashed once. As [`Canonical::build`].
    ///
    /// # Errors
    /// What `fill` says, or [`TensorError`] for a tensor that cannot be.
    pub fn build<E: From<TensorError>>(
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(Canonical, Self), E> {
        Self::build_by(dtype, shape, fill, one_by_one)
    }

    /// As [`Tree::build`]; `fill` runs here, the threads of `pool` hash.
    ///
    /// # Errors
    /// As [`Tree::build`].
    #[cfg(feature = "parallel")]
    pub fn build_parallel<E: From<TensorError>>(
        pool: &rayon::ThreadPool,
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(Canonical, Self), E> {
        Self::build_by(dtype, shape, fill, |layout, data| pool.install(|| side_by_side(layout, data)))
    }

    fn build_by<E: From<TensorError>>(
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
        leaves: impl FnOnce(&Layout, &[u8]) -> Vec<Digest>,
    ) -> Result<(Canonical, Self), E> {
        let mut tree = Self::above(Layout::new(dtype, shape)?, Vec::new());
        let tensor = Canonical::build_hashed(dtype, shape, fill, |blob| {
            let digests = leaves(&tree.layout, blob.get(HEADER..).unwrap_or_default());
            tree = Self::above(tree.layout.clone(), digests);
            tree.root()
        })?;
        Ok((tensor, tree))
    }

    /// The tree of a tensor that is there already; hashes it.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn of(tensor: &Canonical) -> Result<Self, TensorError> {
        let layout = Layout::new(tensor.dtype(), tensor.shape())?;
        let leaves = one_by_one(&layout, tensor.data());
        Ok(Self::above(layout, leaves))
    }

    /// As [`Tree::of`], by the threads of `pool`.
    ///
    /// # Errors
    /// As [`Layout::new`].
    #[cfg(feature = "parallel")]
    pub fn of_parallel(pool: &rayon::ThreadPool, tensor: &Canonical) -> Result<Self, TensorError> {
        let layout = Layout::new(tensor.dtype(), tensor.shape())?;
        let leaves = pool.install(|| side_by_side(&layout, tensor.data()));
        Ok(Self::above(layout, leaves))
    }

    /// The tree above all leaves, without the weights. Where there is one leaf, its digest is the root.
    ///
    /// # Errors
    /// [`TreeError::Count`].
    pub fn from_leaves(layout: Layout, leaves: Vec<Digest>) -> Result<Self, TreeError> {
        let (need, got) = (layout.leaves(), leaves.len());
        if need != got as u64 {
            return Err(TreeError::Count { start: 0, end: need, need: need as usize, got });
        }
        Ok(Self::above(layout, leaves))
    }

    fn above(layout: Layout, leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        let mut span = 1;
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            span *= 2;
            let up = (0..).step_by(span as usize).zip(below.chunks(2)).filter_map(|(start, pair)| match pair {
                [left, right] => Some(layout.join(&(start..(start + span).min(layout.leaves())), left, right)),
                [alone] => Some(*alone),
                _ => None,
            });
            let up = up.collect();
            levels.push(up);
        }
        Self { layout, levels }
    }

    /// Where the leaves are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Commitment and address of the weights.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_default()
    }

    /// The digests of all leaves, in order.
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        self.levels.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// The digests of a shard, as [`Layout::digests`] makes them from its elements.
    ///
    /// # Errors
    /// [`TreeError::Leaves`].
    pub fn digests(&self, leaves: &Range<u64>) -> Result<Vec<Digest>, TreeError> {
        let node = |part: Range<u64>| {
            let level = (part.end - part.start).next_power_of_two().ilog2();
            self.node(level, part.start >> level)
        };
        Ok(self.layout.cover(leaves)?.filter_map(node).collect())
    }

    /// Open a range of elements of `blob`, which must be the blob of this tree: the bytes, rounded out to whole chunks, with
    /// the nodes that prove them. [`Layout::opened`] verifies it, and so does everything that reads bao.
    ///
    /// # Errors
    /// [`OpeningError::OutOfRange`], or [`OpeningError::Refused`] if the blob is not this tree's.
    pub fn open(&self, blob: &[u8], elements: Range<u64>) -> Result<Bytes, OpeningError> {
        if blob.len() as u64 != self.layout.length {
            return Err(OpeningError::Refused(format!(
                "the blob has {} bytes, its tree stands above {}",
                blob.len(),
                self.layout.length
            )));
        }
        open_with(blob, self, data_range(self.layout.dtype, elements))
    }

    fn node(&self, level: u32, index: u64) -> Option<Digest> {
        self.levels.get(level as usize)?.get(usize::try_from(index).ok()?).copied()
    }
}

/// The digests of all leaves of the tensor with these elements.
fn one_by_one(layout: &Layout, data: &[u8]) -> Vec<Digest> {
    (0..layout.leaves()).map(|leaf| layout.subtree(&(leaf..leaf + 1), 0, data)).collect()
}

/// The same, by all threads of the rayon pool that this is called in.
#[cfg(feature = "parallel")]
fn side_by_side(layout: &Layout, data: &[u8]) -> Vec<Digest> {
    use rayon::prelude::*;
    (0..layout.leaves()).into_par_iter().map(|leaf| layout.subtree(&(leaf..leaf + 1), 0, data)).collect()
}

impl Outboard for Tree {
    fn root(&self) -> blake3::Hash {
        blake3::Hash::from_bytes(Self::root(self).0)
    }
    fn tree(&self) -> BaoTree {
        BaoTree::new(self.layout.length, GROUP)
    }
    fn load(&self, node: TreeNode) -> std::io::Result<Option<(blake3::Hash, blake3::Hash)>> {
        // A node of level l in chunks joins two subtrees of 2^l chunks; those within a leaf are not kept.
        let Some(level) = node.level().checked_sub(GROUP.chunk_log().into()) else { return Ok(None) };
        let first = (node.chunk_range().start.to_bytes() / LEAF) >> level;
        let hash = |digest: Digest| blake3::Hash::from_bytes(digest.0);
        Ok(self.node(level, first).zip(self.node(level, first + 1)).map(|(left, right)| (hash(left), hash(right))))
    }
}
