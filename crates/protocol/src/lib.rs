//! What a run is, and nothing else: the answer to "where are the rules?".
//!
//! PURE: no I/O, no clock, no threads, no tensors. Time and block numbers come in as arguments, randomness from named
//! seeds ([`seed`]). Orchestrator, miners and validators run the same [`state::State`] over the same [`ledger`], so whoever
//! reads the ledger can tell whether the orchestrator kept the rules.
//!
//! Reading order: [`config`] (one TOML is the run), [`ledger`] (what is written down), [`state`] (what it means),
//! [`receipt`] and [`message`] (what peers say), [`merge`], [`audit`], [`wire`] (requests), [`code`] (why something is refused).

pub mod audit;
pub mod code;
pub mod config;
pub mod flops;
pub mod ledger;
pub mod merge;
pub mod message;
pub mod receipt;
pub mod routing;
pub mod seed;
pub mod signed;
pub mod state;
pub mod v2;
pub mod wire;

pub use code::{Code, Reaction, Refused};
pub use starling_commitment::Digest;

/// Counts epochs from 0.
pub type Epoch = u32;
/// Counts rounds (local optimiser steps) within an epoch from 0.
pub type Round = u32;
/// Counts stages from 0, the one with the embedding.
pub type Stage = u16;
/// A neuron's slot on the subnet.
pub type Uid = u16;
