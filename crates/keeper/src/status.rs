//! What a keeper tells: what it does, what landed, and what was lost.

use starling_chain::BlockRef;

/// How far the keeper is, for people, alerts and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightStatus {
    /// What it does or waits for.
    pub doing: String,
    /// The newest weights read back from the chain as ours.
    pub confirmed: Option<Vec<(u16, u16)>>,
    /// Block at which they were confirmed.
    pub confirmed_at: u32,
    /// Commits confirmed so far.
    pub commits: u32,
    /// Reveals confirmed so far.
    pub reveals: u32,
    /// Weights set plainly so far.
    pub sets: u32,
    /// Commits that wait for their reveal.
    pub pending: u32,
    /// The newest final block seen.
    pub head: Option<BlockRef>,
    /// Commits that were lost so far.
    pub losses: u32,
    /// The last of them.
    pub last_loss: Option<Loss>,
    /// The chain's last error, until it answers again; with the number of tries that it stands for.
    pub trouble: Option<(String, u32)>,
    /// Blocks without weights of ours after which something is wrong: the reveal period and two epochs.
    pub late_after: Option<u32>,
    /// The rule by which the chain would refuse weights now, if time alone does not heal it.
    pub refused: Option<String>,
}

impl WeightStatus {
    /// What is said of weights that were read back at a block.
    #[must_use]
    pub fn landed(block: u32) -> String {
        format!("weights are on chain, read back at block {block}")
    }
}

/// A commit whose weights did not come on chain by it. The keeper commits anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The chain's epoch that it was of.
    pub epoch: u64,
    /// Why, as far as it is known.
    pub why: String,
    /// Block at which it was noticed.
    pub noticed_at: u32,
}
