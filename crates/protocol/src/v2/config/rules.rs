//! Every rule of a configuration that needs no look at the world: each refusal names the key, the value read, the value needed.

use super::{ConfigError, RunConfig};

impl RunConfig {
    /// Check every rule that needs no look at the world.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_run()?;
        self.validate_lanes()?;
        self.validate_epoch()?;
        self.validate_checks()
    }

    fn validate_run(&self) -> Result<(), ConfigError> {
        let (m, t) = (&self.model, &self.training);
        rule((1..=100).contains(&self.name.len()), "name", &self.name, "1 to 100 bytes are needed")?;
        rule(i64::try_from(self.seed).is_ok(), "seed", self.seed, "at most 9223372036854775807")?;
        rule((2..=1 << 20).contains(&m.vocab), "model.vocab", m.vocab, "2 to 1048576 is needed")?;
        let heads = m.heads > 0 && m.d_model > 0 && m.d_model.is_multiple_of(m.heads);
        rule(heads, "model.heads", m.heads, "it must divide model.d_model")?;
        let pairs = (m.d_model / m.heads.max(1)).is_multiple_of(2);
        rule(pairs, "model.d_model", m.d_model, "d_model / heads must be even (rotary embedding turns pairs)")?;
        let groups = m.kv_heads > 0 && m.heads.is_multiple_of(m.kv_heads);
        rule(groups, "model.kv_heads", m.kv_heads, "it must divide model.heads")?;
        rule(m.d_ff > 0 && m.d_ff <= 1 << 20, "model.d_ff", m.d_ff, "1 to 1048576 is needed")?;
        let stages = (1..=256).contains(&m.stages.len()) && m.stages.iter().all(|blocks| *blocks > 0);
        rule(stages, "model.stages", m.stages.len(), "1 to 256 stages of at least one block are needed")?;
        rule(self.base.len() == m.stages.len(), "base", self.base.len(), "one root for each stage is needed")?;
        let length = (1..=1 << 20).contains(&t.sequence_length);
        rule(length, "training.sequence_length", t.sequence_length, "1 to 1048576 is needed")?;
        let sequences = (1..=4096).contains(&t.sequences_per_sample);
        rule(sequences, "training.sequences_per_sample", t.sequences_per_sample, "1 to 4096 is needed")?;
        rule((1..=100_000).contains(&t.epochs), "training.epochs", t.epochs, "1 to 100000 is needed")?;
        t.optimiser.validate()?;
        let outer = t.outer.learning_rate > 0.0 && t.outer.learning_rate <= 2.0;
        rule(outer, "training.outer.learning_rate", t.outer.learning_rate, "above 0, at most 2")?;
        let momentum = (0.0..1.0).contains(&t.outer.momentum);
        rule(momentum, "training.outer.momentum", t.outer.momentum, "0 up to but below 1 is needed")
    }

    fn validate_lanes(&self) -> Result<(), ConfigError> {
        let l = &self.lanes;
        let (least, most) = l.samples_per_step;
        rule(
            1 <= least && least <= most && most <= 4096,
            "lanes.samples_per_step",
            most,
            "1 to 4096, the least first",
        )?;
        let (least, most) = l.lanes;
        rule(1 <= least && least <= most && most <= 64, "lanes.lanes", most, "1 to 64, the least first")?;
        let steps = (1..=1_000_000).contains(&l.steps_per_epoch);
        rule(steps, "lanes.steps_per_epoch", l.steps_per_epoch, "1 to 1000000 is needed")?;
        rule(l.content_every >= 1, "lanes.content_every", l.content_every, "at least 1")?;
        rule(l.max_stale <= 16, "lanes.max_stale", l.max_stale, "at most 16")?;
        rule(l.detour_ms >= 10, "lanes.detour_ms", l.detour_ms, "at least 10")?;
        rule(l.loop_floor_ms >= l.detour_ms, "lanes.loop_floor_ms", l.loop_floor_ms, "at least lanes.detour_ms")?;
        let t = &self.tally;
        rule(t.interval_ms >= 100, "tally.interval_ms", t.interval_ms, "at least 100")?;
        rule(t.beat_ms >= 100, "tally.beat_ms", t.beat_ms, "at least 100")?;
        rule(t.max_leaves_per_s >= 1, "tally.max_leaves_per_s", t.max_leaves_per_s, "at least 1")?;
        let b = &self.tables;
        rule(b.max_ms >= b.min_ms, "tables.max_ms", b.max_ms, "at least tables.min_ms")
    }

    fn validate_epoch(&self) -> Result<(), ConfigError> {
        let e = &self.epoch;
        rule(e.min_miners >= 1, "epoch.min_miners", e.min_miners, "at least 1")?;
        rule(e.max_miners >= e.min_miners, "epoch.max_miners", e.max_miners, "at least epoch.min_miners")?;
        let silence = e.silence_ms > self.tally.interval_ms + self.tally.beat_ms;
        rule(
            silence,
            "epoch.silence_ms",
            e.silence_ms,
            "more than tally.interval_ms + tally.beat_ms: a miner may be late once",
        )?;
        rule(e.ghost_ms >= 1_000, "epoch.ghost_ms", e.ghost_ms, "at least 1000")?;
        rule(e.max_ms >= 1_000, "epoch.max_ms", e.max_ms, "at least 1000")?;
        rule(e.close_ms >= self.tally.beat_ms, "epoch.close_ms", e.close_ms, "at least tally.beat_ms")?;
        rule((1..=8).contains(&e.backlog), "epoch.backlog", e.backlog, "1 to 8 is needed")
    }

    fn validate_checks(&self) -> Result<(), ConfigError> {
        let (a, m) = (&self.audit, &self.merge);
        rule(a.per_mille <= 1_000_000, "audit.per_mille", a.per_mille, "at most 1000000")?;
        rule(a.window_blocks >= 1, "audit.window_blocks", a.window_blocks, "at least 1")?;
        rule(a.lag_blocks >= 1, "audit.lag_blocks", a.lag_blocks, "at least 1")?;
        rule(a.opening_ms >= 100, "audit.opening_ms", a.opening_ms, "at least 100")?;
        rule(a.bytes_per_s >= 1, "audit.bytes_per_s", a.bytes_per_s, "at least 1")?;
        let shards = (1..=super::super::message::MAX_SHARDS).contains(&usize::from(m.shards));
        rule(shards, "merge.shards", m.shards, "1 to 4096 is needed")?;
        rule(m.timeout_ms >= 100, "merge.timeout_ms", m.timeout_ms, "at least 100")?;
        rule(self.snapshot.entries >= 16, "snapshot.entries", self.snapshot.entries, "at least 16")
    }
}

fn rule(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    needed: impl Into<std::borrow::Cow<'static, str>>,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Invalid { key, value: value.to_string(), needed: needed.into() }) }
}
