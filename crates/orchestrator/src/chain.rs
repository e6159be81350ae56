//! What the orchestrator needs of the blockchain, as a seam: the real client in operation, a scripted one in tests.

use std::time::Duration;

use futures::future::BoxFuture;
use starling_chain::Client;
use starling_keys::{Account, Signer};
use starling_protocol::Uid;

/// Longest wait for one block; the public chain makes one every 12 seconds.
const BLOCK: Duration = Duration::from_secs(60);

/// A commitment: the block that holds it, and its bytes.
pub type Committed = (u32, Vec<u8>);

/// The blockchain. Every call ends by its own deadline.
pub trait Chain: Send + Sync + 'static {
    /// The newest final block, once there is a newer one than `last`.
    fn block_after(&self, last: Option<u32>) -> BoxFuture<'_, Result<u32, String>>;
    /// Slot of a hotkey on the run's subnet.
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>>;
    /// A hotkey's commitment on the run's subnet, and its block.
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Committed>, String>>;
    /// Write the orchestrator's own commitment.
    fn commit<'a>(&'a self, hotkey: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>>;
}

/// The real one.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Connection.
    pub client: Client,
    /// The run's subnet.
    pub netuid: u16,
}

impl Chain for Subnet {
    fn block_after(&self, last: Option<u32>) -> BoxFuture<'_, Result<u32, String>> {
        Box::pin(async move {
            if let Some(last) = last {
                self.client.wait_for_block(last.saturating_add(1), BLOCK).await.map_err(|e| e.to_string())?;
            }
            self.client.head().await.map(|b| b.number).map_err(|e| e.to_string())
        })
    }
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>> {
        Box::pin(async move { self.client.uid(self.netuid, &hotkey).await.map_err(|e| e.to_string()) })
    }
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Committed>, String>> {
        Box::pin(async move {
            let found = self.client.commitment(self.netuid, &hotkey, None).await.map_err(|e| e.to_string())?;
            Ok(found.map(|c| (c.block, c.data)))
        })
    }
    fn commit<'a>(&'a self, hotkey: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.client.set_commitment(hotkey, self.netuid, &data).await.map(|_| ()).map_err(|e| e.to_string())
        })
    }
}
