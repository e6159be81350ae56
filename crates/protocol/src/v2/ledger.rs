//! The ledger: what everybody must know, in one order, each entry chained to the one before.
//!
//! Invariant: peers' words stand with their own signatures; the orchestrator's decisions have almost no content, because followers compute it from
//! the state. So it can leave a word out, but not make one up, and what it decides can be checked. Two heads of one length under its
//! signature prove it a liar ([`super::proof`]).

use parity_scale_codec::{Decode, Encode};

use super::{
    message::{Assurance, Complaint, Finding, Leave, Ready, Refutation, Shards, SignedJoin},
    proof::Proof,
    signed::{BadSignature, Signed},
    tally::Tally,
};
use starling_keys::{Account, Signature, Signer};

use crate::{Digest, Epoch, Stage, Uid};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Milliseconds since 1970 by the orchestrator's clock; never decreases.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// A validator's permit and stake at a finalised block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stake {
    /// Slot.
    pub uid: Uid,
    /// Who held the slot at that block.
    pub account: Account,
    /// Stake in rao.
    pub rao: u64,
}

/// What happened: what peers said, what the chain shows, what the rules then demand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The first entry: per stage the digests of the first base's shards. Their roots stand in the run's file.
    Genesis(Vec<Vec<Digest>>),
    /// A registered peer came, or came back.
    Joined {
        /// Its signed word.
        join: SignedJoin,
        /// Its slot on the subnet.
        uid: Uid,
        /// Where it computes; 0 for a validator.
        stage: Stage,
    },
    /// A ghost, or a miner that moves, holds its stage's base.
    Ready(Signed<Ready>),
    /// Tallies of miners.
    Tallies {
        /// Newest finalised block when they came in: only a later one can be their beacon.
        height: u32,
        /// By slot ascending, each miner once.
        all: Vec<Signed<Tally>>,
    },
    /// A peer leaves.
    Left(Signed<Leave>),
    /// A miner has not tallied for too long.
    Silent {
        /// Who.
        uid: Uid,
    },
    /// A finalised block of the chain: the beacon of every tally that is in the ledger and has none.
    Block {
        /// Its number.
        number: u32,
        /// Its hash.
        hash: Digest,
    },
    /// Permits and stake at a finalised block, by slot ascending.
    Stakes {
        /// The block.
        block: u32,
        /// Validators with a permit.
        permits: Vec<Stake>,
    },
    /// The next routing table.
    Table,
    /// The epoch under way ends and the next begins.
    EpochEnded,
    /// A miner is to move to another stage.
    Moved {
        /// Who.
        uid: Uid,
        /// Where to.
        stage: Stage,
    },
    /// The merge of the oldest unmerged epoch is planned.
    Planned,
    /// Fraud that was found after its merge is to be subtracted.
    Corrected {
        /// Epoch that it was merged into.
        epoch: Epoch,
        /// Whose contribution.
        uid: Uid,
    },
    /// A reducer's results.
    Shards(Signed<Shards>),
    /// The planned merge is over: the next base.
    Merged,
    /// A failed verdict.
    Finding(Signed<Finding>),
    /// A finding is wrong.
    Refutation(Signed<Refutation>),
    /// Where a verdict log stands.
    Assurance(Signed<Assurance>),
    /// Validators with more than half of the participating stake failed this miner.
    Excluded {
        /// Who.
        uid: Uid,
    },
    /// An offence that needs no vote.
    Offence(Proof),
    /// A miner complains of another.
    Complaint(Signed<Complaint>),
    /// Digest of the state's canonical bytes before this entry.
    Snapshot {
        /// The digest.
        digest: Digest,
    },
    /// Nothing happened for a while, and the orchestrator is there.
    Beat,
    /// The last epoch is merged.
    Finished,
}

impl Event {
    /// One word for people and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis",
            Self::Joined { .. } => "joined",
            Self::Ready(_) => "ready",
            Self::Tallies { .. } => "tallies",
            Self::Left(_) => "left",
            Self::Silent { .. } => "silent",
            Self::Block { .. } => "block",
            Self::Stakes { .. } => "stakes",
            Self::Table => "table",
            Self::EpochEnded => "epoch-ended",
            Self::Moved { .. } => "moved",
            Self::Planned => "planned",
            Self::Corrected { .. } => "corrected",
            Self::Shards(_) => "shards",
            Self::Merged => "merged",
            Self::Finding(_) => "finding",
            Self::Refutation(_) => "refutation",
            Self::Assurance(_) => "assurance",
            Self::Excluded { .. } => "excluded",
            Self::Offence(_) => "offence",
            Self::Complaint(_) => "complaint",
            Self::Snapshot { .. } => "snapshot",
            Self::Beat => "beat",
            Self::Finished => "finished",
        }
    }
}

/// Where a hash chain of entries stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Head {
    /// The run.
    pub run: Digest,
    /// Entries so far.
    pub length: u64,
    /// Link of the last.
    pub link: Digest,
}

impl Head {
    /// The empty ledger of a run.
    #[must_use]
    pub fn empty(run: Digest) -> Self {
        Self { run, length: 0, link: Digest::ZERO }
    }

    /// The head after one more entry.
    #[must_use]
    pub fn then(&self, entry: &Entry) -> Self {
        let link = super::receipt::named("starling.entry.v2", &[&self.encode(), &entry.encode()]);
        Self { run: self.run, length: self.length + 1, link }
    }
}

/// A head that the orchestrator signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// sr25519 of the orchestrator.
    pub signature: Signature,
}

impl SignedHead {
    fn message(head: &Head) -> Vec<u8> {
        let mut bytes = b"starling.head.v2\0".to_vec();
        head.encode_to(&mut bytes);
        bytes
    }

    /// Sign a head.
    pub fn new(head: Head, signer: &dyn Signer) -> Self {
        Self { head, signature: signer.sign(&Self::message(&head)) }
    }

    /// Check the signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, orchestrator: &Account) -> Result<(), BadSignature> {
        let right = orchestrator.verify(&Self::message(&self.head), &self.signature);
        if right { Ok(()) } else { Err(BadSignature(*orchestrator)) }
    }
}

/// A piece of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// Index of the first entry.
    pub from: u64,
    /// Entries in order.
    pub entries: Vec<Entry>,
    /// The head after the last of `entries`.
    pub head: SignedHead,
}
