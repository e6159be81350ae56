//! `gpu-check` on a processor: everything runs, and the report is what its schema says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::PathBuf, process::Command};

use serde_json::Value;

/// Cargo builds examples beside the tests.
fn program() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    folder.join("examples/gpu-check")
}

fn schema() -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/measured/gpu-check.schema.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn hold(report: &Value) {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    let schema = schema();
    let id = schema["$id"].as_str().unwrap().to_owned();
    compiler.add_resource(&id, schema).unwrap();
    let index = compiler.compile(&id, &mut schemas).unwrap();
    if let Err(wrong) = schemas.validate(report, index) {
        panic!("{wrong:#}\n{report:#}");
    }
}

#[test]
fn the_report_of_a_processor_is_what_the_schema_says_and_nothing_fails() {
    let done = Command::new(program()).args(["--device", "cpu", "--json", "--commit", "test"]).output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {words}"));
    hold(&report);
    assert!(done.status.success(), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    let names = |group: &str| checks.iter().filter(|c| c["group"] == group).count();
    // A product; two boundaries, three places, two element types.
    assert_eq!(names("right"), 1 + 12, "{report:#}");
    assert_eq!(names("bits"), 2 * 3);
    assert!(names("operators") > 10 && names("speed-1b") == 5 && names("speed-8b") == 5);
    let equal = checks.iter().filter(|c| c["group"] == "bits" && c["figures"]["equal"] == true).count();
    assert_eq!(equal, 4, "run against run and process against process, f32 and bf16");
    // Python's torch is not asked for here.
    assert_eq!((report["failed"].as_u64(), report["skipped"].as_u64()), (Some(0), Some(1)));
}

#[test]
fn without_a_card_every_group_says_so_in_a_sentence_and_nothing_has_failed() {
    let done = Command::new(program()).args(["--device", "cuda:0", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    hold(&report);
    if report["passed"].as_u64() > Some(0) {
        eprintln!("skipped: this machine has a card");
        return;
    }
    assert!(done.status.success(), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|c| c["status"] == "skipped"), "{report:#}");
    let reason = checks[0]["reason"].as_str().unwrap();
    assert!(reason.contains("LD_LIBRARY_PATH") || reason.contains("CUDA devices"), "{reason}");
}

#[test]
fn a_group_that_takes_too_long_is_ended_and_has_failed() {
    let done = Command::new(program())
        .args(["--device", "cpu", "--json", "--only", "right", "--limit", "0"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    hold(&report);
    assert_eq!(done.status.code(), Some(1), "{report:#}");
    assert!(report["checks"][0]["reason"].as_str().unwrap().contains("more than 0 s"), "{report:#}");
}

#[test]
fn what_is_not_begun_in_time_is_left_out_and_has_not_failed() {
    let done = Command::new(program()).args(["--device", "cpu", "--json", "--total", "0"]).output().unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    hold(&report);
    assert!(done.status.success(), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|c| c["status"] == "skipped"), "{report:#}");
    assert!(checks[0]["reason"].as_str().unwrap().contains("--total"), "{report:#}");
}
