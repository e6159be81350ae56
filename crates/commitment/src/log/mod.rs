//! Receipt logs: append-only Merkle trees. A signed root says what was done so far; a proof shows one leaf of it, or that a later root
//! continues an earlier one (design D14).
//!
//! The tree is that of RFC 6962 and RFC 9162, section 2.1, over BLAKE3, with one addition: the published [`Root`] is a hash of the number
//! of leaves as well (the private module `hash` says why and gives the functions).
//!
//! | who | keeps | can |
//! |---|---|---|
//! | owner of the log | [`Log`]: about 64 bytes a leaf | append, give the root at any size, prove |
//! | somebody who only appends, or a snapshot | [`Frontier`]: at most 48 digests | append, give the root |
//! | verifier | a signed [`Root`]: 40 bytes | check an [`Inclusion`] of leaves, or a [`Consistency`] with another root |
//!
//! Invariants: a root at a size never changes once it can be given; nobody can show a leaf at an index of a [`Root`] other than the one that
//! was appended there, nor a consistency with a root whose first leaves are others, without a collision of BLAKE3. Proofs, roots and
//! frontiers may come from a stranger: lengths are checked before anything is allocated or hashed, work is bounded by
//! log2 of the size for each leaf opened, and every failure is a [`LogError`].
//!
//! ```
//! use starling_commitment::log::{Log, LogError};
//!
//! let mut log = Log::new();
//! for receipt in ["first", "second", "third"] {
//!     log.append(receipt.as_bytes());
//! }
//! let tally = log.root(); // signed and published
//! log.append(b"fourth");
//! let next = log.root();
//!
//! // An auditor draws leaf 1 of the first tally. It gets the receipt and a proof.
//! let proof = log.prove(tally.size, &[1])?;
//! proof.verify(&tally, &[(1, "second")])?;
//! assert!(proof.verify(&tally, &[(1, "forged")]).is_err());
//!
//! // The second tally continues the first.
//! log.consistency(tally.size, next.size)?.verify(&tally, &next)?;
//! # Ok::<(), LogError>(())
//! ```

mod frontier;
mod hash;
mod proof;

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Serialize};

pub use frontier::Frontier;
pub use proof::{Consistency, Inclusion};

use crate::{Digest, shape};

/// No log is longer: 2^48 leaves. A million receipts a second take nine years.
pub const MAX_SIZE: u64 = 1 << MAX_HEIGHT;
/// Most levels between a leaf and the top.
const MAX_HEIGHT: u32 = 48;
/// Most leaves that one [`Inclusion`] opens.
pub const MAX_OPENED: usize = 1024;

/// What a log commits to at one size: 40 bytes. The digest alone (32 bytes, say on chain) already fixes the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, MaxEncodedLen, Serialize, Deserialize)]
pub struct Root {
    /// Number of leaves.
    pub size: u64,
    /// Commitment to that number and to every leaf in its place.
    pub digest: Digest,
}

impl Root {
    fn new(size: u64, top: Digest) -> Self {
        Self { size, digest: hash::root(size, top) }
    }

    /// The root of a log without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(0, hash::nothing())
    }
}

