//! A chain that does what the test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use futures::future::BoxFuture;
use starling_commitment::anchor::LedgerAnchor;
use starling_keys::{Account, Signer};
use starling_protocol::Uid;
use tokio::sync::watch;

use crate::chain::{Chain, Committed};

#[derive(Default)]
struct Inner {
    uids: BTreeMap<Account, Uid>,
    commitments: BTreeMap<Account, Committed>,
    /// What the orchestrator wrote.
    heads: Vec<LedgerAnchor>,
    /// Writes that fail before the next succeeds.
    failures: u32,
    away: bool,
}

pub(crate) struct Script {
    inner: Mutex<Inner>,
    block: watch::Sender<u32>,
    heads: watch::Sender<usize>,
}

impl Script {
    /// At block 100; seeds 1 to 60 are registered, with their seed as slot.
    pub(crate) fn new() -> Arc<Self> {
        let uids = (1..60).map(|seed| (super::key(seed).account(), Uid::from(seed))).collect();
        let inner = Inner { uids, ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner), block: watch::Sender::new(100), heads: watch::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn register(&self, account: Account, uid: Uid) {
        self.lock().uids.insert(account, uid);
    }

    pub(crate) fn advance(&self) {
        self.block.send_modify(|b| *b += 1);
    }

    pub(crate) fn block(&self) -> u32 {
        *self.block.borrow()
    }

    /// In the next block.
    pub(crate) fn put(&self, account: Account, data: Vec<u8>) {
        let block = self.block() + 1;
        self.lock().commitments.insert(account, (block, data));
        self.advance();
    }

    pub(crate) fn away(&self, away: bool) {
        self.lock().away = away;
        // Whoever waits for a block looks again.
        self.block.send_modify(|_| ());
    }

    pub(crate) fn fail_writes(&self, times: u32) {
        self.lock().failures = times;
    }

    pub(crate) fn heads(&self) -> Vec<LedgerAnchor> {
        self.lock().heads.clone()
    }

    pub(crate) async fn wait_for_heads(&self, count: usize) {
        self.heads.subscribe().wait_for(|n| *n >= count).await.unwrap();
    }

    fn there(&self) -> Result<(), String> {
        if self.lock().away { Err("connection refused".into()) } else { Ok(()) }
    }
}

impl Chain for Script {
    fn block_after(&self, last: Option<u32>) -> BoxFuture<'_, Result<u32, String>> {
        Box::pin(async move {
            self.there()?;
            let mut block = self.block.subscribe();
            let newest = *block.wait_for(|b| self.lock().away || last.is_none_or(|l| *b > l)).await.unwrap();
            self.there()?;
            Ok(newest)
        })
    }
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>> {
        Box::pin(async move {
            self.there()?;
            Ok(self.lock().uids.get(&hotkey).copied())
        })
    }
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Committed>, String>> {
        Box::pin(async move {
            self.there()?;
            Ok(self.lock().commitments.get(&hotkey).cloned())
        })
    }
    fn commit<'a>(&'a self, _: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.there()?;
            let mut inner = self.lock();
            if inner.failures > 0 {
                inner.failures -= 1;
                return Err("the pool is full".into());
            }
            inner.heads.push(LedgerAnchor::from_commitment(&data).expect("the orchestrator writes its own tag"));
            self.heads.send_replace(inner.heads.len());
            Ok(())
        })
    }
}
