//! Bad input gives one clear sentence with the remedy, the right exit code, no panic, and loses nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use process::Process;

fn starling(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// It must fail with `code`, say all of `words` on stderr, and print no result.
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = starling(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result: {}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(said.contains(word), "{arguments:?} does not say `{word}`: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn wallet(dir: &Path) -> Vec<String> {
    vec!["--wallet-path".into(), dir.display().to_string()]
}

#[test]
fn an_endpoint_that_nobody_serves_is_unreachable_and_says_so() {
    refused(&["metagraph", "1", "--endpoint", "ws://127.0.0.1:9", "--timeout", "3"], 3, &["127.0.0.1:9"]);
}

#[test]
fn a_missing_key_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    refused(
        &["register", "--netuid", "1", "--wallet-path", &path],
        5,
        &["no wallet at", "default", "starling wallet new"],
    );
}

#[test]
fn an_unknown_key_in_the_run_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.toml");
    std::fs::write(&file, "name = \"x\"\nlerning_rate = 3\n").unwrap();
    refused(&["run", "check", file.to_str().unwrap()], 1, &["run.toml", "lerning_rate"]);
}

#[test]
fn a_missing_run_file_is_named() {
    refused(&["run", "check", "/nowhere/run.toml"], 1, &["/nowhere/run.toml"]);
}

#[test]
fn wrong_usage_is_explained_with_code_2() {
    for arguments in [
        &["metagraph"][..],
        &["metagraph", "x"],
        &["nonsense"],
        &["stake", "add", "--netuid", "1", "1e5"],
        &["weights", "set", "--netuid", "1", "3=-1"],
    ] {
        refused(arguments, 2, &["error"]);
    }
}

#[test]
fn a_subnet_that_is_not_there_and_a_port_in_use_are_said() {
    let (_chain, url) = Process::chain(&[]);
    refused(&["metagraph", "999", "--endpoint", &url], 4, &["999"]);
    let address = url.trim_start_matches("ws://");
    refused(&["localnet", "--listen", address], 1, &["cannot listen", address, "--listen"]);
}

