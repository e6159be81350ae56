//! A run in virtual time: an orchestrator that keeps the rules, and peers that react to its ledger at once.

use std::collections::{BTreeMap, BTreeSet};

use super::peers::{self, Key};
use starling_keys::{Account, Signer};

use crate::{
    Digest, Uid,
    config::RunConfig,
    ledger::{Entry, Event},
    message::{Outcome, Role},
    state::{Broken, Phase, Refusal, State},
    wire::Submission,
};

/// Virtual milliseconds per turn of [`Sim::turn`].
const TURN_MS: u64 = 50;
const TURNS_PER_BLOCK: u64 = 5;

/// A small run: stages of one block; everything else as short as the rules allow.
pub fn config(stages: usize, epochs: u32, rounds: u32, samples: u32) -> RunConfig {
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
        samples_per_round = {samples}
        rounds_per_epoch = {rounds}
        epochs = {epochs}
        [training.optimiser]
        learning_rate = 0.001
        [epoch]
        min_miners_per_stage = 1
        max_miners_per_stage = 3
        gather_ms = 200
        sample_timeout_ms = 1000
        liveness_timeout_ms = 500
        anchor_blocks = 8
        merge_timeout_ms = 3000
        [audit]
        beacon_delay_blocks = 1
        samples_per_miner = 2
        steps_per_miner = 1
        window_blocks = 8
        bench_epochs = 1
        [data]
        manifest = "{manifest}"
        "#,
        genesis = Digest::of(b"genesis"),
        orchestrator = Key::new(200).account(),
        stages = vec![1; stages],
        manifest = Digest::of(b"manifest"),
    );
    RunConfig::from_toml(&text).unwrap()
}

/// Changes what a miner submits before it is sent.
pub type Tamper = Box<dyn Fn(&State, Submission) -> Option<Submission>>;

pub struct Sim {
    pub state: State,
    pub ledger: Vec<Entry>,
    pub now: u64,
    pub block: u32,
    pub keys: BTreeMap<Account, (Key, Uid, Role)>,
    /// Peers that do nothing, and since when.
    pub dead: BTreeMap<Account, u64>,
    pub tampering: BTreeMap<Account, Tamper>,
    /// What validators find.
    pub failing: BTreeMap<Account, Outcome>,
    /// Validators that report nothing but passes whatever there is.
    pub blind: BTreeSet<Account>,
    /// Miners that anchor another head than theirs.
    pub misanchoring: BTreeSet<Account>,
    /// Miners that never anchor.
    pub unanchored: BTreeSet<Account>,
    /// Validators that poll and say nothing.
    pub mute: BTreeSet<Account>,
}

impl Sim {
    /// `stages` × `miners` miners (keys from 1, uids from 10) and `validators` (keys from 100, uids from 100), all joined.
    pub fn new(config: RunConfig, miners: u8, validators: u8) -> Self {
        let mut sim = Self {
            state: State::new(config),
            ledger: Vec::new(),
            now: 1_000_000,
            block: 100,
            keys: BTreeMap::new(),
            dead: BTreeMap::new(),
            tampering: BTreeMap::new(),
            failing: BTreeMap::new(),
            blind: BTreeSet::new(),
            misanchoring: BTreeSet::new(),
            unanchored: BTreeSet::new(),
            mute: BTreeSet::new(),
        };
        for i in 0..u8::try_from(sim.state.config().stages()).unwrap() * miners {
            sim.add(1 + i, 10 + Uid::from(i), Role::Miner).unwrap();
        }
        for i in 0..validators {
            sim.add(100 + i, 100 + Uid::from(i), Role::Validator).unwrap();
        }
        sim
    }

    pub fn add(&mut self, seed: u8, uid: Uid, role: Role) -> Result<Account, Refusal> {
        let key = Key::new(seed);
        let account = key.account();
        self.keys.insert(account, (key, uid, role));
        self.join(&account).map(|_| account)
    }

    /// True if there was something to write.
    pub fn join(&mut self, account: &Account) -> Result<bool, Refusal> {
        let (key, uid, role) = &self.keys[account];
        let join = peers::join(key, &self.state, *role, self.now);
        let event = self.state.admit_join(account, join, *uid, self.now)?;
        Ok(event.map(|e| self.append(e)).is_some())
    }

    pub fn try_append(&mut self, event: Event) -> Result<(), Broken> {
        let entry = Entry { at_ms: self.now, event };
        self.state.apply(&entry)?;
        self.ledger.push(entry);
        Ok(())
    }

    pub fn append(&mut self, event: Event) {
        self.try_append(event).expect("what admit and decide produce keeps the rules");
    }

    /// True if it became an entry, false if it stood there before.
    pub fn submit(&mut self, from: &Account, submission: Submission) -> Result<bool, Refusal> {
        let event = self.state.admit(from, submission)?;
        Ok(event.map(|e| self.append(e)).is_some())
    }

    pub fn uid(&self, account: &Account) -> Uid {
        self.state.members()[account].uid
    }

    pub fn key(&self, account: &Account) -> Key {
        self.keys[account].0.clone()
    }

    /// Accounts of the miners of a stage, by uid.
    pub fn stage(&self, stage: u16) -> Vec<Account> {
        let mut of: Vec<_> =
            self.state.members().iter().filter(|(_, m)| m.stage == stage).map(|(a, m)| (m.uid, *a)).collect();
        of.sort_unstable();
        of.into_iter().map(|(_, a)| a).collect()
    }

