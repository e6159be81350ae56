//! What work is worth: ledger and verdicts become scores, and scores become the weights that a validator submits.
//!
//! PURE: every function's result follows from its arguments; no I/O, clock, threads or randomness. So two validators that hold the same
//! evidence compute the same numbers. What the chain pays for the weights is the business of `starling-yuma`.
//!
//! - [`score`]: the evidence of audited epochs as scores, and scores as the vector to submit (design D13).

pub mod score;
