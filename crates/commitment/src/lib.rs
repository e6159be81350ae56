//! starling-commitment
mod digest;
pub use digest::{Digest, NotADigest};
