//! The ledger: everything that happened in a run, in one order, each entry chained to the one before.
//!
//! Owns [`Entry`] and its hash chain. The orchestrator alone appends; it signs the head with every page it hands out, so
//! two different histories under one signature prove it a liar. Peers submit signed messages, which stand in the ledger with
//! their own signatures: the orchestrator can leave one out, but it cannot make one up.

use parity_scale_codec::{Decode, Encode};
use starling_keys::Account;

use crate::{
    Digest, Epoch, Round, Stage, Uid,
    message::{Complaint, Join, Ready, Report},
    receipt::Receipt,
    signed::{Body, Signed},
};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Milliseconds since 1970 by the orchestrator's clock; never decreases.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// What happened: what peers said, what the chain shows, what the rules then demand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// A registered peer came (or came back).
    Joined {
        /// Its signed word.
        join: Signed<Join>,
        /// Its slot on the subnet.
        uid: Uid,
        /// Where it computes; meaningless for a validator.
        stage: Stage,
    },
    /// A peer fell silent.
    Gone {
        /// Who.
        account: Account,
    },
    /// A miner holds an epoch's first weights.
    Ready(Signed<Ready>),
    /// An epoch begins.
    Begun {
        /// Which.
        epoch: Epoch,
        /// Per stage, who works, by uid ascending.
        roster: Vec<Vec<Uid>>,
        /// Per stage, the weights all of its miners hold.
        weights: Vec<StageWeights>,
    },
    /// A ready miner takes the place of a stage whose miners are all gone, at the epoch's first weights.
    Enlisted {
        /// Who.
        account: Account,
    },
    /// A round's pathways.
    Round {
        /// Which round of the epoch.
        round: Round,
        /// Per sample, one uid per stage.
        pathways: Vec<Vec<Uid>>,
    },
    /// A sample starts again on another pathway.
    Rerouted {
        /// Index of the sample in the run.
        sample: u32,
        /// The new attempt, one above the last.
        attempt: u16,
        /// One uid per stage.
        pathway: Vec<Uid>,
        /// The miner that is the reason.
        because: Account,
    },
    /// A miner's work.
    Receipt(Signed<Receipt>),
    /// A miner's complaint about another.
    Complaint(Signed<Complaint>),
    /// Everyone with samples in this round now takes an optimiser step.
    Step {
        /// Which round.
        round: Round,
        /// Per miner the `(sample, attempt)` whose gradients it sums, in this order.
        samples: Vec<(Uid, Vec<(u32, u16)>)>,
    },
    /// Training is over; chains are to be anchored.
    Closed {
        /// Chain block seen at that time.
        block: u32,
    },
    /// A miner's anchor was seen on chain.
    Anchored {
        /// Whose.
        account: Account,
        /// Block that holds it.
        block: u32,
        /// Receipts in the chain.
        count: u64,
        /// Link of the last receipt.
        head: Digest,
    },
    /// Validators may now draw and check.
    AuditOpened {
        /// Chain block seen at that time.
        block: u32,
    },
    /// A validator's verdicts.
    Report(Signed<Report>),
    /// The audit is over.
    AuditClosed {
        /// Miners kept out from here on because more than half of the reporting validators failed them.
        benched: Vec<Account>,
    },
    /// How the epoch's weights are merged into the next epoch's.
    MergePlanned {
        /// Epoch that the merge makes.
        epoch: Epoch,
        /// Per stage.
        stages: Vec<StageMerge>,
    },
    /// The merge is over.
    Merged {
        /// Per stage and shard: the agreed output and who holds it; none if it is lost and the old values stay.
        stages: Vec<Vec<Option<MergedShard>>>,
    },
}

/// The weights with which a stage begins an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StageWeights {
    /// Flat f32 `[P]`.
    pub weights: Digest,
    /// Outer momentum, flat f32 `[P]`.
    pub momentum: Digest,
}

/// A stage's merge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StageMerge {
    /// Who contributes which weights, by uid ascending: the order of summation.
    pub contributions: Vec<(Uid, Digest)>,
    /// Per shard its reducers: two, or one where there is only one contributor.
    pub shards: Vec<Vec<Uid>>,
}

/// One shard's result.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MergedShard {
    /// Canonical f32 `[2, n]`: new weights, then new momentum.
    pub output: Digest,
    /// Reducers that committed to it.
    pub holders: Vec<Uid>,
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

impl Body for Head {
    const DOMAIN: &'static [u8] = b"starling.ledger.v1\0";
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
        let mut bytes = b"starling.entry.v1\0".to_vec();
        self.encode_to(&mut bytes);
        entry.encode_to(&mut bytes);
        Self { run: self.run, length: self.length + 1, link: Digest::of(&bytes) }
    }
}
