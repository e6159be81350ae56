//! The run's tokens, by hash, from the orchestrator: an auditor knows what every sample consists of without asking a miner.

use std::{sync::Arc, time::Duration};

use starling_commitment::{Canonical, DType, Limits, blob_length};
use starling_model::data::{Manifest, batch, sample};
use starling_network::{Link, Node};
use starling_protocol::{Digest, config::RunConfig};
use tokio::sync::OnceCell;

/// Largest manifest: a million shards.
const MAX_MANIFEST: u64 = 64 << 20;
/// Patience for one blob.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tokens of a run, fetched when first needed.
#[derive(Debug)]
pub struct Tokens {
    node: Arc<Node>,
    link: Link,
    run: RunConfig,
    corpus: OnceCell<(Manifest, Vec<Canonical>)>,
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
    /// In words, if the corpus cannot be had or is not what the configuration needs.
    pub async fn of(&self, index: u32) -> Result<(Canonical, Canonical), String> {
        let (manifest, shards) = self.corpus.get_or_try_init(|| self.load()).await?;
        let t = &self.run.training;
        let windows = sample(manifest, self.run.seed, index, t.sequences_per_sample, t.sequence_length)
            .map_err(|e| e.to_string())?;
        batch(manifest, shards, &windows, t.sequence_length).map_err(|e| e.to_string())
    }

    async fn blob(&self, digest: &Digest, max: u64) -> Result<bytes::Bytes, String> {
        self.node
            .fetch(self.link.address(), Some(self.link.account()), digest, max, PATIENCE)
            .await
            .map_err(|e| e.to_string())
    }

    async fn load(&self) -> Result<(Manifest, Vec<Canonical>), String> {
        let bytes = self.blob(&self.run.data.manifest, MAX_MANIFEST).await?;
        let manifest = Manifest::decode_checked(&bytes).map_err(|e| e.to_string())?;
        let mut shards = Vec::with_capacity(manifest.shards.len());
        for shard in &manifest.shards {
            let max_bytes = blob_length(DType::I64, &[shard.tokens]).map_err(|e| e.to_string())?;
            let bytes = self.blob(&shard.digest, max_bytes).await?;
            shards.push(Canonical::decode(bytes, Limits { max_bytes, max_rank: 1 }).map_err(|e| e.to_string())?);
        }
        Ok((manifest, shards))
    }
}
