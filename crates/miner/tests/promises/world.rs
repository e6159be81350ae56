//! A run for tests: its configuration, its people, and a ledger driven by the real rules.

use starling_keys::Account;
use starling_protocol::{
    Digest,
    config::RunConfig,
    ledger::{Entry, Event},
    message::{Join, Role},
    signed::Signed,
    state::{Phase, State},
    wire::Submission,
};
use starling_wallet::Keypair;

pub fn config(
    stages: usize,
    miners: u16,
    rounds: u32,
    epochs: u32,
    samples: u32,
    orchestrator: Account,
    manifest: Digest,
) -> RunConfig {
    let text = format!(
        r#"
name = "test"
netuid = 3
seed = 11
genesis = "{genesis}"
orchestrator = "{orchestrator}"
[model]
vocab = 256
d_model = 32
heads = 4
kv_heads = 2
d_ff = 64
stages = {blocks:?}
[training]
sequence_length = 16
sequences_per_sample = 2
samples_per_round = {samples}
rounds_per_epoch = {rounds}
epochs = {epochs}
[training.optimiser]
learning_rate = 0.003
[epoch]
min_miners_per_stage = {miners}
max_miners_per_stage = {miners}
gather_ms = 100
sample_timeout_ms = 60000
liveness_timeout_ms = 60000
anchor_blocks = 200
merge_timeout_ms = 60000
[audit]
beacon_delay_blocks = 1
samples_per_miner = 1
steps_per_miner = 1
window_blocks = 2
[data]
manifest = "{manifest}"
"#,
        genesis = Digest::of(b"genesis"),
        blocks = vec![2; stages],
    );
    RunConfig::from_toml(&text).unwrap()
}

pub fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

/// The orchestrator's rules without an orchestrator.
pub struct Ledger {
    pub state: State,
    pub now: u64,
    pub block: u32,
    pub keys: Vec<Keypair>,
}

impl Ledger {
    /// `miners` per stage, none of whom has joined.
    pub fn new(stages: usize, miners: u16, rounds: u32, epochs: u32) -> Self {
        let keys = (0..stages * usize::from(miners)).map(|i| key(i as u8 + 1)).collect();
        let config = config(stages, miners, rounds, epochs, 4, key(200).account(), Digest::ZERO);
        Self { state: State::new(config), now: 1_000, block: 10, keys }
    }

    pub fn account(&self, miner: usize) -> Account {
        self.keys[miner].account()
    }

    pub fn push(&mut self, event: Event) {
        self.state.apply_trusted(&Entry { at_ms: self.now, event }).unwrap();
    }

    pub fn join(&mut self, miner: usize) {
        self.now += 1;
        let join = Join { run: self.state.run(), role: Role::Miner, address: vec![miner as u8], at_ms: self.now };
        let from = self.account(miner);
        let event =
            self.state.admit_join(&from, Signed::new(join, &self.keys[miner]), 20 + miner as u16, self.now).unwrap();
        self.push(event.unwrap());
    }

    pub fn submit(&mut self, miner: usize, submission: Submission) {
        if let Some(event) = self.state.admit(&self.account(miner), submission).unwrap() {
            self.push(event);
        }
    }

    /// Everything that the rules demand now.
    pub fn decide(&mut self) {
        while let Some(event) = self.state.decide(self.now, self.block) {
            self.push(event);
        }
    }

    pub fn finished(&self) -> bool {
        *self.state.phase() == Phase::Finished
    }
}
