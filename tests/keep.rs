//! `starling weights keep` as a process: killed at every step, its weights land all the same, and are set anew in every epoch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use process::Process;
use serde_json::Value;
use starling_chain::{Client, Options};
use starling_wallet::Keypair;

/// A chain with a subnet whose owner's hotkey keeps weights; answers the chain, what every command needs, and the subnet.
fn subnet(dir: &Path) -> (Process, Vec<String>, String) {
    let (chain, url) = Process::chain(&["--block-time", "100"]);
    let wallets = dir.join("wallets").display().to_string();
    let common: Vec<String> = ["--endpoint", &url, "--wallet-path", &wallets].map(str::to_owned).to_vec();
    let run = |arguments: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(arguments)
            .args(&common)
            .arg("--json")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    run(&["wallet", "new", "--coldkey-uri", "//Alice", "--hotkey-uri", "//Alice//hot"]);
    let netuid = run(&["subnet", "create"])["netuid"].to_string();
    run(&["subnet", "start", "--netuid", &netuid]);
    fast_epochs(&url, netuid.parse().unwrap());
    run(&["wallet", "new", "--wallet", "miner", "--coldkey-uri", "//Bob"]);
    run(&["register", "--netuid", &netuid, "--wallet", "miner"]);
    (chain, common, netuid)
}

/// An epoch of 20 blocks and no rate limit, as only the chain's sudo key can set them.
fn fast_epochs(url: &str, netuid: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = Client::connect(url, Options::default()).await.unwrap();
        let alice = Keypair::from_uri("//Alice").unwrap();
        let netuid = ("netuid", netuid.into());
        chain.sudo_set(&alice, "sudo_set_tempo", &[netuid.clone(), ("tempo", 20_u16.into())]).await.unwrap();
        let none = ("weights_set_rate_limit", 0_u64.into());
        chain.sudo_set(&alice, "sudo_set_weights_set_rate_limit", &[netuid, none]).await.unwrap();
    });
}

fn keeper(dir: &Path, common: &[String], netuid: &str, abort_at: Option<&str>) -> Process {
    let (file, state) = (dir.join("weights.json").display().to_string(), dir.join("state").display().to_string());
    let mut arguments = vec!["weights", "keep", "--netuid", netuid, "--file", &file, "--state", &state];
    arguments.extend(common.iter().map(String::as_str));
    arguments.extend(abort_at.into_iter().flat_map(|step| ["--test-only-abort-at", step]));
    Process::start(&arguments)
}

#[test]
fn killed_at_every_step_between_commit_and_reveal_the_weights_land() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    for (turn, step) in
        ["before-store", "before-commit", "after-commit", "before-reveal", "after-reveal"].into_iter().enumerate()
    {
        // Other weights every time: nothing that landed before can be taken for them.
        let weight = 10 + turn;
        std::fs::write(dir.path().join("weights.json"), format!("{{\"0\": {weight}, \"1\": 100}}")).unwrap();
        let mut killed = keeper(dir.path(), &common, &netuid, Some(step));
        while killed.line().is_some() {}
        assert!(!killed.child.wait().unwrap().success(), "it was to be killed at {step}");
        drop(killed);
        let mut again = keeper(dir.path(), &common, &netuid, None);
        let wanted = [(0, (weight as f64 / 100.0 * 65_535.0).round_ties_even() as u64), (1, 65_535)];
        again.until(|line| line["confirmed"] == serde_json::json!(wanted));
    }
}

#[test]
fn weights_that_stay_the_same_are_set_again_in_every_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 1}").unwrap();
    let mut keeper = keeper(dir.path(), &common, &netuid, None);
    let first = keeper.until(|line| line["reveals"] == 1)["confirmed_at"].as_u64().unwrap();
    let third = keeper.until(|line| line["reveals"] == 4)["confirmed_at"].as_u64().unwrap();
    // Three more reveals of a tempo of 20 blocks: one in each epoch, or the distance would be 80 blocks and more.
    assert!(third - first < 80, "{first} to {third}");
}

#[test]
fn a_second_keeper_and_a_file_that_is_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    let refused = |words: &str| {
        let mut arguments = vec!["weights".to_owned(), "keep".into(), "--netuid".into(), netuid.clone()];
        arguments.extend(["--file".into(), dir.path().join("weights.json").display().to_string()]);
        arguments.extend(["--state".into(), dir.path().join("state").display().to_string()]);
        arguments.extend(common.iter().cloned());
        let output =
            Command::new(env!("CARGO_BIN_EXE_starling")).args(&arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
    };
    refused("cannot read");
    std::fs::write(dir.path().join("weights.json"), "[1, 2]").unwrap();
    refused("is not JSON of the form");
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 0}").unwrap();
    refused("weighs nobody");
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 1}").unwrap();
    let mut first = keeper(dir.path(), &common, &netuid, None);
    assert!(first.line().is_some());
    refused("in use by another process");
}
