//! The run's rules, driven in virtual time by simulated peers ([`sim`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audits;
mod faults;
mod forged;
mod peers;
mod random;
mod receipts;
mod run;
mod sim;
