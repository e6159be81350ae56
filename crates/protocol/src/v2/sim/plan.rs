//! What a simulated swarm consists of, and what goes wrong in it.

use std::ops::Range;

use starling_keys::Account;

use crate::{
    Digest, Stage,
    config::{BoundaryConfig, ComputeDType, DataConfig, ModelConfig, OptimiserConfig},
    v2::{
        config::{EpochConfig, RunConfig, TrainingConfig},
        merge,
    },
};

/// How a simulated miner behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Conduct {
    /// Does its part.
    Honest,
    /// Joins, gets ready, tallies, and never answers a push.
    Idle,
    /// Takes pushes and never computes.
    Taker,
    /// A share (0 to 1) of its leaves is wrong.
    Cheat(f64),
    /// Signs the wrong root when it says that it is ready.
    FalseBase,
    /// Says something else than the other reducers.
    WrongShards,
    /// Complains of everybody, as often as it may.
    Complainer,
}

/// One miner of the plan.
#[derive(Clone, Copy, Debug)]
pub struct MinerPlan {
    /// Milliseconds of computing for a forward; a backward takes three times as long.
    pub forward_ms: u64,
    /// Milliseconds one way to its region's exchange; a hop costs both ends' share.
    pub latency_ms: u64,
    /// Milliseconds that a boundary tensor takes on its link.
    pub transfer_ms: u64,
    /// When its process starts.
    pub start_ms: u64,
    /// Its conduct.
    pub conduct: Conduct,
}

/// Something that happens from outside.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A process is killed, and started again after so many milliseconds (none: never).
    Kill {
        /// Which miner of the plan.
        miner: usize,
        /// Until it is started again.
        down_ms: Option<u64>,
    },
    /// A process stands still for so many milliseconds; what arrives meanwhile is lost.
    Hang {
        /// Which miner of the plan.
        miner: usize,
        /// How long.
        ms: u64,
    },
    /// The orchestrator is dead for so many milliseconds.
    Orchestrator {
        /// How long.
        ms: u64,
    },
    /// The chain makes no blocks for so many milliseconds.
    Chain {
        /// How long.
        ms: u64,
    },
}

/// A whole simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random is drawn from it.
    pub seed: u64,
    /// The run's file.
    pub config: RunConfig,
    /// Who is there from the beginning.
    pub miners: Vec<MinerPlan>,
    /// Stake of each validator.
    pub validators: Vec<u64>,
    /// Milliseconds between blocks.
    pub block_ms: u64,
    /// Share of messages between miners that are lost.
    pub loss: f64,
    /// What happens when.
    pub faults: Vec<(u64, Fault)>,
    /// Share of miners that are replaced by newcomers at each epoch's end.
    pub churn: f64,
    /// Milliseconds that a newcomer needs to fetch its base.
    pub fetch_ms: u64,
    /// Largest error of anybody's clock, milliseconds.
    pub skew_ms: u64,
    /// Sign everything, keep every receipt and the whole ledger, and check them (slow; for small swarms).
    pub strict: bool,
    /// When it ends, milliseconds.
    pub until_ms: u64,
}

/// The first base's shards of a stage, as good as any.
#[must_use]
pub fn first_shards(stage: Stage, shards: u16) -> Vec<Digest> {
    (0..shards).map(|i| Digest::of(format!("shard {i} of stage {stage}").as_bytes())).collect()
}

