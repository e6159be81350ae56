//! The miner's promises, by topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adversaries;
mod agenda;
mod garbage;
mod hive;
mod outbox;
mod swarm;
mod world;
