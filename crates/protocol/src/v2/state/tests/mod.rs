//! The rules one by one; [`super::super::sim`] drives them all together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod epochs;
mod forged;
mod swarm;
mod trust;
