//! Setting weights and proving that they landed.
//!
//! A loop over chain blocks: what should be on chain (the newest target) against what is. With commit-reveal on: commit, wait
//! for the one chain epoch in which the reveal is allowed, reveal, read the weights back. A reveal that was missed is
//! committed again. Every transition is stored before it is sent, so `kill -9` at any point loses no weights.
//!
//! Weights that stay the same are set again all the same ([`Refresh`]): a validator that has not for `activity_cutoff` blocks no longer
//! counts, and earns nothing. What the chain would refuse is not sent: the rule that is broken is said instead, until it holds.

use std::{sync::Arc, time::Duration};

use starling_chain::{
    ChainError, Client,
    weights::preflight::{Check, Facts, Way, check},
};
use starling_incentive::upscale::upscale;
use starling_protocol::keys::Signer;
use tokio::sync::watch;

use crate::store::{CommitStore, PendingCommit, StoreFailure};

/// The weights that should be on chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `(uid, weight)`, ascending by uid, largest weight 65,535; empty: nothing to set yet.
    pub weights: Vec<(u16, u16)>,
}

/// How far the keeper is, for people and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightStatus {
    /// What it does or waits for.
    pub doing: String,
    /// The newest weights read back from the chain as ours.
    pub confirmed: Option<Vec<(u16, u16)>>,
    /// Block at which they were confirmed.
    pub confirmed_at: u32,
    /// Commits confirmed so far.
    pub commits: u32,
    /// Reveals confirmed so far.
    pub reveals: u32,
}

/// When weights that are on chain already are set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// In every epoch of the subnet.
    EveryEpoch,
    /// When half of the time has passed after which the chain takes the validator for inactive.
    BeforeInactive,
}

/// A place at which a test may end the process: called with the name of each step, before and after what can be lost.
pub type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// Keeps the chain at the target until the sender is dropped.
pub struct Keeper {
    chain: Client,
    hotkey: Arc<dyn Signer>,
    netuid: u16,
    store: Arc<dyn CommitStore>,
    target: watch::Receiver<Target>,
    status: watch::Sender<WeightStatus>,
    refresh: Refresh,
    version_key: u64,
    hook: Hook,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("netuid", &self.netuid).finish_non_exhaustive()
    }
}

/// Pause after an error of the chain's; doubles up to a minute.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Shortest and longest pause between two looks at the chain's height; an eighth of a block's time lies between, mostly.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Blocks after which the chain's pace is measured again.
const PACE: u32 = 100;

impl Keeper {
    /// A keeper that has not started.
    #[must_use]
    pub fn new(
        chain: Client,
        hotkey: Arc<dyn Signer>,
        netuid: u16,
        store: Arc<dyn CommitStore>,
        target: watch::Receiver<Target>,
        status: watch::Sender<WeightStatus>,
    ) -> Self {
        Self {
            chain,
            hotkey,
            netuid,
            store,
            target,
            status,
            refresh: Refresh::BeforeInactive,
            version_key: 0,
            hook: Arc::new(|_| ()),
        }
    }

    /// Another way to refresh, and the version key that goes with the weights.
    #[must_use]
    pub fn with(self, refresh: Refresh, version_key: u64) -> Self {
        Self { refresh, version_key, ..self }
    }

