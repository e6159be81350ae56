//! The receiving end: credit is spent, the header offered, the body read, the item handed over.
//!
//! Invariant: an item's credit is taken before its header is read and is back when its [`Hold`] is dropped, whichever way the item
//! ends; one hotkey has one channel, the newest.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use iroh::endpoint::{Connection, ReadError, ReadExactError, RecvStream, SendStream};
use parity_scale_codec::Encode;
use starling_keys::Account;
use starling_protocol::{Code, Refused};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Credit, Intake, Item, Verdict,
    credit::Purse,
    wire::{PREAMBLE, Preamble, Record},
};
use crate::{
    Peer,
    door::Shared,
    frame::{self, FrameError},
};

/// How often a peer with an open channel is looked up anew: nothing on an item's way waits for the metagraph.
const READMIT: Duration = Duration::from_secs(5);
/// Items without credit, or of no channel, that a channel survives. An honest sender sends none.
const STRIKES: u32 = 64;
/// Read at once.
const CHUNK: usize = 1 << 20;

/// Who may push how much, and who has a channel open.
#[derive(Default)]
pub(crate) struct Desk {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    intake: Option<Arc<dyn Intake>>,
    peers: HashMap<Account, Known>,
    channels: u64,
}

#[derive(Default)]
struct Known {
    purse: Purse,
    open: Option<Open>,
}

/// The place of a channel; where another takes it, the sender is dropped, and the channel sees that.
struct Open {
    id: u64,
    granted: watch::Sender<Credit>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items go to `intake` from now on.
    pub(crate) fn serve(self: &Arc<Self>, intake: Arc<dyn Intake>) -> Grants {
        self.lock().intake = Some(intake);
        Grants(self.clone())
    }

    fn open(self: &Arc<Self>, account: Account) -> Option<(Arc<dyn Intake>, Place, watch::Receiver<Credit>)> {
        let mut inner = self.lock();
        let intake = inner.intake.clone()?;
        inner.channels += 1;
        let id = inner.channels;
        let known = inner.peers.entry(account).or_default();
        let (granted, grants) = watch::channel(known.purse.reopen());
        known.open = Some(Open { id, granted });
        Some((intake, Place { desk: self.clone(), account, id }, grants))
    }

    fn release(&self, account: &Account, bytes: u64) {
        let mut inner = self.lock();
        if let Some(known) = inner.peers.get_mut(account) {
            let granted = known.purse.release(bytes);
            if let Some(open) = &known.open {
                open.granted.send_replace(granted);
            }
        }
        inner.forget(account);
    }
}

impl Inner {
    /// A peer that has nothing here and may have nothing is not remembered.
    fn forget(&mut self, account: &Account) {
        let idle = |k: &Known| k.open.is_none() && k.purse.used == Credit::default();
        if self.peers.get(account).is_some_and(|k| idle(k) && k.purse.budget == Credit::default()) {
            self.peers.remove(account);
        }
    }
}

/// Grants credit to peers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Desk>);

impl Grants {
    /// From now on the peer may have so many items and bytes under way or held at once. Lowered, it binds as credit is given back;
    /// zero ends the peer's pushes so.
    pub fn set(&self, account: Account, credit: Credit) {
        let mut inner = self.0.lock();
        let known = inner.peers.entry(account).or_default();
        known.purse.budget = credit;
        let granted = known.purse.grant();
        if let Some(open) = &known.open {
            open.granted.send_replace(granted);
        }
        inner.forget(&account);
    }

    /// What the peer's items that are under way or held take at this moment.
    #[must_use]
    pub fn used(&self, account: &Account) -> Credit {
        self.0.lock().peers.get(account).map_or_else(Credit::default, |k| k.purse.used)
    }
}

/// A channel's place on the desk, given up when it is dropped.
struct Place {
    desk: Arc<Desk>,
    account: Account,
    id: u64,
}

