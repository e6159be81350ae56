//! Miners that die, return, come too late; complaints.

use super::{
    peers,
    sim::{Sim, config},
};
use crate::{
    Digest,
    ledger::Event,
    message::{Complaint, Role},
    signed::Signed,
    state::{MAX_COMPLAINED, Phase, Refusal},
    wire::Submission,
};

#[test]
fn killing_a_miner_mid_epoch_reroutes_its_samples_and_the_run_goes_on() {
    let mut sim = Sim::new(config(3, 2, 2, 4), 2, 1);
    sim.run_to_round(0, 0);
    let victim = sim.stage(1)[0];
    let uid = sim.uid(&victim);
    sim.kill(&victim);
    sim.run_to_round(0, 1);
    assert!(sim.count("rerouted") > 0);
    for entry in &sim.ledger {
        if let Event::Rerouted { pathway, because, .. } = &entry.event {
            assert_eq!(*because, victim);
            assert!(!pathway.contains(&uid));
        }
    }
    sim.finish();
    assert_eq!(sim.rosters()[1].1[1].len(), 1, "the next epoch begins without it");
    sim.assert_follower_agrees();
}

#[test]
fn a_miner_that_answers_but_does_not_compute_loses_its_samples_to_a_colleague() {
    let mut sim = Sim::new(config(2, 1, 1, 4), 2, 1);
    sim.run_to_round(0, 0);
    let idle = sim.stage(0)[0];
    sim.tampering.insert(idle, Box::new(|state, said| (*state.phase() != Phase::Training).then_some(said)));
    sim.finish();
    let for_it = |e: &&crate::ledger::Entry| matches!(&e.event, Event::Rerouted { because, .. } if *because == idle);
    assert!(sim.ledger.iter().any(|e| for_it(&e)));
    assert_eq!(sim.count("gone"), 0);
}

#[test]
fn a_miner_that_does_not_step_is_taken_for_gone() {
    let mut sim = Sim::new(config(1, 1, 1, 4), 2, 1);
    sim.run_to_round(0, 0);
    let idle = sim.stage(0)[0];
    sim.tampering.insert(
        idle,
        Box::new(|_, said| (!matches!(&said, Submission::Receipt(r) if r.body.work.name() == "step")).then_some(said)),
    );
    sim.finish();
    assert!(sim.ledger.iter().any(|e| matches!(&e.event, Event::Gone { account } if *account == idle)));
    sim.assert_follower_agrees();
}

#[test]
fn a_stage_whose_only_miner_dies_waits_says_so_and_continues_when_it_rejoins() {
    let mut sim = Sim::new(config(2, 1, 2, 2), 1, 1);
    sim.run_to_round(0, 1);
    let only = sim.stage(1)[0];
    sim.kill(&only);
    for _ in 0..200 {
        sim.turn();
    }
    assert!(sim.training(), "the run waits");
    assert!(sim.state.waiting_for().contains("a miner for stage 1"), "{}", sim.state.waiting_for());
    sim.revive(&only);
    sim.finish();
    assert_eq!(sim.count("enlisted"), 1);
    sim.assert_follower_agrees();
}

/// The step is ordered, all gradients lie with the miner that dies: whoever comes back owes no step.
#[test]
fn a_stage_whose_only_miner_dies_before_its_step_continues_when_it_rejoins() {
    let mut sim = Sim::new(config(2, 1, 2, 2), 1, 1);
    let only = sim.stage(1)[0];
    sim.tampering.insert(
        only,
        Box::new(|_, said| (!matches!(&said, Submission::Receipt(r) if r.body.work.name() == "step")).then_some(said)),
    );
    sim.run_until(500, |s| s.state.training().steps.is_some());
    sim.kill(&only);
    sim.tampering.clear();
    sim.run_until(500, |s| !s.state.members()[&only].live);
    sim.now += 10 * sim.state.config().epoch.sample_timeout_ms;
    sim.revive(&only);
    sim.finish();
    let gone = sim.ledger.iter().filter(|e| matches!(&e.event, Event::Gone { account } if *account == only)).count();
    assert_eq!(gone, 1);
    sim.assert_follower_agrees();
}

/// It went forward with weights that it no longer has: the sample starts again, at once.
#[test]
fn a_sample_whose_miner_left_and_came_back_before_it_could_move_starts_again() {
    let mut sim = Sim::new(config(2, 1, 1, 1), 1, 1);
    let only = sim.stage(1)[0];
    sim.tampering.insert(
        only,
        Box::new(|_, said| {
            (!matches!(&said, Submission::Receipt(r) if r.body.work.name() == "backward")).then_some(said)
        }),
    );
    sim.run_until(500, |s| s.state.training().samples.get(&0).is_some_and(|s| s.outputs[1].is_some()));
    sim.append(Event::Gone { account: only });
    sim.decide();
    sim.revive(&only);
    sim.acts(&only);
    sim.decide();
    let sample = &sim.state.training().samples[&0];
    assert_eq!((sample.attempt, sample.pathway[1]), (1, only));
    assert!(sample.outputs[1].is_none());
    sim.tampering.clear();
    sim.finish();
    sim.assert_follower_agrees();
}

