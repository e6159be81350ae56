//! The accepting side: who gets in, and how much each may ask.
//!
//! Invariant: on a connection, nothing but the handshake is read before both hotkeys are shown and the [`Admission`](crate::Admission) said
//! yes; it is asked again before every request, so whoever is struck off the metagraph is served no longer. Everything else a
//! peer can spend of ours (connections, streams, requests per second, bytes) is bounded by [`Limits`](crate::Limits).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use iroh::{
    endpoint::{Connection, RecvStream, SendStream},
    protocol::{AcceptError, ProtocolHandler},
};
use parity_scale_codec::Encode;
use starling_keys::{Account, Signer};
use starling_protocol::{Code, Refused};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    Admission, Handler, NetworkConfig, Peer,
    frame::{self, FrameError},
    handshake::{self, Hello, MAX_HELLO},
    push::{self, Desk},
    store::Store,
    transfer,
    transport::PEER_WINDOW,
};

/// How long a handshake, or being asked who may come in, may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// What both sides of a node share.
pub(crate) struct Shared {
    pub(crate) config: NetworkConfig,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) store: Arc<Store>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) own: [u8; 32],
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Is this hotkey let in, within a deadline?
    pub(crate) async fn admit(&self, who: &Account) -> Result<(), Refused> {
        let late = "the metagraph could not be read in time to see whether your hotkey is registered: try again";
        let asked = timeout(HANDSHAKE, self.admission.admit(who)).await;
        asked.unwrap_or_else(|_| Err(Refused::new(Code::ChainUnreadable, late)))
    }
}

/// What one hotkey uses of this node.
struct Usage {
    connections: usize,
    tokens: f64,
    at: Instant,
}

/// Accepts connections.
pub(crate) struct Door {
    shared: Arc<Shared>,
    handshakes: Semaphore,
    connections: Semaphore,
    peers: Arc<Mutex<HashMap<Account, Usage>>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// Counts a connection of a hotkey for as long as it lives.
struct Seat {
    account: Account,
    peers: Arc<Mutex<HashMap<Account, Usage>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = peers.get_mut(&self.account) {
            usage.connections -= 1;
            if usage.connections == 0 {
                peers.remove(&self.account);
            }
        }
    }
}

impl Seat {
    /// When the next request may be read, at the rate allowed.
    fn pace(&self, per_second: u32) -> Duration {
        let rate = f64::from(per_second.max(1));
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(usage) = peers.get_mut(&self.account) else { return Duration::ZERO };
        let now = Instant::now();
        usage.tokens = (usage.tokens + (now - usage.at).as_secs_f64() * rate).min(2.0 * rate) - 1.0;
        usage.at = now;
        if usage.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-usage.tokens / rate) }
    }
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let limits = shared.config.limits;
        Self {
            shared,
            handshakes: Semaphore::new(limits.handshakes),
            connections: Semaphore::new(limits.connections),
            peers: Arc::default(),
        }
    }

    fn seat(&self, account: Account) -> Result<Seat, Refused> {
        let limits = self.shared.config.limits;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            || Usage { connections: 0, tokens: 2.0 * f64::from(limits.requests_per_second), at: Instant::now() };
        let usage = peers.entry(account).or_insert_with(fresh);
        if usage.connections >= limits.peer_connections {
            let words = format!("hotkey {account} has {} connections open, more are not allowed", usage.connections);
            return Err(Refused::new(Code::TooManyConnections, words));
        }
        usage.connections += 1;
        drop(peers);
        Ok(Seat { account, peers: self.peers.clone() })
    }

    /// The listening side of the handshake; `None` if the peer was told why not.
    async fn greet(&self, connection: &Connection, endpoint: [u8; 32]) -> Result<Option<Seat>, FrameError> {
        let shared = &self.shared;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(FrameError::lost)?;
        let (_, bytes) = frame::read(&mut receive, MAX_HELLO).await?;
        let config = &shared.config;
        let channel = handshake::channel(connection).map_err(FrameError::Lost)?;
        let ends = handshake::Ends { own: shared.own, peer: endpoint, channel };
        let seated = match Hello::check(&bytes, config.protocol_version, config.run, &ends, None) {
            Ok(account) => shared.admit(&account).await.and_then(|()| self.seat(account)),
            Err(error) => Err(error.refusal()),
        };
        match seated {
            Ok(seat) => {
                connection.set_receive_window(PEER_WINDOW.into());
                let hello = Hello::new(config.protocol_version, config.run, &ends, shared.signer.as_ref());
                frame::write_last(&mut send, frame::OK, &hello.encode()).await?;
                Ok(Some(seat))
            }
            Err(why) => {
                tracing::debug!(%why, "a peer was not let in");
                frame::refuse(&mut send, &why).await?;
                // The words must be out before the connection is closed over them.
                let _ = timeout(Duration::from_secs(2), send.stopped()).await;
                Ok(None)
            }
        }
    }

    async fn serve(&self, connection: &Connection, peer: Peer, seat: &Seat) -> &'static str {
        let limits = self.shared.config.limits;
        loop {
            let Ok((mut send, receive)) = connection.accept_bi().await else { return "closed" };
            tokio::time::sleep(seat.pace(limits.requests_per_second)).await;
            if let Err(why) = self.shared.admit(&peer.account).await {
                if frame::refuse(&mut send, &why).await.is_ok() {
                    let _ = timeout(Duration::from_secs(2), send.stopped()).await;
                }
                return "not admitted any more";
            }
            let (shared, connection) = (self.shared.clone(), connection.clone());
            tokio::spawn(async move {
                if let Err(error) = answer(&shared, &connection, peer, send, receive).await {
                    tracing::debug!(peer = %peer.account.short(), %error, "a request came to nothing");
                }
            });
        }
    }
}

