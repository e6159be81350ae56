//! The keeper's commits: at most one per epoch, as many waiting as the reveal period has epochs (chain.md 5).
//!
//! Invariant: a commit is stored before it is sent and forgotten only when the chain has shown what became of it: revealed, by its own event
//! in a final block, or lost. Every step can be the process' last: the next one finds out where each stored commit stands.

use starling_chain::{
    ChainError, EpochClock, Fate, WeightCommit,
    commit_reveal::commit_hash,
    timelock::{TimelockedCommit, sealed_hash},
    weights::preflight::{Facts, Way},
};

use crate::{
    keeper::{By, Keeper, Target, Trouble, as_stored},
    status::Loss,
    store::{PendingCommit, Secret, StoreFailure},
};

/// Blocks after which a transaction can no longer be included, and some.
const EXPIRED: u32 = 160;

/// What is to be done with a stored commit after a look at it.
enum Step {
    /// Nothing new.
    Keep,
    /// The chain has it: here.
    Stands(u64, u32),
    /// Its weights are on chain.
    Landed,
    /// It will not come on chain any more, of this epoch and for this reason.
    Lost(Option<u64>, String),
}

impl Keeper {
    /// True if a commit of ours belongs to this epoch, or may be on its way into it.
    pub(crate) fn committed_in(&self, epoch: u64) -> Result<bool, Trouble> {
        Ok(self.store.commits()?.iter().any(|c| c.stands.is_none_or(|(of, _)| of == epoch)))
    }

    /// Bring every stored commit as far as it can be brought now; true if one was decided, and what went wrong with another.
    pub(crate) async fn settle(&self, clock: &EpochClock) -> Result<(bool, Option<ChainError>), Trouble> {
        let (mut decided, mut wrong) = (false, None);
        let mut place = 0;
        let mut commits = self.store.commits()?;
        while let Some(commit) = commits.get(place) {
            let step = match self.step(commit, clock).await {
                // Trouble with one must not cost the next one its reveal.
                Err(Trouble::Chain(error)) if !error.is_connection() => {
                    wrong = wrong.or(Some(error));
                    Step::Keep
                }
                step => step?,
            };
            match step {
                Step::Keep => place += 1,
                Step::Stands(epoch, block) => {
                    if let Some(commit) = commits.get_mut(place) {
                        commit.stands = Some((epoch, block));
                    }
                    self.store.set_commits(&commits)?;
                }
                Step::Landed => {
                    commits.remove(place);
                    self.store.set_commits(&commits)?;
                    decided = true;
                }
                Step::Lost(epoch, why) => {
                    commits.remove(place);
                    self.store.set_commits(&commits)?;
                    decided = true;
                    self.say(format!("{why}: committing again"));
                    tracing::warn!(target: "weights", "{why}");
                    if let Some(epoch) = epoch {
                        let loss = Loss { epoch, why, noticed_at: clock.block };
                        self.status.send_modify(|s| {
                            s.losses += 1;
                            s.last_loss = Some(loss);
                        });
                    }
                }
            }
        }
        let pending = u32::try_from(commits.len()).unwrap_or(u32::MAX);
        self.status.send_if_modified(|s| std::mem::replace(&mut s.pending, pending) != pending);
        Ok((decided, wrong))
    }

    async fn step(&self, commit: &PendingCommit, clock: &EpochClock) -> Result<Step, Trouble> {
        let Some((epoch, block)) = commit.stands else { return self.find_out(commit, clock).await };
        match &commit.secret {
            Secret::Salt(salt) => self.reveal(commit, salt, (epoch, block), clock).await,
            Secret::Sealed { bytes, round } => self.watch(commit, bytes, *round, (epoch, block), clock).await,
        }
    }

