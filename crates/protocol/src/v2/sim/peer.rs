//! A simulated miner: a scheduler, an outbox, and delays for what they ask.

use super::{Conduct, Happening, Message, MinerPlan, Note, Sim, book::Book};
use starling_keys::Signer;

use crate::{
    Digest, Stage, Uid,
    v2::{
        code::{ComplaintCode, PushCode},
        message::Complaint,
        sample::Sample,
        schedule::{Credit, Memory, Outbox, Scheduler, Task, choose},
        signed::Signed,
        state::{Status, Submission},
        tally::Counts,
    },
};
use parity_scale_codec::Encode;

/// Turns and sequences that a crash may have used since the last durable tally.
const RESERVED: u64 = 4_096;
/// How long a peer waits before it says something again, milliseconds.
pub(super) const AGAIN_MS: u64 = 3_000;

/// What outlives a crash.
#[derive(Clone, Copy, Default)]
pub(super) struct Durable {
    pub counts: Counts,
    pub leaves: u64,
    pub root: Digest,
    pub number: u32,
}

pub struct Peer {
    pub uid: Uid,
    pub plan: MinerPlan,
    pub signer: Box<dyn Signer>,
    pub up: bool,
    pub hung_until: u64,
    pub generation: u32,
    pub scheduler: Option<Scheduler>,
    pub working_since: Option<u64>,
    pub(super) outbox: Option<Outbox>,
    pub(super) credit: Credit,
    pub(super) stage: Stage,
    pub(super) busy: bool,
    pub(super) wake_at: u64,
    pub(super) newest_table: u32,
    pub(super) leaves: u64,
    pub(super) root: Digest,
    pub(super) number: u32,
    pub(super) durable: Durable,
    pub(super) joins: u64,
    pub(super) skew: i64,
    pub book: Option<Book>,
}

impl Peer {
    pub fn new(uid: Uid, plan: MinerPlan, signer: Box<dyn Signer>, skew: i64, strict: bool) -> Self {
        Self {
            uid,
            plan,
            signer,
            up: false,
            hung_until: 0,
            generation: 0,
            scheduler: None,
            working_since: None,
            outbox: None,
            credit: Credit::default(),
            stage: 0,
            busy: false,
            wake_at: u64::MAX,
            newest_table: 0,
            leaves: 0,
            root: Digest::ZERO,
            number: 0,
            durable: Durable::default(),
            joins: 0,
            skew,
            book: strict.then(Book::default),
        }
    }

    /// All that was in memory is gone. Numbers that it may have signed since are skipped.
    pub fn die(&mut self) {
        self.up = false;
        self.generation += 1;
        self.scheduler = None;
        self.outbox = None;
        self.busy = false;
        self.wake_at = u64::MAX;
        (self.leaves, self.root, self.number) = (self.durable.leaves, self.durable.root, self.durable.number);
        self.durable.counts.turns += RESERVED;
        if let Some(book) = &mut self.book {
            book.leaves.truncate(self.durable.leaves as usize);
            book.sequence += RESERVED;
        }
    }

    /// Whether re-execution of this leaf would show another result.
    pub fn wrong(&self, leaf: u64) -> bool {
        let Conduct::Cheat(share) = self.plan.conduct else { return false };
        let hash = Digest::of(&(self.uid, leaf).encode());
        f64::from(u16::from_le_bytes([hash.0[0], hash.0[1]])) < share * 65_536.0
    }

    fn leaf(&mut self, what: u64) {
        self.leaves += 1;
        self.root = Digest::of(&(self.root, what).encode());
    }
}

impl Sim {
    pub(super) fn hears(&mut self, peer: usize, note: Note) {
        let generation = self.peers[peer].generation;
        match note {
            Note::Joined(stage) => {
                let p = &mut self.peers[peer];
                p.stage = stage;
                p.scheduler = None;
                p.outbox = None;
                p.busy = false;
                self.stop_counting(peer);
                self.at(self.now + self.plan.fetch_ms, Happening::GetReady { peer, generation });
            }
            Note::Moved => self.at(self.now + self.plan.fetch_ms, Happening::GetReady { peer, generation }),
            Note::Started => self.start(peer),
            Note::Gone => {
                self.stop_counting(peer);
                let p = &mut self.peers[peer];
                p.scheduler = None;
                p.outbox = None;
                p.busy = false;
                p.generation += 1;
                let generation = p.generation;
                self.at(self.now + 100, Happening::Join { peer, generation });
            }
            Note::Table(table) => {
                let now = self.now;
                let upstream = self.peers[peer].stage.checked_sub(1).map_or(0, |s| table.miners(s).count());
                let p = &mut self.peers[peer];
                p.newest_table = table.number();
                if let Some(s) = &mut p.scheduler {
                    p.credit.resize(s.capacity(), upstream);
                    s.table(table, now);
                }
                self.at(self.now + self.plan.config.tables.settle_ms, Happening::Pump { peer, generation });
                self.pump(peer);
            }
            Note::Epoch(epoch) => {
                let now = self.now;
                if let Some(s) = &mut self.peers[peer].scheduler {
                    s.ledger_epoch(epoch, now);
                }
                self.at(self.now + self.plan.config.epoch.close_ms / 2, Happening::Pump { peer, generation });
                self.pump(peer);
            }
            Note::Planned { base, epoch } => {
                if let (Some(s), Some(epoch)) = (&mut self.peers[peer].scheduler, epoch) {
                    s.planned(epoch);
                }
                self.at(self.now + 500, Happening::Reduce { peer, generation, base });
                self.pump(peer);
            }
            Note::Merged { base, epoch } => {
                if let Some(s) = &mut self.peers[peer].scheduler {
                    s.merged(base, epoch);
                }
                self.pump(peer);
            }
        }
    }

