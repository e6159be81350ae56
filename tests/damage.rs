//! What is damaged on the way or on disk costs its owner, never the run. Real processes, real QUIC, real full disks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{demo, demo_within};

const SHORT: [&str; 5] = ["--epochs", "2", "--rounds", "4", "--margin=-1"];

fn cheat(adversary: &str) -> serde_json::Value {
    let report = demo(&["--adversary", adversary, "--epochs", "1", "--rounds", "4", "--margin=-1"]);
    let miners = report["miners"].as_array().unwrap();
    let cheat = miners.iter().find(|m| m["adversary"] == adversary).expect("the cheat took part");
    assert_eq!(cheat["incentive"], 0, "{report:#}");
    cheat.clone()
}

/// Its miner ends by itself with a sentence; everything else goes on. The demo checks that all others pass their audits.
fn survives(fault: &str, prefix: &[&str]) -> serde_json::Value {
    let arguments = [&["--adversary", "none", "--test-only-fault", fault], &SHORT[..]].concat();
    demo_within(prefix, &arguments)
}

#[test]
fn tensors_of_a_wrong_shape_fail_the_audit() {
    let cheat = cheat("wrong-shape");
    assert!(cheat["audits_failed"].as_u64().unwrap() > 0, "{cheat:#}");
}

#[test]
fn receipts_with_a_bad_signature_never_enter_the_ledger_and_their_miner_is_told_why() {
    let cheat = cheat("bad-signature");
    let words = cheat["last_words"].as_str().unwrap();
    assert!(words.contains("not signed by") && words.contains("signed with another key"), "{words}");
    assert_eq!(cheat["audits_passed"], 0, "{cheat:#}");
}

#[test]
fn blobs_cut_short_on_disk_are_noticed_and_fetched_again() {
    survives("truncate-blobs", &[]);
}

/// A disk of one's own without a machine of one's own: a mount namespace, for which no privilege is needed.
const OWN_DISKS: [&str; 2] = ["unshare", "-rm"];

#[test]
fn a_miner_whose_disk_is_full_says_so_and_goes_on_once_it_has_space() {
    let report = survives("full-disk-miner", &OWN_DISKS);
    let words = report["miners"][0]["last_words"].as_str().unwrap();
    assert!(words.contains("space"), "{words}");
}

#[test]
fn an_orchestrator_whose_disk_is_full_says_so_and_continues_the_epoch_once_it_has_space() {
    survives("full-disk-orchestrator", &OWN_DISKS);
}
