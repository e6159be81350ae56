//! The orchestrator against scripted peers and a scripted chain: promises that need no tensor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actor;
mod network;
mod peer;
mod script;

use std::sync::Arc;

use starling_keys::{Account, Signature, Signer};
use starling_protocol::{
    Digest,
    config::RunConfig,
    message::{Join, Role},
    signed::Signed,
};

/// A real sr25519 key from a seed.
#[derive(Clone)]
pub(crate) struct Key(schnorrkel::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

pub(crate) fn key(seed: u8) -> Key {
    let mini = schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap();
    Key(mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519))
}

/// The key of the orchestrator in [`config`].
pub(crate) fn leader() -> Arc<Key> {
    Arc::new(key(200))
}

/// A run of one-block stages; nobody is silent for a minute.
pub(crate) fn config(stages: usize, epochs: u32) -> RunConfig {
    let text = format!(
        r#"
        name = "test"
        netuid = 2
        seed = 7
        genesis = "{genesis}"
        orchestrator = "{orchestrator}"
        [model]
        vocab = 256
        d_model = 32
        heads = 2
        kv_heads = 1
        d_ff = 64
        stages = {stages:?}
        [training]
        sequence_length = 8
        sequences_per_sample = 1
        samples_per_round = 2
        rounds_per_epoch = 2
        epochs = {epochs}
        [training.optimiser]
        learning_rate = 0.001
        [epoch]
        min_miners_per_stage = 1
        max_miners_per_stage = 8
        gather_ms = 1
        sample_timeout_ms = 60000
        liveness_timeout_ms = 60000
        anchor_blocks = 4
        merge_timeout_ms = 60000
        [audit]
        beacon_delay_blocks = 1
        samples_per_miner = 2
        steps_per_miner = 1
        window_blocks = 2
        [data]
        manifest = "{manifest}"
        "#,
        genesis = Digest::of(b"genesis"),
        orchestrator = leader().account(),
        stages = vec![1; stages],
        manifest = Digest::of(b"manifest"),
    );
    RunConfig::from_toml(&text).unwrap()
}

/// A miner's join.
pub(crate) fn join(config: &RunConfig, key: &Key, at_ms: u64) -> Signed<Join> {
    Signed::new(Join { run: config.id(), role: Role::Miner, address: b"somewhere".to_vec(), at_ms }, key)
}
