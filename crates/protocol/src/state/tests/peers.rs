//! What honest peers say when they look at a state: pure functions of the ledger and of made-up digests.

use starling_keys::{Account, Signature, Signer};
use std::collections::BTreeMap;

use crate::{
    Digest, Stage,
    ledger::StageWeights,
    message::{Join, Outcome, Ready, Report, Role, Verdict},
    receipt::{Receipt, Work},
    signed::Signed,
    state::{Phase, State},
    wire::Submission,
};

/// A real sr25519 key from a seed.
#[derive(Clone)]
pub struct Key(schnorrkel::Keypair);

impl Key {
    pub fn new(seed: u8) -> Self {
        let mini = schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap();
        Self(mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519))
    }
}

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

/// Stands for a computation: the digest of its name and inputs.
pub fn compute(what: &str, inputs: &[Digest]) -> Digest {
    let mut bytes = what.as_bytes().to_vec();
    for input in inputs {
        bytes.extend_from_slice(&input.0);
    }
    Digest::of(&bytes)
}

/// What a stage's miners hold at the start of the epoch that `view` gathers for, or is in.
pub fn first_weights(view: &State, stage: Stage) -> StageWeights {
    let s = usize::from(stage);
    if *view.phase() != Phase::Gathering
        && *view.phase() != Phase::Merging
        && let Some(base) = view.base().get(s)
    {
        return *base;
    }
    match (view.base().get(s), view.merged().and_then(|m| m.get(s))) {
        (Some(base), Some(shards)) => {
            let mut parts = vec![base.weights, base.momentum];
            parts.extend(shards.iter().map(|shard| shard.as_ref().map_or(Digest::ZERO, |x| x.output)));
            StageWeights {
                weights: compute("assembled weights", &parts),
                momentum: compute("assembled momentum", &parts),
            }
        }
        _ => {
            let name = Digest::of(&stage.to_le_bytes());
            StageWeights { weights: compute("initial weights", &[name]), momentum: compute("zero momentum", &[name]) }
        }
    }
}

pub fn join(key: &Key, view: &State, role: Role, at_ms: u64) -> Signed<Join> {
    let address = format!("of {}", key.account().short()).into_bytes();
    Signed::new(Join { run: view.run(), role, address, at_ms }, key)
}

/// The receipt that would continue the miner's chain as `view` knows it.
pub fn receipt(key: &Key, view: &State, work: Work) -> Signed<Receipt> {
    let me = &view.members()[&key.account()];
    let receipt =
        Receipt { run: view.run(), epoch: view.epoch(), stage: me.stage, sequence: me.count, previous: me.link, work };
    Signed::new(receipt, key)
}

/// The next thing an honest miner does, if there is anything to do.
pub fn miner(key: &Key, view: &State) -> Option<Submission> {
    let who = key.account();
    let me = view.members().get(&who).filter(|m| m.live)?;
    match view.phase() {
        Phase::Gathering => ready(key, view),
        Phase::Training if !me.enlisted => ready(key, view),
        Phase::Training => training(&who, view).map(|work| Submission::Receipt(receipt(key, view, work))),
        Phase::Merging => {
            let plan = view.merging()?;
            let s = usize::from(me.stage);
            let (stage, delivered) = (plan.stages.get(s)?, plan.outputs.get(s)?);
            let mine = stage
                .shards
                .iter()
                .zip(delivered)
                .position(|(r, d)| r.contains(&me.uid) && !d.contains_key(&me.uid))?;
            let mut inputs: Vec<Digest> = stage.contributions.iter().map(|(_, w)| *w).collect();
            inputs.push(Digest::of(&mine.to_le_bytes()));
            let work = Work::Merge { shard: u16::try_from(mine).unwrap(), output: compute("shard", &inputs) };
            Some(Submission::Receipt(receipt(key, view, work)))
        }
        Phase::Anchoring { .. } | Phase::Auditing { .. } | Phase::Finished => None,
    }
}

fn ready(key: &Key, view: &State) -> Option<Submission> {
    let me = &view.members()[&key.account()];
    let held = first_weights(view, me.stage);
    if me.ready == Some((view.epoch(), held)) {
        return None;
    }
    let ready = Ready { run: view.run(), epoch: view.epoch(), weights: held.weights, momentum: held.momentum };
    Some(Submission::Ready(Signed::new(ready, key)))
}

/// Honest work of one sample that is this miner's turn, or its step.
fn training(who: &Account, view: &State) -> Option<Work> {
    let me = &view.members()[who];
    let (t, stage, weights) = (view.training(), usize::from(me.stage), me.weights?);
    let round = t.round?;
    for (index, s) in t.samples.iter().filter(|(_, s)| s.pathway.get(stage) == Some(who)) {
        let last = stage + 1 == s.pathway.len();
        let (sample, attempt) = (*index, s.attempt);
        if s.outputs[stage].is_none() {
            let tokens = compute("tokens", &[Digest::of(&sample.to_le_bytes())]);
            let Some(input) = (if stage == 0 { Some(tokens) } else { s.outputs[stage - 1] }) else { continue };
            let output = compute("forward", &[weights, input]);
            let loss = last.then(|| (1.0 + f32::from(output.0[0]) / 256.0).to_bits());
            return Some(Work::Forward { round, sample, attempt, weights, input, output, loss });
        }
        if s.gradients[stage].is_none() && s.outputs.iter().all(Option::is_some) {
            let input = s.inputs[stage].unwrap();
            let output_gradient = if last { None } else { s.gradients[stage + 1].flatten() };
            if !last && output_gradient.is_none() {
                continue;
            }
            let of = compute("backward", &[weights, input, output_gradient.unwrap_or_default()]);
            let input_gradient = (stage > 0).then_some(of);
            return Some(Work::Backward { round, sample, attempt, weights, input, output_gradient, input_gradient });
        }
    }
    let samples = t.steps.as_ref()?.get(who)?.clone();
    if t.stepped.contains(who) {
        return None;
    }
    let optimiser_before = me.optimiser.unwrap_or_default();
    Some(Work::Step {
        round,
        samples,
        weights_before: weights,
        optimiser_before,
        weights_after: compute("stepped weights", &[weights, optimiser_before]),
        optimiser_after: compute("stepped optimiser", &[weights, optimiser_before]),
    })
}

/// A validator's only report: one verdict per miner with receipts, on its first; failed are those in `failing`.
pub fn validator(key: &Key, view: &State, failing: &BTreeMap<Account, Outcome>) -> Option<Submission> {
    view.auditors().get(&key.account()).filter(|a| a.live && !a.complete)?;
    let Phase::Auditing { .. } = view.phase() else { return None };
    let verdict = |(who, filed): (&Account, &Vec<crate::state::Filed>)| {
        let first = filed.first()?;
        let outcome = failing.get(who).cloned().unwrap_or(Outcome::Passed);
        Some(Verdict { miner: *who, sequence: first.signed.body.sequence, receipt: first.link, outcome })
    };
    let verdicts = view.filed().iter().filter_map(verdict).collect();
    let report = Report { run: view.run(), epoch: view.epoch(), verdicts, complete: true };
    Some(Submission::Report(Signed::new(report, key)))
}