    /// A commit that was stored and of whose inclusion we have not heard: ended or cut off in between. The chain says whether it is there. If
    /// it is not, it may still be on its way: only the very same bytes may be sent again, or the secret of the one that lands is lost.
    async fn find_out(&self, commit: &PendingCommit, clock: &EpochClock) -> Result<Step, Trouble> {
        if let Some((epoch, block)) = self.found(commit).await? {
            return Ok(Step::Stands(epoch, block));
        }
        let account = self.hotkey.account();
        let facts = self.chain.weight_facts(self.of, &account).await?;
        if facts.last_update > u64::from(commit.stored_at) {
            // A commit was taken since, and no other process of ours could send one: it was decided while nobody looked.
            return Ok(Step::Lost(None, "a commit was decided while this program was away".to_owned()));
        }
        if clock.block > commit.stored_at.saturating_add(EXPIRED) {
            return Ok(Step::Lost(None, "a commit that was to be sent never reached the chain".to_owned()));
        }
        let target = Target { weights: pairs(commit) };
        let way = match &commit.secret {
            Secret::Salt(_) => Way::Commit,
            Secret::Sealed { round, .. } => {
                // Sent in a later epoch, everybody could read it before its reveal.
                let late = u64::from(commit.stored_at) < clock.last_epoch_block;
                if late || *round < self.chain.beacon().await?.last_stored {
                    return Ok(Step::Lost(None, "a commit was not sent within its epoch".to_owned()));
                }
                Way::Timelock
            }
        };
        if self.refused(&facts, way, &target) == 0 {
            return self.send(commit).await.map(|(epoch, block)| Step::Stands(epoch, block));
        }
        Ok(Step::Keep)
    }

    async fn reveal(
        &self,
        commit: &PendingCommit,
        salt: &[u16],
        (epoch, block): (u64, u32),
        clock: &EpochClock,
    ) -> Result<Step, Trouble> {
        // What is sent now stands in the next block.
        let now = clock.commit_epoch();
        let due = epoch.saturating_add(clock.reveal_period);
        if now < due {
            self.say(format!("committed in chain epoch {epoch}; the reveal is due in epoch {due}, now is {now}"));
            return Ok(Step::Keep);
        }
        // A commit leaves the chain by its reveal, or after its epoch. One that is gone before we reveal proves nothing: perhaps it was
        // revealed before a crash, perhaps it never was there. Weights of an earlier epoch look the same; the chain's events do not.
        if self.found(commit).await?.is_none() {
            return self.gone(commit, salt, (epoch, block), "it was never revealed").await;
        }
        if now > due {
            let why = format!("the reveal of chain epoch {epoch} was missed (due in {due}, now is {now})");
            return Ok(Step::Lost(Some(epoch), why));
        }
        self.say(format!("revealing in chain epoch {now}"));
        (self.hook)("before-reveal");
        let PendingCommit { uids, values, version_key, .. } = commit;
        let revealed = self.chain.reveal_weights(self.hotkey.as_ref(), self.of, uids, values, salt, *version_key).await;
        (self.hook)("after-reveal");
        match revealed {
            Ok(_) => self.landed(commit).await,
            Err(error) if error.name() == Some("CommitRevealDisabled") => {
                Ok(Step::Lost(Some(epoch), format!("the subnet's commit-reveal was switched off: {error}")))
            }
            Err(error) if self.found(commit).await?.is_some() => Err(error.into()),
            // Gone: by this reveal, of whose inclusion we did not hear, or with its epoch.
            Err(error) => self.gone(commit, salt, (epoch, block), &error.to_string()).await,
        }
    }

    /// A commit by hash that is no longer on chain: revealed, if the chain's own event says so.
    async fn gone(
        &self,
        commit: &PendingCommit,
        salt: &[u16],
        (epoch, block): (u64, u32),
        why: &str,
    ) -> Result<Step, Trouble> {
        let account = self.hotkey.account();
        let PendingCommit { uids, values, version_key, .. } = commit;
        let hash = commit_hash(&account, self.of.index(), uids, values, salt, *version_key);
        match self.chain.commit_fate(self.of, &account, &WeightCommit { hash, epoch, block: block.into() }).await? {
            Fate::Waiting => Ok(Step::Keep),
            Fate::Revealed { .. } => self.landed(commit).await,
            Fate::Refused { block } => {
                let why = format!("the commit of chain epoch {epoch} is no longer on chain since block {block}: {why}");
                Ok(Step::Lost(Some(epoch), why))
            }
            Fate::Unknown => self.told_by_weights(commit, epoch).await,
        }
    }

    /// The node has forgotten the block that decided a commit: the best that is left to tell by, and it is said how it was told.
    async fn told_by_weights(&self, commit: &PendingCommit, epoch: u64) -> Result<Step, Trouble> {
        match self.chain.uid(self.of.netuid, &self.hotkey.account()).await? {
            Some(uid) if self.on_chain(uid).await? == as_stored(&pairs(commit)) => {
                tracing::warn!(target: "weights", "the node has forgotten the blocks of the reveal of epoch {epoch}; the weights on chain are its weights");
                self.landed(commit).await
            }
            _ => Ok(Step::Lost(
                Some(epoch),
                format!("the commit of chain epoch {epoch} is gone and its weights are not on chain"),
            )),
        }
    }

