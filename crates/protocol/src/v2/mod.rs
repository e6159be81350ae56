//! Protocol 2: the rules of a swarm that never waits (`docs/protocol-2.md` is the same in words).
//!
//! PURE, as the whole crate: time, block numbers and randomness come in as arguments. The modules beside this one are the old protocol's and
//! stay as they are until orchestrator, miner and validator have switched to this one.
//!
//! Three planes: the *data* plane pushes receipts and tensors from miner to miner ([`push`], [`receipt`]); the *ledger* holds tallies and decisions
//! ([`tally`], [`message`], [`ledger`]); *evidence* stays with its miner under a tallied root ([`audit`], [`sound`]).
//! Invariant: nothing on a sample's path waits for the ledger, and neither ledger nor [`state`] grows with throughput.
//!
//! Reading order: [`config`], [`sample`], [`receipt`], [`tally`], [`ledger`], [`state`]; then [`table`] (whose the next sample is, and its
//! pathway), [`audit`] (what is checked), [`merge`] (what becomes the next base), and [`schedule`] (what a miner does next).

pub mod audit;
pub mod code;
pub mod config;
pub mod ledger;
pub mod merge;
pub mod message;
pub mod proof;
pub mod push;
pub mod receipt;
pub mod sample;
pub mod schedule;
pub mod signed;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod snapshot;
pub mod sound;
pub mod state;
pub mod table;
pub mod tally;
#[cfg(test)]
mod wire_tests;

/// Bumped with every change of a message or a rule; peers of another version are refused with both numbers named.
///
/// Above `crate::wire::PROTOCOL_VERSION`, which the actors speak until they switch.
pub const PROTOCOL_VERSION: u32 = 3;
