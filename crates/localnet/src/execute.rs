//! Running the runtime natively over a trie: one call, or one block.
//!
//! Invariant: a panic of the runtime, or an extrinsic that the runtime refuses, leaves the state as if it had not been tried.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hash_db::Prefix;
use parity_scale_codec::{Decode, DecodeLimit, Encode};
use sp_core::H256;
use sp_externalities::Extensions;
use sp_runtime::{
    ApplyExtrinsicResult, StateVersion,
    generic::Digest,
    traits::{BlakeTwo256, Block as BlockT},
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError},
};
use sp_state_machine::{DBValue, Ext, OverlayedChanges, TrieBackend, TrieBackendBuilder, TrieBackendStorage};
use starling_runtime::{Block, Header, NotNewer, Presentation, RuntimeCall, SlotMillis, UncheckedExtrinsic};

/// Calls within calls, at most. FRAME decodes and dispatches them by recursion; natively a stack that overflows ends the process,
/// where a node's wasm would only trap. FRAME's own limit (256) is applied after a first decoding without one.
pub const MAX_DEPTH: u32 = 32;

/// Trie nodes of all states that are kept, and the pace at which the node adds to them.
#[derive(Clone)]
pub struct Nodes(Arc<RwLock<HashMap<Vec<u8>, Vec<u8>>>>, Arc<AtomicU64>);

impl Default for Nodes {
    fn default() -> Self {
        Self(Arc::default(), Arc::new(AtomicU64::new(starling_runtime::PUBLIC_SLOT)))
    }
}

impl Nodes {
    /// Milliseconds between blocks, as the runtime's constants will tell.
    pub fn set_slot(&self, millis: u64) {
        self.1.store(millis, Ordering::Relaxed);
    }
    pub fn insert(&self, key: Vec<u8>, value: Vec<u8>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }
    pub fn remove(&self, key: &[u8]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl TrieBackendStorage<BlakeTwo256> for Nodes {
    fn get(&self, key: &H256, prefix: Prefix<'_>) -> Result<Option<DBValue>, String> {
        let key = sp_trie::prefixed_key::<BlakeTwo256>(key, prefix);
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned())
    }
}

/// One state.
pub type State = TrieBackend<Nodes, BlakeTwo256>;

/// The state with this root.
pub fn state(nodes: &Nodes, root: H256) -> State {
    TrieBackendBuilder::new(nodes.clone(), root).build()
}

/// An extrinsic, if it is one and not nested too deeply.
pub fn read(extrinsic: &[u8]) -> Result<UncheckedExtrinsic, String> {
    UncheckedExtrinsic::decode_all_with_depth_limit(MAX_DEPTH, &mut &extrinsic[..])
        .map_err(|e| format!("the extrinsic does not decode (calls may be nested {MAX_DEPTH} deep): {e}"))
}

/// Refuses what a caller from outside must not make the runtime decode.
fn guard(method: &str, data: &[u8]) -> Result<(), String> {
    let limited = |data: &[u8]| {
        UncheckedExtrinsic::decode_with_depth_limit(MAX_DEPTH, &mut &data[..]).map(drop).map_err(|e| e.to_string())
    };
    match method {
        "BlockBuilder_apply_extrinsic"
        | "TransactionPaymentApi_query_info"
        | "TransactionPaymentApi_query_fee_details" => limited(data),
        "TaggedTransactionQueue_validate_transaction" => {
            let mut rest = data;
            TransactionSource::decode(&mut rest).map_err(|e| e.to_string())?;
            limited(rest)
        }
        "Core_execute_block" | "BlockBuilder_check_inherents" => {
            let block = <Block as BlockT>::LazyBlock::decode(&mut &data[..]).map_err(|e| e.to_string())?;
            block.extrinsics.iter().try_for_each(|extrinsic| limited(&extrinsic.encode()))
        }
        _ => Ok(()),
    }
}

fn within<R>(overlay: &mut OverlayedChanges<BlakeTwo256>, state: &State, run: impl FnOnce() -> R) -> Result<R, String> {
    // Between these two marks belongs what the runtime opens: transactions that a panic leaves open are rolled back at the second.
    overlay.enter_runtime().map_err(|_| "the runtime is already running".to_owned())?;
    let result = {
        let mut beside = Extensions::new();
        beside.register(SlotMillis(state.backend_storage().1.load(Ordering::Relaxed)));
        let mut ext = Ext::new(overlay, state, Some(&mut beside));
        std::panic::catch_unwind(AssertUnwindSafe(|| sp_externalities::set_and_run_with_externalities(&mut ext, run)))
    };
    overlay.exit_runtime().map_err(|_| "the runtime was not running".to_owned())?;
    result.map_err(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        format!("the runtime panicked: {}", text.unwrap_or_default())
    })
}

