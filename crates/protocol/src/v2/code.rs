//! Codes on the wire. Invariant: peers exchange and compare codes only; the sentences are made where a person reads them (design D24).

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

/// What a miner answers to a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, thiserror::Error)]
pub enum PushCode {
    /// It will be computed.
    #[error("taken")]
    Taken,
    /// No credit is left.
    #[error("the receiver has no room: wait for a grant, or take a detour")]
    Busy,
    /// The receiver's ledger does not have that table yet, or no longer.
    #[error("the receiver does not know the sample's routing table: one of the two ledgers is behind")]
    UnknownTable,
    /// The receiver is not on the sample's pathway, and not that detour.
    #[error("the sample's pathway does not lead to the receiver")]
    NotYours,
    /// The sample came before, from this peer or another.
    #[error("the receiver has this sample already")]
    Duplicate,
    /// A gradient for a sample that was given up, or that is too many steps old.
    #[error("the receiver gave this sample up")]
    Stale,
    /// Signed by somebody else.
    #[error("the receipt's signature is not the sender's")]
    BadSignature,
    /// The tensor is not the one that the receipt names.
    #[error("the tensor's digest is not the one that the receipt names")]
    BadDigest,
    /// Another shape or element type.
    #[error("the tensor has another shape or element type than the boundary")]
    BadShape,
    /// NaN, an infinity, or numbers too large to add up.
    #[error("the tensor holds NaN, infinity or numbers too large to add up")]
    NotFinite,
    /// More bytes than a boundary has.
    #[error("the push is larger than any boundary tensor")]
    TooLarge,
    /// For another run.
    #[error("the push is for another run")]
    OtherRun,
    /// Norm or spread are far from what this peer sent before.
    #[error("the tensor's norm or spread is far from what this peer sent before")]
    Screened,
    /// The sender is barred.
    #[error("the sender is barred from the run")]
    Barred,
    /// The receiver is leaving.
    #[error("the receiver is closing down")]
    Closing,
}

/// Why the last stage sends no gradient for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, thiserror::Error)]
pub enum DropCode {
    /// The pathway's losses are worse than its colleagues'.
    #[error("the pathway is suspect: its losses are worse than its colleagues'")]
    Suspect,
    /// The loss is not finite.
    #[error("the loss is not finite")]
    NotFinite,
    /// The forward is more steps old than the run allows.
    #[error("the forward is too many steps old")]
    Stale,
}

/// What one miner complains of in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, thiserror::Error)]
pub enum ComplaintCode {
    /// No connection, or no answer.
    #[error("it does not answer")]
    Silent,
    /// It took a sample and no gradient came.
    #[error("it took a sample and never sent a gradient")]
    Lost,
    /// What it pushed was refused.
    #[error("it pushed something that cannot be computed on")]
    BadPush,
    /// A blob that it committed to cannot be fetched.
    #[error("it does not serve what it committed to")]
    Withheld,
}

/// Why a message does not enter the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, thiserror::Error)]
pub enum Refusal {
    /// The signature is not the account's that holds the slot.
    #[error("the message is not signed by the hotkey that holds this slot: sign with the hotkey that joined")]
    NotYours,
    /// For another run.
    #[error("the message is for another run: restart with this run's file")]
    OtherRun,
    /// Unknown, or not in a state to say this.
    #[error("this hotkey does not take part: join, and be ready, first")]
    NotJoined,
    /// Not above the last number.
    #[error("the tally's number is not above the last one: read the ledger and continue from there")]
    WrongNumber,
    /// A count went down, or the counts do not fit the leaves, or another root for the same leaves.
    #[error("the tally does not continue the last one")]
    Shrinks,
    /// More leaves than time allows.
    #[error("the tally claims more work in the time since the last than anybody can do")]
    TooFast,
    /// Too early, too late, or already in.
    #[error("the message does not fit where the run stands")]
    NotNow,
    /// Not the base that the ledger derives.
    #[error("the weights' root is not the base that the ledger gives: fetch the base again")]
    WrongRoot,
    /// Every stage has as many miners as it takes.
    #[error("every stage has all the miners that the run takes: come back when one leaves")]
    Full,
    /// Somebody else works under this slot.
    #[error("another hotkey still takes part under this slot")]
    SlotTaken,
    /// Miner and validator at once.
    #[error("this hotkey takes part in another role: use another hotkey")]
    OtherRole,
    /// The date is not after the last, or far in the future.
    #[error("the message's date is not after the last one, or far ahead: check this machine's clock")]
    Clock,
    /// A field is longer than allowed.
    #[error("a field is longer than allowed")]
    TooLong,
    /// More messages of this kind than allowed in an epoch.
    #[error("more messages of this kind than one epoch allows")]
    TooMany,
    /// No validator permit.
    #[error("this hotkey holds no validator permit in the newest stakes")]
    NoPermit,
    /// Barred after an exclusion or an offence.
    #[error("this hotkey is barred")]
    Barred,
    /// The proof proves nothing.
    #[error("the proof does not prove an offence")]
    NoProof,
    /// The run is over.
    #[error("the run is finished")]
    Finished,
}
