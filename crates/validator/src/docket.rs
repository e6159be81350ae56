//! What a validator looks at in an epoch: pure selection, no fetching, no computing.
//!
//! Invariant: only receipts whose chain is anchored are drawn, with the beacon that follows the anchor (design D1); a receipt that
//! contradicts the ledger needs no draw, and every merge is recomputed.

use starling_commitment::anchor::Anchor;
use starling_keys::Account;
use starling_protocol::{
    Digest, Stage,
    audit::{self, Candidate, Quota},
    config::RunConfig,
    message::{Outcome, Verdict},
    receipt::{Receipt, Work},
    state::{Anchored, Filed, Member, Standing, State},
};

/// One miner's segment, as the ledger has it.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Who.
    pub miner: Account,
    /// Where it computes.
    pub stage: Stage,
    /// Encoded network address.
    pub address: Vec<u8>,
    /// Its anchor.
    pub anchor: Option<Anchored>,
    /// Its receipts.
    pub filed: Vec<Filed>,
}

/// A receipt to re-execute.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who did the work.
    pub miner: Account,
    /// Where to fetch openings.
    pub address: Vec<u8>,
    /// The receipt.
    pub receipt: Receipt,
    /// Its link.
    pub link: Digest,
    /// For a step: it must start from the zero optimiser state.
    pub first_step: bool,
    /// For a step: per sample in order, the input and the output gradient its backward receipts commit to.
    pub passes: Vec<Pass>,
}

/// What one sample of a step is recomputed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Index in the run.
    pub sample: u32,
    /// Input of the stage.
    pub input: Digest,
    /// Gradient from the next stage; none at the last.
    pub output_gradient: Option<Digest>,
}

/// The segments of the epoch under audit.
#[must_use]
pub fn segments(state: &State) -> Vec<Segment> {
    let segment = |(miner, member): (&Account, &Member)| Segment {
        miner: *miner,
        stage: member.stage,
        address: member.address.clone(),
        anchor: member.anchor,
        filed: state.filed().get(miner).cloned().unwrap_or_default(),
    };
    state.members().iter().map(segment).filter(|s| !s.filed.is_empty()).collect()
}

/// Verdicts that need no re-execution: receipts that contradict the ledger.
#[must_use]
pub fn unsound(segment: &Segment) -> Vec<Verdict> {
    segment
        .filed
        .iter()
        .filter_map(|f| match f.standing {
            Standing::Unsound(reason) => {
                Some(verdict(segment.miner, &f.signed.body, f.link, Outcome::Unsound { reason: reason.to_owned() }))
            }
            Standing::Counted | Standing::Void(_) => None,
        })
        .collect()
}

/// The segment's anchor on the blockchain is not the head of the miner's chain in the ledger. `on_chain` is what the chain
/// holds now, with its block.
#[must_use]
pub fn anchor_fault(run: &Digest, epoch: u32, segment: &Segment, on_chain: Option<(Anchor, u32)>) -> Option<Verdict> {
    let ledger = segment.anchor?;
    let last = segment.filed.last()?;
    let fault = |reason: &str| {
        Some(verdict(segment.miner, &last.signed.body, last.link, Outcome::Unsound { reason: reason.to_owned() }))
    };
    let mut tag = [0; 8];
    tag.copy_from_slice(&run.0[..8]);
    match on_chain {
        // The ledger's own record stands; whether the chain can be read is not the miner's doing.
        None => None,
        Some((anchor, block)) if anchor.run == tag && anchor.epoch == epoch => {
            if block != ledger.block {
                return fault("anchored again after the draw was known");
            }
            if anchor.count != ledger.count || anchor.head != ledger.head || !ledger.matches {
                return fault("anchored another chain of receipts than the ledger holds");
            }
            None
        }
        Some(_) => fault("replaced its anchor before the audit ended"),
    }
}

/// What this validator re-executes of a segment, given the block hash after its anchor.
#[must_use]
pub fn draw(config: &RunConfig, segment: &Segment, beacon: &[u8; 32], validator: &Account) -> Vec<Case> {
    let Some(anchor) = segment.anchor.filter(|a| a.matches) else { return Vec::new() };
    let counted = || segment.filed.iter().filter(|f| f.standing == Standing::Counted);
    let candidates: Vec<Candidate<'_>> =
        counted().map(|f| Candidate { sequence: f.signed.body.sequence, work: &f.signed.body.work }).collect();
    let quota =
        Quota { samples: config.audit.samples_per_miner as usize, steps: config.audit.steps_per_miner as usize };
    let drawn = audit::draw(beacon, &anchor.head, &segment.miner, validator, &candidates, quota);
    counted()
        .filter(|f| {
            drawn.binary_search(&f.signed.body.sequence).is_ok() || matches!(f.signed.body.work, Work::Merge { .. })
        })
        .map(|f| case(segment, f))
        .collect()
}

/// The case of one receipt.
#[must_use]
pub fn case(segment: &Segment, filed: &Filed) -> Case {
    let receipt = filed.signed.body.clone();
    let passes = match &receipt.work {
        Work::Step { samples, .. } => samples.iter().filter_map(|key| pass(segment, *key)).collect(),
        _ => Vec::new(),
    };
    Case {
        miner: segment.miner,
        address: segment.address.clone(),
        link: filed.link,
        first_step: filed.first_step,
        passes,
        receipt,
    }
}

fn pass(segment: &Segment, key: (u32, u16)) -> Option<Pass> {
    segment.filed.iter().filter(|f| f.standing == Standing::Counted).find_map(|f| match &f.signed.body.work {
        Work::Backward { sample, attempt, input, output_gradient, .. } if (*sample, *attempt) == key => {
            Some(Pass { sample: *sample, input: *input, output_gradient: *output_gradient })
        }
        _ => None,
    })
}

/// A verdict on a receipt.
#[must_use]
pub fn verdict(miner: Account, receipt: &Receipt, link: Digest, outcome: Outcome) -> Verdict {
    Verdict { miner, sequence: receipt.sequence, receipt: link, outcome }
}

/// Receipts that other validators failed and this one has not looked at: to be replayed before anything is believed.
#[must_use]
pub fn to_replay(
    state: &State,
    me: &Account,
    seen: &std::collections::BTreeSet<(Account, u64)>,
) -> Vec<(Account, u64)> {
    let mut found: Vec<(Account, u64)> = state
        .auditors()
        .iter()
        .filter(|(who, _)| *who != me)
        .flat_map(|(_, a)| a.verdicts.iter())
        .filter(|v| !v.outcome.passed())
        .map(|v| (v.miner, v.sequence))
        .filter(|key| !seen.contains(key))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
