//! `starling metagraph`, start of the process to its end, against a local chain; beside it the start alone (`--help`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/common/process.rs"]
mod process;

use std::process::Command;

use criterion::{Criterion, criterion_group, criterion_main};
use process::Process;

fn metagraph(c: &mut Criterion) {
    let binary = env!("CARGO_BIN_EXE_starling");
    let (_chain, url) = Process::chain(&[]);
    let mut group = c.benchmark_group("metagraph");
    group.sample_size(20);
    group.bench_function("start-only", |b| {
        b.iter(|| assert!(Command::new(binary).arg("--help").output().unwrap().status.success()))
    });
    group.bench_function("start-to-finish", |b| {
        b.iter(|| {
            assert!(
                Command::new(binary).args(["metagraph", "1", "--endpoint", &url]).output().unwrap().status.success()
            )
        });
    });
    group.finish();
}

criterion_group!(benches, metagraph);
criterion_main!(benches);
