//! Every adversary is caught and earns nothing; every honest miner passes every audit. Real processes, real QUIC, a real chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::demo;

/// A short run with one cheat; the demo's own exit code says whether the cheat was caught, has incentive 0 on chain, and
/// whether all others passed.
fn caught(adversary: &str) {
    let report = demo(&["--adversary", adversary, "--epochs", "1", "--rounds", "4", "--margin=-1"]);
    let miners = report["miners"].as_array().unwrap();
    let cheats: Vec<_> = miners.iter().filter(|m| m["adversary"] == adversary).collect();
    assert_eq!(cheats.len(), 1, "{report:#}");
    assert!(cheats[0]["audits_failed"].as_u64().unwrap() > 0 && cheats[0]["incentive"] == 0, "{report:#}");
    assert!(
        miners
            .iter()
            .filter(|m| m["adversary"].is_null())
            .all(|m| m["audits_failed"] == 0 && m["incentive"].as_u64() > Some(0)),
        "{report:#}"
    );
}

#[test]
fn random_output_is_caught() {
    caught("random-output");
}

#[test]
fn skipped_layers_are_caught() {
    caught("skip-layers");
}

#[test]
fn stale_weights_are_caught() {
    caught("stale-weights");
}

#[test]
fn a_replayed_output_is_caught() {
    caught("replay");
}

#[test]
fn a_withheld_opening_is_caught() {
    caught("withhold-opening");
}

#[test]
fn a_lazy_step_is_caught() {
    caught("lazy-step");
}
