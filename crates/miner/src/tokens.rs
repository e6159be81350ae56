//! The run's tokens: manifest and shards, by hash, from the orchestrator or from the own store.
//!
//! Invariant: which tokens a sample consists of follows from the run's configuration alone; nobody tells a miner.

use std::{sync::Arc, time::Duration};

use starling_commitment::{Canonical, DType, Limits, tensor};
use starling_model::data::{Manifest, batch, sample};
use starling_network::{Link, NetworkError, Node};
use starling_protocol::{Digest, config::RunConfig};
use tokio::sync::OnceCell;

use crate::{MinerError, status::Board};

/// Largest manifest: a million shards.
const MAX_MANIFEST: u64 = 64 << 20;
/// Patience for one blob.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Corpus {
    manifest: Manifest,
    shards: Vec<Canonical>,
}

/// Tokens of a run, fetched when first needed.
pub struct Tokens {
    node: Arc<Node>,
    link: Link,
    run: RunConfig,
    corpus: OnceCell<Corpus>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("manifest", &self.run.data.manifest).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of `run`.
    #[must_use]
    pub fn new(node: Arc<Node>, link: Link, run: RunConfig) -> Self {
        Self { node, link, run, corpus: OnceCell::new() }
    }

    /// Tokens and targets of a sample, each `[sequences, length]`.
    ///
    /// # Errors
    /// [`MinerError`] if the corpus is not what the configuration needs.
    pub async fn of(&self, index: u32, board: &Board) -> Result<(Canonical, Canonical), MinerError> {
        let corpus = self.corpus.get_or_try_init(|| self.load(board)).await?;
        let t = &self.run.training;
        let data = |e: starling_model::ModelError| MinerError::Data(e.to_string());
        let windows =
            sample(&corpus.manifest, self.run.seed, index, t.sequences_per_sample, t.sequence_length).map_err(data)?;
        batch(&corpus.manifest, &corpus.shards, &windows, t.sequence_length).map_err(data)
    }

    async fn load(&self, board: &Board) -> Result<Corpus, MinerError> {
        let bytes = self.blob(&self.run.data.manifest, MAX_MANIFEST, board).await?;
        let manifest = Manifest::decode_checked(&bytes).map_err(|e| MinerError::Data(e.to_string()))?;
        let mut shards = Vec::with_capacity(manifest.shards.len());
        for shard in &manifest.shards {
            let damaged =
                |reason: String| MinerError::Data(format!("token shard {} is damaged: {reason}", shard.digest));
            let max_bytes = tensor::blob_length(DType::I64, &[shard.tokens]).map_err(|e| damaged(e.to_string()))?;
            let bytes = self.blob(&shard.digest, max_bytes, board).await?;
            let tensor =
                Canonical::decode(bytes, Limits { max_bytes, max_rank: 1 }).map_err(|e| damaged(e.to_string()))?;
            shards.push(tensor);
        }
        Ok(Corpus { manifest, shards })
    }

    /// From the own store or the orchestrator, which is waited for as long as it takes.
    async fn blob(&self, digest: &Digest, max_bytes: u64, board: &Board) -> Result<bytes::Bytes, MinerError> {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.node.fetch(self.link.address(), Some(self.link.account()), digest, max_bytes, PATIENCE).await {
                Ok(bytes) => {
                    board.fine("data");
                    return Ok(bytes);
                }
                Err(
                    error @ (NetworkError::Store { .. }
                    | NetworkError::StorageFull { .. }
                    | NetworkError::TooLarge { .. }),
                ) => {
                    return Err(error.into());
                }
                Err(error) => board.trouble("data", format!("{error}; trying again")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
