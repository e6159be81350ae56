//! Fetching what a receipt commits to, from the miner that signed it.
//!
//! Invariant: a blob is believed because its BLAKE3 hash is the one in the receipt, not because of who sent it. A miner that does
//! not open within the window has withheld, whatever the reason: otherwise losing a blob would be free.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use parity_scale_codec::DecodeAll;
use starling_commitment::{Canonical, Limits};
use starling_keys::Account;
use starling_network::{Node, PeerAddress};
use starling_protocol::Digest;
use tokio::{sync::Mutex, time::Instant};

/// Pause between two tries at one opening.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens commitments and remembers what it fetched, to drop it when the audit is over.
#[derive(Debug)]
pub struct Openings {
    node: Arc<Node>,
    per_try: Duration,
    limits: Limits,
    fetched: Mutex<BTreeSet<Digest>>,
}

/// The miner did not open this in time; `reason` is the last error seen.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{miner} did not open {digest:?}: {reason}")]
pub struct Withheld {
    /// Who should have.
    pub miner: Account,
    /// What.
    pub digest: Digest,
    /// The last error.
    pub reason: String,
}

impl Openings {
    /// `per_try` is one fetch's deadline, `limits` bound any tensor of the run.
    #[must_use]
    pub fn new(node: Arc<Node>, per_try: Duration, limits: Limits) -> Self {
        Self { node, per_try, limits, fetched: Mutex::new(BTreeSet::new()) }
    }

    /// The tensor behind `digest`, from `miner` (or from the local store), trying until `until`.
    ///
    /// # Errors
    /// [`Withheld`].
    pub async fn tensor(
        &self,
        miner: &Account,
        address: &[u8],
        digest: &Digest,
        until: Instant,
    ) -> Result<Canonical, Withheld> {
        let withheld = |reason: String| Withheld { miner: *miner, digest: *digest, reason };
        let bytes = self.bytes(miner, address, digest, until).await?;
        Canonical::decode(bytes, self.limits)
            .map_err(|e| withheld(format!("what it committed to is not a tensor: {e}")))
    }

    async fn bytes(&self, miner: &Account, address: &[u8], digest: &Digest, until: Instant) -> Result<Bytes, Withheld> {
        let withheld = |reason: String| Withheld { miner: *miner, digest: *digest, reason };
        let peer = PeerAddress::decode_all(&mut &address[..])
            .map_err(|e| withheld(format!("its address is unreadable: {e}")))?;
        loop {
            match self.node.fetch(&peer, Some(miner), digest, self.limits.max_bytes, self.per_try).await {
                Ok(bytes) => {
                    self.fetched.lock().await.insert(*digest);
                    return Ok(bytes);
                }
                Err(error) => {
                    if Instant::now() + PAUSE >= until {
                        return Err(withheld(error.to_string()));
                    }
                    tracing::debug!(%miner, ?digest, %error, "opening failed, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Drop everything fetched so far.
    pub async fn forget(&self) {
        let all: Vec<Digest> = std::mem::take(&mut *self.fetched.lock().await).into_iter().collect();
        if let Err(error) = self.node.remove(&all).await {
            tracing::warn!(%error, "blobs of a finished audit stay in the store");
        }
    }
}
