//! Keeping a validator's weights on chain, for months and over crashes: shared by `starling validator` and `starling weights keep`.
//!
//! [`Keeper`] is the loop; [`CommitStore`] is what it must not lose; [`FileStore`] is the plainest such store. Invariant: a commit's salt is
//! durable before the commit is sent, and success is what was read back from the chain, never that something was sent.

mod keeper;
mod store;

pub use keeper::{Hook, Keeper, Refresh, Target, WeightStatus};
pub use store::{CommitStore, FileStore, PendingCommit, StoreFailure};
