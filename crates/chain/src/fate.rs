//! What became of a commit that is no longer on chain (chain.md 5).
//!
//! The chain says so only once: an event in the block that decided it, and none at all for a commit that it drops. So that block is looked
//! for among those whose state the node still has, and its events are read. Never guessed: without that block it is [`Fate::Unknown`].

use serde::Serialize;
use starling_keys::Account;

use crate::{
    BlockRef, ChainError, Client,
    submit::Event,
    timelock::TimelockedCommit,
    value::Value,
    weights::{Mechanism, WeightCommit},
};

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Fate {
    /// It waits: for its epoch, or in its epoch for its reveal.
    Waiting,
    /// Revealed, by the chain's own event in this block.
    Revealed {
        /// The block.
        block: u32,
    },
    /// Gone in this block without being revealed: it did not open, the rules for weights refused it, or its time was over.
    Refused {
        /// The block.
        block: u32,
    },
    /// Decided in a block whose state the node has no longer; the weights on chain have to tell.
    Unknown,
}

/// A commit by either way.
#[derive(Clone, Copy)]
enum Commit<'a> {
    Hash(&'a WeightCommit),
    Timelocked(&'a TimelockedCommit),
}

impl Commit<'_> {
    fn block(self) -> u64 {
        match self {
            Commit::Hash(commit) => commit.block,
            Commit::Timelocked(commit) => commit.block,
        }
    }

    /// True if this event is its reveal. Tuples of events differ in their order.
    fn is_revealed_by(self, event: &Event, of: Mechanism, hotkey: &Account) -> bool {
        let field = |place: usize| event.fields.at(place).ok();
        let index = |place| field(place).and_then(|f| f.number().ok()) == Some(of.index());
        let who = |place| field(place).and_then(|f| f.account().ok()) == Some(*hotkey);
        match self {
            Commit::Timelocked(_) => event.name == "TimelockedWeightsRevealed" && index(0) && who(1),
            Commit::Hash(commit) => {
                let names = |hash: &Value| hash.hash() == Ok(commit.hash);
                match event.name.as_str() {
                    "WeightsRevealed" => who(0) && index(1) && field(2).is_some_and(names),
                    "WeightsBatchRevealed" => {
                        // This one names the subnet, and only its first mechanism has batches.
                        let netuid = field(1).and_then(|f| f.number().ok()) == Some(of.netuid);
                        who(0)
                            && netuid
                            && field(2).and_then(|f| f.list().ok()).is_some_and(|all| all.iter().any(names))
                    }
                    _ => false,
                }
            }
        }
    }
}

impl Client {
    /// What became of a timelocked commit: a few reads if it was decided lately, some ten otherwise.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn timelocked_fate(
        &self,
        of: impl Into<Mechanism>,
        hotkey: &Account,
        commit: &TimelockedCommit,
    ) -> Result<Fate, ChainError> {
        self.fate(of.into(), hotkey, Commit::Timelocked(commit)).await
    }

    /// What became of a commit by hash, likewise.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn commit_fate(
        &self,
        of: impl Into<Mechanism>,
        hotkey: &Account,
        commit: &WeightCommit,
    ) -> Result<Fate, ChainError> {
        self.fate(of.into(), hotkey, Commit::Hash(commit)).await
    }

    async fn fate(&self, of: Mechanism, hotkey: &Account, commit: Commit<'_>) -> Result<Fate, ChainError> {
        let head = self.head().await?;
        if self.waits(of, hotkey, commit, &head).await? {
            return Ok(Fate::Waiting);
        }
        // It is there at `low` and gone at `high`. Most are decided in one of the last blocks: from there backwards in growing steps, and
        // then by halves.
        let Ok(mut low) = u32::try_from(commit.block()) else { return Ok(Fate::Unknown) };
        let mut high = head;
        let mut step = Some(1_u32);
        while high.number > low.saturating_add(1) {
            let between = high.number - low;
            let middle = high.number - step.map_or(between / 2, |step| step.min(between / 2).max(1));
            let Some(hash) = self.block_hash(middle).await? else { return Ok(Fate::Unknown) };
            let block = BlockRef { number: middle, hash };
            match self.waits(of, hotkey, commit, &block).await {
                Ok(false) => {
                    high = block;
                    step = step.map(|step| step.saturating_mul(2));
                    continue;
                }
                Ok(true) => low = middle,
                // The node forgot that state: look among the later ones.
                Err(ChainError::Node { .. }) => low = middle,
                Err(error) => return Err(error),
            }
            step = None;
        }
        // The chain opens what is timelocked before a block's transactions; reveals by hash are transactions.
        let events = match commit {
            Commit::Timelocked(_) => self.opening_events(&high).await,
            Commit::Hash(_) => self.events(&high).await,
        };
        let events = match events {
            Ok(events) => events,
            Err(ChainError::Node { .. }) => return Ok(Fate::Unknown),
            Err(error) => return Err(error),
        };
        let revealed = events.iter().any(|event| commit.is_revealed_by(event, of, hotkey));
        Ok(if revealed { Fate::Revealed { block: high.number } } else { Fate::Refused { block: high.number } })
    }

    async fn waits(
        &self,
        of: Mechanism,
        hotkey: &Account,
        commit: Commit<'_>,
        at: &BlockRef,
    ) -> Result<bool, ChainError> {
        Ok(match commit {
            Commit::Hash(commit) => {
                let there = self.weight_commits_at(of, hotkey, Some(at.hash)).await?;
                there.iter().any(|c| c.hash == commit.hash)
            }
            Commit::Timelocked(commit) => {
                let there = self.timelocked_in(of, hotkey, commit.epoch, Some(at.hash)).await?;
                there.iter().any(|c| c.hash == commit.hash)
            }
        })
    }
}
