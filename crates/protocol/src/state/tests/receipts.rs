//! What each receipt is worth, and which are not even written down.

use super::{
    peers::{self, Key},
    sim::{Sim, config},
};
use starling_keys::Account;

use crate::{
    Digest,
    receipt::{Receipt, Work},
    signed::Signed,
    state::{Filed, Phase, Refusal, Standing},
    wire::Submission,
};

/// Two stages of two miners in the first round, nobody has computed yet.
fn sim() -> Sim {
    let mut sim = Sim::new(config(2, 2, 2, 4), 2, 1);
    sim.run_until(500, |s| s.training());
    sim
}

/// A sample whose first stage is `who`'s if given: index and pathway.
fn sample(sim: &Sim) -> (u32, Vec<Account>) {
    let (index, s) = sim.state.training().samples.iter().find(|(_, s)| s.outputs[0].is_none()).unwrap();
    (*index, s.pathway.clone())
}

fn forward(sim: &Sim, who: &Account, sample: u32) -> Work {
    let weights = sim.state.members()[who].weights.unwrap();
    let input = Digest::of(b"tokens");
    Work::Forward { round: 0, sample, attempt: 0, weights, input, output: Digest::of(b"output"), loss: None }
}

/// Send a work as the miner's next receipt; what the ledger makes of it.
fn standing(sim: &mut Sim, who: &Account, work: Work) -> Standing {
    let signed = peers::receipt(&sim.key(who), &sim.state, work);
    assert_eq!(sim.submit(who, Submission::Receipt(signed)), Ok(true));
    newest(sim, who).standing.clone()
}

fn newest<'a>(sim: &'a Sim, who: &Account) -> &'a Filed {
    sim.state.filed()[who].last().unwrap()
}

fn unsound(standing: &Standing) -> bool {
    matches!(standing, Standing::Unsound(_))
}

#[test]
fn assigned_work_in_time_counts_and_the_same_again_is_void() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let work = forward(&sim, &path[0], index);
    assert_eq!(standing(&mut sim, &path[0], work.clone()), Standing::Counted);
    assert_eq!(standing(&mut sim, &path[0], work), Standing::Void("done before"));
}

#[test]
fn a_receipt_sent_twice_is_written_once() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let signed = peers::receipt(&sim.key(&path[0]), &sim.state, forward(&sim, &path[0], index));
    assert_eq!(sim.submit(&path[0], Submission::Receipt(signed.clone())), Ok(true));
    assert_eq!(sim.submit(&path[0], Submission::Receipt(signed.clone())), Ok(false));
    // The answer may be lost for longer than an audit takes.
    sim.run_to_round(1, 0);
    assert_eq!(sim.submit(&path[0], Submission::Receipt(signed)), Ok(false));
}

#[test]
fn unassigned_work_is_void() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let other = sim.stage(0).into_iter().find(|a| *a != path[0]).unwrap();
    let work = forward(&sim, &other, index);
    assert_eq!(standing(&mut sim, &other, work), Standing::Void("not assigned"));
}

#[test]
fn late_work_is_void_and_no_offence() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let mut late = forward(&sim, &path[0], index);
    if let Work::Forward { attempt, .. } = &mut late {
        *attempt = 1;
    }
    assert!(matches!(standing(&mut sim, &path[0], late), Standing::Void(_)), "another attempt");
    let last_round = forward(&sim, &path[0], index);
    sim.run_to_round(0, 1);
    assert!(matches!(standing(&mut sim, &path[0], last_round), Standing::Void(_)), "another round");
}

#[test]
fn work_with_other_weights_than_held_is_an_offence() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let mut work = forward(&sim, &path[0], index);
    if let Work::Forward { weights, .. } = &mut work {
        *weights = Digest::of(b"stale");
    }
    assert!(unsound(&standing(&mut sim, &path[0], work)));
    assert!(sim.state.training().samples[&index].outputs[0].is_none(), "and moves nothing on");
}

#[test]
fn an_input_that_the_stage_before_did_not_commit_to_is_an_offence() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let early = Work::Forward {
        round: 0,
        sample: index,
        attempt: 0,
        weights: sim.state.members()[&path[1]].weights.unwrap(),
        input: Digest::of(b"output"),
        output: Digest::of(b"loss"),
        loss: Some(0),
    };
    assert!(unsound(&standing(&mut sim, &path[1], early.clone())), "before there is any");
    let work = forward(&sim, &path[0], index);
    assert_eq!(standing(&mut sim, &path[0], work), Standing::Counted);
    let mut other = early.clone();
    if let Work::Forward { input, .. } = &mut other {
        *input = Digest::of(b"own invention");
    }
    assert!(unsound(&standing(&mut sim, &path[1], other)));
    let mut lossless = early.clone();
    if let Work::Forward { loss, .. } = &mut lossless {
        *loss = None;
    }
    assert!(unsound(&standing(&mut sim, &path[1], lossless)), "the last stage owes a loss");
    assert_eq!(standing(&mut sim, &path[1], early), Standing::Counted);
}

