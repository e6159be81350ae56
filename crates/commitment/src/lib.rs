//! What a miner commits to: canonical tensor bytes and their BLAKE3 hash.
//!
//! PURE: no I/O, no clock, no threads. Owns the tensor layout ([`tensor`]), verified partial openings ([`opening`]), weight trees
//! ([`tree`]), receipt logs ([`log`]), the comparison of two tensors ([`compare`]) and what of it all stands on chain ([`anchor`]).
//! Invariant: one tensor value has one byte string, hence one digest (design D2).

pub mod anchor;
pub mod compare;
mod digest;
mod form;
pub mod fuzzing;
pub mod log;
pub mod opening;
mod shape;
pub mod tensor;
pub mod tree;

pub use compare::{Difference, Tolerance, difference};
pub use digest::{Digest, NotADigest};
pub use form::{Form, Unfit};
pub use tensor::{Canonical, DType, HEADER, Limits, TensorError, blob_length, data_range, f32_bytes};
