//! The client: one connection, the runtimes seen on it, and reads of storage and runtime APIs by name.
//!
//! Invariant: nothing is decoded with another runtime's metadata. A read at a given block uses that block's runtime; a read at
//! the newest block uses a runtime that was current at most half a public block ago, and is repeated after a look at the version if it
//! cannot be decoded. Metadata is fetched when first needed, so that connecting costs one request.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use starling_keys::Account;

use crate::{
    ChainError, Endpoints,
    link::Link,
    runtime::{ApiQuery, Runtime, StorageQuery},
    runtimes::Runtimes,
    submit::UnderWay,
    value::Value,
};

/// A block's number and hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u32,
    /// blake2_256 of its header.
    #[serde(with = "hex_hash")]
    pub hash: [u8; 32],
}

impl fmt::Debug for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} 0x{}…", self.number, hex::encode(&self.hash[..4]))
    }
}

mod hex_hash {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(hash)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_hash(&text).ok_or_else(|| D::Error::custom("expected 0x and 64 hex digits"))
    }
}

/// Deadlines of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Per request, connecting included.
    pub timeout: Duration,
    /// From submission to finality.
    pub inclusion_timeout: Duration,
}

impl Default for Options {
    /// 20 s per request; 3 minutes to be final, which is a dozen public blocks.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(20), inclusion_timeout: Duration::from_secs(180) }
    }
}

/// A chain, by one node of it at a time. Cheap to clone; clones share connection, metadata and the queue of submissions.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) mode: Mode,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is sent.
    Send,
    /// It is sent if no rule is known to be broken.
    Careful,
    /// It is not sent ([`Client::rehearsing`]).
    Rehearse,
}

/// An account's turn to submit, and what it has under way.
pub(crate) type Queue = Arc<tokio::sync::Mutex<Option<UnderWay>>>;

pub(crate) struct Inner {
    link: Link,
    options: Options,
    pub(crate) genesis: [u8; 32],
    /// Where metadata is kept.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) runtimes: Mutex<Runtimes>,
    queues: Mutex<HashMap<Account, Queue>>,
}

#[derive(Deserialize)]
struct Header {
    number: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("link", &self.inner.link).finish_non_exhaustive()
    }
}

