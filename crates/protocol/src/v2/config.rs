//! The run's configuration in protocol 2: one TOML is the whole run.
//!
//! Invariant: a [`RunConfig`] obtained from [`RunConfig::from_toml`] satisfies [`RunConfig::validate`]. Unknown keys are refused.
//! The network's shape, the optimiser and the data are what they were (`crate::config`); what is new is how work flows and is checked.

mod rules;

use serde::{Deserialize, Serialize};

use super::receipt::LaneStep;
pub use crate::config::{ConfigError, DataConfig, ModelConfig, OptimiserConfig, OuterConfig};
use starling_keys::Account;

use crate::{Digest, Epoch};

/// Everything that defines a run.
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
    /// Per stage, the root of the first base: what the seed gives. `starling run init` computes it, and anybody can.
    pub base: Vec<Digest>,
    /// The network's shape.
    pub model: ModelConfig,
    /// What one step learns from and how.
    pub training: TrainingConfig,
    /// Replicas on one miner, and how it waits.
    #[serde(default)]
    pub lanes: LanesConfig,
    /// Tallies and the ledger's clock.
    #[serde(default)]
    pub tally: TallyConfig,
    /// Routing tables.
    #[serde(default)]
    pub tables: TablesConfig,
    /// Epochs and who takes part.
    pub epoch: EpochConfig,
    /// How work is checked.
    #[serde(default)]
    pub audit: AuditConfig,
    /// How contributions become a base.
    #[serde(default)]
    pub merge: MergeConfig,
    /// Bounds on complaints.
    #[serde(default)]
    pub prices: PricesConfig,
    /// When the state's digest is written down.
    #[serde(default)]
    pub snapshot: SnapshotConfig,
    /// The tokens.
    pub data: DataConfig,
}

/// What one step learns from and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Tokens per sequence.
    pub sequence_length: u32,
    /// Sequences per sample (microbatch).
    pub sequences_per_sample: u32,
    /// Epochs in the run.
    pub epochs: u32,
    /// Inner optimiser. NAdam was 0.07 to 0.09 nats better than AdamW in our trials.
    pub optimiser: OptimiserConfig,
    /// Outer optimiser, applied at the merge.
    #[serde(default)]
    pub outer: OuterConfig,
}

/// Replicas on one miner, and how it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanesConfig {
    /// Fewest and most samples of one step.
    pub samples_per_step: (u32, u32),
    /// Fewest and most lanes of one miner.
    pub lanes: (u8, u8),
    /// Steps of one lane in an epoch: after these it closes, and the learning rate's schedule counts in them.
    pub steps_per_epoch: LaneStep,
    /// Every so many steps the receipt names the content's digests.
    pub content_every: LaneStep,
    /// Steps that a backward's weights may be newer than its forward's. 0: none.
    pub max_stale: LaneStep,
    /// Whether lanes go on without the merged base.
    pub carry: Carry,
    /// Milliseconds after which a push that was not taken goes to another.
    pub detour_ms: u64,
    /// Least milliseconds before a sample without a gradient is given up.
    pub loop_floor_ms: u64,
}

/// What a lane does between closing an epoch and its merged base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carry {
    /// It goes on, and adds the difference when the base arrives.
    #[default]
    Late,
    /// It waits: the deterministic oracle, and the baseline of experiments.
    Stalled,
}

impl Default for LanesConfig {
    fn default() -> Self {
        Self {
            samples_per_step: (4, 32),
            lanes: (1, 4),
            steps_per_epoch: 12,
            content_every: 16,
            max_stale: 0,
            carry: Carry::Late,
            detour_ms: 1_000,
            loop_floor_ms: 10_000,
        }
    }
}

/// Tallies and the ledger's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TallyConfig {
    /// Milliseconds between a miner's tallies.
    pub interval_ms: u64,
    /// Most that a gap between two entries counts in the clock, milliseconds; the orchestrator writes at least twice in it.
    pub beat_ms: u64,
    /// Most leaves per second that anybody can honestly claim.
    pub max_leaves_per_s: u32,
}

impl Default for TallyConfig {
    fn default() -> Self {
        Self { interval_ms: 60_000, beat_ms: 30_000, max_leaves_per_s: 2_000 }
    }
}

