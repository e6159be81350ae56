//! Outputs on their way to the next stage: credit, detours, hold-offs.
//!
//! Invariants: no more is pushed to a peer than it granted; a sample is at one peer at a time as far as the sender knows (it cancels before it
//! takes a detour); a peer that does not answer is asked again only after a hold-off that doubles (1 s to 64 s), so a silent one costs each sender
//! little.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::credit::LEAST_WINDOW;
use crate::{
    Stage, Uid,
    v2::{code::PushCode, sample::Sample, table::Table},
};

/// Longest hold-off: 2⁶ seconds.
const MOST_DOUBLINGS: u32 = 6;

/// One push to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which sample.
    pub sample: Sample,
    /// To whom.
    pub to: Uid,
    /// 0: the pathway's miner; else the rank of the detour.
    pub rank: u8,
    /// Another that is to be told that it need not begin.
    pub cancel: Option<Uid>,
}

/// Samples at one peer at most, however well it did.
const MOST_TRUST: u32 = 1 << 16;
/// Samples lost further on, in a row, until they are held against the peer that says so.
const TOLD: u32 = 16;
/// So many times longer than for an answer a sample waits for credit. Longer, and a peer that two heads share keeps both waiting; shorter, and
/// detours cost more than they bring.
const PATIENCE: u64 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    sent: u64,
    granted: u64,
    /// Silences in a row.
    silences: u32,
    /// Samples that it took and that were given up here, since a gradient came from it.
    losses: u32,
    /// Samples that it said to have lost further on, since a gradient came from it.
    told: u32,
    /// Samples at it: no gradient yet, and not given up.
    flying: u32,
    /// Samples that may be at it, at least one: doubles with each gradient, and begins again when it lets one fall.
    trust: u32,
    until: u64,
}

impl Peer {
    fn free(&self, now: u64) -> bool {
        self.sent < self.granted.max(LEAST_WINDOW) && self.welcome(now)
    }

    /// Not held off, and not at its limit of samples without a gradient.
    fn welcome(&self, now: u64) -> bool {
        now >= self.until && self.flying < self.trust.max(1)
    }

    fn landed(&mut self) {
        self.flying = self.flying.saturating_sub(1);
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    table: Arc<Table>,
    to: Uid,
    rank: u8,
    since: u64,
    /// At whom it was before.
    cancel: Option<Uid>,
    sent: bool,
}

impl Waiting {
    /// When it is looked at again. An answer comes at once or not at all; credit comes when the peer has computed what it has, and where everybody is
    /// busy a detour helps nobody.
    fn due(&self, detour_ms: u64) -> u64 {
        self.since.saturating_add(if self.sent { detour_ms } else { detour_ms.saturating_mul(PATIENCE) })
    }
}

/// The sender's side of pushing to one stage.
#[derive(Clone, Debug)]
pub struct Outbox {
    stage: Stage,
    detour_ms: u64,
    peers: BTreeMap<Uid, Peer>,
    samples: BTreeMap<Sample, Waiting>,
    /// Per peer what is to be sent to it, in order.
    queues: BTreeMap<Uid, VecDeque<Sample>>,
    unsent: usize,
    /// When a sample is looked at again: not sent for lack of credit, or not answered.
    deadlines: BTreeSet<(u64, Sample)>,
    /// Peers that may have become free.
    stirred: BTreeSet<Uid>,
    silent: Vec<(Uid, u32, Sample)>,
}

impl Outbox {
    /// Of a miner that pushes to `stage`.
    #[must_use]
    pub fn new(stage: Stage, detour_ms: u64) -> Self {
        Self {
            stage,
            detour_ms,
            peers: BTreeMap::new(),
            samples: BTreeMap::new(),
            queues: BTreeMap::new(),
            unsent: 0,
            deadlines: BTreeSet::new(),
            stirred: BTreeSet::new(),
            silent: Vec::new(),
        }
    }

    /// Outputs that are not on their way yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// A sample's output is there. `false`: its table leads nowhere (it is too old for this miner).
    pub fn offer(&mut self, sample: Sample, table: Arc<Table>, now: u64) -> bool {
        let Some(to) = table.pathway(sample, self.stage) else { return false };
        self.put(sample, Waiting { table, to, rank: 0, since: now, cancel: None, sent: false });
        true
    }

