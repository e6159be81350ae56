//! Timelocked commits: weights encrypted to a round of the beacon, which the chain reveals by itself (chain.md 5.2).
//!
//! Invariant: a commit belongs to the epoch of its block, and is decided in the epoch that is the reveal period later: revealed in the first
//! block of it that finds the round stored, or forgotten with it. A reveal that fails is forgotten without an event, as on the public chain.

use super::weights::Vector;
use super::*;
use crate::drand::Beacon as _;
use starling_timelock::Payload;

/// Commits of a hotkey in one epoch, at most.
const MOST_PER_EPOCH: usize = 10;
/// The version of this scheme.
pub const VERSION: u16 = 4;

type Bytes = BoundedVec<u8, ConstU32<5_000>>;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_commit_timelocked_weights(
        origin: OriginFor<T>,
        netuid: NetUid,
        mecid: MechId,
        commit: Bytes,
        reveal_round: u64,
        version: u16,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        let index = Self::existing_index(netuid, mecid)?;
        ensure!(CommitRevealWeightsEnabled::<T>::get(netuid), Error::<T>::CommitRevealDisabled);
        ensure!(version == CommitRevealWeightsVersion::<T>::get(), Error::<T>::IncorrectCommitRevealVersion);
        let uid = Uids::<T>::get(netuid, &hotkey).ok_or(Error::<T>::HotKeyNotRegisteredInSubNet)?;
        let now = Self::now();
        ensure!(Self::weights_rate_limit_passed(netuid, index, uid, now), Error::<T>::CommittingWeightsTooFast);
        ensure!(reveal_round >= T::Beacon::last_stored_round(), Error::<T>::InvalidRevealRound);
        let epoch = Self::current_epoch(netuid, now);
        let mut commits = TimelockedWeightCommits::<T>::get(index, epoch);
        let mine = commits.iter().filter(|(who, ..)| *who == hotkey).count();
        ensure!(mine < MOST_PER_EPOCH, Error::<T>::TooManyUnrevealedCommits);
        let hash = H256(sp_io::hashing::blake2_256(&commit.encode()));
        commits.push_back((hotkey.clone(), now, commit, reveal_round));
        TimelockedWeightCommits::<T>::insert(index, epoch, commits);
        Self::touch_last_update(index, uid, now);
        Self::deposit_event(Event::TimelockedWeightsCommitted(hotkey, index, hash, reveal_round));
        Ok(())
    }

    /// Before the block's epochs run: reveal what is due.
    pub(crate) fn reveal_timelocked(now: u64) {
        let deferred = Self::deferred_in(now);
        for netuid in Self::subnets().into_iter().filter(|netuid| !deferred.contains(netuid)) {
            let current = Self::current_epoch(netuid, now);
            let Some(due) = current.checked_sub(RevealPeriodEpochs::<T>::get(netuid)) else { continue };
            for (mecid, index) in (0u8..).zip(Self::mechanism_indices(netuid)) {
                let over: Vec<u64> =
                    TimelockedWeightCommits::<T>::iter_key_prefix(index).filter(|e| *e < due).collect();
                for epoch in over {
                    TimelockedWeightCommits::<T>::remove(index, epoch);
                }
                Self::reveal_epoch(netuid, mecid, index, due);
            }
        }
    }

    fn reveal_epoch(netuid: NetUid, mecid: MechId, index: NetUidStorageIndex, due: u64) {
        let commits = TimelockedWeightCommits::<T>::take(index, due);
        let mut waiting = VecDeque::new();
        for (hotkey, block, commit, round) in commits {
            let Some(signature) = T::Beacon::signature(round) else {
                waiting.push_back((hotkey, block, commit, round));
                continue;
            };
            let Ok(Payload { hotkey: named, uids, values, version_key }) = Payload::open(&signature, &commit) else {
                continue;
            };
            // Somebody else's commit, copied. Payloads of older clients name nobody.
            if !named.is_empty() && named[..] != *AsRef::<[u8]>::as_ref(&hotkey) {
                continue;
            }
            let stored = frame_support::storage::with_storage_layer(|| {
                Self::store_weights(&hotkey, netuid, mecid, Vector { uids, values, version_key })
            });
            if stored.is_ok() {
                Self::deposit_event(Event::TimelockedWeightsRevealed(index, hotkey));
            }
        }
        if !waiting.is_empty() {
            TimelockedWeightCommits::<T>::insert(index, due, waiting);
        }
    }

    /// Block of each hotkey's earliest timelocked commit that is not decided yet (chain.md 6.5).
    pub(crate) fn earliest_timelocked(
        netuid: NetUid,
        index: NetUidStorageIndex,
        current: u64,
    ) -> std::collections::BTreeMap<AccountId, u64> {
        let mut earliest = std::collections::BTreeMap::new();
        for (epoch, commits) in TimelockedWeightCommits::<T>::iter_prefix(index) {
            if Self::commit_expired(netuid, epoch, current) {
                continue;
            }
            for (hotkey, block, ..) in commits {
                let first = earliest.entry(hotkey).or_insert(block);
                *first = block.min(*first);
            }
        }
        earliest
    }
}
