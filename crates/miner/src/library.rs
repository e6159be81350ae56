//! Tensors by digest: from memory, from the own blob store, or from the peer that committed to them.
//!
//! Invariant: what is handed out has the digest asked for, the element type and shape that the run's configuration demands, and no
//! element that is not a number; everything else is an [`Undelivered`], which names the peer at fault. Every blob that enters the
//! store is noted first with the epoch that needs it, so that nothing stays for ever.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use parity_scale_codec::DecodeAll;
use starling_commitment::{Canonical, DType, Form, tensor};
use starling_keys::Account;
use starling_network::{NetworkError, Node, PeerAddress};
use starling_protocol::{Digest, Epoch, state::State};
use tokio::time::Instant;

use crate::{MinerError, agenda::Delivery, outbox::Outbox};

/// First pause between two tries; doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(50);
/// Shortest deadline of a try: a machine that was suspended blames nobody for it.
const SHORTEST_TRY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A peer did not deliver what it committed to.
#[derive(Clone, Debug)]
pub struct Undelivered {
    /// Who should have.
    pub peer: Account,
    /// Why not, for the complaint.
    pub reason: String,
}

/// How much of a blob.
enum Part {
    /// All of it, at most so many bytes.
    Whole(u64),
    /// These bytes.
    Range(Range<u64>),
}

/// Why a tensor is not at hand.
#[derive(Clone, Debug)]
pub enum Unavailable {
    /// A peer's fault.
    Undelivered(Undelivered),
    /// This miner's own disk or memory: it cannot go on.
    Own(MinerError),
}

impl From<MinerError> for Unavailable {
    fn from(error: MinerError) -> Self {
        Self::Own(error)
    }
}

/// Where peers are, by the newest ledger.
#[derive(Debug, Default)]
pub struct AddressBook(Mutex<BTreeMap<Account, Vec<u8>>>);

impl AddressBook {
    /// Take the addresses of all miners.
    pub fn update(&self, state: &State) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, member) in state.members() {
            if book.get(account) != Some(&member.address) {
                book.insert(*account, member.address.clone());
            }
        }
    }

    fn of(&self, account: &Account) -> Result<PeerAddress, String> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = book.get(account).ok_or("it gave no address")?;
        PeerAddress::decode_all(&mut &bytes[..]).map_err(|_| "its address is unreadable".to_owned())
    }
}

/// The shelves; share behind an `Arc`.
#[derive(Debug)]
pub struct Library {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    own: Account,
    book: AddressBook,
    /// Current weights and optimiser state, so that every pass need not read and hash them again.
    shelf: Mutex<HashMap<Digest, Canonical>>,
}

impl Library {
    /// How the peers that this miner talks to are reached.
    pub fn links(&self) -> starling_network::Links {
        self.node.links()
    }

    /// Shelves over a node's store.
    #[must_use]
    pub fn new(node: Arc<Node>, outbox: Arc<Outbox>, own: Account) -> Self {
        Self { node, outbox, own, book: AddressBook::default(), shelf: Mutex::default() }
    }

    /// Where peers are.
    #[must_use]
    pub fn book(&self) -> &AddressBook {
        &self.book
    }

    fn shelf(&self) -> MutexGuard<'_, HashMap<Digest, Canonical>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep a tensor in memory as well.
    pub fn shelve(&self, tensor: &Canonical) {
        self.shelf().insert(tensor.digest(), tensor.clone());
    }

    /// Take all but these from memory.
    pub fn clear_shelf(&self, keep: impl Fn(&Digest) -> bool) {
        self.shelf().retain(|digest, _| keep(digest));
    }

    /// Store and serve a tensor.
    ///
    /// # Errors
    /// [`MinerError`] if the disk fails.
    pub async fn publish(&self, epoch: Epoch, tensor: &Canonical) -> Result<(), MinerError> {
        self.outbox.track(epoch, &[tensor.digest()])?;
        self.node.put(tensor.bytes().clone()).await?;
        Ok(())
    }

    async fn kept(&self, digest: &Digest) -> Result<Option<Bytes>, MinerError> {
        match self.node.get(digest).await {
            // One damaged blob is no reason to stop: the work that needs it is lost, nothing else.
            Err(NetworkError::Damaged { reason, .. }) => Err(MinerError::Damaged { digest: *digest, reason }),
            other => Ok(other?),
        }
    }

    /// A tensor of this miner's own making.
    ///
    /// # Errors
    /// [`MinerError`] if it is not there, or the disk fails.
    pub async fn own(&self, digest: &Digest, form: &Form) -> Result<Canonical, MinerError> {
        if let Some(tensor) = self.shelf().get(digest).cloned() {
            return Ok(tensor);
        }
        let bytes = self.kept(digest).await?.ok_or(MinerError::Gone { digest: *digest })?;
        form.decode(bytes).map_err(|e| MinerError::Damaged { digest: *digest, reason: e.to_string() })
    }

