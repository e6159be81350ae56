//! What a miner needs of the blockchain, as a seam: the real client in operation, a scripted one in tests.

use futures::future::BoxFuture;
use starling_chain::Client;
use starling_keys::{Account, Signer};
use starling_protocol::Uid;

/// The blockchain.
pub trait Chain: Send + Sync + 'static {
    /// Slot of a hotkey on the run's subnet.
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>>;
    /// A hotkey's commitment on the run's subnet.
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>>;
    /// Write this hotkey's commitment; `Ok` once it is final.
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
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>> {
        Box::pin(async move { self.client.uid(self.netuid, &hotkey).await.map_err(|e| e.to_string()) })
    }
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            let found = self.client.commitment(self.netuid, &hotkey, None).await.map_err(|e| e.to_string())?;
            Ok(found.map(|c| c.data))
        })
    }
    fn commit<'a>(&'a self, hotkey: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.client.set_commitment(hotkey, self.netuid, &data).await.map(|_| ()).map_err(|e| e.to_string())
        })
    }
}
