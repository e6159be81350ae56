//! What the tests of this workspace stand on: a simulated internet, faults, and a harness for processes. Nobody ships it.
//!
//! - [`lab`]: real processes in network namespaces of their own, joined by links with delay, jitter, rate, queue and loss, by partitions
//!   and by NAT. `docs/lab.md` explains it; the binary `starling-lab` runs any command in a lab by hand.
//! - [`fault`]: what can befall a process and its link, as an enum, and the moments at which it does.
//! - [`process`]: a process whose lines are read, whose end is waited for, and which dies with its owner.
//!
//! Invariant: what a test started ends with the test, also when the test fails, and what a killed test left behind is removed by the next.

pub mod fault;
pub mod lab;
pub mod process;
