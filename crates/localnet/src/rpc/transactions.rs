//! Submitting transactions: the `author` methods, `transactionWatch_v1` and `transaction_v1`.
//!
//! Invariant: a watcher hears statuses in their order, the last of which is final; how a transaction is refused before it waits is an
//! error of the call in the old family and an event in the new one, as their specifications want it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use jsonrpsee::{
    Extensions, RpcModule,
    core::{RegisterMethodError, SubscriptionResult, server::ConnectionId},
    server::PendingSubscriptionSink,
    types::ErrorObjectOwned,
};
use serde_json::{Value, json};
use sp_core::Bytes;
use tokio::sync::mpsc;

use super::{list, message, needed, to_json};
use crate::{
    chain::Chain,
    pool::{Refused, Status},
};

/// Broadcasts that are remembered, of all connections together; the oldest are forgotten.
const MAX_BROADCASTS: usize = 4096;

fn refused(refused: Refused) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(refused.code, refused.message, refused.data)
}

/// Broadcasts begun and not stopped: connection and name.
#[derive(Default)]
struct Broadcasts(Mutex<VecDeque<(usize, String)>>);

fn connection(extensions: &Extensions) -> usize {
    extensions.get::<ConnectionId>().map_or(0, |id| id.0)
}

pub fn register(module: &mut RpcModule<Chain>) -> Result<(), RegisterMethodError> {
    module.register_blocking_method("author_submitExtrinsic", |params, chain, _| {
        let bytes = needed::<Bytes>(&list(&params)?, 0)?;
        to_json(&chain.submit(bytes.0, None).map_err(refused)?)
    })?;
    module.register_blocking_method("author_pendingExtrinsics", |_, chain, _| {
        to_json(&chain.waiting().iter().map(|bytes| super::hex(bytes)).collect::<Vec<_>>())
    })?;
    module.register_subscription(
        "author_submitAndWatchExtrinsic",
        "author_extrinsicUpdate",
        "author_unwatchExtrinsic",
        |params, pending, chain, _| {
            let bytes = list(&params).and_then(|p: Vec<Value>| needed::<Bytes>(&p, 0));
            async move { author_watch(pending, chain, bytes).await }
        },
    )?;
    module.register_subscription(
        "transactionWatch_v1_submitAndWatch",
        "transactionWatch_v1_watchEvent",
        "transactionWatch_v1_unwatch",
        |params, pending, chain, _| {
            let bytes = list(&params).and_then(|p: Vec<Value>| needed::<Bytes>(&p, 0));
            async move { watch_v1(pending, chain, bytes).await }
        },
    )?;
    let begun = Arc::new(Broadcasts::default());
    let stopped = begun.clone();
    module.register_blocking_method("transaction_v1_broadcast", move |params, chain, extensions| {
        let bytes = needed::<Bytes>(&list(&params)?, 0)?;
        let connection = connection(&extensions);
        // There is nobody to send it to: it waits here, or it is not valid, of which this method does not tell.
        let name = match chain.submit(bytes.0, None) {
            Ok(hash) => format!("{hash:?}"),
            Err(why) => {
                tracing::debug!(%why, "a broadcast transaction is refused");
                format!("0x{}", hex::encode(sp_core::H256::random()))
            }
        };
        let mut open = begun.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_BROADCASTS {
            open.pop_front();
        }
        open.push_back((connection, name.clone()));
        Ok::<_, ErrorObjectOwned>(json!(name))
    })?;
    module.register_blocking_method("transaction_v1_stop", move |params, _, extensions| {
        let name: String = needed(&list(&params)?, 0)?;
        let mut open = stopped.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (connection(&extensions), name);
        match open.iter().position(|entry| *entry == wanted) {
            Some(position) => {
                open.remove(position);
                Ok(Value::Null)
            }
            None => Err(super::invalid_params("there is no such broadcast")),
        }
    })?;
    Ok(())
}

/// Submits off the asynchronous threads: checking a signature and a state takes milliseconds.
async fn submit(
    chain: &Arc<Chain>,
    bytes: Vec<u8>,
) -> Result<Result<mpsc::UnboundedReceiver<Status>, Refused>, tokio::task::JoinError> {
    let (tell, hear) = mpsc::unbounded_channel();
    let chain = chain.clone();
    tokio::task::spawn_blocking(move || chain.submit(bytes, Some(tell)).map(|_| hear)).await
}

async fn author_watch(
    pending: PendingSubscriptionSink,
    chain: Arc<Chain>,
    bytes: Result<Bytes, ErrorObjectOwned>,
) -> SubscriptionResult {
    let submitted = match bytes {
        Ok(bytes) => submit(&chain, bytes.0).await?.map_err(refused),
        Err(error) => Err(error),
    };
    let mut statuses = match submitted {
        Ok(statuses) => statuses,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    loop {
        let status = tokio::select! {
            () = sink.closed() => return Ok(()),
            status = statuses.recv() => status,
        };
        let Some(status) = status else { return Ok(()) };
        sink.send(message(&status.legacy())?).await?;
        if status.is_last() {
            return Ok(());
        }
    }
}

async fn watch_v1(
    pending: PendingSubscriptionSink,
    chain: Arc<Chain>,
    bytes: Result<Bytes, ErrorObjectOwned>,
) -> SubscriptionResult {
    let bytes = match bytes {
        Ok(bytes) => bytes.0,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    let mut statuses = match submit(&chain, bytes).await? {
        Ok(statuses) => statuses,
        Err(why) => {
            // 1016 is the pool's own limit; everything else is the transaction's fault.
            let event = if why.code == 1016 { "dropped" } else { "invalid" };
            sink.send(message(&json!({ "event": event, "error": why.to_string() }))?).await?;
            return Ok(());
        }
    };
    loop {
        let status = tokio::select! {
            () = sink.closed() => return Ok(()),
            status = statuses.recv() => status,
        };
        let Some(status) = status else { return Ok(()) };
        if let Some(event) = status.modern() {
            sink.send(message(&event)?).await?;
        }
        if status.is_last() {
            return Ok(());
        }
    }
}