    pub fn kill(&mut self, account: &Account) {
        self.dead.insert(*account, self.now);
    }

    pub fn revive(&mut self, account: &Account) {
        self.dead.remove(account);
        self.now += 1;
        self.join(account).unwrap();
    }

    /// A peer that is there but was taken for gone joins again.
    fn comes_back(&mut self, account: &Account) -> bool {
        let miner = self.state.members().get(account).map(|m| m.live);
        let live = miner.or_else(|| self.state.auditors().get(account).map(|a| a.live));
        if live != Some(false) || *self.state.phase() == Phase::Finished {
            return false;
        }
        self.now += 1;
        self.join(account).unwrap()
    }

    fn miner_acts(&mut self, account: &Account) -> bool {
        let Some(said) = peers::miner(&self.keys[account].0, &self.state) else { return false };
        let said = match self.tampering.get(account) {
            Some(tamper) => tamper(&self.state, said),
            None => Some(said),
        };
        said.is_some_and(|s| self.submit(account, s).unwrap())
    }

    fn anchors(&mut self, account: &Account) -> bool {
        let Some(m) = self.state.members().get(account) else { return false };
        if self.unanchored.contains(account)
            || !matches!(self.state.phase(), Phase::Anchoring { .. })
            || !m.live
            || !m.enlisted
            || m.anchor.is_some()
        {
            return false;
        }
        let head = if self.misanchoring.contains(account) { Digest::of(b"another chain") } else { m.link };
        self.append(Event::Anchored { account: *account, block: self.block, count: m.count, head });
        true
    }

    fn validator_acts(&mut self, account: &Account) -> bool {
        if self.mute.contains(account) {
            return false;
        }
        let nothing = BTreeMap::new();
        let failing = if self.blind.contains(account) { &nothing } else { &self.failing };
        let said = peers::validator(&self.keys[account].0, &self.state, failing);
        said.is_some_and(|s| self.submit(account, s).unwrap())
    }

    /// All that the rules demand now.
    pub fn decide(&mut self) {
        for _ in 0..10_000 {
            let Some(event) = self.state.decide(self.now, self.block) else { return };
            self.append(event);
        }
        panic!("the rules demand without end: {:?}", self.ledger.last());
    }

    /// Time passes; the silent are noticed; everyone does one thing.
    pub fn turn(&mut self) {
        self.tick();
        self.decide();
        for account in self.present() {
            self.acts(&account);
            self.decide();
        }
    }

    /// As [`Sim::turn`], but what the rules then demand is not written.
    pub fn quiet_turn(&mut self) {
        self.tick();
        for account in self.present() {
            self.acts(&account);
        }
    }

    fn present(&self) -> Vec<Account> {
        self.keys.keys().filter(|a| !self.dead.contains_key(a)).copied().collect()
    }

    pub fn acts(&mut self, account: &Account) -> bool {
        self.comes_back(account) || self.miner_acts(account) || self.anchors(account) || self.validator_acts(account)
    }

    pub fn tick(&mut self) {
        self.now += TURN_MS;
        if (self.now / TURN_MS).is_multiple_of(TURNS_PER_BLOCK) {
            self.block += 1;
        }
        let silence = self.state.config().epoch.liveness_timeout_ms;
        for (account, since) in self.dead.clone() {
            let live = self.state.members().get(&account).is_some_and(|m| m.live)
                || self.state.auditors().get(&account).is_some_and(|a| a.live);
            if live && self.now >= since + silence && *self.state.phase() != Phase::Finished {
                self.append(Event::Gone { account });
            }
        }
    }

    /// Turns until `done`, at most `most`.
    pub fn run_until(&mut self, most: usize, done: impl Fn(&Self) -> bool) {
        for _ in 0..most {
            if done(self) {
                return;
            }
            self.turn();
        }
        let (phase, waits) = (self.state.phase().name(), self.state.waiting_for());
        panic!("not within {most} turns: epoch {} {phase}, waiting for {waits}", self.state.epoch());
    }

    pub fn finish(&mut self) {
        self.run_until(3_000, |s| *s.state.phase() == Phase::Finished);
    }

    /// Until miners compute in this round of this epoch.
    pub fn run_to_round(&mut self, epoch: u32, round: u32) {
        self.run_until(2_000, |s| s.state.epoch() == epoch && s.state.training().round == Some(round) && s.training());
    }

    pub fn training(&self) -> bool {
        *self.state.phase() == Phase::Training
    }

    /// Roster of the newest epoch.
    pub fn roster(&self) -> Vec<Vec<Uid>> {
        self.rosters().pop().unwrap().1
    }

    pub fn rosters(&self) -> Vec<(u32, Vec<Vec<Uid>>)> {
        let begun = |e: &Entry| match &e.event {
            Event::Begun { epoch, roster, .. } => Some((*epoch, roster.clone())),
            _ => None,
        };
        self.ledger.iter().filter_map(begun).collect()
    }

    pub fn count(&self, name: &str) -> usize {
        self.ledger.iter().filter(|e| e.event.name() == name).count()
    }

    /// A stranger reads the whole ledger, signatures and all, and comes to the same state.
    pub fn assert_follower_agrees(&self) {
        let mut follower = State::new(self.state.config().clone());
        for entry in &self.ledger {
            follower.apply(entry).unwrap();
        }
        assert_eq!(follower.head(), self.state.head());
        assert_eq!(format!("{follower:?}"), format!("{:?}", self.state));
    }
}
