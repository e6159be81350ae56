//! The nodes of a weight tree, kept by whoever holds the weights or has verified all leaves.
//!
//! Invariant: every node kept is the join of those below it, and the top is the root.

use std::ops::Range;

use bao_tree::{BaoTree, TreeNode, io::sync::Outboard};
use bytes::Bytes;

use super::{LEAF, Layout, TreeError};
use crate::{
    Canonical, DType, Digest, TensorError, data_range,
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
    /// Commit to a tensor given as little-endian elements: its blob and its tree, hashed once.
    ///
    /// # Errors
    /// [`TensorError`] if there is no such tensor, or the data does not fill the shape exactly.
    pub fn commit(dtype: DType, shape: &[u64], data: &[u8]) -> Result<(Canonical, Self), TensorError> {
        let layout = Layout::new(dtype, shape)?;
        let all = 0..layout.leaves();
        let wrong = |_| TensorError::Length { need: layout.length() - crate::HEADER as u64, got: data.len() as u64 };
        let tree = Self::above(layout.clone(), layout.leaf_digests(&all, data).map_err(wrong)?);
        Ok((Canonical::hashed(dtype, shape, data, tree.root()), tree))
    }

    /// The tree of a tensor that is there already; hashes it.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn of(tensor: &Canonical) -> Result<Self, TensorError> {
        let layout = Layout::new(tensor.dtype(), tensor.shape())?;
        let wrong = |_| TensorError::Length { need: layout.length(), got: tensor.bytes().len() as u64 };
        let leaves = layout.leaf_digests(&(0..layout.leaves()), tensor.data()).map_err(wrong)?;
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
