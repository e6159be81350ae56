//! What a link does to packets, one way, and the check that it can be done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest delay and the longest jitter: more is a mistake in the units.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The slowest rate, bits per second: at less, a full packet takes longer than 10 seconds. What shall stop, is partitioned.
pub const SLOWEST: u64 = 1_200;

/// One direction of a host's access link. The default does nothing to packets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// How long a packet travels once its last bit has been sent.
    pub delay: Duration,
    /// The delay is longer by a random time of up to this, drawn evenly for each packet. Packets do not overtake each other.
    pub jitter: Duration,
    /// Bits per second of IP packets: a token bucket that holds one packet. `None`: no limit.
    pub rate: Option<u64>,
    /// Bytes that may wait for the rate. A packet that finds no room is dropped, so the queue adds at most `8 * queue / rate` seconds.
    pub queue: usize,
    /// The part of the packets that is lost, from 0 to 1; each is drawn by itself.
    pub loss: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, rate: None, queue: 256 * 1024, loss: 0.0 }
    }
}

/// Why a link cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// A time that nobody means.
    #[error("{what} is {value:?}; it may be at most {LONGEST:?}")]
    TooLong {
        /// `delay` or `jitter`.
        what: &'static str,
        /// As given.
        value: Duration,
    },
    /// A rate at which nothing moves.
    #[error(
        "the rate is {0} bit/s; it must be at least {SLOWEST} bit/s (leave it out for no limit, partition to stop everything)"
    )]
    TooSlow(u64),
    /// Not a probability.
    #[error("the loss is {0}; it must be between 0 and 1")]
    Loss(f64),
}

impl Link {
    /// A link of this delay without any other fault.
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The same link with this rate, bits per second.
    pub fn rate(self, rate: u64) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// The same link with a queue of so many bytes before its rate.
    pub fn queue(self, queue: usize) -> Self {
        Self { queue, ..self }
    }

    /// The same link with this jitter.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// The same link that loses this part of the packets.
    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// Whether it can be made.
    ///
    /// # Errors
    ///
    /// Names the first value that cannot be used.
    pub fn check(&self) -> Result<(), LinkError> {
        for (what, value) in [("delay", self.delay), ("jitter", self.jitter)] {
            if value > LONGEST {
                return Err(LinkError::TooLong { what, value });
            }
        }
        match self.rate {
            Some(rate) if rate < SLOWEST => Err(LinkError::TooSlow(rate)),
            _ if !(0.0..=1.0).contains(&self.loss) => Err(LinkError::Loss(self.loss)),
            _ => Ok(()),
        }
    }
}

/// A direction of a host's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// What the host sends.
    Up,
    /// What the host is sent.
    Down,
}

impl Way {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// What has happened on one direction of a link so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Packets that were given to it.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Packets that came out at its other end.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that the draw of the loss took.
    pub lost: u64,
    /// Packets that found the queue full.
    pub overflowed: u64,
    /// The most bytes that ever waited for the rate.
    pub longest_queue: u64,
}
