//! How QUIC is set up: windows that let a pushed tensor go in one flight, and signs of life.
//!
//! A hop may cost half a round trip and the time to send the bytes, no more. So an idle connection must be able to send a whole item
//! at once: the congestion window begins large, is kept while nothing is sent (noq never shrinks it for idleness), and pacing, which
//! spreads a window over a round trip, must let 128 kB pass in a few milliseconds at 80 ms. What was measured stands in
//! `docs/measured/push.md`. What limits a sender for good is the credit that its receiver grants ([`crate::push`]).

use std::{sync::Arc, time::Duration};

use crate::{Limits, congestion::Tolerant};
use iroh::endpoint::{IdleTimeout, QuicTransportConfig};

/// How often a quiet connection is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// After how long without a sign of life a connection is dead.
const IDLE: Duration = Duration::from_secs(6);
/// Congestion window of a new connection, bytes.
const INITIAL_WINDOW: u64 = 4 << 20;
/// Unread bytes of one stream, at most.
const STREAM_WINDOW: u32 = 4 << 20;
/// Unread bytes of a connection before its handshake.
const STRANGER_WINDOW: u32 = 64 << 10;
/// Unread bytes of a connection after it.
pub(crate) const PEER_WINDOW: u32 = 16 << 20;
/// Unacknowledged bytes of a connection, at most.
const SEND_WINDOW: u64 = 16 << 20;

pub(crate) fn config(limits: &Limits) -> QuicTransportConfig {
    // One stream more than requests: the handshake's may still be closing; and one for a channel.
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(limits.open_requests.saturating_add(2).into())
        // Until a channel is open, which needs the handshake.
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(STRANGER_WINDOW.into())
        .send_window(SEND_WINDOW)
        .congestion_controller_factory(Arc::new(Tolerant::new(INITIAL_WINDOW)))
        // A killed peer says nothing: without these a request would hang on its dead connection for half a minute.
        .keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .build()
}