    fn start(&mut self, peer: usize) {
        let Some(m) = self.state.members().get(&self.peers[peer].uid) else { return };
        if m.status != Status::Working {
            return;
        }
        let stage = m.stage;
        let config = self.state.config().clone();
        let memory = Memory { free: 1 << 34, lane: 1 << 30, sample: 1 << 20 };
        let p = &self.peers[peer];
        let own = p.plan.forward_ms * 4;
        let stages = u64::from(config.stages());
        let hop = 2 * p.plan.latency_ms + p.plan.transfer_ms;
        let loop_ms = own * (stages - u64::from(stage)) + 2 * hop * (stages - u64::from(stage) - 1);
        let choice = choose(&config.lanes, memory, Some(loop_ms), Some(own));
        let base = self.state.base().map_or(0, |b| b.number);
        let root = self.state.base().and_then(|b| b.root(stage)).unwrap_or(Digest::ZERO);
        let (epoch, table, now) = (self.state.epoch(), self.state.table().cloned(), self.now);
        let upstream = table.as_ref().zip(stage.checked_sub(1)).map_or(0, |(t, s)| t.miners(s).count());
        let seed = self.random(self.plan.config.tally.interval_ms);
        let p = &mut self.peers[peer];
        p.stage = stage;
        let mut scheduler = Scheduler::new(config.clone(), p.uid, stage, choice, epoch, base, p.durable.counts);
        scheduler.expect_loop(loop_ms);
        p.credit = Credit::default();
        p.credit.resize(scheduler.capacity(), upstream);
        if let Some(table) = table {
            p.newest_table = table.number();
            scheduler.table(table, now);
        }
        if let Some(book) = &mut p.book {
            for (_, receipt) in &book.leaves {
                if let Some(sample) = receipt.body.work.sample() {
                    scheduler.remember(sample, true);
                }
            }
            book.begin(choice.lanes, &root);
        }
        p.outbox = (stage + 1 < config.stages()).then(|| Outbox::new(stage + 1, config.lanes.detour_ms));
        p.scheduler = Some(scheduler);
        p.working_since.get_or_insert(now);
        p.busy = false;
        p.wake_at = u64::MAX;
        // What was under way before is void.
        p.generation += 1;
        let generation = p.generation;
        self.at(self.now + seed, Happening::Tally { peer, generation });
        // A merge may be under way in which it reduces (it moved, or was restarted).
        if let Some(plan) = self.state.merging() {
            self.at(self.now + 500, Happening::Reduce { peer, generation, base: plan.base });
        }
        self.pump(peer);
    }

    pub(super) fn receive(&mut self, from: usize, to: usize, message: Message) {
        let (from_uid, now) = (self.peers[from].uid, self.now);
        if self.peers[to].plan.conduct == Conduct::Idle || self.peers[to].scheduler.is_none() {
            return;
        }
        match message {
            Message::Forward { sample, rank, receipt } => {
                let code = self.pushed(from_uid, to, sample, rank, receipt);
                self.send(to, from, 0, Message::Answer { sample, code });
            }
            Message::Gradient { sample, receipt } => {
                let p = &mut self.peers[to];
                if let (Some(s), Some(outbox)) = (&mut p.scheduler, &mut p.outbox) {
                    outbox.forget(sample);
                    outbox.returned(from_uid);
                    if s.gradient(sample, now) == PushCode::Taken
                        && let (Some(book), Some(receipt)) = (&mut p.book, receipt)
                    {
                        let link = self.state.account(receipt.by).map(|a| receipt.link(&a));
                        book.links.extend(link.map(|l| (l, (*receipt).clone())));
                        book.gradients.insert(sample, *receipt);
                    }
                }
            }
            Message::Answer { sample, code } => {
                let p = &mut self.peers[to];
                if let (Some(s), Some(outbox)) = (&mut p.scheduler, &mut p.outbox) {
                    if outbox.answer(sample, from_uid, code, now) && code == PushCode::Taken {
                        s.pushed(&sample, from_uid);
                    }
                    if code == PushCode::Stale
                        && let Some(given) = s.lost(sample)
                    {
                        self.gave_up(to, given, true);
                    }
                }
            }
            Message::Grant { total } => {
                if let Some(outbox) = &mut self.peers[to].outbox {
                    outbox.granted(from_uid, total);
                }
            }
            Message::Cancel { sample } => {
                let p = &mut self.peers[to];
                if p.scheduler.as_mut().is_some_and(|s| s.cancel(sample)) {
                    self.begun(to, from_uid);
                }
            }
            Message::Lost { sample } => {
                let given = self.peers[to].scheduler.as_mut().and_then(|s| s.lost(sample));
                if let Some(given) = given {
                    self.gave_up(to, given, true);
                }
            }
        }
        self.pump(to);
    }

