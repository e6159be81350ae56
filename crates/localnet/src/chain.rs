//! The chain: blocks, states, the pool, and the making of the next block. Every block is final at once.
//!
//! Invariant: blocks are made one after the other, each committed to the store (if there is one) before anybody hears of it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parity_scale_codec::{Decode, Encode};
use sp_core::H256;
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidity, TransactionValidityError,
};
use starling_runtime::{AccountId, Header, Presentation};
use starling_timelock::LocalBeacon;
use tokio::sync::{broadcast, mpsc::UnboundedSender};

use crate::{
    LocalnetError, beacon,
    execute::{self, Builder, Changes, Nodes, State, Touched, Tried},
    pool::{PATIENCE, Pool, Refused, Status, Waiting, invalid, signer, unreadable},
    store::{Forgotten, Held, Keys, Store, Stored},
};

#[derive(Default)]
struct Inner {
    blocks: Vec<Stored>,
    hashes: Vec<H256>,
    /// Position of a block in the lists above. It is the block's number, but on a chain forked from a snapshot, whose first block
    /// after genesis goes on at the snapshot's.
    places: HashMap<H256, usize>,
    pool: Pool,
    /// Nodes that a block replaced, oldest block first.
    replaced: VecDeque<(u32, Keys)>,
    /// Block that last inserted a node.
    born: BTreeMap<Vec<u8>, u32>,
}

/// Where blocks are kept.
enum Keeper {
    Memory,
    Disk(Store),
    /// No more blocks are made.
    Closed,
}

/// A block that was built, and what became of the transactions that waited.
struct Built {
    block: Stored,
    changes: Changes,
    /// With their positions in the block.
    included: Vec<(Waiting, u32)>,
    /// With what their watchers hear.
    refused: Vec<(Waiting, Status)>,
}

/// A new block, for subscribers.
#[derive(Clone, Debug)]
pub struct Made {
    pub hash: H256,
    pub touched: Arc<Vec<Touched>>,
}

pub struct Chain {
    /// States of this many blocks can be asked for; older ones are forgotten, as on public full nodes.
    states: u32,
    nodes: Nodes,
    inner: Mutex<Inner>,
    /// Held while a block is made and while the chain is closed; never taken with `inner` held.
    keeper: Mutex<Keeper>,
    made: broadcast::Sender<Made>,
    /// Upgrades to come, by the block that makes them.
    planned: Mutex<BTreeMap<u32, Presentation>>,
    beacon: LocalBeacon,
    /// Chain time that each block adds, milliseconds; 0: it is the time of day.
    step: AtomicU64,
}

impl Chain {
    /// Continue what the store holds, or begin with a genesis.
    pub fn open(
        store: Option<(Store, Held)>,
        genesis: Vec<u8>,
        runtime: &Presentation,
        states: u32,
    ) -> Result<Self, LocalnetError> {
        let nodes = Nodes::default();
        let (header, changes) = execute::genesis(&nodes, genesis, runtime).map_err(LocalnetError::Genesis)?;
        let (keeper, held) = match store {
            Some((store, held)) => (Keeper::Disk(store), held),
            None => (Keeper::Memory, Held::default()),
        };
        let mut inner = Inner::default();
        if held.blocks.is_empty() {
            let block = Stored { header, extrinsics: Vec::new() };
            if let Keeper::Disk(store) = &keeper {
                store.append(&block, &changes, &Forgotten::default())?;
            }
            inner.add(&nodes, block, &changes);
        } else {
            if let Keeper::Disk(store) = &keeper {
                store.check(&held, &header)?;
            }
            for (key, value) in held.nodes {
                nodes.insert(key, value);
            }
            for (number, inserted, removed) in held.journal {
                inner.born.extend(inserted.into_iter().map(|key| (key, number)));
                inner.replaced.push_back((number, removed));
            }
            for block in held.blocks {
                inner.index(block);
            }
        }
        Ok(Self {
            states,
            nodes,
            inner: Mutex::new(inner),
            keeper: Mutex::new(keeper),
            made: broadcast::Sender::new(256),
            planned: Mutex::default(),
            beacon: beacon::beacon(),
            step: AtomicU64::new(0),
        })
    }

