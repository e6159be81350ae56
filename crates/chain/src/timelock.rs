//! Timelocked commits: the chain's beacon, the round to encrypt to, and the commits that wait (chain.md 5.2, 5.3).
//!
//! The chain reveals such commits by itself and says nothing when it could not: [`Client::timelocked_fate`] finds out.

use blake2::{Blake2b, Digest as _, digest::consts::U32};
use parity_scale_codec::Encode as _;
use serde::Serialize;
use starling_keys::Account;
use starling_timelock::{Entropy, Payload, PublicKey, Rounds, Signature};

use crate::{
    ChainError, Client, EpochClock, RevealWindow,
    commit_reveal::reveal_round,
    value::{ShapeError, Value},
    weights::Mechanism,
};

const SUBTENSOR: &str = "SubtensorModule";
/// The version of the scheme that this client makes.
pub const TIMELOCK_VERSION: u16 = 4;
/// Where the chain has said nothing of its pace yet.
const PUBLIC_BLOCK_SECONDS: f64 = 12.0;
/// A beacon whose newest stored round is older than this has stopped, as far as anybody can tell.
const STOPPED_AFTER_MS: u64 = 120_000;

/// The randomness beacon that a chain listens to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beacon {
    /// Its public key.
    pub key: PublicKey,
    /// When its rounds appear.
    pub rounds: Rounds,
    /// The newest round that the chain has stored; 0 for none.
    pub last_stored: u64,
}

impl Beacon {
    /// Milliseconds by which the chain's newest round is behind a time; large for a chain that stores none.
    #[must_use]
    pub fn behind_ms(&self, unix_ms: u64) -> u64 {
        unix_ms.saturating_sub(self.rounds.time_ms(self.last_stored))
    }

    /// Whether rounds seem to arrive: without them nothing that is timelocked is ever revealed.
    #[must_use]
    pub fn runs(&self, unix_ms: u64) -> bool {
        self.last_stored > 0 && self.behind_ms(unix_ms) < STOPPED_AFTER_MS.max(self.rounds.period.saturating_mul(4_000))
    }
}

/// When a commit that is sent now will be revealed, and the round that opens it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimelockPlan {
    /// The block that all this was read at.
    pub block: u32,
    /// The subnet's epoch that the commit will belong to.
    pub commit_epoch: u64,
    /// Blocks of the epoch in which the chain tries to reveal it.
    pub window: RevealWindow,
    /// The block whose time the round was chosen for.
    pub target: u32,
    /// The round.
    pub round: u64,
    /// When it appears, Unix time in milliseconds.
    pub round_ms: u64,
    /// Seconds from block to block, as measured.
    pub block_seconds: f64,
}

/// A timelocked commit that is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimelockedCommit {
    /// [`sealed_hash`] of its ciphertext.
    pub hash: [u8; 32],
    /// The subnet's epoch it belongs to.
    pub epoch: u64,
    /// The block it is in.
    pub block: u64,
    /// The round that opens it.
    pub round: u64,
}

/// `blake2_256` of a ciphertext as SCALE bytes: by this the chain's event names it.
#[must_use]
pub fn sealed_hash(sealed: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(sealed.encode()).into()
}

