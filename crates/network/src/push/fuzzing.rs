//! What a peer may send on a channel, as a function of bytes: the body of the fuzz target `push`, also driven by the tests.

use parity_scale_codec::{DecodeAll, Encode};

use super::wire::{MAX_RECORD, PREAMBLE, Preamble, Record};
use crate::frame;

/// Read the bytes as an item's first ones, as a record, and as a refusal: whatever they are, this returns, and what is understood
/// is written again as it was read.
///
/// # Panics
/// Where a decoder breaks that promise.
#[allow(clippy::panic)]
pub fn push(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk::<PREAMBLE>()
        && let Some(preamble) = Preamble::from_bytes(head)
    {
        assert_eq!(preamble.to_bytes(), *head);
        assert!(preamble.bytes() >= preamble.body);
    }
    if let Some(bytes) = bytes.get(..bytes.len().min(MAX_RECORD))
        && let Ok(record) = Record::decode_all(&mut &bytes[..])
    {
        assert_eq!(record.encode(), bytes);
    }
    let refused = frame::refused(bytes);
    assert!(!refused.words.contains(char::is_control));
}
