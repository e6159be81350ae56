//! The chain: blocks, states, the pool, and the making of the next block. Every block is final at once.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use parity_scale_codec::{Decode, Encode};
use sp_core::H256;
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidity, TransactionValidityError,
};
use starling_runtime::{AccountId, Header};
use tokio::sync::{broadcast, mpsc::UnboundedSender};

use crate::{
    LocalnetError,
    execute::{self, Builder, Changes, Nodes, State, Touched, Tried},
    pool::{PATIENCE, Pool, Refused, Status, Waiting, invalid, signer},
    store::{Held, Store, Stored},
};

/// States of this many blocks can be asked for; older ones are forgotten, as on public full nodes.
pub const STATES: u32 = 1024;

struct Inner {
    blocks: Vec<Stored>,
    hashes: Vec<H256>,
    numbers: HashMap<H256, u32>,
    pool: Pool,
    /// Nodes that a block replaced, oldest block first.
    replaced: VecDeque<(u32, Vec<Vec<u8>>)>,
    /// Block that last inserted a node, for those that were inserted more than once.
    born: BTreeMap<Vec<u8>, u32>,
    store: Option<Store>,
}

/// A block that was built, and what became of the transactions that waited.
struct Built {
    block: Stored,
    changes: Changes,
    included: Vec<Waiting>,
    refused: Vec<Waiting>,
}

/// A new block, for subscribers.
#[derive(Clone, Debug)]
pub struct Made {
    pub header: Header,
    pub hash: H256,
    pub touched: Arc<Vec<Touched>>,
}

pub struct Chain {
    nodes: Nodes,
    inner: Mutex<Inner>,
    made: broadcast::Sender<Made>,
}