/// Why a proof cannot be made, or does not prove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No leaf is asked for, or too many are.
    #[error("{asked} leaves are asked for in one proof: ask for 1 to {MAX_OPENED}")]
    Leaves {
        /// Asked for.
        asked: usize,
    },
    /// An index is not larger than the one before it.
    #[error("leaf {index} follows an index that is not smaller: sort the indices and name each once")]
    Order {
        /// The later index.
        index: u64,
    },
    /// An index at or beyond the size.
    #[error("leaf {index} is asked of a log of {size} leaves")]
    NoLeaf {
        /// Asked for.
        index: u64,
        /// Leaves there are.
        size: u64,
    },
    /// A size that this log does not have yet, or that no log has.
    #[error("a log of {size} leaves is asked for, it has {have}")]
    NoSize {
        /// Asked for.
        size: u64,
        /// Leaves there are, or [`MAX_SIZE`].
        have: u64,
    },
    /// The log no longer keeps what the proof needs.
    #[error("a proof needs a leaf or a size before {kept_from}: the log was pruned up to there")]
    Pruned {
        /// Leaves from here on can be proven, at sizes from here on.
        kept_from: u64,
    },
    /// The later root has fewer leaves than the earlier.
    #[error("a log of {new} leaves cannot continue one of {old}")]
    Backwards {
        /// Leaves of the earlier root.
        old: u64,
        /// Leaves of the later root.
        new: u64,
    },
    /// Two different roots of the same size: one log cannot have both. With two signatures this is evidence.
    #[error("two different roots for a log of {size} leaves: the log was forked")]
    Forked {
        /// Leaves.
        size: u64,
    },
    /// The number of nodes is not the one that size and indices demand.
    #[error("the proof has {got} nodes, sizes and indices demand {need}")]
    Length {
        /// Demanded.
        need: usize,
        /// Found.
        got: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root of {size} leaves: leaf, index, size, root or proof is another's")]
    Refused {
        /// Leaves of the root.
        size: u64,
    },
}

/// An append-only Merkle tree that can prove: about 64 bytes a leaf (32 for the leaf, 32 for the nodes above it, together), and what a
/// growing `Vec` holds in reserve. The leaves' bytes are not kept.
#[derive(Clone, Debug, Default)]
pub struct Log {
    size: u64,
    kept_from: u64,
    levels: Vec<Level>,
}

/// The complete nodes of one level from `first` on.
#[derive(Clone, Debug, Default)]
struct Level {
    first: u64,
    nodes: Vec<Digest>,
}

/// The first node of a level that is needed to append to a log and to prove at sizes and leaves from `kept_from` on: an odd node there
/// still has its left sibling to be joined with.
fn first_needed(kept_from: u64, level: u32) -> u64 {
    (kept_from >> level) & !1
}

impl Log {
    /// A log without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that goes on from a frontier. It can prove the leaves that are appended from now on.
    #[must_use]
    pub fn resume(frontier: &Frontier) -> Self {
        let size = frontier.size();
        let mut peaks = frontier.peaks().iter().rev();
        let levels = (0..u64::BITS - size.leading_zeros())
            .map(|level| Level {
                first: first_needed(size, level),
                nodes: if (size >> level) & 1 == 1 { peaks.next().copied().into_iter().collect() } else { Vec::new() },
            })
            .collect();
        Self { size, kept_from: size, levels }
    }

