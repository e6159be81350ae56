//! A swarm in virtual time: simulated peers that run the real rules ([`super::state`]) and the real local decisions ([`super::schedule`]).
//!
//! Only computing, links, disks and the chain are made up: each is a delay, and messages may be lost. One heap of events; equal plans give equal
//! runs. In a strict simulation everything is signed, every receipt kept, and [`check`] looks at all of it at the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod book;
pub mod check;
mod ledger;
mod peer;
pub mod plan;
mod receipts;
#[cfg(test)]
mod tests;
mod words;

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
};

use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

pub use plan::{Conduct, Fault, MinerPlan, Plan, Report};

use self::{ledger::Validator, peer::Peer};
use super::{
    code::PushCode,
    ledger::Entry,
    message::SignedJoin,
    receipt::Receipt,
    sample::Sample,
    schedule::Task,
    signed::Signed,
    state::{State, Submission},
    table::Table,
};
use starling_keys::{Account, Signature, Signer};

use crate::{Digest, Epoch, Stage, Uid, seed};

/// A key for tests: derived from a number.
pub struct Key(schnorrkel::Keypair);

impl Key {
    /// The key of this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let secret = schnorrkel::MiniSecretKey::from_bytes(&bytes).expect("32 bytes");
        Self(secret.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519))
    }
}

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

/// Signs nothing: for large swarms, whose signatures nobody checks.
struct Unsigned(Account);

impl Signer for Unsigned {
    fn account(&self) -> Account {
        self.0
    }
    fn sign(&self, _: &[u8]) -> Signature {
        Signature([0; 64])
    }
}

/// Something on the data plane.
#[derive(Clone, Debug)]
enum Message {
    Forward { sample: Sample, rank: u8, receipt: Option<Box<Signed<Receipt>>> },
    Gradient { sample: Sample, receipt: Option<Box<Signed<Receipt>>> },
    Answer { sample: Sample, code: PushCode },
    Grant { total: u64 },
    Cancel { sample: Sample },
    Lost { sample: Sample },
}

/// What a peer reads in the ledger.
#[derive(Clone, Debug)]
enum Note {
    Joined(Stage),
    Started,
    Gone,
    Table(Arc<Table>),
    Epoch(Epoch),
    Planned { base: u32, epoch: Option<Epoch> },
    Merged { base: u32, epoch: Option<Epoch> },
    Moved,
}

#[derive(Clone, Debug)]
enum Happening {
    Deliver { from: usize, to: usize, generation: u32, message: Message },
    Done { peer: usize, generation: u32, task: Task },
    Wake { peer: usize, generation: u32 },
    Pump { peer: usize, generation: u32 },
    Tally { peer: usize, generation: u32 },
    Join { peer: usize, generation: u32 },
    GetReady { peer: usize, generation: u32 },
    Reduce { peer: usize, generation: u32, base: u32 },
    Hears { peer: usize, generation: u32, note: Note },
    Submits { account: Account, said: Box<Submission> },
    Joins { join: Box<SignedJoin>, uid: Uid },
    Orchestrator,
    Block,
    Fault(usize),
    Start { peer: usize },
    Broken { uid: Uid },
}

struct Event {
    at: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Milliseconds since 1970 at which every simulation begins.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// How often the orchestrator looks at its post, milliseconds.
const ORCHESTRATOR_MS: u64 = 100;
/// After so long the peers of a dead process notice that the connection is lost, milliseconds.
const NOTICED_MS: u64 = 3_000;
/// Slots of miners begin here; validators have those below.
const FIRST_MINER: Uid = 1_000;

/// A swarm.
pub struct Sim {
    plan: Plan,
    rng: ChaCha20Rng,
    now: u64,
    order: u64,
    heap: BinaryHeap<Reverse<Event>>,
    /// The orchestrator's; the only copy.
    pub(crate) state: State,
    pub(crate) entries: Vec<Entry>,
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) peers: Vec<Peer>,
    slots: Vec<Option<usize>>,
    pub(crate) validators: Vec<Validator>,
    docket: super::audit::Docket,
    inbox: Vec<(Account, Submission)>,
    orchestrator_until: u64,
    chain_until: u64,
    block: u32,
    stakes_due: bool,
    /// What came out so far.
    pub report: Report,
}