/// Locks a mutex whose holders never panic while holding it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Client {
    /// Connects to a node's websocket, `ws://` or `wss://`.
    ///
    /// # Errors
    /// As [`Client::connect_to`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, ChainError> {
        Self::connect_to(&Endpoints::one(url), options).await
    }

    /// Connects to the first of several nodes that answers; the others stand in for it from then on.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`] at once if there is no node or it does not answer in time; [`ChainError::Invalid`] if an endpoint is
    /// none or serves another chain.
    pub async fn connect_to(endpoints: &Endpoints, options: Options) -> Result<Self, ChainError> {
        let odd = endpoints.urls.iter().find(|url| !(url.starts_with("ws://") || url.starts_with("wss://")));
        if let Some(url) = odd {
            return Err(ChainError::Invalid(format!("`{url}` is no chain endpoint: it starts with ws:// or wss://")));
        }
        let link = Link::new(endpoints, options.timeout);
        link.connect().await?;
        let genesis = link.genesis().ok_or_else(|| ChainError::Invalid("the chain has no block 0".into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                link,
                options,
                genesis,
                cache: endpoints.cache.clone(),
                runtimes: Mutex::default(),
                queues: Mutex::default(),
            }),
            mode: Mode::Send,
        })
    }

    /// The endpoint in use now.
    pub async fn url(&self) -> String {
        self.inner.link.url().await
    }

    /// The deadlines.
    #[must_use]
    pub fn options(&self) -> Options {
        self.inner.options
    }

    /// The hash of block 0, which names the chain.
    #[must_use]
    pub fn genesis_hash(&self) -> [u8; 32] {
        self.inner.genesis
    }

    /// The `spec_version` of the runtime at the newest block, asked now.
    ///
    /// # Errors
    /// [`ChainError`] of the connection.
    pub async fn spec_version(&self) -> Result<u32, ChainError> {
        Ok(self.version(None).await?.spec_version)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.inner.link
    }

    /// The queue in which an account's submissions stand.
    pub(crate) fn queue(&self, account: Account) -> Queue {
        Arc::clone(lock(&self.inner.queues).entry(account).or_default())
    }

    /// The newest finalized block.
    ///
    /// # Errors
    /// [`ChainError`] of the connection.
    pub async fn head(&self) -> Result<BlockRef, ChainError> {
        // Each endpoint once, and the first of them again: it may have come back.
        for _ in 0..=self.link().endpoints() {
            let read = |text: String| parse_hash(&text).ok_or_else(|| bad_answer("chain_getFinalizedHead", &text));
            let hash = self.link().request_as("chain_getFinalizedHead", Vec::new(), read).await?;
            let number = match self.block_number(hash).await {
                Ok(number) => number,
                // Another node was asked than the one that named the block, or the node forgot what it said.
                Err(error @ ChainError::NotFound(_)) => {
                    if self.link().distrust(&error.to_string()).await {
                        continue;
                    }
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            let block = BlockRef { number, hash };
            if self.link().judge_head(block).await {
                return Ok(block);
            }
        }
        let reason = format!("no endpoint goes on from block {}, which was final already", self.last_finalized());
        Err(ChainError::Unreachable { url: self.url().await, reason })
    }

    /// The number of a block.
    pub(crate) async fn block_number(&self, hash: [u8; 32]) -> Result<u32, ChainError> {
        let read = |header: Option<Header>| {
            let header = header
                .ok_or_else(|| ChainError::NotFound(format!("the node does not know block 0x{}", hex::encode(hash))))?;
            parse_number(&header.number).ok_or_else(|| bad_answer("chain_getHeader", &header.number))
        };
        self.link().request_as("chain_getHeader", vec![hex_json(&hash)], read).await
    }

    pub(crate) fn saw_finalized(&self, number: u32) {
        self.link().saw_finalized(number);
    }

    /// The highest number known to be final; 0 if none was seen.
    pub(crate) fn last_finalized(&self) -> u32 {
        self.link().last_finalized()
    }

    /// The hash of a finalized block: the beacon. `None` if that block is not final yet.
    ///
    /// # Errors
    /// [`ChainError`] of the connection.
    pub async fn block_hash(&self, number: u32) -> Result<Option<[u8; 32]>, ChainError> {
        // A block above the finalized head may still be replaced: a beacon drawn from it could be chosen by whoever builds it.
        if number > self.last_finalized() && number > self.head().await?.number {
            return Ok(None);
        }
        let read = |hash: Option<String>| {
            let Some(hash) = hash else { return Ok(None) };
            parse_hash(&hash).map(Some).ok_or_else(|| bad_answer("chain_getBlockHash", &hash))
        };
        self.link().request_as("chain_getBlockHash", vec![json!(number)], read).await
    }

    pub(crate) async fn state_call(
        &self,
        function: &str,
        arguments: &[u8],
        at: Option<[u8; 32]>,
    ) -> Result<Vec<u8>, ChainError> {
        let mut params = vec![json!(function), hex_json(arguments)];
        params.extend(at.iter().map(|hash| hex_json(hash)));
        let read = |answer: String| parse_hex(&answer).ok_or_else(|| bad_answer(function, &answer));
        self.link().request_as("state_call", params, read).await
    }

    pub(crate) async fn state_storage(&self, key: &[u8], at: Option<[u8; 32]>) -> Result<Option<Vec<u8>>, ChainError> {
        let mut params = vec![hex_json(key)];
        params.extend(at.iter().map(|hash| hex_json(hash)));
        let read = |answer: Option<String>| {
            answer.map(|text| parse_hex(&text).ok_or_else(|| bad_answer("state_getStorage", &text))).transpose()
        };
        self.link().request_as("state_getStorage", params, read).await
    }

    /// A storage value by pallet and entry name, with all keys given; the entry's default where it has one and is not set.
    /// `at` is a block hash, `None` the newest block.
    ///
    /// # Errors
    /// [`ChainError::Absent`] if this runtime has no such entry, [`ChainError::Decode`], and those of the connection.
    pub async fn storage(
        &self,
        pallet: &str,
        entry: &str,
        keys: &[Value],
        at: Option<[u8; 32]>,
    ) -> Result<Option<Value>, ChainError> {
        self.entry(pallet, entry, keys, at, true).await
    }

    /// As [`Client::storage`], but `None` for what is not set, default or not.
    pub(crate) async fn stored(
        &self,
        pallet: &str,
        entry: &str,
        keys: &[Value],
        at: Option<[u8; 32]>,
    ) -> Result<Option<Value>, ChainError> {
        self.entry(pallet, entry, keys, at, false).await
    }

    async fn entry(
        &self,
        pallet: &str,
        entry: &str,
        keys: &[Value],
        at: Option<[u8; 32]>,
        or_default: bool,
    ) -> Result<Option<Value>, ChainError> {
        let runtime = self.runtime(at).await?;
        let read = async |runtime: Arc<Runtime>| {
            let query: StorageQuery = runtime.storage(pallet, entry, keys)?;
            match self.state_storage(&query.key, at).await? {
                None if !or_default => Ok(None),
                bytes => runtime.read_storage(&query, bytes.as_deref()),
            }
        };
        match read(Arc::clone(&runtime)).await {
            Err(error) => read(self.after_upgrade(&runtime, error, at).await?).await,
            value => value,
        }
    }

    /// A storage value that must be there (set, or with a default).
    ///
    /// # Errors
    /// As [`Client::storage`], and [`ChainError::NotFound`].
    pub async fn storage_value(
        &self,
        pallet: &str,
        entry: &str,
        keys: &[Value],
        at: Option<[u8; 32]>,
    ) -> Result<Value, ChainError> {
        let value = self.storage(pallet, entry, keys, at).await?;
        value.ok_or_else(|| ChainError::NotFound(format!("storage {pallet}.{entry} is not set")))
    }

    /// A runtime API's answer, by trait and method name, arguments in the trait's order.
    ///
    /// # Errors
    /// [`ChainError::Absent`] if this runtime has no such method, [`ChainError::Decode`], and those of the connection.
    pub async fn api(
        &self,
        api: &str,
        method: &str,
        arguments: &[Value],
        at: Option<[u8; 32]>,
    ) -> Result<Value, ChainError> {
        let runtime = self.runtime(at).await?;
        let read = async |runtime: Arc<Runtime>| {
            let query: ApiQuery = runtime.api(api, method, arguments)?;
            let bytes = self.state_call(&query.function, &query.arguments, at).await?;
            runtime.read_api(&query, &bytes)
        };
        match read(Arc::clone(&runtime)).await {
            Err(error) => read(self.after_upgrade(&runtime, error, at).await?).await,
            value => value,
        }
    }

    /// The new runtime, if `error` may come from an upgrade since the version was last asked; else the error itself.
    async fn after_upgrade(
        &self,
        old: &Runtime,
        error: ChainError,
        at: Option<[u8; 32]>,
    ) -> Result<Arc<Runtime>, ChainError> {
        use ChainError::{Absent, Arguments, Decode, Node};
        if at.is_none() && matches!(error, Absent { .. } | Arguments { .. } | Decode { .. } | Node { .. }) {
            let new = Box::pin(self.fresh_runtime(None)).await?;
            if new.spec != old.spec {
                return Ok(new);
            }
        }
        // Bytes that do not fit the metadata may be this node's fault alone.
        if matches!(error, Decode { .. }) && self.link().distrust(&error.to_string()).await {
            return Box::pin(self.fresh_runtime(at)).await;
        }
        Err(error)
    }
}

/// 32 bytes from `0x` and 64 digits.
pub(crate) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    parse_hex(text)?.try_into().ok()
}

pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

/// A header's number, which nodes write as hex.
pub(crate) fn parse_number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

pub(crate) fn hex_json(bytes: &[u8]) -> Json {
    Json::String(format!("0x{}", hex::encode(bytes)))
}

pub(crate) fn bad_answer(method: &str, answer: &str) -> ChainError {
    let start: String = answer.chars().take(40).collect();
    ChainError::Decode { what: format!("the answer to {method}"), spec: 0, reason: format!("unexpected `{start}`") }
}
