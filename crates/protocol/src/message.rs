//! What peers say to the orchestrator besides receipts, and the verdicts of validators.

use parity_scale_codec::{Decode, Encode};
use starling_keys::Account;

use crate::{Digest, Epoch, signed::Body};

/// What a peer comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Role {
    /// Computes.
    Miner,
    /// Audits.
    Validator,
}

/// "I am here, reach me there."
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Join {
    /// The run.
    pub run: Digest,
    /// As what.
    pub role: Role,
    /// Encoded network address (opaque here; at most [`MAX_ADDRESS`] bytes).
    pub address: Vec<u8>,
    /// Milliseconds since 1970 by the peer's clock: the newest join of an account wins.
    pub at_ms: u64,
}

/// Longest encoded network address, bytes.
pub const MAX_ADDRESS: usize = 512;
/// Longest free text in a message, bytes.
pub const MAX_TEXT: usize = 512;
/// Most verdicts in one report.
pub const MAX_VERDICTS: usize = 4096;

impl Body for Join {
    const DOMAIN: &'static [u8] = b"starling.join.v1\0";
}

/// "I hold the weights with which this epoch begins."
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ready {
    /// The run.
    pub run: Digest,
    /// Epoch about to begin.
    pub epoch: Epoch,
    /// Flat weights of the miner's stage.
    pub weights: Digest,
    /// Outer momentum of the miner's stage.
    pub momentum: Digest,
}

impl Body for Ready {
    const DOMAIN: &'static [u8] = b"starling.ready.v1\0";
}

/// "I cannot go on with this sample because of that peer": its blob cannot be fetched, or cannot be computed on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Complaint {
    /// The run.
    pub run: Digest,
    /// Sample concerned.
    pub sample: u32,
    /// Attempt concerned.
    pub attempt: u16,
    /// The peer that should have delivered.
    pub about: Account,
    /// Why (at most [`MAX_TEXT`] bytes).
    pub reason: String,
}

impl Body for Complaint {
    const DOMAIN: &'static [u8] = b"starling.complaint.v1\0";
}

/// One audited receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Verdict {
    /// Who did the work.
    pub miner: Account,
    /// Which receipt of its chain.
    pub sequence: u64,
    /// The receipt's link: names its content beyond doubt.
    pub receipt: Digest,
    /// What came out.
    pub outcome: Outcome,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Re-executed, equal within the run's tolerance.
    Passed,
    /// Re-executed, not equal: anyone can replay it from the receipt.
    Differs {
        /// Which of the receipt's commitments (`output`, `input_gradient`, `weights_after`, …).
        what: String,
        /// Digest the receipt commits to.
        claimed: Digest,
        /// Digest that re-execution gives.
        computed: Digest,
    },
    /// The receipt contradicts the ledger; no re-execution needed.
    Unsound {
        /// How.
        reason: String,
    },
    /// The miner did not open a commitment in time.
    Withheld {
        /// Which blob.
        opening: Digest,
    },
}

impl Outcome {
    /// True for [`Outcome::Passed`].
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed)
    }
}

/// A validator's verdicts of an epoch; several reports of one validator add up.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// The run.
    pub run: Digest,
    /// Epoch audited.
    pub epoch: Epoch,
    /// At most [`MAX_VERDICTS`].
    pub verdicts: Vec<Verdict>,
    /// No more of this validator's reports will follow for this epoch.
    pub complete: bool,
}

impl Body for Report {
    const DOMAIN: &'static [u8] = b"starling.report.v1\0";
}
