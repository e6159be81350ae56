//! Setting weights and proving that they landed.
//!
//! A loop over chain blocks: what should be on chain (the newest target) against what is. With commit-reveal on, weights are committed,
//! once per epoch at most, and several commits may wait for their reveals ([`crate::commits`]); with it off they are set at once.
//!
//! Weights that stay the same are set again all the same ([`Refresh`]): a validator that has not for `activity_cutoff` blocks no longer
//! counts, and earns nothing. What the chain would refuse is not sent: the rule that is broken is said instead, until it holds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use starling_chain::{
    BlockRef, ChainError, Client, EpochClock, Mechanism,
    weights::preflight::{Check, Facts, Way, check},
};
use starling_keys::Signer;
use starling_yuma::upscale::upscale;
use tokio::sync::watch;

use crate::{
    status::WeightStatus,
    store::{CommitStore, StoreFailure},
};

/// The weights that should be on chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `(uid, weight)`, ascending by uid, largest weight 65,535; empty: nothing to set yet.
    pub weights: Vec<(u16, u16)>,
}

/// When weights that are on chain already are set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// In every epoch of the subnet.
    EveryEpoch,
    /// When half of the time has passed after which the chain takes the validator for inactive.
    BeforeInactive,
}

/// How to commit where commit-reveal is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Timelocked if the chain takes that and its beacon runs, else by hash.
    #[default]
    Best,
    /// By hash; this process must be there for the reveal.
    Hash,
    /// Timelocked.
    Timelock,
}

/// A place at which a test may end the process: called with the name of each step, before and after what can be lost.
pub type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// Keeps the chain at the target until the sender is dropped.
pub struct Keeper {
    pub(crate) chain: Client,
    pub(crate) hotkey: Arc<dyn Signer>,
    pub(crate) of: Mechanism,
    pub(crate) store: Arc<dyn CommitStore>,
    target: watch::Receiver<Target>,
    pub(crate) status: watch::Sender<WeightStatus>,
    refresh: Refresh,
    pub(crate) by: By,
    pub(crate) version_key: u64,
    pub(crate) hook: Hook,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("of", &self.of).finish_non_exhaustive()
    }
}

/// Pause after an error of the chain's; doubles up to some blocks' time, and to a minute at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: (u32, Duration) = (5, Duration::from_secs(60));
/// Shortest and longest pause between two looks at the chain's height; a quarter of a block's time lies between, mostly.
const LOOK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));
/// Blocks after which the rules are read again at the latest: an owner may have changed one.
const REREAD: u32 = 25;

/// What the loop remembers from look to look.
#[derive(Default)]
struct Seen {
    /// The block that was dealt with last.
    head: Option<u32>,
    /// When the newest block was seen first.
    newest: Option<(u32, Instant)>,
    /// Wall time of a block.
    pace: Option<Duration>,
    /// Before this block there is nothing new to send.
    quiet_until: u32,
}

impl Seen {
    /// Measures the pace.
    fn saw(&mut self, number: u32) {
        let now = Instant::now();
        let blocks = self.newest.and_then(|(before, at)| Some((number.checked_sub(before)?, at)));
        match blocks {
            Some((0, _)) => return,
            Some((blocks, at)) => {
                let each = (now - at) / blocks;
                self.pace = Some(self.pace.map_or(each, |pace| (pace * 3 + each) / 4));
            }
            None => {}
        }
        self.newest = Some((number, now));
    }

    fn longest_pause(&self) -> Duration {
        let (blocks, most) = LONGEST_PAUSE;
        self.pace.map_or(most, |pace| pace * blocks).clamp(FIRST_PAUSE, most)
    }

    fn pause(&self) -> Duration {
        self.pace.map_or(LOOK.0 * 10, |pace| pace / 4).clamp(LOOK.0, LOOK.1)
    }
}

impl Keeper {
    /// A keeper that has not started.
    #[must_use]
    pub fn new(
        chain: Client,
        hotkey: Arc<dyn Signer>,
        of: impl Into<Mechanism>,
        store: Arc<dyn CommitStore>,
        target: watch::Receiver<Target>,
        status: watch::Sender<WeightStatus>,
    ) -> Self {
        Self {
            chain,
            hotkey,
            of: of.into(),
            store,
            target,
            status,
            refresh: Refresh::BeforeInactive,
            by: By::Best,
            version_key: 0,
            hook: Arc::new(|_| ()),
        }
    }

