//! The roll of the subnet: who is registered, asked of the chain and remembered for a while.
//!
//! Invariant: nobody is admitted whom the chain did not name within the last lifetime, or, while the chain cannot be asked, within
//! the last ten: a chain that restarts must not tear the swarm apart. No stranger can make us ask the chain more often than
//! once per account and lifetime, and however many requests a peer makes at once, one of them asks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use starling_keys::Account;
use starling_protocol::{Code, Refused, Uid};
use tokio::time::Instant;

use crate::Admission;

/// Asks the chain for an account's slot on the subnet.
pub type Lookup = Box<dyn Fn(Account) -> BoxFuture<'static, Result<Option<Uid>, String>> + Send + Sync>;

/// Accounts remembered at most, so that strangers cannot fill memory.
const REMEMBERED: usize = 16_384;
/// Lifetimes for which the last answer stands while the chain cannot be asked.
const GRACE: u32 = 10;

#[derive(Clone, Copy)]
struct Known {
    when: Instant,
    uid: Option<Uid>,
    /// Somebody is asking anew; whoever comes meanwhile takes the last answer.
    asking: bool,
}

/// Admission by registration on the subnet.
pub struct Roll {
    netuid: u16,
    lookup: Lookup,
    lifetime: Duration,
    known: Mutex<HashMap<Account, Known>>,
}

/// Ends the asking, also where it is cut off by a deadline.
struct Asking<'a>(&'a Roll, Account);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.0.lock().get_mut(&self.1) {
            known.asking = false;
        }
    }
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Account, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's slot, from memory or from the chain.
    ///
    /// # Errors
    /// Why the chain could not be asked.
    pub async fn uid(&self, account: &Account) -> Result<Option<Uid>, String> {
        let grace = self.lifetime.saturating_mul(GRACE);
        let last = {
            let mut all = self.lock();
            match all.get_mut(account) {
                Some(known) if known.when.elapsed() < self.lifetime => return Ok(known.uid),
                Some(known) if known.asking && known.when.elapsed() < grace => return Ok(known.uid),
                Some(known) => {
                    known.asking = true;
                    Some(*known)
                }
                None => None,
            }
        };
        let _asking = Asking(self, *account);
        match (self.lookup)(*account).await {
            Ok(uid) => {
                self.remember(*account, uid);
                Ok(uid)
            }
            Err(reason) => match last.filter(|known| known.when.elapsed() < grace) {
                Some(known) => {
                    tracing::warn!(account = %account.short(), %reason, "the chain cannot be asked; its last answer stands");
                    Ok(known.uid)
                }
                None => Err(reason),
            },
        }
    }

    fn remember(&self, account: Account, uid: Option<Uid>) {
        let mut all = self.lock();
        if all.len() >= REMEMBERED && !all.contains_key(&account) {
            all.retain(|_, known| known.when.elapsed() < self.lifetime);
            if all.len() >= REMEMBERED {
                // Strangers are forgotten first: they only have to be looked up again.
                all.retain(|_, known| known.uid.is_some());
            }
            if all.len() >= REMEMBERED {
                all.clear();
            }
        }
        all.insert(account, Known { when: Instant::now(), uid, asking: false });
    }
}

impl Admission for Roll {
    fn admit(&self, who: &Account) -> BoxFuture<'_, Result<(), Refused>> {
        let who = *who;
        Box::pin(async move {
            match self.uid(&who).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    let words = format!("hotkey {who} is not registered on subnet {}: register it first", self.netuid);
                    Err(Refused::new(Code::NotRegistered, words))
                }
                Err(why) => Err(Refused::new(Code::ChainUnreadable, why)),
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    /// A chain that knows account 1, counts questions, and is down when told so.
    fn roll(asked: Arc<AtomicUsize>, down: Arc<Mutex<bool>>) -> Roll {
        let lookup: Lookup = Box::new(move |who| {
            asked.fetch_add(1, Ordering::SeqCst);
            let answer = if *down.lock().unwrap() { Err("down".to_owned()) } else { Ok((who.0[0] == 1).then_some(7)) };
            Box::pin(async move { answer })
        });
        Roll::new(9, LIFE, lookup)
    }

    #[tokio::test(start_paused = true)]
    async fn the_chain_is_asked_once_in_a_lifetime_for_friend_and_stranger() {
        let (asked, down) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let roll = roll(asked.clone(), down);
        for _ in 0..100 {
            assert!(roll.admit(&Account([1; 32])).await.is_ok());
            let refused = roll.admit(&Account([2; 32])).await.unwrap_err();
            assert_eq!(refused.code, Code::NotRegistered);
            assert!(refused.words.contains("subnet 9"), "{refused}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        tokio::time::advance(LIFE).await;
        assert!(roll.admit(&Account([1; 32])).await.is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_is_down_neither_admits_strangers_nor_tears_the_swarm_apart() {
        let (asked, down) = (Arc::default(), Arc::new(Mutex::new(false)));
        let roll = roll(asked, down.clone());
        assert!(roll.admit(&Account([1; 32])).await.is_ok());
        *down.lock().unwrap() = true;
        tokio::time::advance(LIFE * 9).await;
        assert!(roll.admit(&Account([1; 32])).await.is_ok(), "the last answer stands");
        assert_eq!(roll.admit(&Account([3; 32])).await, Err(Refused::new(Code::ChainUnreadable, "down")));
        tokio::time::advance(LIFE * 2).await;
        assert!(roll.admit(&Account([1; 32])).await.is_err(), "but not for ever");
    }

    #[tokio::test]
    async fn memory_is_bounded_whoever_knocks() {
        let roll = roll(Arc::default(), Arc::default());
        roll.uid(&Account([1; 32])).await.unwrap();
        for i in 0..2 * REMEMBERED as u32 {
            let mut account = [2; 32];
            account[1..5].copy_from_slice(&i.to_le_bytes());
            roll.uid(&Account(account)).await.unwrap();
        }
        assert!(roll.lock().len() <= REMEMBERED);
        assert!(roll.lock().contains_key(&Account([1; 32])), "strangers do not push out the registered");
    }
}
