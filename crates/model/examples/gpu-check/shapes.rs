//! The stages that are measured: real sizes on a card, small ones on a processor.

use serde_json::{Value, json};
use starling_commitment::{Canonical, DType, Form};
use starling_model::ModelError;
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserConfig, OptimiserKind};

/// Which model the stage is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// About a billion parameters: d 2048, as Llama 3.2 1B has them.
    OneB,
    /// About eight billion: d 4096, grouped queries 32/8, ff 14336, as Llama 3 8B has them.
    EightB,
}

impl Size {
    /// For people; a small stand-in must not be taken for the real thing.
    pub fn name(self, real: bool) -> &'static str {
        match (self, real) {
            (Self::OneB, true) => "1B",
            (Self::EightB, true) => "8B",
            (Self::OneB, false) => "1B made small",
            (Self::EightB, false) => "8B made small",
        }
    }
}

/// The middle one of three stages of four blocks; tokens per microbatch.
pub fn stage(size: Size, real: bool) -> (ModelConfig, u64) {
    let (d_model, heads, kv_heads, d_ff, blocks, tokens) = match (size, real) {
        (Size::OneB, true) => (2048, 32, 8, 8192, 4, 2048),
        (Size::EightB, true) => (4096, 32, 8, 14336, 4, 2048),
        (Size::OneB, false) => (128, 4, 2, 352, 2, 256),
        (Size::EightB, false) => (256, 8, 2, 896, 2, 256),
    };
    let dtype = if real { ComputeDType::Bf16 } else { ComputeDType::F32 };
    (model(d_model, heads, kv_heads, d_ff, vec![blocks; 3], BoundaryConfig::Dense, dtype), tokens)
}

/// The same for the script that repeats it in Python.
pub fn describe(size: Size, real: bool) -> Value {
    let (c, tokens) = stage(size, real);
    json!({
        "name": size.name(real), "d_model": c.d_model, "heads": c.heads, "kv_heads": c.kv_heads, "d_ff": c.d_ff,
        "blocks": c.stages[1], "tokens": tokens, "bf16": c.dtype == ComputeDType::Bf16,
        "flops": starling_model::forward_flops(&c, 1, 1, tokens),
    })
}

pub fn model(
    d_model: u32,
    heads: u32,
    kv_heads: u32,
    d_ff: u32,
    stages: Vec<u32>,
    boundary: BoundaryConfig,
    dtype: ComputeDType,
) -> ModelConfig {
    ModelConfig {
        vocab: 512,
        d_model,
        heads,
        kv_heads,
        d_ff,
        stages,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.02,
        boundary,
        dtype,
    }
}

pub fn hyper(kind: OptimiserKind) -> OptimiserConfig {
    OptimiserConfig {
        kind,
        learning_rate: 1e-3,
        warmup_steps: 0,
        final_fraction: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        momentum_decay: 0.004,
        weight_decay: 0.1,
        clip_norm: 1.0,
    }
}

/// Numbers between −1 and 1 that look random and are the same everywhere.
pub fn noise(count: usize, salt: u32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// Token ids.
pub fn tokens(batch: u64, length: u64, salt: u64) -> Result<Canonical, ModelError> {
    let ids: Vec<i64> = (0..batch * length).map(|i| ((i * 7 + salt * 13 + i * i) % 512) as i64).collect();
    Ok(Canonical::from_i64(&[batch, length], &ids)?)
}

/// A tensor of a form that floating-point numbers have, from [`noise`].
pub fn tensor(form: &Form, scale: f32, salt: u32) -> Result<Canonical, ModelError> {
    let count = form.shape.iter().product::<u64>() as usize;
    let values = noise(count, salt).into_iter().map(|x| x * scale);
    let bytes: Vec<u8> = match form.dtype {
        DType::Bf16 => values.flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
        _ => values.flat_map(f32::to_le_bytes).collect(),
    };
    Ok(Canonical::new(form.dtype, &form.shape, &bytes)?)
}

/// The elements of an f32 or bf16 tensor.
pub fn floats(tensor: &Canonical) -> Vec<f32> {
    match tensor.dtype() {
        DType::Bf16 => {
            tensor.data().as_chunks::<2>().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}
