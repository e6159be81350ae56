//! JSON-RPC as public nodes serve it (chain.md 8.6, localnet.md): what subxt's backends, polkadot.js and the Python clients use.
//!
//! Here: the methods that answer at once, and subscriptions to heads and storage. [`transactions`]: what ends in the pool.
//! [`chain_head`]: the `chainHead_v1` family. [`proofs`]: key ranges and read proofs. [`subtensor`]: the subtensor's own names. [`dev`]: what only a local chain has.

mod chain_head;
mod dev;
mod proofs;
mod subtensor;
mod transactions;

use std::sync::Arc;

use jsonrpsee::{
    RpcModule, SubscriptionMessage,
    core::{RegisterMethodError, SubscriptionResult},
    server::PendingSubscriptionSink,
    types::{ErrorObjectOwned, Params},
};
use parity_scale_codec::{Decode, Encode};
use serde::Serialize;
use serde_json::{Value, json};
use sp_core::{Bytes, H256};
use sp_runtime::AccountId32;
use sp_state_machine::Backend;
use tokio::sync::broadcast::error::RecvError;

use crate::{chain::Chain, execute};

/// Most keys in one page, values in one query.
const MAX_KEYS: usize = 1000;

type Answer = Result<Value, ErrorObjectOwned>;

fn failed(reason: impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(4003, format!("Client error: {reason}"), None::<()>)
}

fn invalid_params(reason: impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(-32602, format!("Invalid params: {reason}"), None::<()>)
}

fn to_json(value: &impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(failed)
}

fn hex(bytes: &[u8]) -> Value {
    Value::String(format!("0x{}", hex::encode(bytes)))
}

/// Positional parameter `index`, absent and null alike.
fn optional<T: serde::de::DeserializeOwned>(params: &[Value], index: usize) -> Result<Option<T>, ErrorObjectOwned> {
    match params.get(index) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| invalid_params(format!("number {}: {e}", index + 1))),
    }
}

fn needed<T: serde::de::DeserializeOwned>(params: &[Value], index: usize) -> Result<T, ErrorObjectOwned> {
    optional(params, index)?.ok_or_else(|| invalid_params(format!("number {} is missing", index + 1)))
}

fn list(params: &Params<'_>) -> Result<Vec<Value>, ErrorObjectOwned> {
    if params.as_str().is_none_or(|s| s.trim().is_empty()) { Ok(Vec::new()) } else { params.parse() }
}

struct Methods {
    module: RpcModule<Chain>,
}

