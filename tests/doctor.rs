//! `starling doctor` finds what is wrong and nothing else; completions and man pages are made of the command line that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::process::{Command, Output, Stdio};

use process::Process;
use serde_json::Value;

fn starling(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Exit code, and the checks that did not pass, as `name verdict`.
fn ill(arguments: &[&str]) -> (i32, Vec<String>) {
    let output = starling(arguments);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap().iter();
    let ill = checks.filter(|c| c["verdict"] != "ok").map(|c| {
        assert!(!c["advice"].as_str().unwrap().is_empty(), "{c}");
        format!("{} {}", c["check"].as_str().unwrap(), c["verdict"].as_str().unwrap())
    });
    (output.status.code().unwrap(), ill.collect())
}

#[test]
fn each_ailment_is_found_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let wallets = dir.path().display().to_string();
    let nobody = ["doctor", "--json", "--endpoint", "ws://127.0.0.1:9", "--timeout", "3", "--wallet-path", &wallets];
    assert_eq!(ill(&nobody), (4, vec!["wallet fail".to_owned(), "endpoint fail".to_owned()]));
    let (_chain, url) = Process::chain(&[]);
    let common = ["--json", "--endpoint", &url, "--wallet-path", &wallets];
    let run = |arguments: &[&str]| starling(&[arguments, &common].concat());
    assert!(run(&["wallet", "new", "--coldkey-uri", "//Alice"]).status.success());
    let doctor = |arguments: &[&str]| ill(&[&["doctor"], arguments, &common].concat());
    // A plain coldkey works, and is worth a warning.
    assert_eq!(doctor(&[]), (0, vec!["coldkey warn".to_owned()]));
    let created: Value = serde_json::from_slice(&run(&["subnet", "create"]).stdout).unwrap();
    let netuid = created["netuid"].to_string();
    let (code, found) = doctor(&["--netuid", &netuid]);
    assert!(
        code == 0 && !found.iter().any(|f| f.starts_with("registration")),
        "the owner's hotkey is uid 0: {found:?}"
    );
    let hotkey = dir.path().join("default/hotkeys/default");
    std::fs::set_permissions(&hotkey, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(run(&["wallet", "new-hotkey", "--hotkey", "second"]).status.success());
    let (code, found) = doctor(&["--netuid", &netuid]);
    assert!(code == 4 && found.contains(&"hotkey fail".to_owned()), "{found:?}");
    let (code, found) = doctor(&["--netuid", &netuid, "--hotkey", "second"]);
    assert!(code == 4 && found.contains(&"registration fail".to_owned()), "{found:?}");
    assert!(doctor(&["--hotkey", "nobody"]).1.contains(&"hotkey fail".to_owned()));
}

#[test]
fn completions_and_man_pages_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let made = starling(&["completions", shell]);
        assert!(made.status.success() && String::from_utf8_lossy(&made.stdout).contains("metagraph"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(starling(&["man", dir.path().to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(dir.path().join("starling-weights-keep.1")).unwrap();
    assert!(page.contains("weights"), "{page}");
}