    /// A timelocked commit on chain: the chain reveals it, and we find out whether it did.
    async fn watch(
        &self,
        commit: &PendingCommit,
        bytes: &[u8],
        round: u64,
        (epoch, block): (u64, u32),
        clock: &EpochClock,
    ) -> Result<Step, Trouble> {
        let due = epoch.saturating_add(clock.reveal_period);
        if clock.index < due {
            let when = clock.reveal_window(epoch).map(|window| format!(" from block {} on", window.first));
            self.say(format!(
                "committed in chain epoch {epoch}; the chain reveals it in epoch {due}{}",
                when.unwrap_or_default()
            ));
            return Ok(Step::Keep);
        }
        let asked = TimelockedCommit { hash: sealed_hash(bytes), epoch, block: block.into(), round };
        match self.chain.timelocked_fate(self.of, &self.hotkey.account(), &asked).await? {
            Fate::Waiting => {
                self.say(format!(
                    "chain epoch {due} waits for the beacon's round {round} to reveal the commit of epoch {epoch}"
                ));
                Ok(Step::Keep)
            }
            Fate::Revealed { .. } => {
                (self.hook)("after-reveal");
                self.landed(commit).await
            }
            Fate::Refused { block } => {
                let why = self.why_refused(commit, round).await?;
                Ok(Step::Lost(
                    Some(epoch),
                    format!("the chain dropped the commit of epoch {epoch} in block {block}: {why}"),
                ))
            }
            Fate::Unknown => self.told_by_weights(commit, epoch).await,
        }
    }

    /// The chain does not say why; the rules do, as far as they are the same now.
    async fn why_refused(&self, commit: &PendingCommit, round: u64) -> Result<String, Trouble> {
        if self.chain.round_signature(round).await?.is_none() {
            return Ok(format!("the beacon's round {round} never came"));
        }
        let facts = self.chain.weight_facts(self.of, &self.hotkey.account()).await?;
        // A reveal is bound by no rate limit.
        let facts = Facts { last_update: 0, commits: 0, timelocked: 0, ..facts };
        let PendingCommit { uids, values, version_key, .. } = commit;
        let rules = starling_chain::weights::preflight::check(&facts, Way::Timelock, uids, values, *version_key);
        Ok(match rules.into_iter().find(|rule| !rule.holds) {
            Some(rule) => format!("{}: {}, needed is {}", rule.rule, rule.read, rule.needed),
            None => "no rule is broken now; it may have been then".to_owned(),
        })
    }

    async fn landed(&self, commit: &PendingCommit) -> Result<Step, Trouble> {
        let account = self.hotkey.account();
        let landed = match self.chain.uid(self.of.netuid, &account).await? {
            Some(uid) => self.on_chain(uid).await?,
            None => as_stored(&pairs(commit)),
        };
        self.confirm(landed, |s| s.reveals += 1).await?;
        Ok(Step::Landed)
    }

    /// The epoch and block of a stored commit, if it is on chain.
    async fn found(&self, commit: &PendingCommit) -> Result<Option<(u64, u32)>, Trouble> {
        let account = self.hotkey.account();
        let PendingCommit { uids, values, version_key, .. } = commit;
        let place = |epoch: u64, block: u64| (epoch, u32::try_from(block).unwrap_or(u32::MAX));
        // Of two copies the later: the earlier one goes with it.
        Ok(match &commit.secret {
            Secret::Salt(salt) => {
                let hash = commit_hash(&account, self.of.index(), uids, values, salt, *version_key);
                let commits = self.chain.weight_commits(self.of, &account).await?;
                commits.iter().rev().find(|c| c.hash == hash).map(|c| place(c.epoch, c.block))
            }
            Secret::Sealed { bytes, .. } => {
                let hash = sealed_hash(bytes);
                let commits = self.chain.timelocked_commits(self.of, &account).await?;
                commits.iter().rev().find(|c| c.hash == hash).map(|c| place(c.epoch, c.block))
            }
        })
    }

