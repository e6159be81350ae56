//! What a miner has to do next: a pure function of the ledger's state and of what it has signed but not yet seen there.
//!
//! Invariant: a duty is listed exactly as long as a receipt for it would count (or, for an anchor and for readiness, as long as
//! the run waits for it). So "is this still wanted?" is "is its [`Key`] still on the agenda?", asked before every signature.

use std::collections::{BTreeMap, BTreeSet};

use starling_keys::Account;
use starling_protocol::{
    Digest, Epoch, Round, Stage, Uid,
    ledger::{MergedShard, StageWeights},
    receipt::{Receipt, Work},
    state::{Member, Phase, Sample, Standing, State},
};

/// Names a duty. The order is the priority: a backward frees a tape and feeds the stage before, a step ends the round for
/// everybody, a forward can wait the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Go back through a sample.
    Backward {
        /// Index in the run.
        sample: u32,
        /// Attempt.
        attempt: u16,
    },
    /// Take an optimiser step.
    Step {
        /// Epoch.
        epoch: Epoch,
        /// Round.
        round: Round,
    },
    /// Average a shard.
    Merge {
        /// Epoch that the merge makes.
        epoch: Epoch,
        /// Shard of the plan.
        shard: u16,
    },
    /// Get hold of an epoch's first weights and say so.
    Hold {
        /// Epoch.
        epoch: Epoch,
        /// True if they are known already: the epoch has begun without this miner.
        begun: bool,
    },
    /// Go forward through a sample.
    Forward {
        /// Index in the run.
        sample: u32,
        /// Attempt.
        attempt: u16,
    },
    /// Write the chain's head to the blockchain.
    Anchor {
        /// Epoch.
        epoch: Epoch,
    },
}

/// A blob and who has to deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who committed to it.
    pub from: Account,
    /// Which.
    pub digest: Digest,
}

/// One pass over a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassDuty {
    /// Round of the epoch.
    pub round: Round,
    /// Index in the run.
    pub sample: u32,
    /// Attempt.
    pub attempt: u16,
    /// Weights to compute with.
    pub weights: Digest,
}

/// What a step's sample is computed from, by this miner's own receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Index in the run.
    pub sample: u32,
    /// Attempt.
    pub attempt: u16,
    /// Input of the stage.
    pub input: Digest,
    /// Gradient from the next stage; none at the last.
    pub output_gradient: Option<Digest>,
}

/// How an epoch's first weights come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Drawn from the run's seed.
    Seed,
    /// Held by the stage's miners.
    Known {
        /// Which.
        weights: StageWeights,
        /// Live miners of the stage.
        colleagues: Vec<Account>,
    },
    /// The shards of the merge put into the old weights.
    Assemble {
        /// Weights and momentum with which the epoch before began.
        old: StageWeights,
        /// Per shard; none keeps the old values.
        shards: Vec<Option<ShardAt>>,
        /// Live miners of the stage.
        colleagues: Vec<Account>,
    },
}

/// A merged shard and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardAt {
    /// Canonical f32 `[2, n]`.
    pub output: Digest,
    /// Who committed to it.
    pub holders: Vec<Account>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Forward; `input` is none at stage 0, which reads tokens.
    Forward {
        /// The pass.
        pass: PassDuty,
        /// The stage before and its output.
        input: Option<Delivery>,
    },
    /// Backward.
    Backward {
        /// The pass.
        pass: PassDuty,
        /// Input of this miner's forward.
        input: Digest,
        /// The next stage and its input gradient; none at the last stage.
        gradient: Option<Delivery>,
    },
    /// Optimiser step.
    Step {
        /// Round.
        round: Round,
        /// `(sample, attempt)` in the order of summation.
        samples: Vec<(u32, u16)>,
        /// What they are computed from, by this miner's receipts, in the same order.
        passed: Vec<Passed>,
        /// Weights before.
        weights: Digest,
        /// Optimiser state before; none before the first step.
        optimiser: Option<Digest>,
    },
    /// Reduce a shard.
    Merge {
        /// Which.
        shard: u16,
        /// Of how many.
        shards: u64,
        /// In order of summation.
        contributions: Vec<Delivery>,
        /// Weights and momentum before.
        old: StageWeights,
    },
    /// Get ready.
    Hold(Start),
    /// Anchor.
    Anchor {
        /// Receipts in the chain.
        count: u64,
        /// Link of the last.
        head: Digest,
    },
}

/// What is to be done, and what the miner waits for if that is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agenda {
    /// By priority.
    pub duties: BTreeMap<Key, Duty>,
    /// For a person.
    pub waiting: String,
}

impl Agenda {
    /// Nothing to do.
    pub(crate) fn idle(waiting: impl Into<String>) -> Self {
        Self { duties: BTreeMap::new(), waiting: waiting.into() }
    }
}

/// Signed and not yet in the ledger.
struct Pending<'a>(&'a [Receipt]);

