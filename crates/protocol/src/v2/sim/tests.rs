//! The swarm's promises, in virtual time.

use proptest::prelude::*;

use super::{check, plan::even, *};
use crate::v2::state::Status;

const SECOND: u64 = 1_000;

fn plan(stages: u16, per_stage: usize, seconds: u64) -> Plan {
    let mut plan = even(stages, per_stage, 2 * SECOND, seconds * SECOND, orchestrator().account());
    plan.config.audit.window_blocks = 2;
    plan
}

fn run(plan: Plan) -> Sim {
    let mut sim = Sim::new(plan);
    sim.run();
    check::honest_miners_stand(&sim);
    sim
}

/// Everything that a strict simulation can be asked.
fn hold(sim: &Sim) -> usize {
    check::followers_agree(sim);
    check::honest_miners_stand(sim);
    check::receipts_hold(sim)
}

fn with(mut plan: Plan, conduct: Conduct, each_stage: usize) -> Plan {
    let stages = usize::from(plan.config.stages());
    for n in 0..(each_stage * stages) as u64 {
        // One after the other, when the others work: each stage gets its share.
        plan.miners.push(MinerPlan { conduct, start_ms: 5 * SECOND + n * 2 * SECOND, ..plan.miners[0] });
    }
    plan
}

#[test]
fn a_quiet_swarm_trains_merges_and_every_receipt_holds() {
    let sim = run(Plan { strict: true, ..plan(3, 2, 60) });
    assert!(sim.report.merged >= 2, "{:?}", sim.report);
    assert_eq!(sim.report.lost, 0);
    assert!(hold(&sim) > 1_000);
}

#[test]
fn a_swarm_of_equal_machines_is_busy_nine_tenths_of_the_time() {
    let sim = run(plan(3, 2, 60));
    // Two miners a stage, ten samples a second each.
    let share = sim.report.within(20..60) as f64 / (40.0 * 20.0);
    assert!(share >= 0.9, "{share}");
}

#[test]
fn a_loop_of_eighty_milliseconds_costs_less_than_a_tenth() {
    let mut plan = plan(3, 1, 60);
    plan.miners.iter_mut().for_each(|m| (m.latency_ms, m.transfer_ms) = (20, 10));
    let sim = run(plan);
    let share = sim.report.within(20..60) as f64 / (40.0 * 10.0);
    assert!(share >= 0.9, "{share}");
}

#[test]
fn one_idle_or_taking_hotkey_in_each_role_costs_less_than_a_twentieth() {
    let plain = run(plan(3, 3, 120)).report.within(30..120);
    for conduct in [Conduct::Idle, Conduct::Taker] {
        let sim = run(with(plan(3, 3, 120), conduct, 1));
        let beside = sim.report.within(30..120);
        assert!(beside * 100 >= plain * 95, "{conduct:?}: {beside} of {plain}, {} lost", sim.report.lost);
    }
}

#[test]
fn training_goes_on_while_the_orchestrator_is_dead_for_a_minute_and_nobody_is_late_afterwards() {
    let plain = run(plan(3, 2, 120)).report.within(30..90);
    let mut dead = plan(3, 2, 120);
    dead.faults.push((30 * SECOND, Fault::Orchestrator { ms: 60 * SECOND }));
    dead.strict = true;
    let sim = run(dead);
    let there = sim.report.within(30..90);
    assert!(there * 100 >= plain * 95, "{there} of {plain}");
    assert!(sim.state.members().values().all(|m| m.status == Status::Working));
    hold(&sim);
}

#[test]
fn a_chain_that_stands_still_for_two_minutes_stops_no_training_and_merges_come_after() {
    let plain = run(plan(3, 2, 240)).report;
    let mut still = plan(3, 2, 240);
    still.faults.push((40 * SECOND, Fault::Chain { ms: 120 * SECOND }));
    let sim = run(still);
    let (there, usual) = (sim.report.within(40..160), plain.within(40..160));
    assert!(there * 100 >= usual * 95, "{there} of {usual}");
    assert!(sim.report.backlog <= sim.state.config().epoch.backlog);
    assert!(sim.report.merged + 4 >= plain.merged, "{} of {} merges", sim.report.merged, plain.merged);
}

#[test]
fn the_merge_of_an_epoch_is_in_before_the_next_one_ends() {
    let sim = run(plan(3, 2, 200));
    assert!(sim.report.ended >= 4);
    assert!(sim.report.backlog <= 1, "{:?}", sim.report.backlog);
}

#[test]
fn a_cheat_is_out_within_five_tallies_and_the_others_stay() {
    for conduct in [Conduct::Cheat(0.5), Conduct::Cheat(1.0)] {
        let mut plan = with(plan(3, 3, 60), conduct, 0);
        plan.config.audit.per_mille = 2_000;
        plan.miners[4].conduct = conduct;
        let sim = run(plan);
        let out = sim.report.barred.iter().find(|(p, _)| *p == 4).map(|(_, at)| *at);
        // It works from about the fourth second on.
        assert!(out.is_some_and(|at| at < 4 * SECOND + 5 * 2 * SECOND + 4 * SECOND), "{conduct:?}: {out:?}");
        assert_eq!(sim.report.barred.len(), 1);
    }
}

#[test]
fn a_false_base_is_never_let_in() {
    let sim = run(Plan { strict: true, ..with(plan(2, 2, 30), Conduct::FalseBase, 1) });
    let liars = |s: &&Peer| s.plan.conduct == Conduct::FalseBase;
    for liar in sim.peers.iter().filter(liars) {
        assert_eq!(sim.state.members()[&liar.uid].status, Status::Barred);
    }
    assert!(sim.report.within(10..30) > 300, "{:?}", sim.report);
}

