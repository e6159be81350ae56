//! Receipts: a signed commitment to one unit of work, and a leaf of its miner's log.
//!
//! Invariants: a miner signs each `sequence` once (two receipts with one sequence are an offence, see [`super::proof`]), and sequences ascend
//! along its log. They may have gaps: what was signed before a crash and never logged is not signed again, it is skipped; every receipt can be re-executed from digests that it names, together with the receipts that it names.
//! A version's name is a pure function of the base's root and the step receipts since (design D16), so one hash names weights that nobody stored.

use parity_scale_codec::{Decode, Encode};

use super::{
    code::DropCode,
    sample::Sample,
    signed::{Body, Signed},
};
use starling_keys::Account;

use crate::{Digest, Epoch};

/// One lane of a miner.
pub type Lane = u8;
/// Steps of a lane within an epoch, from 0.
pub type LaneStep = u32;

/// One leaf of a miner's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Ascends along the miner's log; at least the leaf's index.
    pub sequence: u64,
    /// What was done.
    pub work: Work,
}

impl Body for Receipt {
    const DOMAIN: &'static [u8] = b"starling.receipt.v2\0";
}

/// Weights of a lane, by name: which lane, where in the epoch, which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct At {
    /// Which of the miner's lanes.
    pub lane: Lane,
    /// Epoch of the lane.
    pub epoch: Epoch,
    /// Steps that the lane took in this epoch before.
    pub step: LaneStep,
    /// Name of the weights.
    pub version: Digest,
}

/// Digests of what a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Content {
    /// Flat f32 weights.
    pub weights: Digest,
    /// Optimiser state.
    pub optimiser: Digest,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Work {
    /// A stage's forward pass over one sample; at the last stage with the loss.
    Forward {
        /// Which sample.
        sample: Sample,
        /// With which weights.
        at: At,
        /// Link of the receipt that came with the input; none at stage 0.
        from: Option<Digest>,
        /// Tokens at stage 0, else the boundary tensor.
        input: Digest,
        /// Boundary tensor, or the scalar loss at the last stage.
        output: Digest,
        /// Bits of the f32 loss at the last stage.
        loss: Option<u32>,
        /// As what it took the sample: 0 as the pathway's miner, else the rank of the detour.
        rank: u8,
    },
    /// A stage's backward pass over one sample.
    Backward {
        /// Which sample.
        sample: Sample,
        /// With which weights: those of the forward, unless the run allows staleness.
        at: At,
        /// Link of the own forward receipt.
        forward: Digest,
        /// Link of the receipt that came with the gradient; none at the last stage.
        from: Option<Digest>,
        /// Gradient received; none at the last stage.
        output_gradient: Option<Digest>,
        /// Gradient sent; none at stage 0.
        input_gradient: Option<Digest>,
    },
    /// No gradient goes back for this sample. Said by the last stage, and repeated along the pathway.
    Drop {
        /// Which sample.
        sample: Sample,
        /// Link of the own forward receipt.
        forward: Digest,
        /// Why.
        code: DropCode,
    },
    /// One optimiser step of a lane.
    Step {
        /// The lane before the step.
        at: At,
        /// Samples in the order in which their gradients were summed.
        samples: Vec<Sample>,
        /// Every so many steps, and with an epoch's last: what came out.
        content: Option<Content>,
    },
    /// A late base is added: weights += base − committed.
    Carry {
        /// The lane before.
        at: At,
        /// Number of the base.
        base: u32,
        /// Root of the base.
        root: Digest,
        /// The lane's own weights, committed when it closed the epoch that the base merged; the base before for a correction.
        committed: Digest,
        /// What came out.
        content: Option<Content>,
    },
    /// A lane is done with an epoch.
    Close {
        /// The lane after its last step of the epoch.
        at: At,
        /// Its weights and optimiser state.
        content: Content,
    },
    /// One shard of a merge.
    Merge {
        /// Number of the base that it makes.
        base: u32,
        /// Which shard.
        shard: u16,
        /// The shard's new content.
        output: Digest,
    },
}

impl Work {
    /// One word for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forward { .. } => "forward",
            Self::Backward { .. } => "backward",
            Self::Drop { .. } => "drop",
            Self::Step { .. } => "step",
            Self::Carry { .. } => "carry",
            Self::Close { .. } => "close",
            Self::Merge { .. } => "merge",
        }
    }

    /// The sample that it is about, for passes and drops.
    #[must_use]
    pub fn sample(&self) -> Option<Sample> {
        match self {
            Self::Forward { sample, .. } | Self::Backward { sample, .. } | Self::Drop { sample, .. } => Some(*sample),
            _ => None,
        }
    }
}

impl Signed<Receipt> {
    /// What other receipts call this one: a hash of author, signature and body.
    #[must_use]
    pub fn link(&self, author: &Account) -> Digest {
        named("starling.link.v2", &[&author.0, &self.encode()])
    }
}

/// The name of a lane's weights at the beginning of its life: the base it starts from.
#[must_use]
pub fn first_version(lane: Lane, root: &Digest) -> Digest {
    named("starling.version.first.v2", &[&[lane], &root.0])
}

/// The name after a step or a carry with this receipt. The link binds: the step is a pure function of what the receipt names.
#[must_use]
pub fn next_version(version: &Digest, link: &Digest) -> Digest {
    named("starling.version.next.v2", &[&version.0, &link.0])
}

/// A hash under a context that nothing else uses.
pub(crate) fn named(context: &'static str, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}