impl Pending<'_> {
    fn forward(&self, key: (u32, u16)) -> Option<Digest> {
        self.0.iter().find_map(|r| match &r.work {
            Work::Forward { sample, attempt, input, .. } if (*sample, *attempt) == key => Some(*input),
            _ => None,
        })
    }
    fn backward(&self, key: (u32, u16)) -> bool {
        self.0.iter().any(|r| matches!(&r.work, Work::Backward { sample, attempt, .. } if (*sample, *attempt) == key))
    }
    fn step(&self, epoch: Epoch, round: Round) -> bool {
        self.0.iter().any(|r| r.epoch == epoch && matches!(&r.work, Work::Step { round: r, .. } if *r == round))
    }
    fn merge(&self, epoch: Epoch, shard: u16) -> bool {
        self.0.iter().any(|r| r.epoch == epoch && matches!(&r.work, Work::Merge { shard: s, .. } if *s == shard))
    }
}

/// The agenda of `me`. `pending` are receipts signed and not yet in the ledger, oldest first.
#[must_use]
pub fn agenda(state: &State, me: &Account, pending: &[Receipt]) -> Agenda {
    let Some(member) = state.members().get(me) else { return Agenda::idle("the orchestrator to let it join") };
    if *state.phase() == Phase::Finished {
        return Agenda::idle("nothing: the run is finished");
    }
    if !member.live {
        return Agenda::idle("the orchestrator to let it join again: it had fallen silent");
    }
    let pending = Pending(pending);
    let mut duties = BTreeMap::new();
    let works = member.enlisted;
    match state.phase() {
        Phase::Training if works => training(state, me, member, &pending, &mut duties),
        Phase::Anchoring { .. } if works && member.anchor.is_none() && pending.0.is_empty() => {
            let duty = Duty::Anchor { count: member.count, head: member.link };
            duties.insert(Key::Anchor { epoch: state.epoch() }, duty);
        }
        Phase::Merging => merging(state, member, &pending, &mut duties),
        _ => {}
    }
    let benched = state.epoch() < member.benched_until;
    if !benched && let Some((key, start)) = hold(state, me, member) {
        duties.insert(key, Duty::Hold(start));
    }
    let waiting = if benched {
        format!("epoch {}: until then it is kept out, because an audit found its work wrong", member.benched_until)
    } else if !works && *state.phase() != Phase::Gathering {
        format!("the next epoch, it is not among those that work in epoch {} ({})", state.epoch(), state.waiting_for())
    } else {
        state.waiting_for()
    };
    Agenda { duties, waiting }
}

fn training(state: &State, me: &Account, member: &Member, pending: &Pending<'_>, duties: &mut BTreeMap<Key, Duty>) {
    let t = state.training();
    let (Some(round), Some(weights)) = (t.round, member.weights) else { return };
    let stage = usize::from(member.stage);
    for (index, sample) in &t.samples {
        if sample.pathway.get(stage) != Some(me) {
            continue;
        }
        let key = (*index, sample.attempt);
        let pass = PassDuty { round, sample: *index, attempt: sample.attempt, weights };
        if let Some(input) = to_forward(sample, stage)
            && pending.forward(key).is_none()
        {
            duties.insert(Key::Forward { sample: key.0, attempt: key.1 }, Duty::Forward { pass: pass.clone(), input });
        }
        // A forward that is signed and on its way is as good as one in the ledger: both keep their order.
        let input = slot(&sample.inputs, stage).or_else(|| pending.forward(key));
        if let (Some(input), Some(gradient)) = (input, to_backward(sample, stage))
            && !pending.backward(key)
        {
            duties.insert(Key::Backward { sample: key.0, attempt: key.1 }, Duty::Backward { pass, input, gradient });
        }
    }
    let ordered = t.steps.as_ref().and_then(|s| s.get(me));
    if let Some(samples) = ordered.filter(|_| !t.stepped.contains(me) && !pending.step(state.epoch(), round))
        && let Some(passed) = samples.iter().map(|key| passed(state, me, *key)).collect()
    {
        let duty = Duty::Step { round, samples: samples.clone(), passed, weights, optimiser: member.optimiser };
        duties.insert(Key::Step { epoch: state.epoch(), round }, duty);
    }
}

fn slot(of: &[Option<Digest>], stage: usize) -> Option<Digest> {
    of.get(stage).copied().flatten()
}

/// `Some(None)`: go forward from tokens. `None`: not yet, or done.
fn to_forward(sample: &Sample, stage: usize) -> Option<Option<Delivery>> {
    if slot(&sample.outputs, stage).is_some() {
        return None;
    }
    let Some(before) = stage.checked_sub(1) else { return Some(None) };
    let digest = slot(&sample.outputs, before)?;
    Some(Some(Delivery { from: *sample.pathway.get(before)?, digest }))
}

/// `Some(None)`: go back from the loss. `None`: not yet, or done.
fn to_backward(sample: &Sample, stage: usize) -> Option<Option<Delivery>> {
    if sample.gradients.get(stage)?.is_some() {
        return None;
    }
    let next = stage + 1;
    if next == sample.pathway.len() {
        return Some(None);
    }
    let digest = sample.gradients.get(next).copied().flatten().flatten()?;
    Some(Some(Delivery { from: *sample.pathway.get(next)?, digest }))
}

