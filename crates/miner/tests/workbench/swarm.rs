//! Miners whose messages are carried by hand, one after the other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use starling_commitment::Canonical;
use starling_keys::{Account, Signature, Signer};
use starling_miner::workbench::{Base, Push, Workbench};
use starling_model::{Device, Stage, merge::outer_shard};
use starling_protocol::{
    Digest, Uid,
    v2::{
        code::PushCode,
        config::RunConfig,
        receipt::{Receipt, Work},
        sample::Sample,
        schedule::{Choice, Credit, Outbox, Scheduler, Task},
        signed::Signed,
        table::{Candidate, Lines, Table},
        tally::Counts,
    },
};

use crate::{PER_STEP, tokens};

struct Key(starling_wallet::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        self.0.account()
    }
    fn sign(&self, message: &[u8]) -> Signature {
        self.0.sign(message)
    }
}

enum Message {
    Forward { push: Push, rank: u8 },
    Gradient { push: Push },
    Answer { sample: Sample, code: PushCode },
    Grant { total: u64 },
}

pub struct Peer {
    pub uid: Uid,
    pub stage: u16,
    pub account: Account,
    pub bench: Workbench,
    /// Weights of each closed epoch, lane 0.
    pub committed: Vec<Canonical>,
    pub closed: u32,
    scheduler: Scheduler,
    outbox: Option<Outbox>,
    credit: Credit,
    /// What it closed per epoch and lane.
    contributions: BTreeMap<u32, Vec<Canonical>>,
}

pub struct Swarm {
    run: Arc<RunConfig>,
    pub peers: Vec<Peer>,
    pub table: Arc<Table>,
    /// Every tensor that was pushed, as its author would open it.
    pub blobs: BTreeMap<Digest, Canonical>,
    pub bases: Vec<Vec<Base>>,
    mail: VecDeque<(Uid, Uid, Message)>,
    now: u64,
    losses: Vec<f32>,
    held: usize,
    withhold: bool,
    momentum: Vec<Vec<f32>>,
}

fn base(stage: &Stage, number: u32, weights: Canonical) -> Base {
    assert_eq!(weights.elements() as usize, stage.parameter_count());
    Base { number, root: weights.digest(), weights, optimiser: None }
}

impl Swarm {
    pub fn new(run: RunConfig, per_stage: u16) -> Self {
        let run = Arc::new(run);
        let stages: Vec<Stage> =
            (0..run.model.stages.len()).map(|i| Stage::new(&run.model, i, &Device::CPU).unwrap()).collect();
        let first: Vec<Base> = stages.iter().map(|s| base(s, 0, s.initial_weights(run.seed).unwrap())).collect();
        let momentum = stages.iter().map(|s| vec![0.0; s.parameter_count()]).collect();
        let roster: Vec<Vec<Candidate>> =
            (0..run.stages()).map(|s| (0..per_stage).map(|i| candidate(s * per_stage + i)).collect()).collect();
        let table = Arc::new(Table::new(run.seed, Lines::new(run.seed, 0, 0, &roster).unwrap()));
        let choice = Choice { samples_per_step: PER_STEP, lanes: run.lanes.lanes.1 };
        let peers = (0..run.stages() * per_stage)
            .map(|uid| {
                let stage = uid / per_stage;
                let key = Arc::new(Key(starling_wallet::Keypair::from_uri(&format!("//workbench//{uid}")).unwrap()));
                let account = key.account();
                let own = &first[usize::from(stage)];
                let mut bench =
                    Workbench::new(run.clone(), (uid, key), stage, &Device::CPU, choice.lanes, 0, own).unwrap();
                bench.reserve(u64::MAX);
                let mut scheduler = Scheduler::new(run.clone(), uid, stage, choice, 0, 0, Counts::default());
                scheduler.table(table.clone(), 0);
                let mut credit = Credit::default();
                credit.resize(scheduler.capacity(), usize::from(per_stage));
                let outbox = (stage + 1 < run.stages()).then(|| Outbox::new(stage + 1, run.lanes.detour_ms));
                let (committed, contributions) = (Vec::new(), BTreeMap::new());
                Peer { uid, stage, account, bench, committed, closed: 0, scheduler, outbox, credit, contributions }
            })
            .collect();
        Self {
            run,
            peers,
            table,
            blobs: BTreeMap::new(),
            bases: vec![first],
            mail: VecDeque::new(),
            now: 0,
            losses: Vec::new(),
            held: 0,
            withhold: false,
            momentum,
        }
    }

    pub fn run(&self) -> &RunConfig {
        &self.run
    }

