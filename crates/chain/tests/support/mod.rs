//! A node whose faults are scripted, and a proxy that cuts connections: what no healthy node can be made to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

pub mod node;
#[path = "../../../../tests/common/proxy.rs"]
pub mod proxy;
pub mod world;
