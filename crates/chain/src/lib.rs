//! The chain, by name from live metadata: everything Starling reads from and writes to a Bittensor chain.
//!
//! Owns the connection, decoding and encoding without generated code (design D6), submission with proof that it took effect, and
//! the pure rules of commit-reveal and weight quantisation. Facts: `reference/chain.md`.
//!
//! Invariants: every request has a deadline; a write returns `Ok` only if its block is final, its event is there and the storage
//! reads back as asked; what is sent a second time is byte for byte the same, so that it counts once.
//!
//! ```no_run
//! # async fn example() -> Result<(), starling_chain::ChainError> {
//! use starling_chain::{Client, Options};
//!
//! let chain = Client::connect("ws://127.0.0.1:9944", Options::default()).await?;
//! for neuron in chain.metagraph(1, None).await?.neurons {
//!     println!("{} {} {}", neuron.uid, neuron.hotkey, neuron.total_stake);
//! }
//! # Ok(())
//! # }
//! ```

mod answers;
mod blocks;
mod burn;
mod cache;
mod calls;
mod children;
mod client;
mod columns;
mod decode;
mod detail;
mod dial;
mod endpoints;
mod error;
mod fate;
mod hyperparameters;
mod link;
mod lookups;
mod metagraph;
mod neuron;
mod outcome;
mod pow;
mod proofs;
mod queries;
mod registration;
mod rehearse;
mod rules;
mod runtimes;
mod serving;
mod stake;
mod submit;

pub mod commit_reveal;
pub mod diff;
pub mod explain;
#[doc(hidden)]
pub mod fuzzing;
pub mod names;
pub mod runtime;
pub mod timelock;
pub mod value;
pub mod weights;

pub use burn::BurnCurve;
pub use children::{Child, Family, Takes};
pub use client::{BlockRef, Client, Options};
pub use columns::{Cell, Column, Selection, Unit};
pub use commit_reveal::{EpochClock, RevealWindow};
pub use endpoints::Endpoints;
pub use error::ChainError;
pub use fate::Fate;
pub use hyperparameters::{Hyper, Hyperparameters};
pub use lookups::{Delegate, SubnetDetail};
pub use metagraph::{Axon, Metagraph, Neuron};
pub use neuron::{Certificate, Entry, NeuronDetail, Prometheus};
pub use pow::{Search, Work};
pub use queries::{Commitment, Subnet};
pub use rehearse::{Rehearsal, Unsigned};
pub use stake::{Limit, Place, Stake};
pub use submit::{Event, Submitted};
pub use weights::{Landed, Mechanism, WeightCommit, preflight::Check};
