//! Proofs about a log, and their verification against signed roots.
//!
//! Invariant: sizes and indices alone determine which nodes a proof has, and in which order; a proof of another length is refused
//! before anything is hashed. What is verified against is a [`Root`], whose digest fixes its size.

use parity_scale_codec::{Compact, Decode, Encode, Error, Input};

use super::{LogError, MAX_HEIGHT, MAX_OPENED, MAX_SIZE, Root, hash};
use crate::{Digest, shape};

/// Shows that leaves stand at their places in the log of a [`Root`]. Nodes that several of them need are there once.
///
/// One leaf of n costs at most log2(n) digests. SCALE: a vector of digests, at most 48 for each of [`MAX_OPENED`] leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Inclusion {
    nodes: Vec<Digest>,
}

/// Shows that the log of one [`Root`] begins with that of another.
///
/// At most log2(n) + 1 digests. SCALE: a vector of digests, at most 49. RFC 9162, section 2.1.4, leaves the first node out where the
/// verifier holds it as the earlier root. Here a root is not a node, so the first node is always there.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Consistency {
    nodes: Vec<Digest>,
}

/// Digests by the wire's count, if there are at most `limit`.
fn decode_nodes<I: Input>(input: &mut I, limit: usize) -> Result<Vec<Digest>, Error> {
    let count = Compact::<u32>::decode(input)?.0 as usize;
    if count > limit {
        return Err("a proof with more nodes than any proof has".into());
    }
    if input.remaining_len()?.is_some_and(|bytes| bytes < count * 32) {
        return Err("a proof that ends before its last node".into());
    }
    (0..count).map(|_| Digest::decode(input)).collect()
}

impl Decode for Inclusion {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Ok(Self { nodes: decode_nodes(input, MAX_OPENED * MAX_HEIGHT as usize)? })
    }
}

impl Decode for Consistency {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Ok(Self { nodes: decode_nodes(input, MAX_HEIGHT as usize + 1)? })
    }
}

pub(super) fn check_indices(size: u64, indices: impl ExactSizeIterator<Item = u64>) -> Result<(), LogError> {
    let asked = indices.len();
    if asked == 0 || asked > MAX_OPENED {
        return Err(LogError::Leaves { asked });
    }
    let mut least = 0;
    for index in indices {
        if index >= size {
            return Err(LogError::NoLeaf { index, size });
        }
        if index < least {
            return Err(LogError::Order { index });
        }
        least = index + 1;
    }
    Ok(())
}

fn check_size(size: u64) -> Result<(), LogError> {
    if size > MAX_SIZE { Err(LogError::NoSize { size, have: MAX_SIZE }) } else { Ok(()) }
}

fn check_length(need: usize, got: usize) -> Result<(), LogError> {
    if need == got { Ok(()) } else { Err(LogError::Length { need, got }) }
}

impl Inclusion {
    pub(super) fn from_nodes(nodes: Vec<Digest>) -> Self {
        Self { nodes }
    }

    /// How many digests a proof for the leaves at `indices` of a log of `size` leaves has; 32 bytes each.
    ///
    /// # Errors
    /// [`LogError`] if no log has that size, or the indices are not in order, not below it, too many or none.
    pub fn length(size: u64, indices: &[u64]) -> Result<usize, LogError> {
        check_size(size)?;
        check_indices(size, indices.iter().copied())?;
        Ok(count(size, indices.iter().copied()))
    }

