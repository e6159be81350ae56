//! One supervised websocket to one of the chain's nodes.
//!
//! Invariant: every request has a deadline. A dropped connection is made again by whoever needs it next, with growing pauses, to the
//! next node where there are several; before a connection is used, its node has shown the same genesis and the same final block as the
//! ones before. Requests that only read are asked again; a request that changes something never is ([`Link::request_once`]).

use std::{
    sync::{
        Arc, Mutex as StdMutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jsonrpsee::{
    core::client::{Error as RpcError, Subscription, SubscriptionClientT as _},
    ws_client::WsClient,
};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{
    BlockRef, ChainError, Endpoints,
    answers::{RequestError, discarded, refused, request_on, together, too_many},
    client::{bad_answer, parse_hash, parse_number},
    dial::{DialError, dial, root_cause},
    endpoints::Roster,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Nodes of one chain see its final blocks at different moments; one that is further behind than this is stuck or syncing.
const BEHIND: u32 = 10;
const STALL: Duration = Duration::from_secs(90);

/// A connection that is made again when lost.
#[derive(Debug)]
pub struct Link {
    roster: Roster,
    timeout: Duration,
    stall: Duration,
    genesis: OnceLock<[u8; 32]>,
    slot: Mutex<Option<Connection>>,
    /// A second connection, to an endpoint that keeps what the first has discarded.
    archive: Mutex<Option<Connection>>,
    /// The highest final number heard of.
    finalized: AtomicU32,
    /// The highest final block seen with its hash, and when its number last grew.
    seen: StdMutex<Option<(BlockRef, Instant)>>,
}

/// An open websocket.
#[derive(Debug, Clone)]
struct Connection {
    index: usize,
    client: Arc<WsClient>,
}

impl Link {
    /// A link that connects when first used.
    pub fn new(endpoints: &Endpoints, timeout: Duration) -> Self {
        let genesis = OnceLock::new();
        if let Some(hash) = endpoints.genesis {
            let _ = genesis.set(hash);
        }
        Self {
            roster: Roster::new(endpoints.urls.clone()),
            timeout,
            stall: endpoints.stall.unwrap_or(STALL),
            genesis,
            slot: Mutex::default(),
            archive: Mutex::default(),
            finalized: AtomicU32::new(0),
            seen: StdMutex::default(),
        }
    }

    /// Deadline of one request.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The chain's block 0, once connected.
    pub fn genesis(&self) -> Option<[u8; 32]> {
        self.genesis.get().copied()
    }

    /// The endpoint in use, or the preferred one.
    pub async fn url(&self) -> String {
        let index = self.slot.lock().await.as_ref().map_or(0, |open| open.index);
        self.roster.url(index).to_owned()
    }

    /// How many endpoints there are.
    pub fn endpoints(&self) -> usize {
        self.roster.len()
    }

    fn several(&self) -> bool {
        self.roster.len() > 1
    }

    /// Patience with one endpoint: of several, each gets its turn within the deadline.
    fn share(&self) -> Duration {
        self.timeout / u32::try_from(self.roster.len().max(1)).unwrap_or(u32::MAX)
    }

    /// Opens the connection if there is none.
    ///
    /// # Errors
    /// Why no endpoint can be used.
    pub async fn connect(&self) -> Result<(), ChainError> {
        self.connection().await.map(drop)
    }

    async fn connection(&self) -> Result<Connection, ChainError> {
        let mut slot = self.slot.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.client.is_connected()) {
            return Ok(open.clone());
        }
        let before = slot.take().map(|open| open.index);
        let (mut tried, mut failures) = (Vec::new(), Vec::new());
        while tried.len() < self.roster.len() {
            let index = match self.roster.choose(&tried, Instant::now()) {
                Ok(index) => index,
                Err(error) => {
                    failures.push(error);
                    break;
                }
            };
            tried.push(index);
            match Box::pin(self.open(index)).await {
                Ok(client) => {
                    let open = Connection { index, client: Arc::new(client) };
                    *slot = Some(open.clone());
                    let url = self.roster.url(index);
                    match before {
                        Some(other) if other != index => tracing::warn!("the chain is now asked at {url}"),
                        _ => tracing::debug!(url, "connected to the chain"),
                    }
                    return Ok(open);
                }
                Err(error) => {
                    if self.several() {
                        tracing::warn!("{error}");
                    }
                    failures.push(error);
                }
            }
        }
        Err(together(failures))
    }

    /// Opens one endpoint and makes sure that it serves this chain.
    async fn open(&self, index: usize) -> Result<WsClient, ChainError> {
        let url = self.roster.url(index).to_owned();
        let failed = |reason: String| {
            self.roster.failed(index, reason.clone(), Instant::now());
            ChainError::Unreachable { url: url.clone(), reason }
        };
        let client = match dial(&url, self.share()).await {
            Ok(client) => client,
            Err(DialError::Invalid(error)) => return Err(error),
            Err(DialError::Limited { after, reason }) => return Err(self.limited(index, after, reason)),
            Err(DialError::Failed(reason)) => return Err(failed(reason)),
        };
        match Box::pin(timeout(self.share(), self.identify(index, &client))).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(RequestError::Refused(error))) => Err(error),
            Ok(Err(RequestError::Lost(reason))) => Err(failed(reason)),
            Err(_) => Err(failed(format!("connected, but no answer within {} s", self.share().as_secs_f32()))),
        }
    }

    /// Genesis and the newest final block seen must be the same as elsewhere.
    async fn identify(&self, index: usize, client: &WsClient) -> Result<(), RequestError> {
        let url = self.roster.url(index);
        let odd = |error: ChainError| RequestError::Lost(error.to_string());
        let hash_at = async |number: u32| -> Result<Option<[u8; 32]>, RequestError> {
            let answer: Option<String> = request_on(client, "chain_getBlockHash", vec![json!(number)]).await?;
            let Some(answer) = answer else { return Ok(None) };
            parse_hash(&answer).map(Some).ok_or_else(|| odd(bad_answer("chain_getBlockHash", &answer)))
        };
        let seen = self.seen().map(|(block, _)| block);
        let theirs = hash_at(0).await?.ok_or_else(|| RequestError::Lost("the node has no block 0".into()))?;
        let ours = *self.genesis.get_or_init(|| theirs);
        if ours != theirs {
            let error = ChainError::Invalid(format!(
                "{url} serves another chain: its block 0 is 0x{}, that of this network 0x{}; take it out of the endpoints, or choose its network",
                hex::encode(theirs),
                hex::encode(ours)
            ));
            self.roster.banned(index, error.clone());
            return Err(RequestError::Refused(error));
        }
        let Some(seen) = seen else { return Ok(()) };
        match hash_at(seen.number).await? {
            Some(hash) if hash == seen.hash => Ok(()),
            Some(_) => self.rewound(&format!("{url} has another block {} than was final before", seen.number)),
            None if !self.several() => Ok(()),
            None => {
                let head: String = request_on(client, "chain_getFinalizedHead", Vec::new()).await?;
                let header: Json = request_on(client, "chain_getHeader", vec![json!(head)]).await?;
                let number = header.get("number").and_then(Json::as_str).and_then(parse_number).unwrap_or(0);
                if number.saturating_add(BEHIND) >= seen.number {
                    return Ok(());
                }
                Err(RequestError::Lost(format!("it is at block {number}, and {} was final already", seen.number)))
            }
        }
    }

    /// Final blocks were taken back. Another endpoint is believed rather than this one; where there is none, its word is all there is.
    fn rewound(&self, what: &str) -> Result<(), RequestError> {
        if self.several() {
            return Err(RequestError::Lost(what.to_owned()));
        }
        tracing::warn!("{what}: the chain was rewound or replaced; going on with what it says now");
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.finalized.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn limited(&self, index: usize, after: Option<Duration>, reason: String) -> ChainError {
        let rest = self.roster.limited(index, after, reason.clone(), Instant::now());
        let url = self.roster.url(index).to_owned();
        tracing::warn!("{url}: {reason}; it is left alone for {} s", rest.as_secs_f32());
        ChainError::Unreachable {
            url,
            reason: format!("{reason}; it may be asked again in {} s", rest.as_secs_f32().ceil()),
        }
    }

    fn seen(&self) -> Option<(BlockRef, Instant)> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest number known to be final; 0 if none was seen.
    pub fn last_finalized(&self) -> u32 {
        self.finalized.load(Ordering::Relaxed)
    }

    /// A final number was heard of.
    pub fn saw_finalized(&self, number: u32) {
        self.finalized.fetch_max(number, Ordering::Relaxed);
    }

    /// Judges what the node says is its newest final block: true if it is to be believed, false if another endpoint is to be asked.
    pub async fn judge_head(&self, block: BlockRef) -> bool {
        let last = self.last_finalized();
        if block.number.saturating_add(BEHIND) < last {
            let what = format!("block {} is its newest final one, and {last} was final already", block.number);
            if self.distrust(&what).await {
                return false;
            }
            tracing::warn!("{}: {what}: the node was rewound or is behind", self.url().await);
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.finalized.store(block.number, Ordering::Relaxed);
        }
        let now = Instant::now();
        let stalled = match self.seen() {
            Some((seen, since)) if block.number <= seen.number => now.saturating_duration_since(since) > self.stall,
            _ => {
                self.saw_finalized(block.number);
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((block, now));
                false
            }
        };
        if stalled && self.several() {
            // Once per stall: if no other knows more, the chain itself stands.
            if let Some((_, since)) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                *since = now;
            }
            let what = format!("nothing after block {} became final for {} s", block.number, self.stall.as_secs_f32());
            return !self.distrust(&what).await;
        }
        true
    }

    /// Leaves the present endpoint for another, because of what it said. False if there is no other.
    pub async fn distrust(&self, what: &str) -> bool {
        if !self.several() {
            return false;
        }
        let mut slot = self.slot.lock().await;
        if let Some(open) = slot.as_ref() {
            tracing::warn!("{}: {what}; another endpoint is asked", self.roster.url(open.index));
            self.roster.failed(open.index, what.to_owned(), Instant::now());
            // Kept in the slot until the next one is open would mean to use it: closed now.
            *slot = None;
        }
        true
    }

    /// Asks until there is an answer or the deadline passes. For requests that change nothing.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], [`ChainError::Deadline`], [`ChainError::Node`], [`ChainError::Decode`].
    pub async fn request<T: DeserializeOwned + Send>(&self, method: &str, params: Vec<Json>) -> Result<T, ChainError> {
        self.request_as(method, params, Ok).await
    }

    /// As [`Link::request`]; an answer that `read` cannot read is one more reason to ask another endpoint.
    pub async fn request_as<T: DeserializeOwned + Send, U>(
        &self,
        method: &str,
        params: Vec<Json>,
        read: impl Fn(T) -> Result<U, ChainError>,
    ) -> Result<U, ChainError> {
        let mut pause = FIRST_PAUSE;
        let mut last: Option<ChainError> = None;
        let mut asked: Option<Connection> = None;
        let asking = async {
            loop {
                match self.connection().await {
                    // Nothing will change that.
                    Err(error @ ChainError::Invalid(_)) => return Err(error),
                    Err(error) => last = Some(error),
                    Ok(open) => {
                        last = None;
                        asked = Some(open.clone());
                        let answer = timeout(self.share(), request_on(&open.client, method, params.clone())).await;
                        let answer = match answer {
                            Ok(Ok(answer)) => read(answer).map_err(RequestError::Refused),
                            Ok(Err(error)) => Err(error),
                            Err(_) if self.several() => Err(RequestError::Lost(format!("no answer to {method}"))),
                            // The deadline itself.
                            Err(_) => return Err(self.late(method, open.index)),
                        };
                        match answer {
                            Ok(answer) => {
                                self.roster.well(open.index);
                                return Ok(answer);
                            }
                            Err(RequestError::Refused(error)) => {
                                if let Some(after) = too_many(&error) {
                                    last = Some(self.limited(open.index, after, error.to_string()));
                                    self.forget(&open).await;
                                } else if self.several() && matches!(error, ChainError::Decode { .. }) {
                                    self.failed(&open, &error.to_string()).await;
                                    last = Some(error);
                                } else if self.several() && discarded(&error) {
                                    // An old state is nobody's fault: another endpoint may keep it.
                                    let kept = Box::pin(self.elsewhere(open.index, method, &params)).await;
                                    return kept.map_or(Err(error), read);
                                } else {
                                    return Err(error);
                                }
                            }
                            Err(RequestError::Lost(reason)) => {
                                tracing::debug!(method, reason, "request lost, asking again");
                                self.failed(&open, &reason).await;
                                let url = self.roster.url(open.index).to_owned();
                                last = Some(ChainError::Unreachable { url, reason });
                            }
                        }
                    }
                }
                // Another endpoint is asked at once; where none is well, after a pause.
                if !self.several() || !self.roster.any_well(Instant::now()) {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        // Boxed: everything above nests this future, some of it six times over.
        match Box::pin(timeout(self.timeout, asking)).await {
            Ok(answer) => {
                if let (Err(ChainError::Deadline { .. }), Some(open)) = (&answer, asked) {
                    self.forget(&open).await;
                }
                answer
            }
            Err(_) => {
                let index = asked.as_ref().map_or(0, |open| open.index);
                // A connection that stays silent may be dead without anybody having been told: the next request makes a new one.
                if let Some(open) = asked {
                    self.forget(&open).await;
                }
                Err(last.unwrap_or_else(|| self.late(method, index)))
            }
        }
    }

    /// The answer of the first other endpoint that has one.
    async fn elsewhere<T: DeserializeOwned + Send>(&self, but: usize, method: &str, params: &[Json]) -> Option<T> {
        let mut slot = self.archive.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.client.is_connected() && open.index != but) {
            let asking = timeout(self.share(), request_on(&open.client, method, params.to_vec())).await;
            if let Ok(Ok(answer)) = asking {
                return Some(answer);
            }
        }
        *slot = None;
        for index in (0..self.roster.len()).filter(|index| *index != but) {
            let Ok(client) = self.open(index).await else { continue };
            let asking = timeout(self.share(), request_on(&client, method, params.to_vec())).await;
            if let Ok(Ok(answer)) = asking {
                tracing::debug!(url = self.roster.url(index), method, "an old state is read there");
                *slot = Some(Connection { index, client: Arc::new(client) });
                return Some(answer);
            }
        }
        None
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
        let mut left = self.roster.len();
        loop {
            let connecting = timeout(self.timeout, self.connection()).await;
            let open = connecting.unwrap_or_else(|_| Err(self.late(method, 0))).map_err(RequestError::Refused)?;
            return match Box::pin(timeout(self.timeout, request_on(&open.client, method, params.clone()))).await {
                Ok(Err(RequestError::Lost(reason))) => {
                    self.failed(&open, &reason).await;
                    Err(RequestError::Lost(reason))
                }
                Ok(Err(RequestError::Refused(error))) => match too_many(&error) {
                    // It was turned away at the door: another may be asked without fear of asking twice.
                    Some(after) => {
                        let error = self.limited(open.index, after, error.to_string());
                        self.forget(&open).await;
                        left = left.saturating_sub(1);
                        if left > 0 {
                            continue;
                        }
                        Err(RequestError::Refused(error))
                    }
                    None => Err(RequestError::Refused(error)),
                },
                Ok(Ok(answer)) => Ok(answer),
                Err(_) => {
                    let late = self.late(method, open.index).to_string();
                    self.failed(&open, &late).await;
                    Err(RequestError::Lost(late))
                }
            };
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
        let connecting = timeout(self.timeout, self.connection()).await;
        let open = connecting.unwrap_or_else(|_| Err(self.late(method, 0)))?;
        let subscribing = open.client.subscribe::<T, Vec<Json>>(method, Vec::new(), end);
        match timeout(self.share(), subscribing).await {
            Err(_) => {
                let late = self.late(method, open.index);
                self.failed(&open, &late.to_string()).await;
                Err(late)
            }
            Ok(Ok(subscription)) => Ok(subscription),
            Ok(Err(RpcError::Call(error))) => {
                let error = refused(method, &error);
                match too_many(&error) {
                    Some(after) => {
                        self.forget(&open).await;
                        Err(self.limited(open.index, after, error.to_string()))
                    }
                    None => Err(error),
                }
            }
            Ok(Err(error)) => {
                let reason = root_cause(&error);
                self.failed(&open, &reason).await;
                Err(ChainError::Unreachable { url: self.roster.url(open.index).to_owned(), reason })
            }
        }
    }

    fn late(&self, method: &str, index: usize) -> ChainError {
        ChainError::Deadline {
            waited_for: format!("an answer to {method} from {}", self.roster.url(index)),
            after: self.timeout,
            last: "connected, but silent".into(),
        }
    }

    /// The endpoint failed: its connection is dropped, and it rests.
    async fn failed(&self, open: &Connection, reason: &str) {
        self.roster.failed(open.index, reason.to_owned(), Instant::now());
        self.forget(open).await;
    }

    /// Drops a connection, unless somebody has made a new one meanwhile.
    async fn forget(&self, dropped: &Connection) {
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(|open| Arc::ptr_eq(&open.client, &dropped.client)) {
            *slot = None;
        }
    }
}