#[test]
fn another_ready_miner_takes_the_place_of_a_stage_that_lost_its_only_one() {
    let mut sim = Sim::new(config(2, 1, 2, 2), 1, 1);
    sim.run_to_round(0, 0);
    let only = sim.stage(0)[0];
    let reserve = sim.add(50, 50, Role::Miner).unwrap();
    assert_eq!(sim.state.members()[&reserve].stage, 0);
    sim.kill(&only);
    sim.finish();
    assert!(sim.ledger.iter().any(|e| matches!(&e.event, Event::Enlisted { account } if *account == reserve)));
}

#[test]
fn a_miner_that_returns_is_in_the_next_epochs_roster() {
    let mut sim = Sim::new(config(2, 2, 2, 4), 2, 1);
    sim.run_to_round(0, 0);
    let victim = sim.stage(1)[1];
    sim.kill(&victim);
    sim.run_until(200, |s| !s.state.members()[&victim].live);
    sim.revive(&victim);
    assert!(!sim.state.members()[&victim].enlisted);
    sim.run_to_round(1, 0);
    let uid = sim.uid(&victim);
    assert!(sim.roster()[1].contains(&uid));
    sim.finish();
    sim.assert_follower_agrees();
}

/// Killed and started again before anybody noticed: it holds nothing of the round any more, so its samples start again.
#[test]
fn a_miner_that_restarts_within_the_liveness_timeout_is_not_waited_for() {
    let mut sim = Sim::new(config(2, 2, 2, 4), 2, 1);
    sim.run_to_round(0, 0);
    let victim = sim.stage(1)[0];
    sim.revive(&victim);
    let m = &sim.state.members()[&victim];
    assert!(m.live && !m.enlisted && m.weights.is_none());
    sim.turn();
    assert!(sim.count("rerouted") > 0);
    assert_eq!(sim.count("gone"), 0);
    sim.run_to_round(1, 0);
    let uid = sim.uid(&victim);
    assert!(sim.roster()[1].contains(&uid));
    sim.finish();
}

/// Outside of training nothing in memory is at stake: a restart costs nothing.
#[test]
fn a_restart_while_gathering_costs_a_miner_nothing_but_its_word() {
    let mut sim = Sim::new(config(1, 1, 1, 2), 2, 1);
    sim.run_until(10, |s| s.state.members().values().all(|m| m.ready.is_some()));
    let victim = sim.stage(0)[0];
    sim.revive(&victim);
    assert!(sim.state.members()[&victim].ready.is_none(), "what it held must be said anew");
    sim.run_until(100, Sim::training);
    assert_eq!(sim.roster()[0].len(), 2);
}

#[test]
fn a_reducer_that_dies_does_not_hold_up_the_merge() {
    let mut sim = Sim::new(config(1, 2, 1, 3), 3, 1);
    sim.run_to_round(0, 0);
    let victim = sim.stage(0)[2];
    sim.tampering.insert(victim, Box::new(|state, said| (*state.phase() != Phase::Merging).then_some(said)));
    sim.run_until(500, |s| *s.state.phase() == Phase::Merging);
    let planned = sim.now;
    sim.kill(&victim);
    sim.run_until(500, |s| *s.state.phase() != Phase::Merging);
    assert!(sim.now - planned < sim.state.config().epoch.merge_timeout_ms);
    let merged = sim.state.merged().unwrap();
    assert!(merged[0].iter().all(Option::is_some), "each of its shards has the other reducer");
    sim.finish();
    sim.assert_follower_agrees();
}

fn complain(
    sim: &Sim,
    from: &starling_keys::Account,
    sample: u32,
    attempt: u16,
    about: starling_keys::Account,
) -> Submission {
    let complaint = Complaint { run: sim.state.run(), sample, attempt, about, reason: "its blob does not come".into() };
    Submission::Complaint(Signed::new(complaint, &sim.key(from)))
}

#[test]
fn a_complaint_reroutes() {
    let mut sim = Sim::new(config(2, 1, 1, 2), 2, 1);
    sim.run_to_round(0, 0);
    let (index, sample) = sim.state.training().samples.iter().map(|(i, s)| (*i, s.clone())).next().unwrap();
    let (about, from) = (sample.pathway[0], sample.pathway[1]);
    let said = complain(&sim, &from, index, 0, about);
    assert_eq!(sim.submit(&from, said.clone()), Ok(true));
    assert_eq!(sim.submit(&from, said), Ok(false), "said twice, written once");
    sim.decide();
    let now = &sim.state.training().samples[&index];
    assert_eq!(now.attempt, 1);
    assert_ne!(now.pathway[0], about);
    assert_eq!(now.pathway[1], from);
    // About what is over: no fault, and no effect.
    let late = complain(&sim, &from, index, 0, about);
    assert_eq!(sim.submit(&from, late), Ok(false));
    sim.finish();
    sim.assert_follower_agrees();
}

