//! The run's configuration: one TOML is the whole run.
//!
//! Owns [`RunConfig`] and every check that can be made without touching the world. Invariant: a `RunConfig` obtained from
//! [`RunConfig::from_toml`] satisfies [`RunConfig::validate`]. Unknown keys are refused, so that a misspelt key cannot
//! silently fall back to a default. [`RunConfig::id`] is the hash that peers compare before they speak.

mod boundary;
mod optimiser;
mod rules;

use serde::{Deserialize, Serialize};
use starling_keys::Account;

pub use boundary::BoundaryConfig;
pub use optimiser::{OptimiserConfig, OptimiserKind};

use crate::Digest;

/// Everything that defines a run. Two peers with equal configs (equal [`RunConfig::id`]) train the same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// A name for people; part of the run's identity.
    pub name: String,
    /// Subnet whose metagraph says who may take part.
    pub netuid: u16,
    /// The one seed that initial weights, sample order and routing are drawn from.
    pub seed: u64,
    /// Genesis hash of the chain the run lives on.
    pub genesis: Digest,
    /// The hotkey that leads: it signs the ledger.
    pub orchestrator: Account,
    /// The network's shape.
    pub model: ModelConfig,
    /// What one step learns from and how.
    pub training: TrainingConfig,
    /// Deadlines of the phases.
    pub epoch: EpochConfig,
    /// How work is checked.
    pub audit: AuditConfig,
    /// The tokens.
    pub data: DataConfig,
}

/// A Llama-style decoder cut into stages (RMSNorm, RoPE, grouped-query attention, SwiGLU).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Number of token ids. 256 for the byte-level tokenizer.
    pub vocab: u32,
    /// Width of the residual stream.
    pub d_model: u32,
    /// Query heads; divides `d_model`.
    pub heads: u32,
    /// Key/value heads; divides `heads`.
    pub kv_heads: u32,
    /// Width of the SwiGLU hidden layer.
    pub d_ff: u32,
    /// Blocks held by each stage, first to last; its length is the number of stages.
    pub stages: Vec<u32>,
    /// RoPE's base.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// RMSNorm's epsilon.
    #[serde(default = "default_norm_eps")]
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    #[serde(default = "default_init_std")]
    pub init_std: f64,
    /// What crosses between stages.
    #[serde(default)]
    pub boundary: BoundaryConfig,
    /// Element type of compute and of what crosses a boundary. Master weights are always f32.
    #[serde(default)]
    pub dtype: ComputeDType,
}

/// Element type of compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDType {
    /// 32-bit floats: the choice on CPUs.
    #[default]
    F32,
    /// bfloat16: the choice on GPUs (15 times slower than f32 on CPUs without AVX-512, torch.md 5).
    Bf16,
}

/// What one step learns from and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Tokens per sequence.
    pub sequence_length: u32,
    /// Sequences per sample (microbatch).
    pub sequences_per_sample: u32,
    /// Samples that every stage works through in one round; each of a stage's miners takes an equal share, then steps.
    pub samples_per_round: u32,
    /// Rounds (local optimiser steps) per epoch.
    pub rounds_per_epoch: u32,
    /// Epochs in the run.
    pub epochs: u32,
    /// Inner optimiser.
    pub optimiser: OptimiserConfig,
    /// Outer optimiser, applied at the merge.
    #[serde(default)]
    pub outer: OuterConfig,
}

/// DiLoCo's outer step (training.md 4.2): Nesterov momentum on the mean pseudo-gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OuterConfig {
    /// Outer learning rate.
    #[serde(default = "default_outer_lr")]
    pub learning_rate: f32,
    /// Outer momentum.
    #[serde(default = "default_outer_momentum")]
    pub momentum: f32,
}

impl Default for OuterConfig {
    fn default() -> Self {
        Self { learning_rate: default_outer_lr(), momentum: default_outer_momentum() }
    }
}

