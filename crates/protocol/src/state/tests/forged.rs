//! Entries that an orchestrator makes up: whoever reads the ledger refuses them and stands where it stood.

use super::{
    peers::{self, Key},
    sim::{Sim, config},
};
use starling_keys::Signer;

use crate::{
    Digest,
    ledger::{Entry, Event, Head, MergedShard},
    message::Role,
    signed::Signed,
    state::{Broken, Distrust, Phase, State},
    wire::Page,
};

/// The entry is refused for breaking a rule, and nothing has changed.
#[track_caller]
fn refused(sim: &mut Sim, event: Event) {
    let before = format!("{:?}", sim.state);
    let result = sim.try_append(event);
    assert!(matches!(result, Err(Broken::Rule { .. })), "{result:?}");
    assert_eq!(format!("{:?}", sim.state), before, "a refused entry leaves no trace");
}

/// The next decision of a kind, not yet written.
fn demanded(sim: &mut Sim, name: &str) -> Event {
    for _ in 0..1_000 {
        match sim.state.decide(sim.now, sim.block) {
            Some(event) if event.name() == name => return event,
            Some(event) => sim.append(event),
            None => sim.quiet_turn(),
        }
    }
    panic!("no {name} within 1000 turns; waiting for {}", sim.state.waiting_for());
}

#[test]
fn a_wrong_roster_or_other_weights_are_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    let Event::Begun { epoch, roster, weights } = demanded(&mut sim, "begun") else { panic!() };
    let mut fewer = roster.clone();
    fewer[0].pop();
    refused(&mut sim, Event::Begun { epoch, roster: fewer, weights: weights.clone() });
    let mut stranger = roster.clone();
    stranger[1][1] = 999;
    refused(&mut sim, Event::Begun { epoch, roster: stranger, weights: weights.clone() });
    let mut other = weights.clone();
    other[0].weights = Digest::of(b"the orchestrator's own");
    refused(&mut sim, Event::Begun { epoch, roster: roster.clone(), weights: other });
    refused(&mut sim, Event::Begun { epoch: epoch + 1, roster: roster.clone(), weights: weights.clone() });
    sim.append(Event::Begun { epoch, roster: roster.clone(), weights: weights.clone() });
    refused(&mut sim, Event::Begun { epoch, roster, weights });
}

#[test]
fn an_epoch_that_begins_before_everyone_had_time_is_refused() {
    let mut sim = Sim::new(config(1, 1, 1, 2), 2, 1);
    sim.run_until(10, |s| s.state.members().values().all(|m| m.ready.is_some()));
    let (roster, weights) = sim.state.muster().unwrap();
    refused(&mut sim, Event::Begun { epoch: 0, roster, weights });
}

#[test]
fn pathways_that_the_seed_does_not_give_are_refused() {
    let mut sim = Sim::new(config(2, 1, 2, 4), 2, 1);
    let Event::Round { round, pathways } = demanded(&mut sim, "round") else { panic!() };
    let favoured = pathways[0][0];
    let mut unfair = pathways.clone();
    for path in &mut unfair {
        path[0] = favoured;
    }
    refused(&mut sim, Event::Round { round, pathways: unfair });
    let mut fewer = pathways.clone();
    fewer.pop();
    refused(&mut sim, Event::Round { round, pathways: fewer });
    refused(&mut sim, Event::Round { round, pathways: vec![] });
    refused(&mut sim, Event::Round { round: round + 1, pathways: pathways.clone() });
    sim.append(Event::Round { round, pathways: pathways.clone() });
    refused(&mut sim, Event::Round { round: round + 1, pathways });
}

