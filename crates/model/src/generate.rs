//! Text from a trained model: all stages on one machine, one token after the other, the whole context each time.
//!
//! Meant for a look at what was learned, not for serving: there is no key/value cache. Equal seeds give equal text.

use rand_chacha::rand_core::RngCore;
use starling_commitment::Canonical;
use starling_protocol::{config::ModelConfig, seed};

use crate::{
    Device, ModelError, Stage, Tokenizer,
    convert::{tensor_error, to_canonical},
};

/// How text is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Tokens to add.
    pub tokens: usize,
    /// 0 takes the likeliest token; 1 draws by the model's own odds; below 1 sharpens them.
    pub temperature: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Tokens that each new token sees at most: the sequence length that the model was trained with.
    pub context: usize,
}

/// Continue `prompt`; the result begins with it.
///
/// # Errors
/// [`ModelError`]: an empty prompt, a missing stage, weights that do not fit, a token that the model does not know.
pub fn generate(
    config: &ModelConfig,
    stages: &[Canonical],
    tokenizer: &Tokenizer,
    prompt: &str,
    sampling: &Sampling,
    device: &Device,
) -> Result<String, ModelError> {
    if stages.len() != config.stages.len() {
        return Err(ModelError::Data(format!(
            "{} stages are given, the model has {}",
            stages.len(),
            config.stages.len()
        )));
    }
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
    let mut rng = seed::stream(sampling.seed, "text", &[]);
    for _ in 0..sampling.tokens {
        let context: Vec<i64> =
            ids.iter().skip(ids.len().saturating_sub(sampling.context.max(1))).map(|id| i64::from(*id)).collect();
        let mut crossing =
            Canonical::from_i64(&[1, context.len() as u64], &context).map_err(tensor_error("the context"))?;
        let mut logits = Vec::new();
        for (stage, weights) in &parts {
            let out = stage.infer(weights, &crossing)?;
            if stage.is_last() {
                let row = out.f_select(1, context.len() as i64 - 1)?.f_reshape([-1])?;
                logits = to_canonical(&row, device)?.to_f32().map_err(tensor_error("logits"))?;
            } else {
                crossing = to_canonical(&out, device)?;
            }
        }
        ids.push(choose(&logits, sampling.temperature, rng.next_u32()));
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
