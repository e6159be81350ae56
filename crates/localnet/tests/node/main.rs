//! Promises of the local chain, kept over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beacon;
mod chain_head;
mod clients;
mod faults;
mod fork;
mod pow;
mod rpc;
mod state;
mod support;
mod upgrade;
