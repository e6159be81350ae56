//! `starling` needs no libtorch and starts at once; the swarm's commands are in `starling-swarm`, which it becomes when asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

const LIGHT: &str = env!("CARGO_BIN_EXE_starling");
const SWARM: &str = env!("CARGO_BIN_EXE_starling-swarm");

fn run(binary: &str, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Names of the shared libraries that a binary asks for, as they stand in its dynamic string table.
fn asks_for(binary: &str, library: &str) -> bool {
    let bytes = std::fs::read(binary).unwrap();
    let name = [b"\0", library.as_bytes(), b"\0"].concat();
    bytes.windows(name.len()).any(|w| w == name)
}

#[test]
fn the_chain_half_loads_no_libtorch() {
    for library in ["libtorch_cpu.so", "libc10.so", "libstdc++.so.6"] {
        assert!(!asks_for(LIGHT, library), "starling links {library}: does the lib name a crate of the swarm?");
    }
    assert!(asks_for(LIGHT, "libc.so.6"), "the search finds nothing at all");
    assert!(asks_for(SWARM, "libtorch_cpu.so"), "starling-swarm computes");
    // And by the dynamic loader's own word.
    let loaded = Command::new(LIGHT).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    let loaded = String::from_utf8_lossy(&loaded.stdout).into_owned();
    assert!(loaded.contains("libc.so.6") && !loaded.contains("torch"), "{loaded}");
}

#[test]
fn both_list_the_same_commands() {
    let [light, swarm] = [LIGHT, SWARM].map(|b| String::from_utf8(run(b, &["--help"]).stdout).unwrap());
    assert_eq!(light, swarm);
    for command in ["metagraph", "miner", "demo"] {
        assert!(light.contains(&format!("\n  {command} ")), "{light}");
    }
}

#[test]
fn a_command_of_the_swarm_is_handed_over_with_its_arguments_its_words_and_its_exit_code() {
    for help in [&["miner", "--help"][..], &["help", "miner"], &["--json", "miner", "-h"]] {
        let output = run(LIGHT, help);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("--orchestrator"), "{help:?}");
    }
    let wrong = run(LIGHT, &["--json", "demo", "--epochs", "many"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--epochs"));
    let missing = run(LIGHT, &["run", "check", "/nowhere/run.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    // Options of commands that only the other binary knows are completed, too.
    let completions = run(LIGHT, &["completions", "bash"]);
    assert!(String::from_utf8_lossy(&completions.stdout).contains("--test-only-fault"));
    let dir = tempfile::tempdir().unwrap();
    assert!(run(LIGHT, &["man", dir.path().to_str().unwrap()]).status.success());
    assert!(std::fs::read_to_string(dir.path().join("starling-miner.1")).unwrap().contains("orchestrator"));
}

#[test]
fn alone_it_says_what_is_missing_and_the_chain_half_works() {
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("starling");
    std::fs::copy(Path::new(LIGHT), &alone).unwrap();
    let alone = alone.to_str().unwrap();
    let miner = run(alone, &["miner", "--run", "x"]);
    let said = String::from_utf8_lossy(&miner.stderr).into_owned();
    assert_eq!(miner.status.code(), Some(1), "{said}");
    assert!(said.contains("starling-swarm") && said.contains("scripts/build"), "{said}");
    assert!(run(alone, &["completions", "bash"]).status.success());
    assert!(run(alone, &["wallet", "list", "--wallet-path", dir.path().to_str().unwrap()]).status.success());
}
