//! Weight trees: the address of a stage's weights follows from digests of their shards, without the weights (design D18).
//!
//! The commitment to weights is the BLAKE3 hash of their canonical blob, which is also its address (design D2). BLAKE3 is itself a Merkle
//! tree, over chunks of 1024 bytes (BLAKE3 paper, section 2.1), so no second tree is needed: a *leaf* here is a group of 16 chunks of
//! the blob, a *digest* is the chaining value of a subtree of it, and the root is the blob's hash.
//!
//! ```text
//!                     root = address of the blob
//!                  /                              \
//!         digest of shard 0                  digest of shard 1
//!        /               \                  /               \
//!     leaf 0           leaf 1            leaf 2           leaf 3
//!  128 B header,     4096 f32          4096 f32          at most
//!    4064 f32                                            4096 f32
//! ```
//!
//! Offsets are those of the blob, header included: leaf 0 holds the header and 32 f32 less than the others. The header is a function of
//! dtype and shape, so whoever knows the [`Layout`] makes it and it is never sent.
//!
//! Leaves of 16 KiB are what [`opening`] and iroh-blobs group chunks by, so a partial opening has the same nodes; 16 chunks are
//! also the most that BLAKE3 hashes side by side (AVX-512), so that smaller leaves cost speed and larger ones gain none (the figures are
//! in `docs/decisions.md`). Digests take 32 bytes of 16,384: two thousandths.
//!
//! Invariants: [`Layout::root`] returns the hash of the one blob whose shards have those digests, however it was cut into whole leaves;
//! what [`Layout::verify`] accepts is the bytes of that shard. Both without a collision of BLAKE3. A digest is bound to its place:
//! a chunk's number goes into its chaining value.
//!
//! ```
//! use starling_commitment::{Canonical, DType, f32_bytes, tree::Layout};
//!
//! let weights: Vec<f32> = (0..50_000).map(|i| i as f32).collect();
//! let layout = Layout::new(DType::F32, &[50_000])?;
//! let cut = layout.cut(4); // at least four shards
//!
//! // Each reducer commits to the shard that it made: one digest.
//! let mut digests = Vec::new();
//! for shard in cut.shards() {
//!     let elements = layout.elements(&shard)?;
//!     let made = &weights[elements.start as usize..elements.end as usize];
//!     digests.push((shard.clone(), layout.digests(&shard, &f32_bytes(made))?));
//! }
//!
//! // Whoever reads those digests knows the address of the whole.
//! let root = layout.root(digests.iter().map(|(shard, digests)| (shard.clone(), &digests[..])))?;
//! assert_eq!(root, Canonical::from_f32(&[50_000], &weights)?.digest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod held;

use std::ops::Range;

use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use bytes::Bytes;

pub use held::Tree;

use crate::{
    DType, Digest, HEADER, TensorError, blob_length, data_range,
    opening::{self, GROUP, MAX_LENGTH, OpeningError},
    tensor::header,
};

/// Bytes of the blob in a leaf; the last leaf may have fewer.
pub const LEAF: u64 = GROUP.bytes() as u64;

/// Why shards do not make a tree, or a shard is not the one that was committed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// No leaf, or leaves that the tree does not have.
    #[error("leaves {start}..{end} are asked of a tree of {leaves}")]
    Leaves {
        /// First.
        start: u64,
        /// After the last.
        end: u64,
        /// There are.
        leaves: u64,
    },
    /// Shards that overlap, leave something out, or are not in order.
    #[error("the next shard must begin at leaf {need}, this one begins at leaf {got}")]
    Gap {
        /// Where the shards so far end.
        need: u64,
        /// Where this one begins, or the number of leaves where there is no further shard.
        got: u64,
    },
    /// Another number of digests than the shard's place demands.
    #[error("leaves {start}..{end} have {need} digests, {got} are given")]
    Count {
        /// First leaf.
        start: u64,
        /// After the last.
        end: u64,
        /// Needed.
        need: usize,
        /// Given.
        got: usize,
    },
    /// Another number of bytes than the leaves hold.
    #[error("leaves {start}..{end} hold {need} bytes of elements, {got} are given")]
    Data {
        /// First leaf.
        start: u64,
        /// After the last.
        end: u64,
        /// Needed.
        need: u64,
        /// Given.
        got: u64,
    },
    /// Bytes that were not committed to.
    #[error("the bytes of leaves {start}..{end} do not have the digest that was committed to")]
    Differs {
        /// First leaf of the subtree that differs.
        start: u64,
        /// After its last.
        end: u64,
    },
}

/// Where the leaves of a tensor's blob are: a function of dtype and shape, which both sides know from the run's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dtype: DType,
    header: Vec<u8>,
    length: u64,
}

/// Shards of equal power-of-two size (the last may be smaller), each of which has exactly one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    leaves: u64,
    log2: u32,
}

