//! Whole runs.

use super::sim::{Sim, config};
use crate::{
    message::Role,
    state::{Phase, Standing},
};

#[test]
fn three_stages_of_two_miners_go_from_gathering_to_finished_and_a_follower_agrees() {
    let mut sim = Sim::new(config(3, 2, 2, 4), 2, 2);
    assert_eq!(*sim.state.phase(), Phase::Gathering);
    sim.finish();
    // Two epochs and the closing segment.
    assert_eq!(sim.rosters().len(), 3);
    assert!(sim.rosters().iter().all(|(_, roster)| roster.iter().all(|stage| stage.len() == 2)));
    assert_eq!(sim.count("round"), 4);
    assert_eq!(sim.count("step"), 4);
    assert_eq!(sim.count("rerouted"), 0);
    // Forward and backward of 4 samples on 3 stages in 4 rounds, a step of 6 miners each, and per merge one shard by each of a pair.
    assert_eq!(sim.count("receipt"), 4 * (4 * 3 * 2 + 6) + 2 * 6);
    assert_eq!(sim.state.losses().len(), 4);
    sim.assert_follower_agrees();
}

#[test]
fn one_stage_with_one_miner_is_a_run_too() {
    let mut sim = Sim::new(config(1, 2, 1, 2), 1, 1);
    sim.finish();
    sim.assert_follower_agrees();
}

#[test]
fn the_closing_segment_anchors_and_audits_the_last_merge_and_then_finishes() {
    let mut sim = Sim::new(config(2, 1, 1, 2), 2, 1);
    sim.finish();
    let closed = sim.state.closed().unwrap();
    assert_eq!(closed.epoch, 1);
    assert!(closed.merge.is_some(), "auditors need the plan of the merge they judged");
    assert_eq!(closed.filed.len(), 4);
    for filed in closed.filed.values() {
        assert_eq!(filed.len(), 1, "the closing segment holds the merge's receipts and nothing else");
        assert_eq!(filed[0].signed.body.work.name(), "merge");
        assert_eq!(filed[0].standing, Standing::Counted);
    }
    assert_eq!(closed.verdicts.values().map(Vec::len).sum::<usize>(), 4);
    assert!(sim.state.members().values().all(|m| m.anchor.is_some_and(|a| a.matches)));
    assert_eq!(sim.count("anchored"), 8);
    assert_eq!(sim.count("merged"), 1);
    assert_eq!(sim.state.decide(sim.now + 1_000_000, sim.block + 1_000_000), None);
    sim.assert_follower_agrees();
}

#[test]
fn an_audit_without_validators_closes_when_its_window_is_over() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 0);
    sim.finish();
}

#[test]
fn a_newcomer_goes_where_miners_are_fewest_and_works_from_the_next_epoch_on() {
    let mut sim = Sim::new(config(2, 2, 2, 2), 1, 1);
    sim.run_to_round(0, 0);
    let newcomer = sim.add(50, 50, Role::Miner).unwrap();
    assert_eq!(sim.state.members()[&newcomer].stage, 0);
    sim.run_to_round(1, 0);
    assert_eq!(sim.roster(), vec![vec![10, 50], vec![11]]);
    sim.finish();
    assert_eq!(sim.rosters()[0].1, vec![vec![10], vec![11]]);
    sim.assert_follower_agrees();
}

#[test]
fn an_epoch_does_not_begin_while_newcomers_may_still_come() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    sim.run_until(10, |s| s.state.members().values().all(|m| m.ready.is_some()));
    assert_eq!(*sim.state.phase(), Phase::Gathering);
    assert!(sim.state.waiting_for().contains("giving others time"), "{}", sim.state.waiting_for());
    let second = sim.add(50, 50, Role::Miner).unwrap();
    sim.run_until(20, Sim::training);
    assert!(sim.roster()[0].contains(&sim.uid(&second)));
}

#[test]
fn a_peer_that_joins_again_and_again_does_not_keep_the_run_from_beginning() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 2, 1);
    let noisy = sim.stage(0)[0];
    for _ in 0..100 {
        sim.turn();
        if sim.training() {
            return;
        }
        sim.join(&noisy).unwrap();
    }
    panic!("still gathering");
}