#[test]
fn a_gradient_that_the_next_stage_did_not_commit_to_is_an_offence() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let work = forward(&sim, &path[0], index);
    standing(&mut sim, &path[0], work);
    let weights = sim.state.members()[&path[1]].weights.unwrap();
    let (input, output) = (Digest::of(b"output"), Digest::of(b"loss"));
    let work = Work::Forward { round: 0, sample: index, attempt: 0, weights, input, output, loss: Some(0) };
    assert_eq!(standing(&mut sim, &path[1], work), Standing::Counted);
    let backward = |input: &[u8], given: Option<&[u8]>, made: Option<&[u8]>, weights: Digest| Work::Backward {
        round: 0,
        sample: index,
        attempt: 0,
        weights,
        input: Digest::of(input),
        output_gradient: given.map(Digest::of),
        input_gradient: made.map(Digest::of),
    };
    assert!(unsound(&standing(&mut sim, &path[1], backward(b"other", None, Some(b"g"), weights))), "another input");
    assert!(
        unsound(&standing(&mut sim, &path[1], backward(b"output", Some(b"x"), Some(b"g"), weights))),
        "the last stage is given none"
    );
    assert!(unsound(&standing(&mut sim, &path[1], backward(b"output", None, None, weights))), "it owes one");
    assert_eq!(standing(&mut sim, &path[1], backward(b"output", None, Some(b"g"), weights)), Standing::Counted);
    let own = sim.state.members()[&path[0]].weights.unwrap();
    assert!(unsound(&standing(&mut sim, &path[0], backward(b"tokens", Some(b"x"), None, own))));
    assert!(
        unsound(&standing(&mut sim, &path[0], backward(b"tokens", Some(b"g"), Some(b"y"), own))),
        "stage 0 has none to give"
    );
    assert_eq!(standing(&mut sim, &path[0], backward(b"tokens", Some(b"g"), None, own)), Standing::Counted);
    assert!(matches!(standing(&mut sim, &path[0], backward(b"tokens", Some(b"g"), None, own)), Standing::Void(_)));
}

#[test]
fn a_step_must_be_the_one_ordered_from_what_the_miner_holds() {
    let mut sim = sim();
    let who = sim.stage(0)[0];
    let early = Work::Step {
        round: 0,
        samples: vec![],
        weights_before: Digest::ZERO,
        optimiser_before: Digest::ZERO,
        weights_after: Digest::ZERO,
        optimiser_after: Digest::ZERO,
    };
    assert_eq!(standing(&mut sim, &who, early), Standing::Void("no step was ordered"));
    sim.tampering.insert(
        who,
        Box::new(|_, said| match &said {
            Submission::Receipt(r) if r.body.work.name() == "step" => None,
            _ => Some(said),
        }),
    );
    sim.run_until(500, |s| s.state.training().steps.is_some());
    let ordered = sim.state.training().steps.as_ref().unwrap()[&who].clone();
    assert!(!ordered.is_empty());
    let held = sim.state.members()[&who].weights.unwrap();
    let step = |samples: &[(u32, u16)], before: Digest, optimiser: Digest| Work::Step {
        round: 0,
        samples: samples.to_vec(),
        weights_before: before,
        optimiser_before: optimiser,
        weights_after: Digest::of(b"after"),
        optimiser_after: Digest::of(b"moments"),
    };
    assert!(unsound(&standing(&mut sim, &who, step(&ordered[1..], held, Digest::ZERO))), "fewer samples");
    assert!(unsound(&standing(&mut sim, &who, step(&ordered, Digest::of(b"x"), Digest::ZERO))), "other weights");
    assert_eq!(standing(&mut sim, &who, step(&ordered, held, Digest::ZERO)), Standing::Counted);
    assert!(newest(&sim, &who).first_step, "the validator must see the zero state before it");
    assert_eq!(sim.state.members()[&who].weights, Some(Digest::of(b"after")));
    assert!(matches!(
        standing(&mut sim, &who, step(&ordered, Digest::of(b"after"), Digest::of(b"moments"))),
        Standing::Void(_)
    ));
    sim.run_until(500, |s| s.state.training().round == Some(1) && s.state.training().steps.is_some());
    let ordered = sim.state.training().steps.as_ref().unwrap()[&who].clone();
    let forgotten = Work::Step {
        round: 1,
        samples: ordered,
        weights_before: Digest::of(b"after"),
        optimiser_before: Digest::ZERO,
        weights_after: Digest::ZERO,
        optimiser_after: Digest::ZERO,
    };
    assert!(unsound(&standing(&mut sim, &who, forgotten)), "an optimiser state that it does not hold");
}