    /// Another way to refresh, and the version key that goes with the weights.
    #[must_use]
    pub fn with(self, refresh: Refresh, version_key: u64) -> Self {
        Self { refresh, version_key, ..self }
    }

    /// Another way to commit.
    #[must_use]
    pub fn with_commits(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// TEST ONLY: be told of every step.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook, ..self }
    }

    pub(crate) fn say(&self, doing: impl Into<String>) {
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
        let mut seen = Seen::default();
        loop {
            let Ok(changed) = self.target.has_changed() else { return Ok(()) };
            let wait = match self.look(&mut seen, changed).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    self.status.send_if_modified(|s| s.trouble.take().is_some());
                    seen.pause()
                }
                Err(Trouble::Store(error)) => return Err(error),
                Err(Trouble::Chain(error)) => {
                    let error = error.to_string();
                    self.say(format!("the chain: {error}; trying again in {:.1} s", pause.as_secs_f32()));
                    self.status.send_modify(|s| {
                        let tries = s.trouble.as_ref().map_or(0, |(_, tries)| *tries);
                        s.trouble = Some((error, tries.saturating_add(1)));
                    });
                    // What was sent may have landed: look at everything again.
                    seen = Seen { newest: seen.newest, pace: seen.pace, ..Seen::default() };
                    let now = pause;
                    pause = (pause * 2).min(seen.longest_pause());
                    now
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.target.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Look once per final block, or when there are other weights: more often, nothing can have changed.
    async fn look(&mut self, seen: &mut Seen, changed: bool) -> Result<(), Trouble> {
        let head = self.chain.head().await?;
        seen.saw(head.number);
        if !changed && seen.head == Some(head.number) {
            return Ok(());
        }
        if changed {
            seen.quiet_until = 0;
        }
        self.once(head, seen).await?;
        seen.head = Some(head.number);
        self.status.send_modify(|s| s.head = Some(head));
        Ok(())
    }

    async fn once(&mut self, head: BlockRef, seen: &mut Seen) -> Result<(), Trouble> {
        let target = self.target.borrow_and_update().clone();
        if target.weights.is_empty() && self.store.commits()?.is_empty() {
            self.say("nothing to weigh yet");
            return Ok(());
        }
        let clock = self.chain.epoch_clock(self.of.netuid).await?;
        // A commit waits for its reveal before it can count.
        let patient = u64::from(clock.tempo).saturating_mul(clock.reveal_period.saturating_add(2)).max(1);
        let late_after = Some(u32::try_from(patient).unwrap_or(u32::MAX));
        self.status.send_if_modified(|s| std::mem::replace(&mut s.late_after, late_after) != late_after);
        // What cannot be found out of earlier commits must not cost this epoch's.
        let (decided, wrong) = self.settle(&clock).await?;
        if decided {
            seen.quiet_until = 0;
        }
        self.renew(&target, &clock, head, seen).await?;
        wrong.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Send the target if this epoch has nothing of ours yet.
    async fn renew(&self, target: &Target, clock: &EpochClock, head: BlockRef, seen: &mut Seen) -> Result<(), Trouble> {
        if target.weights.is_empty() || head.number < seen.quiet_until || self.committed_in(clock.commit_epoch())? {
            return Ok(());
        }
        let quiet = self.bring(target, clock).await?;
        seen.quiet_until = head.number.saturating_add(quiet.clamp(1, REREAD));
        Ok(())
    }

    /// Send the target if it is time; says for how many blocks there is nothing more to do.
    async fn bring(&self, target: &Target, clock: &EpochClock) -> Result<u32, Trouble> {
        let account = self.hotkey.account();
        let Some(uid) = self.chain.uid(self.of.netuid, &account).await? else {
            self.say(format!(
                "hotkey {account} is not registered on subnet {}: register it (`starling register`)",
                self.of.netuid
            ));
            return Ok(REREAD);
        };
        let facts = self.chain.weight_facts(self.of, &account).await?;
        let to_next = clock.next_epoch_block().map_or(REREAD, |next| next.saturating_sub(clock.block));
        if let Some(fresh_for) = self.fresh(uid, target, &facts, clock).await? {
            return Ok(fresh_for.min(to_next));
        }
        if !facts.commit_reveal {
            return self.plainly(uid, target, &facts).await;
        }
        let margin = (u32::from(clock.tempo) / 10).min(COMMIT_MARGIN);
        if to_next <= margin {
            // It would fall into the next epoch, but be encrypted for the reveal of this one.
            return Ok(to_next);
        }
        self.commit(target, &facts).await
    }

    /// For how many blocks the target needs nothing: it is on chain or on its way there, and young enough. `None` if it must be sent.
    async fn fresh(
        &self,
        uid: u16,
        target: &Target,
        facts: &Facts,
        clock: &EpochClock,
    ) -> Result<Option<u32>, Trouble> {
        let on_its_way =
            self.store.commits()?.last().map(|c| c.uids.iter().copied().zip(c.values.iter().copied()).collect());
        let newest: Vec<(u16, u16)> = match on_its_way {
            Some(pending) if facts.commit_reveal => pending,
            _ => {
                let landed = self.on_chain(uid).await?;
                if landed == as_stored(&target.weights)
                    && self.status.borrow().confirmed.as_ref() != Some(&target.weights)
                {
                    self.confirm(landed.clone(), |_| ()).await?;
                }
                landed
            }
        };
        if as_stored(&newest) != as_stored(&target.weights) {
            return Ok(None);
        }
        Ok(match self.refresh {
            Refresh::EveryEpoch => (facts.last_update >= clock.last_epoch_block).then_some(REREAD),
            Refresh::BeforeInactive => {
                let age = u64::from(facts.block).saturating_sub(facts.last_update);
                let left = (facts.activity_cutoff / 2).saturating_sub(age);
                (left > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX))
            }
        })
    }

    /// Blocks until the chain would take the weights, 0 if it would now; says what stands in the way otherwise.
    pub(crate) fn refused(&self, facts: &Facts, way: Way, target: &Target) -> u32 {
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        let broken: Vec<Check> =
            check(facts, way, &uids, &values, self.version_key).into_iter().filter(|c| !c.holds).collect();
        // What time heals is no trouble.
        let rule = broken.iter().find(|rule| rule.heals_in_blocks.is_none()).map(|rule| rule.rule.to_owned());
        self.status.send_if_modified(|s| {
            let changed = s.refused != rule;
            s.refused = rule;
            changed
        });
        let Some(first) = broken.first() else { return 0 };
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
        let longest = broken.iter().map(|rule| rule.heals_in_blocks.unwrap_or(1)).max().unwrap_or(1);
        u32::try_from(longest).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) async fn on_chain(&self, uid: u16) -> Result<Vec<(u16, u16)>, Trouble> {
        let mut weights = self.chain.weights(self.of, uid, None).await?;
        weights.sort_unstable();
        Ok(weights)
    }

    pub(crate) async fn confirm(
        &self,
        weights: Vec<(u16, u16)>,
        count: impl FnOnce(&mut WeightStatus),
    ) -> Result<(), Trouble> {
        let head = self.chain.head().await?;
        self.status.send_modify(|s| {
            s.confirmed = Some(weights);
            s.confirmed_at = head.number;
            count(s);
        });
        self.say(WeightStatus::landed(head.number));
        Ok(())
    }

    async fn plainly(&self, uid: u16, target: &Target, facts: &Facts) -> Result<u32, Trouble> {
        let wait = self.refused(facts, Way::Plain, target);
        if wait > 0 {
            return Ok(wait);
        }
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        self.say("setting weights");
        self.chain.set_weights(self.hotkey.as_ref(), self.of, &uids, &values, self.version_key).await?;
        let landed = self.on_chain(uid).await?;
        if landed == as_stored(&target.weights) {
            self.confirm(landed, |s| s.sets += 1).await?;
        }
        Ok(1)
    }
}

/// So many blocks before an epoch nothing is committed any more.
const COMMIT_MARGIN: u32 = 3;

pub(crate) enum Trouble {
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
pub(crate) fn as_stored(weights: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let (uids, values): (Vec<u16>, Vec<u16>) = weights.iter().copied().unzip();
    uids.into_iter().zip(upscale(&values)).collect()
}
