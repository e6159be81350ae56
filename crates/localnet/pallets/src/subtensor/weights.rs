//! Setting weights: the public order of checks and the public rounding (chain.md 4).

use super::*;
use parity_scale_codec::Compact;

/// Scales weights so that the largest becomes 65535, bit for bit as the public chain: 32.32 arithmetic, truncated products and
/// quotients, halves rounded away from zero. All zeros stay zeros.
pub fn max_upscale(weights: &[u16]) -> Vec<u16> {
    use fixed::types::I32F32;
    let Some(max) = weights.iter().copied().max().filter(|max| *max > 0) else {
        return weights.to_vec();
    };
    let one = I32F32::from_num(u16::MAX);
    let top = I32F32::from_num(max);
    weights
        .iter()
        .map(|weight| {
            let weight = I32F32::from_num(*weight);
            // Above half the range the product would leave 32 integer bits.
            let scaled = if max > 32_768 {
                weight.saturating_mul(one.saturating_div(top))
            } else {
                weight.saturating_mul(one).saturating_div(top)
            };
            scaled.round().saturating_to_num::<u16>()
        })
        .collect()
}

/// A vector of weights on its way into storage.
pub(crate) struct Vector {
    pub uids: Vec<u16>,
    pub values: Vec<u16>,
    pub version_key: u64,
}

impl<T: Config> Pallet<T> {
    /// The storage index of a mechanism that exists.
    pub(crate) fn existing_index(netuid: NetUid, mecid: MechId) -> Result<NetUidStorageIndex, DispatchError> {
        ensure!(
            Self::exists(netuid) && mecid < MechanismCountCurrent::<T>::get(netuid),
            Error::<T>::MechanismDoesNotExist
        );
        crate::types::storage_index(netuid, mecid).ok_or_else(|| Error::<T>::MechanismDoesNotExist.into())
    }

    /// Whether the hotkey's stake is enough to set weights. The owner hotkey is always let through.
    pub fn enough_stake_to_set_weights(hotkey: &AccountId, netuid: NetUid) -> bool {
        SubnetOwnerHotkey::<T>::get(netuid) == *hotkey
            || Self::total_stake_weight(hotkey, netuid) >= StakeThreshold::<T>::get()
    }

    /// Whether enough blocks have passed since the neuron's last update.
    pub fn weights_rate_limit_passed(netuid: NetUid, index: NetUidStorageIndex, uid: u16, now: u64) -> bool {
        let last = LastUpdate::<T>::get(index).get(usize::from(uid)).copied().unwrap_or(0);
        last == 0 || now.saturating_sub(last) >= WeightsSetRateLimit::<T>::get(netuid)
    }

    pub(crate) fn touch_last_update(index: NetUidStorageIndex, uid: u16, now: u64) {
        LastUpdate::<T>::mutate(index, |list| {
            let i = usize::from(uid);
            if list.len() <= i {
                list.resize(i + 1, 0);
            }
            if let Some(place) = list.get_mut(i) {
                *place = now;
            }
        });
    }

    pub(crate) fn do_set_weights(
        origin: OriginFor<T>,
        netuid: NetUid,
        mecid: MechId,
        uids: Vec<u16>,
        values: Vec<u16>,
        version_key: u64,
    ) -> DispatchResult {
        ensure!(!CommitRevealWeightsEnabled::<T>::get(netuid), Error::<T>::CommitRevealEnabled);
        let hotkey = ensure_signed(origin)?;
        let vector = Vector { uids, values, version_key };
        Self::store_weights(&hotkey, netuid, mecid, vector)
    }