impl Chain {
    /// Continue what the store holds, or begin with a genesis.
    pub fn open(store: Option<(Store, Held)>, genesis: Vec<u8>) -> Result<Self, LocalnetError> {
        let nodes = Nodes::default();
        let mut inner = Inner {
            blocks: Vec::new(),
            hashes: Vec::new(),
            numbers: HashMap::new(),
            pool: Pool::default(),
            replaced: VecDeque::new(),
            born: BTreeMap::new(),
            store: None,
        };
        let (store, held) = match store {
            Some((store, held)) => (Some(store), held),
            None => (None, Held { blocks: Vec::new(), nodes: Vec::new() }),
        };
        inner.store = store;
        if held.blocks.is_empty() {
            let (header, changes) = execute::genesis(&nodes, genesis).map_err(LocalnetError::Genesis)?;
            let block = Stored { header, extrinsics: Vec::new() };
            if let Some(store) = &inner.store {
                store.append(&block, &changes, &[])?;
            }
            inner.add(&nodes, block, &changes);
        } else {
            for (key, value) in held.nodes {
                nodes.insert(key, value);
            }
            for block in held.blocks {
                inner.index(block);
            }
        }
        Ok(Self { nodes, inner: Mutex::new(inner), made: broadcast::Sender::new(256) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Let go of the folder, whoever still holds this chain: connections end later than the node.
    pub fn close(&self) {
        self.lock().store = None;
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
        self.lock().hashes.get(number as usize).copied()
    }

    pub fn block(&self, hash: Option<H256>) -> Option<Stored> {
        let inner = self.lock();
        match hash {
            None => inner.blocks.last().cloned(),
            Some(hash) => inner.numbers.get(&hash).and_then(|n| inner.blocks.get(*n as usize)).cloned(),
        }
    }

    /// The state after a block (the newest if none is named).
    pub fn state(&self, hash: Option<H256>) -> Result<State, String> {
        let (best, _) = self.best();
        let block = self
            .block(hash)
            .ok_or_else(|| format!("UnknownBlock: there is no block {:?}", hash.unwrap_or_default()))?;
        if block.header.number.saturating_add(STATES) < best.number {
            return Err(format!(
                "UnknownBlock: State already discarded for {:?}; states of the last {STATES} blocks are kept",
                block.header.hash()
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
        let failed =
            |e: String| Refused { code: 1002, message: "Verification Error: Execution: Runtime error", data: Some(e) };
        let answer = execute::call(&state, "TaggedTransactionQueue_validate_transaction", &data).map_err(failed)?;
        match TransactionValidity::decode(&mut &answer[..]).map_err(|e| failed(e.to_string()))? {
            // Ahead of its account's nonce: it may follow others that wait.
            Ok(_) | Err(TransactionValidityError::Invalid(InvalidTransaction::Future)) => {}
            Err(error) => return Err(invalid(error)),
        }
        self.lock().pool.add(bytes, key, best.number, watcher)
    }

    pub fn waiting(&self) -> Vec<Vec<u8>> {
        self.lock().pool.waiting.iter().map(|w| w.bytes.clone()).collect()
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

    /// Make the next block of what waits. What waits stays visible in the pool until the block is there, so that nobody is given
    /// a nonce twice in between.
    pub fn produce(&self) -> Result<(), LocalnetError> {
        let (parent, waiting) = {
            let inner = self.lock();
            let parent = inner.blocks.last().map_or_else(empty_header, |b| b.header.clone());
            (parent, inner.pool.waiting.clone())
        };
        let state = execute::state(&self.nodes, parent.state_root);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let built = self.build(&state, &parent, now, waiting).map_err(LocalnetError::Authoring)?;
        let Built { block, changes, included, refused } = built;
        let hash = block.header.hash();
        {
            let mut inner = self.lock();
            let forgotten = inner.forget(block.header.number);
            if let Some(store) = &inner.store {
                store.append(&block, &changes, &forgotten)?;
            }
            for key in &forgotten {
                self.nodes.remove(key);
            }
            inner.add(&self.nodes, block.clone(), &changes);
            inner.pool.remove(included.iter().chain(&refused).map(|tx| tx.hash));
        }
        for tx in refused {
            tx.tell(&Status::Invalid);
        }
        for tx in included {
            tx.tell(&Status::InBlock(hash));
            tx.tell(&Status::Finalized(hash));
        }
        let _ = self.made.send(Made { header: block.header, hash, touched: Arc::new(changes.touched) });
        Ok(())
    }

    fn build(&self, state: &State, parent: &Header, now: u64, mut waiting: Vec<Waiting>) -> Result<Built, String> {
        // Milliseconds may not have passed since the last block on demand.
        let mut at = now;
        let last = self.timestamp(state);
        if at <= last {
            at = last.saturating_add(1);
        }
        let mut builder = Builder::new(state, parent, at)?;
        let (mut included, mut refused) = (Vec::new(), Vec::new());
        loop {
            let before = included.len();
            let mut left = Vec::new();
            for tx in waiting {
                match builder.push(tx.bytes.clone()) {
                    Tried::Included => included.push(tx),
                    Tried::Later if parent.number.saturating_sub(tx.since) < PATIENCE => left.push(tx),
                    Tried::Later => refused.push(tx),
                    Tried::Refused(reason) => {
                        tracing::debug!(%reason, hash = ?tx.hash, "a transaction is dropped");
                        refused.push(tx);
                    }
                }
            }
            waiting = left;
            if included.len() == before || waiting.is_empty() {
                break;
            }
        }
        let (header, extrinsics, changes) = builder.finish()?;
        Ok(Built { block: Stored { header, extrinsics }, changes, included, refused })
    }

    fn timestamp(&self, state: &State) -> u64 {
        use sp_state_machine::Backend;
        let key = [sp_crypto_hashing::twox_128(b"Timestamp"), sp_crypto_hashing::twox_128(b"Now")].concat();
        state.storage(&key).ok().flatten().and_then(|v| u64::decode(&mut &v[..]).ok()).unwrap_or(0)
    }
}

impl Inner {
    fn index(&mut self, block: Stored) {
        let hash = block.header.hash();
        self.numbers.insert(hash, block.header.number);
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

    /// Nodes that only states older than [`STATES`] blocks need.
    fn forget(&mut self, next: u32) -> Vec<Vec<u8>> {
        let mut forgotten = Vec::new();
        while self.replaced.front().is_some_and(|(n, _)| n.saturating_add(STATES) < next) {
            let Some((number, keys)) = self.replaced.pop_front() else { break };
            for key in keys {
                // Inserted again since it was replaced: still needed.
                if self.born.get(&key).is_none_or(|b| *b < number) {
                    self.born.remove(&key);
                    forgotten.push(key);
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
