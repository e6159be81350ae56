//! What a node's answer, or its silence, means: refused, lost, discarded, too many requests.

use std::time::Duration;

use jsonrpsee::{
    core::client::{ClientT as _, Error as RpcError},
    ws_client::WsClient,
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::{ChainError, dial::root_cause};

/// Why one request failed.
#[derive(Debug)]
pub enum RequestError {
    /// The node answered, and said no.
    Refused(ChainError),
    /// It is not known whether the node got it.
    Lost(String),
}

/// One error of several endpoints'.
pub(crate) fn together(mut failures: Vec<ChainError>) -> ChainError {
    if failures.len() < 2 {
        return failures.pop().unwrap_or_else(|| ChainError::Invalid("no endpoint was given".into()));
    }
    if let Some(contradiction) = failures.iter().find(|error| matches!(error, ChainError::Invalid(_))) {
        return contradiction.clone();
    }
    let each = failures.iter().map(|error| match error {
        ChainError::Unreachable { url, reason } => (url.clone(), reason.clone()),
        other => (String::new(), other.to_string()),
    });
    let (urls, reasons): (Vec<_>, Vec<_>) = each.unzip();
    ChainError::Unreachable { url: urls.join(", "), reason: reasons.join("; ") }
}

/// Whether a node no longer keeps the block or state that was asked for.
pub(crate) fn discarded(error: &ChainError) -> bool {
    let ChainError::Node { message, .. } = error else { return false };
    let message = message.to_ascii_lowercase();
    ["state already discarded", "unknown block", "unknownblock"].iter().any(|words| message.contains(words))
}

/// Whether a refusal is about the number of requests, not about this one; with the pause that it asks for.
pub(crate) fn too_many(error: &ChainError) -> Option<Option<Duration>> {
    let ChainError::Node { code, message, .. } = error else { return None };
    let message = message.to_ascii_lowercase();
    let said = ["too many requests", "rate limit", "429"].iter().any(|words| message.contains(words));
    // The pool's own rate limits are rules of the chain, and are told as custom errors.
    if !(said || *code == 429) || message.contains("custom error") {
        return None;
    }
    let after = ["retry after", "retry-after", "try again in"].iter().find_map(|words| {
        let rest = message.split_once(words)?.1.trim_start_matches([':', ' ', '=', '"']);
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok()
    });
    Some(after.map(|seconds| Duration::from_secs(seconds.into())))
}

/// One request on one connection.
pub(crate) async fn request_on<T: DeserializeOwned + Send>(
    client: &WsClient,
    method: &str,
    params: Vec<Json>,
) -> Result<T, RequestError> {
    match client.request::<T, Vec<Json>>(method, params).await {
        Ok(answer) => Ok(answer),
        Err(RpcError::Call(error)) => Err(RequestError::Refused(refused(method, &error))),
        Err(RpcError::ParseError(error)) => Err(RequestError::Refused(ChainError::Decode {
            what: format!("the answer to {method}"),
            spec: 0,
            reason: error.to_string(),
        })),
        Err(error) => Err(RequestError::Lost(root_cause(&error))),
    }
}

/// A node's "no", with its reason.
pub(crate) fn refused(method: &str, error: &jsonrpsee::types::ErrorObjectOwned) -> ChainError {
    // The reason proper is in `data`: "Custom error: 6", "Transaction is outdated".
    let data = error.data().map(|data| data.get().trim_matches('"').to_owned()).unwrap_or_default();
    let message = if data.is_empty() { error.message().to_owned() } else { format!("{}: {data}", error.message()) };
    ChainError::Node { method: method.to_owned(), code: error.code(), message: message.chars().take(1000).collect() }
}