    /// All checks in the public order, then the write. Reveals come here too, with commit-reveal on: then there is no rate limit and
    /// the commit has already set `LastUpdate`.
    pub(crate) fn store_weights(hotkey: &AccountId, netuid: NetUid, mecid: MechId, vector: Vector) -> DispatchResult {
        let Vector { uids, values, version_key } = vector;
        ensure!(netuid != ROOT, Error::<T>::CanNotSetRootNetworkWeights);
        ensure!(uids.len() == values.len(), Error::<T>::WeightVecNotEqualSize);
        let index = Self::existing_index(netuid, mecid)?;
        let n = SubnetworkN::<T>::get(netuid);
        ensure!(uids.len() <= usize::from(n), Error::<T>::UidsLengthExceedUidsInSubNet);
        let uid = Uids::<T>::get(netuid, hotkey).ok_or(Error::<T>::HotKeyNotRegisteredInSubNet)?;
        ensure!(Self::enough_stake_to_set_weights(hotkey, netuid), Error::<T>::NotEnoughStakeToSetWeights);
        let least_version = WeightsVersionKey::<T>::get(netuid);
        ensure!(least_version == 0 || version_key >= least_version, Error::<T>::IncorrectWeightVersionKey);
        let now = Self::now();
        let by_reveal = CommitRevealWeightsEnabled::<T>::get(netuid);
        ensure!(
            by_reveal || Self::weights_rate_limit_passed(netuid, index, uid, now),
            Error::<T>::SettingWeightsTooFast
        );
        let self_weight = uids.as_slice() == [uid];
        let permitted = ValidatorPermit::<T>::get(netuid).get(usize::from(uid)).copied().unwrap_or(false);
        ensure!(
            self_weight || permitted || SubnetOwnerHotkey::<T>::get(netuid) == *hotkey,
            Error::<T>::NeuronNoValidatorPermit
        );
        let mut sorted = uids.clone();
        sorted.sort_unstable();
        ensure!(sorted.windows(2).all(|pair| pair[0] != pair[1]), Error::<T>::DuplicateUids);
        ensure!(uids.iter().all(|uid| *uid < n), Error::<T>::UidVecContainInvalidOne);
        let least = n.min(MinAllowedWeights::<T>::get(netuid));
        ensure!(self_weight || uids.len() >= usize::from(least), Error::<T>::WeightVecLengthIsLow);
        // The public limit on a single weight is the constant 65535, which no u16 exceeds: there is nothing to check.
        let scaled = max_upscale(&values);
        Weights::<T>::insert(index, uid, uids.into_iter().zip(scaled).collect::<Vec<(u16, u16)>>());
        if !by_reveal {
            Self::touch_last_update(index, uid, now);
        }
        Self::deposit_event(Event::WeightsSet(index, uid));
        Ok(())
    }

    pub(crate) fn do_batch_set_weights(
        origin: OriginFor<T>,
        netuids: Vec<Compact<NetUid>>,
        weights: Vec<Vec<(Compact<u16>, Compact<u16>)>>,
        version_keys: Vec<Compact<u64>>,
    ) -> DispatchResult {
        let hotkey = ensure_signed(origin.clone())?;
        ensure!(netuids.len() == weights.len() && netuids.len() == version_keys.len(), Error::<T>::InputLengthsUnequal);
        let mut results = Vec::with_capacity(netuids.len());
        for ((netuid, pairs), version_key) in netuids.iter().zip(weights).zip(version_keys) {
            let (uids, values) = pairs.into_iter().map(|(uid, value)| (uid.0, value.0)).unzip();
            results.push(Self::do_set_weights(origin.clone(), netuid.0, 0, uids, values, version_key.0));
        }
        Self::report_batch(netuids, results, hotkey);
        Ok(())
    }

    /// Items of a batch fail one by one: events say which.
    pub(crate) fn report_batch(netuids: Vec<Compact<NetUid>>, results: Vec<DispatchResult>, hotkey: AccountId) {
        let mut failed = false;
        for (netuid, result) in netuids.iter().zip(results) {
            if let Err(error) = result {
                failed = true;
                Self::deposit_event(Event::BatchWeightItemFailed(netuid.0, error));
            }
        }
        if failed {
            Self::deposit_event(Event::BatchCompletedWithErrors());
        }
        Self::deposit_event(Event::BatchWeightsCompleted(netuids, hotkey));
    }
}