    /// Says how many milliseconds lie between blocks, for the clients that ask.
    pub fn set_slot(&self, millis: u64) {
        self.nodes.set_slot(millis);
    }

    /// From now on each block is this much chain time later than the one before, however quickly it is made.
    pub fn set_step(&self, millis: u64) {
        self.step.store(millis, Ordering::Relaxed);
        self.nodes.set_slot(millis);
    }

    fn next_timestamp(&self, state: &State) -> u64 {
        next_timestamp(state, self.step.load(Ordering::Relaxed))
    }

    /// No more blocks; let go of the folder, whoever still holds this chain: connections end later than the node.
    pub fn close(&self) {
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Keeper::Closed;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many blocks behind the newest a state can be asked for.
    pub fn states(&self) -> u32 {
        self.states
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Made> {
        self.made.subscribe()
    }

    pub fn best(&self) -> (Header, H256) {
        let inner = self.lock();
        let header = inner.blocks.last().map(|b| b.header.clone());
        let hash = inner.hashes.last().copied().unwrap_or_default();
        (header.unwrap_or_else(empty_header), hash)
    }

    pub fn hash(&self, number: u32) -> Option<H256> {
        let inner = self.lock();
        let place = match inner.blocks.get(1) {
            Some(first) if number > 0 => number.checked_sub(first.header.number)?.checked_add(1)?,
            _ => number,
        };
        inner.hashes.get(place as usize).copied()
    }

    pub fn block(&self, hash: Option<H256>) -> Option<Stored> {
        let inner = self.lock();
        match hash {
            None => inner.blocks.last().cloned(),
            Some(hash) => inner.places.get(&hash).and_then(|place| inner.blocks.get(*place)).cloned(),
        }
    }

    /// The state after a block (the newest if none is named).
    pub fn state(&self, hash: Option<H256>) -> Result<State, String> {
        let (best, _) = self.best();
        let block = self
            .block(hash)
            .ok_or_else(|| format!("UnknownBlock: there is no block {:?}", hash.unwrap_or_default()))?;
        if block.header.number.saturating_add(self.states) < best.number {
            return Err(format!(
                "UnknownBlock: State already discarded for {:?}; states of the last {} blocks are kept",
                block.header.hash(),
                self.states
            ));
        }
        Ok(execute::state(&self.nodes, block.header.state_root))
    }

    /// Check a transaction and let it wait.
    pub fn submit(&self, bytes: Vec<u8>, watcher: Option<UnboundedSender<Status>>) -> Result<H256, Refused> {
        let key = signer(&bytes)?;
        let (best, hash) = self.best();
        let state = execute::state(&self.nodes, best.state_root);
        let mut data = TransactionSource::External.encode();
        data.extend_from_slice(&bytes);
        hash.encode_to(&mut data);
        let answer = execute::call(&state, "TaggedTransactionQueue_validate_transaction", &data).map_err(unreadable)?;
        let first = match TransactionValidity::decode(&mut &answer[..]).map_err(|e| unreadable(e.to_string()))? {
            Ok(valid) => valid.requires.is_empty(),
            // Ahead of its account's nonce: it may follow others that wait.
            Err(TransactionValidityError::Invalid(InvalidTransaction::Future)) => false,
            Err(error) => return Err(invalid(error)),
        };
        self.lock().pool.add(bytes, key, first, best.number, watcher)
    }

    pub fn waiting(&self) -> Vec<Arc<Vec<u8>>> {
        self.lock().pool.in_order().into_iter().map(|w| w.bytes).collect()
    }

    /// What the runtime would answer to an extrinsic in the block after `at` (an `ApplyExtrinsicResult`); nothing is kept of it.
    pub fn dry_run(&self, extrinsic: &[u8], at: Option<H256>) -> Result<Vec<u8>, String> {
        execute::read(extrinsic)?;
        let state = self.state(at)?;
        let parent = self.block(at).ok_or("UnknownBlock")?.header;
        Builder::new(&state, &parent, self.next_timestamp(&state))?.apply(extrinsic)
    }

    /// The nonce for an account's next transaction, those that wait counted in.
    pub fn next_nonce(&self, account: &AccountId) -> Result<u32, String> {
        // State and pool of one moment: a transaction is in one of them, never in both or in neither.
        let (root, taken) = {
            let inner = self.lock();
            let root = inner.blocks.last().map_or_else(H256::zero, |b| b.header.state_root);
            (root, inner.pool.nonces(account))
        };
        let state = execute::state(&self.nodes, root);
        let answer = execute::call(&state, "AccountNonceApi_account_nonce", &account.encode())?;
        let mut nonce = u32::decode(&mut &answer[..]).map_err(|e| e.to_string())?;
        while taken.contains(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        Ok(nonce)
    }

    /// The runtime that makes the block after this one (the newest if none is named).
    pub fn runtime(&self, hash: Option<H256>) -> Result<Presentation, String> {
        use sp_state_machine::Backend;
        let code = self.state(hash)?.storage(b":code")?.unwrap_or_default();
        Ok(Presentation::from_code(&code).unwrap_or_default())
    }

    /// Have a block (the next one if none is named) upgrade the runtime; says which block it will be.
    pub fn plan(&self, to: Presentation, block: Option<u32>) -> Result<u32, String> {
        // No block is in the making while this is held: "the next" is one.
        let _keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let next = execute::number_after(&self.state(None)?, &self.best().0);
        let block = block.unwrap_or(next);
        if block < next {
            return Err(format!("block {block} is made already; the next is {next}"));
        }
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let before = planned.range(..=block).next_back().map(|(_, p)| p.spec_version);
        let before = before.map_or_else(|| self.runtime(None).map(|p| p.spec_version), Ok)?;
        if to.spec_version <= before {
            let wanted = to.spec_version;
            return Err(starling_runtime::NotNewer { old: before, new: wanted }.to_string());
        }
        planned.insert(block, to);
        Ok(block)
    }

    /// Make the next block of what waits. What waits stays visible in the pool until the block is there, so that nobody is given
    /// a nonce twice in between.
    pub fn produce(&self) -> Result<(), LocalnetError> {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*keeper, Keeper::Closed) {
            return Err(LocalnetError::Authoring("the chain was stopped".into()));
        }
        let (parent, waiting) = {
            let inner = self.lock();
            let parent = inner.blocks.last().map_or_else(empty_header, |b| b.header.clone());
            (parent, inner.pool.in_order())
        };
        let state = execute::state(&self.nodes, parent.state_root);
        let at = self.next_timestamp(&state);
        let number = execute::number_after(&state, &parent);
        let pulses = beacon::due(&self.beacon, &state, number, at);
        let upgrade = self.planned.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied();
        let (built, culprit) =
            narrow(waiting, |waiting| build(&state, &parent, at, pulses.as_deref(), waiting, upgrade));
        let Built { block, changes, included, mut refused } = built.map_err(LocalnetError::Authoring)?;
        if let Some((tx, reason)) = culprit {
            refused.push((tx, Status::Invalid(format!("no block can be made with it: {reason}"))));
        }
        let hash = block.header.hash();
        let forgotten = self.lock().forget(block.header.number, self.states);
        if let Keeper::Disk(store) = &*keeper {
            store.append(&block, &changes, &forgotten)?;
        }
        {
            let mut inner = self.lock();
            for key in &forgotten.nodes {
                self.nodes.remove(key);
            }
            inner.add(&self.nodes, block.clone(), &changes);
            let done = included.iter().map(|(tx, _)| tx.hash).chain(refused.iter().map(|(tx, _)| tx.hash));
            inner.pool.remove(done);
        }
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).retain(|block, _| *block > number);
        for (tx, status) in refused {
            tx.tell(&status);
        }
        for (tx, index) in included {
            tx.tell(&Status::Included(hash, index));
            tx.tell(&Status::Finalized(hash, index));
        }
        let _ = self.made.send(Made { hash, touched: Arc::new(changes.touched) });
        Ok(())
    }
}

/// Builds with all that waits; where that fails (the runtime can panic at a block's end, too), with its first half, and so on down to
/// one transaction, which is then the culprit and stays out. So every block takes what comes before a culprit, or takes it away.
fn narrow<T, W: Clone>(
    mut waiting: Vec<W>,
    build: impl Fn(Vec<W>) -> Result<T, String>,
) -> (Result<T, String>, Option<(W, String)>) {
    let mut culprit = None;
    loop {
        match build(waiting.clone()) {
            Err(reason) if !waiting.is_empty() => {
                tracing::warn!(%reason, transactions = waiting.len(), "no block with these: trying with fewer");
                if waiting.len() == 1 {
                    culprit = waiting.pop().map(|tx| (tx, reason));
                } else {
                    waiting.truncate(waiting.len() / 2);
                }
            }
            result => return (result, culprit),
        }
    }
}

fn build(
    state: &State,
    parent: &Header,
    at: u64,
    pulses: Option<&[u8]>,
    waiting: Vec<Waiting>,
    upgrade: Option<Presentation>,
) -> Result<Built, String> {
    let mut builder = Builder::new(state, parent, at)?;
    if let Some(Tried::Refused(reason)) = pulses.map(|pulses| builder.push(pulses.to_vec())) {
        tracing::warn!(%reason, "the beacon's rounds stay out of this block");
    }
    let (mut included, mut refused) = (Vec::new(), Vec::new());
    for tx in waiting {
        match builder.push(tx.bytes.to_vec()) {
            Tried::Included(index) => included.push((tx, index)),
            Tried::Later if parent.number.saturating_sub(tx.since) < PATIENCE => {}
            Tried::Later => {
                let reason = format!("it could not be executed within {PATIENCE} blocks; is an earlier nonce missing?");
                refused.push((tx, Status::Dropped(reason)));
            }
            Tried::Refused(reason) => {
                tracing::debug!(%reason, hash = ?tx.hash, "a transaction is dropped");
                refused.push((tx, Status::Invalid(reason)));
            }
        }
    }
    if let Some(Err(refused)) = upgrade.map(|to| builder.upgrade(&to)).transpose()? {
        // Somebody with sudo was quicker.
        tracing::warn!(%refused, "no upgrade");
    }
    let (header, extrinsics, changes) = builder.finish()?;
    Ok(Built { block: Stored { header, extrinsics }, changes, included, refused })
}

/// Now, or a millisecond after the last block: on demand, blocks can come quicker than milliseconds. With a step, that much after the last.
fn next_timestamp(state: &State, step: u64) -> u64 {
    use sp_state_machine::Backend;
    let key = [sp_crypto_hashing::twox_128(b"Timestamp"), sp_crypto_hashing::twox_128(b"Now")].concat();
    let last = state.storage(&key).ok().flatten().and_then(|v| u64::decode(&mut &v[..]).ok()).unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    if step > 0 && last > 0 { last.saturating_add(step) } else { now.max(last.saturating_add(1)) }
}

impl Inner {
    fn index(&mut self, block: Stored) {
        let hash = block.header.hash();
        self.places.insert(hash, self.blocks.len());
        self.hashes.push(hash);
        self.blocks.push(block);
    }

