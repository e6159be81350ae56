//! Finalized blocks, one after the other.
//!
//! Invariant: numbers go up by one, none is left out, whatever the connection does. The node's subscription only wakes this up; what
//! is delivered is asked for by number, because nodes skip blocks that are finalized together.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use jsonrpsee::core::client::Subscription;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    BlockRef, ChainError, Client, Event,
    client::{bad_answer, parse_number},
    outcome::events_of,
    value::{ShapeError, Value},
};

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct State {
    client: Client,
    /// The next block to deliver.
    next: u32,
    /// The newest finalized number known.
    finalized: Option<u32>,
    heads: Option<Subscription<Json>>,
    pause: Duration,
}

impl Client {
    /// Finalized blocks from the newest on, without gaps. The stream never ends: when the node is lost it yields one error per
    /// failed attempt, goes on trying, and then continues with the next number.
    ///
    /// # Errors
    /// If the newest block cannot be read now.
    pub async fn blocks(&self) -> Result<BoxStream<'static, Result<BlockRef, ChainError>>, ChainError> {
        let head = self.head().await?;
        Ok(self.blocks_from(head.number))
    }

    /// As [`Client::blocks`], from a given number on, which may be in the past (as far as the node keeps hashes) or the future.
    #[must_use]
    pub fn blocks_from(&self, first: u32) -> BoxStream<'static, Result<BlockRef, ChainError>> {
        let state = State {
            client: self.clone(),
            next: first,
            finalized: None,
            heads: None,
            pause: Duration::from_millis(100),
        };
        futures::stream::unfold(state, |mut state| async move {
            let item = state.next_block().await;
            Some((item, state))
        })
        .boxed()
    }

    /// Everything that happened in a block whose state the node still has, in order.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Node`] if the node has forgotten that state.
    pub async fn events(&self, block: &BlockRef) -> Result<Vec<Event>, ChainError> {
        self.events_in(block, |_| Ok(true)).await
    }

    /// What the chain itself did at the beginning of a block, before its transactions.
    pub(crate) async fn opening_events(&self, block: &BlockRef) -> Result<Vec<Event>, ChainError> {
        self.events_in(block, |phase| Ok(phase.as_variant("Initialization").is_some())).await
    }

    async fn events_in(
        &self,
        block: &BlockRef,
        phases: impl Fn(&Value) -> Result<bool, ShapeError>,
    ) -> Result<Vec<Event>, ChainError> {
        // Written by the runtime that made the block, which is its parent's: a block that upgrades has the next one's metadata already.
        let parent = match block.number.checked_sub(1) {
            Some(number) => self.block_hash(number).await?,
            None => None,
        };
        let runtime = match self.runtime(Some(parent.unwrap_or(block.hash))).await {
            // The node has forgotten that one state more; nearly always the runtime is the same.
            Err(ChainError::Node { .. }) => self.runtime(Some(block.hash)).await?,
            runtime => runtime?,
        };
        let query = runtime.storage("System", "Events", &[])?;
        let records = self.state_storage(&query.key, Some(block.hash)).await?;
        let records = runtime.read_storage(&query, records.as_deref())?.unwrap_or(Value::List(Vec::new()));
        events_of(&records, phases).map_err(ChainError::decode("System.Events", runtime.spec))
    }

    /// Waits until block `number` is final and returns it.
    ///
    /// # Errors
    /// [`ChainError::Deadline`] with the last block seen.
    pub async fn wait_for_block(&self, number: u32, deadline: Duration) -> Result<BlockRef, ChainError> {
        let end = Instant::now() + deadline;
        let mut blocks = self.blocks_from(number);
        let mut last_error = None;
        loop {
            match timeout_at(end, blocks.next()).await {
                Ok(Some(Ok(block))) => return Ok(block),
                Ok(Some(Err(error))) => last_error = Some(error),
                Ok(None) | Err(_) => {
                    let seen = self.last_finalized();
                    let last = match last_error {
                        Some(error) => format!("the last finalized block seen is {seen}; {error}"),
                        None => format!("the last finalized block seen is {seen}"),
                    };
                    return Err(ChainError::Deadline { waited_for: format!("block {number}"), after: deadline, last });
                }
            }
        }
    }
}

impl State {
    async fn next_block(&mut self) -> Result<BlockRef, ChainError> {
        loop {
            if self.finalized.is_some_and(|finalized| self.next <= finalized) {
                match self.client.block_hash(self.next).await {
                    Ok(Some(hash)) => {
                        let block = BlockRef { number: self.next, hash };
                        self.next = self.next.saturating_add(1);
                        self.pause = Duration::from_millis(100);
                        return Ok(block);
                    }
                    // The node stands behind one asked before (another node behind the same address): wait for it.
                    Ok(None) => self.finalized = None,
                    Err(error) => return Err(self.failed(error).await),
                }
            }
            if let Err(error) = self.wait_for_head().await {
                return Err(self.failed(error).await);
            }
        }
    }

    /// Returns when something newer is final, or when it is time to look again.
    async fn wait_for_head(&mut self) -> Result<(), ChainError> {
        let Some(heads) = &mut self.heads else {
            // Subscribe first and look then, so that no block falls between.
            let method = "chain_subscribeFinalizedHeads";
            self.heads = Some(self.client.link().subscribe(method, "chain_unsubscribeFinalizedHeads").await?);
            self.finalized = Some(self.client.head().await?.number);
            return Ok(());
        };
        // A node that is alive but silent for this long is asked; a dead one is noticed so.
        match timeout(self.client.link().timeout(), heads.next()).await {
            Ok(Some(Ok(header))) => {
                let number = header.get("number").and_then(Json::as_str).and_then(parse_number);
                let number = number.ok_or_else(|| bad_answer("chain_subscribeFinalizedHeads", &header.to_string()))?;
                self.client.saw_finalized(number);
                self.finalized = Some(self.finalized.map_or(number, |known| known.max(number)));
            }
            Ok(Some(Err(error))) => {
                self.heads = None;
                return Err(bad_answer("chain_subscribeFinalizedHeads", &error.to_string()));
            }
            Ok(None) => self.heads = None,
            Err(_) => self.finalized = Some(self.client.head().await?.number),
        }
        Ok(())
    }

    async fn failed(&mut self, error: ChainError) -> ChainError {
        tracing::debug!(%error, next = self.next, "block stream interrupted");
        self.heads = None;
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        error
    }
}