    /// Append the leaf with these bytes and return its index. Amortised two hashes.
    pub fn append(&mut self, bytes: &[u8]) -> u64 {
        let place = self.size;
        let (mut node, mut index) = (hash::leaf(bytes), place);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Level::default());
            }
            let Some(row) = self.levels.get_mut(level) else { break };
            row.nodes.push(node);
            if index.is_multiple_of(2) {
                break;
            }
            let Some(left) = row.nodes.len().checked_sub(2).and_then(|i| row.nodes.get(i)) else { break };
            node = hash::join(*left, node);
            index /= 2;
        }
        self.size += 1;
        place
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first leaf, and the smallest size, for which this log can still prove.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// Forget what only proofs of leaves before `kept_from`, or at smaller sizes, would need. Beyond the number of leaves, or
    /// before what was forgotten already, it does nothing more.
    pub fn prune(&mut self, kept_from: u64) {
        self.kept_from = self.kept_from.max(kept_from.min(self.size));
        for (level, row) in (0..).zip(&mut self.levels) {
            let first = first_needed(self.kept_from, level).max(row.first);
            row.nodes.drain(..((first - row.first) as usize).min(row.nodes.len()));
            row.nodes.shrink_to(row.nodes.len() * 2);
            row.first = first;
        }
    }

    /// The root now.
    #[must_use]
    pub fn root(&self) -> Root {
        // The present size is never pruned.
        self.root_at(self.size).unwrap_or_else(|_| Root::empty())
    }

    /// The root when the log had `size` leaves. At most log2(size) hashes.
    ///
    /// # Errors
    /// [`LogError::NoSize`] beyond the present size, [`LogError::Pruned`].
    pub fn root_at(&self, size: u64) -> Result<Root, LogError> {
        self.has(size)?;
        if size == 0 {
            return Ok(Root::empty());
        }
        Ok(Root::new(size, self.last_node(size, u64::BITS)?))
    }

    /// What is needed to go on appending from `size`.
    ///
    /// # Errors
    /// As [`Log::root_at`].
    pub fn frontier_at(&self, size: u64) -> Result<Frontier, LogError> {
        self.has(size)?;
        let peaks = (0..u64::BITS)
            .rev()
            .filter(|level| (size >> level) & 1 == 1)
            .map(|level| self.get(level, (size >> level) - 1))
            .collect::<Result<_, _>>()?;
        Ok(Frontier::from_peaks(size, peaks))
    }

    /// Prove that the leaves at `indices` (strictly increasing) belong to the log of `size` leaves.
    ///
    /// # Errors
    /// [`LogError`] if there is no such size or leaf, if the indices are not in order, too many or none, or pruned.
    pub fn prove(&self, size: u64, indices: &[u64]) -> Result<Inclusion, LogError> {
        self.has(size)?;
        proof::check_indices(size, indices.iter().copied())?;
        if indices.iter().any(|index| *index < self.kept_from) {
            return Err(LogError::Pruned { kept_from: self.kept_from });
        }
        let mut siblings = Vec::new();
        let known = indices.iter().map(|index| (*index, ())).collect();
        let collect = |level, index| self.node(size, level, index).map(|node| siblings.push(node));
        shape::climb(size, known, collect, |(), ()| ())?;
        Ok(Inclusion::from_nodes(siblings))
    }

    /// Prove that the log of `new` leaves begins with that of `old` leaves.
    ///
    /// # Errors
    /// [`LogError::Backwards`], [`LogError::NoSize`], [`LogError::Pruned`].
    pub fn consistency(&self, old: u64, new: u64) -> Result<Consistency, LogError> {
        if old > new {
            return Err(LogError::Backwards { old, new });
        }
        self.has(old)?;
        self.has(new)?;
        let nodes = proof::consistency_nodes(old, new)
            .map(|(level, index)| self.node(new, level, index))
            .collect::<Result<_, _>>()?;
        Ok(Consistency::from_nodes(nodes))
    }

    fn has(&self, size: u64) -> Result<(), LogError> {
        if size > self.size {
            Err(LogError::NoSize { size, have: self.size })
        } else if size < self.kept_from {
            Err(LogError::Pruned { kept_from: self.kept_from })
        } else {
            Ok(())
        }
    }

    /// A complete node.
    fn get(&self, level: u32, index: u64) -> Result<Digest, LogError> {
        let row = self.levels.get(level as usize);
        row.and_then(|row| row.nodes.get(usize::try_from(index.checked_sub(row.first)?).ok()?))
            .copied()
            .ok_or(LogError::Pruned { kept_from: self.kept_from })
    }

    /// A node of the tree of `size` leaves.
    fn node(&self, size: u64, level: u32, index: u64) -> Result<Digest, LogError> {
        if (index + 1) << level <= size { self.get(level, index) } else { self.last_node(size, level) }
    }

    /// The last node at `level` of the tree of `size` leaves (more than none), or its top if the tree is not that high. It begins
    /// with the smallest complete subtree at the right edge and takes in those to its left.
    fn last_node(&self, size: u64, level: u32) -> Result<Digest, LogError> {
        let mut at = size.trailing_zeros();
        let mut index = (size - 1) >> at;
        let mut node = self.get(at, index)?;
        while index > 0 && at < level {
            if index % 2 == 1 {
                node = hash::join(self.get(at, index - 1)?, node);
            }
            index /= 2;
            at += 1;
        }
        Ok(node)
    }
}