    fn pushed(
        &mut self,
        from: Uid,
        to: usize,
        sample: Sample,
        rank: u8,
        receipt: Option<Box<Signed<crate::v2::receipt::Receipt>>>,
    ) -> PushCode {
        let p = &mut self.peers[to];
        if sample.table > p.newest_table {
            return PushCode::UnknownTable;
        }
        let Some(table) = self.state.table_of(sample.table) else { return PushCode::UnknownTable };
        if !table.leads_to(sample, p.stage, rank, p.uid) {
            return PushCode::NotYours;
        }
        if p.plan.conduct == Conduct::Taker {
            return PushCode::Taken;
        }
        if !p.credit.take(from) {
            return PushCode::Busy;
        }
        let Some(s) = &mut p.scheduler else { return PushCode::Closing };
        let code = s.input(sample, from);
        match (code, &mut p.book, receipt) {
            (PushCode::Taken, Some(book), Some(receipt)) => {
                let link = self.state.account(receipt.by).map(|a| receipt.link(&a));
                book.links.extend(link.map(|l| (l, (*receipt).clone())));
                book.inputs.insert(sample, *receipt);
                book.ranks.insert(sample, rank);
            }
            (PushCode::Taken, ..) => {}
            _ => self.begun(to, from),
        }
        code
    }

    /// An input's place is free again.
    fn begun(&mut self, peer: usize, from: Uid) {
        if let Some(total) = self.peers[peer].credit.begun(from)
            && let Some(to) = self.peer_of(from)
        {
            self.send(peer, to, 0, Message::Grant { total });
        }
    }

    fn gave_up(&mut self, peer: usize, given: crate::v2::schedule::Given, told: bool) {
        self.report.lost += u64::from(self.peers[peer].stage == 0);
        let now = self.now;
        if let Some(outbox) = &mut self.peers[peer].outbox {
            outbox.forget(given.sample);
            if let Some(to) = given.to {
                outbox.lost(given.sample, to, told, now);
            }
        }
        if let Some(from) = given.from.and_then(|uid| self.peer_of(uid)) {
            self.send(peer, from, 0, Message::Lost { sample: given.sample });
        }
    }

    /// Connections to a dead process are lost.
    pub(super) fn broken(&mut self, uid: Uid) {
        let Some(stage) = self.peer_of(uid).map(|p| self.peers[p].stage) else { return };
        for peer in 0..self.peers.len() {
            let p = &mut self.peers[peer];
            if !p.up || p.stage.abs_diff(stage) != 1 {
                continue;
            }
            p.credit.reset(uid);
            let Some(s) = &mut p.scheduler else { continue };
            let given = s.gone(uid);
            if let Some(outbox) = &mut p.outbox {
                outbox.reset(uid);
            }
            for given in given {
                self.gave_up(peer, crate::v2::schedule::Given { to: None, ..given }, false);
            }
            self.pump(peer);
        }
    }

