//! The roll of the subnet: who is registered, asked of the chain and remembered for a while.
//!
//! Invariant: nobody is admitted whom the chain did not name within the last [`Roll`] lifetime, and no stranger can make us ask
//! the chain more often than once per account and lifetime.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use starling_protocol::{Uid, keys::Account};

use crate::Admission;

/// Asks the chain for an account's slot on the subnet.
pub type Lookup = Box<dyn Fn(Account) -> BoxFuture<'static, Result<Option<Uid>, String>> + Send + Sync>;

/// Accounts remembered at most, so that strangers cannot fill memory.
const REMEMBERED: usize = 16_384;

/// Admission by registration on the subnet.
pub struct Roll {
    netuid: u16,
    lookup: Lookup,
    lifetime: Duration,
    known: Mutex<HashMap<Account, (Instant, Option<Uid>)>>,
}

impl std::fmt::Debug for Roll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roll").field("netuid", &self.netuid).finish_non_exhaustive()
    }
}

impl Roll {
    /// A roll of subnet `netuid` whose answers are good for `lifetime`.
    #[must_use]
    pub fn new(netuid: u16, lifetime: Duration, lookup: Lookup) -> Self {
        Self { netuid, lookup, lifetime, known: Mutex::new(HashMap::new()) }
    }

    /// The account's slot, from memory or from the chain.
    ///
    /// # Errors
    /// Why the chain could not be asked.
    pub async fn uid(&self, account: &Account) -> Result<Option<Uid>, String> {
        {
            let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some((when, uid)) = known.get(account)
                && when.elapsed() < self.lifetime
            {
                return Ok(*uid);
            }
        }
        let uid = (self.lookup)(*account).await?;
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            let lifetime = self.lifetime;
            known.retain(|_, (when, _)| when.elapsed() < lifetime);
            if known.len() >= REMEMBERED {
                known.clear();
            }
        }
        known.insert(*account, (Instant::now(), uid));
        Ok(uid)
    }
}

impl Admission for Roll {
    fn admit(&self, who: &Account) -> BoxFuture<'_, Result<(), String>> {
        let who = *who;
        Box::pin(async move {
            match self.uid(&who).await? {
                Some(_) => Ok(()),
                None => Err(format!("hotkey {who} is not registered on subnet {}: register it first (`starling register`)", self.netuid)),
            }
        })
    }
}
