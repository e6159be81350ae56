//! The model: a Llama-style decoder cut into stages, its optimisers, its data. The only room that links libtorch.
//!
//! Miners and auditors run the same functions on the same bytes ([`Stage`], [`execute`]), so an audit is a comparison of digests.
//! Everything is deterministic: one thread, deterministic kernels, TF32 off, sums in a stated order (design D8, D11).

mod block;
mod boundary;
pub mod checkpoint;
mod convert;
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

pub use data::Tokenizer;
pub use device::Device;
pub use error::ModelError;
pub use generate::{Sampling, generate};
pub use plot::loss_curve_svg;
pub use stage::{Backward, Forward, Gradient, Stage, Tape, Weights};
