//! Text from a trained model: all stages on one machine, one token after the other.

use rand_chacha::rand_core::RngCore;
use starling_commitment::Canonical;
use starling_protocol::{config::ModelConfig, seed};

use crate::{Device, ModelError, Stage, Tokenizer, convert::{tensor_error, to_canonical}};

/// Tokens of context that each new token sees at most.
const CONTEXT: usize = 256;

/// Continue `prompt` by `count` tokens. Temperature 0 takes the likeliest token; otherwise draws come from `draw_seed`.
///
/// # Errors
/// [`ModelError`], among others for an empty prompt.
pub fn generate(
    config: &ModelConfig,
    stages: &[Canonical],
    tokenizer: &Tokenizer,
    prompt: &str,
    count: usize,
    temperature: f64,
    draw_seed: u64,
    device: &Device,
) -> Result<String, ModelError> {
    let parts = stages
        .iter()
        .enumerate()
        .map(|(i, flat)| {
            let stage = Stage::new(config, i, device)?;
            let weights = stage.load(flat)?;
            Ok((stage, weights))
        })
        .collect::<Result<Vec<_>, ModelError>>()?;
    let mut ids = tokenizer.encode(prompt)?;
    if ids.is_empty() {
        return Err(ModelError::Data("the prompt is empty: give at least one character".into()));
    }
    let mut rng = seed::stream(draw_seed, "text", &[]);
    for _ in 0..count {
        let context: Vec<i64> = ids.iter().skip(ids.len().saturating_sub(CONTEXT)).map(|id| i64::from(*id)).collect();
        let mut crossing = Canonical::from_i64(&[1, context.len() as u64], &context).map_err(tensor_error("the context"))?;
        let mut logits = Vec::new();
        for (stage, weights) in &parts {
            let out = stage.infer(weights, &crossing)?;
            if stage.is_last() {
                let row = out.f_select(1, context.len() as i64 - 1)?.f_reshape([-1])?;
                logits = to_canonical(&row)?.to_f32().map_err(tensor_error("logits"))?;
            } else {
                crossing = to_canonical(&out)?;
            }
        }
        ids.push(choose(&logits, temperature, rng.next_u32()));
    }
    tokenizer.decode(&ids)
}

fn choose(logits: &[f32], temperature: f64, draw: u32) -> u32 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if temperature <= 0.0 {
        return logits.iter().position(|l| *l == best).unwrap_or(0) as u32;
    }
    let odds: Vec<f64> = logits.iter().map(|l| (f64::from(l - best) / temperature).exp()).collect();
    let mut left = f64::from(draw) / 4_294_967_296.0 * odds.iter().sum::<f64>();
    for (id, p) in odds.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return id as u32;
        }
    }
    odds.len().saturating_sub(1) as u32
}
