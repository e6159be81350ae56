//! What work is worth: ledger and verdicts become scores, scores become weights, and Yuma consensus says what the chain
//! will pay for them.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no threads, no randomness. So two validators
//! that hold the same evidence compute the same numbers, and the local chain pays by the very code that predicts it.
//!
//! - [`score`]: the evidence of audited epochs as scores, and scores as the vector to submit (design D13).
//! - [`yuma`]: one epoch of Yuma consensus in the chain's own fixed-point arithmetic (chain.md 6).
//! - [`upscale`]: what the chain does to a submitted weight vector (chain.md 4.3).
//! - [`quantise`]: what a client does to real-valued weights before it submits them (chain.md 4.5).

pub mod process;
pub mod quantise;
pub mod score;
pub mod upscale;
pub mod yuma;
