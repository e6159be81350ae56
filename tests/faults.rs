//! `kill -9` in the middle of an epoch: the run goes on. Real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::demo;

fn survives(fault: &str) -> serde_json::Value {
    demo(&["--adversary", "none", "--epochs", "2", "--rounds", "4", "--margin=-1", "--test-only-fault", fault])
}

#[test]
fn a_killed_miner_is_replaced_and_the_run_goes_on() {
    let report = survives("kill-miner");
    let dead = &report["miners"][0];
    assert_eq!(dead["incentive"], 0, "work that was never anchored is not paid: {report:#}");
}

#[test]
fn a_miner_that_comes_back_goes_on_and_passes_its_audits() {
    survives("restart-miner");
}

#[test]
fn a_killed_orchestrator_continues_the_epoch() {
    survives("restart-orchestrator");
}
