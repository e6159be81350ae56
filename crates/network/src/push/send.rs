//! The sending end: a channel that is made when it is needed and again when it broke.
//!
//! Invariant: no byte of an item leaves without credit for all of it; what an item took of the credit is accounted for at the other
//! end, too, also where the item is withdrawn.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt, WriteError};
use parity_scale_codec::DecodeAll;
use starling_keys::Account;
use starling_protocol::{Code, Refused};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Credit, Outcome,
    credit::Totals,
    wire::{MAX_RECORD, Preamble, Record},
};
use crate::{
    NetworkError, PeerAddress,
    dial::{Dialer, Opened},
    frame::{self, MAX_REFUSAL},
};

/// Pushers by peer, so that all of one node share one channel: a second would take the first one's place.
#[derive(Default)]
pub(crate) struct Pushers(Mutex<HashMap<(PeerAddress, Account), Weak<Inner>>>);

impl Pushers {
    pub(crate) fn get(&self, dialer: &Arc<Dialer>, peer: &PeerAddress, expect: Account) -> Pusher {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = all.get(&(peer.clone(), expect)).and_then(Weak::upgrade) {
            return Pusher(inner);
        }
        all.retain(|_, inner| inner.strong_count() > 0);
        let inner = Arc::new(Inner { dialer: dialer.clone(), peer: peer.clone(), expect, slot: Default::default() });
        all.insert((peer.clone(), expect), Arc::downgrade(&inner));
        Pusher(inner)
    }
}

/// Pushes items to one peer. Cheap to clone; several pushes may be under way at once, and they may arrive in any order.
#[derive(Clone)]
pub struct Pusher(Arc<Inner>);

struct Inner {
    dialer: Arc<Dialer>,
    peer: PeerAddress,
    expect: Account,
    slot: tokio::sync::Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    channel: Option<Arc<Channel>>,
    /// Channels made so far.
    made: u32,
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pusher").field(&self.0.peer).finish()
    }
}

/// Why a channel is of no use any more.
#[derive(Clone, Debug)]
enum Broken {
    Lost(String),
    Ended(Refused),
}

impl Pusher {
    /// Send an item and wait for what becomes of it. Waits for credit first, in the order of the calls; the body is not copied.
    ///
    /// Where the connection was there before and breaks, the item is sent once more on a new one, so the receiver may see its
    /// header twice (see [`crate::push`]). Dropped, or late, the item is withdrawn; it may have been taken all the same.
    ///
    /// # Errors
    /// [`NetworkError::Deadline`], [`NetworkError::Unreachable`], [`NetworkError::Unbelieved`]; [`NetworkError::Refused`] where the
    /// peer refuses the channel (an item that it refuses is an [`Outcome`]).
    pub async fn push(&self, header: Bytes, body: Bytes, deadline: Duration) -> Result<Outcome, NetworkError> {
        let sending = AtomicBool::new(false);
        let pushed = async {
            let mut again = false;
            loop {
                let (channel, reused) = self.channel().await?;
                match channel.push(&header, &body, &sending).await {
                    Ok(None) => return Ok(Outcome::Accepted),
                    // The first copy arrived, its answer did not.
                    Ok(Some(why)) if again && why.code == Code::Duplicate => return Ok(Outcome::Accepted),
                    Ok(Some(why)) => return Ok(Outcome::Refused(why)),
                    Err(Broken::Lost(_)) if reused => again |= sending.load(Ordering::Relaxed),
                    Err(broken) => return Err(self.error(broken)),
                }
            }
        };
        let late = |_| {
            let what = if sending.load(Ordering::Relaxed) { "a push" } else { "credit for a push" };
            Err(NetworkError::Deadline { peer: self.0.peer.to_string(), seconds: deadline.as_secs_f32(), what })
        };
        timeout(deadline, pushed).await.unwrap_or_else(late)
    }

