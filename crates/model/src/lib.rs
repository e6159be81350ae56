//! The model: a Llama-style decoder cut into stages, its optimisers, its data. The only room that links libtorch.
//!
//! Miners and auditors run the same functions on the same bytes ([`Stage`], [`execute`]), so an audit is a comparison of digests.
//! Everything is deterministic: as many threads as told (one, if not), deterministic kernels, TF32 off, sums in a stated order (design D8, D11).

mod block;
pub mod boundary;
pub mod checkpoint;
mod convert;
mod cost;
pub mod data;
mod device;
mod error;
pub mod execute;
mod file;
mod generate;
pub mod merge;
pub mod optimiser;
mod plot;
pub mod shape;
mod stage;
mod torch;
mod trace;
mod weights;

pub use cost::{costs, forward as forward_flops};
pub use data::Tokenizer;
pub use device::{CUBLAS_WORKSPACE, Device};
pub use error::ModelError;
pub use generate::{Sampling, generate};
pub use optimiser::OptimiserState;
pub use plot::loss_curve_svg;
pub use stage::{Backward, Forward, Gradient, OnDevice, Stage, Tape};
pub use trace::Deferred;
pub use weights::Weights;