/// A run's file for `stages` stages with tallies every `interval_ms`: the other windows follow from it.
#[must_use]
pub fn config(stages: u16, interval_ms: u64, orchestrator: Account) -> RunConfig {
    let shards = 8;
    let base = (0..stages).map(|s| merge::root(&first_shards(s, shards))).collect();
    let optimiser = OptimiserConfig {
        kind: Default::default(),
        momentum_decay: 0.004,
        learning_rate: 1e-3,
        warmup_steps: 0,
        final_fraction: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
    };
    let mut config = RunConfig {
        name: "simulated".into(),
        netuid: 9,
        seed: 1,
        genesis: Digest::ZERO,
        orchestrator,
        base,
        model: ModelConfig {
            vocab: 256,
            d_model: 64,
            heads: 4,
            kv_heads: 4,
            d_ff: 128,
            stages: vec![1; usize::from(stages)],
            rope_theta: 1e4,
            norm_eps: 1e-5,
            init_std: 0.02,
            boundary: BoundaryConfig::Dense,
            dtype: ComputeDType::F32,
        },
        training: TrainingConfig {
            sequence_length: 128,
            sequences_per_sample: 8,
            epochs: 100_000,
            optimiser,
            outer: Default::default(),
        },
        lanes: Default::default(),
        tally: Default::default(),
        tables: Default::default(),
        epoch: EpochConfig {
            min_miners: 1,
            max_miners: 4_096,
            gather_ms: interval_ms,
            max_ms: interval_ms * 20,
            close_ms: interval_ms * 4,
            silence_ms: interval_ms * 5 / 2,
            ghost_ms: interval_ms * 5,
            backlog: 3,
        },
        audit: Default::default(),
        merge: Default::default(),
        prices: Default::default(),
        snapshot: Default::default(),
        data: DataConfig { manifest: Digest::ZERO },
    };
    config.merge.shards = shards;
    config.tally.interval_ms = interval_ms;
    config.tally.beat_ms = interval_ms / 2;
    config.tables.min_ms = interval_ms / 4;
    config.tables.max_ms = interval_ms * 10;
    config.tables.settle_ms = 500;
    config
}

/// Cut each stage's vector into so many shards; the first base follows.
pub fn set_shards(config: &mut RunConfig, shards: u16) {
    config.merge.shards = shards;
    config.base = (0..config.stages()).map(|s| merge::root(&first_shards(s, shards))).collect();
}

/// A plan with `per_stage` honest miners in each stage, all alike.
#[must_use]
pub fn even(stages: u16, per_stage: usize, interval_ms: u64, until_ms: u64, orchestrator: Account) -> Plan {
    let miner = MinerPlan { forward_ms: 25, latency_ms: 10, transfer_ms: 5, start_ms: 0, conduct: Conduct::Honest };
    Plan {
        seed: 1,
        config: config(stages, interval_ms, orchestrator),
        miners: vec![miner; usize::from(stages) * per_stage],
        validators: vec![1_000; 2],
        block_ms: 2_000,
        loss: 0.0,
        faults: Vec::new(),
        churn: 0.0,
        fetch_ms: 1_000,
        skew_ms: 0,
        strict: false,
        until_ms,
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Samples that went all the way, by second.
    pub complete: Vec<u32>,
    /// Entries and bytes of the ledger.
    pub entries: u64,
    /// Bytes of the ledger.
    pub ledger_bytes: u64,
    /// Largest encoded state, bytes (looked at once an epoch).
    pub state_bytes: usize,
    /// Epochs merged.
    pub merged: u32,
    /// Epochs ended.
    pub ended: u32,
    /// Samples that were given up.
    pub lost: u64,
    /// Per miner of the plan: when it was barred, milliseconds.
    pub barred: Vec<(usize, u64)>,
    /// Events of the simulation.
    pub events: u64,
    /// Miner-milliseconds in which a miner worked or was ready to.
    pub miner_ms: u64,
    /// Most epochs that waited for their merge at once.
    pub backlog: u32,
}

impl Report {
    /// Samples completed in a span of seconds.
    #[must_use]
    pub fn within(&self, seconds: Range<usize>) -> u64 {
        self.complete.iter().take(seconds.end).skip(seconds.start).map(|n| u64::from(*n)).sum()
    }

    /// Ledger bytes per miner-hour.
    #[must_use]
    pub fn bytes_per_miner_hour(&self) -> f64 {
        self.ledger_bytes as f64 * 3_600_000.0 / self.miner_ms.max(1) as f64
    }
}
