//! The configuration file as a person meets it: written, shown, wrong, and saving words on the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use process::Process;
use serde_json::Value;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("starling/config.toml")
    }

    fn write(&self, text: &str) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), text).unwrap();
    }

    /// With no variable of the test's own environment that could decide anything.
    fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
        command.args(arguments).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.0.path()).env("XDG_CONFIG_HOME", self.0.path()).envs(env.iter().copied());
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str], env: &[(&str, &str)]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), env);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn setting(shown: &Value, name: &str) -> (Value, String) {
    let all = shown["settings"].as_array().unwrap();
    let found = all.iter().find(|s| s["name"] == name).unwrap();
    (found["value"].clone(), found["from"].as_str().unwrap().to_owned())
}

#[test]
fn a_file_is_written_once_found_and_shown_with_where_each_value_came_from() {
    let home = Home::new();
    let path = home.json(&["config", "path"], &[]);
    assert_eq!(
        (path["path"].as_str().map(Path::new), &path["exists"]),
        (Some(home.file().as_path()), &Value::Bool(false))
    );
    let shown = home.json(&["config", "show"], &[]);
    assert_eq!(shown["file"], Value::Null);
    assert_eq!(setting(&shown, "endpoints"), ("ws://127.0.0.1:9944".into(), "network local".into()));
    home.json(&["config", "init"], &[]);
    let again = home.run(&["config", "init"], &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("left alone"));
    let shown = home.json(&["config", "show"], &[("BT_NETWORK", "finney"), ("BT_WALLET_HOTKEY", "hot")]);
    assert_eq!(shown["file"].as_str().map(Path::new), Some(home.file().as_path()));
    assert_eq!(setting(&shown, "network"), ("finney".into(), "$BT_NETWORK".into()));
    assert_eq!(setting(&shown, "hotkey"), ("hot".into(), "$BT_WALLET_HOTKEY".into()));
    assert_eq!(setting(&shown, "inclusion_timeout"), ("180".into(), "default".into()));
    let shown = home.json(&["config", "show", "--hotkey", "typed"], &[("BT_WALLET_HOTKEY", "hot")]);
    assert_eq!(setting(&shown, "hotkey"), ("typed".into(), "--hotkey".into()));
    // A table for people, too.
    let table = home.run(&["config", "show"], &[]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("network local"));
}

#[test]
fn a_typing_error_stops_what_would_use_it_and_nothing_else() {
    let home = Home::new();
    home.write("[profiles.mine]\nendpiont = [\"ws://127.0.0.1:1\"]\n");
    let output = home.run(&["balance"], &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in [home.file().to_str().unwrap(), "`profiles.mine.endpiont`", "`endpoints`"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(home.run(&["config", "path"], &[]).status.success());
    assert!(home.run(&["completions", "bash"], &[]).status.success());
    // A file that a person names must be there.
    let output = home.run(&["balance"], &[("STARLING_CONFIG", "/nowhere/c.toml")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/c.toml"));
    let output = home.run(&["balance", "--network", "finny"], &[("STARLING_CONFIG", "/dev/null")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("`finny`") && said.contains("`finney`"), "{said}");
}

#[test]
fn a_profile_names_chain_subnet_and_wallet_and_its_second_endpoint_stands_in() {
    let (home, (_chain, url)) = (Home::new(), Process::chain(&[]));
    let wallets = home.0.path().join("wallets");
    home.write(&format!(
        "network = \"mine\"\n[profiles.mine]\nendpoints = [\"ws://127.0.0.1:9\", \"{url}\"]\nnetuid = 1\nwallet = \"mine\"\nwallet_path = \"{}\"\n",
        wallets.display()
    ));
    assert_eq!(home.json(&["metagraph"], &[])["netuid"], 1);
    // A subnet that is given wins, at the end and before other arguments.
    assert_eq!(home.run(&["metagraph", "77"], &[]).status.code(), Some(4));
    home.json(&["wallet", "new", "--coldkey-uri", "//Alice"], &[]);
    assert!(wallets.join("mine/hotkeys/default").exists());
    assert!(home.json(&["balance"], &[]).is_object());
    // The doctor tells of both endpoints.
    let output = home.run(&["doctor", "--json"], &[]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let endpoints: Vec<(&str, &str)> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["check"] == "endpoint")
        .map(|check| (check["verdict"].as_str().unwrap(), check["found"].as_str().unwrap()))
        .collect();
    assert_eq!(endpoints.len(), 2, "{endpoints:?}");
    assert!(endpoints[0].0 == "warn" && endpoints[0].1.contains("127.0.0.1:9"), "{endpoints:?}");
    assert!(endpoints[1].0 == "ok" && endpoints[1].1.contains(&url), "{endpoints:?}");
}