impl Cut {
    /// Number of shards, at least one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.leaves.div_ceil(1 << self.log2)
    }

    /// The leaves of a shard; `None` at or beyond [`Cut::count`].
    #[must_use]
    pub fn shard(&self, index: u64) -> Option<Range<u64>> {
        let start = index.checked_mul(1 << self.log2).filter(|start| *start < self.leaves)?;
        Some(start..(start + (1 << self.log2)).min(self.leaves))
    }

    /// The leaves of every shard in order.
    pub fn shards(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let cut = *self;
        (0..cut.count()).filter_map(move |index| cut.shard(index))
    }
}

impl Layout {
    /// Of the blob of a tensor.
    ///
    /// # Errors
    /// [`TensorError`] if there is no such tensor, or its blob is longer than any (2^48 bytes).
    pub fn new(dtype: DType, shape: &[u64]) -> Result<Self, TensorError> {
        let length = blob_length(dtype, shape)?;
        if length > MAX_LENGTH {
            return Err(TensorError::TooLarge { bytes: length, limit: MAX_LENGTH });
        }
        Ok(Self { dtype, header: header(dtype, shape, 0), length })
    }

    /// Bytes of the whole blob, header included.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Number of leaves, at least one.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.length.div_ceil(LEAF)
    }

    /// Cut into `at_least` shards, and at most twice as many; fewer where there are fewer leaves.
    #[must_use]
    pub fn cut(&self, at_least: u64) -> Cut {
        let leaves = self.leaves();
        let enough = |log2: &u32| leaves.div_ceil(1 << log2) >= at_least;
        Cut { leaves, log2: (0..=u64::BITS - leaves.leading_zeros()).rev().find(enough).unwrap_or(0) }
    }

    /// The flat elements in these leaves.
    ///
    /// # Errors
    /// [`TreeError::Leaves`].
    pub fn elements(&self, leaves: &Range<u64>) -> Result<Range<u64>, TreeError> {
        let bytes = self.data(leaves)?;
        let size = self.dtype.size() as u64;
        Ok(bytes.start / size..bytes.end / size)
    }

    /// How many digests a shard of these leaves has: 1 for those of a [`Cut`], at most 2·log2(leaves) for any other.
    ///
    /// # Errors
    /// [`TreeError::Leaves`].
    pub fn digest_count(&self, leaves: &Range<u64>) -> Result<usize, TreeError> {
        Ok(self.cover(leaves)?.count())
    }

    /// The digests of a shard: of the largest subtrees that make up its leaves, in order. If the shard is the whole tensor, its
    /// digest is the root. `data` is its elements, little-endian, without the header.
    ///
    /// # Errors
    /// [`TreeError::Leaves`], [`TreeError::Data`].
    pub fn digests(&self, leaves: &Range<u64>, data: &[u8]) -> Result<Vec<Digest>, TreeError> {
        Ok(self.hashed(self.cover(leaves)?, leaves, data)?.map(|(_, digest)| digest).collect())
    }

    /// The digests of single leaves, in order.
    ///
    /// # Errors
    /// [`TreeError::Leaves`], [`TreeError::Data`].
    pub fn leaf_digests(&self, leaves: &Range<u64>, data: &[u8]) -> Result<Vec<Digest>, TreeError> {
        self.check(leaves)?;
        let each = leaves.clone().map(|leaf| leaf..leaf + 1);
        Ok(self.hashed(each, leaves, data)?.map(|(_, digest)| digest).collect())
    }

    /// Whether `data` (as in [`Layout::digests`]) is the shard of these leaves that was committed to by `digests`.
    ///
    /// # Errors
    /// [`TreeError`]; lengths are checked before anything is hashed.
    pub fn verify(&self, leaves: &Range<u64>, data: &[u8], digests: &[Digest]) -> Result<(), TreeError> {
        self.counted(leaves, digests)?;
        for ((part, found), claimed) in self.hashed(self.cover(leaves)?, leaves, data)?.zip(digests) {
            if found != *claimed {
                return Err(TreeError::Differs { start: part.start, end: part.end });
            }
        }
        Ok(())
    }

    /// The root of the whole from the leaves and [`Layout::digests`] of its shards, in order and without gaps.
    ///
    /// Fewer than two hashes of 64 bytes for each digest.
    ///
    /// # Errors
    /// [`TreeError::Leaves`], [`TreeError::Gap`], [`TreeError::Count`].
    pub fn root<'a>(&self, shards: impl IntoIterator<Item = (Range<u64>, &'a [Digest])>) -> Result<Digest, TreeError> {
        let mut at = 0;
        let mut open: Vec<(Range<u64>, Digest)> = Vec::new();
        for (leaves, digests) in shards {
            if leaves.start != at {
                return Err(TreeError::Gap { need: at, got: leaves.start });
            }
            self.counted(&leaves, digests)?;
            at = leaves.end;
            for node in self.cover(&leaves)?.zip(digests.iter().copied()) {
                let mut node = node;
                while let Some((left, digest)) = open.pop_if(|(left, _)| self.siblings(left, &node.0)) {
                    let joined = left.start..node.0.end;
                    node = (joined.clone(), self.join(&joined, &digest, &node.1));
                }
                open.push(node);
            }
        }
        match open.pop() {
            Some((leaves, root)) if leaves == (0..self.leaves()) => Ok(root),
            _ => Err(TreeError::Gap { need: at, got: self.leaves() }),
        }
    }

    /// The little-endian elements `elements` of the tensor with this root, if `proof` (of [`Tree::open`]) shows them.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub fn opened(&self, root: &Digest, elements: Range<u64>, proof: &[u8]) -> Result<Bytes, OpeningError> {
        opening::verify(root, self.length, data_range(self.dtype, elements), proof)
    }

    fn check(&self, leaves: &Range<u64>) -> Result<(), TreeError> {
        if leaves.start < leaves.end && leaves.end <= self.leaves() {
            return Ok(());
        }
        Err(TreeError::Leaves { start: leaves.start, end: leaves.end, leaves: self.leaves() })
    }

    fn counted(&self, leaves: &Range<u64>, digests: &[Digest]) -> Result<(), TreeError> {
        let (need, got) = (self.digest_count(leaves)?, digests.len());
        if need == got {
            return Ok(());
        }
        Err(TreeError::Count { start: leaves.start, end: leaves.end, need, got })
    }

    /// Bytes of the elements in these leaves, counted from the end of the header.
    fn data(&self, leaves: &Range<u64>) -> Result<Range<u64>, TreeError> {
        self.check(leaves)?;
        Ok(self.place(leaves))
    }

    /// As [`Layout::data`], for leaves that are known to be there.
    fn place(&self, leaves: &Range<u64>) -> Range<u64> {
        let at = |leaf: u64| (leaf * LEAF).min(self.length).saturating_sub(HEADER as u64);
        at(leaves.start)..at(leaves.end)
    }

    /// The largest subtrees that make up these leaves, in order.
    ///
    /// A subtree has 2^l leaves and begins at a multiple of that, or at such a multiple and ends with the last leaf.
    fn cover(&self, leaves: &Range<u64>) -> Result<impl Iterator<Item = Range<u64>> + use<>, TreeError> {
        self.check(leaves)?;
        let (mut at, end, last) = (leaves.start, leaves.end, self.leaves());
        Ok(std::iter::from_fn(move || {
            let start = at;
            let left = end.checked_sub(start).filter(|left| *left > 0)?;
            // 2^trailing_zeros; nothing limits what begins with the first leaf.
            let aligned = if start == 0 { last.next_power_of_two() } else { start & start.wrapping_neg() };
            let span = if end == last { aligned } else { aligned.min(1 << left.ilog2()) };
            at = (start + span).min(end);
            Some(start..at)
        }))
    }

    /// Parts of a shard with their digests.
    fn hashed<'a>(
        &'a self,
        parts: impl Iterator<Item = Range<u64>> + 'a,
        leaves: &Range<u64>,
        data: &'a [u8],
    ) -> Result<impl Iterator<Item = (Range<u64>, Digest)> + 'a, TreeError> {
        let whole = self.data(leaves)?;
        let (need, got) = (whole.end - whole.start, data.len() as u64);
        if need != got {
            return Err(TreeError::Data { start: leaves.start, end: leaves.end, need, got });
        }
        Ok(parts.map(move |part| {
            let digest = self.subtree(&part, whole.start, data);
            (part, digest)
        }))
    }

    /// The digest of the subtree over `leaves`, whose elements are among `data`, which begins at byte `from` of the elements.
    fn subtree(&self, leaves: &Range<u64>, from: u64, data: &[u8]) -> Digest {
        let place = self.place(leaves);
        let data = data.get((place.start - from) as usize..(place.end - from) as usize).unwrap_or_default();
        let mut hasher = Hasher::new();
        if leaves.start == 0 {
            hasher.update(&self.header);
        } else {
            hasher.set_input_offset(leaves.start * LEAF);
        }
        hasher.update(data);
        Digest(if *leaves == (0..self.leaves()) { hasher.finalize().into() } else { hasher.finalize_non_root() })
    }

    fn siblings(&self, left: &Range<u64>, right: &Range<u64>) -> bool {
        let (span, other) = (left.end - left.start, right.end - right.start);
        left.start.is_multiple_of(2 * span) && (other == span || (right.end == self.leaves() && other < span))
    }

    /// The digest of the node over `leaves`, from those of its two parts.
    fn join(&self, leaves: &Range<u64>, left: &Digest, right: &Digest) -> Digest {
        Digest(if *leaves == (0..self.leaves()) {
            merge_subtrees_root(&left.0, &right.0, Mode::Hash).into()
        } else {
            merge_subtrees_non_root(&left.0, &right.0, Mode::Hash)
        })
    }
}