/// Routing tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TablesConfig {
    /// Milliseconds between two tables at least.
    pub min_ms: u64,
    /// Milliseconds after which there is a new one also if nobody came or went: rates change, and partners should.
    pub max_ms: u64,
    /// Milliseconds after reading a table before a head uses it, so that the others have read it too.
    pub settle_ms: u64,
}

impl Default for TablesConfig {
    fn default() -> Self {
        Self { min_ms: 15_000, max_ms: 300_000, settle_ms: 1_000 }
    }
}

/// Epochs and who takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochConfig {
    /// Working miners that every stage needs before the first table, and keeps when another stage needs one.
    pub min_miners: u16,
    /// Miners that a stage takes at most.
    pub max_miners: u16,
    /// Milliseconds without a newcomer before the first table.
    pub gather_ms: u64,
    /// Milliseconds after which an epoch ends although less than half of a stage's miners are done with it.
    pub max_ms: u64,
    /// Milliseconds that a miner has to close an epoch after it ended.
    pub close_ms: u64,
    /// Milliseconds without a tally after which a miner is gone.
    pub silence_ms: u64,
    /// Milliseconds that a ghost has to be ready.
    pub ghost_ms: u64,
    /// Epochs that may await their merge; while there are so many, none ends.
    pub backlog: u32,
}

/// How work is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Leaves that each validator draws from a tally on average, in thousandths.
    pub per_mille: u32,
    /// Of 256 drawn leaves, how many are looked at as deep as their step.
    pub step_share: u8,
    /// Blocks after the last closing tally's beacon before the merge is planned.
    pub window_blocks: u32,
    /// Blocks that the newest noted block may be behind what a follower sees.
    pub lag_blocks: u32,
    /// Milliseconds that a miner has for an opening beside the time for its bytes.
    pub opening_ms: u64,
    /// Bytes per second that a miner's uplink must give to openings.
    pub bytes_per_s: u64,
    /// Epochs for which an excluded miner, or a refuted validator's voice, is out.
    pub bar_epochs: Epoch,
    /// Findings of one validator in one epoch at most.
    pub findings_per_epoch: u16,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            per_mille: 500,
            step_share: 32,
            window_blocks: 5,
            lag_blocks: 10,
            opening_ms: 30_000,
            bytes_per_s: 1_250_000,
            bar_epochs: 1_000,
            findings_per_epoch: 256,
        }
    }
}

/// How contributions become a base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MergeConfig {
    /// Shards of a stage's vector; about as many as a stage has miners.
    pub shards: u16,
    /// Milliseconds after which shards without agreement keep their old content.
    pub timeout_ms: u64,
}

impl Default for MergeConfig {
    fn default() -> Self {
        Self { shards: 8, timeout_ms: 300_000 }
    }
}

/// What words cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricesConfig {
    /// Complaints of one miner in one epoch at most.
    pub complaints_per_epoch: u16,
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self { complaints_per_epoch: 16 }
    }
}

/// When the state's digest is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotConfig {
    /// Entries between two snapshots.
    pub entries: u64,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { entries: 4_096 }
    }
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
        // A validated config always has a TOML form; an unvalidated one hashes to the tag alone and matches no peer.
        super::receipt::named("starling.run.v2", &[self.to_toml().unwrap_or_default().as_bytes()])
    }

    /// Number of stages.
    #[must_use]
    pub fn stages(&self) -> u16 {
        u16::try_from(self.model.stages.len()).unwrap_or(u16::MAX)
    }

    /// Place of a step in the run's schedule of learning rates: a function of the step's own position alone, so that newcomers, slow and fast
    /// lanes use the rate of the place where they are.
    #[must_use]
    pub fn schedule_step(&self, epoch: Epoch, step: LaneStep) -> u64 {
        let whole = u64::from(self.lanes.steps_per_epoch);
        u64::from(epoch).saturating_mul(whole).saturating_add(u64::from(step).min(whole))
    }

    /// Steps in the whole schedule.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        u64::from(self.training.epochs).saturating_mul(u64::from(self.lanes.steps_per_epoch))
    }
}
