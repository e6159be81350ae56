//! A chain in a process of its own, and `starling` typed at it by two people. Needs `process` beside it.
#![allow(dead_code)]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::process::Process;

pub struct World {
    pub chain: Process,
    pub dir: tempfile::TempDir,
    pub url: String,
}

impl World {
    /// A chain, and wallets of //Alice (rich, sudo) and //Bob with two hotkeys each.
    pub fn new(options: &[&str]) -> Self {
        let (chain, url) = Process::chain(options);
        let world = Self { chain, dir: tempfile::tempdir().unwrap(), url };
        for (wallet, uri) in [("alice", "//Alice"), ("bob", "//Bob")] {
            world.json(&["wallet", "new", "--wallet", wallet, "--coldkey-uri", uri]);
            world.json(&["wallet", "new-hotkey", "--wallet", wallet, "--hotkey", "second"]);
        }
        world
    }

    /// A subnet of alice's, started, where bob is uid 1 and staked more than she; its number.
    pub fn subnet(&self) -> String {
        let netuid = self.json(&["subnet", "create", "--wallet", "alice"])["netuid"].to_string();
        self.json(&["subnet", "start", "--netuid", &netuid, "--wallet", "alice"]);
        self.json(&["register", "--netuid", &netuid, "--limit-price", "1", "--wallet", "bob"]);
        self.json(&["stake", "add", "50", "--netuid", &netuid, "--wallet", "bob"]);
        netuid
    }

    /// What every command is told: where the chain and the wallets are.
    pub fn common(&self) -> Vec<String> {
        let wallets = self.dir.path().join("wallets").display().to_string();
        ["--endpoint", &self.url, "--wallet-path", &wallets].map(str::to_owned).to_vec()
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(arguments)
            .args(self.common())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What it prints for a person; it must succeed.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text}"))
    }

    /// Exit code and what was said on stderr.
    pub fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
