//! The `chainHead_v1` family: a subscription to the chain's head, and operations on the blocks that it pins.
//!
//! Follows the JSON-RPC interface specification as `subxt-rpcs` reads it. With instant finality a new block is announced, best and final
//! at once. Invariant: the state of a pinned block can be read; a client that keeps too many, or too old ones, is told to stop.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jsonrpsee::{
    Extensions, ResponsePayload, RpcModule, SubscriptionSink,
    core::{RegisterMethodError, SubscriptionResult, server::ConnectionId},
    server::PendingSubscriptionSink,
    types::{ErrorObjectOwned, SubscriptionId},
};
use parity_scale_codec::{Decode, Encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sp_core::{Bytes, H256};
use sp_runtime::traits::{BlakeTwo256, Hash};
use sp_state_machine::Backend;
use sp_trie::MerkleValue;
use tokio::sync::{broadcast::error::RecvError, mpsc};

use super::{hex, list, message, needed, optional};
use crate::{
    chain::Chain,
    execute::{self, State},
};

/// Follow subscriptions of one connection.
const MAX_FOLLOWS: usize = 16;
/// Blocks pinned by one subscription.
const MAX_PINNED: usize = 512;
/// Operations of one subscription at a time.
const MAX_OPERATIONS: usize = 256;
/// Keys in one storage operation; what is asked for beyond is left out, and the answer says how many.
const MAX_ITEMS: usize = 4096;
/// Items in one event.
const CHUNK: usize = 128;

/// One subscription.
struct Follow {
    sink: SubscriptionSink,
    pinned: Mutex<BTreeMap<H256, u32>>,
    /// Operations that run, and whether they shall stop.
    operations: Mutex<HashMap<String, Arc<AtomicBool>>>,
    names: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follow {
    /// A name for a new operation, and the flag that stops it; `None` if too many run.
    fn begin(&self) -> Option<(String, Arc<AtomicBool>)> {
        let mut operations = lock(&self.operations);
        if operations.len() >= MAX_OPERATIONS {
            return None;
        }
        let name = self.names.fetch_add(1, Ordering::Relaxed).to_string();
        let stop = Arc::new(AtomicBool::new(false));
        operations.insert(name.clone(), stop.clone());
        Some((name, stop))
    }

    fn end(&self, operation: &str) {
        lock(&self.operations).remove(operation);
    }

    fn stop(&self, operation: &str) {
        if let Some(stop) = lock(&self.operations).get(operation) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Pin a new block; false if this is one too many, or one that was never let go will soon have no state.
    fn pin(&self, hash: H256, number: u32, states: u32) -> bool {
        let mut pinned = lock(&self.pinned);
        pinned.insert(hash, number);
        let oldest = pinned.values().min().copied().unwrap_or(number);
        pinned.len() <= MAX_PINNED && number.saturating_sub(oldest) <= states / 4 * 3
    }
}

/// Subscriptions by connection and name.
#[derive(Default)]
struct Follows(Mutex<HashMap<(usize, String), Arc<Follow>>>);

impl Follows {
    fn get(&self, extensions: &Extensions, name: &str) -> Option<Arc<Follow>> {
        let connection = extensions.get::<ConnectionId>()?.0;
        lock(&self.0).get(&(connection, name.to_owned())).cloned()
    }
}

/// Takes a subscription out, and stops its operations, however it ends.
struct Entered {
    follows: Arc<Follows>,
    key: (usize, String),
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(follow) = lock(&self.follows.0).remove(&self.key) {
            lock(&follow.operations).values().for_each(|stop| stop.store(true, Ordering::Relaxed));
        }
    }
}

fn not_pinned() -> ErrorObjectOwned {
    ErrorObjectOwned::owned(-32801, "Invalid block hash: not pinned by this subscription", None::<()>)
}

type Response = ResponsePayload<'static, Value>;

fn limit_reached() -> Response {
    ResponsePayload::success(json!({ "result": "limitReached" }))
}

pub fn register(module: &mut RpcModule<Chain>) -> Result<(), RegisterMethodError> {
    let follows = Arc::new(Follows::default());

    let all = follows.clone();
    module.register_subscription(
        "chainHead_v1_follow",
        "chainHead_v1_followEvent",
        "chainHead_v1_unfollow",
        move |params, pending, chain, _| {
            let with_runtime = list(&params).and_then(|p: Vec<Value>| needed::<bool>(&p, 0));
            let follows = all.clone();
            async move {
                match with_runtime {
                    Ok(with_runtime) => follow(pending, chain, follows, with_runtime).await,
                    Err(error) => {
                        pending.reject(error).await;
                        Ok(())
                    }
                }
            }
        },
    )?;

    let all = follows.clone();
    module.register_method("chainHead_v1_header", move |params, chain, extensions| {
        let params = list(&params)?;
        let Some(follow) = all.get(extensions, &needed::<String>(&params, 0)?) else { return Ok(Value::Null) };
        let hash: H256 = needed(&params, 1)?;
        if !lock(&follow.pinned).contains_key(&hash) {
            return Err(not_pinned());
        }
        Ok(chain.block(Some(hash)).map_or(Value::Null, |block| hex(&block.header.encode())))
    })?;

    let all = follows.clone();
    module.register_method("chainHead_v1_unpin", move |params, _, extensions| {
        let params = list(&params)?;
        let Some(follow) = all.get(extensions, &needed::<String>(&params, 0)?) else { return Ok(Value::Null) };
        let hashes = match needed::<Value>(&params, 1)? {
            Value::Array(_) => needed::<Vec<H256>>(&params, 1)?,
            _ => vec![needed::<H256>(&params, 1)?],
        };
        let mut pinned = lock(&follow.pinned);
        if !hashes.iter().all(|hash| pinned.contains_key(hash)) {
            return Err(not_pinned());
        }
        pinned.retain(|hash, _| !hashes.contains(hash));
        Ok(Value::Null)
    })?;

    // Nothing ever waits for this: a client that reads slowly slows the operation down.
    module.register_method("chainHead_v1_continue", |_, _, _| Value::Null)?;

    let all = follows.clone();
    module.register_method("chainHead_v1_stopOperation", move |params, _, extensions| {
        let params = list(&params)?;
        if let Some(follow) = all.get(extensions, &needed::<String>(&params, 0)?) {
            follow.stop(&needed::<String>(&params, 1)?);
        }
        Ok::<_, ErrorObjectOwned>(Value::Null)
    })?;

    operation(module, "chainHead_v1_body", &follows, |_| {
        Ok(Task::new(|chain, hash, _| {
            let block = chain.block(Some(hash)).ok_or("the block is gone")?;
            let value: Vec<Value> = block.extrinsics.iter().map(|extrinsic| hex(extrinsic)).collect();
            Ok(json!({ "event": "operationBodyDone", "value": value }))
        }))
    })?;
    operation(module, "chainHead_v1_call", &follows, |params| {
        let (function, data) = (needed::<String>(params, 2)?, needed::<Bytes>(params, 3)?.0);
        Ok(Task::new(move |chain, hash, _| {
            let output = execute::call(&chain.state(Some(hash))?, &function, &data)?;
            Ok(json!({ "event": "operationCallDone", "output": hex(&output) }))
        }))
    })?;
    operation(module, "chainHead_v1_storage", &follows, |params| {
        let mut items: Vec<Query> = needed(params, 2)?;
        if optional::<Bytes>(params, 3)?.is_some() {
            // There are no child tries on this chain, so nothing is in them.
            items.clear();
        }
        let discarded = items.len().saturating_sub(MAX_ITEMS);
        items.truncate(MAX_ITEMS);
        let mut task = Task::new(move |chain, hash, emit| {
            let state = chain.state(Some(hash))?;
            let mut chunk = Chunk { items: Vec::new(), emit };
            for query in &items {
                if !query.answer(&state, &mut chunk)? {
                    break;
                }
            }
            chunk.flush();
            Ok(json!({ "event": "operationStorageDone" }))
        });
        task.discarded = Some(discarded);
        Ok(task)
    })
}

/// Sends an event; false if nobody wants more.
type Emit<'a> = &'a dyn Fn(Value) -> bool;
/// What an operation does on a thread of its own; its result is the last event.
type Work = Box<dyn FnOnce(&Chain, H256, Emit<'_>) -> Result<Value, String> + Send>;

struct Task {
    work: Work,
    discarded: Option<usize>,
}

impl Task {
    fn new(work: impl FnOnce(&Chain, H256, Emit<'_>) -> Result<Value, String> + Send + 'static) -> Self {
        Self { work: Box::new(work), discarded: None }
    }
}

/// Registers a method that starts an operation on a pinned block.
fn operation(
    module: &mut RpcModule<Chain>,
    name: &'static str,
    follows: &Arc<Follows>,
    task: fn(&[Value]) -> Result<Task, ErrorObjectOwned>,
) -> Result<(), RegisterMethodError> {
    let follows = follows.clone();
    module.register_async_method(name, move |params, chain, extensions| {
        let started = list(&params).and_then(|params| {
            // A subscription that is gone or never was: the specification wants this answer.
            let Some(follow) = follows.get(&extensions, &needed::<String>(&params, 0)?) else {
                return Ok(limit_reached());
            };
            let hash: H256 = needed(&params, 1)?;
            if !lock(&follow.pinned).contains_key(&hash) {
                return Err(not_pinned());
            }
            Ok(start(follow, chain, hash, task(&params)?))
        });
        async move { started.unwrap_or_else(ResponsePayload::error) }
    })?;
    Ok(())
}

/// Runs an operation; its events come after the answer that names it.
fn start(follow: Arc<Follow>, chain: Arc<Chain>, hash: H256, task: Task) -> Response {
    let Some((name, stop)) = follow.begin() else { return limit_reached() };
    let mut answer = json!({ "result": "started", "operationId": name });
    if let (Some(discarded), Some(answer)) = (task.discarded, answer.as_object_mut()) {
        answer.insert("discardedItems".into(), json!(discarded));
    }
    let (response, answered) = ResponsePayload::success(answer).notify_on_completion();
    tokio::spawn(async move {
        if answered.await.is_ok() {
            let (events, mut heard) = mpsc::channel::<Value>(4);
            tokio::task::spawn_blocking(move || {
                let emit = |event| !stop.load(Ordering::Relaxed) && events.blocking_send(event).is_ok();
                let done = (task.work)(&chain, hash, &emit);
                emit(done.unwrap_or_else(|error| json!({ "event": "operationError", "error": error })));
            });
            while let Some(mut event) = heard.recv().await {
                if let Some(event) = event.as_object_mut() {
                    event.insert("operationId".into(), json!(name));
                }
                let Ok(event) = message(&event) else { break };
                if follow.sink.send(event).await.is_err() {
                    break;
                }
            }
        }
        follow.end(&name);
    });
    response
}

/// Items on their way out.
struct Chunk<'a> {
    items: Vec<Value>,
    emit: Emit<'a>,
}

impl Chunk<'_> {
    /// False if nobody wants more.
    fn push(&mut self, item: Value) -> bool {
        self.items.push(item);
        self.items.len() < CHUNK || self.flush()
    }

    fn flush(&mut self) -> bool {
        let items = std::mem::take(&mut self.items);
        items.is_empty() || (self.emit)(json!({ "event": "operationStorageItems", "items": items }))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum QueryType {
    Value,
    Hash,
    ClosestDescendantMerkleValue,
    DescendantsValues,
    DescendantsHashes,
}

/// A storage item that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    key: Bytes,
    #[serde(rename = "type")]
    kind: QueryType,
}

impl Query {
    /// Puts what is there into the chunk; false if nobody wants more.
    fn answer(&self, state: &State, chunk: &mut Chunk<'_>) -> Result<bool, String> {
        let key = &self.key.0;
        let one = match self.kind {
            QueryType::Value => state.storage(key)?.map(|value| json!({ "value": hex(&value) })),
            QueryType::Hash => state.storage_hash(key)?.map(|hash| json!({ "hash": hash })),
            QueryType::ClosestDescendantMerkleValue => state.closest_merkle_value(key)?.map(|value| {
                let bytes = match value {
                    MerkleValue::Node(node) => node,
                    MerkleValue::Hash(hash) => hash.as_bytes().to_vec(),
                };
                json!({ "closestDescendantMerkleValue": hex(&bytes) })
            }),
            QueryType::DescendantsValues | QueryType::DescendantsHashes => {
                let mut args = sp_state_machine::IterArgs::default();
                args.prefix = Some(key);
                for pair in state.pairs(args)? {
                    let (key, value) = pair?;
                    let item = match self.kind {
                        QueryType::DescendantsValues => json!({ "key": hex(&key), "value": hex(&value) }),
                        _ => json!({ "key": hex(&key), "hash": BlakeTwo256::hash(&value) }),
                    };
                    if !chunk.push(item) {
                        return Ok(false);
                    }
                }
                None
            }
        };
        let Some(mut item) = one else { return Ok(true) };
        if let Some(item) = item.as_object_mut() {
            item.insert("key".into(), hex(key));
        }
        Ok(chunk.push(item))
    }
}

fn runtime(chain: &Chain, hash: H256) -> Result<Value, String> {
    let bytes = execute::call(&chain.state(Some(hash))?, "Core_version", &[])?;
    let version = sp_version::RuntimeVersion::decode(&mut &bytes[..]).map_err(|e| e.to_string())?;
    let apis: BTreeMap<String, u32> =
        version.apis.iter().map(|(id, number)| (format!("0x{}", hex::encode(id)), *number)).collect();
    Ok(json!({
        "specName": version.spec_name,
        "implName": version.impl_name,
        "specVersion": version.spec_version,
        "implVersion": version.impl_version,
        "transactionVersion": version.transaction_version,
        "apis": apis,
    }))
}

/// A block's runtime where it is not its parent's.
fn new_runtime(chain: &Chain, parent: H256, hash: H256) -> Value {
    match (chain.runtime(Some(parent)), chain.runtime(Some(hash))) {
        (Ok(before), Ok(after)) if before == after => Value::Null,
        _ => described(chain, hash),
    }
}

fn described(chain: &Chain, hash: H256) -> Value {
    match runtime(chain, hash) {
        Ok(spec) => json!({ "type": "valid", "spec": spec }),
        Err(error) => json!({ "type": "invalid", "error": error }),
    }
}

async fn follow(
    pending: PendingSubscriptionSink,
    chain: Arc<Chain>,
    follows: Arc<Follows>,
    with_runtime: bool,
) -> SubscriptionResult {
    let connection = pending.connection_id().0;
    let open = lock(&follows.0).keys().filter(|(owner, _)| *owner == connection).count();
    if open >= MAX_FOLLOWS {
        let error = format!("Maximum number of chainHead_v1_follow subscriptions reached: {MAX_FOLLOWS}");
        pending.reject(ErrorObjectOwned::owned(-32800, error, None::<()>)).await;
        return Ok(());
    }
    let mut made = chain.subscribe();
    let sink = pending.accept().await?;
    let name = match sink.subscription_id() {
        SubscriptionId::Str(name) => name.into_owned(),
        SubscriptionId::Num(number) => number.to_string(),
    };
    let (best, hash) = chain.best();
    let follow = Arc::new(Follow {
        sink: sink.clone(),
        pinned: Mutex::new(BTreeMap::from([(hash, best.number)])),
        operations: Mutex::default(),
        names: AtomicU64::new(1),
    });
    let key = (connection, name);
    lock(&follows.0).insert(key.clone(), follow.clone());
    let _entered = Entered { follows, key };

    let mut initialized = json!({ "event": "initialized", "finalizedBlockHashes": [hash] });
    if let (true, Some(initialized)) = (with_runtime, initialized.as_object_mut()) {
        initialized.insert("finalizedBlockRuntime".into(), described(&chain, hash));
    }
    sink.send(message(&initialized)?).await?;

    let (mut last, mut parent) = (best.number, hash);
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            block = made.recv() => if matches!(block, Err(RecvError::Closed)) { return Ok(()) },
        }
        let newest = chain.best().0.number;
        while last < newest {
            last = last.saturating_add(1);
            let Some(hash) = chain.hash(last) else { return Ok(()) };
            if !follow.pin(hash, last, chain.states()) {
                sink.send(message(&json!({ "event": "stop" }))?).await?;
                return Ok(());
            }
            let mut new = json!({ "event": "newBlock", "blockHash": hash, "parentBlockHash": parent });
            if let (true, Some(new)) = (with_runtime, new.as_object_mut()) {
                new.insert("newRuntime".into(), new_runtime(&chain, parent, hash));
            }
            sink.send(message(&new)?).await?;
            sink.send(message(&json!({ "event": "bestBlockChanged", "bestBlockHash": hash }))?).await?;
            let done = json!({ "event": "finalized", "finalizedBlockHashes": [hash], "prunedBlockHashes": [] });
            sink.send(message(&done)?).await?;
            parent = hash;
        }
    }
}
