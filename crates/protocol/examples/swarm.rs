//! A large swarm in virtual time, and how long it takes: `cargo run --release -p starling-protocol --features sim --example swarm -- 1000 16 10 3600`
//! (miners, stages, validators, seconds).

use std::time::Instant;

use starling_keys::Signer;
use starling_protocol::v2::sim::{Sim, orchestrator, plan};

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let of = |index: usize, default: u64| numbers.get(index).copied().unwrap_or(default);
    let (miners, stages, validators, seconds) = (of(0, 1_000), of(1, 16), of(2, 10), of(3, 3_600));
    let each = usize::try_from(miners.div_ceil(stages)).unwrap_or(1);
    let stages = u16::try_from(stages).unwrap_or(16);
    let mut plan = plan::even(stages, each, 60_000, seconds * 1_000, orchestrator().account());
    for (n, miner) in plan.miners.iter_mut().enumerate() {
        // A third is half as fast; a sample takes 2 or 4 seconds of computing in each stage, a hop 40 to 120 ms.
        miner.forward_ms = if n % 3 == 0 { 1_000 } else { 500 };
        miner.latency_ms = 20 + (n as u64 * 7) % 40;
    }
    plan.validators = (0..validators).map(|v| 1_000 + v).collect();
    plan.block_ms = 12_000;
    plan.churn = 0.05;
    plan.fetch_ms = 20_000;
    plan::set_shards(&mut plan.config, u16::try_from(each.max(8)).unwrap_or(64));
    plan.config.lanes.steps_per_epoch = 10;
    plan.config.lanes.lanes = (1, 8);
    plan.config.epoch.max_ms = 600_000;
    let start = Instant::now();
    let mut sim = Sim::new(plan);
    let report = sim.run();
    let took = start.elapsed();
    let last = usize::try_from(seconds).unwrap_or(0);
    println!("{miners} miners, {stages} stages, {validators} validators, {seconds} s of chain time in {took:.1?}");
    println!("events {}, {:.0} ns each", report.events, took.as_nanos() as f64 / report.events.max(1) as f64);
    println!("ledger {} entries, {:.0} bytes per miner-hour", report.entries, report.bytes_per_miner_hour());
    println!("largest state {} bytes", report.state_bytes);
    println!("epochs ended {}, merged {}, most waiting {}", report.ended, report.merged, report.backlog);
    let speed: f64 = report.within(last / 2..last) as f64 / (last as f64 / 2.0);
    println!("{speed:.1} samples a second in the second half, {} given up", report.lost);
}