    /// Wait until an item of so many bytes (header and body) could be sent at once, opening the channel where there is none. Others
    /// may take the credit first.
    ///
    /// # Errors
    /// As [`Pusher::push`].
    pub async fn wait_for_credit(&self, bytes: u64, deadline: Duration) -> Result<(), NetworkError> {
        let waited = async {
            loop {
                let (channel, reused) = self.channel().await?;
                match channel.enough(bytes).await {
                    Ok(()) => return Ok(()),
                    Err(Broken::Lost(_)) if reused => {}
                    Err(broken) => return Err(self.error(broken)),
                }
            }
        };
        let what = "credit for a push";
        let late = NetworkError::Deadline { peer: self.0.peer.to_string(), seconds: deadline.as_secs_f32(), what };
        timeout(deadline, waited).await.unwrap_or(Err(late))
    }

    /// What could be sent at this moment; nothing where no channel is open.
    #[must_use]
    pub fn credit(&self) -> Credit {
        let slot = self.0.slot.try_lock().ok();
        let channel = slot.as_ref().and_then(|s| s.channel.as_ref());
        channel.map_or_else(Credit::default, |channel| channel.state.lock().totals.left())
    }

    fn error(&self, broken: Broken) -> NetworkError {
        let peer = self.0.peer.to_string();
        match broken {
            Broken::Lost(reason) => NetworkError::Unreachable { peer, reason },
            Broken::Ended(why) => NetworkError::Refused { peer, why },
        }
    }

    /// The open channel, or a new one; and whether it was there before.
    async fn channel(&self) -> Result<(Arc<Channel>, bool), NetworkError> {
        // Held while one is made: whoever comes meanwhile waits for it.
        let mut slot = self.0.slot.lock().await;
        if let Some(channel) = slot.channel.as_ref().filter(|c| c.state.lock().broken.is_none()) {
            return Ok((channel.clone(), true));
        }
        slot.channel = None;
        slot.made = slot.made.wrapping_add(1);
        let Inner { dialer, peer, expect, .. } = &*self.0;
        let opened = dialer.open(peer, Some(expect)).await?;
        let (reused, number) = (opened.reused, slot.made);
        let channel = match self.begin(opened, number).await {
            // A kept connection turned out to be dead.
            Err(NetworkError::Unreachable { .. }) if reused => {
                self.begin(dialer.open(peer, Some(expect)).await?, number).await?
            }
            begun => begun?,
        };
        slot.channel = Some(channel.clone());
        Ok((channel, false))
    }

    async fn begin(&self, opened: Opened, number: u32) -> Result<Arc<Channel>, NetworkError> {
        let Opened { connection, mut send, mut receive, .. } = opened;
        let name = self.0.peer.to_string();
        frame::write(&mut send, frame::PUSHES, &number.to_le_bytes()).await.map_err(|e| e.at(&name))?;
        match frame::read(&mut receive, MAX_REFUSAL).await.map_err(|e| e.at(&name))? {
            (frame::OK, _) => Ok(Arc::new(Channel::new(number, connection, send, receive))),
            (frame::REFUSED, bytes) => Err(NetworkError::Refused { peer: name, why: frame::refused(&bytes) }),
            (_, bytes) => Err(NetworkError::Malformed { peer: name, bytes: bytes.len() }),
        }
    }
}