    fn add(&mut self, nodes: &Nodes, block: Stored, changes: &Changes) {
        let number = block.header.number;
        for (key, value) in &changes.inserted {
            nodes.insert(key.clone(), value.clone());
            self.born.insert(key.clone(), number);
        }
        self.replaced.push_back((number, changes.removed.clone()));
        self.index(block);
    }

    /// Nodes that only states more than `states` blocks behind the next need. What block `n` replaced, the state of `n - 1` needs last.
    fn forget(&mut self, next: u32, states: u32) -> Forgotten {
        let mut forgotten = Forgotten::default();
        while self.replaced.front().is_some_and(|(n, _)| n.saturating_add(states) <= next) {
            let Some((number, keys)) = self.replaced.pop_front() else { break };
            forgotten.blocks.push(number);
            for key in keys {
                // Inserted again since it was replaced: still needed.
                if self.born.get(&key).is_none_or(|b| *b < number) {
                    self.born.remove(&key);
                    forgotten.nodes.push(key);
                }
            }
        }
        forgotten
    }
}

fn empty_header() -> Header {
    Header {
        parent_hash: H256::zero(),
        number: 0,
        state_root: H256::zero(),
        extrinsics_root: H256::zero(),
        digest: sp_runtime::generic::Digest::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use starling_runtime::{RuntimeCall, UncheckedExtrinsic, timestamp_set};

    fn chain() -> Chain {
        Chain::open(
            None,
            serde_json::to_vec(&starling_runtime::dev_genesis(true, None, None)).unwrap(),
            &Presentation::CURRENT,
            16,
        )
        .unwrap()
    }

    #[test]
    fn an_extrinsic_that_panics_is_dropped_and_blocks_go_on() {
        let chain = chain();
        // A second timestamp panics within FRAME, two storage layers deep.
        let bare = UncheckedExtrinsic::new_bare(RuntimeCall::Timestamp(timestamp_set(u64::MAX))).encode();
        assert!(chain.submit(bare.clone(), None).is_err(), "the pool lets none in");
        let (tell, mut hear) = tokio::sync::mpsc::unbounded_channel();
        chain.lock().pool.add(bare, None, true, 0, Some(tell)).unwrap();
        chain.produce().unwrap();
        assert_eq!(hear.try_recv(), Ok(Status::Ready));
        let Ok(Status::Invalid(reason)) = hear.try_recv() else { panic!("its watcher hears of it") };
        assert!(reason.contains("panicked") && reason.contains("Timestamp"), "{reason}");
        chain.produce().unwrap();
        let (best, _) = chain.best();
        assert_eq!(best.number, 2);
        assert_eq!(chain.block(None).unwrap().extrinsics.len(), 1);
        assert!(chain.waiting().is_empty());
    }

    #[test]
    fn what_spoils_a_block_at_its_end_is_found_and_the_others_get_in() {
        let build = |waiting: Vec<u32>| if waiting.contains(&7) { Err("7".to_owned()) } else { Ok(waiting) };
        let mut waiting: Vec<u32> = (0..20).collect();
        let mut blocks = 0;
        while !waiting.is_empty() {
            let (built, culprit) = narrow(waiting.clone(), build);
            let built = built.unwrap();
            assert!(!built.is_empty() || culprit.is_some(), "a block is never in vain");
            waiting.retain(|tx| !built.contains(tx) && culprit.as_ref().is_none_or(|(bad, _)| bad != tx));
            assert!(culprit.is_none_or(|(bad, _)| bad == 7));
            blocks += 1;
        }
        assert!(blocks < 10, "{blocks}");
        assert_eq!(narrow(vec![7], |_: Vec<u32>| Err::<(), _>("always".into())).0, Err("always".to_owned()));
    }

    #[test]
    fn a_closed_chain_makes_no_block() {
        let chain = chain();
        chain.close();
        assert!(chain.produce().is_err());
        assert_eq!(chain.best().0.number, 0);
    }
}