    pub fn first_miners(&self) -> impl Iterator<Item = &Peer> {
        let per_stage = self.peers.len() / usize::from(self.run.stages());
        self.peers.iter().step_by(per_stage)
    }

    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    pub fn most_held(&self) -> usize {
        self.held
    }

    pub fn withhold_bases(&mut self, withhold: bool) {
        self.withhold = withhold;
    }

    /// A fresh bench for the only miner, with so many numbers.
    pub fn reserve_only(&mut self, until: u64) {
        let key = Arc::new(Key(starling_wallet::Keypair::from_uri("//workbench//0").unwrap()));
        let base = &self.bases[0][0];
        let mut bench = Workbench::new(self.run.clone(), (0, key), 0, &Device::CPU, 1, 0, base).unwrap();
        bench.reserve(until);
        self.peers[0].bench = bench;
    }

    /// Until every miner has closed its first `epochs` epochs.
    pub fn run_until_closed(&mut self, epochs: u32) {
        for _ in 0..5_000 {
            if self.peers.iter().all(|p| p.closed >= epochs) {
                return;
            }
            self.turn().unwrap();
        }
        panic!("the swarm stands still: closed {:?}", self.peers.iter().map(|p| p.closed).collect::<Vec<_>>());
    }

    pub fn run_until_error(&mut self) -> String {
        for _ in 0..100_000 {
            if let Err(error) = self.turn() {
                return error.to_string();
            }
        }
        panic!("nothing failed");
    }

    /// Whether steps are taken although nobody brings a base.
    pub fn goes_on(&mut self) -> bool {
        let steps = |s: &Self| s.peers.iter().map(|p| p.scheduler.counts().steps).sum::<u64>();
        let before = steps(self);
        for _ in 0..2_000 {
            self.turn().unwrap();
        }
        steps(self) > before
    }

    /// Everybody does one thing, then the mail of the moment is delivered.
    fn turn(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.now += 1;
        for i in 0..self.peers.len() {
            self.give_up(i);
            self.push_out(i)?;
            self.work(i)?;
            self.held = self.held.max(self.peers[i].bench.held());
        }
        for _ in 0..self.mail.len() {
            let (from, to, message) = self.mail.pop_front().unwrap();
            self.deliver(from, usize::from(to), message);
        }
        self.merge_what_is_closed();
        Ok(())
    }

    fn keep(&mut self, push: &Push) {
        self.blobs.insert(push.tensor.digest(), push.tensor.clone());
    }

    /// What never came back is given up: at the end of the run, when the stages after are done.
    fn give_up(&mut self, i: usize) {
        let p = &mut self.peers[i];
        if let Some(outbox) = &mut p.outbox {
            outbox.tick(self.now);
        }
        for given in p.scheduler.overdue(self.now) {
            p.bench.forget(given.sample);
            if let Some(outbox) = &mut p.outbox {
                outbox.forget(given.sample);
            }
        }
    }

    fn push_out(&mut self, i: usize) -> Result<(), Box<dyn std::error::Error>> {
        while let Some(out) = self.peers[i].outbox.as_mut().and_then(|o| o.next(self.now)) {
            let push = self.peers[i].bench.push(out.sample)?;
            self.keep(&push);
            self.mail.push_back((self.peers[i].uid, out.to, Message::Forward { push, rank: out.rank }));
        }
        Ok(())
    }

    fn work(&mut self, i: usize) -> Result<(), Box<dyn std::error::Error>> {
        let (now, table) = (self.now, self.table.clone());
        let p = &mut self.peers[i];
        let unsent = p.outbox.as_ref().map_or(0, Outbox::unsent);
        let Some(task) = p.scheduler.next(now, unsent) else { return Ok(()) };
        let uid = p.uid;
        match task {
            Task::Forward { sample, lane } => {
                let data = tokens(table.number_of(sample).unwrap());
                let loss = p.bench.forward(sample, lane, Some(&data))?;
                let source = p.scheduler.source(&sample);
                p.scheduler.done(task, now);
                if let Some(outbox) = &mut p.outbox {
                    assert!(outbox.offer(sample, table, now));
                }
                let grant = source.and_then(|from| Some((from, p.credit.begun(from)?)));
                self.losses.extend(loss);
                if let Some((from, total)) = grant {
                    self.mail.push_back((uid, from, Message::Grant { total }));
                }
            }
            Task::Backward { sample, .. } => {
                let push = p.bench.backward(sample)?;
                let source = p.scheduler.source(&sample);
                p.scheduler.done(task, now);
                if let (Some(push), Some(to)) = (push, source) {
                    self.keep(&push);
                    self.mail.push_back((uid, to, Message::Gradient { push }));
                }
            }
            Task::Step { lane } => {
                let samples = p.scheduler.summed(lane).to_vec();
                p.bench.step(lane, samples)?;
                p.scheduler.done(task, now);
            }
            Task::Close { lane, epoch } => {
                let weights = p.bench.weights(lane)?;
                let content = p.bench.close(lane)?;
                assert_eq!(content.weights, weights.digest());
                p.scheduler.done(task, now);
                if lane == 0 {
                    p.committed.push(weights.clone());
                }
                p.contributions.entry(epoch).or_default().push(weights);
                p.closed = p.scheduler.closed();
            }
            Task::Carry { lane, base } => {
                p.bench.carry(lane, &self.bases[base as usize][usize::from(p.stage)])?;
                p.scheduler.done(task, now);
            }
            Task::Restart { .. } => panic!("nobody misses an epoch here"),
        }
        Ok(())
    }