impl Place {
    /// The credit of one item.
    fn spend(&self, bytes: u64) -> Result<Hold, Refused> {
        let mut inner = self.desk.lock();
        let known = inner.peers.get_mut(&self.account).filter(|k| k.open.as_ref().is_some_and(|o| o.id == self.id));
        let Some(known) = known else { return Err(replaced()) };
        if known.purse.spend(bytes) {
            return Ok(Hold { desk: self.desk.clone(), account: self.account, bytes });
        }
        let Credit { items, bytes: left } = known.purse.totals.left();
        let words =
            format!("an item of {bytes} bytes, but credit is left for {items} items and {left} bytes: wait for it");
        Err(Refused::new(Code::NoCredit, words))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.desk.lock();
        if let Some(known) = inner.peers.get_mut(&self.account)
            && known.open.as_ref().is_some_and(|o| o.id == self.id)
        {
            known.open = None;
        }
        inner.forget(&self.account);
    }
}

/// The credit of one item. Dropped or released, it goes back to the sender, who may send the next.
pub struct Hold {
    desk: Arc<Desk>,
    account: Account,
    bytes: u64,
}

impl Hold {
    /// Give the credit back.
    pub fn release(self) {}

    /// Bytes of header and body.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.desk.release(&self.account, self.bytes);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn replaced() -> Refused {
    Refused::new(Code::Replaced, "another channel of this hotkey took the place of this one")
}

/// What the items of one channel share.
struct Channel {
    shared: Arc<Shared>,
    intake: Arc<dyn Intake>,
    place: Place,
    from: Peer,
    number: u32,
    answers: mpsc::Sender<Record>,
    end: mpsc::Sender<Refused>,
    strikes: AtomicU32,
}

/// Serve a channel until the sender closes it, another takes its place, or the peer is not admitted any more.
pub(crate) async fn channel(
    shared: &Arc<Shared>,
    connection: &Connection,
    from: Peer,
    number: &[u8],
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), FrameError> {
    let Ok(number) = <[u8; 4]>::try_from(number) else {
        return frame::refuse(&mut send, &Refused::new(Code::Malformed, "this opens no channel")).await;
    };
    let Some((intake, place, mut granted)) = shared.desk.open(from.account) else {
        return frame::refuse(&mut send, &Refused::new(Code::NoIntake, "this peer takes no pushes")).await;
    };
    frame::write(&mut send, frame::OK, &[]).await?;
    let open = shared.config.limits.open_pushes;
    connection.set_max_concurrent_uni_streams(open.into());
    let (answers, mut answered) = mpsc::channel(open.max(1) as usize);
    let (end, mut ended) = mpsc::channel(1);
    let channel = Arc::new(Channel {
        shared: shared.clone(),
        intake,
        place,
        from,
        number: u32::from_le_bytes(number),
        answers,
        end,
        strikes: AtomicU32::new(0),
    });
    let rest = async {
        tokio::select! {
            () = accept(&channel, connection, open) => None,
            why = expelled(shared, &from.account) => Some(why),
            why = ended.recv() => why,
            // The sender writes nothing more on this stream: it ends with the channel.
            _ = receive.read_chunk(1) => None,
        }
    };
    let mut rest = std::pin::pin!(rest);
    granted.mark_changed();
    let why = loop {
        let record = tokio::select! {
            why = &mut rest => break why,
            changed = granted.changed() => match changed {
                Ok(()) => Record::from(*granted.borrow_and_update()),
                Err(_) => break Some(replaced()),
            },
            Some(answer) = answered.recv() => answer,
        };
        // Nothing is read while this waits: a sender that does not take its answers sends no more items.
        frame::write(&mut send, frame::RECORD, &record.encode()).await?;
    };
    if let Some(why) = why {
        tracing::debug!(peer = %from.account.short(), %why, "a push channel ends");
        frame::write(&mut send, frame::RECORD, &Record::End(why).encode()).await?;
    }
    send.finish().map_err(FrameError::lost)
}

/// Returns when the peer is not admitted any more.
async fn expelled(shared: &Shared, who: &Account) -> Refused {
    loop {
        tokio::time::sleep(READMIT).await;
        if let Err(why) = shared.admit(who).await {
            return why;
        }
    }
}

/// Accept items until the connection ends. Those that are not whole when this is dropped are given up.
async fn accept(channel: &Arc<Channel>, connection: &Connection, open: u32) {
    let places = Arc::new(Semaphore::new(open.max(1) as usize));
    let mut items = JoinSet::new();
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok(stream) = connection.accept_uni().await else { return };
        items.spawn(channel.clone().item(stream, place));
        while items.try_join_next().is_some() {}
    }
}