#[test]
fn a_reroute_without_reason_with_a_dropped_attempt_or_to_a_favourite_is_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 3, 1);
    sim.run_to_round(0, 0);
    let index = *sim.state.training().samples.iter().find(|(_, s)| !s.complete()).unwrap().0;
    let victim = sim.state.training().samples[&index].pathway[0];
    let whim = sim.state.reroute(index, &victim).unwrap();
    refused(&mut sim, Event::Rerouted { sample: index, attempt: 1, pathway: whim, because: victim });

    sim.append(Event::Gone { account: victim });
    let Event::Rerouted { sample, attempt, pathway, because } = demanded(&mut sim, "rerouted") else { panic!() };
    let forged =
        |attempt, pathway: &[u16], because| Event::Rerouted { sample, attempt, pathway: pathway.to_vec(), because };
    refused(&mut sim, forged(attempt + 1, &pathway, because));
    refused(&mut sim, forged(attempt - 1, &pathway, because));
    let favourite = sim.stage(0).iter().map(|a| sim.uid(a)).find(|u| *u != pathway[0]).unwrap();
    let mut unfair = pathway.clone();
    unfair[0] = favourite;
    refused(&mut sim, forged(attempt, &unfair, because));
    let scapegoat = sim.stage(1)[0];
    refused(&mut sim, forged(attempt, &pathway, scapegoat));
    let (stranger, strange_path) = (10_000, pathway.clone());
    refused(&mut sim, Event::Rerouted { sample: stranger, attempt, pathway: strange_path, because });
    sim.append(forged(attempt, &pathway, because));
}

#[test]
fn an_invented_step_list_is_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    let Event::Step { round, samples } = demanded(&mut sim, "step") else { panic!() };
    let mut dropped = samples.clone();
    dropped[0].1.pop();
    refused(&mut sim, Event::Step { round, samples: dropped });
    let mut swapped = samples.clone();
    swapped[0].1.reverse();
    refused(&mut sim, Event::Step { round, samples: swapped });
    let mut invented = samples.clone();
    invented[0].1[0].1 += 1;
    refused(&mut sim, Event::Step { round, samples: invented });
    refused(&mut sim, Event::Step { round, samples: samples[1..].to_vec() });
    refused(&mut sim, Event::Step { round: round + 1, samples: samples.clone() });
    refused(&mut sim, Event::Closed { block: 100 });
    sim.append(Event::Step { round, samples: samples.clone() });
    refused(&mut sim, Event::Step { round, samples });
}

#[test]
fn a_step_before_every_sample_is_complete_is_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    sim.run_to_round(0, 0);
    let samples = sim.state.step_lists();
    refused(&mut sim, Event::Step { round: 0, samples });
}

#[test]
fn a_bench_list_that_the_verdicts_do_not_give_is_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    let Event::AuditClosed { benched } = demanded(&mut sim, "audit-closed") else { panic!() };
    assert!(benched.is_empty());
    let victim = sim.stage(0)[0];
    refused(&mut sim, Event::AuditClosed { benched: vec![victim] });
}

#[test]
fn an_audit_that_opens_before_miners_could_anchor_is_refused() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    let closed = demanded(&mut sim, "closed");
    sim.append(closed);
    let block = sim.block;
    refused(&mut sim, Event::AuditOpened { block });
    refused(&mut sim, Event::AuditClosed { benched: vec![] });
    let victim = sim.stage(0)[0];
    refused(&mut sim, Event::Anchored { account: victim, block: block - 1, count: 0, head: Digest::ZERO });
}

#[test]
fn a_merge_that_leaves_somebody_out_or_an_invented_result_is_refused() {
    let mut sim = Sim::new(config(2, 2, 1, 4), 2, 1);
    let Event::MergePlanned { epoch, stages } = demanded(&mut sim, "merge-planned") else { panic!() };
    let mut without = stages.clone();
    without[0].contributions.pop();
    refused(&mut sim, Event::MergePlanned { epoch, stages: without });
    let mut other = stages.clone();
    other[1].contributions[0].1 = Digest::of(b"other weights");
    refused(&mut sim, Event::MergePlanned { epoch, stages: other });
    sim.append(Event::MergePlanned { epoch, stages });

    let early = sim.state.merge_result().0;
    refused(&mut sim, Event::Merged { stages: early });
    let Event::Merged { stages } = demanded(&mut sim, "merged") else { panic!() };
    let mut lost = stages.clone();
    lost[0][0] = None;
    refused(&mut sim, Event::Merged { stages: lost });
    let mut invented = stages.clone();
    let holders = invented[0][0].as_ref().unwrap().holders.clone();
    invented[0][0] = Some(MergedShard { output: Digest::of(b"invented"), holders });
    refused(&mut sim, Event::Merged { stages: invented });
    sim.append(Event::Merged { stages });
}

