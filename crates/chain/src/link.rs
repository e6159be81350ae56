//! One supervised websocket to one node.
//!
//! Invariant: every request has a deadline. A dropped connection is made again by whoever needs it next, with growing pauses;
//! requests that only read are then asked again, a request that changes something never is ([`Link::request_once`]).

use std::{sync::Arc, time::Duration};

use jsonrpsee::{
    client_transport::ws::Url,
    core::client::{ClientT as _, Error as RpcError, Subscription, SubscriptionClientT as _},
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::ChainError;

/// Largest answer taken from a node: metadata as hex is 0.6 MiB, a full metagraph 0.1 MiB.
const MAX_RESPONSE: u32 = 32 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that is made again when lost.
#[derive(Debug)]
pub struct Link {
    url: String,
    timeout: Duration,
    slot: Mutex<Option<Arc<WsClient>>>,
}

/// Why one request failed.
#[derive(Debug)]
pub enum RequestError {
    /// The node answered, and said no.
    Refused(ChainError),
    /// It is not known whether the node got it.
    Lost(String),
}

impl Link {
    /// A link that connects when first used.
    pub fn new(url: &str, timeout: Duration) -> Self {
        Self { url: url.to_owned(), timeout, slot: Mutex::new(None) }
    }

    /// Deadline of one request.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The connection, made now if there is none.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`].
    pub async fn connect(&self) -> Result<Arc<WsClient>, ChainError> {
        let mut slot = self.slot.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| client.is_connected()) {
            return Ok(Arc::clone(client));
        }
        *slot = None;
        self.resolve().await?;
        let build = WsClientBuilder::new()
            // The deadlines are kept here, where they can be explained; the library's own only have to be later.
            .connection_timeout(self.timeout * 2)
            .request_timeout(self.timeout * 2)
            .max_response_size(MAX_RESPONSE)
            .max_buffer_capacity_per_subscription(4096)
            // Idle connections are closed by proxies, and dead ones are silent: ask, and notice.
            .enable_ws_ping(
                PingConfig::new().ping_interval(Duration::from_secs(15)).inactive_limit(Duration::from_secs(40)),
            )
            .build(&self.url);
        let unreachable = |reason: String| ChainError::Unreachable { url: self.url.clone(), reason };
        let client = Box::pin(timeout(self.timeout, build))
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", self.timeout.as_secs_f32())))?
            .map_err(|error| unreachable(root_cause(&error)))?;
        let client = Arc::new(client);
        *slot = Some(Arc::clone(&client));
        tracing::debug!(url = %self.url, "connected to the chain");
        Ok(client)
    }

    /// Looks the host up within the deadline. The library below looks it up again, but blocks the thread while it does: a dead name
    /// server is found out here.
    async fn resolve(&self) -> Result<(), ChainError> {
        let unreachable = |reason: String| ChainError::Unreachable { url: self.url.clone(), reason };
        let url = Url::parse(&self.url)
            .map_err(|error| ChainError::Invalid(format!("`{}` is no chain endpoint: {error}", self.url)))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(ChainError::Invalid(format!("`{}` is no chain endpoint: it names no host", self.url)));
        };
        // IPv6 hosts stand in brackets in a URL, and without them elsewhere.
        let looking = tokio::net::lookup_host((host.trim_matches(['[', ']']), port));
        match timeout(self.timeout, looking).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unreachable(format!("{host}: {error}"))),
            Err(_) => Err(unreachable(format!("{host} was not resolved within {} s", self.timeout.as_secs_f32()))),
        }
    }

    /// Asks until there is an answer or the deadline passes. For requests that change nothing.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], [`ChainError::Deadline`], [`ChainError::Node`], [`ChainError::Decode`].
    pub async fn request<T: DeserializeOwned + Send>(&self, method: &str, params: Vec<Json>) -> Result<T, ChainError> {
        let mut pause = FIRST_PAUSE;
        let mut last: Option<ChainError> = None;
        let mut asked: Option<Arc<WsClient>> = None;
        let asking = async {
            loop {
                match self.connect().await {
                    Err(error) => last = Some(error),
                    Ok(client) => {
                        last = None;
                        asked = Some(Arc::clone(&client));
                        match request_on(&client, method, params.clone()).await {
                            Ok(answer) => return Ok(answer),
                            Err(RequestError::Refused(error)) => return Err(error),
                            Err(RequestError::Lost(reason)) => {
                                tracing::debug!(method, reason, "request lost, asking again");
                                last = Some(ChainError::Unreachable { url: self.url.clone(), reason });
                                self.forget(&client).await;
                            }
                        }
                    }
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        // Boxed: everything above nests this future, some of it six times over.
        match Box::pin(timeout(self.timeout, asking)).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection that stays silent may be dead without anybody having been told: the next request makes a new one.
                if let Some(client) = asked {
                    self.forget(&client).await;
                }
                Err(last.unwrap_or_else(|| self.late(method)))
            }
        }
    }

    /// Asks once: for requests that change something.
    ///
    /// # Errors
    /// [`RequestError`], which tells whether the node may have got it.
    pub async fn request_once<T: DeserializeOwned + Send>(
        &self,
        method: &str,
        params: Vec<Json>,
    ) -> Result<T, RequestError> {
        let client = self.connect().await.map_err(RequestError::Refused)?;
        match Box::pin(timeout(self.timeout, request_on(&client, method, params))).await {
            Ok(Err(RequestError::Lost(reason))) => {
                self.forget(&client).await;
                Err(RequestError::Lost(reason))
            }
            Ok(answer) => answer,
            Err(_) => {
                self.forget(&client).await;
                Err(RequestError::Lost(self.late(method).to_string()))
            }
        }
    }

    /// Subscribes on the present connection; the stream ends when that is lost.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], [`ChainError::Deadline`], [`ChainError::Node`].
    pub async fn subscribe<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        end: &str,
    ) -> Result<Subscription<T>, ChainError> {
        let client = self.connect().await?;
        let subscribing = client.subscribe::<T, Vec<Json>>(method, Vec::new(), end);
        match timeout(self.timeout, subscribing).await {
            Err(_) => Err(self.late(method)),
            Ok(Ok(subscription)) => Ok(subscription),
            Ok(Err(RpcError::Call(error))) => Err(refused(method, &error)),
            Ok(Err(error)) => {
                self.forget(&client).await;
                Err(ChainError::Unreachable { url: self.url.clone(), reason: root_cause(&error) })
            }
        }
    }

    fn late(&self, method: &str) -> ChainError {
        ChainError::Deadline {
            waited_for: format!("an answer to {method} from {}", self.url),
            after: self.timeout,
            last: "connected, but silent".into(),
        }
    }

    /// Drops a connection that failed, unless somebody has made a new one meanwhile.
    async fn forget(&self, failed: &Arc<WsClient>) {
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(|client| Arc::ptr_eq(client, failed)) {
            *slot = None;
        }
    }
}

async fn request_on<T: DeserializeOwned + Send>(
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

fn refused(method: &str, error: &jsonrpsee::types::ErrorObjectOwned) -> ChainError {
    // The reason proper is in `data`: "Custom error: 6", "Transaction is outdated".
    let data = error.data().map(|data| data.get().trim_matches('"').to_owned()).unwrap_or_default();
    let message = if data.is_empty() { error.message().to_owned() } else { format!("{}: {data}", error.message()) };
    ChainError::Node { method: method.to_owned(), code: error.code(), message: message.chars().take(1000).collect() }
}

/// The innermost reason: "Connection refused (os error 111)" rather than layers of "error in transport".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(inner) = deepest.source() {
        deepest = inner;
    }
    deepest.to_string()
}