    /// As [`Library::own`], and kept in memory from then on.
    ///
    /// # Errors
    /// As [`Library::own`].
    pub async fn at_hand(&self, digest: &Digest, form: &Form) -> Result<Canonical, MinerError> {
        let tensor = self.own(digest, form).await?;
        self.shelve(&tensor);
        Ok(tensor)
    }

    /// True if the blob is in the store.
    ///
    /// # Errors
    /// [`MinerError`] if the disk fails.
    pub async fn has(&self, digest: &Digest) -> Result<bool, MinerError> {
        Ok(self.shelf().contains_key(digest) || self.node.has(digest).await?)
    }

    /// A tensor from the peer that committed to it, trying until `until`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn delivered(
        &self,
        epoch: Epoch,
        what: Delivery,
        form: &Form,
        until: Instant,
    ) -> Result<Canonical, Unavailable> {
        if let Some(tensor) = self.shelf().get(&what.digest).cloned() {
            return Ok(tensor);
        }
        let bytes = self.fetched(epoch, what, form.length(), until).await?;
        form.read(bytes).map_err(|reason| {
            let reason = format!("blob {}: {reason}", what.digest);
            Unavailable::Undelivered(Undelivered { peer: what.from, reason })
        })
    }

    /// The bytes of a blob from the peer that has it, kept here from then on, trying until `until`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn fetched(
        &self,
        epoch: Epoch,
        what: Delivery,
        length: u64,
        until: Instant,
    ) -> Result<Bytes, Unavailable> {
        self.outbox.track(epoch, &[what.digest]).map_err(MinerError::from)?;
        self.persist(what, Part::Whole(length), until).await
    }

    /// Elements `range` of a flat f32 blob, proven to stand there.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn slice(&self, what: Delivery, range: Range<u64>, until: Instant) -> Result<Vec<f32>, Unavailable> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = tensor::data_range(DType::F32, range);
        let found = if what.from == self.own {
            let whole = self.kept(&what.digest).await?.ok_or(MinerError::Gone { digest: what.digest })?;
            let damaged =
                || MinerError::Damaged { digest: what.digest, reason: "it ends before the slice does".into() };
            usize::try_from(bytes.start)
                .and_then(|start| Ok(start..usize::try_from(bytes.end)?))
                .ok()
                .and_then(|range| whole.get(range).map(Bytes::copy_from_slice))
                .ok_or_else(damaged)?
        } else {
            self.persist(what, Part::Range(bytes), until).await?
        };
        Ok(found.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// Try until `until`. What is wrong with this miner's own disk is not the peer's fault.
    async fn persist(&self, what: Delivery, part: Part, until: Instant) -> Result<Bytes, Unavailable> {
        let mut pause = PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(SHORTEST_TRY);
            let (reason, hopeless) = match self.book.of(&what.from) {
                Ok(peer) => match self.once(&peer, what, &part, left).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(
                        own @ (NetworkError::Store { .. }
                        | NetworkError::StorageFull { .. }
                        | NetworkError::InUse { .. }),
                    ) => return Err(MinerError::from(own).into()),
                    // Asking again gives the same answer.
                    Err(error @ (NetworkError::TooLarge { .. } | NetworkError::Range { .. })) => {
                        (error.to_string(), true)
                    }
                    Err(error) => (error.to_string(), false),
                },
                Err(reason) => (reason, false),
            };
            if hopeless || Instant::now() + pause >= until {
                return Err(Unavailable::Undelivered(Undelivered { peer: what.from, reason }));
            }
            tracing::debug!(from = %what.from, %reason, "a peer did not deliver; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn once(
        &self,
        peer: &PeerAddress,
        what: Delivery,
        part: &Part,
        within: Duration,
    ) -> Result<Bytes, NetworkError> {
        let (from, digest) = (Some(&what.from), &what.digest);
        match part {
            Part::Whole(length) => self.node.fetch(peer, from, digest, *length, within).await,
            Part::Range(range) => self.node.fetch_range(peer, from, digest, range.clone(), within).await,
        }
    }

    /// Remove blobs noted for epochs up to `closed` that nobody may ask for any more.
    ///
    /// # Errors
    /// [`MinerError`] if the disk fails.
    pub async fn tidy(&self, closed: Epoch, keep: impl Fn(&Digest) -> bool) -> Result<usize, MinerError> {
        let mut old = self.outbox.tracked(closed)?;
        old.retain(|digest| !keep(digest));
        self.node.remove(&old).await?;
        self.outbox.untrack(&old)?;
        Ok(old.len())
    }

    /// TEST ONLY (`withhold-opening`): stop serving these; those of `spare` stay in memory for the next step.
    pub(crate) async fn withhold(&self, digests: &[Digest], spare: Option<(Digest, Form)>) -> Result<(), MinerError> {
        if let Some((digest, form)) = spare {
            let tensor = self.own(&digest, &form).await?;
            self.shelve(&tensor);
        }
        Ok(self.node.remove(digests).await?)
    }
}
