//! A stage's parameters: names, shapes, places in the flat vector, first values.
//!
//! Invariant: a parameter's name and first values do not depend on how the model is cut, only on its place in the whole model, and
//! its first values are the same bits on every machine (integer generator, exact float operations).

use rand_chacha::rand_core::RngCore;
use starling_protocol::{
    config::{BoundaryConfig, ModelConfig},
    seed,
};

/// One parameter within the flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name within the whole model, such as `block.3.attention.q`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<i64>,
    /// First element in the flat vector.
    pub offset: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Matrix,
    /// Writes into the residual stream: smaller by the square root of twice the depth.
    Output,
    Norm,
}

impl Parameter {
    /// Number of elements.
    #[must_use]
    pub fn length(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }

    /// Weight decay applies to matrices, not to norms.
    #[must_use]
    pub fn decays(&self) -> bool {
        self.kind != Kind::Norm
    }

    pub(crate) fn initial(&self, config: &ModelConfig, run_seed: u64) -> Vec<f32> {
        if self.kind == Kind::Norm {
            return vec![1.0; self.length()];
        }
        let depth: u32 = config.stages.iter().sum();
        let std = match self.kind {
            Kind::Output => config.init_std / f64::from(2 * depth).sqrt(),
            _ => config.init_std,
        };
        // Uniform with this standard deviation: needs no logarithm, whose last bit differs between machines.
        let bound = (std * 3f64.sqrt()) as f32;
        let mut rng = seed::stream(run_seed, &format!("weights {}", self.name), &[]);
        (0..self.length())
            .map(|_| {
                let unit = (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0);
                (2.0 * unit - 1.0) * bound
            })
            .collect()
    }
}

/// Index of a stage's first block in the whole model.
pub(crate) fn first_block(config: &ModelConfig, stage: usize) -> u32 {
    config.stages.iter().take(stage).sum()
}

/// A stage's parameters in their order in the flat vector.
#[must_use]
pub fn layout(config: &ModelConfig, stage: usize) -> Vec<Parameter> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut add = |name: String, shape: &[u32], kind: Kind| {
        let shape: Vec<i64> = shape.iter().map(|d| i64::from(*d)).collect();
        let p = Parameter { name, shape, offset, kind };
        offset += p.length();
        found.push(p);
    };
    let (d, ff) = (config.d_model, config.d_ff);
    let kv = d / config.heads.max(1) * config.kv_heads;
    let last = stage + 1 == config.stages.len();
    if stage == 0 {
        add("embedding".into(), &[config.vocab, d], Kind::Matrix);
    } else if let BoundaryConfig::Bottleneck { width } = config.boundary {
        add(format!("boundary.{}.decode", stage - 1), &[d, width], Kind::Matrix);
    }
    let first = first_block(config, stage);
    let blocks = config.stages.get(stage).copied().unwrap_or(0);
    for block in first..first + blocks {
        let name = |part: &str| format!("block.{block}.{part}");
        add(name("attention.norm"), &[d], Kind::Norm);
        add(name("attention.q"), &[d, d], Kind::Matrix);
        add(name("attention.k"), &[kv, d], Kind::Matrix);
        add(name("attention.v"), &[kv, d], Kind::Matrix);
        add(name("attention.o"), &[d, d], Kind::Output);
        add(name("mlp.norm"), &[d], Kind::Norm);
        add(name("mlp.gate"), &[ff, d], Kind::Matrix);
        add(name("mlp.up"), &[ff, d], Kind::Matrix);
        add(name("mlp.down"), &[d, ff], Kind::Output);
    }
    if last {
        add("final.norm".into(), &[d], Kind::Norm);
        add("head".into(), &[config.vocab, d], Kind::Matrix);
    } else if let BoundaryConfig::Bottleneck { width } = config.boundary {
        add(format!("boundary.{stage}.encode"), &[width, d], Kind::Matrix);
    }
    found
}
