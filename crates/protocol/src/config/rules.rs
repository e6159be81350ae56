//! Every rule of a configuration that needs no look at the world: each refusal names the key, the value read, the value needed.

use super::{ConfigError, RunConfig};

/// Samples of a round times stages: the step's entry names each once, with six bytes.
const MAX_ASSIGNED: u64 = 1 << 18;
/// Shards of a merge: its entry names each with about 40 bytes.
const MAX_SHARDS: u64 = 1 << 16;

impl RunConfig {
    /// Check every rule that needs no look at the world.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_model()?;
        self.validate_training()?;
        self.validate_epoch()?;
        self.validate_sizes()
    }

    fn validate_model(&self) -> Result<(), ConfigError> {
        let m = &self.model;
        rule((1..=100).contains(&self.name.len()), "name", &self.name, "1 to 100 bytes are needed")?;
        // TOML's integers are signed.
        rule(i64::try_from(self.seed).is_ok(), "seed", self.seed, "at most 9223372036854775807")?;
        rule(m.vocab >= 2 && m.vocab <= 1 << 20, "model.vocab", m.vocab, "2 to 1048576 is needed")?;
        rule(
            m.heads > 0 && m.d_model > 0 && m.d_model.is_multiple_of(m.heads),
            "model.heads",
            m.heads,
            format!("it must divide model.d_model = {}", m.d_model),
        )?;
        rule(
            (m.d_model / m.heads.max(1)).is_multiple_of(2),
            "model.d_model",
            m.d_model,
            "d_model / heads must be even (rotary embedding turns pairs)",
        )?;
        rule(
            m.kv_heads > 0 && m.heads.is_multiple_of(m.kv_heads),
            "model.kv_heads",
            m.kv_heads,
            format!("it must divide model.heads = {}", m.heads),
        )?;
        rule(m.d_ff > 0 && m.d_ff <= 1 << 20, "model.d_ff", m.d_ff, "1 to 1048576 is needed")?;
        rule(m.d_model <= 1 << 16, "model.d_model", m.d_model, "at most 65536")?;
        rule(
            !m.stages.is_empty() && m.stages.len() <= 256,
            "model.stages",
            m.stages.len(),
            "1 to 256 stages are needed",
        )?;
        rule(
            m.stages.iter().all(|&n| (1..=1024).contains(&n)),
            "model.stages",
            format!("{:?}", m.stages),
            "every stage needs 1 to 1024 blocks",
        )?;
        rule(m.norm_eps > 0.0 && m.norm_eps < 1.0, "model.norm_eps", m.norm_eps, "a small positive number is needed")?;
        rule(
            m.rope_theta > 1.0 && m.rope_theta.is_finite(),
            "model.rope_theta",
            m.rope_theta,
            "a number above 1 is needed",
        )?;
        rule(m.init_std > 0.0 && m.init_std < 1.0, "model.init_std", m.init_std, "between 0 and 1 is needed")?;
        m.boundary.check(m.d_model).map_err(|bad| ConfigError::Invalid {
            key: bad.key,
            value: bad.value,
            needed: bad.need.into(),
        })
    }

    fn validate_training(&self) -> Result<(), ConfigError> {
        let t = &self.training;
        rule(
            (1..=1 << 20).contains(&t.sequence_length),
            "training.sequence_length",
            t.sequence_length,
            "1 to 1048576 is needed",
        )?;
        rule(
            (1..=4096).contains(&t.sequences_per_sample),
            "training.sequences_per_sample",
            t.sequences_per_sample,
            "1 to 4096 is needed",
        )?;
        rule(
            (1..=4096).contains(&t.samples_per_round),
            "training.samples_per_round",
            t.samples_per_round,
            "1 to 4096 is needed",
        )?;
        rule(
            (1..=100_000).contains(&t.rounds_per_epoch),
            "training.rounds_per_epoch",
            t.rounds_per_epoch,
            "1 to 100000 is needed",
        )?;
        rule((1..=100_000).contains(&t.epochs), "training.epochs", t.epochs, "1 to 100000 is needed")?;
        t.optimiser.validate()?;
        rule(
            t.outer.learning_rate > 0.0 && t.outer.learning_rate <= 2.0,
            "training.outer.learning_rate",
            t.outer.learning_rate,
            "above 0, at most 2",
        )?;
        rule(
            (0.0..1.0).contains(&t.outer.momentum),
            "training.outer.momentum",
            t.outer.momentum,
            "0 up to but below 1 is needed",
        )
    }

    fn validate_epoch(&self) -> Result<(), ConfigError> {
        let (e, a) = (&self.epoch, &self.audit);
        rule(e.min_miners_per_stage >= 1, "epoch.min_miners_per_stage", e.min_miners_per_stage, "at least 1")?;
        rule(
            e.max_miners_per_stage >= e.min_miners_per_stage,
            "epoch.max_miners_per_stage",
            e.max_miners_per_stage,
            "at least epoch.min_miners_per_stage",
        )?;
        rule(e.sample_timeout_ms >= 100, "epoch.sample_timeout_ms", e.sample_timeout_ms, "at least 100")?;
        rule(e.liveness_timeout_ms >= 100, "epoch.liveness_timeout_ms", e.liveness_timeout_ms, "at least 100")?;
        rule(
            e.anchor_blocks >= 2,
            "epoch.anchor_blocks",
            e.anchor_blocks,
            "at least 2: an anchor needs a block of its own",
        )?;
        rule(
            a.beacon_delay_blocks >= 1,
            "audit.beacon_delay_blocks",
            a.beacon_delay_blocks,
            "at least 1: the draw must be unknown when the anchor is made",
        )?;
        rule(a.samples_per_miner >= 1, "audit.samples_per_miner", a.samples_per_miner, "at least 1")?;
        rule(a.window_blocks >= 1, "audit.window_blocks", a.window_blocks, "at least 1")?;
        rule(e.merge_timeout_ms >= 100, "epoch.merge_timeout_ms", e.merge_timeout_ms, "at least 100")?;
        rule(a.opening_timeout_ms >= 100, "audit.opening_timeout_ms", a.opening_timeout_ms, "at least 100")?;
        if let Some(t) = &a.tolerance {
            for (key, value) in [
                ("audit.tolerance.relative_l2", t.relative_l2),
                ("audit.tolerance.one_minus_cosine", t.one_minus_cosine),
                ("audit.tolerance.max_abs", t.max_abs),
            ] {
                rule(value >= 0.0 && value.is_finite(), key, value, "a number from 0 up is needed")?;
            }
        }
        Ok(())
    }

    /// Every entry of the ledger must fit in one answer of the orchestrator ([`crate::wire::MAX_RESPONSE`]), and every sample
    /// of the run needs a number of its own.
    fn validate_sizes(&self) -> Result<(), ConfigError> {
        let (t, e) = (&self.training, &self.epoch);
        let stages = self.model.stages.len() as u64;
        let assigned = u64::from(t.samples_per_round) * stages;
        rule(
            assigned <= MAX_ASSIGNED,
            "training.samples_per_round",
            t.samples_per_round,
            "times the number of stages it may be at most 262144",
        )?;
        let miners = u64::from(e.max_miners_per_stage);
        let shards = miners * miners.saturating_sub(1) / 2 * stages;
        rule(
            shards <= MAX_SHARDS,
            "epoch.max_miners_per_stage",
            e.max_miners_per_stage,
            "with n miners a merge has n (n - 1) / 2 shards per stage, and 65536 in all at most",
        )?;
        let samples = u64::from(t.epochs) * u64::from(t.rounds_per_epoch) * u64::from(t.samples_per_round);
        rule(
            samples <= u64::from(u32::MAX),
            "training.epochs",
            t.epochs,
            "times rounds_per_epoch times samples_per_round it may be at most 4294967295",
        )
    }
}

pub(super) fn rule(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    needed: impl Into<std::borrow::Cow<'static, str>>,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Invalid { key, value: value.to_string(), needed: needed.into() }) }
}
