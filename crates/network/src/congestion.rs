//! How fast to send: cubic that takes single losses for what they are on the links of strangers' homes.
//!
//! A radio link, or a provider that drops at random, loses half a percent of packets without being full. Cubic takes each for
//! congestion: at 160 ms and 0.5 % its window falls to some 20 kB, and an item of 128 kB takes half a second where 132 ms would do.
//! So a loss counts only where more than one in fifty of the last packets is lost, which is also where BBR (draft-ietf-ccwg-bbr,
//! "BBRLossThresh") begins to give way. A link that is full loses far more than that at once.
//!
//! Invariant: marks of congestion (ECN) and persistent congestion always count; what is ignored is bounded by the threshold.
//!
//! noq's own BBR was measured, too (`docs/measured/push.md`): its authors call it experimental, and several items at once take
//! ten times as long with it on some links.

use std::{any::Any, sync::Arc, time::Instant};

use iroh::endpoint::{Controller, ControllerFactory, ControllerMetrics, RttEstimator};
use noq_proto::congestion::CubicConfig;

/// More than one in so many bytes has to be lost.
const ONE_IN: u64 = 50;
/// And at least so many bytes: eight packets, so that two lost of the first fifty mean nothing yet.
const AT_LEAST: u64 = 8 * 1200;
/// Older packets count half: a thousand packets.
const MEMORY: u64 = 1000 * 1200;

/// Makes controllers.
#[derive(Debug)]
pub(crate) struct Tolerant(Arc<CubicConfig>);

impl Tolerant {
    /// With this congestion window, bytes, at first.
    pub(crate) fn new(window: u64) -> Self {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(window);
        Self(Arc::new(cubic))
    }
}

impl ControllerFactory for Tolerant {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Lenient { inner: self.0.clone().build(now, current_mtu), losses: Losses::default() })
    }
}

/// What became of the last packets, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Losses {
    arrived: u64,
    lost: u64,
}

impl Losses {
    fn arrived(&mut self, bytes: u64) {
        self.arrived = self.arrived.saturating_add(bytes);
        self.fade();
    }

    /// True if this is congestion; then the count begins anew.
    fn lost(&mut self, bytes: u64) -> bool {
        self.lost = self.lost.saturating_add(bytes);
        let all = self.arrived.saturating_add(self.lost);
        let congested = self.lost >= AT_LEAST && self.lost.saturating_mul(ONE_IN) > all;
        if congested {
            *self = Self::default();
        }
        self.fade();
        congested
    }

    fn fade(&mut self) {
        if self.arrived.saturating_add(self.lost) > MEMORY {
            self.arrived /= 2;
            self.lost /= 2;
        }
    }
}

#[derive(Debug)]
struct Lenient {
    inner: Box<dyn Controller>,
    losses: Losses,
}

impl Controller for Lenient {
    fn on_sent(&mut self, now: Instant, bytes: u64, largest_pn: u64) {
        self.inner.on_sent(now, bytes, largest_pn);
    }

    fn on_packet_sent(&mut self, now: Instant, bytes: u16, pn: u64) {
        self.inner.on_packet_sent(now, bytes, pn);
    }

    fn on_cwnd_limited(&mut self) {
        self.inner.on_cwnd_limited();
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, pn: u64, app_limited: bool, rtt: &RttEstimator) {
        self.losses.arrived(bytes);
        self.inner.on_ack(now, sent, bytes, pn, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        is_ecn: bool,
        lost_bytes: u64,
        largest_lost_pn: u64,
    ) {
        if self.losses.lost(lost_bytes) || is_ecn || is_persistent_congestion {
            self.inner.on_congestion_event(now, sent, is_persistent_congestion, is_ecn, lost_bytes, largest_lost_pn);
        }
    }

    fn on_packet_lost(&mut self, lost_bytes: u16, pn: u64, now: Instant) {
        self.inner.on_packet_lost(lost_bytes, pn, now);
    }

    fn on_spurious_congestion_event(&mut self) {
        self.inner.on_spurious_congestion_event();
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), losses: self.losses })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 1200;

    fn controller() -> Box<dyn Controller> {
        Arc::new(Tolerant::new(4 << 20)).build(Instant::now(), PACKET as u16)
    }

    #[test]
    fn single_losses_leave_the_window_and_many_marks_and_silence_do_not() {
        let now = Instant::now();
        let mut c = controller();
        for n in 0..7 {
            c.on_congestion_event(now, now, false, false, PACKET, n);
        }
        assert_eq!(c.window(), 4 << 20, "seven packets are too few to tell");
        c.on_congestion_event(now, now, false, false, PACKET, 8);
        assert!(c.window() < 4 << 20, "eight of eight are enough");
        let mut c = controller();
        c.on_congestion_event(now, now, false, true, 0, 1);
        assert!(c.window() < 4 << 20, "a mark counts at once");
        let mut c = controller();
        c.on_congestion_event(now, now, true, false, PACKET, 1);
        assert!(c.window() <= 2 * PACKET, "persistent congestion counts at once");
    }

    #[test]
    fn half_a_percent_is_no_congestion_and_five_percent_is() {
        let count = |one_in: u64| {
            let mut losses = Losses::default();
            (1..=100_000u64)
                .filter(|n| {
                    assert!(losses.arrived + losses.lost <= MEMORY);
                    if n % one_in == 0 {
                        return losses.lost(PACKET);
                    }
                    losses.arrived(PACKET);
                    false
                })
                .count()
        };
        assert_eq!(count(200), 0);
        assert_eq!(count(100), 0);
        assert!(count(20) > 100);
    }
}