impl Client {
    /// The version of commit-reveal that the chain wants.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn commit_reveal_version(&self) -> Result<u16, ChainError> {
        self.number("CommitRevealWeightsVersion", &[], None).await
    }

    /// Whether this runtime takes timelocked commits.
    ///
    /// # Errors
    /// [`ChainError`] of the connection.
    pub async fn takes_timelocked(&self) -> Result<bool, ChainError> {
        Ok(self.runtime(None).await?.has_call(SUBTENSOR, "commit_timelocked_weights"))
    }

    /// The beacon that the chain names; quicknet's key and times where it names none.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn beacon(&self) -> Result<Beacon, ChainError> {
        let config = match self.storage("Drand", "BeaconConfig", &[], None).await {
            Ok(config) => config,
            Err(ChainError::Absent { .. }) => None,
            Err(error) => return Err(error),
        };
        let wrong = ChainError::decode("Drand.BeaconConfig", 0);
        let (key, rounds) = match &config {
            Some(config) => {
                let read = || -> Result<(Vec<u8>, Rounds), ShapeError> {
                    let rounds = Rounds {
                        genesis: config.get("genesis_time")?.number()?,
                        period: config.get("period")?.number()?,
                    };
                    Ok((config.get("public_key")?.bytes()?.to_vec(), rounds))
                };
                read().map_err(wrong)?
            }
            None => (hex::decode(PublicKey::QUICKNET).unwrap_or_default(), Rounds::QUICKNET),
        };
        let key = PublicKey::from_bytes(&key).map_err(|e| ChainError::Invalid(format!("the chain's beacon: {e}")))?;
        let last_stored = match self.storage_value("Drand", "LastStoredRound", &[], None).await {
            Ok(round) => round.number().map_err(ChainError::decode("Drand.LastStoredRound", 0))?,
            Err(ChainError::Absent { .. }) => 0,
            Err(error) => return Err(error),
        };
        Ok(Beacon { key, rounds, last_stored })
    }

    /// A round's signature, if the chain has it.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn round_signature(&self, round: u64) -> Result<Option<Signature>, ChainError> {
        let Some(pulse) = self.storage("Drand", "Pulses", &[round.into()], None).await? else { return Ok(None) };
        let bytes = pulse.get("signature").and_then(|s| Ok(s.bytes()?.to_vec()));
        let bytes = bytes.map_err(ChainError::decode("Drand.Pulses", 0))?;
        Signature::from_bytes(&bytes).map(Some).map_err(|e| ChainError::Invalid(format!("round {round}: {e}")))
    }

    /// What a commit that is sent now has to be encrypted to, by the newest final block's clocks; `None` if no epochs run.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn timelock_plan(&self, netuid: u16) -> Result<Option<TimelockPlan>, ChainError> {
        let (clock, beacon, seconds) =
            futures::try_join!(self.epoch_clock(netuid), self.beacon(), self.block_seconds())?;
        let Some(hash) = self.block_hash(clock.block).await? else { return Ok(None) };
        let now_ms = self.time_of(hash).await?;
        let block_seconds = seconds.unwrap_or(PUBLIC_BLOCK_SECONDS);
        Ok(plan(&clock, &beacon, now_ms, block_seconds))
    }

    /// Encrypts weights to a round with fresh randomness.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] if they are too many for one commit, or the system has no randomness.
    pub fn seal_weights(
        &self,
        beacon: &Beacon,
        round: u64,
        hotkey: &Account,
        uids: &[u16],
        values: &[u16],
        version_key: u64,
    ) -> Result<Vec<u8>, ChainError> {
        let payload = Payload { hotkey: hotkey.0.to_vec(), uids: uids.to_vec(), values: values.to_vec(), version_key };
        let entropy = entropy().map_err(|e| ChainError::Invalid(format!("no randomness from the system: {e}")))?;
        payload.seal(&beacon.key, round, entropy).map_err(|e| ChainError::Invalid(e.to_string()))
    }

    /// A hotkey's timelocked commits that are not decided yet, oldest first.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn timelocked_commits(
        &self,
        of: impl Into<Mechanism>,
        hotkey: &Account,
    ) -> Result<Vec<TimelockedCommit>, ChainError> {
        self.timelocked_commits_at(of.into(), hotkey, None).await
    }

    pub(crate) async fn timelocked_commits_at(
        &self,
        of: Mechanism,
        hotkey: &Account,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<TimelockedCommit>, ChainError> {
        let clock = self.epoch_clock_at(of.netuid, at).await?;
        let mut found = Vec::new();
        // One ahead: the epoch that this block began has that number already in the storage of commits.
        for epoch in clock.index.saturating_sub(clock.reveal_period)..=clock.index.saturating_add(1) {
            found.extend(self.timelocked_in(of, hotkey, epoch, at).await?);
        }
        Ok(found)
    }

    pub(crate) async fn timelocked_in(
        &self,
        of: Mechanism,
        hotkey: &Account,
        epoch: u64,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<TimelockedCommit>, ChainError> {
        let all = self.timelocked_of_epoch(of, epoch, at).await?;
        Ok(all.into_iter().filter(|(who, _)| who == hotkey).map(|(_, commit)| commit).collect())
    }

    /// Everybody's undecided timelocked commits of an epoch.
    pub(crate) async fn timelocked_of_epoch(
        &self,
        of: Mechanism,
        epoch: u64,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<(Account, TimelockedCommit)>, ChainError> {
        let keys = [of.index().into(), epoch.into()];
        let commits = match self.storage(SUBTENSOR, "TimelockedWeightCommits", &keys, at).await {
            Ok(Some(commits)) => commits,
            Ok(None) | Err(ChainError::Absent { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let read = |commit: &Value| -> Result<(Account, TimelockedCommit), ShapeError> {
            let hash = sealed_hash(commit.at(2)?.bytes()?);
            let read = TimelockedCommit { hash, epoch, block: commit.at(1)?.number()?, round: commit.at(3)?.number()? };
            Ok((commit.at(0)?.account()?, read))
        };
        commits.map(read).map_err(ChainError::decode("SubtensorModule.TimelockedWeightCommits", 0))
    }
}

/// The pure part of [`Client::timelock_plan`].
///
/// The official round lies before its target's time, by up to a period. Where epochs are about as short as that, it can be out already,
/// and the chain would refuse it: then it is the next one, if that comes within the window, or else the newest stored, which the chain
/// takes though everybody can open it.
fn plan(clock: &EpochClock, beacon: &Beacon, now_ms: u64, block_seconds: f64) -> Option<TimelockPlan> {
    let window = clock.next_commit_window()?;
    let target = window.timelock_target();
    let ahead_ms = |block: u32| (f64::from(block.saturating_sub(clock.block)) * block_seconds * 1000.0) as u64;
    let official = reveal_round(&beacon.rounds, now_ms, target.saturating_sub(clock.block), block_seconds);
    let next = beacon.last_stored.saturating_add(1);
    let round = if official >= next {
        official
    } else if beacon.rounds.time_ms(next) < now_ms.saturating_add(ahead_ms(window.last)) {
        next
    } else {
        beacon.last_stored
    };
    Some(TimelockPlan {
        block: clock.block,
        commit_epoch: clock.commit_epoch(),
        window,
        target,
        round,
        round_ms: beacon.rounds.time_ms(round),
        block_seconds,
    })
}

fn entropy() -> Result<Entropy, getrandom::Error> {
    let mut entropy = Entropy { key: [0; 32], sigma: [0; 32], nonce: [0; 12] };
    getrandom::fill(&mut entropy.key)?;
    getrandom::fill(&mut entropy.sigma)?;
    getrandom::fill(&mut entropy.nonce)?;
    Ok(entropy)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use starling_timelock::LocalBeacon;

    fn clock(tempo: u16) -> EpochClock {
        EpochClock {
            block: 1_005,
            index: 7,
            last_epoch_block: 1_000,
            pending_epoch_at: 0,
            tempo,
            blocks_since_last_step: 5,
            reveal_period: 1,
        }
    }

    fn beacon(last_stored: u64) -> Beacon {
        let rounds = Rounds { genesis: 1_000, period: 3 };
        Beacon { key: LocalBeacon::from_seed(b"plan").public_key(), rounds, last_stored }
    }

    #[test]
    fn the_round_is_the_official_one_where_epochs_are_long() {
        // 1,360 + 3 is 358 blocks of 12 s from here.
        let now_ms = 4_000_000;
        let plan = plan(&clock(360), &beacon(1_001), now_ms, 12.0).unwrap();
        assert_eq!((plan.commit_epoch, plan.target), (7, 1_363));
        assert_eq!(plan.round, (3_000 + 358 * 12) / 3);
    }

    #[test]
    fn a_round_that_is_out_already_is_never_planned_if_a_later_one_comes_in_time() {
        // Blocks of a tenth of a second, epochs of 2 s: the official round is out.
        let last = Rounds { genesis: 1_000, period: 3 }.published_at(4_002_000);
        assert_eq!(reveal_round(&beacon(last).rounds, 4_002_000, 18, 0.1), last);
        let soon = plan(&clock(20), &beacon(last), 4_002_000, 0.1).unwrap();
        assert_eq!(soon.round, last + 1, "it comes in a second, the window ends in more than three");
        let late = plan(&clock(20), &beacon(last), 4_000_100, 0.05).unwrap();
        assert_eq!(late.round, last, "the next one comes after the window");
    }

    #[test]
    fn a_beacon_runs_while_its_rounds_arrive() {
        let rounds = beacon(0).rounds;
        assert!(!beacon(0).runs(4_000_000));
        let last = rounds.published_at(4_000_000);
        assert!(beacon(last).runs(4_000_000) && beacon(last).runs(4_100_000));
        assert!(!beacon(last).runs(4_200_000));
        assert_eq!(beacon(last).behind_ms(4_000_000), 4_000_000 - rounds.time_ms(last));
    }
}
