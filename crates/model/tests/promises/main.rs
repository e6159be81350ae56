//! Promises of the model room, one file per subject; here what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bottleneck;
mod checkpoints;
mod foreign;
mod kinds;
mod optimisers;
mod split;
mod text;

use starling_commitment::Canonical;
use starling_model::{Device, Stage};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserConfig, OptimiserKind};

fn config(stages: &[u32], boundary: BoundaryConfig) -> ModelConfig {
    ModelConfig {
        vocab: 50,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        d_ff: 48,
        stages: stages.to_vec(),
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.2,
        boundary,
        dtype: ComputeDType::F32,
    }
}

fn hyper() -> OptimiserConfig {
    OptimiserConfig {
        kind: OptimiserKind::Adamw,
        momentum_decay: 0.004,
        learning_rate: 1e-2,
        warmup_steps: 2,
        final_fraction: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
    }
}

fn tokens(batch: u64, length: u64, salt: u64) -> Canonical {
    let ids: Vec<u16> = (0..batch * length).map(|i| ((i * 7 + salt * 13 + i * i) % 50) as u16).collect();
    Canonical::from_u16(&[batch, length], &ids).unwrap()
}

/// All stages of a model.
fn stages(config: &ModelConfig) -> Vec<Stage> {
    (0..config.stages.len()).map(|i| Stage::new(config, i, &Device::CPU).unwrap()).collect()
}