    /// TEST ONLY: be told of every step.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook, ..self }
    }

    fn say(&self, doing: impl Into<String>) {
        let doing = doing.into();
        self.status.send_if_modified(|s| {
            let changed = s.doing != doing;
            if changed {
                tracing::info!(target: "weights", "{doing}");
                s.doing = doing;
            }
            changed
        });
    }

    /// Run until the target's sender is gone. Errors of the chain are retried for ever and shown in the status.
    ///
    /// # Errors
    /// Only the store's: without it nothing may be sent.
    pub async fn run(mut self) -> Result<(), StoreFailure> {
        let mut pause = FIRST_PAUSE;
        let mut look = LOOK.0;
        let mut seen = None;
        loop {
            let Ok(changed) = self.target.has_changed() else { return Ok(()) };
            let wait = match self.news(&mut seen, changed).await {
                Ok(news) => {
                    pause = FIRST_PAUSE;
                    if news && let Ok(Some(seconds)) = self.chain.block_seconds().await {
                        look = Duration::from_secs_f64((seconds / 8.0).clamp(0.0, 60.0)).clamp(LOOK.0, LOOK.1);
                    }
                    look
                }
                Err(Trouble::Store(error)) => return Err(error),
                Err(Trouble::Chain(error)) => {
                    self.say(format!("the chain: {error}; trying again in {:.1} s", pause.as_secs_f32()));
                    let now = pause;
                    pause = (pause * 2).min(Duration::from_secs(60));
                    now
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.target.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Look once per final block, or when there are other weights: more often, nothing can have changed. True if it is time to measure
    /// the chain's pace.
    async fn news(&mut self, seen: &mut Option<u32>, changed: bool) -> Result<bool, Trouble> {
        let head = self.chain.head().await?.number;
        if !changed && *seen == Some(head) {
            return Ok(false);
        }
        self.once().await?;
        // The pace of a young chain is not known at first, and an upgrade may change it.
        let pace = seen.is_none_or(|seen| seen / PACE != head / PACE);
        *seen = Some(head);
        Ok(pace)
    }

    async fn once(&mut self) -> Result<(), Trouble> {
        let target = self.target.borrow_and_update().clone();
        if target.weights.is_empty() && self.store.pending()?.is_none() {
            self.say("no audited work yet: nothing to weigh");
            return Ok(());
        }
        let account = self.hotkey.account();
        let Some(uid) = self.chain.uid(self.netuid, &account).await? else {
            self.say(format!(
                "hotkey {account} is not registered on subnet {}: register it (`starling register`)",
                self.netuid
            ));
            return Ok(());
        };
        let facts = self.chain.weight_facts(self.netuid, &account).await?;
        if facts.commit_reveal {
            self.by_commit(uid, &target, &facts).await
        } else {
            self.plainly(uid, &target, &facts).await
        }
    }

    /// True if the weights on chain are the target's, and young enough.
    async fn stands(&self, uid: u16, target: &Target, facts: &Facts) -> Result<bool, Trouble> {
        if self.on_chain(uid).await? != as_stored(&target.weights) {
            return Ok(false);
        }
        let age = u64::from(facts.block).saturating_sub(facts.last_update);
        Ok(match self.refresh {
            Refresh::EveryEpoch => facts.last_update >= self.chain.epoch_clock(self.netuid).await?.last_epoch_block,
            Refresh::BeforeInactive => age < facts.activity_cutoff / 2,
        })
    }

    /// True if the chain would take the weights; says what stands in the way otherwise.
    fn may(&self, facts: &Facts, way: Way, target: &Target) -> bool {
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        let broken: Vec<Check> =
            check(facts, way, &uids, &values, self.version_key).into_iter().filter(|c| !c.holds).collect();
        let Some(first) = broken.first() else { return true };
        let until = match (first.heals_in_blocks, first.advice) {
            // Not how many: the line would change with every block.
            (Some(_), _) => ": waiting".to_owned(),
            (None, Some(advice)) => format!(": {advice}"),
            (None, None) => String::new(),
        };
        let read = if first.heals_in_blocks.is_some() { String::new() } else { format!("{}, ", first.read) };
        self.say(format!(
            "the chain would refuse weights now ({}): {read}needed is {}{until}",
            first.rule, first.needed
        ));
        false
    }

    async fn on_chain(&self, uid: u16) -> Result<Vec<(u16, u16)>, Trouble> {
        let mut weights = self.chain.weights(self.netuid, uid, None).await?;
        weights.sort_unstable();
        Ok(weights)
    }

    async fn confirm(&self, weights: &[(u16, u16)], revealed: bool) -> Result<(), Trouble> {
        let head = self.chain.head().await?;
        self.status.send_modify(|s| {
            s.confirmed = Some(weights.to_vec());
            s.confirmed_at = head.number;
            s.reveals += u32::from(revealed);
        });
        self.say(format!("weights are on chain, read back at block {}", head.number));
        Ok(())
    }

    async fn plainly(&self, uid: u16, target: &Target, facts: &Facts) -> Result<(), Trouble> {
        if target.weights.is_empty() {
            return Ok(());
        }
        if self.stands(uid, target, facts).await? {
            if self.status.borrow().confirmed.as_ref() != Some(&target.weights) {
                self.confirm(&target.weights, false).await?;
            }
            return Ok(());
        }
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        if !self.may(facts, Way::Plain, target) {
            return Ok(());
        }
        self.say("setting weights");
        self.chain.set_weights(self.hotkey.as_ref(), self.netuid, &uids, &values, self.version_key).await?;
        if self.on_chain(uid).await? == as_stored(&target.weights) {
            self.confirm(&target.weights, false).await?;
        }
        Ok(())
    }

    async fn by_commit(&self, uid: u16, target: &Target, facts: &Facts) -> Result<(), Trouble> {
        let Some(pending) = self.store.pending()? else {
            if target.weights.is_empty() || self.stands(uid, target, facts).await? {
                if !target.weights.is_empty() && self.status.borrow().confirmed.as_ref() != Some(&target.weights) {
                    self.confirm(&target.weights, false).await?;
                }
                return Ok(());
            }
            return if self.may(facts, Way::Commit, target) { self.draw_and_commit(target).await } else { Ok(()) };
        };
        let clock = self.chain.epoch_clock(self.netuid).await?;
        let Some(epoch) = pending.epoch else {
            // Ended or cut off between storing and hearing of inclusion: the chain says whether the commit is there. If it is not, it
            // may still be on its way: only the very same bytes may be sent, or the salt of the one that lands is lost.
            return match self.found(&pending).await? {
                Some(epoch) => Ok(self.store.set_pending(Some(&PendingCommit { epoch: Some(epoch), ..pending }))?),
                None if self.may(facts, Way::Commit, target) => self.commit(&pending).await,
                None => Ok(()),
            };
        };
        // What is sent now stands in the next block.
        let now = clock.commit_epoch();
        let due = epoch + clock.reveal_period;
        if now < due {
            self.say(format!("committed in chain epoch {epoch}; the reveal is due in epoch {due}, now is {now}"));
            return Ok(());
        }
        if now > due {
            return self.again(&format!("the reveal of chain epoch {epoch} was missed (due in {due}, now is {now})"));
        }
        // A commit leaves the chain by its reveal, or by its epoch's end. One that is gone before we reveal proves nothing: perhaps
        // it was revealed before a crash, perhaps it never was there. Weights of an earlier epoch look the same.
        if self.found(&pending).await?.is_none() {
            return self.again(&format!("the commit of chain epoch {epoch} is no longer on chain"));
        }
        self.say(format!("revealing in chain epoch {now}"));
        (self.hook)("before-reveal");
        let PendingCommit { uids, values, salt, version_key, .. } = &pending;
        let revealed =
            self.chain.reveal_weights(self.hotkey.as_ref(), self.netuid, uids, values, salt, *version_key).await;
        (self.hook)("after-reveal");
        if let Err(error) = revealed {
            if self.found(&pending).await?.is_some() {
                return Err(error.into());
            }
            // It was there before: gone within its epoch means revealed, gone with its epoch means lost.
            if self.chain.epoch_clock(self.netuid).await?.index > due {
                return self.again(&format!("the reveal of chain epoch {epoch} did not land in time: {error}"));
            }
        }
        let landed = self.on_chain(uid).await?;
        self.store.set_pending(None)?;
        self.confirm(&landed, true).await
    }

    /// The epoch of the pending commit, if it is on chain.
    async fn found(&self, pending: &PendingCommit) -> Result<Option<u64>, Trouble> {
        let account = self.hotkey.account();
        let PendingCommit { uids, values, salt, version_key, .. } = pending;
        let hash = starling_chain::commit_reveal::commit_hash(&account, self.netuid, uids, values, salt, *version_key);
        let commits = self.chain.weight_commits(self.netuid, &account).await?;
        // Of two copies the later: the earlier one goes with it.
        Ok(commits.iter().rev().find(|c| c.hash == hash).map(|c| c.epoch))
    }

    /// Give the pending commit up: the next look commits anew.
    fn again(&self, why: &str) -> Result<(), Trouble> {
        self.say(format!("{why}: committing again"));
        Ok(self.store.set_pending(None)?)
    }

    async fn draw_and_commit(&self, target: &Target) -> Result<(), Trouble> {
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        let mut raw = [0u8; 16];
        getrandom(&mut raw)?;
        let salt: Vec<u16> = raw.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        let pending = PendingCommit { uids, values, salt, version_key: self.version_key, epoch: None };
        (self.hook)("before-store");
        self.store.set_pending(Some(&pending))?;
        self.commit(&pending).await
    }

    async fn commit(&self, pending: &PendingCommit) -> Result<(), Trouble> {
        (self.hook)("before-commit");
        self.say("committing weights");
        let PendingCommit { uids, values, salt, version_key, .. } = pending;
        self.chain.commit_weights(self.hotkey.as_ref(), self.netuid, uids, values, salt, *version_key).await?;
        (self.hook)("after-commit");
        self.status.send_modify(|s| s.commits += 1);
        Ok(())
    }
}

/// The salt must be unpredictable, or the weights can be guessed before the reveal.
fn getrandom(bytes: &mut [u8]) -> Result<(), Trouble> {
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, bytes)
        .map_err(|e| Trouble::Store(StoreFailure(format!("no randomness from the system: {e}"))))
}

enum Trouble {
    Chain(ChainError),
    Store(StoreFailure),
}

impl From<ChainError> for Trouble {
    fn from(e: ChainError) -> Self {
        Self::Chain(e)
    }
}

impl From<StoreFailure> for Trouble {
    fn from(e: StoreFailure) -> Self {
        Self::Store(e)
    }
}

/// Weights as the chain keeps them: scaled so that the largest is 65535.
fn as_stored(weights: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let (uids, values): (Vec<u16>, Vec<u16>) = weights.iter().copied().unzip();
    uids.into_iter().zip(upscale(&values)).collect()
}
