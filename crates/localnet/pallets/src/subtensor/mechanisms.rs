//! Mechanisms: several weight matrices of one subnet, each with its part of the emission (chain.md 3, 6.10, 6.11).
//!
//! Invariant: what is stored per mechanism exists for `0..MechanismCountCurrent` only, and a split sums to 65535.

use super::*;
use crate::types::storage_index;
use starling_yuma::epoch::EpochOutput;

/// Most neurons of all mechanisms of a subnet together.
const MOST_UIDS: u16 = 256;

impl<T: Config> Pallet<T> {
    /// Storage indices of a subnet's mechanisms, the main one first.
    pub fn mechanism_indices(netuid: NetUid) -> Vec<NetUidStorageIndex> {
        (0..MechanismCountCurrent::<T>::get(netuid).max(1)).filter_map(|m| storage_index(netuid, m)).collect()
    }

    /// Each mechanism's part of the emission, /65535; together they are the whole.
    pub fn mechanism_split(netuid: NetUid) -> Vec<u16> {
        let n = u16::from(MechanismCountCurrent::<T>::get(netuid).max(1));
        let split = MechanismEmissionSplit::<T>::get(netuid).filter(|split| split.len() == usize::from(n));
        let mut split = split.unwrap_or_else(|| vec![u16::MAX / n; usize::from(n)]);
        let sum = split.iter().fold(0u16, |sum, part| sum.saturating_add(*part));
        if let Some(first) = split.first_mut() {
            *first = first.saturating_add(u16::MAX.saturating_sub(sum));
        }
        split
    }

    /// An amount by the split; what rounding leaves is the main mechanism's.
    pub(crate) fn by_mechanism(netuid: NetUid, amount: u64) -> Vec<u64> {
        let split = Self::mechanism_split(netuid);
        let mut parts: Vec<u64> =
            split.iter().map(|part| pool::share(amount, u64::from(*part), u128::from(u16::MAX))).collect();
        let sum = parts.iter().fold(0u64, |sum, part| sum.saturating_add(*part));
        if let Some(first) = parts.first_mut() {
            *first = first.saturating_add(amount.saturating_sub(sum));
        }
        parts
    }

    /// What all mechanisms together say of the neurons: sums weighted by the split, and whoever is active or permitted in one.
    pub(crate) fn aggregate(netuid: NetUid, outputs: &[EpochOutput]) -> Option<EpochOutput> {
        let split = Self::mechanism_split(netuid);
        let mut whole = outputs.first()?.clone();
        if outputs.len() == 1 {
            return Some(whole);
        }
        let weighted = |column: fn(&EpochOutput) -> &[u16]| -> Vec<u16> {
            (0..whole.active.len())
                .map(|uid| {
                    let sum = outputs.iter().zip(&split).fold(0u64, |sum, (output, part)| {
                        let value = column(output).get(uid).copied().unwrap_or(0);
                        sum.saturating_add(u64::from(value).saturating_mul(u64::from(*part)))
                    });
                    u16::try_from(sum / u64::from(u16::MAX)).unwrap_or(u16::MAX)
                })
                .collect()
        };
        let columns = [
            weighted(|o| &o.consensus),
            weighted(|o| &o.validator_trust),
            weighted(|o| &o.trust),
            weighted(|o| &o.incentive),
            weighted(|o| &o.dividends),
        ];
        [whole.consensus, whole.validator_trust, whole.trust, whole.incentive, whole.dividends] = columns;
        for output in outputs.iter().skip(1) {
            for (mine, other) in [
                (&mut whole.server_emission, &output.server_emission),
                (&mut whole.validator_emission, &output.validator_emission),
                (&mut whole.combined_emission, &output.combined_emission),
            ] {
                mine.iter_mut().zip(other).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
            for (mine, other) in [(&mut whole.active, &output.active), (&mut whole.permits, &output.permits)] {
                mine.iter_mut().zip(other).for_each(|(a, b)| *a |= *b);
            }
        }
        Some(whole)
    }

    /// Whether so many mechanisms with so many neurons each are too much.
    ///
    /// # Errors
    /// `TooManyUIDsPerMechanism`.
    pub fn check_mechanism_room(count: u8, uids: u16) -> DispatchResult {
        ensure!(uids.saturating_mul(u16::from(count)) <= MOST_UIDS, Error::<T>::TooManyUIDsPerMechanism);
        Ok(())
    }

    /// Changes the number of mechanisms; of those that go nothing stays, and the split becomes even.
    ///
    /// # Errors
    /// `InvalidValue` for none or more than `MaxMechanismCount`, `TooManyUIDsPerMechanism`.
    pub fn set_mechanism_count(netuid: NetUid, count: u8) -> DispatchResult {
        ensure!(count > 0 && count <= MaxMechanismCount::<T>::get(), Error::<T>::InvalidValue);
        Self::check_mechanism_room(count, MaxAllowedUids::<T>::get(netuid))?;
        for index in Self::mechanism_indices(netuid).into_iter().skip(usize::from(count)) {
            let _ = Weights::<T>::clear_prefix(index, u32::MAX, None);
            let _ = Bonds::<T>::clear_prefix(index, u32::MAX, None);
            let _ = WeightCommits::<T>::clear_prefix(index, u32::MAX, None);
            let _ = TimelockedWeightCommits::<T>::clear_prefix(index, u32::MAX, None);
            LastUpdate::<T>::remove(index);
            Incentive::<T>::remove(index);
        }
        MechanismCountCurrent::<T>::insert(netuid, count);
        MechanismEmissionSplit::<T>::remove(netuid);
        let n = usize::from(SubnetworkN::<T>::get(netuid));
        for index in Self::mechanism_indices(netuid).into_iter().skip(1) {
            LastUpdate::<T>::mutate(index, |list| list.resize(n, 0));
            Incentive::<T>::mutate(index, |list| list.resize(n, 0));
        }
        Ok(())
    }

    /// Sets each mechanism's part of the emission, or an even split.
    ///
    /// # Errors
    /// `InvalidValue` if it is not one part per mechanism that sum to 65535.
    pub fn set_mechanism_split(netuid: NetUid, split: Option<Vec<u16>>) -> DispatchResult {
        match split {
            None => MechanismEmissionSplit::<T>::remove(netuid),
            Some(split) => {
                let count = usize::from(MechanismCountCurrent::<T>::get(netuid));
                let sum: u64 = split.iter().map(|part| u64::from(*part)).sum();
                ensure!(split.len() == count && sum == u64::from(u16::MAX), Error::<T>::InvalidValue);
                MechanismEmissionSplit::<T>::insert(netuid, split);
            }
        }
        Ok(())
    }
}