impl ProtocolHandler for Door {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let endpoint = *connection.remote_id().as_bytes();
        let seat = {
            let Ok(_place) = self.handshakes.try_acquire() else {
                connection.close(1u32.into(), b"too many handshakes at once, try again");
                return Ok(());
            };
            match timeout(HANDSHAKE * 2, self.greet(&connection, endpoint)).await {
                Ok(Ok(Some(seat))) => seat,
                _ => {
                    connection.close(2u32.into(), b"no handshake");
                    return Ok(());
                }
            }
        };
        let Ok(_place) = self.connections.try_acquire() else {
            connection.close(1u32.into(), b"too many connections, try again");
            return Ok(());
        };
        let why = self.serve(&connection, Peer { account: seat.account, endpoint }, &seat).await;
        connection.close(0u32.into(), why.as_bytes());
        Ok(())
    }
}

async fn answer(
    shared: &Arc<Shared>,
    connection: &Connection,
    from: Peer,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), FrameError> {
    let limits = shared.config.limits;
    let read = timeout(limits.reading, frame::read(&mut receive, limits.request.max(transfer::MAX_WANT))).await;
    let (kind, bytes) = match read {
        Ok(Ok(request)) => request,
        Ok(Err(FrameError::TooLarge { bytes, limit })) => {
            let words = format!("a request of {bytes} bytes, at most {limit} are allowed");
            return frame::refuse(&mut send, &Refused::new(Code::TooLarge, words)).await;
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            let why = Refused::new(Code::Late, "the request did not arrive in time");
            return frame::refuse(&mut send, &why).await;
        }
    };
    match kind {
        frame::BLOB => transfer::serve(&shared.store, &bytes, &mut send).await,
        frame::PUSHES => push::channel(shared, connection, from, &bytes, send, receive).await,
        frame::REQUEST => {
            let handled = timeout(limits.handling, shared.handler.handle(from, bytes)).await;
            let late = || {
                let words = format!("the request was not done within {:.0} s", limits.handling.as_secs_f32());
                Err(Refused::new(Code::NotDone, words))
            };
            match handled.unwrap_or_else(|_| late()) {
                Ok(bytes) if bytes.len() > limits.response => {
                    tracing::error!(
                        bytes = bytes.len(),
                        limit = limits.response,
                        "an answer is longer than answers may be"
                    );
                    let why = Refused::new(Code::TooLarge, "the answer would be longer than answers may be");
                    frame::refuse(&mut send, &why).await
                }
                Ok(bytes) => frame::write_last(&mut send, frame::OK, &bytes).await,
                Err(why) => frame::refuse(&mut send, &why).await,
            }
        }
        _ => {
            let words = "this is neither a request nor a blob: the peer speaks another version";
            frame::refuse(&mut send, &Refused::new(Code::UnknownKind, words)).await
        }
    }
}
