//! What can be said about a receipt without computing on tensors: does it fit the tables, its log, and the receipts that it names?
//!
//! Invariant: an honest miner's receipt never has a [`Flaw`], whatever its neighbours do and however late its ledger was; each flaw is an
//! offence that anybody can check from the receipts shown and the ledger.

use parity_scale_codec::{Decode, Encode};

use super::{
    config::RunConfig,
    receipt::{At, Receipt, Work},
    signed::Signed,
    table::Table,
};
use starling_keys::Account;

use crate::{Digest, Epoch, Stage, Uid};

/// How a receipt contradicts the ledger, its log or the receipts that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Flaw {
    /// The leaf is no receipt, is not signed by its miner, or its sequence is below its place.
    #[error("the leaf is not a receipt signed by its miner with this sequence")]
    NotAReceipt,
    /// The log does not continue the tally before.
    #[error("the log does not continue the tally before")]
    Rewritten,
    /// Not on the sample's pathway, and not the detour that was named.
    #[error("the sample's pathway does not lead to this miner")]
    NotOnPathway,
    /// Turns were skipped without a crash, or a turn is used twice.
    #[error("the turn is not the next one")]
    WrongTurn,
    /// The receipt that it names is of another sample, stage or content.
    #[error("the receipt that it names does not give what it took in")]
    WrongSource,
    /// Forward and backward with different weights, beyond the staleness that the run allows.
    #[error("the backward uses other weights than the forward")]
    WrongVersion,
    /// A stage that has a loss or a gradient to give gives none, or the other way round.
    #[error("the receipt has parts that its stage does not have, or lacks some")]
    WrongShape,
    /// A step over too few, too many or repeated samples.
    #[error("the step's list is too short, too long, or names a sample twice")]
    WrongList,
    /// No content digests where they are due.
    #[error("the step should name its content")]
    NoContent,
    /// A lane beyond the run's bounds, or a step beyond the epoch's without need.
    #[error("the lane or the step is beyond the run's bounds")]
    OutOfBounds,
    /// The totals of neighbours do not match.
    #[error("neighbours' totals do not match")]
    WrongTotals,
}

/// What the ledger says about the miner whose receipt is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Slot.
    pub uid: Uid,
    /// Account.
    pub account: &'a Account,
    /// Its stage.
    pub stage: Stage,
}

/// Number of stages, and bounds.
fn last(config: &RunConfig, stage: Stage) -> bool {
    stage + 1 >= config.stages()
}

/// The leaf at `index` is a receipt of this author.
///
/// # Errors
/// [`Flaw::NotAReceipt`].
pub fn leaf(bytes: &[u8], index: u64, author: Author<'_>, run: &Digest) -> Result<Signed<Receipt>, Flaw> {
    let receipt = <Signed<Receipt> as parity_scale_codec::DecodeAll>::decode_all(&mut &bytes[..])
        .map_err(|_| Flaw::NotAReceipt)?;
    let right =
        receipt.by == author.uid && receipt.body.sequence >= index && receipt.verify(run, author.account).is_ok();
    if right { Ok(receipt) } else { Err(Flaw::NotAReceipt) }
}

/// A forward, backward, drop or step by itself.
///
/// `table` is the sample's, where the follower still has it. (One that is too old is not judged.)
///
/// # Errors
/// The flaw.
pub fn alone(config: &RunConfig, author: Author<'_>, work: &Work, table: Option<&Table>) -> Result<(), Flaw> {
    match work {
        Work::Forward { sample, at, from, rank, loss, .. } => {
            bounds(config, at)?;
            need(from.is_none() == (author.stage == 0), Flaw::WrongShape)?;
            need(loss.is_some() == last(config, author.stage), Flaw::WrongShape)?;
            let Some(table) = table else { return Ok(()) };
            let here = if author.stage == 0 {
                *rank == 0 && sample.head == author.uid && table.place(author.uid, sample.turn).is_some()
            } else {
                table.leads_to(*sample, author.stage, *rank, author.uid)
            };
            need(here, Flaw::NotOnPathway)
        }
        Work::Backward { at, from, output_gradient, input_gradient, .. } => {
            bounds(config, at)?;
            let end = last(config, author.stage);
            need(from.is_none() == end && output_gradient.is_none() == end, Flaw::WrongShape)?;
            need(input_gradient.is_none() == (author.stage == 0), Flaw::WrongShape)
        }
        Work::Step { at, samples, content } => {
            bounds(config, at)?;
            let (_, most) = config.lanes.samples_per_step;
            let mut names = samples.clone();
            names.sort_unstable();
            names.dedup();
            need(
                !samples.is_empty() && samples.len() <= most as usize && names.len() == samples.len(),
                Flaw::WrongList,
            )?;
            let due = (at.step + 1).is_multiple_of(config.lanes.content_every);
            need(!due || content.is_some(), Flaw::NoContent)
        }
        Work::Carry { at, .. } | Work::Close { at, .. } => bounds(config, at),
        Work::Drop { .. } | Work::Merge { .. } => Ok(()),
    }
}

