//! What each unit of a run's work costs, floating-point operations: the sum of what block, head, boundary and optimiser count.
//!
//! Matrix products count 2·m·n·k; a backward costs two forwards; elementwise work is left out (below one percent). No stage is
//! a better place to be than another, because the embedding costs nothing and the head is counted like any product.

use starling_protocol::{
    config::{ModelConfig, RunConfig},
    flops::{Costs, StageCosts},
};

use crate::{boundary::boundary, optimiser::optimiser, shape};

/// Costs of every stage of a run.
#[must_use]
pub fn costs(config: &RunConfig) -> Costs {
    let optimiser = optimiser(&config.training.optimiser);
    let tokens = u64::from(config.training.sequences_per_sample);
    let length = u64::from(config.training.sequence_length);
    let stages = (0..config.model.stages.len()).map(|stage| {
        let parameters: u64 = shape::layout(&config.model, stage).iter().map(|p| p.length() as u64).sum();
        StageCosts {
            forward: forward(&config.model, stage, tokens, length),
            step: optimiser.flops() * parameters,
            // Per weight and contribution a difference and a sum, then four for momentum and step, shared among the shards.
            merge: 6 * parameters,
        }
    });
    Costs(stages.collect())
}

/// Operations of one forward pass of a stage over `batch` sequences of `length` tokens.
#[must_use]
pub fn forward(model: &ModelConfig, stage: usize, batch: u64, length: u64) -> u64 {
    let boundary = boundary(model);
    let (encode, decode) = boundary.flops();
    let (d, ff) = (u64::from(model.d_model), u64::from(model.d_ff));
    let kv = d / u64::from(model.heads.max(1)) * u64::from(model.kv_heads);
    let products = 2 * (2 * d * d + 2 * d * kv + 3 * d * ff);
    // Causal attention: scores and mixing over half the square on average.
    let attention = 2 * length * d;
    let blocks = u64::from(model.stages.get(stage).copied().unwrap_or(0));
    let last = stage + 1 == model.stages.len();
    let mut per_token = blocks * (products + attention);
    per_token += if last { 2 * d * u64::from(model.vocab) } else { encode };
    per_token += if stage > 0 { decode } else { 0 };
    batch * length * per_token
}

#[cfg(test)]
mod tests {
    use starling_protocol::config::{BoundaryConfig, ComputeDType};

    use super::*;

    #[test]
    fn a_forward_costs_its_products_counted_by_hand() {
        let mut model = ModelConfig {
            vocab: 10,
            d_model: 8,
            heads: 2,
            kv_heads: 1,
            d_ff: 16,
            stages: vec![1, 2],
            rope_theta: 10_000.0,
            norm_eps: 1e-5,
            init_std: 0.02,
            boundary: BoundaryConfig::Dense,
            dtype: ComputeDType::F32,
        };
        // q and o 8·8, k and v 8·4, three of 8·16; two operations each; attention 2·3·8 per token of sequences of 3.
        let block = 2 * (2 * 64 + 2 * 32 + 3 * 128) + 48;
        assert_eq!(forward(&model, 0, 5, 3), 15 * block);
        assert_eq!(forward(&model, 1, 5, 3), 15 * (2 * block + 2 * 80));
        model.boundary = BoundaryConfig::Bottleneck { width: 2 };
        assert_eq!(forward(&model, 0, 5, 3), 15 * (block + 32));
        assert_eq!(forward(&model, 1, 5, 3), 15 * (2 * block + 2 * 80 + 32));
    }
}
