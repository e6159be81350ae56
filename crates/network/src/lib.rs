//! An iroh endpoint bound to a hotkey: typed requests, and blobs by BLAKE3 hash (design D7).
//!
//! Invariant: before anything a peer sends is parsed or served, both ends have shown a signature of their hotkey over both
//! endpoint ids ([`handshake`]) and the [`Admission`] has let the hotkey in. Blobs are verified while they arrive. Without relays
//! configured, nothing outside the addresses given is ever contacted: no DNS, no internet. With them, peers behind a NAT are
//! reached through one ([`relay`] runs one), and directly as soon as both sides find a way.
//!
//! One QUIC connection per direction carries everything. Its first stream is the handshake; every later one is a request, a blob or
//! a pushed item, so there is no way to a blob around the handshake. Reading order: `node` (what others use), `dial` (calling),
//! `door` (being called), `frame` and `transfer` (what streams carry), [`push`] (items with credit), `store` (blobs on disk).

mod address;
mod config;
mod congestion;
mod dial;
mod door;
mod error;
pub mod follow;
mod frame;
pub mod handshake;
mod node;
pub mod push;
pub mod relay;
pub mod roll;
mod store;
mod transfer;
mod transport;

pub use address::{AddressError, PeerAddress};
pub use config::{Limits, NetworkConfig, Relays};
pub use error::NetworkError;
pub use follow::{Link, LinkError};
pub use node::{Links, Node};
pub use push::{Credit, Grants, Hold, Intake, Item, Outcome, Pusher, Verdict};
pub use roll::Roll;

use bytes::Bytes;
use futures::future::BoxFuture;
use starling_keys::Account;
use starling_protocol::{Code, Refused};

/// Who may speak: asked before any request is parsed.
pub trait Admission: Send + Sync + 'static {
    /// `Err` tells the peer why not.
    fn admit(&self, who: &Account) -> BoxFuture<'_, Result<(), Refused>>;
}

/// A peer whose hotkey is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its hotkey.
    pub account: Account,
    /// Its endpoint.
    pub endpoint: [u8; 32],
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// `Err` is told to the peer.
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'_, Result<Bytes, Refused>>;
}

/// For nodes that only ask: every request is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoRequests;

impl Handler for NoRequests {
    fn handle(&self, _: Peer, _: Bytes) -> BoxFuture<'_, Result<Bytes, Refused>> {
        Box::pin(async { Err(Refused::new(Code::NotServed, "this peer answers no requests, it only serves blobs")) })
    }
}
