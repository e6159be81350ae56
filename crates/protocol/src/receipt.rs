//! Receipts: what a miner says it did, each bound to run, epoch, stage and to the receipt before it.
//!
//! Invariant: a miner's receipts form one hash chain ([`Receipt::link`]); its head goes on chain at the epoch's end, so no
//! receipt can be added, dropped or changed after the audit is drawn (design D1, D3).

use parity_scale_codec::{Decode, Encode};
use starling_keys::Account;

use crate::{Digest, Epoch, Round, Stage, signed::Body};

/// One unit of committed work.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// [`crate::config::RunConfig::id`].
    pub run: Digest,
    /// Epoch (segment) it belongs to.
    pub epoch: Epoch,
    /// Stage it was done for.
    pub stage: Stage,
    /// Position in the miner's chain, from 0.
    pub sequence: u64,
    /// Link of the receipt before; [`Digest::ZERO`] for the first.
    pub previous: Digest,
    /// What was done.
    pub work: Work,
}

/// What was done, with everything that re-executing it needs, by hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Work {
    /// A stage's forward pass over one sample.
    Forward {
        /// Round of the epoch.
        round: Round,
        /// Index of the sample in the run.
        sample: u32,
        /// Attempt at the sample.
        attempt: u16,
        /// Flat weights used.
        weights: Digest,
        /// Tokens at stage 0, else the boundary tensor of the stage before.
        input: Digest,
        /// Boundary tensor, or the scalar loss at the last stage.
        output: Digest,
        /// Bits of the f32 loss at the last stage.
        loss: Option<u32>,
    },
    /// A stage's backward pass over one sample.
    Backward {
        /// Round of the epoch.
        round: Round,
        /// Index of the sample in the run.
        sample: u32,
        /// Attempt at the sample.
        attempt: u16,
        /// Flat weights used: those of the forward.
        weights: Digest,
        /// Input of the forward.
        input: Digest,
        /// Gradient received from the next stage; none at the last stage.
        output_gradient: Option<Digest>,
        /// Gradient for the stage before; none at stage 0.
        input_gradient: Option<Digest>,
    },
    /// One local optimiser step.
    Step {
        /// Round of the epoch.
        round: Round,
        /// `(sample, attempt)` in the order in which their gradients were summed.
        samples: Vec<(u32, u16)>,
        /// Flat weights before.
        weights_before: Digest,
        /// Optimiser state before.
        optimiser_before: Digest,
        /// Flat weights after.
        weights_after: Digest,
        /// Optimiser state after.
        optimiser_after: Digest,
    },
    /// One shard of a stage's merge; its inputs are named by the merge plan in the ledger.
    Merge {
        /// Index of the shard in the plan.
        shard: u16,
        /// Canonical f32 `[2, n]`: the shard's new weights, then its new momentum.
        output: Digest,
    },
}

impl Body for Receipt {
    const DOMAIN: &'static [u8] = b"starling.receipt.v1\0";
}

impl Receipt {
    /// The chain's link: what the next receipt names as `previous`, and what is anchored for the last one.
    #[must_use]
    pub fn link(&self, miner: &Account) -> Digest {
        let mut bytes = b"starling.link.v1\0".to_vec();
        miner.encode_to(&mut bytes);
        self.encode_to(&mut bytes);
        Digest::of(&bytes)
    }
}

impl Work {
    /// One word for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forward { .. } => "forward",
            Self::Backward { .. } => "backward",
            Self::Step { .. } => "step",
            Self::Merge { .. } => "merge",
        }
    }

    /// Every blob that the miner must be able to open until the audit window closes (besides what a merge plan names).
    #[must_use]
    pub fn openings(&self) -> Vec<Digest> {
        match self {
            Self::Forward { weights, input, output, .. } => vec![*weights, *input, *output],
            Self::Backward { weights, input, output_gradient, input_gradient, .. } => {
                [Some(*weights), Some(*input), *output_gradient, *input_gradient].into_iter().flatten().collect()
            }
            Self::Step { weights_before, optimiser_before, weights_after, optimiser_after, .. } => {
                vec![*weights_before, *optimiser_before, *weights_after, *optimiser_after]
            }
            Self::Merge { output, .. } => vec![*output],
        }
    }
}