    /// Everything that can be begun is begun.
    pub(super) fn pump(&mut self, peer: usize) {
        let now = self.now;
        while let Some(out) = self.peers[peer].outbox.as_mut().and_then(|o| o.next(now)) {
            if let Some(old) = out.cancel.and_then(|uid| self.peer_of(uid)) {
                self.send(peer, old, 0, Message::Cancel { sample: out.sample });
            }
            let receipt = self.forward_receipt(peer, out.sample);
            if out.rank > 0
                && let Some(s) = &mut self.peers[peer].scheduler
            {
                s.detoured();
            }
            if let Some(to) = self.peer_of(out.to) {
                self.send(peer, to, 0, Message::Forward { sample: out.sample, rank: out.rank, receipt });
            }
        }
        let p = &mut self.peers[peer];
        let idle = matches!(p.plan.conduct, Conduct::Idle | Conduct::Taker);
        if p.busy || idle {
            self.set_timer(peer);
            return;
        }
        let unsent = p.outbox.as_ref().map_or(0, Outbox::unsent);
        let Some(s) = &mut p.scheduler else { return };
        if let Some(task) = s.next(now, unsent) {
            p.busy = true;
            let ms = match task {
                Task::Forward { .. } => p.plan.forward_ms,
                Task::Backward { .. } => p.plan.forward_ms * 3,
                Task::Step { .. } => p.plan.forward_ms / 2,
                Task::Close { .. } | Task::Carry { .. } | Task::Restart { .. } => p.plan.forward_ms,
            };
            let ms = ms.max(1);
            s.busy(ms);
            let generation = p.generation;
            self.at(self.now + ms, Happening::Done { peer, generation, task });
            self.started(peer, task, ms);
        }
        self.set_timer(peer);
    }

    fn started(&mut self, peer: usize, task: Task, ms: u64) {
        match task {
            Task::Forward { sample, .. } => {
                if let Some(from) = self.peers[peer].scheduler.as_ref().and_then(|s| s.source(&sample)) {
                    self.begun(peer, from);
                }
            }
            Task::Backward { sample, lane } => {
                let receipt = self.backward_receipt(peer, sample, lane);
                let from = self.peers[peer].scheduler.as_ref().and_then(|s| s.source(&sample));
                if let Some(to) = from.and_then(|uid| self.peer_of(uid)) {
                    // The input's gradient leaves before the weights' gradients are computed.
                    self.send(peer, to, ms * 2 / 5, Message::Gradient { sample, receipt });
                }
            }
            _ => {}
        }
    }

    fn set_timer(&mut self, peer: usize) {
        let p = &mut self.peers[peer];
        let a = p.outbox.as_ref().and_then(Outbox::next_tick);
        let b = p.scheduler.as_ref().and_then(Scheduler::next_overdue);
        if let Some(at) = [a, b].into_iter().flatten().min() {
            let at = at.max(self.now + 1);
            if at < p.wake_at {
                p.wake_at = at;
                let generation = p.generation;
                self.at(at, Happening::Wake { peer, generation });
            }
        }
    }

    pub(super) fn wake(&mut self, peer: usize) {
        let now = self.now;
        let p = &mut self.peers[peer];
        // An earlier timer took this one's place, and has set the next.
        if now < p.wake_at {
            return;
        }
        p.wake_at = u64::MAX;
        if let Some(outbox) = &mut p.outbox {
            outbox.tick(now);
        }
        let lost = p.scheduler.as_mut().map(|s| s.overdue(now)).unwrap_or_default();
        for given in lost {
            self.gave_up(peer, given, false);
        }
        let silent = self.peers[peer].outbox.as_mut().map(Outbox::silent).unwrap_or_default();
        for (about, times, sample) in silent {
            // Once or twice may be a lost packet; three times in a row is worth its price.
            if times == 3 && self.peers[peer].plan.conduct == Conduct::Honest {
                let complaint = Complaint { about, sample, code: ComplaintCode::Silent };
                let p = &self.peers[peer];
                let signed = Signed::new(complaint, p.uid, self.state.run(), &*p.signer);
                self.submit(peer, Submission::Complaint(signed));
            }
        }
        self.pump(peer);
    }

    pub(super) fn done(&mut self, peer: usize, task: Task) {
        let now = self.now;
        if let Task::Step { lane } | Task::Close { lane, .. } | Task::Carry { lane, .. } | Task::Restart { lane, .. } =
            task
        {
            self.lane_receipt(peer, task, lane);
        }
        if let Task::Forward { sample, lane } = task {
            self.sign_forward(peer, sample, lane);
        }
        let p = &mut self.peers[peer];
        p.busy = false;
        let Some(s) = &mut p.scheduler else { return };
        s.done(task, now);
        if !matches!(task, Task::Restart { .. }) {
            p.leaf(now);
        }
        match task {
            Task::Forward { sample, .. } => {
                let table = self.state.table_of(sample.table).cloned();
                let p = &mut self.peers[peer];
                let offered = match (&mut p.outbox, table) {
                    (Some(outbox), Some(table)) => outbox.offer(sample, table, now),
                    (None, _) => true,
                    _ => false,
                };
                if !offered && let Some(given) = p.scheduler.as_mut().and_then(|s| s.lost(sample)) {
                    self.gave_up(peer, given, false);
                }
            }
            Task::Backward { .. } if self.peers[peer].stage == 0 => {
                let second = (self.now / 1_000) as usize;
                if self.report.complete.len() <= second {
                    self.report.complete.resize(second + 1, 0);
                }
                self.report.complete[second] += 1;
            }
            _ => {}
        }
        self.pump(peer);
    }
}
