//! One direction of one link, in virtual time: pure, so that its promises are checked without a network.
//!
//! A packet waits for the transmitter in a bounded queue, leaves it bit by bit at the link's rate, and then travels for delay and jitter.
//! Invariants: between two moments at most `rate * time / 8` bytes and one packet leave; nothing arrives before its delay has passed;
//! packets arrive in the order in which they were offered; whether the n-th packet is lost, and how much jitter it gets, depends on nothing
//! but the pipe's seed and n. Times are nanoseconds since the router began.

use std::collections::VecDeque;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

use super::link::{Counters, Link};

/// Bytes that may travel on one pipe at once: one second at 2 Gb/s. More is dropped, so that a flood into a long delay takes no memory.
const IN_FLIGHT: usize = 256 << 20;

/// A packet on its way through the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The index of the host that sent it; `None` for the router itself.
    pub from: Option<usize>,
    /// The index of the host that it goes to.
    pub to: usize,
    /// The IP packet.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    lost: bool,
    /// Nanoseconds; drawn when the packet was offered.
    jitter: f64,
}

/// See the module.
#[derive(Debug)]
pub struct Pipe {
    link: Link,
    draws: ChaCha8Rng,
    /// The first one is on the transmitter.
    line: VecDeque<Waiting>,
    /// Bytes in `line`.
    waiting: usize,
    /// When the first of `line` has left the transmitter.
    leaves: u64,
    /// Ordered by arrival.
    flight: VecDeque<(u64, Packet)>,
    flying: usize,
    /// When the last packet in flight arrives.
    last: u64,
    /// What has happened.
    pub counters: Counters,
}

/// Nanoseconds that so many bytes take at a rate, rounded up.
fn transmission(bytes: usize, rate: u64) -> u64 {
    let bits = bytes as u128 * 8;
    u64::try_from((bits * 1_000_000_000).div_ceil(u128::from(rate.max(1)))).unwrap_or(u64::MAX)
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Pipe {
    /// An empty pipe; equal seeds give equal draws.
    pub fn new(link: Link, seed: [u8; 32]) -> Self {
        Self {
            link,
            draws: ChaCha8Rng::from_seed(seed),
            line: VecDeque::new(),
            waiting: 0,
            leaves: 0,
            flight: VecDeque::new(),
            flying: 0,
            last: 0,
            counters: Counters::default(),
        }
    }

    /// What it does to packets.
    pub fn link(&self) -> Link {
        self.link
    }

    /// It changes. Packets that travel arrive as they would have; what is left of the packet on the transmitter goes at the new rate.
    /// Events up to `now` have been taken out with [`Pipe::step`].
    pub fn set(&mut self, now: u64, link: Link) {
        let old = std::mem::replace(&mut self.link, link);
        if self.line.is_empty() {
            return;
        }
        let left = self.leaves.saturating_sub(now);
        self.leaves = match (old.rate, link.rate) {
            (Some(before), Some(after)) => {
                let scaled = u128::from(left) * u128::from(before) / u128::from(after.max(1));
                now.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX))
            }
            _ => now,
        };
    }

    /// Take a packet. Answers it back where nothing holds it up: it has then passed the pipe.
    pub fn offer(&mut self, now: u64, packet: Packet) -> Option<Packet> {
        let size = packet.bytes.len();
        self.counters.packets += 1;
        self.counters.bytes += size as u64;
        // Two draws for every packet, used or not: changes of the link do not shift those that follow.
        let lost = unit(self.draws.next_u64()) < self.link.loss;
        let jitter = unit(self.draws.next_u64());
        if self.link.rate.is_none() && self.line.is_empty() {
            return self.pass(now, packet, lost, jitter);
        }
        if self.line.is_empty() {
            self.leaves = now.saturating_add(self.link.rate.map_or(0, |rate| transmission(size, rate)));
        } else if self.waiting + size > self.link.queue {
            self.counters.overflowed += 1;
            return None;
        }
        self.waiting += size;
        self.counters.longest_queue = self.counters.longest_queue.max(self.waiting as u64);
        self.line.push_back(Waiting { packet, lost, jitter });
        None
    }

    /// A packet at a pipe without a rate.
    fn pass(&mut self, now: u64, packet: Packet, lost: bool, jitter: f64) -> Option<Packet> {
        if lost {
            self.counters.lost += 1;
            return None;
        }
        if self.link.delay.is_zero() && self.link.jitter.is_zero() && self.flight.is_empty() {
            self.delivered(packet.bytes.len());
            return Some(packet);
        }
        self.fly(now, packet, jitter);
        None
    }

    /// When something happens next.
    pub fn next(&self) -> Option<u64> {
        let leaves = (!self.line.is_empty()).then_some(self.leaves);
        let arrives = self.flight.front().map(|(at, _)| *at);
        match (leaves, arrives) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Let the next thing happen, which [`Pipe::next`] told of. Answers the packet that arrives by it.
    pub fn step(&mut self) -> Option<Packet> {
        let arrives = self.flight.front().map(|(at, _)| *at);
        if !self.line.is_empty() && arrives.is_none_or(|at| self.leaves < at) {
            self.leave();
            return None;
        }
        let (_, packet) = self.flight.pop_front()?;
        self.flying -= packet.bytes.len();
        self.delivered(packet.bytes.len());
        Some(packet)
    }

    /// The first packet of the line has been sent; the next one's turn begins at that moment, however late this is called.
    fn leave(&mut self) {
        let Some(Waiting { packet, lost, jitter }) = self.line.pop_front() else { return };
        let at = self.leaves;
        self.waiting -= packet.bytes.len();
        if let Some(next) = self.line.front() {
            let time = self.link.rate.map_or(0, |rate| transmission(next.packet.bytes.len(), rate));
            self.leaves = at.saturating_add(time);
        }
        if lost {
            self.counters.lost += 1;
        } else {
            self.fly(at, packet, jitter);
        }
    }

    fn fly(&mut self, at: u64, packet: Packet, jitter: f64) {
        if self.flying + packet.bytes.len() > IN_FLIGHT {
            self.counters.overflowed += 1;
            return;
        }
        // Rounded to whole nanoseconds: at most LONGEST, which a double holds exactly.
        let jitter = (nanos(self.link.jitter) as f64 * jitter) as u64;
        let arrival = at.saturating_add(nanos(self.link.delay)).saturating_add(jitter).max(self.last);
        self.last = arrival;
        self.flying += packet.bytes.len();
        self.flight.push_back((arrival, packet));
    }

    fn delivered(&mut self, bytes: usize) {
        self.counters.delivered += 1;
        self.counters.delivered_bytes += bytes as u64;
    }
}

/// A number from 0 to 1, without 1, from 53 of the bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
