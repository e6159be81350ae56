//! What two miners say to each other beside the tensors. Unsigned: the connection is bound to a hotkey; the receipt inside is signed.
//!
//! Invariant: every message is idempotent (totals, not differences), so that a lost, repeated or reordered one does no harm.

use parity_scale_codec::{Decode, Encode};

use super::{code::PushCode, receipt::Receipt, sample::Sample, signed::Signed};

/// Longest encoded [`Header`], bytes: a receipt without a step list, and the tensor's length.
pub const MAX_HEADER: usize = 512;

/// Before a tensor: the receipt that names it, and how many bytes of canonical tensor follow. A [`super::receipt::Work::Drop`] has none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Forward, Backward or Drop.
    pub receipt: Signed<Receipt>,
    /// Of a forward: 0 to the pathway's miner, else the rank of the detour. Not part of the receipt: one receipt may have to go to several.
    pub rank: u8,
    /// Bytes that follow.
    pub length: u32,
}

/// Small messages beside the pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Note {
    /// The receiver takes this many pushes in all since the connection began.
    Grant {
        /// Never shrinks.
        total: u64,
    },
    /// What became of a push.
    Answer {
        /// Which.
        sample: Sample,
        /// How.
        code: PushCode,
    },
    /// No gradient will come: somebody further on gave the sample up.
    Lost {
        /// Which.
        sample: Sample,
    },
    /// The sender took a detour: do not begin with it.
    Cancel {
        /// Which.
        sample: Sample,
    },
}