fn dispatch(
    overlay: &mut OverlayedChanges<BlakeTwo256>,
    state: &State,
    method: &str,
    data: &[u8],
) -> Result<Vec<u8>, String> {
    within(overlay, state, || starling_runtime::dispatch(method, data))?
        .ok_or_else(|| format!("the runtime has no function {method}"))
}

/// Call a runtime API function; what it changes is dropped.
pub fn call(state: &State, method: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    guard(method, data)?;
    dispatch(&mut OverlayedChanges::default(), state, method, data)
}

/// A storage key that was written, and its new value.
pub type Touched = (Vec<u8>, Option<Vec<u8>>);

/// Trie changes: nodes by prefixed key, and keys of nodes no longer part of the newest state.
#[derive(Debug, Default)]
pub struct Changes {
    pub inserted: Vec<(Vec<u8>, Vec<u8>)>,
    pub removed: Vec<Vec<u8>>,
    pub root: H256,
    /// Storage keys written, with their values.
    pub touched: Vec<Touched>,
}

fn drain(overlay: &mut OverlayedChanges<BlakeTwo256>, state: &State) -> Result<Changes, String> {
    let changes = overlay.drain_storage_changes(state, StateVersion::V1)?;
    let mut result =
        Changes { root: changes.transaction_storage_root, touched: changes.main_storage_changes, ..Changes::default() };
    let mut transaction = changes.transaction;
    for (key, (value, count)) in transaction.drain() {
        if count > 0 {
            result.inserted.push((key, value));
        } else if count < 0 {
            result.removed.push(key);
        }
    }
    Ok(result)
}

/// Block 0 from a genesis configuration, of a chain that begins as this runtime.
pub fn genesis(nodes: &Nodes, json: Vec<u8>, runtime: &Presentation) -> Result<(Header, Changes), String> {
    let empty = sp_state_machine::new_in_mem::<BlakeTwo256>();
    let empty = state(nodes, *empty.root());
    let mut overlay = OverlayedChanges::default();
    // First of all: genesis notes the version, so that the first upgrade is seen as one.
    within(&mut overlay, &empty, || runtime.found())?;
    let answer = dispatch(&mut overlay, &empty, "GenesisBuilder_build_state", &json.encode())?;
    let built: Result<(), String> = Decode::decode(&mut &answer[..]).map_err(|e| e.to_string())?;
    built?;
    let changes = drain(&mut overlay, &empty)?;
    let extrinsics_root = <BlakeTwo256 as sp_runtime::traits::Hash>::ordered_trie_root(Vec::new(), StateVersion::V1);
    let header = Header {
        parent_hash: H256::zero(),
        number: 0,
        state_root: changes.root,
        extrinsics_root,
        digest: Digest::default(),
    };
    Ok((header, changes))
}

/// The number of the block after `parent`, whose state this is: one more, but a forked chain's genesis says where it goes on.
pub fn number_after(state: &State, parent: &Header) -> u32 {
    use sp_state_machine::Backend;
    let key = [sp_crypto_hashing::twox_128(b"System"), sp_crypto_hashing::twox_128(b"Number")].concat();
    let said = || state.storage(&key).ok().flatten().and_then(|v| u32::decode(&mut &v[..]).ok());
    let last = if parent.number == 0 { said().unwrap_or(0) } else { parent.number };
    last.saturating_add(1)
}

