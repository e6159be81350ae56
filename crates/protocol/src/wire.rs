//! Requests that peers make of the orchestrator.
//!
//! Everything is SCALE; the network room bounds a message's size before it reaches the decoder, and [`decode`] refuses
//! trailing bytes. Requests are idempotent: a peer that lost the answer asks again.

use parity_scale_codec::{Decode, DecodeAll, Encode};

use crate::{
    code::Refused,
    ledger::{Entry, Head},
    message::{Complaint, Join, Ready, Report},
    receipt::Receipt,
    signed::Signed,
};

/// Bumped whenever a message or a rule changes; peers of another version are refused with both numbers named.
pub const PROTOCOL_VERSION: u32 = 2;
/// Largest request, bytes: a report of [`crate::message::MAX_VERDICTS`] verdicts fits.
pub const MAX_REQUEST: usize = 1 << 20;
/// Largest answer, bytes.
pub const MAX_RESPONSE: usize = 4 << 20;
/// Messages in one [`Request::Submit`] at most.
pub const MAX_SUBMISSIONS: usize = 256;
/// Entries in one page at most.
pub const MAX_PAGE: usize = 512;

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// The run's configuration as TOML.
    Config,
    /// Take part.
    Join(Signed<Join>),
    /// Entries from `from` on; the answer waits up to `wait_ms` for one to come.
    Ledger {
        /// First entry wanted.
        from: u64,
        /// Longest wait, milliseconds (at most 30,000).
        wait_ms: u32,
    },
    /// Signed messages, in order; all of one peer.
    Submit(Vec<Submission>),
}

/// A signed message for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Submission {
    /// Work.
    Receipt(Signed<Receipt>),
    /// Weights in hand.
    Ready(Signed<Ready>),
    /// Another peer does not deliver.
    Complaint(Signed<Complaint>),
    /// Verdicts.
    Report(Signed<Report>),
}

/// What the orchestrator answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// The configuration.
    Config(String),
    /// Done (also if it was done before).
    Accepted,
    /// Not done, and why.
    Refused(Refused),
    /// Entries with the signed head after the last one.
    Page(Page),
}

/// A piece of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// Index of the first entry.
    pub from: u64,
    /// At most [`MAX_PAGE`].
    pub entries: Vec<Entry>,
    /// The head after the last of `entries`, signed by the orchestrator.
    pub head: Signed<Head>,
}

/// The bytes are not one message of the kind expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes do not decode as one {1}: the peer speaks another version, or sends garbage")]
pub struct Malformed(pub usize, pub &'static str);

/// Decode exactly one message.
///
/// # Errors
/// [`Malformed`] for anything else, trailing bytes included.
pub fn decode<T: Decode>(bytes: &[u8], kind: &'static str) -> Result<T, Malformed> {
    T::decode_all(&mut &bytes[..]).map_err(|_| Malformed(bytes.len(), kind))
}