    fn put(&mut self, sample: Sample, waiting: Waiting) {
        self.queues.entry(waiting.to).or_default().push_back(sample);
        self.stirred.insert(waiting.to);
        self.deadlines.insert((waiting.due(self.detour_ms), sample));
        self.unsent += 1;
        self.samples.insert(sample, waiting);
    }

    /// The next push that may be made now.
    pub fn next(&mut self, now: u64) -> Option<Outgoing> {
        while let Some(to) = self.stirred.first().copied() {
            let peer = self.peers.entry(to).or_default();
            let queue = self.queues.entry(to).or_default();
            if !peer.welcome(now) {
                // Whoever is held off, or has not shown yet that it does what it takes, gets nothing more; what waits for it goes
                // elsewhere at once.
                self.stirred.remove(&to);
                let waits: Vec<Sample> = queue.drain(..).collect();
                for sample in waits {
                    self.redirect(sample, now);
                }
                continue;
            }
            if !peer.free(now) {
                self.stirred.remove(&to);
                continue;
            }
            let Some(sample) = queue.pop_front() else {
                self.stirred.remove(&to);
                continue;
            };
            let Some(w) = self.samples.get_mut(&sample).filter(|w| w.to == to && !w.sent) else { continue };
            peer.sent += 1;
            peer.flying += 1;
            self.deadlines.remove(&(w.due(self.detour_ms), sample));
            w.sent = true;
            w.since = now;
            let (rank, cancel) = (w.rank, w.cancel.take().filter(|old| *old != to));
            self.deadlines.insert((w.due(self.detour_ms), sample));
            self.unsent = self.unsent.saturating_sub(1);
            return Some(Outgoing { sample, to, rank, cancel });
        }
        None
    }

    /// Give a sample that is in no queue to another peer: the first of its detours that is free, else it waits where it is.
    fn redirect(&mut self, sample: Sample, now: u64) {
        let Some(w) = self.samples.get(&sample) else { return };
        let (old, was_sent, due) = (w.to, w.sent, w.due(self.detour_ms));
        let table = w.table.clone();
        let candidates = std::iter::once((0u8, table.pathway(sample, self.stage)))
            .chain((1u8..=u8::MAX).map(|rank| (rank, table.detour(sample, self.stage, rank))))
            .map_while(|(rank, to)| to.map(|to| (rank, to)));
        let mut fallback = None;
        let mut found: Option<(u32, u8, Uid)> = None;
        for (rank, to) in candidates {
            let peer = self.peers.get(&to).copied().unwrap_or_default();
            // Of those who can take it the one with the least to do; among equals the first in the sample's own order.
            if to != old && peer.free(now) && found.is_none_or(|(least, ..)| peer.flying < least) {
                found = Some((peer.flying, rank, to));
            }
            // Nobody has credit: at least not whoever is held off.
            if now >= peer.until && fallback.is_none() {
                fallback = Some((rank, to));
            }
        }
        let found = found.map(|(_, rank, to)| (rank, to));
        let (rank, to) = found.or(fallback).unwrap_or((w.rank, old));
        self.deadlines.remove(&(due, sample));
        if let Some(w) = self.samples.get_mut(&sample) {
            if was_sent {
                w.cancel = Some(old);
                self.unsent += 1;
            }
            (w.rank, w.to, w.since, w.sent) = (rank, to, now, false);
            self.deadlines.insert((w.due(self.detour_ms), sample));
        }
        self.queues.entry(to).or_default().push_back(sample);
        // A peer that gets nothing now is not stirred: `next` would send its queue here again.
        if self.peers.get(&to).is_none_or(|p| p.welcome(now)) {
            self.stirred.insert(to);
        }
    }

    /// Time passed: what was not answered, or found no credit, takes a detour.
    pub fn tick(&mut self, now: u64) {
        while let Some((due, sample)) = self.deadlines.first().copied()
            && due <= now
        {
            self.deadlines.remove(&(due, sample));
            let Some(w) = self.samples.get(&sample) else { continue };
            if w.sent {
                let to = w.to;
                let peer = self.peers.entry(to).or_default();
                // It is cancelled: its credit may be used to ask again.
                peer.sent = peer.sent.saturating_sub(1);
                peer.landed();
                peer.trust = 1;
                // One hold-off for all that was on its way at once.
                if now >= peer.until {
                    peer.until = now.saturating_add(1_000 << peer.silences.min(MOST_DOUBLINGS));
                    peer.silences = peer.silences.saturating_add(1);
                    self.silent.push((to, peer.silences, sample));
                }
                self.stirred.insert(to);
            } else if let Some(queue) = self.queues.get_mut(&w.to) {
                queue.retain(|s| *s != sample);
            }
            self.redirect(sample, now);
        }
    }

