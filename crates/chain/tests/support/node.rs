//! A JSON-RPC node without a chain behind it: heads, metadata and refusals are what the test says.
//!
//! It speaks only the methods that the client uses. Hashes are block numbers written large, so that any fork or gap shows.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
    types::ErrorObjectOwned,
};
use parity_scale_codec::{Compact, Encode as _};
use serde_json::{Value as Json, json};
use tokio::sync::watch;

/// What the node does with a transaction.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Takes it, and never includes it.
    Take,
    /// Refuses it with a message and data.
    Refuse(&'static str, &'static str),
}

/// What the test may change at any time.
pub struct State {
    pub spec: u32,
    pub metadata: Vec<u8>,
    /// Blocks above the finalized one that the node knows already.
    pub unfinalized: u32,
    /// Transactions given, hex.
    pub submitted: Vec<String>,
    /// Answers to transactions, first to last; the last one stays.
    pub answers: Vec<Answer>,
    /// How often metadata was asked for.
    pub metadata_fetches: u32,
    /// Requests that get no answer at all.
    pub silent: Vec<&'static str>,
}

pub struct Node {
    state: Arc<Mutex<State>>,
    heads: watch::Sender<u32>,
    pub address: SocketAddr,
    handle: ServerHandle,
}

/// Metadata of a public runtime, or `None` (with a message) where it is not there.
pub fn metadata(file: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/metadata").join(file);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    bytes
}

pub fn hash(number: u32) -> [u8; 32] {
    let mut hash = [0xbb; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

fn hex_hash(number: u32) -> String {
    format!("0x{}", hex::encode(hash(number)))
}

fn header(number: u32) -> Json {
    json!({ "number": format!("{number:#x}"), "parentHash": hex_hash(number.saturating_sub(1)) })
}

fn number(params: &jsonrpsee::types::Params<'_>) -> Option<u32> {
    let given: Vec<Json> = params.parse().ok()?;
    match given.first()? {
        Json::Number(number) => number.as_u64().map(|number| number as u32),
        Json::String(text) => u32::from_str_radix(text.get(2..10)?, 16).ok(),
        _ => None,
    }
}

impl Node {
    pub async fn start(spec: u32, metadata: Vec<u8>, head: u32) -> Self {
        let state = State {
            spec,
            metadata,
            unfinalized: 0,
            submitted: Vec::new(),
            answers: vec![Answer::Take],
            metadata_fetches: 0,
            silent: Vec::new(),
        };
        let (state, heads) = (Arc::new(Mutex::new(state)), watch::Sender::new(head));
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let handle = server.start(module(Arc::clone(&state), heads.clone()));
        Self { state, heads, address, handle }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Finalizes up to `number` at once: subscribers hear of that one only.
    pub fn finalize(&self, number: u32) {
        self.heads.send_replace(number);
    }

    /// Closes every connection and the port.
    pub async fn stop(self) {
        self.handle.stop().unwrap();
        self.handle.stopped().await;
    }
}

struct Context {
    state: Arc<Mutex<State>>,
    heads: watch::Sender<u32>,
}

fn module(state: Arc<Mutex<State>>, heads: watch::Sender<u32>) -> RpcModule<Context> {
    let mut module = RpcModule::new(Context { state, heads });
    type Reply = Result<Json, ErrorObjectOwned>;
    let mut add = |name: &'static str, reply: fn(&Context, &jsonrpsee::types::Params<'_>) -> Reply| {
        module
            .register_async_method(name, move |params, context, _| async move {
                if context.state.lock().unwrap().silent.contains(&name) {
                    std::future::pending::<()>().await;
                }
                reply(&context, &params)
            })
            .unwrap();
    };
    add("chain_getBlockHash", |context, params| {
        let known = *context.heads.borrow() + context.state.lock().unwrap().unfinalized;
        let asked = number(params).unwrap();
        Ok(if asked <= known { json!(hex_hash(asked)) } else { Json::Null })
    });
    add("chain_getFinalizedHead", |context, _| Ok(json!(hex_hash(*context.heads.borrow()))));
    add("chain_getHeader", |_, params| Ok(header(number(params).unwrap())));
    add("chain_getBlock", |_, params| {
        Ok(json!({ "block": { "header": header(number(params).unwrap()), "extrinsics": ["0x00"] } }))
    });
    add("state_getRuntimeVersion", |context, _| {
        Ok(json!({ "specVersion": context.state.lock().unwrap().spec, "transactionVersion": 1 }))
    });
    add("state_getStorage", |_, _| Ok(Json::Null));
    // The runtime's code is its metadata here: another one, another hash.
    add("state_getStorageHash", |context, _| {
        let sum = sp_crypto_hashing::blake2_256(&context.state.lock().unwrap().metadata);
        Ok(json!(format!("0x{}", hex::encode(sum))))
    });
    add("state_call", |context, params| {
        let given: Vec<String> = params.parse().unwrap();
        assert_eq!(given[0], "Metadata_metadata_at_version");
        let mut state = context.state.lock().unwrap();
        let has = [u32::from(state.metadata[4])].encode();
        if hex::decode(&given[1][2..]).unwrap() != has[1..] && hex::decode(&given[1][2..]).unwrap() != has {
            return Ok(json!("0x00"));
        }
        state.metadata_fetches += 1;
        let length = Compact(state.metadata.len() as u32).encode();
        Ok(json!(format!("0x01{}{}", hex::encode(length), hex::encode(&state.metadata))))
    });
    add("system_accountNextIndex", |context, _| Ok(json!(context.state.lock().unwrap().submitted.len())));
    add("author_submitExtrinsic", |context, params| {
        let given: Vec<String> = params.parse().unwrap();
        let mut state = context.state.lock().unwrap();
        state.submitted.push(given[0].clone());
        let answer = if state.answers.len() > 1 { state.answers.remove(0) } else { state.answers[0].clone() };
        match answer {
            Answer::Take => Ok(json!(hex_hash(0))),
            Answer::Refuse(message, data) => Err(ErrorObjectOwned::owned(1010, message, Some(data))),
        }
    });
    module
        .register_subscription(
            "chain_subscribeFinalizedHeads",
            "chain_finalizedHead",
            "chain_unsubscribeFinalizedHeads",
            |_, pending, context, _| async move {
                let mut heads = context.heads.subscribe();
                heads.mark_unchanged();
                let Ok(sink) = pending.accept().await else { return };
                while heads.changed().await.is_ok() {
                    let head = *heads.borrow_and_update();
                    let message = serde_json::value::to_raw_value(&header(head)).unwrap();
                    if sink.send(message).await.is_err() {
                        return;
                    }
                }
            },
        )
        .unwrap();
    module
}
