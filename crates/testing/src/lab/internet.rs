//! All hosts and their links as one pure machine in virtual time: a packet goes up its sender's link and down its receiver's.
//!
//! Invariants: a packet reaches only the host whose address it names, and only while no partition forbids it, on entering and on leaving;
//! a host can send from its own address only; events happen in the order of their times, however late the caller is.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use serde::{Deserialize, Serialize};

use super::{
    link::{Counters, Link, Way},
    packet,
    pipe::{Packet, Pipe},
};

/// The router's own address: it is the source of "network unreachable".
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

#[derive(Debug)]
struct Node {
    address: Ipv4Addr,
    up: Pipe,
    down: Pipe,
}

impl Node {
    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

/// Packets that no link carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// No IPv4, or not from the host's own address.
    pub malformed: u64,
    /// To an address that no host has.
    pub unroutable: u64,
    /// Stopped by a partition.
    pub partitioned: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Internet {
    seed: u64,
    nodes: Vec<Node>,
    by_address: HashMap<Ipv4Addr, usize>,
    /// Ordered pairs of sender and receiver.
    blocked: HashSet<(usize, usize)>,
    /// What no link carried.
    pub refused: Refused,
}

impl Internet {
    /// Without hosts. All draws follow from the seed and from the hosts' names.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A host more; answers its index.
    pub fn add(&mut self, name: &str, address: Ipv4Addr, up: Link, down: Link) -> usize {
        let index = self.nodes.len();
        let pipe = |way: &str, link| Pipe::new(link, seed(self.seed, name, way));
        let node = Node { address, up: pipe("up", up), down: pipe("down", down) };
        self.nodes.push(node);
        self.by_address.insert(address, index);
        index
    }

    /// One direction of a host's link becomes another. `arrived` takes what has arrived by `now`.
    pub fn set(&mut self, now: u64, host: usize, way: Way, link: Link, arrived: &mut Vec<Packet>) {
        self.advance(now, arrived);
        if let Some(node) = self.nodes.get_mut(host) {
            node.pipe(way).set(now, link);
        }
    }

    /// One direction of a host's link as it is, and what happened on it.
    pub fn link(&mut self, host: usize, way: Way) -> Option<(Link, Counters)> {
        let pipe = self.nodes.get_mut(host)?.pipe(way);
        Some((pipe.link(), pipe.counters))
    }

    /// Nothing that `from` sends reaches `to` any more, also not what is on its way.
    pub fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    /// `from` reaches `to` again.
    pub fn unblock(&mut self, from: usize, to: usize) {
        self.blocked.remove(&(from, to));
    }

    /// Everybody reaches everybody again.
    pub fn heal(&mut self) {
        self.blocked.clear();
    }

    /// A host sends a packet. `arrived` takes what has arrived by `now`.
    pub fn send(&mut self, now: u64, from: usize, bytes: &[u8], arrived: &mut Vec<Packet>) {
        self.advance(now, arrived);
        let Some(node) = self.nodes.get_mut(from) else { return };
        let Some((source, destination)) = packet::ends(bytes) else {
            self.refused.malformed += 1;
            return;
        };
        if source != node.address {
            self.refused.malformed += 1;
            return;
        }
        let Some(&to) = self.by_address.get(&destination) else {
            self.refused.unroutable += 1;
            if let Some(answer) = packet::unreachable(ROUTER, bytes) {
                arrived.extend(node.down.offer(now, Packet { from: None, to: from, bytes: answer }));
            }
            return;
        };
        if self.blocked.contains(&(from, to)) {
            self.refused.partitioned += 1;
            return;
        }
        let packet = Packet { from: Some(from), to, bytes: bytes.to_vec() };
        if let Some(packet) = node.up.offer(now, packet) {
            self.descend(now, packet, arrived);
        }
    }

    /// When something happens next.
    pub fn next(&self) -> Option<u64> {
        self.nodes.iter().flat_map(|node| [node.up.next(), node.down.next()]).flatten().min()
    }

    /// Everything up to `now` happens; `arrived` takes the packets that reach their hosts by it, in order.
    pub fn advance(&mut self, now: u64, arrived: &mut Vec<Packet>) {
        while let Some((at, host, way)) = self.first().filter(|(at, ..)| *at <= now) {
            let Some(packet) = self.nodes[host].pipe(way).step() else { continue };
            match way {
                Way::Up => self.descend(at, packet, arrived),
                Way::Down => self.arrive(packet, arrived),
            }
        }
    }

    /// The next event: its time, host and direction. Looking at all of 100 hosts' links adds 1 us to a packet (docs/lab.md).
    fn first(&self) -> Option<(u64, usize, Way)> {
        let events = self.nodes.iter().enumerate().flat_map(|(host, node)| {
            [node.up.next().map(|at| (at, host, Way::Up)), node.down.next().map(|at| (at, host, Way::Down))]
        });
        events.flatten().min_by_key(|(at, ..)| *at)
    }

    fn descend(&mut self, at: u64, packet: Packet, arrived: &mut Vec<Packet>) {
        if let Some(packet) = self.nodes[packet.to].down.offer(at, packet) {
            self.arrive(packet, arrived);
        }
    }

    fn arrive(&mut self, packet: Packet, arrived: &mut Vec<Packet>) {
        if packet.from.is_some_and(|from| self.blocked.contains(&(from, packet.to))) {
            self.refused.partitioned += 1;
        } else {
            arrived.push(packet);
        }
    }
}

/// The seed of one pipe's draws.
fn seed(seed: u64, name: &str, way: &str) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key("starling lab 1 draws of a link");
    hash.update(&seed.to_le_bytes());
    hash.update(way.as_bytes());
    hash.update(&[0]);
    hash.update(name.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
#[path = "internet_tests.rs"]
mod tests;
