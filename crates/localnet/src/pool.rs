//! Transactions that wait for a block.
//!
//! Invariant: for one account and nonce at most one transaction waits; whoever watches one hears how it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};
use sp_core::H256;
use sp_crypto_hashing::blake2_256;
use sp_runtime::{
    generic::Preamble,
    transaction_validity::{InvalidTransaction, TransactionValidityError},
};
use starling_runtime::AccountId;
use tokio::sync::mpsc::UnboundedSender;

use crate::execute;

/// Most transactions that wait.
const CAPACITY: usize = 8192;
/// Most bytes of them; a public node's pool holds 20 MiB.
const CAPACITY_BYTES: usize = 20 << 20;
/// Blocks for which a transaction whose nonce is ahead is kept.
pub const PATIENCE: u32 = 64;

/// What a watcher hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its nonce is ahead of its account's.
    Future,
    /// It may go into the next block.
    Ready,
    /// It is in this block, at this position.
    Included(H256, u32),
    /// That block is final.
    Finalized(H256, u32),
    /// It waited too long.
    Dropped(String),
    /// It can no longer be executed.
    Invalid(String),
}

impl Status {
    /// Nothing follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Finalized(..) | Self::Dropped(_) | Self::Invalid(_))
    }

    /// As `author_extrinsicUpdate` says it.
    pub fn legacy(&self) -> Value {
        match self {
            Self::Future => json!("future"),
            Self::Ready => json!("ready"),
            Self::Included(block, _) => json!({ "inBlock": block }),
            Self::Finalized(block, _) => json!({ "finalized": block }),
            Self::Dropped(_) => json!("dropped"),
            Self::Invalid(_) => json!("invalid"),
        }
    }

    /// As `transactionWatch_v1_watchEvent` says it; a transaction that is not ready yet is not spoken of there.
    pub fn modern(&self) -> Option<Value> {
        let block = |hash: &H256, index: &u32| json!({ "hash": hash, "index": index });
        Some(match self {
            Self::Future => return None,
            Self::Ready => json!({ "event": "validated" }),
            Self::Included(hash, index) => json!({ "event": "bestChainBlockIncluded", "block": block(hash, index) }),
            Self::Finalized(hash, index) => json!({ "event": "finalized", "block": block(hash, index) }),
            Self::Dropped(error) => json!({ "event": "dropped", "error": error }),
            Self::Invalid(error) => json!({ "event": "invalid", "error": error }),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Waiting {
    pub bytes: Arc<Vec<u8>>,
    pub hash: H256,
    pub key: Option<(AccountId, u32)>,
    pub since: u32,
    /// All nonces before it are used, or wait.
    ready: bool,
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

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.data {
            Some(data) => write!(f, "{}: {data}", self.message),
            None => f.write_str(self.message),
        }
    }
}

/// The runtime could not even check it.
pub fn unreadable(reason: String) -> Refused {
    Refused { code: 1002, message: "Verification Error: Execution: Runtime error", data: Some(reason) }
}

#[derive(Default)]
pub struct Pool {
    waiting: Vec<Waiting>,
    bytes: usize,
}

/// Who signed, and with which nonce.
pub fn signer(bytes: &[u8]) -> Result<Option<(AccountId, u32)>, Refused> {
    match execute::read(bytes).map_err(unreadable)?.preamble {
        Preamble::Signed(sp_runtime::MultiAddress::Id(account), _, extension) => Ok(Some((account, extension.5.0))),
        Preamble::Signed(..) => Err(unreadable("accounts are addressed by id on this chain".into())),
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
    /// Let a checked transaction wait; `first` says that no nonce before it is unused, `now` is the newest block.
    pub fn add(
        &mut self,
        bytes: Vec<u8>,
        key: Option<(AccountId, u32)>,
        first: bool,
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
        if self.waiting.len() >= CAPACITY || self.bytes.saturating_add(bytes.len()) > CAPACITY_BYTES {
            return Err(Refused {
                code: 1016,
                message: "Immediately Dropped",
                data: Some("The transaction couldn't enter the pool because of the limit.".into()),
            });
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        let of = |account: &AccountId, nonce: u32| Some((account.clone(), nonce));
        let before = key.as_ref().and_then(|(account, nonce)| of(account, nonce.checked_sub(1)?));
        let ready =
            first || before.is_some_and(|before| self.waiting.iter().any(|w| w.ready && w.key == Some(before.clone())));
        let watchers = watcher.into_iter().collect();
        let entry = Waiting { bytes: Arc::new(bytes), hash, key: key.clone(), since: now, ready, watchers };
        entry.tell(if ready { &Status::Ready } else { &Status::Future });
        // Those that had been waiting for this one.
        if let (true, Some((account, mut nonce))) = (ready, key) {
            while let Some(next) = nonce.checked_add(1) {
                nonce = next;
                let Some(follower) = self.waiting.iter_mut().find(|w| !w.ready && w.key == of(&account, nonce)) else {
                    break;
                };
                follower.ready = true;
                follower.tell(&Status::Ready);
            }
        }
        self.waiting.push(entry);
        Ok(hash)
    }

    /// What waits, in order of arrival, but an account's transactions in the order of their nonces.
    pub fn in_order(&self) -> Vec<Waiting> {
        let mut of_account: BTreeMap<&AccountId, BTreeMap<u32, &Waiting>> = BTreeMap::new();
        for entry in &self.waiting {
            if let Some((account, nonce)) = &entry.key {
                of_account.entry(account).or_default().insert(*nonce, entry);
            }
        }
        let next = |entry: &Waiting| {
            let key = entry.key.as_ref();
            let lowest = key.and_then(|(account, _)| of_account.get_mut(account)).and_then(BTreeMap::pop_first);
            lowest.map_or_else(|| entry.clone(), |(_, first)| first.clone())
        };
        self.waiting.iter().map(next).collect()
    }

    /// Nonces of an account's transactions that wait.
    pub fn nonces(&self, account: &AccountId) -> BTreeSet<u32> {
        self.waiting.iter().filter_map(|w| w.key.as_ref()).filter(|(a, _)| a == account).map(|(_, n)| *n).collect()
    }

    /// Forget transactions by hash.
    pub fn remove(&mut self, hashes: impl Iterator<Item = H256>) {
        let gone: BTreeSet<H256> = hashes.collect();
        self.waiting.retain(|w| !gone.contains(&w.hash));
        self.bytes = self.waiting.iter().map(|w| w.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn add(pool: &mut Pool, account: u8, nonce: u32) -> Result<H256, Refused> {
        pool.add(vec![account, nonce as u8], Some((AccountId::new([account; 32]), nonce)), true, 0, None)
    }

    #[test]
    fn an_accounts_transactions_come_in_nonce_order_whatever_the_order_of_arrival() {
        let mut pool = Pool::default();
        for (account, nonce) in [(1, 3), (2, 0), (1, 1), (1, 2), (2, 1), (1, 0)] {
            add(&mut pool, account, nonce).unwrap();
        }
        let order: Vec<_> = pool.in_order().iter().map(|w| (w.bytes[0], w.bytes[1])).collect();
        assert_eq!(order, [(1, 0), (2, 0), (1, 1), (1, 2), (2, 1), (1, 3)]);
    }

    #[test]
    fn one_transaction_per_nonce_and_a_bounded_pool() {
        let mut pool = Pool::default();
        add(&mut pool, 1, 0).unwrap();
        assert_eq!(add(&mut pool, 1, 0).unwrap_err().code, 1013);
        let other = pool.add(vec![9, 9, 9], Some((AccountId::new([1; 32]), 0)), true, 0, None);
        assert_eq!(other.unwrap_err().code, 1014);
        let large = |pool: &mut Pool| pool.add(vec![7; CAPACITY_BYTES - 1], None, true, 0, None);
        assert_eq!(large(&mut pool).unwrap_err().code, 1016, "two bytes wait already");
        let hashes: Vec<H256> = pool.in_order().iter().map(|w| w.hash).collect();
        pool.remove(hashes.into_iter());
        large(&mut pool).expect("there is room again");
    }
}
