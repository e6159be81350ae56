//! Running the demo and reading what it says: everything that its processes say is held against the schemas.
#![allow(dead_code)]

pub mod schema;

use std::{
    path::Path,
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
    demo_at(tempfile::tempdir().unwrap().path(), prefix, arguments)
}

/// As [`demo_within`]; what it leaves is in `out` in this folder.
pub fn demo_at(dir: &Path, prefix: &[&str], arguments: &[&str]) -> serde_json::Value {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let out = dir.join("out");
    let data = dir.join("text");
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
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)));
    hold(&out, &report);
    report
}

/// Holds the report, and each line that each process has said, against its schema.
fn hold(out: &Path, report: &serde_json::Value) {
    let book = schema::Book::open();
    book.hold("demo", report);
    for file in std::fs::read_dir(out.join("logs")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let role = name.split('-').next().unwrap();
        let role = if role == "chain" { "localnet" } else { role };
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            // A killed process's last line may be cut short.
            if let Ok(line) = serde_json::from_str(line) {
                book.hold(role, &line);
            }
        }
    }
    let seen = book.seen.borrow();
    for role in ["demo", "localnet", "orchestrator", "miner", "validator"] {
        assert!(seen.contains(role), "no line of {role} was kept: {seen:?}");
    }
}