/// The orchestrator's key in every simulation.
#[must_use]
pub fn orchestrator() -> Key {
    Key::new(0)
}

impl Sim {
    /// Set up, not started.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let state = State::new(plan.config.clone());
        let rng = seed::stream(plan.seed, "simulation", &[]);
        let mut sim = Self {
            rng,
            now: 0,
            order: 0,
            heap: BinaryHeap::new(),
            state,
            entries: Vec::new(),
            tables: Vec::new(),
            peers: Vec::new(),
            slots: vec![None; usize::from(Uid::MAX) + 1],
            validators: Vec::new(),
            docket: Default::default(),
            inbox: Vec::new(),
            orchestrator_until: 0,
            chain_until: 0,
            block: 100,
            stakes_due: true,
            report: Report::default(),
            plan,
        };
        sim.open();
        for miner in sim.plan.miners.clone() {
            sim.add(miner, miner.start_ms);
        }
        for index in 0..sim.plan.faults.len() {
            let at = sim.plan.faults[index].0;
            sim.at(at, Happening::Fault(index));
        }
        sim.at(0, Happening::Orchestrator);
        sim.at(sim.plan.block_ms, Happening::Block);
        sim
    }

    fn signer(&self, number: u64) -> Box<dyn Signer> {
        if self.plan.strict {
            Box::new(Key::new(number))
        } else {
            Box::new(Unsigned(Account(Digest::of(&number.to_le_bytes()).0)))
        }
    }

    /// A new miner whose process starts after `delay` milliseconds.
    fn add(&mut self, plan: MinerPlan, delay: u64) {
        let index = self.peers.len();
        let uid = FIRST_MINER + index as Uid;
        let signer = self.signer(1_000 + index as u64);
        let skew = self.random(self.plan.skew_ms * 2 + 1) as i64 - self.plan.skew_ms as i64;
        self.slots[usize::from(uid)] = Some(index);
        self.peers.push(Peer::new(uid, plan, signer, skew, self.plan.strict));
        let jitter = self.random(500);
        self.at(self.now + delay + jitter, Happening::Start { peer: index });
    }

    fn random(&mut self, below: u64) -> u64 {
        ((u128::from(self.rng.next_u64()) * u128::from(below.max(1))) >> 64) as u64
    }

    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && (self.rng.next_u64() as f64) < share * u64::MAX as f64
    }

    fn at(&mut self, at: u64, what: Happening) {
        self.order += 1;
        self.heap.push(Reverse(Event { at, order: self.order, what }));
    }

    /// Run to the end of the plan.
    pub fn run(&mut self) -> &Report {
        while self.heap.peek().is_some_and(|Reverse(e)| e.at <= self.plan.until_ms) {
            let Some(Reverse(event)) = self.heap.pop() else { break };
            self.now = event.at;
            self.report.events += 1;
            self.happen(event.what);
        }
        self.now = self.plan.until_ms;
        for index in 0..self.peers.len() {
            self.stop_counting(index);
        }
        &self.report
    }

    /// Run on to a later end.
    pub fn go_on(&mut self, until_ms: u64) -> &Report {
        self.plan.until_ms = until_ms;
        self.run()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Deliver { from, to, generation, message } => {
                if self.answers(to, generation) {
                    self.receive(from, to, message);
                }
            }
            Happening::Done { peer, generation, task } => {
                if let Some(later) = self.standing_still(peer, generation) {
                    self.at(later, Happening::Done { peer, generation, task });
                } else if self.peers[peer].generation == generation {
                    self.done(peer, task);
                }
            }
            Happening::Wake { peer, generation } => {
                if let Some(later) = self.standing_still(peer, generation) {
                    self.at(later, Happening::Wake { peer, generation });
                } else if self.peers[peer].generation == generation {
                    self.wake(peer);
                }
            }
            Happening::Tally { peer, generation } => {
                if let Some(later) = self.standing_still(peer, generation) {
                    self.at(later, Happening::Tally { peer, generation });
                } else if self.peers[peer].generation == generation {
                    self.tally(peer);
                }
            }
            Happening::Hears { peer, generation, note } => {
                if let Some(later) = self.standing_still(peer, generation) {
                    self.at(later, Happening::Hears { peer, generation, note });
                } else if self.peers[peer].generation == generation {
                    self.hears(peer, note);
                }
            }
            Happening::Pump { peer, generation } if self.answers(peer, generation) => self.pump(peer),
            Happening::Join { peer, generation } if self.answers(peer, generation) => self.join(peer),
            Happening::GetReady { peer, generation } if self.answers(peer, generation) => self.get_ready(peer),
            Happening::Reduce { peer, generation, base } if self.answers(peer, generation) => self.reduce(peer, base),
            Happening::Pump { .. } | Happening::Join { .. } | Happening::GetReady { .. } | Happening::Reduce { .. } => {
            }
            Happening::Submits { account, said } => {
                // A dead orchestrator hears nothing; peers say it again.
                if self.now >= self.orchestrator_until {
                    self.inbox.push((account, *said));
                }
            }
            Happening::Joins { join, uid } => {
                if self.now >= self.orchestrator_until {
                    self.take_join(*join, uid);
                }
            }
            Happening::Orchestrator => {
                if self.now >= self.orchestrator_until {
                    self.orchestrate();
                }
                self.at(self.now + ORCHESTRATOR_MS, Happening::Orchestrator);
            }
            Happening::Block => {
                if self.now >= self.chain_until {
                    self.block += 1;
                }
                self.at(self.now + self.plan.block_ms, Happening::Block);
            }
            Happening::Fault(index) => self.fault(index),
            Happening::Broken { uid } => self.broken(uid),
            Happening::Start { peer } => {
                self.peers[peer].up = true;
                let generation = self.peers[peer].generation;
                self.at(self.now, Happening::Join { peer, generation });
            }
        }
    }

    fn answers(&self, peer: usize, generation: u32) -> bool {
        let p = &self.peers[peer];
        p.up && p.generation == generation && self.now >= p.hung_until
    }

    /// When a process that stands still goes on.
    fn standing_still(&self, peer: usize, generation: u32) -> Option<u64> {
        let p = &self.peers[peer];
        (p.up && p.generation == generation && self.now < p.hung_until).then_some(p.hung_until)
    }

    fn fault(&mut self, index: usize) {
        match self.plan.faults[index].1.clone() {
            Fault::Kill { miner, down_ms } => {
                self.kill(miner);
                if let Some(ms) = down_ms {
                    self.at(self.now + ms, Happening::Start { peer: miner });
                }
            }
            Fault::Hang { miner, ms } => self.peers[miner].hung_until = self.now + ms,
            Fault::Orchestrator { ms } => self.orchestrator_until = self.now + ms,
            Fault::Chain { ms } => self.chain_until = self.now + ms,
        }
    }

    fn kill(&mut self, peer: usize) {
        self.stop_counting(peer);
        self.peers[peer].die();
        let uid = self.peers[peer].uid;
        self.at(self.now + NOTICED_MS, Happening::Broken { uid });
    }

    fn stop_counting(&mut self, peer: usize) {
        if let Some(since) = self.peers[peer].working_since.take() {
            self.report.miner_ms += self.now - since;
        }
    }

    /// Another peer gets this, if it arrives.
    fn send(&mut self, from: usize, to: usize, after: u64, message: Message) {
        if self.chance(self.plan.loss) {
            return;
        }
        let tensor = matches!(message, Message::Forward { .. } | Message::Gradient { .. });
        let (a, b) = (&self.peers[from].plan, &self.peers[to].plan);
        let base = a.latency_ms + b.latency_ms + if tensor { a.transfer_ms.max(b.transfer_ms) } else { 0 };
        let jitter = self.random(base / 10 + 1);
        let generation = self.peers[to].generation;
        self.at(self.now + after + base + jitter, Happening::Deliver { from, to, generation, message });
    }

    fn peer_of(&self, uid: Uid) -> Option<usize> {
        self.slots[usize::from(uid)]
    }
}