/// Who must be there and how long a phase may last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochConfig {
    /// Miners a stage needs before an epoch begins.
    pub min_miners_per_stage: u16,
    /// Miners a stage takes at most.
    pub max_miners_per_stage: u16,
    /// Milliseconds the first epoch waits for more miners once every stage has the minimum.
    #[serde(default = "default_gather_ms")]
    pub gather_ms: u64,
    /// Milliseconds after which an unfinished sample is taken from a miner and given to another.
    pub sample_timeout_ms: u64,
    /// Milliseconds without a poll after which a miner is taken for gone.
    pub liveness_timeout_ms: u64,
    /// Blocks that miners have to anchor after training ends.
    pub anchor_blocks: u32,
    /// Milliseconds for a merge before missing shards keep their old values.
    pub merge_timeout_ms: u64,
}

/// How work is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Blocks between a miner's anchor and the block whose hash draws its audit.
    pub beacon_delay_blocks: u32,
    /// Forward and backward receipts each validator re-executes per miner and epoch.
    pub samples_per_miner: u32,
    /// Optimiser steps each validator re-executes per miner and epoch.
    pub steps_per_miner: u32,
    /// Blocks validators have after the last beacon to deliver verdicts that count before the merge.
    pub window_blocks: u32,
    /// Milliseconds a miner has to serve one opening.
    #[serde(default = "default_opening_ms")]
    pub opening_timeout_ms: u64,
    /// Epochs for which a miner that failed an audit is kept out.
    #[serde(default = "default_bench_epochs")]
    pub bench_epochs: u32,
    /// Accepted difference. None: bit equality (one hardware class, D4).
    #[serde(default)]
    pub tolerance: Option<ToleranceConfig>,
}

/// Thresholds that `starling calibrate` measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToleranceConfig {
    /// Largest `|a − b| / |b|`.
    pub relative_l2: f64,
    /// Largest `1 − cos(a, b)`.
    pub one_minus_cosine: f64,
    /// Largest absolute element difference.
    pub max_abs: f64,
}

/// The tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Digest of the manifest blob: the list of token shards by hash.
    pub manifest: Digest,
}

fn default_rope_theta() -> f64 {
    10_000.0
}
fn default_norm_eps() -> f64 {
    1e-5
}
fn default_init_std() -> f64 {
    0.02
}
fn default_outer_lr() -> f32 {
    0.7
}
fn default_outer_momentum() -> f32 {
    0.9
}
fn default_gather_ms() -> u64 {
    2_000
}
fn default_opening_ms() -> u64 {
    10_000
}
fn default_bench_epochs() -> u32 {
    1_000
}

/// Why a text is not a run's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, or a value of another type; the parser's message names line and key.
    #[error("the run's configuration does not parse: {0}")]
    Parse(String),
    /// Parses, but cannot be run.
    #[error("the run's configuration sets {key} = {value}: {needed}")]
    Invalid {
        /// The key's path.
        key: &'static str,
        /// The value read.
        value: String,
        /// The value needed.
        needed: std::borrow::Cow<'static, str>,
    },
}

impl RunConfig {
    /// Parse and check.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] names the line, [`ConfigError::Invalid`] the key with the value read and the value needed.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| ConfigError::Parse(e.to_string()))?;
        config.validate()?;
        Ok(config)
    }

    /// The canonical text: equal configs give equal bytes.
    ///
    /// # Errors
    /// Only if a value has no TOML form.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|e| ConfigError::Parse(e.to_string()))
    }

    /// The run's identity: the digest of its canonical text under a domain tag.
    #[must_use]
    pub fn id(&self) -> Digest {
        let mut bytes = b"starling.run.v1\0".to_vec();
        // A validated config always has a TOML form; an unvalidated one hashes to the tag alone and matches no peer.
        bytes.extend_from_slice(self.to_toml().unwrap_or_default().as_bytes());
        Digest::of(&bytes)
    }

    /// Number of stages.
    #[must_use]
    pub fn stages(&self) -> u16 {
        u16::try_from(self.model.stages.len()).unwrap_or(u16::MAX)
    }

    /// Optimiser steps in the whole run.
    #[must_use]
    pub fn total_steps(&self) -> u32 {
        self.training.epochs.saturating_mul(self.training.rounds_per_epoch)
    }

    /// Index within the run of the first sample of a round.
    #[must_use]
    pub fn first_sample(&self, epoch: u32, round: u32) -> u32 {
        epoch
            .saturating_mul(self.training.rounds_per_epoch)
            .saturating_add(round)
            .saturating_mul(self.training.samples_per_round)
    }
}
