//! Push: items of a header and a body go from one peer to another as fast as the link allows, within credit that the receiver
//! granted. This is the data plane (`docs/decisions.md`): a receipt and its tensor reach the next miner of the
//! pathway without a question, a disk or the ledger in between.
//!
//! Invariant: nobody makes this node hold more of its items, in bytes or in number, than it granted. Before a header is read there
//! is credit for the whole item; before a byte of a body is read or allocated the [`Intake`] has said yes to the header.
//!
//! # How it travels
//!
//! The sender opens one long-lived *channel* to a peer: a bidirectional stream on the connection whose handshake is done. On it
//! the receiver writes [`wire::Record`]s: credit, answers, the end. Each *item* is a unidirectional stream of its own,
//! `[kind u8][channel u32][number u64][header length u32][body length u64][header][body]`, little-endian, sent at once where there
//! is credit. So a hop takes half a round trip, a slow or lost body holds up no other item, and items may arrive in any order.
//!
//! # Credit
//!
//! The receiver's application sets a peer's credit ([`Grants::set`]): how many items, and how many bytes of headers and bodies, may
//! be under way or held at once. An item takes its credit when its first bytes arrive and gives it back when the application drops
//! the [`Hold`] that came with it (or when it was refused), not when its bytes have arrived. A peer has no credit until it is set.
//! A sender cannot take back what it sent, so credit that is lowered binds from the next grant on.
//!
//! # Twice
//!
//! Where a connection breaks, the sender cannot know whether an item in flight was taken, and sends it once more on the next one. So
//! an [`Intake`] may be offered the same header twice, even while the first copy is still arriving. It remembers the digests of the
//! headers that it took and refuses a second one with [`Code::Duplicate`](starling_protocol::Code::Duplicate), in
//! [`Intake::offer`] or [`Intake::take`]; the sender counts that as [`Outcome::Accepted`] where it sent the item twice itself.

mod credit;
pub mod fuzzing;
mod receive;
mod send;
mod wire;

use bytes::Bytes;
use starling_protocol::Refused;

pub use credit::Credit;
pub(crate) use receive::{Desk, channel};
pub use receive::{Grants, Hold};
pub use send::Pusher;
pub(crate) use send::Pushers;

use crate::Peer;

/// What the receiver says to a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the body, if it has at most so many bytes.
    Take {
        /// Most bytes of the body.
        limit: u64,
    },
    /// No. The sender is told, and the body is not read.
    Refuse(Refused),
}

/// An item that arrived whole.
#[derive(Debug)]
pub struct Item {
    /// Who sent it.
    pub from: Peer,
    /// The header, as it was offered.
    pub header: Bytes,
    /// The body, of the length that was offered.
    pub body: Bytes,
    /// The credit that it holds: dropped, it goes back to the sender.
    pub hold: Hold,
}

/// The receiver's application. Both functions are called on the network's threads, for several items at once; they must not
/// block: check, remember, hand over.
pub trait Intake: Send + Sync + 'static {
    /// May this item come? Asked when the header is here and nothing of the body has been read.
    fn offer(&self, from: Peer, header: &Bytes, body_length: u64) -> Verdict;

    /// The item is here. `Err` tells the sender that it was not taken after all.
    ///
    /// # Errors
    /// What the sender is told.
    fn take(&self, item: Item) -> Result<(), Refused>;
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver's application took it.
    Accepted,
    /// It did not, and says why.
    Refused(Refused),
}