/// One channel, as long as it is open.
struct Channel {
    number: u32,
    connection: Connection,
    state: Arc<Counter>,
    /// Whoever waits for credit waits in turn, or large items would wait for ever.
    turn: tokio::sync::Mutex<()>,
    reader: JoinHandle<()>,
    /// Ends the channel when it is dropped.
    _open: SendStream,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What the channel and the task that reads its records share.
#[derive(Default)]
struct Counter {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    totals: Totals,
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<Refused>>>,
    broken: Option<Broken>,
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, record: Record) {
        let mut state = self.lock();
        match record {
            Record::Credit { items, bytes } => state.totals.raise(Credit { items, bytes }),
            Record::Answer { number, refused } => {
                if let Some(waiting) = state.waiting.remove(&number) {
                    let _ = waiting.send(refused.map(printable));
                }
            }
            Record::End(why) => {
                drop(state);
                return self.end(Broken::Ended(printable(why)));
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Those who wait are told; the first reason stands.
    fn end(&self, why: Broken) {
        let mut state = self.lock();
        state.broken.get_or_insert(why);
        state.waiting.clear();
        drop(state);
        self.changed.notify_waiters();
    }
}

/// What a peer says ends up in logs and terminals.
fn printable(why: Refused) -> Refused {
    Refused::new(why.code, frame::words(why.words.as_bytes()))
}

async fn listen(state: Arc<Counter>, mut receive: RecvStream) {
    let why = loop {
        match frame::read(&mut receive, MAX_RECORD).await {
            Ok((frame::RECORD, bytes)) => match Record::decode_all(&mut &bytes[..]) {
                Ok(record) => state.read(record),
                Err(_) => break format!("{} bytes that are no record of a channel", bytes.len()),
            },
            Ok((kind, _)) => break format!("a frame of kind {kind} on a channel"),
            Err(error) => break error.to_string(),
        }
    };
    state.end(Broken::Lost(why));
}

impl Channel {
    fn new(number: u32, connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        let state = Arc::new(Counter::default());
        let reader = tokio::spawn(listen(state.clone(), receive));
        Self { number, connection, state, turn: Default::default(), reader, _open: send }
    }

    /// Wait until `take` finds what it needs.
    async fn when<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Result<T, Broken> {
        loop {
            // Before the look, so that a change between the look and the wait is not missed.
            let changed = self.state.changed.notified();
            {
                let mut state = self.state.lock();
                if let Some(broken) = &state.broken {
                    return Err(broken.clone());
                }
                if let Some(found) = take(&mut state) {
                    return Ok(found);
                }
            }
            changed.await;
        }
    }

    async fn enough(&self, bytes: u64) -> Result<(), Broken> {
        self.when(|state| state.totals.left().covers(Credit::item(bytes)).then_some(())).await
    }

    /// `None`: taken. `sending` is set when the first byte may have left.
    async fn push(&self, header: &Bytes, body: &Bytes, sending: &AtomicBool) -> Result<Option<Refused>, Broken> {
        let bytes = (header.len() + body.len()) as u64;
        let (number, answer) = {
            let _turn = self.turn.lock().await;
            self.when(|state| {
                state.totals.spend(bytes).then(|| {
                    let (tell, answer) = oneshot::channel();
                    let number = state.next;
                    state.next += 1;
                    state.waiting.insert(number, tell);
                    (number, answer)
                })
            })
            .await?
        };
        let mut item = Underway { state: &self.state, number, bytes, stream: None };
        let lost = |e: &dyn fmt::Display| Broken::Lost(e.to_string());
        let stream = self.connection.open_uni().await.map_err(|e| lost(&e))?;
        let stream = item.stream.insert(stream);
        sending.store(true, Ordering::Relaxed);
        let header_length = u32::try_from(header.len()).unwrap_or(u32::MAX);
        let preamble = Preamble { channel: self.number, number, header: header_length, body: body.len() as u64 };
        let head = [&preamble.to_bytes()[..], header].concat();
        // Both at once: the first datagram is full.
        match stream.write_all_chunks(&mut [head.into(), body.clone()]).await {
            Ok(()) => stream.finish().map_err(|e| lost(&e))?,
            // The receiver stops reading what it refuses, and says why on the channel.
            Err(WriteError::Stopped(_)) => {}
            Err(error) => return Err(lost(&error)),
        }
        match answer.await {
            Ok(refused) => {
                item.stream = None;
                Ok(refused)
            }
            Err(_) => Err(self.state.lock().broken.clone().unwrap_or_else(|| Broken::Lost("closed".to_owned()))),
        }
    }
}

/// An item without an answer. Dropped, it is withdrawn.
struct Underway<'a> {
    state: &'a Counter,
    number: u64,
    bytes: u64,
    stream: Option<SendStream>,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let unanswered = state.waiting.remove(&self.number).is_some();
        match self.stream.take() {
            // What it took of the credit goes with it: the receiver may see nothing else of the item.
            Some(mut stream) => {
                let _ = stream.reset(VarInt::from_u64(self.bytes).unwrap_or(VarInt::MAX));
            }
            None if unanswered => {
                state.totals.unspend(self.bytes);
                drop(state);
                self.state.changed.notify_waiters();
            }
            None => {}
        }
    }
}
