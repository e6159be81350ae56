//! What a simulated miner says to the orchestrator.

use super::{
    Conduct, EPOCH_MS, Happening, Sim,
    peer::{AGAIN_MS, Durable},
};
use crate::{
    Digest,
    v2::{
        code::ComplaintCode,
        message::{Complaint, Join, Ready, Role, Shards, SignedJoin},
        sample::Sample,
        signed::Signed,
        state::{Status, Submission},
        tally::{Close, Tally},
    },
};
use parity_scale_codec::Encode;

impl Sim {
    pub(super) fn submit(&mut self, peer: usize, said: Submission) {
        let p = &self.peers[peer];
        let (account, delay) = (p.signer.account(), p.plan.latency_ms);
        let jitter = self.random(delay + 20);
        self.at(self.now + delay + jitter, Happening::Submits { account, said: Box::new(said) });
    }

    fn local_ms(&self, peer: usize) -> u64 {
        (EPOCH_MS + self.now).saturating_add_signed(self.peers[peer].skew)
    }

    fn status(&self, peer: usize) -> Option<Status> {
        let p = &self.peers[peer];
        self.state.members().get(&p.uid).filter(|m| m.account == p.signer.account()).map(|m| m.status)
    }

    pub(super) fn join(&mut self, peer: usize) {
        if matches!(self.status(peer), Some(Status::Barred)) {
            return;
        }
        let joined = matches!(self.status(peer), Some(Status::Ghost | Status::Working));
        if joined && self.peers[peer].joins > 0 && self.peers[peer].scheduler.is_some() {
            return;
        }
        self.peers[peer].joins += 1;
        // Dates ascend also where the clock was set back.
        let newest = self.state.members().get(&self.peers[peer].uid).map_or(0, |m| m.joined_ms);
        let at_ms = self.local_ms(peer).max(newest + 1);
        let join = Join { role: Role::Miner, address: vec![0; 120], class: Digest::ZERO, at_ms };
        let p = &self.peers[peer];
        let join = Box::new(SignedJoin::new(join, self.state.run(), &*p.signer));
        let (uid, delay, generation) = (p.uid, p.plan.latency_ms, p.generation);
        self.at(self.now + delay, Happening::Joins { join, uid });
        self.at(self.now + AGAIN_MS + self.plan.fetch_ms * 2, Happening::Join { peer, generation });
    }

    pub(super) fn get_ready(&mut self, peer: usize) {
        let uid = self.peers[peer].uid;
        let Some(m) = self.state.members().get(&uid) else { return };
        let waits = m.status == Status::Ghost || m.moving.is_some();
        let (Some(base), true) = (self.state.base(), waits) else { return };
        let Some(root) = base.root(m.moving.unwrap_or(m.stage)) else { return };
        let p = &self.peers[peer];
        let root = if p.plan.conduct == Conduct::FalseBase { Digest::of(b"my own weights") } else { root };
        let ready = Ready { base: base.number, root, challenge: Digest::of(&p.signer.account().0) };
        let signed = Signed::new(ready, uid, self.state.run(), &*p.signer);
        let generation = p.generation;
        self.submit(peer, Submission::Ready(signed));
        self.at(self.now + AGAIN_MS, Happening::GetReady { peer, generation });
    }

    pub(super) fn reduce(&mut self, peer: usize, base: u32) {
        let Some(plan) = self.state.merging().filter(|p| p.base == base) else { return };
        let p = &self.peers[peer];
        let Some(stage) = plan.stages.get(usize::from(p.stage)) else { return };
        let own = stage.shards_of(p.uid);
        let said = own.first().and_then(|s| stage.votes.get(*s)).is_some_and(|v| v.iter().any(|(u, _)| *u == p.uid));
        if own.is_empty() || said {
            return;
        }
        let liar = (p.plan.conduct == Conduct::WrongShards).then_some(p.uid);
        let outputs = own.iter().map(|shard| Digest::of(&(base, p.stage, *shard as u64, liar).encode())).collect();
        let signed = Signed::new(Shards { base, outputs }, p.uid, self.state.run(), &*p.signer);
        let generation = p.generation;
        self.submit(peer, Submission::Shards(signed));
        self.at(self.now + AGAIN_MS, Happening::Reduce { peer, generation, base });
    }

    pub(super) fn tally(&mut self, peer: usize) {
        let uid = self.peers[peer].uid;
        let Some((next_close, closed_samples)) = self
            .state
            .members()
            .get(&uid)
            .filter(|m| m.works() && m.account == self.peers[peer].signer.account())
            .map(|m| (m.next_close, m.closed_samples))
        else {
            return;
        };
        let ledger_epoch = self.state.epoch();
        let p = &mut self.peers[peer];
        let Some(scheduler) = &p.scheduler else { return };
        let counts = scheduler.counts();
        let samples = (counts.backwards + counts.dropped).saturating_sub(closed_samples);
        let close = (scheduler.closed() > next_close && next_close <= ledger_epoch).then(|| Close {
            epoch: next_close,
            contribution: Digest::of(&(uid, next_close).encode()),
            samples,
            flows: Digest::ZERO,
        });
        p.number += 1;
        // The log is synced, then the tally is signed.
        p.durable = Durable { counts, leaves: p.leaves, root: p.root, number: p.number };
        let tally = Tally { number: p.number, leaves: p.leaves, root: p.root, counts, close };
        let signed = Signed::new(tally, uid, self.state.run(), &*p.signer);
        let generation = p.generation;
        self.submit(peer, Submission::Tally(signed));
        if self.peers[peer].plan.conduct == Conduct::Complainer {
            self.complain_of_everybody(peer);
        }
        self.at(self.now + self.plan.config.tally.interval_ms, Happening::Tally { peer, generation });
    }

    fn complain_of_everybody(&mut self, peer: usize) {
        let Some(table) = self.state.table().cloned() else { return };
        let (uid, stage) = (self.peers[peer].uid, self.peers[peer].stage);
        let Some(head) = table.miners(0).next() else { return };
        let sample = Sample { table: table.number(), head, turn: 0 };
        for neighbour in [stage.checked_sub(1), Some(stage + 1)].into_iter().flatten() {
            for about in table.miners(neighbour).collect::<Vec<_>>() {
                let complaint = Complaint { about, sample, code: ComplaintCode::Silent };
                let signed = Signed::new(complaint, uid, self.state.run(), &*self.peers[peer].signer);
                self.submit(peer, Submission::Complaint(signed));
            }
        }
    }
}
