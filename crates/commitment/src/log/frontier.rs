//! The least that is needed to go on appending to a log and to give its root.
//!
//! Invariant: one digest for each bit of the size that is set, the largest subtree first; so the size says how many there are, and
//! on the wire nothing else does.

use parity_scale_codec::{Decode, Encode, Error, Input, Output};

use super::{MAX_HEIGHT, MAX_SIZE, Root, hash};
use crate::Digest;

/// The roots of the complete subtrees that a log consists of: 8 bytes and at most 32 for each of log2(size) levels.
///
/// SCALE: the size as u64, then the digests without a length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// Of a log without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn from_peaks(size: u64, peaks: Vec<Digest>) -> Self {
        Self { size, peaks }
    }

    pub(super) fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Append the leaf with these bytes and return its index. Amortised two hashes.
    pub fn append(&mut self, bytes: &[u8]) -> u64 {
        let place = self.size;
        let mut node = hash::leaf(bytes);
        for _ in 0..place.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = hash::join(left, node);
        }
        self.peaks.push(node);
        self.size += 1;
        place
    }

    /// The root now. At most log2(size) hashes.
    #[must_use]
    pub fn root(&self) -> Root {
        match self.peaks.split_last() {
            None => Root::empty(),
            Some((last, larger)) => {
                Root::new(self.size, larger.iter().rev().fold(*last, |node, left| hash::join(*left, node)))
            }
        }
    }
}

impl Encode for Frontier {
    fn size_hint(&self) -> usize {
        8 + self.peaks.len() * 32
    }
    fn encode_to<T: Output + ?Sized>(&self, out: &mut T) {
        self.size.encode_to(out);
        for peak in &self.peaks {
            peak.encode_to(out);
        }
    }
}

impl Decode for Frontier {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let size = u64::decode(input)?;
        if size > MAX_SIZE {
            return Err("a frontier of more leaves than any log has".into());
        }
        let mut peaks = Vec::with_capacity(MAX_HEIGHT as usize);
        for _ in 0..size.count_ones() {
            peaks.push(Digest::decode(input)?);
        }
        Ok(Self { size, peaks })
    }
}