    /// Commit the target; says for how many blocks there is nothing more to do.
    pub(crate) async fn commit(&self, target: &Target, facts: &Facts) -> Result<u32, Trouble> {
        let way = self.way(target, facts).await?;
        let wait = self.refused(facts, way, target);
        if wait > 0 {
            return Ok(wait);
        }
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        let secret = if way == Way::Timelock {
            let Some(plan) = self.chain.timelock_plan(self.of.netuid).await? else { return Ok(1) };
            let beacon = self.chain.beacon().await?;
            let account = self.hotkey.account();
            let bytes = self.chain.seal_weights(&beacon, plan.round, &account, &uids, &values, self.version_key)?;
            Secret::Sealed { bytes, round: plan.round }
        } else {
            let mut raw = [0u8; 16];
            random(&mut raw)?;
            Secret::Salt(raw.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect())
        };
        let version_key = self.version_key;
        let pending = PendingCommit { uids, values, version_key, secret, stored_at: facts.block, stands: None };
        (self.hook)("before-store");
        let mut commits = self.store.commits()?;
        commits.push(pending.clone());
        self.store.set_commits(&commits)?;
        let (epoch, block) = match self.send(&pending).await {
            Ok(stands) => stands,
            // Refused for certain: it is nowhere, and the next try is another one.
            Err(Trouble::Chain(error @ (ChainError::Pool { .. } | ChainError::Dispatch { .. }))) => {
                commits.pop();
                self.store.set_commits(&commits)?;
                return Err(error.into());
            }
            Err(error) => return Err(error),
        };
        if let Some(last) = commits.last_mut() {
            last.stands = Some((epoch, block));
        }
        self.store.set_commits(&commits)?;
        let pending = u32::try_from(commits.len()).unwrap_or(u32::MAX);
        self.status.send_modify(|s| s.pending = pending);
        Ok(1)
    }

    /// By hash or timelocked.
    async fn way(&self, target: &Target, facts: &Facts) -> Result<Way, Trouble> {
        let (uids, values): (Vec<u16>, Vec<u16>) = target.weights.iter().copied().unzip();
        let hash = match self.by {
            By::Hash => true,
            By::Timelock => false,
            By::Best if !facts.takes_timelocked => true,
            By::Best => {
                let possible = |way| {
                    let rules = starling_chain::weights::preflight::check(facts, way, &uids, &values, self.version_key);
                    let broken = |rule: &str| matches!(rule, "IncorrectCommitRevealVersion" | "CommitPayloadTooLarge");
                    !rules.iter().any(|rule| !rule.holds && broken(rule.rule))
                };
                let runs = self.chain.beacon().await?.runs(self.chain.now_ms().await?);
                if !runs {
                    tracing::warn!(target: "weights", "the chain gets no rounds of its beacon: committing by hash, which this program has to reveal");
                }
                !runs || !possible(Way::Timelock)
            }
        };
        Ok(if hash { Way::Commit } else { Way::Timelock })
    }

    /// Send a stored commit; where it stands then.
    async fn send(&self, commit: &PendingCommit) -> Result<(u64, u32), Trouble> {
        (self.hook)("before-commit");
        self.say("committing weights");
        let PendingCommit { uids, values, version_key, .. } = commit;
        let signer = self.hotkey.as_ref();
        let (epoch, sent) = match &commit.secret {
            Secret::Salt(salt) => {
                let (commit, sent) =
                    self.chain.commit_weights(signer, self.of, uids, values, salt, *version_key).await?;
                (commit.epoch, sent)
            }
            Secret::Sealed { bytes, round } => {
                let (commit, sent) = self.chain.commit_timelocked_weights(signer, self.of, bytes, *round).await?;
                (commit.epoch, sent)
            }
        };
        (self.hook)("after-commit");
        self.status.send_modify(|s| s.commits += 1);
        Ok((epoch, sent.block.number))
    }
}

fn pairs(commit: &PendingCommit) -> Vec<(u16, u16)> {
    commit.uids.iter().copied().zip(commit.values.iter().copied()).collect()
}

/// The salt must be unpredictable, or the weights can be guessed before the reveal.
fn random(bytes: &mut [u8]) -> Result<(), Trouble> {
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, bytes)
        .map_err(|e| Trouble::Store(StoreFailure(format!("no randomness from the system: {e}"))))
}