impl Methods {
    /// A method under several names.
    fn add(&mut self, names: &[&'static str], run: fn(&Chain, &[Value]) -> Answer) -> Result<(), RegisterMethodError> {
        let mut names = names.iter();
        if let Some(first) = names.next() {
            self.module.register_blocking_method(first, move |params, chain, _| {
                let params = list(&params)?;
                run(&chain, &params)
            })?;
            for alias in names {
                self.module.register_alias(alias, first)?;
            }
        }
        Ok(())
    }
}

fn state_call(chain: &Chain, method: &str, data: &[u8], at: Option<H256>) -> Result<Vec<u8>, ErrorObjectOwned> {
    execute::call(&chain.state(at).map_err(failed)?, method, data).map_err(failed)
}

fn storage(chain: &Chain, key: &[u8], at: Option<H256>) -> Result<Option<Vec<u8>>, ErrorObjectOwned> {
    chain.state(at).map_err(failed)?.storage(key).map_err(failed)
}

fn runtime_version(chain: &Chain, params: &[Value]) -> Answer {
    let at = optional::<H256>(params, 0)?;
    let bytes = state_call(chain, "Core_version", &[], at)?;
    to_json(&sp_version::RuntimeVersion::decode(&mut &bytes[..]).map_err(failed)?)
}

fn header(chain: &Chain, params: &[Value]) -> Answer {
    match chain.block(optional(params, 0)?) {
        Some(block) => to_json(&block.header),
        None => Ok(Value::Null),
    }
}

fn changes(chain: &Chain, keys: &[Bytes], at: Option<H256>) -> Answer {
    if keys.len() > MAX_KEYS {
        return Err(invalid_params(format!("{} keys in one query; at most {MAX_KEYS} are answered", keys.len())));
    }
    let block = chain.block(at).ok_or_else(|| failed("UnknownBlock"))?;
    let hash = block.header.hash();
    let mut found = Vec::new();
    for key in keys {
        found.push(json!([key, storage(chain, &key.0, Some(hash))?.map(Bytes)]));
    }
    Ok(json!({ "block": hash, "changes": found }))
}

pub fn module(chain: Arc<Chain>) -> Result<RpcModule<Chain>, RegisterMethodError> {
    let mut m = Methods { module: RpcModule::from_arc(chain) };

    m.add(&["chain_getBlockHash", "chain_getHead"], |chain, p| {
        let one = |v: &Value| -> Answer {
            let number = match v {
                Value::Null => return to_json(&chain.best().1),
                Value::Number(n) => n.as_u64(),
                Value::String(s) => {
                    s.strip_prefix("0x").map_or_else(|| s.parse().ok(), |s| u64::from_str_radix(s, 16).ok())
                }
                _ => None,
            };
            let number =
                number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| invalid_params("not a block number"))?;
            to_json(&chain.hash(number))
        };
        match p.first() {
            Some(Value::Array(many)) => {
                many.iter().take(MAX_KEYS).map(one).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Some(other) => one(other),
            None => one(&Value::Null),
        }
    })?;
    m.add(&["chain_getFinalizedHead", "chain_getFinalisedHead"], |chain, _| to_json(&chain.best().1))?;
    m.add(&["chain_getHeader"], header)?;
    m.add(&["chain_getBlock"], |chain, p| {
        let Some(block) = chain.block(optional(p, 0)?) else { return Ok(Value::Null) };
        let extrinsics: Vec<Value> = block.extrinsics.iter().map(|x| hex(x)).collect();
        Ok(json!({ "block": { "header": block.header, "extrinsics": extrinsics }, "justifications": null }))
    })?;
    m.add(&["state_getStorage", "state_getStorageAt"], |chain, p| {
        to_json(&storage(chain, &needed::<Bytes>(p, 0)?.0, optional(p, 1)?)?.map(Bytes))
    })?;
    m.add(&["state_getStorageHash", "state_getStorageHashAt"], |chain, p| {
        to_json(&chain.state(optional(p, 1)?).map_err(failed)?.storage_hash(&needed::<Bytes>(p, 0)?.0).map_err(failed)?)
    })?;
    m.add(&["state_getStorageSize", "state_getStorageSizeAt"], |chain, p| {
        to_json(&storage(chain, &needed::<Bytes>(p, 0)?.0, optional(p, 1)?)?.map(|v| v.len()))
    })?;
    m.add(&["state_getKeysPaged", "state_getKeysPagedAt"], |chain, p| {
        let prefix = optional::<Bytes>(p, 0)?.unwrap_or(Bytes(Vec::new())).0;
        let count = needed::<usize>(p, 1)?.min(MAX_KEYS);
        let after = optional::<Bytes>(p, 2)?.map(|b| b.0);
        let state = chain.state(optional(p, 3)?).map_err(failed)?;
        let mut args = sp_state_machine::IterArgs::default();
        args.prefix = Some(&prefix);
        args.start_at = after.as_deref();
        args.start_at_exclusive = after.is_some();
        let keys = state.keys(args).map_err(failed)?;
        let keys: Vec<Bytes> =
            keys.take(count).collect::<Result<Vec<_>, _>>().map_err(failed)?.into_iter().map(Bytes).collect();
        to_json(&keys)
    })?;
    m.add(&["state_queryStorageAt"], |chain, p| {
        Ok(json!([changes(chain, &needed::<Vec<Bytes>>(p, 0)?, optional(p, 1)?)?]))
    })?;
    m.add(&["state_getMetadata"], |chain, p| {
        let bytes = state_call(chain, "Metadata_metadata", &[], optional(p, 0)?)?;
        Ok(hex(&Vec::<u8>::decode(&mut &bytes[..]).map_err(failed)?))
    })?;
    m.add(&["state_getRuntimeVersion", "chain_getRuntimeVersion"], runtime_version)?;
    m.add(&["state_call", "state_callAt"], |chain, p| {
        let method: String = needed(p, 0)?;
        Ok(hex(&state_call(chain, &method, &needed::<Bytes>(p, 1)?.0, optional(p, 2)?)?))
    })?;
    m.add(&["system_accountNextIndex", "account_nextIndex"], |chain, p| {
        let text: String = needed(p, 0)?;
        let account = <AccountId32 as sp_core::crypto::Ss58Codec>::from_string(&text)
            .map_err(|e| invalid_params(format!("`{text}` is not an account: {e:?}")))?;
        to_json(&chain.next_nonce(&account).map_err(failed)?)
    })?;
    m.add(&["payment_queryInfo"], |chain, p| {
        let extrinsic = needed::<Bytes>(p, 0)?.0;
        let mut data = extrinsic.clone();
        (extrinsic.len() as u32).encode_to(&mut data);
        let bytes = state_call(chain, "TransactionPaymentApi_query_info", &data, optional(p, 1)?)?;
        let mut input = &bytes[..];
        let weight = sp_runtime::Weight::decode(&mut input).map_err(failed)?;
        let class = u8::decode(&mut input).map_err(failed)?;
        let fee = u64::decode(&mut input).map_err(failed)?;
        let class = ["normal", "operational", "mandatory"].get(usize::from(class)).copied().unwrap_or("normal");
        Ok(json!({ "weight": { "ref_time": weight.ref_time(), "proof_size": weight.proof_size() }, "class": class, "partialFee": fee.to_string() }))
    })?;
    m.add(&["system_chain", "chainSpec_v1_chainName"], |_, _| Ok(json!("Bittensor")))?;
    m.add(&["chainSpec_v1_genesisHash"], |chain, _| to_json(&chain.hash(0)))?;
    m.add(&["system_chainType"], |_, _| Ok(json!("Development")))?;
    m.add(&["system_name"], |_, _| Ok(json!("Starling localnet")))?;
    m.add(&["system_version"], |_, _| Ok(json!(env!("CARGO_PKG_VERSION"))))?;
    m.add(&["system_properties", "chainSpec_v1_properties"], |_, _| {
        Ok(json!({ "ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO" }))
    })?;
    m.add(&["system_health"], |_, _| Ok(json!({ "peers": 0, "isSyncing": false, "shouldHavePeers": false })))?;
    m.add(&["system_peers"], |_, _| Ok(json!([])))?;
    m.add(&["system_localListenAddresses"], |_, _| Ok(json!([])))?;
    m.add(&["system_syncState"], |chain, _| {
        let best = chain.best().0.number;
        Ok(json!({ "startingBlock": 0, "currentBlock": best, "highestBlock": best }))
    })?;
    m.add(&["system_dryRun", "system_dryRunAt"], |chain, p| {
        Ok(hex(&chain.dry_run(&needed::<Bytes>(p, 0)?.0, optional(p, 1)?).map_err(failed)?))
    })?;
    proofs::register(&mut m)?;
    subtensor::register(&mut m)?;
    dev::register(&mut m)?;
    m.add(&["system_nodeRoles"], |_, _| Ok(json!(["Authority"])))?;
    m.add(&["system_localPeerId"], |_, _| Ok(json!("starling-localnet")))?;

    let mut module = m.module;
    for (subscribe, event, unsubscribe, aliases) in [
        (
            "chain_subscribeNewHeads",
            "chain_newHead",
            "chain_unsubscribeNewHeads",
            [("chain_subscribeNewHead", "chain_unsubscribeNewHead"), ("subscribe_newHead", "unsubscribe_newHead")]
                .as_slice(),
        ),
        ("chain_subscribeAllHeads", "chain_allHead", "chain_unsubscribeAllHeads", &[]),
        (
            "chain_subscribeFinalizedHeads",
            "chain_finalizedHead",
            "chain_unsubscribeFinalizedHeads",
            &[("chain_subscribeFinalisedHeads", "chain_unsubscribeFinalisedHeads")],
        ),
    ] {
        module.register_subscription(subscribe, event, unsubscribe, |_, sink, chain, _| heads(sink, chain))?;
        for (s, u) in aliases {
            module.register_alias(s, subscribe)?;
            module.register_alias(u, unsubscribe)?;
        }
    }
    module.register_subscription(
        "state_subscribeRuntimeVersion",
        "state_runtimeVersion",
        "state_unsubscribeRuntimeVersion",
        |_, pending, chain, _| async move { watch_version(pending, chain).await },
    )?;
    module.register_alias("chain_subscribeRuntimeVersion", "state_subscribeRuntimeVersion")?;
    module.register_alias("chain_unsubscribeRuntimeVersion", "state_unsubscribeRuntimeVersion")?;
    module.register_subscription(
        "state_subscribeStorage",
        "state_storage",
        "state_unsubscribeStorage",
        |params, pending, chain, _| {
            let keys = list(&params).and_then(|p: Vec<Value>| needed::<Vec<Bytes>>(&p, 0));
            async move {
                let keys = match keys {
                    Ok(keys) => keys,
                    Err(error) => {
                        pending.reject(error).await;
                        return SubscriptionResult::Ok(());
                    }
                };
                watch_storage(pending, chain, keys).await
            }
        },
    )?;
    transactions::register(&mut module)?;
    chain_head::register(&mut module)?;
    let mut names: Vec<&'static str> = module.method_names().chain(["rpc_methods"]).collect();
    names.sort_unstable();
    module.register_method("rpc_methods", move |_, _, _| json!({ "methods": names }))?;
    Ok(module)
}

fn message(value: &impl Serialize) -> Result<SubscriptionMessage, serde_json::Error> {
    Ok(serde_json::value::to_raw_value(value)?.into())
}

/// Every head, in order, also to one who reads slowly.
async fn heads(pending: PendingSubscriptionSink, chain: Arc<Chain>) -> SubscriptionResult {
    let mut made = chain.subscribe();
    let sink = pending.accept().await?;
    let (best, _) = chain.best();
    let mut next = best.number;
    loop {
        let best = chain.best().0.number;
        while next <= best {
            if let Some(block) = chain.hash(next).and_then(|hash| chain.block(Some(hash))) {
                sink.send(message(&block.header)?).await?;
            }
            next = next.saturating_add(1);
        }
        tokio::select! {
            () = sink.closed() => return Ok(()),
            block = made.recv() => if matches!(block, Err(RecvError::Closed)) { return Ok(()) },
        }
    }
}

/// The runtime's version now, and again whenever it changes.
async fn watch_version(pending: PendingSubscriptionSink, chain: Arc<Chain>) -> SubscriptionResult {
    let mut made = chain.subscribe();
    let sink = pending.accept().await?;
    let mut told = None;
    loop {
        let runtime = chain.runtime(None).map_err(failed)?;
        if told != Some(runtime) {
            sink.send(message(&runtime_version(&chain, &[])?)?).await?;
            told = Some(runtime);
        }
        tokio::select! {
            () = sink.closed() => return Ok(()),
            block = made.recv() => if matches!(block, Err(RecvError::Closed)) { return Ok(()) },
        }
    }
}

async fn watch_storage(pending: PendingSubscriptionSink, chain: Arc<Chain>, keys: Vec<Bytes>) -> SubscriptionResult {
    let mut made = chain.subscribe();
    let sink = pending.accept().await?;
    sink.send(message(&changes(&chain, &keys, None)?)?).await?;
    loop {
        let block = tokio::select! {
            () = sink.closed() => return Ok(()),
            block = made.recv() => block,
        };
        let found = match block {
            Ok(block) => {
                let touched = block.touched.iter().filter(|(key, _)| keys.iter().any(|k| k.0 == *key));
                let found: Vec<Value> =
                    touched.map(|(key, value)| json!([Bytes(key.clone()), value.clone().map(Bytes)])).collect();
                if found.is_empty() {
                    continue;
                }
                json!({ "block": block.hash, "changes": found })
            }
            // Too slow to hear of every block: what the keys hold now.
            Err(RecvError::Lagged(_)) => changes(&chain, &keys, None)?,
            Err(RecvError::Closed) => return Ok(()),
        };
        sink.send(message(&found)?).await?;
    }
}