#[test]
fn complaints_of_strangers_to_a_sample_and_about_oneself_change_nothing() {
    let mut sim = Sim::new(config(2, 1, 1, 2), 2, 1);
    sim.run_to_round(0, 0);
    let (index, sample) = sim.state.training().samples.iter().map(|(i, s)| (*i, s.clone())).next().unwrap();
    let stranger = sim.stage(1).into_iter().find(|a| *a != sample.pathway[1]).unwrap();
    for (from, about) in
        [(stranger, sample.pathway[0]), (sample.pathway[0], sample.pathway[0]), (sample.pathway[0], stranger)]
    {
        let said = complain(&sim, &from, index, 0, about);
        assert_eq!(sim.submit(&from, said), Ok(false));
    }
}

#[test]
fn a_miner_that_complains_about_everybody_cannot_keep_a_sample_moving_for_ever() {
    let mut sim = Sim::new(config(2, 1, 1, 1), 2, 1);
    sim.run_to_round(0, 0);
    let grumbler = sim.state.training().samples[&0].pathway[1];
    let mut complaints = 0;
    loop {
        let s = sim.state.training().samples[&0].clone();
        let said = complain(&sim, &grumbler, 0, s.attempt, s.pathway[0]);
        if sim.submit(&grumbler, said) != Ok(true) {
            break;
        }
        sim.decide();
        complaints += 1;
    }
    assert_eq!(complaints, MAX_COMPLAINED);
    sim.finish();
}

#[test]
fn a_slot_has_one_miner_and_passes_on_when_the_former_has_no_open_work() {
    let mut sim = Sim::new(config(1, 3, 1, 2), 2, 1);
    sim.run_to_round(0, 0);
    let former = sim.stage(0)[1];
    let slot = sim.uid(&former);
    assert_eq!(sim.add(50, slot, Role::Miner), Err(Refusal::SlotTaken(slot)), "its holder is there");
    sim.kill(&former);
    sim.run_until(100, |s| !s.state.members()[&former].live);
    let newcomer = peers::Key::new(50);
    let account = starling_keys::Signer::account(&newcomer);
    assert_eq!(sim.join(&account), Err(Refusal::SlotTaken(slot)), "its holder's work is not settled");
    sim.run_to_round(1, 0);
    assert_eq!(sim.join(&account), Ok(true));
    assert_eq!(sim.state.miner(slot).unwrap().0, &account, "the slot now names the newcomer");
    sim.run_to_round(2, 0);
    assert!(sim.roster()[0].contains(&slot));
    sim.finish();
    sim.assert_follower_agrees();
}

#[test]
fn joins_that_cannot_be_are_refused_with_the_reason() {
    let mut sim = Sim::new(config(1, 1, 1, 2), 3, 1);
    assert_eq!(sim.add(50, 50, Role::Miner), Err(Refusal::Full(3)));
    let miner = sim.stage(0)[0];
    let key = sim.key(&miner);
    let uid = sim.uid(&miner);

    let as_validator = peers::join(&key, &sim.state, Role::Validator, sim.now + 1);
    let refused = sim.state.admit_join(&miner, as_validator, uid, sim.now);
    assert!(matches!(refused, Err(Refusal::OtherRole { role: "miner", .. })));

    let again = peers::join(&key, &sim.state, Role::Miner, sim.now);
    assert_eq!(sim.state.admit_join(&miner, again.clone(), uid, sim.now), Ok(None), "an answer may have been lost");
    let older = peers::join(&key, &sim.state, Role::Miner, sim.now - 1);
    assert!(matches!(sim.state.admit_join(&miner, older, uid, sim.now), Err(Refusal::Clock { .. })));
    let far = peers::join(&key, &sim.state, Role::Miner, sim.now + 86_400_000);
    assert!(matches!(sim.state.admit_join(&miner, far, uid, sim.now), Err(Refusal::Clock { .. })));

    let other = sim.stage(0)[1];
    assert_eq!(sim.state.admit_join(&other, again.clone(), uid, sim.now), Err(Refusal::NotYours(other)));
    let mut altered = again;
    altered.body.address.push(0);
    assert_eq!(sim.state.admit_join(&miner, altered, uid, sim.now), Err(Refusal::NotYours(miner)));
    let mut elsewhere = peers::join(&key, &sim.state, Role::Miner, sim.now + 1);
    elsewhere.body.run = Digest::of(b"another run");
    let elsewhere = Signed::new(elsewhere.body, &key);
    assert!(matches!(sim.state.admit_join(&miner, elsewhere, uid, sim.now), Err(Refusal::OtherRun { .. })));

    sim.finish();
    let late = peers::join(&key, &sim.state, Role::Miner, sim.now);
    assert!(matches!(sim.state.admit_join(&miner, late, uid, sim.now), Err(Refusal::NotNow(_))));
}