#[test]
fn a_lying_reducer_changes_no_shard() {
    let honest = run(plan(2, 3, 60));
    let mut lying = plan(2, 3, 60);
    lying.miners[0].conduct = Conduct::WrongShards;
    let sim = run(lying);
    assert!(sim.report.merged >= 1);
    for number in 0..=sim.state.base().unwrap().number.min(honest.state.base().unwrap().number) {
        if let (Some(a), Some(b)) = (sim.state.base_of(number), honest.state.base_of(number)) {
            assert_eq!(a, b);
        }
    }
}

#[test]
fn complaints_about_everybody_slow_nobody_down() {
    let plain = run(plan(3, 3, 60)).report.within(20..60);
    let mut storm = plan(3, 3, 60);
    storm.miners[1].conduct = Conduct::Complainer;
    let sim = run(storm);
    assert!(sim.report.within(20..60) * 100 >= plain * 95);
    let paid: u32 = sim.state.epochs().values().flat_map(|e| e.complaints.values()).sum();
    assert!(paid > 0, "each one is on record, for its price");
}

#[test]
fn a_newcomer_has_its_first_paid_sample_ten_seconds_after_its_start() {
    let mut late = plan(3, 2, 60);
    let newcomer = late.miners.len();
    // In the middle of an epoch.
    late.miners.push(MinerPlan { start_ms: 33 * SECOND, ..late.miners[0] });
    let mut paid_at = None;
    let mut sim = Sim::new(Plan { until_ms: 33 * SECOND, ..late });
    sim.run();
    for second in 34..60 {
        sim.go_on(second * SECOND);
        let uid = sim.peers[newcomer].uid;
        if sim.state.members().get(&uid).is_some_and(|m| m.samples() > 0) {
            paid_at = Some(second);
            break;
        }
    }
    assert!(paid_at.is_some_and(|at| at <= 43), "{paid_at:?}");
}

#[test]
fn the_state_does_not_grow_with_throughput_nor_the_ledger() {
    let slow = run(plan(3, 3, 60)).report;
    let mut fast = plan(3, 3, 60);
    fast.miners.iter_mut().for_each(|m| m.forward_ms = 5);
    let fast = run(fast).report;
    assert!(fast.within(20..60) > 3 * slow.within(20..60));
    // Compact numbers get a byte longer; epochs are shorter, so more of them are open.
    let per_entry = |r: &Report| r.ledger_bytes / r.entries;
    assert!(fast.state_bytes < slow.state_bytes * 5 / 4, "{} against {}", fast.state_bytes, slow.state_bytes);
    assert!(per_entry(&fast) < per_entry(&slow) * 3 / 2);
}

#[test]
fn the_ledger_is_below_ten_kilobytes_per_miner_hour_at_a_tally_a_minute() {
    let mut plan = even(4, 8, 60 * SECOND, 3_600 * SECOND, orchestrator().account());
    plan.miners.iter_mut().for_each(|m| m.forward_ms = 1_000);
    plan.block_ms = 12 * SECOND;
    plan.validators = vec![1_000; 3];
    plan.churn = 0.05;
    plan.config.lanes.steps_per_epoch = 12;
    let sim = run(plan);
    let bytes = sim.report.bytes_per_miner_hour();
    assert!(sim.report.merged >= 2, "{:?}", sim.report.merged);
    assert!(bytes < 10_000.0, "{bytes} bytes, {} epochs", sim.report.ended);
    assert!(bytes > 5_000.0, "{bytes} bytes: does anybody tally?");
}

#[test]
fn two_hundred_miners_with_churn_keep_the_rules() {
    let mut plan = even(8, 25, 20 * SECOND, 300 * SECOND, orchestrator().account());
    plan.miners.iter_mut().for_each(|m| m.forward_ms = 500);
    plan.churn = 0.05;
    plan.config.lanes.steps_per_epoch = 3;
    plan.config.epoch.max_ms = 100 * SECOND;
    let sim = run(plan);
    assert!(sim.report.merged >= 1, "{:?}", sim.report);
    assert!(sim.report.within(100..300) > 1_000, "{:?}", sim.report);
}

fn fault(miners: usize) -> impl Strategy<Value = (u64, Fault)> {
    let what = prop_oneof![
        4 => (0..miners, prop::option::weighted(0.8, 1u64..8)).prop_map(|(miner, s)| Fault::Kill { miner, down_ms: s.map(|s| s * SECOND) }),
        3 => (0..miners, 1u64..10).prop_map(|(miner, s)| Fault::Hang { miner, ms: s * SECOND }),
        1 => (1u64..12).prop_map(|s| Fault::Orchestrator { ms: s * SECOND }),
        1 => (1u64..12).prop_map(|s| Fault::Chain { ms: s * SECOND }),
    ];
    (3u64..25, what).prop_map(|(s, what)| (s * SECOND, what))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_breaks_no_promise_is_broken_and_training_goes_on(
        seed in 0u64..1 << 40, faults in prop::collection::vec(fault(6), 0..8), loss in prop_oneof![Just(0.0), 0.0..0.02], skew in 0u64..60_000
    ) {
        let mut plan = plan(3, 2, 40);
        plan.seed = seed;
        plan.strict = true;
        plan.faults = faults;
        plan.loss = loss;
        plan.skew_ms = skew;
        // Whoever was killed for good leaves its stage to the other; both gone is for rebalancing, which needs a third.
        plan.miners.extend([plan.miners[0]; 3]);
        let sim = run(plan);
        hold(&sim);
        prop_assert!(sim.report.within(8..40) > 0);
        prop_assert!(sim.report.state_bytes < 40_000);
    }
}
