//! What the orchestrator remembers of peers besides the ledger: when each was last heard, how far it has read, how much it may
//! still say. Lost in a restart, and nothing depends on it then: everybody gets a whole patience anew.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use starling_keys::Account;
use starling_protocol::{Code, Refused, state::State};

/// What a peer may say at once.
const ALLOWANCE: f64 = 512.0;
/// What a refusal costs it.
const REFUSED: f64 = 4.0;
/// What it regains per second.
const REGAINED: f64 = 4.0;

#[derive(Clone, Copy, Debug)]
struct Known {
    heard: Instant,
    served: u64,
    allowance: f64,
    counted: Instant,
}

/// How long peers take to notice that a restarted orchestrator is not the one that they were talking to (the network's idle timeout,
/// and a retry).
const NOTICING: Duration = Duration::from_secs(15);

/// Peers by hotkey; only registered ones ever get here, so a subnet's size bounds it.
#[derive(Debug)]
pub(crate) struct Peers {
    patience: Duration,
    started: Instant,
    known: Mutex<BTreeMap<Account, Known>>,
}

impl Peers {
    /// A peer is silent after `patience` without a word.
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, started: Instant::now(), known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Account, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, who: Account, change: impl FnOnce(&mut Known) -> T) -> T {
        let now = Instant::now();
        let mut known = self.lock();
        change(known.entry(who).or_insert(Known { heard: now, served: 0, allowance: ALLOWANCE, counted: now }))
    }

    pub(crate) fn heard(&self, who: Account) {
        self.with(who, |k| k.heard = Instant::now());
    }

    /// It was given all entries before `length`.
    pub(crate) fn served(&self, who: Account, length: u64) {
        self.with(who, |k| k.served = k.served.max(length));
    }

    /// Take `cost` from what the peer may say.
    pub(crate) fn charge(&self, who: Account, cost: f64) -> Result<(), Refused> {
        self.with(who, |k| {
            let now = Instant::now();
            k.allowance = (k.allowance + now.duration_since(k.counted).as_secs_f64() * REGAINED).min(ALLOWANCE);
            k.counted = now;
            if cost > k.allowance {
                let wait = (cost.min(ALLOWANCE) - k.allowance) / REGAINED;
                let words = format!("too many messages in a short time: wait {} s", wait.ceil());
                return Err(Refused::new(Code::Allowance, words));
            }
            k.allowance -= cost;
            Ok(())
        })
    }

    /// A message of this peer was refused: reading it was work for nothing.
    pub(crate) fn refused(&self, who: Account) {
        self.with(who, |k| k.allowance = (k.allowance - REFUSED).max(0.0));
    }

    fn quiet(&self, known: &BTreeMap<Account, Known>, who: &Account) -> bool {
        match known.get(who) {
            Some(k) => k.heard.elapsed() > self.patience,
            // Not heard since this process started: it has to notice first that the one before is dead.
            None => self.started.elapsed() > self.patience + NOTICING,
        }
    }

    /// Live peers that have not been heard for the whole patience.
    pub(crate) fn silent(&self, state: &State) -> Vec<Account> {
        let known = self.lock();
        live(state).filter(|who| self.quiet(&known, who)).collect()
    }

    /// Every live peer that still talks has been given the whole ledger.
    pub(crate) fn all_served(&self, state: &State) -> bool {
        let known = self.lock();
        let length = state.head().length;
        live(state).all(|who| self.quiet(&known, &who) || known.get(&who).is_some_and(|k| k.served >= length))
    }
}

fn live(state: &State) -> impl Iterator<Item = Account> {
    let miners = state.members().iter().filter(|(_, m)| m.live).map(|(a, _)| *a);
    let auditors = state.auditors().iter().filter(|(_, a)| a.live).map(|(a, _)| *a);
    miners.chain(auditors)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_how_long_to_wait_and_others_are_not_its_victims() {
        let peers = Peers::new(Duration::from_secs(1));
        let (noisy, quiet) = (Account([1; 32]), Account([2; 32]));
        let refused = (0..1000).find_map(|_| peers.charge(noisy, 1.0).err());
        let refused = refused.unwrap();
        assert!(refused.code == Code::Allowance && refused.words.contains("wait 1 s"), "{refused}");
        assert_eq!(peers.charge(quiet, 1.0), Ok(()));
    }
}
