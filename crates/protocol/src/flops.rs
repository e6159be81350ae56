//! What a unit of work is worth: its floating-point operations, counted from the configuration (design D13).
//!
//! Matrix products count 2·m·n·k; a backward costs two forwards; elementwise work is left out (below one percent). No stage is
//! a better place to be than another, because the embedding costs nothing and the head is counted like any product.

use crate::{
    Stage,
    config::{BoundaryConfig, ModelConfig, RunConfig},
    receipt::Work,
};

/// Weights of one block that take part in matrix products.
fn block_weights(m: &ModelConfig) -> u64 {
    let (d, ff) = (u64::from(m.d_model), u64::from(m.d_ff));
    let head = d / u64::from(m.heads.max(1));
    let kv = head * u64::from(m.kv_heads);
    2 * d * d + 2 * d * kv + 3 * d * ff
}

/// Operations of one forward pass of `stage` over one sample.
#[must_use]
pub fn forward(config: &RunConfig, stage: Stage) -> u64 {
    let (m, t) = (&config.model, &config.training);
    let tokens = u64::from(t.sequence_length) * u64::from(t.sequences_per_sample);
    let blocks = u64::from(m.stages.get(usize::from(stage)).copied().unwrap_or(0));
    let d = u64::from(m.d_model);
    let last = usize::from(stage) + 1 == m.stages.len();
    // Causal attention: scores and mixing over half the square on average.
    let attention = 2 * u64::from(t.sequence_length) * d;
    let mut per_token = blocks * (2 * block_weights(m) + attention);
    if last {
        per_token += 2 * d * u64::from(m.vocab);
    }
    if let BoundaryConfig::Bottleneck { width } = m.boundary {
        let crossings = u64::from(stage > 0) + u64::from(!last);
        per_token += crossings * 2 * d * u64::from(width);
    }
    tokens * per_token
}

/// Weights of a stage, to within norms.
#[must_use]
pub fn weights(config: &RunConfig, stage: Stage) -> u64 {
    let m = &config.model;
    let blocks = u64::from(m.stages.get(usize::from(stage)).copied().unwrap_or(0));
    let table = u64::from(m.vocab) * u64::from(m.d_model);
    let mut total = blocks * block_weights(m);
    if stage == 0 {
        total += table;
    }
    if usize::from(stage) + 1 == m.stages.len() {
        total += table;
    }
    total
}

/// Operations of a unit of work. A step counts 14 per weight (AdamW and clipping), a merge 6 per weight and contribution
/// shared among the pairs; both are small beside the passes.
#[must_use]
pub fn of(config: &RunConfig, stage: Stage, work: &Work) -> u64 {
    match work {
        Work::Forward { .. } => forward(config, stage),
        Work::Backward { .. } => 2 * forward(config, stage),
        Work::Step { .. } => 14 * weights(config, stage),
        Work::Merge { .. } => 6 * weights(config, stage),
    }
}
