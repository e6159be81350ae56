//! Weights, bonds and commits as they stand on chain, per mechanism.

use serde::Serialize;
use starling_keys::Account;

use crate::{ChainError, Client, value::Value};

const SUBTENSOR: &str = "SubtensorModule";

/// One weight matrix of a subnet: the main mechanism's, or that of another (chain.md 3). A bare netuid is the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Mechanism {
    /// The subnet.
    pub netuid: u16,
    /// Which mechanism of it; 0 is the main one.
    pub id: u8,
}

impl From<u16> for Mechanism {
    fn from(netuid: u16) -> Self {
        Self { netuid, id: 0 }
    }
}

impl Mechanism {
    /// Under which number the chain stores what a mechanism has of its own: `id · 4096 + netuid`.
    #[must_use]
    pub fn index(self) -> u16 {
        u16::from(self.id).wrapping_mul(4_096).wrapping_add(self.netuid)
    }

    /// The call for this mechanism: its own where it is not the main one.
    pub(crate) fn call(self, main: &'static str, other: &'static str) -> &'static str {
        if self.id == 0 { main } else { other }
    }

    /// A call's leading arguments.
    pub(crate) fn arguments(self) -> Vec<(&'static str, Value)> {
        let mut arguments = vec![("netuid", self.netuid.into())];
        if self.id > 0 {
            arguments.push(("mecid", self.id.into()));
        }
        arguments
    }
}

/// A weight commit by hash that waits for its reveal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WeightCommit {
    /// [`crate::commit_reveal::commit_hash`] of what will be revealed.
    pub hash: [u8; 32],
    /// The subnet's epoch it belongs to.
    pub epoch: u64,
    /// The block it is in.
    pub block: u64,
}

impl Client {
    /// The weights that a uid has set, as `(uid, weight)`, at a block hash or now.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn weights(
        &self,
        of: impl Into<Mechanism>,
        uid: u16,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<(u16, u16)>, ChainError> {
        self.row("Weights", of.into().index(), uid, at).await
    }

    /// A uid's row of `Weights` or `Bonds`, by the mechanism's storage index.
    pub(crate) async fn row(
        &self,
        entry: &str,
        index: u16,
        uid: u16,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<(u16, u16)>, ChainError> {
        let row = self.storage_value(SUBTENSOR, entry, &[index.into(), uid.into()], at).await?;
        row.map(|pair| Ok((pair.at(0)?.number()?, pair.at(1)?.number()?)))
            .map_err(ChainError::decode(format!("{SUBTENSOR}.{entry}"), 0))
    }

    /// A hotkey's weight commits by hash that wait for their reveal, oldest first.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn weight_commits(
        &self,
        of: impl Into<Mechanism>,
        hotkey: &Account,
    ) -> Result<Vec<WeightCommit>, ChainError> {
        self.weight_commits_at(of.into(), hotkey, None).await
    }

    pub(crate) async fn weight_commits_at(
        &self,
        of: Mechanism,
        hotkey: &Account,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<WeightCommit>, ChainError> {
        let commits = self.storage(SUBTENSOR, "WeightCommits", &[of.index().into(), hotkey.into()], at).await?;
        let Some(commits) = commits else { return Ok(Vec::new()) };
        commits
            .map(|commit| {
                let (hash, epoch, block) = (commit.at(0)?.hash()?, commit.at(1)?.number()?, commit.at(2)?.number()?);
                Ok(WeightCommit { hash, epoch, block })
            })
            .map_err(ChainError::decode("SubtensorModule.WeightCommits", 0))
    }
}
