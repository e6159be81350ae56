//! Transactions that wait for a block.
//!
//! Invariant: for one account and nonce at most one transaction waits; whoever watches one hears how it ends.

use std::collections::BTreeSet;

use parity_scale_codec::Decode;
use serde::Serialize;
use sp_core::H256;
use sp_crypto_hashing::blake2_256;
use sp_runtime::{
    generic::Preamble,
    transaction_validity::{InvalidTransaction, TransactionValidityError},
};
use starling_runtime::{AccountId, UncheckedExtrinsic};
use tokio::sync::mpsc::UnboundedSender;

/// Most transactions that wait.
const CAPACITY: usize = 8192;
/// Blocks for which a transaction whose nonce is ahead is kept.
pub const PATIENCE: u32 = 64;

/// What a watcher hears; the JSON of the public nodes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    Ready,
    InBlock(H256),
    Finalized(H256),
    Invalid,
}

#[derive(Clone)]
pub struct Waiting {
    pub bytes: Vec<u8>,
    pub hash: H256,
    pub key: Option<(AccountId, u32)>,
    pub since: u32,
    pub watchers: Vec<UnboundedSender<Status>>,
}

impl Waiting {
    pub fn tell(&self, status: &Status) {
        for watcher in &self.watchers {
            let _ = watcher.send(status.clone());
        }
    }
}

/// An error of the transaction pool as public nodes number it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: i32,
    pub message: &'static str,
    pub data: Option<String>,
}

#[derive(Default)]
pub struct Pool {
    pub waiting: Vec<Waiting>,
}

/// Who signed, and with which nonce.
pub fn signer(bytes: &[u8]) -> Result<Option<(AccountId, u32)>, Refused> {
    let bad =
        |e: String| Refused { code: 1002, message: "Verification Error: Execution: Runtime error", data: Some(e) };
    let extrinsic =
        UncheckedExtrinsic::decode(&mut &bytes[..]).map_err(|e| bad(format!("the extrinsic does not decode: {e}")))?;
    match extrinsic.preamble {
        Preamble::Signed(sp_runtime::MultiAddress::Id(account), _, extension) => Ok(Some((account, extension.5.0))),
        Preamble::Signed(..) => Err(bad("accounts are addressed by id on this chain".into())),
        _ => Ok(None),
    }
}

/// The pool's answer to a transaction that the runtime finds invalid.
pub fn invalid(error: TransactionValidityError) -> Refused {
    match error {
        TransactionValidityError::Invalid(InvalidTransaction::Custom(code)) => {
            Refused { code: 1010, message: "Invalid Transaction", data: Some(format!("Custom error: {code}")) }
        }
        TransactionValidityError::Invalid(e) => {
            Refused { code: 1010, message: "Invalid Transaction", data: Some(<&'static str>::from(e).to_owned()) }
        }
        TransactionValidityError::Unknown(e) => Refused {
            code: 1011,
            message: "Unknown Transaction Validity",
            data: Some(<&'static str>::from(e).to_owned()),
        },
    }
}

impl Pool {
    pub fn add(
        &mut self,
        bytes: Vec<u8>,
        key: Option<(AccountId, u32)>,
        now: u32,
        watcher: Option<UnboundedSender<Status>>,
    ) -> Result<H256, Refused> {
        let hash = H256(blake2_256(&bytes));
        if self.waiting.iter().any(|w| w.hash == hash) {
            return Err(Refused {
                code: 1013,
                message: "Transaction Already Imported",
                data: Some(format!("{hash:?}")),
            });
        }
        if key.is_some() && self.waiting.iter().any(|w| w.key == key) {
            return Err(Refused {
                code: 1014,
                message: "Priority is too low: (1 vs 1)",
                data: Some(
                    "The transaction has too low priority to replace another transaction already in the pool.".into(),
                ),
            });
        }
        if self.waiting.len() >= CAPACITY {
            return Err(Refused {
                code: 1016,
                message: "Immediately Dropped",
                data: Some("The transaction couldn't enter the pool because of the limit.".into()),
            });
        }
        let entry = Waiting { bytes, hash, key, since: now, watchers: watcher.into_iter().collect() };
        entry.tell(&Status::Ready);
        self.waiting.push(entry);
        Ok(hash)
    }

    /// Nonces of an account's transactions that wait.
    pub fn nonces(&self, account: &AccountId) -> BTreeSet<u32> {
        self.waiting.iter().filter_map(|w| w.key.as_ref()).filter(|(a, _)| a == account).map(|(_, n)| *n).collect()
    }

    /// Forget transactions by hash.
    pub fn remove(&mut self, hashes: impl Iterator<Item = H256>) {
        let gone: BTreeSet<H256> = hashes.collect();
        self.waiting.retain(|w| !gone.contains(&w.hash));
    }
}
