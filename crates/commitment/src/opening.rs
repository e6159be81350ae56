//! Verified partial openings: a slice of a committed blob with the BLAKE3 tree nodes that prove it (bao, design D2).
//!
//! Invariant: [`verify`] returns bytes only if they stand at that place in the one blob that hashes to the root. The proof for n
//! bytes of an N-byte blob costs 64 bytes for every level of the tree above each 16 KiB group touched.

use std::ops::Range;

use bao_tree::{
    BaoTree, BlockSize, ByteRanges, ChunkRanges,
    io::{
        BaoContentItem,
        outboard::PreOrderMemOutboard,
        round_up_to_chunks,
        sync::{DecodeResponseIter, Outboard, encode_ranges_validated},
    },
};
use bytes::Bytes;

use crate::Digest;

/// No blob is longer: bao-tree's arithmetic on tree nodes is sound up to here with room to spare (2^48 bytes are 256 TiB).
pub(crate) const MAX_LENGTH: u64 = 1 << 48;
/// 16 KiB groups, as iroh-blobs uses.
pub(crate) const GROUP: BlockSize = BlockSize::from_chunk_log(4);

/// Why an opening does not open anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The range is empty, or lies outside the blob, or the blob is longer than any can be.
    #[error("bytes {start}..{end} are asked of a blob of {length} bytes")]
    OutOfRange {
        /// First byte.
        start: u64,
        /// After the last.
        end: u64,
        /// Blob.
        length: u64,
    },
    /// Hashes do not match, or something is missing.
    #[error("the opening does not belong to the commitment: {0}")]
    Refused(String),
}

fn ranges(range: &Range<u64>, length: u64) -> Result<ChunkRanges, OpeningError> {
    if range.start >= range.end || range.end > length || length > MAX_LENGTH {
        return Err(OpeningError::OutOfRange { start: range.start, end: range.end, length });
    }
    Ok(round_up_to_chunks(&ByteRanges::from(range.clone())))
}

/// Open `range` of `blob`: the slice, rounded out to whole 1 KiB chunks, interleaved with the hashes that prove it.
///
/// # Errors
/// [`OpeningError::OutOfRange`].
pub fn open(blob: &[u8], range: Range<u64>) -> Result<Bytes, OpeningError> {
    ranges(&range, blob.len() as u64)?;
    open_with(blob, PreOrderMemOutboard::create(blob, GROUP), range)
}

/// As [`open`], with hashes that were kept instead of hashing the whole blob.
pub(crate) fn open_with(blob: &[u8], outboard: impl Outboard, range: Range<u64>) -> Result<Bytes, OpeningError> {
    let chunks = ranges(&range, blob.len() as u64)?;
    let mut encoded = Vec::new();
    encode_ranges_validated(blob, &outboard, &chunks, &mut encoded)
        .map_err(|e| OpeningError::Refused(e.to_string()))?;
    Ok(encoded.into())
}

/// The bytes `range` of the blob of `length` bytes that hashes to `root`, if `opening` proves them.
///
/// `length` comes from what the verifier knows (dtype and shape, [`blob_length`](crate::blob_length)), not from the prover.
///
/// # Errors
/// [`OpeningError`].
pub fn verify(root: &Digest, length: u64, range: Range<u64>, opening: &[u8]) -> Result<Bytes, OpeningError> {
    let chunks = ranges(&range, length)?;
    let refused = |e: &dyn std::fmt::Display| OpeningError::Refused(e.to_string());
    let mut rest = opening;
    let mut found = Vec::new();
    let tree = BaoTree::new(length, GROUP);
    for item in DecodeResponseIter::new(blake3::Hash::from_bytes(root.0), tree, &mut rest, &chunks) {
        let BaoContentItem::Leaf(leaf) = item.map_err(|e| refused(&e))? else { continue };
        let end = leaf.offset + leaf.data.len() as u64;
        let (from, to) = (range.start.max(leaf.offset), range.end.min(end));
        if from < to {
            let slice = leaf.data.get((from - leaf.offset) as usize..(to - leaf.offset) as usize);
            found.extend_from_slice(slice.unwrap_or_default());
        }
    }
    if !rest.is_empty() {
        return Err(OpeningError::Refused(format!("{} bytes follow the proof", rest.len())));
    }
    if found.len() as u64 != range.end - range.start {
        return Err(OpeningError::Refused(format!("{} of {} bytes are proven", found.len(), range.end - range.start)));
    }
    Ok(found.into())
}