#[test]
fn a_merge_must_be_of_the_plan_and_of_ones_own_shard() {
    let mut sim = Sim::new(config(1, 1, 1, 3), 3, 1);
    for who in sim.stage(0) {
        sim.tampering.insert(who, Box::new(|state, said| (*state.phase() != Phase::Merging).then_some(said)));
    }
    let who = sim.stage(0)[0];
    sim.run_until(500, |s| s.training());
    let early = Work::Merge { shard: 0, output: Digest::ZERO };
    assert!(matches!(standing(&mut sim, &who, early), Standing::Void(_)));
    sim.run_until(500, |s| s.state.merging().is_some());
    // Pairs are (0, 1), (0, 2), (1, 2).
    assert!(unsound(&standing(&mut sim, &who, Work::Merge { shard: 9, output: Digest::ZERO })));
    assert_eq!(
        standing(&mut sim, &who, Work::Merge { shard: 2, output: Digest::ZERO }),
        Standing::Void("merges a shard of others")
    );
    assert_eq!(standing(&mut sim, &who, Work::Merge { shard: 1, output: Digest::ZERO }), Standing::Counted);
    assert_eq!(
        standing(&mut sim, &who, Work::Merge { shard: 1, output: Digest::ZERO }),
        Standing::Void("merges a shard twice")
    );
}

#[test]
fn another_stage_than_ones_own_is_an_offence_and_another_epoch_is_void() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let work = forward(&sim, &path[0], index);
    for (change, offence) in [((1, 0), true), ((0, 1), false)] {
        let mut body = peers::receipt(&sim.key(&path[0]), &sim.state, work.clone()).body;
        body.stage += change.0;
        body.epoch += change.1;
        let signed = Signed::new(body, &sim.key(&path[0]));
        assert_eq!(sim.submit(&path[0], Submission::Receipt(signed)), Ok(true));
        assert_eq!(unsound(&newest(&sim, &path[0]).standing), offence);
    }
}

#[test]
fn receipts_that_do_not_continue_the_chain_are_refused() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let who = path[0];
    let good = peers::receipt(&sim.key(&who), &sim.state, forward(&sim, &who, index)).body;
    let next = good.sequence;
    let mut send = |change: fn(&mut Receipt)| {
        let mut body = good.clone();
        change(&mut body);
        let signed = Signed::new(body, &sim.key(&who));
        sim.submit(&who, Submission::Receipt(signed))
    };
    assert_eq!(send(|r| r.sequence += 5), Err(Refusal::OutOfSequence { got: next + 5, need: next }));
    assert_eq!(send(|r| r.previous = Digest::of(b"other")), Err(Refusal::OtherChain(next)));
    assert!(matches!(send(|r| r.run = Digest::of(b"other")), Err(Refusal::OtherRun { .. })));
    assert_eq!(send(|_| {}), Ok(true));
    assert_eq!(
        send(|r| r.stage = 1),
        Err(Refusal::OutOfSequence { got: next, need: next + 1 }),
        "another receipt of the same number"
    );
}

#[test]
fn receipts_of_others_altered_ones_and_those_of_strangers_are_refused() {
    let mut sim = sim();
    let (index, path) = sample(&sim);
    let who = path[0];
    let signed = peers::receipt(&sim.key(&who), &sim.state, forward(&sim, &who, index));
    assert_eq!(sim.submit(&path[1], Submission::Receipt(signed.clone())), Err(Refusal::NotYours(path[1])));
    let mut altered = signed.clone();
    altered.body.stage = 1;
    assert_eq!(sim.submit(&who, Submission::Receipt(altered)), Err(Refusal::NotYours(who)));
    let stranger = Key::new(77);
    let account = starling_keys::Signer::account(&stranger);
    let body = signed.body;
    let foreign = Submission::Receipt(Signed::new(body, &stranger));
    assert_eq!(sim.submit(&account, foreign), Err(Refusal::NotJoined(account)));
}

#[test]
fn a_miner_cannot_fill_the_ledger_with_receipts_that_nobody_asked_for() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    let who = sim.stage(0)[0];
    let key = sim.key(&who);
    let refused = (0..2_000).find_map(|_| {
        let signed = peers::receipt(&key, &sim.state, Work::Merge { shard: 0, output: Digest::ZERO });
        sim.submit(&who, Submission::Receipt(signed)).err()
    });
    assert!(matches!(refused, Some(Refusal::TooMany { .. })));
}

#[test]
fn the_receipts_of_a_killed_miner_continue_its_chain_when_it_is_back() {
    let mut sim = Sim::new(config(1, 2, 1, 2), 2, 1);
    sim.run_until(500, |s| s.state.filed().len() == 2);
    let victim = sim.stage(0)[0];
    sim.kill(&victim);
    sim.run_until(100, |s| !s.state.members()[&victim].live);
    let before = sim.state.members()[&victim].count;
    sim.revive(&victim);
    assert_eq!(sim.state.members()[&victim].count, before);
    sim.finish();
    assert!(sim.state.members()[&victim].count > before);
}
