//! `starling metagraph`, start of the process to its end, against a local chain; beside it the start alone (`--help`).
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use criterion::{Criterion, criterion_group, criterion_main};

struct Chain(Child);

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn metagraph(c: &mut Criterion) {
    let binary = env!("CARGO_BIN_EXE_starling");
    let mut child = Command::new(binary)
        .args(["localnet", "--listen", "127.0.0.1:0", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _chain = Chain(child);
    let url = serde_json::from_str::<serde_json::Value>(&line).unwrap()["url"].as_str().unwrap().to_owned();
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