/// A forward and the receipt that it names as its source.
///
/// # Errors
/// [`Flaw::WrongSource`].
pub fn forward_from(
    config: &RunConfig,
    author: Author<'_>,
    own: &Work,
    source: &Signed<Receipt>,
    sender: Author<'_>,
    run: &Digest,
) -> Result<(), Flaw> {
    let Work::Forward { sample, from, input, .. } = own else { return Err(Flaw::WrongSource) };
    let Work::Forward { sample: theirs, output, .. } = &source.body.work else { return Err(Flaw::WrongSource) };
    let right = sender.stage + 1 == author.stage
        && !last(config, sender.stage)
        && sample == theirs
        && input == output
        && *from == Some(source.link(sender.account))
        && source.by == sender.uid
        && source.verify(run, sender.account).is_ok();
    need(right, Flaw::WrongSource)
}

/// A backward, its own forward, and the receipt that brought the gradient.
///
/// # Errors
/// The flaw.
pub fn backward_from(
    config: &RunConfig,
    author: Author<'_>,
    own: &Work,
    forward: &Signed<Receipt>,
    source: Option<(&Signed<Receipt>, Author<'_>)>,
    run: &Digest,
) -> Result<(), Flaw> {
    let Work::Backward { sample, at, forward: named, from, output_gradient, .. } = own else {
        return Err(Flaw::WrongSource);
    };
    let Work::Forward { sample: first, at: then, .. } = &forward.body.work else { return Err(Flaw::WrongSource) };
    let own_forward = sample == first
        && *named == forward.link(author.account)
        && forward.by == author.uid
        && forward.verify(run, author.account).is_ok();
    need(own_forward, Flaw::WrongSource)?;
    let stale = if at.epoch == then.epoch { at.step.checked_sub(then.step) } else { None };
    let same = at.lane == then.lane
        && if config.lanes.max_stale == 0 { at == then } else { stale.is_none_or(|s| s <= config.lanes.max_stale) };
    need(same, Flaw::WrongVersion)?;
    match source {
        None => need(last(config, author.stage), Flaw::WrongSource),
        Some((source, sender)) => {
            let Work::Backward { sample: theirs, input_gradient, .. } = &source.body.work else {
                return Err(Flaw::WrongSource);
            };
            let right = sender.stage == author.stage + 1
                && sample == theirs
                && output_gradient == input_gradient
                && *from == Some(source.link(sender.account))
                && source.by == sender.uid
                && source.verify(run, sender.account).is_ok();
            need(right, Flaw::WrongSource)
        }
    }
}

fn bounds(config: &RunConfig, at: &At) -> Result<(), Flaw> {
    need(at.lane < config.lanes.lanes.1 && at.epoch < config.training.epochs.saturating_add(2), Flaw::OutOfBounds)
}

fn need(holds: bool, flaw: Flaw) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(flaw) }
}

/// Samples that one miner sent to and consumed from each neighbour in one epoch, by slot ascending. Its digest stands in the `Close`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Flows {
    /// Which epoch.
    pub epoch: Epoch,
    /// Per neighbour: forwards pushed to it, gradients consumed from it, forwards taken from it, gradients pushed to it.
    pub peers: Vec<(Uid, [u32; 4])>,
}

impl Flows {
    /// What the `Close` names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        super::receipt::named("starling.flows.v2", &[&self.encode()])
    }

    fn of(&self, peer: Uid) -> [u32; 4] {
        self.peers
            .binary_search_by_key(&peer, |(uid, _)| *uid)
            .ok()
            .and_then(|i| self.peers.get(i))
            .map_or([0; 4], |(_, n)| *n)
    }

    /// Gradients that `below` says it pushed to `above`, and gradients that `above` says it consumed from `below`: what counts is the
    /// smaller; a difference beyond `in_flight` calls for an audit of both.
    #[must_use]
    pub fn agree(above: (Uid, &Self), below: (Uid, &Self), in_flight: u32) -> (u32, bool) {
        let (consumed, pushed) = (above.1.of(below.0)[1], below.1.of(above.0)[3]);
        (consumed.min(pushed), consumed.abs_diff(pushed) <= in_flight)
    }
}
