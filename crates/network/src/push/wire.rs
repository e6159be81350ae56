//! What a channel and its items look like as bytes.
//!
//! Invariant: everything here has a fixed or bounded length, read before anything is allocated.

use parity_scale_codec::{Decode, Encode};
use starling_protocol::{Refused, code::MAX_WORDS};

use super::Credit;
use crate::frame;

/// Length of a [`Preamble`], bytes.
pub(crate) const PREAMBLE: usize = 1 + 4 + 8 + 4 + 8;
/// Longest encoded [`Record`], bytes: a tag, a number, an option, a code, words with their length.
pub(crate) const MAX_RECORD: usize = 1 + 8 + 1 + 2 + 4 + MAX_WORDS;

/// The first bytes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    /// The sender's number of the channel.
    pub(crate) channel: u32,
    /// The sender's number of the item in the channel.
    pub(crate) number: u64,
    /// Bytes of the header.
    pub(crate) header: u32,
    /// Bytes of the body.
    pub(crate) body: u64,
}

impl Preamble {
    /// Bytes that the item takes of the credit; lengths that no memory could hold take all of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.body.saturating_add(u64::from(self.header))
    }

    pub(crate) fn to_bytes(self) -> [u8; PREAMBLE] {
        let mut bytes = [frame::ITEM; PREAMBLE];
        bytes[1..5].copy_from_slice(&self.channel.to_le_bytes());
        bytes[5..13].copy_from_slice(&self.number.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.header.to_le_bytes());
        bytes[17..].copy_from_slice(&self.body.to_le_bytes());
        bytes
    }

    /// `None` for a stream of another kind.
    pub(crate) fn from_bytes(bytes: &[u8; PREAMBLE]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (channel, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (header, rest) = rest.split_first_chunk()?;
        let (body, _) = rest.split_first_chunk()?;
        (*kind == frame::ITEM).then_some(Self {
            channel: u32::from_le_bytes(*channel),
            number: u64::from_le_bytes(*number),
            header: u32::from_le_bytes(*header),
            body: u64::from_le_bytes(*body),
        })
    }
}

/// What the receiver says on the channel, each in a frame of kind [`frame::RECORD`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Record {
    /// All that may be sent on this channel, from its beginning on.
    Credit { items: u64, bytes: u64 },
    /// What became of an item; `None`: it was taken.
    Answer { number: u64, refused: Option<Refused> },
    /// Nothing more is read of this channel.
    End(Refused),
}

impl From<Credit> for Record {
    fn from(credit: Credit) -> Self {
        Self::Credit { items: credit.items, bytes: credit.bytes }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use parity_scale_codec::DecodeAll;
    use proptest::prelude::*;
    use starling_protocol::Code;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let refused = (any::<u16>(), ".{0,200}").prop_map(|(code, words)| Refused::new(Code::from(code), words));
        prop_oneof![
            any::<(u64, u64)>().prop_map(|(items, bytes)| Record::Credit { items, bytes }),
            (any::<u64>(), proptest::option::of(refused.clone()))
                .prop_map(|(number, refused)| Record::Answer { number, refused }),
            refused.prop_map(Record::End),
        ]
    }

    proptest! {
        #[test]
        fn records_and_preambles_survive_the_wire(record in record(), numbers in any::<(u32, u64, u32, u64)>()) {
            prop_assert_eq!(Record::decode_all(&mut &record.encode()[..]).unwrap(), record);
            let (channel, number, header, body) = numbers;
            let preamble = Preamble { channel, number, header, body };
            prop_assert_eq!(Preamble::from_bytes(&preamble.to_bytes()), Some(preamble));
        }

        #[test]
        fn whatever_bytes_come_decoding_ends(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            crate::push::fuzzing::push(&bytes);
        }
    }

    #[test]
    fn the_longest_record_fits() {
        let refused = Some(Refused::new(Code::Other(u16::MAX), "x".repeat(2 * MAX_WORDS)));
        let longest = Record::Answer { number: u64::MAX, refused };
        assert!(longest.encode().len() <= MAX_RECORD);
    }

    #[test]
    fn a_stream_of_another_kind_is_no_item() {
        let mut bytes = Preamble { channel: 0, number: 0, header: 0, body: 0 }.to_bytes();
        bytes[0] = frame::REQUEST;
        assert_eq!(Preamble::from_bytes(&bytes), None);
    }
}
