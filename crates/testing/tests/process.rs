//! What the harness promises of a process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use starling_testing::process::{Process, ProcessError};

const LIMIT: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::start("script", command).unwrap()
}

/// The letter by which the kernel names a process's state.
fn state(process: &Process) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

#[test]
fn a_process_that_says_more_than_a_pipe_holds_never_waits_for_the_test() {
    // 2 MB on each stream; a pipe holds 64 kB. The end comes before a line was read.
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; echo $i >&2; done";
    let padding = "x".repeat(90);
    let mut process = shell(&script.replace("echo $i", &format!("echo $i {padding}")));
    assert!(process.wait(LIMIT).unwrap().success());
    assert!(process.line(LIMIT).unwrap().starts_with("1 x"));
    assert!(process.until("the last line", LIMIT, |line| line.starts_with("20000 ")).is_ok());
    assert_eq!(process.errors().lines().count(), 20_000);
}

#[test]
fn a_line_that_never_comes_is_an_error_that_shows_what_was_said() {
    let mut process = shell("echo one; echo trouble >&2; exec sleep 1000");
    assert_eq!(process.line(LIMIT).unwrap(), "one");
    let late = process.until("the second line", Duration::from_millis(50), |_| true).unwrap_err();
    assert!(matches!(late, ProcessError::Late { .. }), "{late}");
    let late = late.to_string();
    assert!(
        late.contains("the second line") && late.contains("stdout: one") && late.contains("stderr: trouble"),
        "{late}"
    );
    assert!(matches!(process.wait(Duration::from_millis(50)), Err(ProcessError::Late { .. })));
}

#[test]
fn the_end_before_a_line_is_an_error_with_the_exit_code() {
    let mut process = shell("printf 'no end of line'; exit 3");
    assert_eq!(process.line(LIMIT).unwrap(), "no end of line");
    let ended = process.line(LIMIT).unwrap_err();
    assert!(matches!(&ended, ProcessError::Ended { status, .. } if status.contains('3')), "{ended}");
    assert!(!process.runs());
}

#[test]
fn a_hung_process_stands_still_until_it_goes_on() {
    let mut process = shell("while :; do echo tick; done");
    process.line(LIMIT).unwrap();
    process.hang().unwrap();
    assert_eq!(state(&process), 'T');
    assert!(process.runs());
    process.resume().unwrap();
    assert_ne!(state(&process), 'T');
    // More than it can have said before it stood still.
    let said = process.said().len();
    let began = Instant::now();
    while process.said().len() <= said + 100_000 {
        assert!(began.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    // Stopping or continuing one that has ended does nothing.
    process.kill().unwrap();
    process.hang().unwrap();
    process.resume().unwrap();
}

#[test]
fn a_restarted_process_begins_anew() {
    let mut process = shell("echo $$; exec sleep 1000");
    let first = process.line(LIMIT).unwrap();
    process.restart().unwrap();
    let second = process.line(LIMIT).unwrap();
    assert_ne!(first, second);
    assert_eq!((process.said().len(), process.id().to_string()), (1, second));
}

#[test]
fn a_process_ends_with_its_owner() {
    let process = shell("exec sleep 1000");
    let stat = format!("/proc/{}/stat", process.id());
    assert!(std::fs::exists(&stat).unwrap());
    drop(process);
    assert!(!std::fs::exists(&stat).unwrap());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let refused = Process::start("nothing", Command::new("/no/such/program")).err().unwrap();
    assert!(refused.to_string().starts_with("nothing cannot be started"), "{refused}");
}
