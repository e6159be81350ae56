//! Keeping a validator's weights on chain, for months and over crashes: shared by `starling validator` and `starling weights keep`.
//!
//! [`Keeper`] is the loop; [`CommitStore`] is what it must not lose; [`FileStore`] is the plainest such store. Invariant: a commit's secret is
//! durable before the commit is sent, and success is what was read back from the chain, never that something was sent.

mod commits;
mod keeper;
mod status;
mod store;

pub use keeper::{By, Hook, Keeper, Refresh, Target};
pub use status::{Loss, WeightStatus};
pub use store::{CommitStore, FileStore, PendingCommit, Secret, StoreFailure};