/// What became of an extrinsic that was tried.
pub enum Tried {
    /// It is in the block, at this position.
    Included(u32),
    /// Not yet: an earlier nonce is missing.
    Later,
    /// Never.
    Refused(String),
}

/// A block in the making.
pub struct Builder<'a> {
    overlay: OverlayedChanges<BlakeTwo256>,
    state: &'a State,
    extrinsics: Vec<Vec<u8>>,
}

impl<'a> Builder<'a> {
    /// Begin the block after `parent`, with the timestamp inherent.
    pub fn new(state: &'a State, parent: &Header, timestamp_ms: u64) -> Result<Self, String> {
        let header = Header {
            parent_hash: parent.hash(),
            number: number_after(state, parent),
            state_root: H256::zero(),
            extrinsics_root: H256::zero(),
            digest: Digest::default(),
        };
        let mut builder = Self { overlay: OverlayedChanges::default(), state, extrinsics: Vec::new() };
        dispatch(&mut builder.overlay, state, "Core_initialize_block", &header.encode())?;
        if parent.number == 0 {
            // FRAME notes the parent's hash under the number before this block's, which on a forked chain is not genesis' own; and
            // signatures name the hash of block 0.
            let genesis = parent.hash();
            let note = || frame_system::BlockHash::<starling_runtime::Runtime>::insert(0, genesis);
            within(&mut builder.overlay, state, note)?;
        }
        let now = RuntimeCall::Timestamp(starling_runtime::timestamp_set(timestamp_ms));
        match builder.push(UncheckedExtrinsic::new_bare(now).encode()) {
            Tried::Included(_) => Ok(builder),
            Tried::Refused(why) => Err(why),
            Tried::Later => Err("the timestamp cannot wait".into()),
        }
    }

    /// Try an extrinsic.
    pub fn push(&mut self, extrinsic: Vec<u8>) -> Tried {
        let position = u32::try_from(self.extrinsics.len()).unwrap_or(u32::MAX);
        self.overlay.start_transaction();
        let result = self.apply(&extrinsic);
        let tried = match result.map(|bytes| ApplyExtrinsicResult::decode(&mut &bytes[..])) {
            Ok(Ok(Ok(_))) => Tried::Included(position),
            Ok(Ok(Err(TransactionValidityError::Invalid(e)))) if e.exhausted_resources() => Tried::Later,
            Ok(Ok(Err(TransactionValidityError::Invalid(InvalidTransaction::Future)))) => Tried::Later,
            Ok(Ok(Err(error))) => Tried::Refused(<&'static str>::from(error).to_owned()),
            Ok(Err(error)) => Tried::Refused(error.to_string()),
            Err(panic) => Tried::Refused(panic),
        };
        if matches!(tried, Tried::Included(_)) {
            let _ = self.overlay.commit_transaction();
            self.extrinsics.push(extrinsic);
        } else {
            let _ = self.overlay.rollback_transaction();
        }
        tried
    }

    /// The runtime's answer to an extrinsic (an `ApplyExtrinsicResult`).
    pub fn apply(&mut self, extrinsic: &[u8]) -> Result<Vec<u8>, String> {
        dispatch(&mut self.overlay, self.state, "BlockBuilder_apply_extrinsic", extrinsic)
    }

    /// Have the blocks after this one run as another runtime; this one still ends as it began.
    pub fn upgrade(&mut self, to: &Presentation) -> Result<Result<(), NotNewer>, String> {
        within(&mut self.overlay, self.state, || to.enact())
    }

    /// End the block.
    pub fn finish(mut self) -> Result<(Header, Vec<Vec<u8>>, Changes), String> {
        let bytes = dispatch(&mut self.overlay, self.state, "BlockBuilder_finalize_block", &[])?;
        let header = Header::decode(&mut &bytes[..]).map_err(|e| e.to_string())?;
        let changes = drain(&mut self.overlay, self.state)?;
        if header.state_root != changes.root {
            return Err(format!(
                "the block's state root is {:?}, its changes give {:?}",
                header.state_root, changes.root
            ));
        }
        Ok((header, self.extrinsics, changes))
    }
}
