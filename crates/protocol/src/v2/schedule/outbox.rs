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

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    sent: u64,
    granted: u64,
    /// Silences in a row.
    silences: u32,
    /// Samples that it took and that were given up, since a gradient came from it.
    losses: u32,
    until: u64,
}

impl Peer {
    fn free(&self, now: u64) -> bool {
        self.sent < self.granted.max(LEAST_WINDOW) && now >= self.until
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
        self.put(sample, Waiting { table, to, rank: 0, since: now, cancel: None, sent: false }, now);
        true
    }

    fn put(&mut self, sample: Sample, waiting: Waiting, now: u64) {
        self.queues.entry(waiting.to).or_default().push_back(sample);
        self.stirred.insert(waiting.to);
        self.deadlines.insert((now.saturating_add(self.detour_ms), sample));
        self.unsent += 1;
        self.samples.insert(sample, waiting);
    }

    /// The next push that may be made now.
    pub fn next(&mut self, now: u64) -> Option<Outgoing> {
        while let Some(to) = self.stirred.first().copied() {
            let peer = self.peers.entry(to).or_default();
            let queue = self.queues.entry(to).or_default();
            if peer.until > now {
                // Whoever is held off takes nothing; what waits for it goes elsewhere at once.
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
            self.deadlines.remove(&(w.since.saturating_add(self.detour_ms), sample));
            w.sent = true;
            w.since = now;
            let (rank, cancel) = (w.rank, w.cancel.take().filter(|old| *old != to));
            self.deadlines.insert((now.saturating_add(self.detour_ms), sample));
            self.unsent = self.unsent.saturating_sub(1);
            return Some(Outgoing { sample, to, rank, cancel });
        }
        None
    }

    /// Give a sample that is in no queue to another peer: the first of its detours that is free, else it waits where it is.
    fn redirect(&mut self, sample: Sample, now: u64) {
        let Some(w) = self.samples.get(&sample) else { return };
        let (old, was_sent, since) = (w.to, w.sent, w.since);
        let table = w.table.clone();
        let candidates = std::iter::once((0u8, table.pathway(sample, self.stage)))
            .chain((1u8..=u8::MAX).map(|rank| (rank, table.detour(sample, self.stage, rank))))
            .map_while(|(rank, to)| to.map(|to| (rank, to)));
        let mut fallback = None;
        let mut found = None;
        for (rank, to) in candidates {
            let peer = self.peers.get(&to).copied().unwrap_or_default();
            if to != old && peer.free(now) {
                found = Some((rank, to));
                break;
            }
            // Nobody has credit: at least not whoever is held off.
            if now >= peer.until && fallback.is_none() {
                fallback = Some((rank, to));
            }
        }
        let (rank, to) = found.or(fallback).unwrap_or((w.rank, old));
        self.deadlines.remove(&(since.saturating_add(self.detour_ms), sample));
        if let Some(w) = self.samples.get_mut(&sample) {
            if was_sent {
                w.cancel = Some(old);
                self.unsent += 1;
            }
            (w.rank, w.to, w.since, w.sent) = (rank, to, now, false);
        }
        self.queues.entry(to).or_default().push_back(sample);
        self.deadlines.insert((now.saturating_add(self.detour_ms), sample));
        // A peer that is still held off is not stirred: `next` would send its queue here again.
        if self.peers.get(&to).is_none_or(|p| now >= p.until) {
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
        match code {
            PushCode::Taken | PushCode::Duplicate => {
                self.deadlines.remove(&(w.since.saturating_add(self.detour_ms), sample));
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

    /// A sample that this peer took was given up. Once may be anybody's fault further on; again and again without a gradient in between is its own.
    pub fn lost(&mut self, sample: Sample, to: Uid, now: u64) {
        let peer = self.peers.entry(to).or_default();
        peer.losses = peer.losses.saturating_add(1);
        if peer.losses >= 2 && now >= peer.until {
            peer.until = now.saturating_add(1_000 << peer.losses.min(MOST_DOUBLINGS));
            self.silent.push((to, peer.losses, sample));
            self.stirred.insert(to);
        }
    }

    /// A gradient came from this peer: it does its part.
    pub fn returned(&mut self, from: Uid) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.losses = 0;
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
            self.deadlines.remove(&(w.since.saturating_add(self.detour_ms), sample));
            if !w.sent {
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