    /// Whether the log of `root` has exactly these bytes at each of these places (index and bytes, indices strictly increasing).
    ///
    /// # Errors
    /// [`LogError`] says why not. Nothing is hashed before indices, sizes and the proof's length are right.
    pub fn verify<L: AsRef<[u8]>>(&self, root: &Root, leaves: &[(u64, L)]) -> Result<(), LogError> {
        check_size(root.size)?;
        let indices = || leaves.iter().map(|(index, _)| *index);
        check_indices(root.size, indices())?;
        check_length(count(root.size, indices()), self.nodes.len())?;
        let known = leaves.iter().map(|(index, bytes)| (*index, hash::leaf(bytes.as_ref()))).collect();
        let refused = LogError::Refused { size: root.size };
        let mut nodes = self.nodes.iter();
        let top = shape::climb(root.size, known, |_, _| nodes.next().copied().ok_or(()), hash::join);
        match top {
            Ok(Some(top)) if Root::new(root.size, top) == *root => Ok(()),
            _ => Err(refused),
        }
    }
}

/// Number of siblings, without hashing.
fn count(size: u64, indices: impl Iterator<Item = u64>) -> usize {
    let mut needed = 0;
    let sibling = |_, _| {
        needed += 1;
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(_) = shape::climb(size, indices.map(|index| (index, ())).collect(), sibling, |(), ()| ());
    needed
}

/// One step from the last leaves of the old log towards the top of the new one.
#[derive(Clone, Copy)]
enum Side {
    /// The node to the left belongs to both logs.
    Left,
    /// The node to the right belongs to the new log only.
    Right,
}

/// The node to begin with, which is the smallest complete subtree at the right edge of the old log, and the steps from there.
fn consistency_path(old: u64, new: u64) -> impl Iterator<Item = (u32, u64, Option<Side>)> {
    let none = old == 0 || old >= new;
    let start = old.trailing_zeros().min(u64::BITS - 1);
    let first = old.saturating_sub(1) >> start;
    let steps = (start..u64::BITS).map_while(move |level| {
        let (index, last) = (old.saturating_sub(1) >> level, new.saturating_sub(1) >> level);
        (last > 0).then_some(if index % 2 == 1 {
            Some((level, index - 1, Some(Side::Left)))
        } else {
            (index < last).then_some((level, index + 1, Some(Side::Right)))
        })
    });
    std::iter::once((start, first, None)).chain(steps.flatten()).filter(move |_| !none)
}

/// Level and index of each node of a consistency proof.
pub(super) fn consistency_nodes(old: u64, new: u64) -> impl Iterator<Item = (u32, u64)> {
    consistency_path(old, new).map(|(level, index, _)| (level, index))
}

impl Consistency {
    pub(super) fn from_nodes(nodes: Vec<Digest>) -> Self {
        Self { nodes }
    }

    /// Whether the log of `new` begins with the log of `old`.
    ///
    /// Every root continues the empty log, also one that nobody has leaves for: only an [`Inclusion`] shows that there are any.
    ///
    /// # Errors
    /// [`LogError`] says why not; [`LogError::Forked`] is evidence against whoever signed both.
    pub fn verify(&self, old: &Root, new: &Root) -> Result<(), LogError> {
        check_size(new.size)?;
        if old.size > new.size {
            return Err(LogError::Backwards { old: old.size, new: new.size });
        }
        if old.size == new.size && old.digest != new.digest {
            return Err(LogError::Forked { size: old.size });
        }
        check_length(consistency_path(old.size, new.size).count(), self.nodes.len())?;
        let refused = |root: &Root| LogError::Refused { size: root.size };
        let mut steps = consistency_path(old.size, new.size).zip(&self.nodes);
        let Some((_, start)) = steps.next() else {
            // Nothing to prove: equal roots, or an empty log, which every log continues.
            return if old.size == new.size || *old == Root::empty() { Ok(()) } else { Err(refused(old)) };
        };
        let (mut before, mut after) = (*start, *start);
        for ((_, _, side), node) in steps {
            if let Some(Side::Left) = side {
                before = hash::join(*node, before);
                after = hash::join(*node, after);
            } else {
                after = hash::join(after, *node);
            }
        }
        if Root::new(old.size, before) != *old {
            return Err(refused(old));
        }
        if Root::new(new.size, after) != *new {
            return Err(refused(new));
        }
        Ok(())
    }
}
