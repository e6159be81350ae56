//! What upstream peers may push.
//!
//! Invariant: of each peer no more than its window of inputs waits here. Grants are totals: a lost or repeated one does no harm.

use std::collections::BTreeMap;

use crate::Uid;

/// Fewest inputs that a peer may have waiting here, so that one is on its way while another is computed.
pub const LEAST_WINDOW: u64 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    begun: u64,
    taken: u64,
    granted: u64,
}

/// The receiver's side of credit.
#[derive(Clone, Debug, Default)]
pub struct Credit {
    window: u64,
    peers: BTreeMap<Uid, Peer>,
}

impl Credit {
    /// `capacity` samples can be worked on, `upstream` peers share them twice over (so that the queue is never empty).
    pub fn resize(&mut self, capacity: u32, upstream: usize) {
        let share = u64::from(capacity).saturating_mul(2).div_ceil((upstream as u64).max(1));
        self.window = share.clamp(LEAST_WINDOW, u64::from(capacity).max(LEAST_WINDOW));
    }

    /// A push came: false if it was beyond what was granted.
    pub fn take(&mut self, from: Uid) -> bool {
        let peer = self.peers.entry(from).or_default();
        if peer.taken >= peer.granted.max(LEAST_WINDOW) {
            return false;
        }
        peer.taken += 1;
        true
    }

    /// An input of this peer was begun, refused or cancelled: its place is free. A new total, if it is worth a message.
    pub fn begun(&mut self, from: Uid) -> Option<u64> {
        let window = self.window.max(LEAST_WINDOW);
        let peer = self.peers.entry(from).or_default();
        peer.begun = peer.begun.saturating_add(1).min(peer.taken);
        let total = peer.begun.saturating_add(window);
        if total >= peer.granted.max(LEAST_WINDOW).saturating_add(window.div_ceil(2)) {
            peer.granted = total;
            Some(total)
        } else {
            None
        }
    }

    /// The connection is new: both sides count from zero.
    pub fn reset(&mut self, peer: Uid) {
        self.peers.remove(&peer);
    }
}
