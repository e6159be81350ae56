//! The calling side: one connection per peer, made when needed, kept, and made again when it is gone.
//!
//! Invariant: a connection handed out has its handshake done, and with the hotkey that the caller expects.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream, SendStream},
};
use parity_scale_codec::Encode;
use starling_keys::Account;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Links, NetworkError, PeerAddress,
    door::{HANDSHAKE, Shared},
    frame,
    handshake::{self, Hello, MAX_HELLO, Unbelieved},
    node::ALPN,
    transport::PEER_WINDOW,
};

type Slot = Arc<Mutex<Option<(Connection, Account)>>>;

/// Connections to peers, by address: a peer that came back elsewhere gets a new one.
pub(crate) struct Dialer {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    slots: Mutex<HashMap<PeerAddress, Slot>>,
}

/// One stream, and whether its connection was there before.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    pub(crate) reused: bool,
}

impl Dialer {
    pub(crate) fn new(shared: Arc<Shared>, endpoint: Endpoint) -> Self {
        Self { shared, endpoint, slots: Mutex::default() }
    }

    /// Do `work` on a stream to the peer within the deadline. Where a kept connection turns out to be dead it is done once
    /// more on a new one: every request is safe to repeat.
    pub(crate) async fn with_stream<W: Future<Output = Result<Bytes, NetworkError>>>(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
        deadline: Duration,
        what: &'static str,
        work: impl Fn(SendStream, RecvStream) -> W,
    ) -> Result<Bytes, NetworkError> {
        let tried = async {
            loop {
                let stream = self.open(peer, expect).await?;
                match work(stream.send, stream.receive).await {
                    Err(NetworkError::Unreachable { .. }) if stream.reused => self.forget(peer).await,
                    Err(error @ NetworkError::Unreachable { .. }) => {
                        self.forget(peer).await;
                        return Err(error);
                    }
                    result => return result,
                }
            }
        };
        match timeout(deadline, tried).await {
            Ok(result) => result,
            Err(_) => {
                // The peer may be gone without a word (`kill -9`), which QUIC notices much later. The connection is not closed:
                // others may be waiting on it for an answer that is on its way.
                self.forget(peer).await;
                Err(NetworkError::Deadline { peer: peer.to_string(), seconds: deadline.as_secs_f32(), what })
            }
        }
    }

    pub(crate) async fn open(&self, peer: &PeerAddress, expect: Option<&Account>) -> Result<Opened, NetworkError> {
        let (connection, mut reused) = self.connection(peer, expect).await?;
        match connection.open_bi().await {
            Ok((send, receive)) => Ok(Opened { connection, send, receive, reused }),
            Err(error) if !reused => Err(lost(peer, &error)),
            Err(_) => {
                self.forget(peer).await;
                let connection;
                (connection, reused) = self.connection(peer, expect).await?;
                let (send, receive) = connection.open_bi().await.map_err(|e| lost(peer, &e))?;
                Ok(Opened { connection, send, receive, reused })
            }
        }
    }

    /// The next caller gets a new connection.
    async fn forget(&self, peer: &PeerAddress) {
        self.slots.lock().await.remove(peer);
    }

    /// How the peers with an open connection are reached.
    pub(crate) fn links(&self) -> Links {
        let mut links = Links::default();
        let Ok(slots) = self.slots.try_lock() else { return links };
        for slot in slots.values().filter_map(|slot| slot.try_lock().ok()) {
            let Some((connection, _)) = slot.as_ref().filter(|(c, _)| c.close_reason().is_none()) else { continue };
            match connection.paths().iter().find(iroh::endpoint::Path::is_selected) {
                Some(path) if path.is_relay() => links.relayed += 1,
                Some(_) => links.direct += 1,
                None => {}
            }
        }
        links
    }

    async fn connection(
        &self,
        peer: &PeerAddress,
        expect: Option<&Account>,
    ) -> Result<(Connection, bool), NetworkError> {
        let slot = {
            let mut slots = self.slots.lock().await;
            if slots.len() >= self.shared.config.limits.connections {
                // Those that are neither alive nor being made.
                slots.retain(|_, slot| slot.try_lock().is_err() || Arc::strong_count(slot) > 1 || alive(slot));
            }
            slots.entry(peer.clone()).or_default().clone()
        };
        // Held during the handshake: whoever comes meanwhile waits for this connection instead of making another.
        let mut slot = slot.lock().await;
        if let Some((connection, account)) = slot.as_ref().filter(|(c, _)| c.close_reason().is_none()) {
            return match expect {
                Some(expected) if expected != account => {
                    Err(Unbelieved::SomebodyElse { expected: *expected, found: *account }.into())
                }
                _ => Ok((connection.clone(), true)),
            };
        }
        *slot = None;
        let what = "the handshake";
        let late = || NetworkError::Deadline { peer: peer.to_string(), seconds: HANDSHAKE.as_secs_f32(), what };
        let (connection, account) = timeout(HANDSHAKE, self.shake(peer, expect)).await.map_err(|_| late())??;
        *slot = Some((connection.clone(), account));
        Ok((connection, false))
    }

    async fn shake(&self, peer: &PeerAddress, expect: Option<&Account>) -> Result<(Connection, Account), NetworkError> {
        let shared = &self.shared;
        let config = &shared.config;
        let addr = peer.endpoint_addr().map_err(NetworkError::Address)?;
        let connection = self.endpoint.connect(addr, ALPN).await.map_err(|e| lost(peer, &format!("{e:#}")))?;
        let channel = handshake::channel(&connection).map_err(|e| lost(peer, &e))?;
        let ends = handshake::Ends { own: shared.own, peer: peer.endpoint, channel };
        let (mut send, mut receive) = connection.open_bi().await.map_err(|e| lost(peer, &e))?;
        let hello = Hello::new(config.protocol_version, config.run, &ends, shared.signer.as_ref());
        let name = peer.to_string();
        frame::write_last(&mut send, frame::HELLO, &hello.encode()).await.map_err(|e| e.at(&name))?;
        let (status, bytes) = frame::read(&mut receive, MAX_HELLO).await.map_err(|e| e.at(&name))?;
        if status != frame::OK {
            return Err(NetworkError::Refused { peer: name, why: frame::refused(&bytes) });
        }
        let account = Hello::check(&bytes, config.protocol_version, config.run, &ends, expect)?;
        shared.admit(&account).await.map_err(|why| NetworkError::Refused { peer: "this side".into(), why })?;
        connection.set_receive_window(PEER_WINDOW.into());
        Ok((connection, account))
    }
}

fn alive(slot: &Slot) -> bool {
    slot.try_lock().is_ok_and(|slot| slot.as_ref().is_some_and(|(c, _)| c.close_reason().is_none()))
}

fn lost(peer: &PeerAddress, reason: &dyn fmt::Display) -> NetworkError {
    NetworkError::Unreachable { peer: peer.to_string(), reason: reason.to_string() }
}