#[test]
fn a_favourite_is_not_enlisted_into_a_stage_that_has_miners_nor_a_newcomer_put_where_it_pleases() {
    let mut sim = Sim::new(config(2, 2, 1, 4), 1, 1);
    sim.run_to_round(0, 0);
    let favourite = sim.add(50, 50, Role::Miner).unwrap();
    refused(&mut sim, Event::Enlisted { account: favourite });
    let key = Key::new(51);
    let join = peers::join(&key, &sim.state, Role::Miner, sim.now);
    assert_eq!(sim.state.stage_for_a_newcomer(), Some(1));
    refused(&mut sim, Event::Joined { join, uid: 51, stage: 0 });
}

#[test]
fn what_a_peer_did_not_sign_is_refused() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    let miner = sim.stage(0)[0];
    let mut ready = Signed::new(
        crate::message::Ready { run: sim.state.run(), epoch: 0, weights: Digest::ZERO, momentum: Digest::ZERO },
        &Key::new(77),
    );
    ready.signer = miner;
    assert!(matches!(sim.try_append(Event::Ready(ready)), Err(Broken::Signature(_))));
    let mut join = peers::join(&Key::new(77), &sim.state, Role::Miner, sim.now);
    join.body.at_ms += 1;
    assert!(matches!(sim.try_append(Event::Joined { join, uid: 77, stage: 0 }), Err(Broken::Signature(_))));
}

#[test]
fn time_that_runs_backward_is_refused() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    let account = sim.stage(0)[0];
    sim.now -= 1;
    refused(&mut sim, Event::Gone { account });
}

fn page(sim: &Sim, from: usize, to: usize, key: &Key) -> Page {
    let mut head = Head::empty(sim.state.run());
    for entry in &sim.ledger[..to] {
        head = head.then(entry);
    }
    Page { from: from as u64, entries: sim.ledger[from..to].to_vec(), head: Signed::new(head, key) }
}

#[test]
fn a_follower_believes_pages_with_the_orchestrators_signed_head_and_no_others() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    sim.finish();
    let orchestrator = Key::new(200);
    assert_eq!(orchestrator.account(), sim.state.config().orchestrator);
    let all = sim.ledger.len();
    let fresh = || State::new(sim.state.config().clone());

    let mut reader = fresh();
    assert_eq!(reader.absorb(&page(&sim, 0, 3, &orchestrator)), Ok(3));
    assert_eq!(reader.absorb(&page(&sim, 3, all, &orchestrator)), Ok(all - 3));
    assert_eq!(reader.absorb(&page(&sim, all, all, &orchestrator)), Ok(0));
    assert_eq!(*reader.phase(), Phase::Finished);

    assert!(matches!(fresh().absorb(&page(&sim, 0, 3, &Key::new(1))), Err(Distrust::Stranger(_))));
    assert!(matches!(fresh().absorb(&page(&sim, 1, 3, &orchestrator)), Err(Distrust::Gap { got: 1, need: 0 })));
    let mut unsigned = page(&sim, 0, 3, &orchestrator);
    unsigned.head.body.length += 1;
    assert!(matches!(fresh().absorb(&unsigned), Err(Distrust::Signature(_))));
    let mut fork = page(&sim, 0, 3, &orchestrator);
    fork.entries[2].at_ms += 1;
    assert_eq!(fresh().absorb(&fork), Err(Distrust::Fork { length: 3 }));
    let mut shorter = page(&sim, 0, 3, &orchestrator);
    shorter.entries.pop();
    assert!(matches!(fresh().absorb(&shorter), Err(Distrust::Fork { .. })));
    let mut foreign = page(&sim, 0, 3, &orchestrator);
    foreign.entries[0] = Entry { at_ms: 0, event: Event::AuditClosed { benched: vec![] } };
    assert!(matches!(fresh().absorb(&foreign), Err(Distrust::Broken(_))));
}
