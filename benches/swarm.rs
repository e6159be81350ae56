//! Tokens per second of the demo's swarm while it trains, against one process that trains the same model on the same machine with two
//! threads (data parallel, gradients summed, the same optimiser; no commitments, no network, no ledger).
//!
//! One run of each: the numbers are for orders of magnitude, not for percents. Not a criterion bench, since one run takes minutes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{process::Command, time::Instant};

use starling_commitment::Canonical;
use starling_model::{Device, Gradient, Stage};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserConfig};

const ROUNDS: usize = 12;
const SAMPLES: usize = 8;
const SHAPE: [u64; 2] = [8, 128];

/// The demo's model, uncut.
fn model() -> ModelConfig {
    ModelConfig {
        vocab: 256,
        d_model: 128,
        heads: 4,
        kv_heads: 2,
        d_ff: 352,
        stages: vec![6],
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.02,
        boundary: BoundaryConfig::Dense,
        dtype: ComputeDType::F32,
    }
}

fn tokens(salt: usize) -> Canonical {
    let ids: Vec<u16> = (0..SHAPE[0] * SHAPE[1]).map(|i| ((i as usize * 31 + salt * 7) % 256) as u16).collect();
    Canonical::from_u16(&SHAPE, &ids).unwrap()
}

fn one_process() -> f64 {
    let hyper: OptimiserConfig = toml::from_str("learning_rate = 0.004\nwarmup_steps = 5").unwrap();
    let stage = Stage::new(&model(), 0, &Device::CPU).unwrap();
    let mut weights = stage.initial_weights(1).unwrap();
    let mut state = stage.first_state_bytes(&hyper).unwrap();
    let mut began = Instant::now();
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first round warms caches and allocators.
            began = Instant::now();
        }
        let half = |part: usize| -> Gradient {
            let stage = Stage::new(&model(), 0, &Device::CPU).unwrap();
            let loaded = stage.load(&weights).unwrap();
            let gradients: Vec<Gradient> = (0..SAMPLES / 2)
                .map(|i| {
                    let salt = round * SAMPLES + part * SAMPLES / 2 + i;
                    let tape = stage.forward(&loaded, &tokens(salt), Some(&tokens(salt + 1))).unwrap().tape;
                    stage.backward(tape, None).unwrap().gradient
                })
                .collect();
            stage.sum(&gradients.iter().collect::<Vec<_>>()).unwrap()
        };
        let (a, b) = std::thread::scope(|s| {
            let other = s.spawn(|| half(1));
            (half(0), other.join().unwrap())
        });
        let sum = stage.sum(&[&a, &b]).unwrap();
        (weights, state) = stage.step_bytes(&weights, &state, &sum, &hyper, 100).unwrap();
    }
    (ROUNDS * SAMPLES) as f64 * (SHAPE[0] * SHAPE[1]) as f64 / began.elapsed().as_secs_f64()
}

fn swarm() -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO_BIN_EXE_starling"))
        .args(["demo", "--json", "--adversary", "none", "--epochs", "1", "--margin=-1"])
        .arg("--out")
        .arg(dir.path().join("out"))
        .arg("--data")
        .arg(data.join("crates"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["tokens_per_second"].as_f64().unwrap()
}

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let (one, swarm) = (one_process(), swarm());
    println!("one process, 2 threads   {one:>8.0} tokens/s");
    println!(
        "swarm, 3 stages x 2      {swarm:>8.0} tokens/s   ({:.0} % of one process; same 2 cores; between rounds, without audits, anchors and merges)",
        100.0 * swarm / one
    );
}