    fn account_of(&self, uid: Uid) -> Account {
        self.peers[usize::from(uid)].account
    }

    fn deliver(&mut self, from: Uid, to: usize, message: Message) {
        let (now, sender, own) = (self.now, self.account_of(from), self.peers[to].uid);
        let link = |receipt: &Signed<Receipt>| receipt.link(&sender);
        let p = &mut self.peers[to];
        match message {
            Message::Forward { push, rank } => {
                let sample = push.receipt.body.work.sample().unwrap();
                assert!(self.table.leads_to(sample, p.stage, rank, own), "the pathway leads here");
                let code = if p.credit.take(from) { p.scheduler.input(sample, from) } else { PushCode::Busy };
                // Only at the end of the run is a push refused: never beyond credit, never twice.
                assert!(matches!(code, PushCode::Taken | PushCode::Closing), "{code:?}");
                if code == PushCode::Taken {
                    p.bench.arrived(sample, push.tensor, link(&push.receipt), rank);
                }
                self.mail.push_back((own, from, Message::Answer { sample, code }));
            }
            Message::Gradient { push } => {
                let Work::Backward { sample, .. } = push.receipt.body.work else { panic!("a gradient's receipt") };
                let outbox = p.outbox.as_mut().unwrap();
                outbox.forget(sample);
                outbox.returned(from);
                assert_eq!(p.scheduler.gradient(sample, now), PushCode::Taken);
                p.bench.returned(sample, push.tensor, link(&push.receipt));
            }
            Message::Answer { sample, code } => {
                if p.outbox.as_mut().unwrap().answer(sample, from, code, now) {
                    p.scheduler.pushed(&sample, from);
                }
            }
            Message::Grant { total } => p.outbox.as_mut().unwrap().granted(from, total),
        }
    }

    /// The ledger's part: an epoch that all have closed is merged, and its base is told.
    fn merge_what_is_closed(&mut self) {
        // An epoch ends when half of the miners have closed it, whatever becomes of its merge.
        let mut closed: Vec<u32> = self.peers.iter().map(|p| p.closed).collect();
        closed.sort_unstable();
        let (half, last) = (closed[closed.len() / 2], self.run.training.epochs);
        // After the last epoch a stage that is done takes no more samples, and the others wait in vain for theirs.
        let ended = if closed.contains(&last) { last } else { half };
        self.peers.iter_mut().for_each(|p| p.scheduler.ledger_epoch(ended, self.now));
        if self.withhold {
            return;
        }
        let next = self.bases.len() as u32;
        if next >= self.run.training.epochs || self.peers.iter().any(|p| p.closed < next) {
            return;
        }
        let epoch = next - 1;
        let mut bases = Vec::new();
        for stage in 0..self.run.stages() {
            let parts: Vec<Vec<f32>> = self
                .peers
                .iter()
                .filter(|p| p.stage == stage)
                .flat_map(|p| p.contributions[&epoch].iter().map(|w| w.to_f32().unwrap()))
                .collect();
            let refs: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
            let index = usize::from(stage);
            let old = self.bases[epoch as usize][index].weights.to_f32().unwrap();
            let (new, momentum) = outer_shard(&old, &self.momentum[index], &refs, &self.run.training.outer);
            self.momentum[index] = momentum;
            let weights = Canonical::from_f32(&[new.len() as u64], &new).unwrap();
            bases.push(Base { number: next, root: weights.digest(), weights, optimiser: None });
        }
        self.bases.push(bases);
        for p in &mut self.peers {
            p.scheduler.merged(next, Some(epoch));
        }
    }
}

fn candidate(uid: Uid) -> Candidate {
    Candidate { uid, rate: 1, doubted: false, turns: 0 }
}
