//! The runtimes that a chain has shown: asked for by version, kept by version, from disk where they are there already.
//!
//! Invariant: a runtime is filed under the version of the block that it was asked at, and what is kept on disk was asked of one runtime only.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{
    ChainError, Client, cache,
    client::{bad_answer, hex_json, lock, parse_hash, parse_hex},
    runtime::{NEWEST_METADATA, Runtime, metadata_answer, metadata_request},
};

/// How long a runtime version is believed: half a public block.
const VERSION_AGE: Duration = Duration::from_secs(6);
/// Pinned blocks whose runtime version is remembered.
const REMEMBERED_BLOCKS: usize = 256;

#[derive(Default)]
pub(crate) struct Runtimes {
    current: Option<(Instant, Arc<Runtime>)>,
    by_spec: HashMap<u32, Arc<Runtime>>,
    /// Runtime version of blocks read at.
    by_block: HashMap<[u8; 32], u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub spec_version: u32,
    transaction_version: u32,
}

impl Client {
    pub(crate) async fn spec_at(&self, block: [u8; 32]) -> Result<u32, ChainError> {
        Ok(self.version(Some(block)).await?.spec_version)
    }

    pub(crate) async fn version(&self, at: Option<[u8; 32]>) -> Result<Version, ChainError> {
        self.link().request("state_getRuntimeVersion", at.iter().map(|hash| hex_json(hash)).collect()).await
    }

    /// The runtime at a block, or at the newest one.
    pub(crate) async fn runtime(&self, at: Option<[u8; 32]>) -> Result<Arc<Runtime>, ChainError> {
        {
            let runtimes = lock(&self.inner.runtimes);
            match at {
                None => {
                    if let Some((_, runtime)) =
                        runtimes.current.as_ref().filter(|(seen, _)| seen.elapsed() < VERSION_AGE)
                    {
                        return Ok(Arc::clone(runtime));
                    }
                }
                Some(hash) => {
                    if let Some(runtime) = runtimes.by_block.get(&hash).and_then(|spec| runtimes.by_spec.get(spec)) {
                        return Ok(Arc::clone(runtime));
                    }
                }
            }
        }
        // Boxed: it is rare, and every read nests it.
        Box::pin(self.fresh_runtime(at)).await
    }

    /// As [`Client::runtime`], after asking for the version now.
    pub(crate) async fn fresh_runtime(&self, at: Option<[u8; 32]>) -> Result<Arc<Runtime>, ChainError> {
        // A short command asks for the code at once, since it will want it; who knows runtimes already asks if there is a new one.
        let first = lock(&self.inner.runtimes).by_spec.is_empty();
        let code = async { if first { self.code_hash(at).await } else { Ok(None) } };
        let (version, code) = futures::try_join!(self.version(at), code)?;
        let known = lock(&self.inner.runtimes).by_spec.get(&version.spec_version).cloned();
        let runtime = match known {
            Some(runtime) => runtime,
            None => match self.fetch_runtime(&version, code, at).await {
                // What one node garbles another may say properly.
                Err(error @ ChainError::Decode { .. }) if self.link().distrust(&error.to_string()).await => {
                    Arc::new(self.fetch_runtime(&version, None, at).await?)
                }
                fetched => Arc::new(fetched?),
            },
        };
        let mut runtimes = lock(&self.inner.runtimes);
        runtimes.by_spec.insert(runtime.spec, Arc::clone(&runtime));
        match at {
            None => {
                let before = runtimes.current.replace((Instant::now(), Arc::clone(&runtime)));
                if let Some((_, before)) = before.filter(|(_, before)| before.spec != runtime.spec) {
                    tracing::info!(from = before.spec, to = runtime.spec, "the chain's runtime was upgraded");
                }
            }
            Some(hash) => {
                if runtimes.by_block.len() >= REMEMBERED_BLOCKS {
                    runtimes.by_block.clear();
                }
                runtimes.by_block.insert(hash, runtime.spec);
            }
        }
        Ok(runtime)
    }

    /// The runtime of a version: from disk if it is kept there, else from the node.
    async fn fetch_runtime(
        &self,
        version: &Version,
        code: Option<[u8; 32]>,
        at: Option<[u8; 32]>,
    ) -> Result<Runtime, ChainError> {
        let build =
            |bytes: &[u8]| Runtime::new(bytes, version.spec_version, version.transaction_version, self.inner.genesis);
        let code = match code {
            None => self.code_hash(at).await?,
            code => code,
        };
        let kept = self.inner.cache.as_ref().zip(code).map(|(folder, code)| (folder, self.cache_key(version, code)));
        if let Some((folder, key)) = &kept
            && let Some(bytes) = cache::load(folder, key)
        {
            match build(&bytes) {
                Ok(runtime) => return Ok(runtime),
                Err(_) => cache::forget(folder, key),
            }
        }
        let bytes = self.fetch_metadata(at).await?;
        let runtime = build(&bytes)?;
        // Only what was asked of one runtime: an upgrade in between would put the new one's words under the old one's name.
        if let Some((folder, key)) = &kept
            && self.code_hash(at).await? == Some(key.code)
        {
            cache::store(folder, key, &bytes);
        }
        Ok(runtime)
    }

    fn cache_key(&self, version: &Version, code: [u8; 32]) -> cache::Key {
        let (spec, transaction) = (version.spec_version, version.transaction_version);
        cache::Key { genesis: self.inner.genesis, spec, transaction, code }
    }

    /// The hash of the runtime's code; `None` where nothing is kept under it, and from nodes that do not tell.
    async fn code_hash(&self, at: Option<[u8; 32]>) -> Result<Option<[u8; 32]>, ChainError> {
        if self.inner.cache.is_none() {
            return Ok(None);
        }
        let mut params = vec![hex_json(b":code")];
        params.extend(at.iter().map(|hash| hex_json(hash)));
        match self.link().request::<Option<String>>("state_getStorageHash", params).await {
            Ok(hash) => Ok(hash.as_deref().and_then(parse_hash)),
            Err(ChainError::Node { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest metadata that both sides know.
    async fn fetch_metadata(&self, at: Option<[u8; 32]>) -> Result<Vec<u8>, ChainError> {
        for newest in [NEWEST_METADATA, 15] {
            let answer = self.state_call("Metadata_metadata_at_version", &metadata_request(newest), at).await;
            match answer {
                Ok(bytes) => {
                    if let Some(metadata) = metadata_answer(&bytes)? {
                        return Ok(metadata.to_vec());
                    }
                }
                // Runtimes of before 2023 do not have the method: state_getMetadata below serves them.
                Err(ChainError::Node { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let params = at.iter().map(|hash| hex_json(hash)).collect();
        let read = |text: String| parse_hex(&text).ok_or_else(|| bad_answer("state_getMetadata", &text));
        self.link().request_as("state_getMetadata", params, read).await
    }
}
