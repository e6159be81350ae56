//! Commit and reveal by hash (chain.md 5.1) on the epoch clock of 5.2.
//!
//! Invariant: a hotkey has at most ten commits, oldest first; a reveal consumes its commit and every older one.

use super::weights::Vector;
use super::*;
use parity_scale_codec::Compact;

/// Commits that may wait for their reveal.
const MAX_UNREVEALED: usize = 10;

type Commits = VecDeque<(H256, u64, u64, u64)>;

/// `blake2_256` of the SCALE tuple (hotkey, storage index, uids, values, salt, version key).
pub fn commit_hash(
    hotkey: &AccountId,
    index: NetUidStorageIndex,
    uids: &[u16],
    values: &[u16],
    salt: &[u16],
    version_key: u64,
) -> H256 {
    let preimage = (hotkey, index, uids, values, salt, version_key).encode();
    H256(sp_io::hashing::blake2_256(&preimage))
}

impl<T: Config> Pallet<T> {
    /// Whether the commit's reveal epoch has passed.
    pub(crate) fn commit_expired(netuid: NetUid, commit_epoch: u64, current: u64) -> bool {
        current > commit_epoch.saturating_add(RevealPeriodEpochs::<T>::get(netuid))
    }

    /// Whether this is the commit's reveal epoch.
    pub(crate) fn commit_revealable(netuid: NetUid, commit_epoch: u64, current: u64) -> bool {
        current == commit_epoch.saturating_add(RevealPeriodEpochs::<T>::get(netuid))
    }

    pub(crate) fn do_commit_weights(origin: OriginFor<T>, netuid: NetUid, mecid: MechId, hash: H256) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        let index = Self::existing_index(netuid, mecid)?;
        ensure!(CommitRevealWeightsEnabled::<T>::get(netuid), Error::<T>::CommitRevealDisabled);
        let uid = Uids::<T>::get(netuid, &hotkey).ok_or(Error::<T>::HotKeyNotRegisteredInSubNet)?;
        let now = Self::now();
        ensure!(Self::weights_rate_limit_passed(netuid, index, uid, now), Error::<T>::CommittingWeightsTooFast);
        let current = Self::current_epoch(netuid, now);
        let mut commits: Commits = WeightCommits::<T>::get(index, &hotkey).unwrap_or_default();
        commits.retain(|(_, epoch, _, _)| !Self::commit_expired(netuid, *epoch, current));
        ensure!(commits.len() < MAX_UNREVEALED, Error::<T>::TooManyUnrevealedCommits);
        commits.push_back((hash, current, now, 0));
        WeightCommits::<T>::insert(index, &hotkey, commits);
        Self::touch_last_update(index, uid, now);
        Self::deposit_event(Event::WeightsCommitted(hotkey, index, hash));
        Ok(())
    }

    /// Finds the hash among the commits, checks its epoch, and returns the commits that stay.
    fn consume(netuid: NetUid, commits: &Commits, hash: H256, current: u64) -> Result<Commits, DispatchError> {
        let alive: Commits =
            commits.iter().filter(|(_, epoch, _, _)| !Self::commit_expired(netuid, *epoch, current)).copied().collect();
        let Some(place) = alive.iter().position(|(known, ..)| *known == hash) else {
            // Known, but too old: say so rather than "no match".
            let expired = commits.iter().any(|(known, ..)| *known == hash);
            return Err(if expired {
                Error::<T>::ExpiredWeightCommit.into()
            } else if alive.is_empty() {
                Error::<T>::NoWeightsCommitFound.into()
            } else {
                Error::<T>::InvalidRevealCommitHashNotMatch.into()
            });
        };
        let revealable =
            alive.get(place).is_some_and(|(_, epoch, _, _)| Self::commit_revealable(netuid, *epoch, current));
        ensure!(revealable, Error::<T>::RevealTooEarly);
        Ok(alive.into_iter().skip(place + 1).collect())
    }

    pub(crate) fn do_reveal_weights(
        origin: OriginFor<T>,
        netuid: NetUid,
        mecid: MechId,
        uids: Vec<u16>,
        values: Vec<u16>,
        salt: Vec<u16>,
        version_key: u64,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        let index = Self::existing_index(netuid, mecid)?;
        let hash = commit_hash(&hotkey, index, &uids, &values, &salt, version_key);
        let vector = Vector { uids, values, version_key };
        Self::reveal(&hotkey, netuid, mecid, index, hash, vector)?;
        Self::deposit_event(Event::WeightsRevealed(hotkey, index, hash));
        Ok(())
    }

    fn reveal(
        hotkey: &AccountId,
        netuid: NetUid,
        mecid: MechId,
        index: NetUidStorageIndex,
        hash: H256,
        vector: Vector,
    ) -> DispatchResult {
        ensure!(CommitRevealWeightsEnabled::<T>::get(netuid), Error::<T>::CommitRevealDisabled);
        let commits = WeightCommits::<T>::get(index, hotkey).ok_or(Error::<T>::NoWeightsCommitFound)?;
        let current = Self::current_epoch(netuid, Self::now());
        let left = Self::consume(netuid, &commits, hash, current)?;
        Self::store_weights(hotkey, netuid, mecid, vector)?;
        if left.is_empty() {
            WeightCommits::<T>::remove(index, hotkey);
        } else {
            WeightCommits::<T>::insert(index, hotkey, left);
        }
        Ok(())
    }

    pub(crate) fn do_batch_commit_weights(
        origin: OriginFor<T>,
        netuids: Vec<Compact<NetUid>>,
        hashes: Vec<H256>,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin.clone())?;
        ensure!(netuids.len() == hashes.len(), Error::<T>::InputLengthsUnequal);
        let results = netuids
            .iter()
            .zip(hashes)
            .map(|(netuid, hash)| Self::do_commit_weights(origin.clone(), netuid.0, 0, hash))
            .collect();
        Self::report_batch(netuids, results, hotkey);
        Ok(())
    }

    pub(crate) fn do_batch_reveal_weights(
        origin: OriginFor<T>,
        netuid: NetUid,
        uids_list: Vec<Vec<u16>>,
        values_list: Vec<Vec<u16>>,
        salts_list: Vec<Vec<u16>>,
        version_keys: Vec<u64>,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin)?;
        let n = uids_list.len();
        ensure!(
            n == values_list.len() && n == salts_list.len() && n == version_keys.len(),
            Error::<T>::InputLengthsUnequal
        );
        let index = Self::existing_index(netuid, 0)?;
        let mut hashes = Vec::with_capacity(n);
        for (((uids, values), salt), version_key) in
            uids_list.into_iter().zip(values_list).zip(salts_list).zip(version_keys)
        {
            let hash = commit_hash(&hotkey, index, &uids, &values, &salt, version_key);
            let vector = Vector { uids, values, version_key };
            Self::reveal(&hotkey, netuid, 0, index, hash, vector)?;
            hashes.push(hash);
        }
        Self::deposit_event(Event::WeightsBatchRevealed(hotkey, netuid, hashes));
        Ok(())
    }
}
