//! One epoch of one subnet, mechanism by mechanism: gathers Yuma's input from storage, stores its result, and hands the emission to the payout (chain.md 6).
//!
//! The arithmetic is `starling_yuma::epoch`; this file only knows where its numbers live.

use super::*;
use starling_yuma::epoch::{EpochInput, EpochOutput, LiquidAlpha, Mode, epoch};

impl<T: Config> Pallet<T> {
    /// Runs one epoch; says whether it went through.
    pub(crate) fn run_epoch(netuid: NetUid, now: u64) -> bool {
        if netuid == ROOT || SubnetworkN::<T>::get(netuid) == 0 {
            return false;
        }
        let indices = Self::mechanism_indices(netuid);
        let emissions = Self::by_mechanism(netuid, Self::pending_emission(netuid));
        let outputs: Result<Vec<EpochOutput>, _> = indices
            .iter()
            .zip(emissions)
            .map(|(index, emission)| epoch(&Self::epoch_input(netuid, *index, now, emission)))
            .collect();
        let Some((outputs, whole)) = outputs.ok().and_then(|all| Self::aggregate(netuid, &all).map(|w| (all, w)))
        else {
            // Storage that contradicts itself: the epoch is skipped, its emission stays pending for the next one.
            Self::deposit_event(Event::EpochSkipped { netuid, block: now });
            return false;
        };
        for (index, output) in indices.iter().zip(&outputs) {
            Self::store_mechanism(*index, output);
        }
        Self::store_epoch(netuid, &whole);
        let servers: Vec<(NetUidStorageIndex, &[u64])> =
            indices.iter().copied().zip(outputs.iter().map(|output| output.server_emission.as_slice())).collect();
        let mined = outputs.iter().any(|output| output.incentive.iter().any(|incentive| *incentive > 0));
        Self::pay_epoch(netuid, &servers, mined, &whole.validator_emission);
        true
    }

    /// Blocks after which a neuron that has not set weights is inactive.
    pub fn activity_cutoff(netuid: NetUid) -> u64 {
        let factor = u64::from(ActivityCutoffFactorMilli::<T>::get(netuid));
        (factor.saturating_mul(u64::from(Tempo::<T>::get(netuid))) / 1_000).max(1)
    }

    fn epoch_input(netuid: NetUid, index: NetUidStorageIndex, now: u64, emission: u64) -> EpochInput {
        let uids = 0..SubnetworkN::<T>::get(netuid);
        let n = uids.len();
        let hotkeys: Vec<AccountId> = uids.clone().map(|uid| Keys::<T>::get(netuid, uid)).collect();
        let current = Self::current_epoch(netuid, now);
        let earliest_commit = CommitRevealWeightsEnabled::<T>::get(netuid).then(|| {
            let timelocked = Self::earliest_timelocked(netuid, index, current);
            let earliest = |hotkey: &AccountId| {
                let commits = WeightCommits::<T>::get(index, hotkey).unwrap_or_default();
                commits
                    .iter()
                    .filter(|(_, epoch, _, _)| !Self::commit_expired(netuid, *epoch, current))
                    .map(|(_, _, block, _)| *block)
                    .chain(timelocked.get(hotkey).copied())
                    .min()
                    .unwrap_or(u64::MAX)
            };
            hotkeys.iter().map(earliest).collect()
        });
        let mode = if Yuma3On::<T>::get(netuid) {
            let liquid = LiquidAlphaOn::<T>::get(netuid).then(|| {
                let (low, high) = AlphaValues::<T>::get(netuid);
                LiquidAlpha { low, high, steepness: AlphaSigmoidSteepness::<T>::get(netuid) }
            });
            Mode::Yuma3 { liquid }
        } else {
            Mode::Yuma2
        };
        EpochInput {
            block: now,
            tempo: u64::from(Tempo::<T>::get(netuid)),
            last_update: sized(LastUpdate::<T>::get(index), n),
            block_at_registration: uids.clone().map(|uid| BlockAtRegistration::<T>::get(netuid, uid)).collect(),
            activity_cutoff: Self::activity_cutoff(netuid),
            kappa: Kappa::<T>::get(netuid),
            permits: sized(ValidatorPermit::<T>::get(netuid), n),
            owner_uid: Uids::<T>::get(netuid, SubnetOwnerHotkey::<T>::get(netuid)),
            stake: hotkeys.iter().map(|h| Self::total_stake_weight(h, netuid)).collect(),
            stake_threshold: StakeThreshold::<T>::get(),
            max_validators: MaxAllowedValidators::<T>::get(netuid),
            weights: uids.clone().map(|uid| Weights::<T>::get(index, uid)).collect(),
            bonds: uids.map(|uid| Bonds::<T>::get(index, uid)).collect(),
            last_mechanism_step: LastMechansimStepBlock::<T>::get(netuid),
            bonds_penalty: BondsPenalty::<T>::get(netuid),
            bonds_moving_average: BondsMovingAverage::<T>::get(netuid),
            earliest_commit,
            mode,
            emission,
        }
    }

    /// Everything that the epoch pays, alpha rao.
    pub fn pending_emission(netuid: NetUid) -> u64 {
        PendingServerEmission::<T>::get(netuid)
            .saturating_add(PendingValidatorEmission::<T>::get(netuid))
            .saturating_add(PendingRootAlphaDivs::<T>::get(netuid))
    }

    /// What each mechanism has of its own.
    fn store_mechanism(index: NetUidStorageIndex, output: &EpochOutput) {
        Incentive::<T>::insert(index, &output.incentive);
        for (uid, (row, permit)) in (0u16..).zip(output.bonds.iter().zip(&output.permits)) {
            if *permit {
                Bonds::<T>::insert(index, uid, row);
            } else {
                Bonds::<T>::remove(index, uid);
            }
        }
    }

    fn store_epoch(netuid: NetUid, output: &EpochOutput) {
        Active::<T>::insert(netuid, &output.active);
        Consensus::<T>::insert(netuid, &output.consensus);
        Dividends::<T>::insert(netuid, &output.dividends);
        Emission::<T>::insert(netuid, &output.combined_emission);
        ValidatorTrust::<T>::insert(netuid, &output.validator_trust);
        ValidatorPermit::<T>::insert(netuid, &output.permits);
        StakeWeight::<T>::insert(netuid, &output.stake_weight);
        if T::RemovedStorage::get() {
            Rank::<T>::insert(netuid, &output.incentive);
            Trust::<T>::insert(netuid, &output.trust);
            PruningScores::<T>::insert(netuid, shares_of_largest(&output.combined_emission));
        }
    }
}

/// Each value as a share of the largest, /65535.
fn shares_of_largest(values: &[u64]) -> Vec<u16> {
    let largest = u128::from(values.iter().copied().max().unwrap_or(0));
    let share = |value: &u64| pool::share(u64::from(u16::MAX), *value, largest);
    values.iter().map(|value| u16::try_from(share(value)).unwrap_or(u16::MAX)).collect()
}

/// Stored lists may be shorter than the number of neurons until the first epoch.
fn sized<V: Clone + Default>(mut list: Vec<V>, n: usize) -> Vec<V> {
    list.resize(n, V::default());
    list
}
