//! What peers say to the orchestrator besides tallies.
//!
//! Invariant: every message's length is bounded by a constant of this module, and none grows with throughput.

use parity_scale_codec::{Decode, Encode};

use super::{
    code::ComplaintCode,
    sample::Sample,
    signed::{BadSignature, Body, message},
};
use starling_keys::{Account, Signature, Signer};

use crate::{Digest, Epoch, Uid};

/// Longest encoded network address, bytes.
pub const MAX_ADDRESS: usize = 512;
/// Most shards in a stage, hence digests in one [`Shards`].
pub const MAX_SHARDS: usize = 4096;

/// What a peer comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Role {
    /// Computes.
    Miner,
    /// Audits.
    Validator,
}

/// "I am here, reach me there." The one message that names its author by account: it has no slot yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Join {
    /// As what.
    pub role: Role,
    /// Encoded network address (opaque here; at most [`MAX_ADDRESS`] bytes).
    pub address: Vec<u8>,
    /// Class of hardware and build whose bits it gives; zero for a validator that has none.
    pub class: Digest,
    /// Milliseconds since 1970 by the peer's clock: the newest join of an account wins.
    pub at_ms: u64,
}

impl Body for Join {
    const DOMAIN: &'static [u8] = b"starling.join.v2\0";
}

/// A join with its author.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedJoin {
    /// Who.
    pub account: Account,
    /// What it says.
    pub join: Join,
    /// sr25519.
    pub signature: Signature,
}

impl SignedJoin {
    /// Sign a join.
    pub fn new(join: Join, run: &Digest, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&message(&join, run, &signer.account()));
        Self { account: signer.account(), join, signature }
    }

    /// Check the signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, run: &Digest) -> Result<(), BadSignature> {
        let right = self.account.verify(&message(&self.join, run, &self.account), &self.signature);
        if right { Ok(()) } else { Err(BadSignature(self.account)) }
    }
}

/// "I hold a base of my stage, and my machine gives the bits of its class."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ready {
    /// Number of the base.
    pub base: u32,
    /// Its root in the stage that the miner was given.
    pub root: Digest,
    /// Digest that the class challenge gave.
    pub challenge: Digest,
}

impl Body for Ready {
    const DOMAIN: &'static [u8] = b"starling.ready.v2\0";
}

/// "I go." What was tallied counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leave {
    /// Milliseconds since 1970: not before the join that it ends.
    pub at_ms: u64,
}

impl Body for Leave {
    const DOMAIN: &'static [u8] = b"starling.leave.v2\0";
}

/// "Because of that peer this sample did not get on."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Complaint {
    /// The peer.
    pub about: Uid,
    /// The sample.
    pub sample: Sample,
    /// What happened.
    pub code: ComplaintCode,
}

impl Body for Complaint {
    const DOMAIN: &'static [u8] = b"starling.complaint.v2\0";
}

/// A reducer's results: one digest for each shard that the plan gives it, in order of shards.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shards {
    /// Number of the base that the merge makes.
    pub base: u32,
    /// At most [`MAX_SHARDS`].
    pub outputs: Vec<Digest>,
}

impl Body for Shards {
    const DOMAIN: &'static [u8] = b"starling.shards.v2\0";
}

/// A failed verdict, for anybody to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Finding {
    /// Whose work.
    pub miner: Uid,
    /// The account behind that slot when the work was tallied.
    pub account: Account,
    /// Number of the tally under whose root the leaf lies.
    pub tally: u32,
    /// Which leaf.
    pub leaf: u64,
    /// Link of the receipt, zero where none was shown.
    pub receipt: Digest,
    /// What came out.
    pub fault: Fault,
}

impl Body for Finding {
    const DOMAIN: &'static [u8] = b"starling.finding.v2\0";
}

impl Finding {
    /// What refutations call it.
    #[must_use]
    pub fn id(&self, author: &Account) -> Digest {
        super::receipt::named("starling.finding.id.v2", &[&author.0, &self.encode()])
    }
}

/// How work failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fault {
    /// Re-executed, not equal.
    Differs {
        /// Which commitment of the receipt.
        part: Part,
        /// Digest that the receipt names.
        claimed: Digest,
        /// Digest that re-execution gives.
        computed: Digest,
    },
    /// The receipt contradicts the ledger, its log or the receipts that it names.
    Unsound(super::sound::Flaw),
    /// Not opened within the deadline.
    Withheld {
        /// The blob; zero if it was the receipt or its proof.
        blob: Digest,
    },
}

/// Which of a receipt's commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Part {
    /// A forward's output.
    Output,
    /// The last stage's loss.
    Loss,
    /// A backward's input gradient.
    InputGradient,
    /// Weights after a step or a carry.
    Weights,
    /// Optimiser state after a step.
    Optimiser,
    /// A merged shard.
    Shard,
    /// The contribution of an epoch.
    Contribution,
    /// The table of samples sent and consumed.
    Flows,
}

/// Where a validator's verdict log stands: what it looked at, once an epoch and when it is done with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Assurance {
    /// Epoch that it is about.
    pub epoch: Epoch,
    /// Verdicts in the log, all epochs together.
    #[codec(compact)]
    pub verdicts: u64,
    /// Failures among them.
    #[codec(compact)]
    pub failed: u64,
    /// Root of the log.
    pub root: Digest,
    /// Nothing more will come about this epoch.
    pub complete: bool,
}

impl Body for Assurance {
    const DOMAIN: &'static [u8] = b"starling.assurance.v2\0";
}

/// "I replayed this finding, and the work was right."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refutation {
    /// [`Finding::id`].
    pub finding: Digest,
}

impl Body for Refutation {
    const DOMAIN: &'static [u8] = b"starling.refutation.v2\0";
}
