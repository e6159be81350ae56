//! The chain's epoch: what it makes of the weights that validators set, and what it pays for them.
//!
//! PURE: every function's result follows from its arguments; no I/O, clock, threads or randomness, and no other room. The local chain pays
//! by this code and clients predict by it, so a prediction and a payment cannot differ.
//!
//! In the order in which a weight passes through:
//! - [`process`]: what a client leaves of the weights that it was given, so that the chain takes them.
//! - [`quantise`]: how a client writes real-valued weights as the chain's integers.
//! - [`upscale`]: what the chain does to a vector that was submitted.
//! - [`epoch`]: one epoch of Yuma consensus in the chain's own fixed-point arithmetic.

pub mod epoch;
pub mod process;
pub mod quantise;
pub mod upscale;