#[test]
fn a_person_can_found_a_subnet_register_stake_and_read_it_all_back() {
    let (_chain, url) = Process::chain(&[]);
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| -> serde_json::Value {
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        all.extend(wallet(dir.path()));
        all.extend(["--endpoint".into(), url.clone(), "--json".into()]);
        let output = starling(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    run(&["wallet", "new", "--coldkey-uri", "//Alice"]);
    let netuid = run(&["subnet", "create"])["netuid"].as_u64().unwrap().to_string();
    run(&["subnet", "start", "--netuid", &netuid]);
    run(&["stake", "add", "--netuid", &netuid, "100"]);
    run(&["commitment", "set", "--netuid", &netuid, "hello"]);
    let read = run(&["commitment", "get", "--netuid", &netuid]);
    assert_eq!(read["data"], hex::encode("hello"));
    let graph = run(&["metagraph", &netuid]);
    assert_eq!(graph["neurons"].as_array().unwrap().len(), 1);
    assert!(graph["neurons"][0]["alpha_stake"].as_u64().unwrap() > 0);
    // The same block gives the same snapshot, whatever happened since; one that is not there is refused.
    let block = graph["block"].to_string();
    assert_eq!(run(&["metagraph", &netuid, "--at", &block]), graph);
    assert_ne!(run(&["metagraph", &netuid])["block"], serde_json::Value::Null);
    refused(&["metagraph", &netuid, "--at", "4000000000", "--endpoint", &url], 4, &["4000000000", "newest final"]);
    assert_eq!(run(&["wallet", "list"]).as_array().unwrap().len(), 1);
    assert!(run(&["hyperparameters", &netuid])["tempo"].is_number());
    let twice = {
        let mut all = vec!["register".to_owned(), "--netuid".into(), netuid.clone(), "--endpoint".into(), url.clone()];
        all.extend(wallet(dir.path()));
        starling(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(twice.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("HotKeyAlreadyRegisteredInSubNet"));
}

#[test]
fn a_chain_whose_disk_is_full_ends_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    // A disk of 3 MB that only this process sees; no privilege is needed for it.
    let script = r#"mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" localnet --listen 127.0.0.1:0 --block-time 10 --state "$1""#;
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh", &path, env!("CARGO_BIN_EXE_starling")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
}

#[test]
fn shapes_that_fit_nothing_are_named_with_what_was_found_and_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("text.txt"), "a text of more than one window ".repeat(20)).unwrap();
    let plan = PLAN.replace("NETUID", "1").replace("heads = 2", "heads = 3");
    std::fs::write(path("plan.toml"), plan).unwrap();
    let (_chain, url) = Process::chain(&[]);
    let wallets = path("wallets");
    let common = ["--endpoint", &url, "--wallet-path", &wallets];
    let made = starling(&[&["wallet", "new", "--coldkey-uri", "//Alice"][..], &common].concat());
    assert!(made.status.success());
    let (plan, text, out) = (path("plan.toml"), path("text.txt"), path("run"));
    let init = ["run", "init", "--plan", &plan, "--data", &text, "--out", &out];
    refused(&[&init[..], &common].concat(), 1, &["d_model", "16", "3"]);
    // A checkpoint that is none, and one that was cut short.
    std::fs::write(path("model.safetensors"), 64u64.to_le_bytes()).unwrap();
    let model = path("model.safetensors");
    refused(&["model", "sample", &model], 1, &["model.safetensors"]);
}

/// A plan that only has to be valid.
const PLAN: &str = r#"
name = "test"
netuid = NETUID
seed = 1
[model]
vocab = 256
d_model = 16
heads = 2
kv_heads = 1
d_ff = 16
stages = [1, 1]
[training]
sequence_length = 8
sequences_per_sample = 1
samples_per_round = 2
rounds_per_epoch = 1
epochs = 1
[training.optimiser]
learning_rate = 0.001
[epoch]
min_miners_per_stage = 1
max_miners_per_stage = 1
sample_timeout_ms = 1000
liveness_timeout_ms = 1000
anchor_blocks = 4
merge_timeout_ms = 1000
[audit]
beacon_delay_blocks = 1
samples_per_miner = 1
steps_per_miner = 1
window_blocks = 4
"#;

#[test]
fn an_unregistered_hotkey_and_another_leader_are_refused_with_the_remedy() {
    let ((_chain, url), dir) = (Process::chain(&[]), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let wallets = path("wallets");
    let with = |arguments: &[&str]| -> Vec<String> {
        let common = ["--endpoint", &url, "--wallet-path", &wallets];
        arguments.iter().chain(&common).map(|a| (*a).to_owned()).collect()
    };
    let run = |arguments: &[&str]| starling(&with(arguments).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(run(&["wallet", "new", "--coldkey-uri", "//Alice"]).status.success());
    assert!(run(&["wallet", "new", "--wallet", "stranger", "--no-password"]).status.success());
    let created = run(&["subnet", "create", "--json"]);
    let netuid = serde_json::from_slice::<serde_json::Value>(&created.stdout).unwrap()["netuid"].to_string();
    std::fs::write(dir.path().join("plan.toml"), PLAN.replace("NETUID", &netuid)).unwrap();
    std::fs::write(dir.path().join("text.txt"), "a text of more than one window ".repeat(20)).unwrap();
    let (plan, text, out) = (path("plan.toml"), path("text.txt"), path("run"));
    let made = run(&["run", "init", "--plan", &plan, "--data", &text, "--out", &out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let (file, state) = (path("run/run.toml"), path("state"));
    let says = |arguments: &[&str], words: &[&str]| {
        let all = with(arguments);
        let output = starling(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && words.iter().all(|w| said.contains(w)) && !said.contains("panicked"),
            "{said}"
        );
    };
    says(&["orchestrator", "--run", &file, "--state", &state, "--wallet", "stranger"], &["is led by hotkey"]);
    let nobody = format!("{}@127.0.0.1:9", "7e57".repeat(16));
    for token in [nobody.as_str(), "nonsense"] {
        let output =
            run(&["miner", "--run", &file, "--state", &state, "--orchestrator", token, "--wallet", "stranger"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !said.contains("panicked"), "{said}");
        assert!(said.contains("register") || said.contains("is not a peer's address"), "{said}");
    }

    // A peer of another version: told so on both sides, and the orchestrator goes on.
    assert!(run(&["wallet", "new", "--wallet", "bob", "--coldkey-uri", "//Bob"]).status.success());
    assert!(run(&["register", "--netuid", &netuid, "--wallet", "bob"]).status.success());
    let led = with(&["orchestrator", "--run", &file, "--state", &path("leader")]);
    let mut leader = Process::start(&led.iter().map(String::as_str).collect::<Vec<_>>());
    let first = leader.until(|line| line["address"].is_string());
    let token = first["address"].as_str().unwrap();
    let miner = ["miner", "--run", &file, "--state", &path("miner"), "--orchestrator", token, "--wallet", "bob"];
    says(&[&miner[..], &["--test-only-protocol-version", "9"]].concat(), &["protocol 9", "speaks 2", "upgrade"]);
    assert!(leader.child.try_wait().unwrap().is_none(), "and the orchestrator goes on");
}
