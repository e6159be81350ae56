//! How a node is set up, and what its peers may ask of it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use starling_protocol::Digest;

/// Bounds on what peers may ask for. A peer here is a hotkey, however many endpoints it has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request, bytes.
    pub request: usize,
    /// Largest answer, bytes.
    pub response: usize,
    /// Requests and blobs of one connection in work at once; QUIC keeps back more.
    pub open_requests: u32,
    /// Requests and blobs of one peer per second, on average; more wait. Twice as many may come at once.
    pub requests_per_second: u32,
    /// Connections of one peer.
    pub peer_connections: usize,
    /// Connections of all peers together.
    pub connections: usize,
    /// Connections whose handshake is not done yet.
    pub handshakes: usize,
    /// Longest header of a pushed item, bytes.
    pub push_header: usize,
    /// Pushed items of one connection that may arrive at once; QUIC keeps back more.
    pub open_pushes: u32,
    /// Longest time for a pushed item to arrive.
    pub push_time: Duration,
    /// Longest time for a request that has begun to arrive.
    pub reading: Duration,
    /// Longest time to work on one request.
    pub handling: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: starling_protocol::wire::MAX_REQUEST,
            response: starling_protocol::wire::MAX_RESPONSE,
            open_requests: 64,
            requests_per_second: 500,
            peer_connections: 8,
            connections: 4096,
            handshakes: 128,
            push_header: 4 << 10,
            open_pushes: 64,
            push_time: Duration::from_secs(30),
            reading: Duration::from_secs(15),
            handling: Duration::from_secs(60),
        }
    }
}

/// Where peers behind a NAT are met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relays {
    /// Relays by URL (`https://`, or `http://` in a network of one's own). The nearest one that answers is the node's own, which
    /// its address names.
    pub urls: Vec<String>,
    /// Files with certificates (PEM) that relays may show besides those of the public authorities.
    pub roots: Vec<PathBuf>,
}

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Relays; none: only direct connections.
    pub relays: Relays,
    /// Folder for the endpoint's key and the blobs; of this node alone.
    pub store: PathBuf,
    /// Protocol spoken.
    pub protocol_version: u32,
    /// The run: peers of another are refused.
    pub run: Digest,
    /// Bounds.
    pub limits: Limits,
}

impl NetworkConfig {
    /// A node for one machine: loopback, any port, no relay.
    #[must_use]
    pub fn local(store: PathBuf, run: Digest) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            relays: Relays::default(),
            store,
            protocol_version: starling_protocol::wire::PROTOCOL_VERSION,
            run,
            limits: Limits::default(),
        }
    }
}
