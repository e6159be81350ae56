//! Blobs by BLAKE3 hash: put, get, fetch whole or in part, remove.
//!
//! Invariant: bytes handed out hash to the digest asked for. What is kept carries a tag of its own name; removing the tag lets
//! the store's collector reclaim the space within a minute or so.

use std::{ops::Range, path::Path, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use iroh_blobs::{
    Hash, HashAndFormat,
    api::remote::GetProgressItem,
    protocol::{ChunkRanges, ChunkRangesExt, GetRequest},
    store::{GcConfig, fs::{FsStore, options::Options}},
};
use starling_protocol::{Digest, keys::Account};

use crate::{NetworkError, Node, PeerAddress, node::within};

/// How often space of removed blobs is reclaimed.
const RECLAIM: Duration = Duration::from_secs(45);

pub(crate) async fn open(path: &Path) -> Result<FsStore, NetworkError> {
    let failed = |reason: String| NetworkError::Store { path: path.to_owned(), reason };
    let root = path.join("blobs");
    std::fs::create_dir_all(&root).map_err(|e| failed(e.to_string()))?;
    let mut options = Options::new(&root);
    options.gc = Some(GcConfig { interval: RECLAIM, add_protected: None });
    FsStore::load_with_opts(root.join("blobs.db"), options).await.map_err(|e| failed(format!("{e:#}")))
}

fn hash(digest: &Digest) -> Hash {
    Hash::from_bytes(digest.0)
}

fn tag(digest: &Digest) -> String {
    digest.to_string()
}

impl Node {
    fn failed(&self, error: &dyn std::fmt::Display) -> NetworkError {
        NetworkError::Store { path: self.shared.config.store.clone(), reason: error.to_string() }
    }

    /// Keep bytes and serve them by their digest.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, NetworkError> {
        let digest = Digest::of(&bytes);
        self.store.blobs().add_bytes(bytes).with_named_tag(tag(&digest)).await.map_err(|e| self.failed(&e))?;
        Ok(digest)
    }

    /// True if the whole blob is here.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn has(&self, digest: &Digest) -> Result<bool, NetworkError> {
        self.store.blobs().has(hash(digest)).await.map_err(|e| self.failed(&e))
    }

    /// The blob, if it is here and whole.
    ///
    /// # Errors
    /// [`NetworkError::Store`]; a damaged file is one.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, NetworkError> {
        if !self.has(digest).await? {
            return Ok(None);
        }
        let bytes = self.store.blobs().get_bytes(hash(digest)).await.map_err(|e| self.failed(&e))?;
        if Digest::of(&bytes) != *digest {
            return Err(self.failed(&format!("blob {digest:?} is damaged on disk")));
        }
        Ok(Some(bytes))
    }

    /// Stop keeping these blobs.
    ///
    /// # Errors
    /// [`NetworkError::Store`].
    pub async fn remove(&self, digests: &[Digest]) -> Result<(), NetworkError> {
        for digest in digests {
            self.store.tags().delete(tag(digest)).await.map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    /// A connection for blobs; the handshake comes first, or the peer serves nothing.
    async fn blobs_of(&self, peer: &PeerAddress, expect: Option<&Account>) -> Result<iroh::endpoint::Connection, NetworkError> {
        self.connected(peer, expect).await?;
        let mut all = self.blob_connections.lock().await;
        if let Some(connection) = all.get(&peer.endpoint).filter(|c| c.close_reason().is_none()) {
            return Ok(connection.clone());
        }
        let addr = peer.endpoint_addr().map_err(NetworkError::Address)?;
        let connection = self
            .endpoint
            .connect(addr, iroh_blobs::ALPN)
            .await
            .map_err(|e| NetworkError::Unreachable { peer: peer.to_string(), reason: format!("{e:#}") })?;
        all.insert(peer.endpoint, connection.clone());
        Ok(connection)
    }

    async fn download(&self, peer: &PeerAddress, expect: Option<&Account>, digest: &Digest, request: GetRequest, limit: u64) -> Result<(), NetworkError> {
        let connection = self.blobs_of(peer, expect).await?;
        let mut progress = self.store.remote().execute_get(connection, request).stream();
        while let Some(item) = progress.next().await {
            match item {
                GetProgressItem::Progress(bytes) if bytes > limit => {
                    return Err(NetworkError::TooLarge { what: "a blob", bytes, limit });
                }
                GetProgressItem::Progress(_) | GetProgressItem::Done(_) => {}
                GetProgressItem::Error(error) => {
                    return Err(NetworkError::Missing { peer: peer.to_string(), digest: *digest, reason: format!("{error:#}") });
                }
            }
        }
        Ok(())
    }

    /// The blob: from the local store, or verified while it comes from `peer`, and kept.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn fetch(&self, peer: &PeerAddress, expect: Option<&Account>, digest: &Digest, max_bytes: u64, deadline: Duration) -> Result<Bytes, NetworkError> {
        if let Some(bytes) = self.get(digest).await? {
            return Ok(bytes);
        }
        within(deadline, peer, "a blob", async {
            // The proof travels along and is a little longer than nothing: 64 bytes per 16 KiB.
            self.download(peer, expect, digest, GetRequest::blob(hash(digest)), max_bytes.saturating_add(max_bytes / 128)).await?;
            self.store.tags().set(tag(digest), HashAndFormat::raw(hash(digest))).await.map_err(|e| self.failed(&e))?;
            let bytes = self.get(digest).await?.ok_or_else(|| NetworkError::Missing {
                peer: peer.to_string(),
                digest: *digest,
                reason: "it was not sent whole".into(),
            })?;
            if bytes.len() as u64 > max_bytes {
                return Err(NetworkError::TooLarge { what: "a blob", bytes: bytes.len() as u64, limit: max_bytes });
            }
            Ok(bytes)
        })
        .await
    }

    /// Bytes `range` of the blob, proven to stand there.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn fetch_range(&self, peer: &PeerAddress, expect: Option<&Account>, digest: &Digest, range: Range<u64>, deadline: Duration) -> Result<Bytes, NetworkError> {
        if let Some(bytes) = self.get(digest).await? {
            let slice = bytes.get(range.start as usize..range.end as usize);
            return slice.map(Bytes::copy_from_slice).ok_or(NetworkError::TooLarge { what: "a range that ends beyond a blob", bytes: range.end, limit: bytes.len() as u64 });
        }
        within(deadline, peer, "part of a blob", async {
            let request = GetRequest::blob_ranges(hash(digest), ChunkRanges::bytes(range.clone()));
            self.download(peer, expect, digest, request, range.end - range.start + (1 << 16)).await?;
            let bytes = self.store.blobs().export_ranges(hash(digest), range.clone()).concatenate().await.map_err(|e| self.failed(&e))?;
            if bytes.len() as u64 != range.end - range.start {
                return Err(NetworkError::Missing { peer: peer.to_string(), digest: *digest, reason: "the range lies outside the blob".into() });
            }
            Ok(bytes.into())
        })
        .await
    }
}
