//! Running the demo and reading what it says.
#![allow(dead_code)]

use std::{
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// One swarm at a time: ten processes share two cores.
static TURN: Mutex<()> = Mutex::new(());

/// Run `starling demo` to its end; it must exit with 0. Answers its JSON report.
pub fn demo(arguments: &[&str]) -> serde_json::Value {
    demo_within(&[], arguments)
}

/// As [`demo`], by another command that runs it.
pub fn demo_within(prefix: &[&str], arguments: &[&str]) -> serde_json::Value {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let data = dir.path().join("text");
    std::fs::create_dir(&data).unwrap();
    // The project's own words, so that the test is the same wherever it runs.
    for page in ["LICENSE-APACHE", "Cargo.toml", "scripts/mklibtorch.py"] {
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        std::fs::copy(from, data.join(page.replace('/', "-"))).unwrap();
    }
    let mut command: Vec<&str> = prefix.to_vec();
    command.extend([env!("CARGO_BIN_EXE_starling"), "demo"]);
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg("--json")
        .args(["--out", out.to_str().unwrap(), "--data", data.to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let mut logs = String::new();
        for log in std::fs::read_dir(out.join("logs")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(log.path()).unwrap_or_default();
            let end: Vec<&str> = text.lines().rev().take(8).collect();
            logs.push_str(&format!(
                "--- {}\n{}\n",
                log.path().display(),
                end.into_iter().rev().collect::<Vec<_>>().join("\n")
            ));
        }
        panic!("the demo with {arguments:?} failed with {}:\n{said}\n{logs}", output.status);
    }
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}