impl Channel {
    /// One item, from its first byte to the answer.
    async fn item(self: Arc<Self>, mut stream: RecvStream, _place: OwnedSemaphorePermit) {
        let deadline = Instant::now() + self.shared.config.limits.push_time;
        let mut head = [0; PREAMBLE];
        let preamble = match timeout_at(deadline, stream.read_exact(&mut head)).await {
            Ok(Ok(())) => Preamble::from_bytes(&head),
            // Withdrawn before anything of it was seen; the code says what it would have cost, so that both ends count alike.
            Ok(Err(ReadExactError::ReadError(ReadError::Reset(bytes)))) => {
                if self.place.spend(bytes.into_inner()).is_err() {
                    self.strike();
                }
                return;
            }
            _ => None,
        };
        let Some(preamble) = preamble else {
            let _ = stream.stop(u32::from(Code::Malformed.number()).into());
            self.give_up(Refused::new(Code::Malformed, "an item did not begin as items do"));
            return;
        };
        let refused = self.judge(preamble, &mut stream, deadline).await.err();
        if let Some(why) = &refused {
            let _ = stream.stop(u32::from(why.code.number()).into());
        }
        let _ = self.answers.send(Record::Answer { number: preamble.number, refused }).await;
    }

    fn give_up(&self, why: Refused) {
        // Full: it ends already.
        let _ = self.end.try_send(why);
    }

    fn strike(&self) {
        if self.strikes.fetch_add(1, Ordering::Relaxed) >= STRIKES {
            self.give_up(Refused::new(
                Code::NoCredit,
                format!("{STRIKES} items without credit: the channel is closed"),
            ));
        }
    }

    async fn judge(&self, preamble: Preamble, stream: &mut RecvStream, deadline: Instant) -> Result<(), Refused> {
        let limit = self.shared.config.limits.push_header;
        let Preamble { channel, header, body, .. } = preamble;
        if channel != self.number {
            self.strike();
            return Err(Refused::new(Code::NoChannel, format!("channel {channel} is not open, {} is", self.number)));
        }
        let hold = self.place.spend(preamble.bytes()).inspect_err(|_| self.strike())?;
        if header as usize > limit {
            let words = format!("a header of {header} bytes, at most {limit} are taken");
            return Err(Refused::new(Code::HeaderTooLarge, words));
        }
        let header = read(stream, u64::from(header), deadline).await?;
        match self.intake.offer(self.from, &header, body) {
            Verdict::Take { limit } if body > limit => {
                let words = format!("a body of {body} bytes, at most {limit} are taken");
                return Err(Refused::new(Code::BodyTooLarge, words));
            }
            Verdict::Take { .. } => {}
            Verdict::Refuse(why) => return Err(why),
        }
        let body = read(stream, body, deadline).await?;
        match next(stream, 1, deadline).await? {
            None => self.intake.take(Item { from: self.from, header, body, hold }),
            Some(_) => {
                let words = format!("more than the {} bytes that the body was said to have", body.len());
                Err(Refused::new(Code::WrongLength, words))
            }
        }
    }
}

/// Exactly `length` bytes.
async fn read(stream: &mut RecvStream, length: u64, deadline: Instant) -> Result<Bytes, Refused> {
    let none = || Refused::new(Code::Failed, format!("no memory for {length} bytes"));
    let length = usize::try_from(length).map_err(|_| none())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| none())?;
    while bytes.len() < length {
        match next(stream, (length - bytes.len()).min(CHUNK), deadline).await? {
            // Copied, because a chunk keeps the whole datagrams alive that it came in.
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => {
                let words = format!("it ended after {} of {length} bytes", bytes.len());
                return Err(Refused::new(Code::WrongLength, words));
            }
        }
    }
    Ok(bytes.into())
}

async fn next(stream: &mut RecvStream, most: usize, deadline: Instant) -> Result<Option<Bytes>, Refused> {
    match timeout_at(deadline, stream.read_chunk(most)).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => Err(Refused::new(Code::Stalled, format!("it was broken off: {error}"))),
        Err(_) => Err(Refused::new(Code::Stalled, "it did not arrive whole in time")),
    }
}
