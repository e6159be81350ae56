//! A stage's parameters: names, shapes, places in the flat vector, first values.
//!
//! Invariant: a parameter's name and first values do not depend on how the model is cut, only on its place in the whole model, and
//! its first values are the same bits on every machine (integer generator, exact float operations).

use rand_chacha::rand_core::RngCore;
use starling_protocol::{config::ModelConfig, seed};

use crate::{
    ModelError,
    boundary::{Boundary, boundary},
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

    /// The table of token vectors, which is looked up and not multiplied with.
    pub(crate) fn is_table(&self) -> bool {
        self.name == "embedding"
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

/// Refuse a configuration that cannot be a model before anything is computed from it. A run's configuration has been through
/// `RunConfig::validate`; one that came out of a checkpoint's metadata has not.
///
/// # Errors
/// [`ModelError::Config`] names the first key that does not do, with its value.
pub fn check(c: &ModelConfig) -> Result<(), ModelError> {
    let rule = |holds: bool, key: &'static str, value: &dyn std::fmt::Display, need: &'static str| {
        if holds { Ok(()) } else { Err(ModelError::Config { key, value: value.to_string(), need }) }
    };
    rule((1..=1 << 20).contains(&c.vocab), "vocab", &c.vocab, "1 to 1048576 is needed")?;
    rule((1..=1 << 16).contains(&c.d_model), "d_model", &c.d_model, "1 to 65536 is needed")?;
    rule((1..=1 << 20).contains(&c.d_ff), "d_ff", &c.d_ff, "1 to 1048576 is needed")?;
    rule(c.heads > 0 && c.d_model.is_multiple_of(c.heads), "heads", &c.heads, "it must divide d_model")?;
    rule(
        (c.d_model / c.heads).is_multiple_of(2),
        "heads",
        &c.heads,
        "d_model / heads must be even: rotary positions turn pairs",
    )?;
    rule(c.kv_heads > 0 && c.heads.is_multiple_of(c.kv_heads), "kv_heads", &c.kv_heads, "it must divide heads")?;
    rule((1..=256).contains(&c.stages.len()), "stages", &c.stages.len(), "1 to 256 stages are needed")?;
    let blocks = c.stages.iter().copied().find(|n| !(1..=1024).contains(n));
    rule(blocks.is_none(), "stages", &blocks.unwrap_or(0), "every stage needs 1 to 1024 blocks")?;
    rule(c.rope_theta > 1.0 && c.rope_theta.is_finite(), "rope_theta", &c.rope_theta, "a number above 1 is needed")?;
    rule(c.norm_eps > 0.0 && c.norm_eps < 1.0, "norm_eps", &c.norm_eps, "a small positive number is needed")?;
    rule(c.init_std > 0.0 && c.init_std < 1.0, "init_std", &c.init_std, "between 0 and 1 is needed")?;
    c.boundary.check(c.d_model).map_err(|bad| ModelError::Config {
        key: bad.key.trim_start_matches("model."),
        value: bad.value,
        need: bad.need,
    })
}

/// Index of a stage's first block in the whole model.
pub(crate) fn first_block(config: &ModelConfig, stage: usize) -> u32 {
    config.stages.iter().take(stage).sum()
}

/// A stage's parameters in their order in the flat vector.
#[must_use]
pub fn layout(config: &ModelConfig, stage: usize) -> Vec<Parameter> {
    layout_with(config, stage, &*boundary(config))
}

pub(crate) fn layout_with(config: &ModelConfig, stage: usize, boundary: &dyn Boundary) -> Vec<Parameter> {
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
    } else if let Some(p) = boundary.decoder() {
        add(format!("boundary.{}.{}", stage - 1, p.name), &p.shape, Kind::Matrix);
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
    } else if let Some(p) = boundary.encoder() {
        add(format!("boundary.{stage}.{}", p.name), &p.shape, Kind::Matrix);
    }
    found
}