    /// When [`Outbox::tick`] next has something to do.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// What a peer said of a push. Answers whether the sample is settled there.
    pub fn answer(&mut self, sample: Sample, from: Uid, code: PushCode, now: u64) -> bool {
        let peer = self.peers.entry(from).or_default();
        peer.silences = 0;
        if peer.losses < 2 {
            peer.until = peer.until.min(now);
        }
        let Some(w) = self.samples.get(&sample).filter(|w| w.sent && w.to == from) else { return false };
        if !matches!(code, PushCode::Taken | PushCode::Duplicate) {
            peer.landed();
        }
        match code {
            PushCode::Taken | PushCode::Duplicate => {
                self.deadlines.remove(&(w.due(self.detour_ms), sample));
                self.samples.remove(&sample);
                true
            }
            // The tensor itself is bad, or the sample is nobody's any more: it is lost.
            PushCode::BadSignature
            | PushCode::BadDigest
            | PushCode::BadShape
            | PushCode::NotFinite
            | PushCode::TooLarge
            | PushCode::OtherRun
            | PushCode::Screened
            | PushCode::Barred
            | PushCode::Stale => {
                self.forget(sample);
                false
            }
            PushCode::Busy | PushCode::UnknownTable | PushCode::NotYours | PushCode::Closing => {
                self.redirect(sample, now);
                false
            }
        }
    }

    /// A sample that this peer took was given up. `told`: it said itself that somebody further on let it fall; that is its own fault only
    /// if nothing else ever comes from it. Else it said nothing: it begins again with one sample, and a second one in a row holds it off.
    pub fn lost(&mut self, sample: Sample, to: Uid, told: bool, now: u64) {
        let peer = self.peers.entry(to).or_default();
        peer.landed();
        self.stirred.insert(to);
        if told {
            peer.told = peer.told.saturating_add(1);
            if peer.told < TOLD {
                return;
            }
        } else {
            peer.trust = 1;
        }
        peer.losses = peer.losses.saturating_add(1);
        if peer.losses >= 2 && now >= peer.until {
            peer.until = now.saturating_add(1_000 << peer.losses.min(MOST_DOUBLINGS));
            self.silent.push((to, peer.losses, sample));
        }
    }

    /// A gradient came from this peer: it does its part.
    pub fn returned(&mut self, from: Uid) {
        if let Some(peer) = self.peers.get_mut(&from) {
            (peer.losses, peer.told) = (0, 0);
            peer.landed();
            peer.trust = peer.trust.max(1).saturating_mul(2).min(MOST_TRUST);
            self.stirred.insert(from);
        }
    }

    /// A new total from a peer.
    pub fn granted(&mut self, from: Uid, total: u64) {
        let peer = self.peers.entry(from).or_default();
        peer.granted = peer.granted.max(total);
        self.stirred.insert(from);
    }

    /// A sample was given up: it need not be sent any more.
    pub fn forget(&mut self, sample: Sample) {
        if let Some(w) = self.samples.remove(&sample) {
            self.deadlines.remove(&(w.due(self.detour_ms), sample));
            if w.sent {
                if let Some(peer) = self.peers.get_mut(&w.to) {
                    peer.landed();
                }
            } else {
                self.unsent = self.unsent.saturating_sub(1);
                if let Some(queue) = self.queues.get_mut(&w.to) {
                    queue.retain(|s| *s != sample);
                }
            }
        }
    }

    /// The connection is new: both sides count from zero, and the peer is asked again.
    pub fn reset(&mut self, peer: Uid) {
        self.peers.remove(&peer);
        self.stirred.insert(peer);
    }

    /// Peers that stayed silent since the last call, how often in a row, and a sample that it cost: grounds for a complaint.
    pub fn silent(&mut self) -> Vec<(Uid, u32, Sample)> {
        std::mem::take(&mut self.silent)
    }
}
