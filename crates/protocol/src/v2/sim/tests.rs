//! The swarm's promises.

use super::{check, plan::even, *};

fn plan(stages: u16, per_stage: usize, until_ms: u64) -> Plan {
    even(stages, per_stage, 2_000, until_ms, orchestrator().account())
}

#[test]
fn a_quiet_swarm_trains_merges_and_every_receipt_holds() {
    let mut plan = plan(3, 2, 40_000);
    plan.strict = true;
    let mut sim = Sim::new(plan);
    sim.run();
    eprintln!("{:?}", sim.report);
    assert!(sim.report.merged >= 2, "{:?}", sim.report);
    assert_eq!(sim.report.lost, 0);
    check::followers_agree(&sim);
    check::honest_miners_stand(&sim);
    assert!(check::receipts_hold(&sim) > 1_000);
}
