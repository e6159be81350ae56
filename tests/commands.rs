//! The commands of the chain half as a person types them, against a local chain: what they show is what the chain has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::process::{Command, Output, Stdio};

use process::Process;
use serde_json::Value;

struct World {
    _chain: Process,
    dir: tempfile::TempDir,
    url: String,
}

impl World {
    /// A chain, and wallets of //Alice (rich, sudo) and //Bob with two hotkeys each.
    fn new() -> Self {
        let (chain, url) = Process::chain(&[]);
        let world = Self { _chain: chain, dir: tempfile::tempdir().unwrap(), url };
        for (wallet, uri) in [("alice", "//Alice"), ("bob", "//Bob")] {
            world.json(&["wallet", "new", "--wallet", wallet, "--coldkey-uri", uri]);
            world.json(&["wallet", "new-hotkey", "--wallet", wallet, "--hotkey", "second"]);
        }
        world
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let path = self.dir.path().join("wallets");
        Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(arguments)
            .args(["--endpoint", &self.url, "--wallet-path", path.to_str().unwrap()])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {said}"))
    }

    /// Exit code and what was said on stderr.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn a_dry_run_is_signed_elsewhere_and_sent() {
    let world = World::new();
    let created = world.json(&["subnet", "create", "--wallet", "alice"]);
    let netuid = created["netuid"].to_string();
    let register = ["register", "--netuid", &netuid, "--wallet", "bob", "--limit-price", "1"];
    let dry = world.json(&[&register[..], &["--dry-run"]].concat());
    assert_eq!((&dry["dry_run"], &dry["ready"]), (&Value::Bool(true), &Value::Bool(true)), "{dry}");
    assert_eq!(dry["unsigned"]["call"], "SubtensorModule.register_limit");
    assert!(dry["fee_rao"].as_u64().unwrap() > 0);
    let file = world.dir.path().join("tx.json");
    std::fs::write(&file, dry.to_string()).unwrap();
    let payload = dry["unsigned"]["payload"].as_str().unwrap();
    let signed = world.json(&["wallet", "sign", "--wallet", "bob", "--key", "coldkey", "--hex", payload]);
    let signature = signed["signature"].as_str().unwrap();
    let submit = ["extrinsic", "submit", file.to_str().unwrap(), "--signature", signature];
    let sent = world.json(&submit);
    let events = sent["events"].as_array().unwrap();
    assert!(events.contains(&"SubtensorModule.NeuronRegistered".into()), "{sent}");
    let graph = world.json(&["metagraph", &netuid]);
    assert_eq!(graph["neurons"][1]["hotkey"], dry["unsigned"]["args"]["hotkey"]);
    // As a person reads it, and with a rule broken now.
    let text = world.output(&[&register[..], &["--dry-run"]].concat());
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("to sign    0x") && text.contains("HotKeyAlreadyRegisteredInSubNet"), "{text}");
    let (code, said) = world.refused(&register);
    assert!(code == 4 && said.contains("registered as uid 1"), "{code} {said}");
}