fn passed(state: &State, me: &Account, key: (u32, u16)) -> Option<Passed> {
    state.filed().get(me)?.iter().rev().filter(|f| f.standing == Standing::Counted).find_map(|f| {
        match &f.signed.body.work {
            Work::Backward { sample, attempt, input, output_gradient, .. } if (*sample, *attempt) == key => {
                Some(Passed { sample: *sample, attempt: *attempt, input: *input, output_gradient: *output_gradient })
            }
            _ => None,
        }
    })
}

fn merging(state: &State, member: &Member, pending: &Pending<'_>, duties: &mut BTreeMap<Key, Duty>) {
    let stage = usize::from(member.stage);
    let Some(merging) = state.merging() else { return };
    let (Some(plan), Some(outputs), Some(old)) =
        (merging.stages.get(stage), merging.outputs.get(stage), state.base().get(stage))
    else {
        return;
    };
    let account = |uid: Uid| state.miner(uid).map(|(a, _)| *a);
    let contributions: Option<Vec<Delivery>> = plan
        .contributions
        .iter()
        .map(|(uid, digest)| Some(Delivery { from: account(*uid)?, digest: *digest }))
        .collect();
    let Some(contributions) = contributions else { return };
    for ((shard, reducers), delivered) in (0u16..).zip(&plan.shards).zip(outputs) {
        let mine = reducers.contains(&member.uid) && !delivered.contains_key(&member.uid);
        if mine && !pending.merge(state.epoch(), shard) {
            let duty = Duty::Merge {
                shard,
                shards: plan.shards.len() as u64,
                contributions: contributions.clone(),
                old: *old,
            };
            duties.insert(Key::Merge { epoch: state.epoch(), shard }, duty);
        }
    }
}

/// Before an epoch: its first weights. While one is under way without this miner: the same, so that it can take the place of a
/// stage that lost everybody.
fn hold(state: &State, me: &Account, member: &Member) -> Option<(Key, Start)> {
    let epoch = state.epoch();
    let colleagues = || {
        let others = state.members().iter().filter(|(a, m)| *a != me && m.live && m.stage == member.stage);
        others.map(|(a, _)| *a).collect::<Vec<_>>()
    };
    let said = member.ready.filter(|(e, _)| *e == epoch).map(|(_, w)| w);
    let stage = usize::from(member.stage);
    let base = state.base().get(stage).copied();
    match state.phase() {
        Phase::Gathering if said.is_none() => {
            let start = match (base, state.merged()) {
                (None, _) => Start::Seed,
                (Some(old), Some(merged)) => {
                    let shards = merged.get(stage)?.iter().map(|s| s.as_ref().map(|s| shard_at(state, s))).collect();
                    Start::Assemble { old, shards, colleagues: colleagues() }
                }
                (Some(_), None) => return None,
            };
            Some((Key::Hold { epoch, begun: false }, start))
        }
        Phase::Training if !member.enlisted => {
            let base = base?;
            let key = Key::Hold { epoch, begun: true };
            if epoch == 0 {
                // Everybody can draw these, also in a stage that nobody is left of.
                return said.is_none().then_some((key, Start::Seed));
            }
            (said != Some(base)).then_some((key, Start::Known { weights: base, colleagues: colleagues() }))
        }
        _ => None,
    }
}

fn shard_at(state: &State, shard: &MergedShard) -> ShardAt {
    let holders = shard.holders.iter().filter_map(|uid| state.miner(*uid).map(|(a, _)| *a)).collect();
    ShardAt { output: shard.output, holders }
}

/// Blobs that `me` must still be able to open or build on, whatever epoch they come from.
#[must_use]
pub fn keep(state: &State, me: &Account, pending: &[Receipt]) -> BTreeSet<Digest> {
    let mut kept = BTreeSet::new();
    let Some(member) = state.members().get(me) else { return kept };
    let stage: usize = usize::from(member.stage);
    let mut both = |w: &StageWeights| kept.extend([w.weights, w.momentum]);
    // The base of the epoch under way, and the one before it, from which this epoch's audited merge started.
    state.base().get(stage).into_iter().chain(state.previous_base().get(stage)).for_each(&mut both);
    member.ready.iter().for_each(|(_, w)| both(w));
    kept.extend([member.weights, member.optimiser].into_iter().flatten());
    if let Some(plan) = state.merging().and_then(|m| m.stages.get(stage)) {
        kept.extend(plan.contributions.iter().filter(|(uid, _)| *uid == member.uid).map(|(_, digest)| *digest));
    }
    let filed = state.filed().get(me).into_iter().flatten().map(|f| &f.signed.body);
    kept.extend(filed.chain(pending).flat_map(|r| r.work.openings()));
    kept
}

/// The stage and slot that the ledger gives to `me`.
#[must_use]
pub fn seat(state: &State, me: &Account) -> Option<(Uid, Stage)> {
    state.members().get(me).map(|m| (m.uid, m.stage))
}
