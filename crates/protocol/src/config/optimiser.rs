//! The kinds of inner optimiser that a run may name, with their options: the register. What a kind does is one file of the model
//! room.

use serde::{Deserialize, Serialize};

use super::{ConfigError, rules::rule};

/// Which rule turns a gradient into a change of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserKind {
    /// Adam with decoupled weight decay.
    #[default]
    Adamw,
    /// Adam with Nesterov's momentum and decoupled weight decay.
    Nadam,
}

/// The inner optimiser: the stage's gradient is clipped to `clip_norm`, the learning rate warms up linearly and falls by a cosine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// Which rule.
    #[serde(default)]
    pub kind: OptimiserKind,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup_steps: u32,
    /// Learning rate at the end, as a fraction of the peak.
    #[serde(default = "default_final_fraction")]
    pub final_fraction: f64,
    /// Adam's first moment decay.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Adam's second moment decay.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Adam's epsilon.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// NAdam's `ψ`: how slowly its momentum warms up (`β₁ (1 − 0.5 · 0.96^(t ψ))`). AdamW has none.
    #[serde(default = "default_momentum_decay")]
    pub momentum_decay: f64,
    /// Decoupled weight decay.
    #[serde(default = "default_weight_decay")]
    pub weight_decay: f64,
    /// Largest norm of a stage's gradient.
    #[serde(default = "default_clip")]
    pub clip_norm: f64,
}

impl OptimiserConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        rule(
            self.learning_rate > 0.0 && self.learning_rate < 10.0,
            "training.optimiser.learning_rate",
            self.learning_rate,
            "between 0 and 10 is needed",
        )?;
        let below_one = |key: &'static str, value: f64| {
            rule((0.0..1.0).contains(&value), key, value, "0 up to but below 1 is needed")
        };
        below_one("training.optimiser.beta1", self.beta1)?;
        below_one("training.optimiser.beta2", self.beta2)?;
        below_one("training.optimiser.weight_decay", self.weight_decay)?;
        rule(self.eps > 0.0, "training.optimiser.eps", self.eps, "a positive number is needed")?;
        rule(
            (0.0..=10.0).contains(&self.momentum_decay),
            "training.optimiser.momentum_decay",
            self.momentum_decay,
            "0 to 10 is needed",
        )?;
        rule(self.clip_norm > 0.0, "training.optimiser.clip_norm", self.clip_norm, "a positive number is needed")?;
        rule(
            (0.0..=1.0).contains(&self.final_fraction),
            "training.optimiser.final_fraction",
            self.final_fraction,
            "0 to 1 is needed",
        )
    }
}

fn default_final_fraction() -> f64 {
    0.1
}
fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.95
}
fn default_eps() -> f64 {
    1e-8
}
// PyTorch's default, and that of the asynchronous pipelines that use NAdam (arXiv 2505.01099).
fn default_momentum_decay() -> f64 {
    0.004
}
fn default_weight_decay() -> f64 {
    0.1
}
fn default_clip() -> f64 {
    1.0
}
