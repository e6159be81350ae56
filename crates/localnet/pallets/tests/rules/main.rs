//! The rules of the pallets, each exercised through its call in a real FRAME runtime (`support`). A test's name is its promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod children;
mod commit_reveal;
mod commitments;
mod emission;
mod epoch;
mod fork;
mod identities;
mod info;
mod mechanisms;
mod moves;
mod pow;
mod registration;
mod serving;
mod staking;
mod subnets;
mod support;
mod swap_keys;
mod tempo;
mod timelock;
mod transactions;
mod weights;
