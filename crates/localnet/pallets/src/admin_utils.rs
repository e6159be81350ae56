//! `AdminUtils` (pallet index 19): hyperparameters set by root or, within its limits, by a subnet's owner.
//!
//! Public call indices, names and argument names (snapshot of spec 381) for the values that this chain has. Who may set what,
//! and when, is `subtensor::hyperparameters`; this file writes the value and raises the public event.

use frame_support::pallet_prelude::*;
use frame_system::pallet_prelude::*;

use crate::{
    subtensor::{self, Event as Subnet},
    types::{Hyperparameter as What, NetUid},
};

pub use pallet::*;

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config + subtensor::Config {}

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such subnet.
        SubnetDoesNotExist,
        /// More validators than neurons.
        MaxValidatorsLargerThanMaxUIds,
        /// Fewer slots than neurons, or more than 65,535 allow.
        MaxAllowedUIdsLessThanCurrentUIds,
        /// Outside the allowed values.
        ValueNotInBounds,
    }


    /// Operational and free, as on the public chain.
    fn free() -> (Weight, DispatchClass, Pays) {
        (Weight::from_parts(20_000_000, 0), DispatchClass::Operational, Pays::No)
    }

    macro_rules! put {
        ($origin:ident, $netuid:ident, $what:ident, $item:ident, $value:expr, $event:expr) => {{
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner($origin, $netuid, What::$what)?;
            ensure!(subtensor::Pallet::<T>::exists($netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::$item::<T>::insert($netuid, $value);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change($netuid, What::$what);
            }
            subtensor::Pallet::<T>::deposit_event($event);
            Ok(())
        }};
    }

    macro_rules! root {
        ($origin:ident, $netuid:ident, $item:ident, $value:expr, $event:expr) => {{
            ensure_root($origin)?;
            ensure!(subtensor::Pallet::<T>::exists($netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::$item::<T>::insert($netuid, $value);
            subtensor::Pallet::<T>::deposit_event($event);
            Ok(())
        }};
    }

    macro_rules! global {
        ($origin:ident, $item:ident, $value:expr, $event:expr) => {{
            ensure_root($origin)?;
            subtensor::$item::<T>::put($value);
            subtensor::Pallet::<T>::deposit_event($event);
            Ok(())
        }};
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        #[pallet::call_index(3)]
        #[pallet::weight(free())]
        pub fn sudo_set_serving_rate_limit(origin: OriginFor<T>, netuid: NetUid, serving_rate_limit: u64) -> DispatchResult {
            put!(origin, netuid, ServingRateLimit, ServingRateLimit, serving_rate_limit, Subnet::ServingRateLimitSet(netuid, serving_rate_limit))
        }
        #[pallet::call_index(4)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_difficulty(origin: OriginFor<T>, netuid: NetUid, min_difficulty: u64) -> DispatchResult {
            root!(origin, netuid, MinDifficulty, min_difficulty, Subnet::MinDifficultySet(netuid, min_difficulty))
        }
        #[pallet::call_index(5)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_difficulty(origin: OriginFor<T>, netuid: NetUid, max_difficulty: u64) -> DispatchResult {
            put!(origin, netuid, MaxDifficulty, MaxDifficulty, max_difficulty, Subnet::MaxDifficultySet(netuid, max_difficulty))
        }
        #[pallet::call_index(6)]
        #[pallet::weight(free())]
        pub fn sudo_set_weights_version_key(origin: OriginFor<T>, netuid: NetUid, weights_version_key: u64) -> DispatchResult {
            put!(origin, netuid, WeightsVersionKey, WeightsVersionKey, weights_version_key, Subnet::WeightsVersionKeySet(netuid, weights_version_key))
        }
        #[pallet::call_index(7)]
        #[pallet::weight(free())]
        pub fn sudo_set_weights_set_rate_limit(origin: OriginFor<T>, netuid: NetUid, weights_set_rate_limit: u64) -> DispatchResult {
            root!(origin, netuid, WeightsSetRateLimit, weights_set_rate_limit, Subnet::WeightsSetRateLimitSet(netuid, weights_set_rate_limit))
        }
        #[pallet::call_index(8)]
        #[pallet::weight(free())]
        pub fn sudo_set_adjustment_interval(origin: OriginFor<T>, netuid: NetUid, adjustment_interval: u16) -> DispatchResult {
            root!(origin, netuid, AdjustmentInterval, adjustment_interval, Subnet::AdjustmentIntervalSet(netuid, adjustment_interval))
        }
        #[pallet::call_index(9)]
        #[pallet::weight(free())]
        pub fn sudo_set_adjustment_alpha(origin: OriginFor<T>, netuid: NetUid, adjustment_alpha: u64) -> DispatchResult {
            put!(origin, netuid, AdjustmentAlpha, AdjustmentAlpha, adjustment_alpha, Subnet::AdjustmentAlphaSet(netuid, adjustment_alpha))
        }
        #[pallet::call_index(13)]
        #[pallet::weight(free())]
        pub fn sudo_set_immunity_period(origin: OriginFor<T>, netuid: NetUid, immunity_period: u16) -> DispatchResult {
            put!(origin, netuid, ImmunityPeriod, ImmunityPeriod, immunity_period, Subnet::ImmunityPeriodSet(netuid, immunity_period))
        }
        #[pallet::call_index(14)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_allowed_weights(origin: OriginFor<T>, netuid: NetUid, min_allowed_weights: u16) -> DispatchResult {
            put!(origin, netuid, MinAllowedWeights, MinAllowedWeights, min_allowed_weights, Subnet::MinAllowedWeightSet(netuid, min_allowed_weights))
        }
        #[pallet::call_index(15)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_allowed_uids(origin: OriginFor<T>, netuid: NetUid, max_allowed_uids: u16) -> DispatchResult {
            ensure!(subtensor::SubnetworkN::<T>::get(netuid) <= max_allowed_uids, Error::<T>::MaxAllowedUIdsLessThanCurrentUIds);
            put!(origin, netuid, MaxAllowedUids, MaxAllowedUids, max_allowed_uids, Subnet::MaxAllowedUidsSet(netuid, max_allowed_uids))
        }
        #[pallet::call_index(16)]
        #[pallet::weight(free())]
        pub fn sudo_set_kappa(origin: OriginFor<T>, netuid: NetUid, kappa: u16) -> DispatchResult {
            put!(origin, netuid, Kappa, Kappa, kappa, Subnet::KappaSet(netuid, kappa))
        }
        #[pallet::call_index(17)]
        #[pallet::weight(free())]
        pub fn sudo_set_rho(origin: OriginFor<T>, netuid: NetUid, rho: u16) -> DispatchResult {
            put!(origin, netuid, Rho, Rho, rho, Subnet::RhoSet(netuid, rho))
        }
        #[pallet::call_index(18)]
        #[pallet::weight(free())]
        pub fn sudo_set_activity_cutoff(origin: OriginFor<T>, netuid: NetUid, activity_cutoff: u16) -> DispatchResult {
            put!(origin, netuid, ActivityCutoff, ActivityCutoff, activity_cutoff, Subnet::ActivityCutoffSet(netuid, activity_cutoff))
        }
        #[pallet::call_index(19)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_registration_allowed(origin: OriginFor<T>, netuid: NetUid, registration_allowed: bool) -> DispatchResult {
            root!(origin, netuid, NetworkRegistrationAllowed, registration_allowed, Subnet::RegistrationAllowed(netuid, registration_allowed))
        }
        #[pallet::call_index(20)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_pow_registration_allowed(origin: OriginFor<T>, netuid: NetUid, registration_allowed: bool) -> DispatchResult {
            put!(origin, netuid, PowRegistrationAllowed, NetworkPowRegistrationAllowed, registration_allowed, Subnet::PowRegistrationAllowed(netuid, registration_allowed))
        }
        #[pallet::call_index(21)]
        #[pallet::weight(free())]
        pub fn sudo_set_target_registrations_per_interval(origin: OriginFor<T>, netuid: NetUid, target_registrations_per_interval: u16) -> DispatchResult {
            root!(origin, netuid, TargetRegistrationsPerInterval, target_registrations_per_interval, Subnet::RegistrationPerIntervalSet(netuid, target_registrations_per_interval))
        }
        #[pallet::call_index(22)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_burn(origin: OriginFor<T>, netuid: NetUid, min_burn: u64) -> DispatchResult {
            put!(origin, netuid, MinBurn, MinBurn, min_burn, Subnet::MinBurnSet(netuid, min_burn))
        }
        #[pallet::call_index(23)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_burn(origin: OriginFor<T>, netuid: NetUid, max_burn: u64) -> DispatchResult {
            put!(origin, netuid, MaxBurn, MaxBurn, max_burn, Subnet::MaxBurnSet(netuid, max_burn))
        }
        #[pallet::call_index(24)]
        #[pallet::weight(free())]
        pub fn sudo_set_difficulty(origin: OriginFor<T>, netuid: NetUid, difficulty: u64) -> DispatchResult {
            root!(origin, netuid, Difficulty, difficulty, Subnet::DifficultySet(netuid, difficulty))
        }
        #[pallet::call_index(25)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_allowed_validators(origin: OriginFor<T>, netuid: NetUid, max_allowed_validators: u16) -> DispatchResult {
            ensure!(max_allowed_validators <= subtensor::MaxAllowedUids::<T>::get(netuid), Error::<T>::MaxValidatorsLargerThanMaxUIds);
            root!(origin, netuid, MaxAllowedValidators, max_allowed_validators, Subnet::MaxAllowedValidatorsSet(netuid, max_allowed_validators))
        }
        #[pallet::call_index(26)]
        #[pallet::weight(free())]
        pub fn sudo_set_bonds_moving_average(origin: OriginFor<T>, netuid: NetUid, bonds_moving_average: u64) -> DispatchResult {
            put!(origin, netuid, BondsMovingAverage, BondsMovingAverage, bonds_moving_average, Subnet::BondsMovingAverageSet(netuid, bonds_moving_average))
        }
        #[pallet::call_index(60)]
        #[pallet::weight(free())]
        pub fn sudo_set_bonds_penalty(origin: OriginFor<T>, netuid: NetUid, bonds_penalty: u16) -> DispatchResult {
            put!(origin, netuid, BondsPenalty, BondsPenalty, bonds_penalty, Subnet::BondsPenaltySet(netuid, bonds_penalty))
        }
        #[pallet::call_index(27)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_registrations_per_block(origin: OriginFor<T>, netuid: NetUid, max_registrations_per_block: u16) -> DispatchResult {
            root!(origin, netuid, MaxRegistrationsPerBlock, max_registrations_per_block, Subnet::MaxRegistrationsPerBlockSet(netuid, max_registrations_per_block))
        }
        #[pallet::call_index(28)]
        #[pallet::weight(free())]
        pub fn sudo_set_subnet_owner_cut(origin: OriginFor<T>, subnet_owner_cut: u16) -> DispatchResult {
            global!(origin, SubnetOwnerCut, subnet_owner_cut, Subnet::SubnetOwnerCutSet(subnet_owner_cut))
        }
        #[pallet::call_index(29)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_rate_limit(origin: OriginFor<T>, rate_limit: u64) -> DispatchResult {
            global!(origin, NetworkRateLimit, rate_limit, Subnet::NetworkRateLimitSet(rate_limit))
        }
        #[pallet::call_index(30)]
        #[pallet::weight(free())]
        pub fn sudo_set_tempo(origin: OriginFor<T>, netuid: NetUid, tempo: u16) -> DispatchResult {
            root!(origin, netuid, Tempo, tempo, Subnet::TempoSet(netuid, tempo))
        }
        #[pallet::call_index(36)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_min_lock_cost(origin: OriginFor<T>, lock_cost: u64) -> DispatchResult {
            global!(origin, NetworkMinLockCost, lock_cost, Subnet::NetworkMinLockCostSet(lock_cost))
        }
        #[pallet::call_index(37)]
        #[pallet::weight(free())]
        pub fn sudo_set_subnet_limit(origin: OriginFor<T>, max_subnets: u16) -> DispatchResult {
            global!(origin, SubnetLimit, max_subnets, Subnet::SubnetLimitSet(max_subnets))
        }
        #[pallet::call_index(42)]
        #[pallet::weight(free())]
        pub fn sudo_set_stake_threshold(origin: OriginFor<T>, min_stake: u64) -> DispatchResult {
            global!(origin, StakeThreshold, min_stake, Subnet::StakeThresholdSet(min_stake))
        }
        #[pallet::call_index(49)]
        #[pallet::weight(free())]
        pub fn sudo_set_commit_reveal_weights_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            put!(origin, netuid, CommitRevealEnabled, CommitRevealWeightsEnabled, enabled, Subnet::CommitRevealEnabled(netuid, enabled))
        }
        #[pallet::call_index(50)]
        #[pallet::weight(free())]
        pub fn sudo_set_liquid_alpha_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::LiquidAlphaEnabled)?;
            subtensor::LiquidAlphaOn::<T>::insert(netuid, enabled);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::LiquidAlphaEnabled);
            }
            Ok(())
        }
        #[pallet::call_index(51)]
        #[pallet::weight(free())]
        pub fn sudo_set_alpha_values(origin: OriginFor<T>, netuid: NetUid, alpha_low: u16, alpha_high: u16) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::AlphaValues)?;
            ensure!(alpha_low <= alpha_high, Error::<T>::ValueNotInBounds);
            subtensor::AlphaValues::<T>::insert(netuid, (alpha_low, alpha_high));
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::AlphaValues);
            }
            Ok(())
        }
        #[pallet::call_index(57)]
        #[pallet::weight(free())]
        pub fn sudo_set_commit_reveal_weights_interval(origin: OriginFor<T>, netuid: NetUid, interval: u64) -> DispatchResult {
            ensure!((1..=100).contains(&interval), Error::<T>::ValueNotInBounds);
            put!(origin, netuid, WeightCommitInterval, RevealPeriodEpochs, interval, Subnet::CommitRevealPeriodsSet(netuid, interval))
        }
        #[pallet::call_index(68)]
        #[pallet::weight(free())]
        pub fn sudo_set_alpha_sigmoid_steepness(origin: OriginFor<T>, netuid: NetUid, steepness: i16) -> DispatchResult {
            put!(origin, netuid, AlphaSigmoidSteepness, AlphaSigmoidSteepness, steepness, Subnet::AlphaSigmoidSteepnessSet(netuid, steepness))
        }
        #[pallet::call_index(69)]
        #[pallet::weight(free())]
        pub fn sudo_set_yuma3_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::Yuma3Enabled)?;
            subtensor::Yuma3On::<T>::insert(netuid, enabled);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::Yuma3Enabled);
            }
            Ok(())
        }
        #[pallet::call_index(74)]
        #[pallet::weight(free())]
        pub fn sudo_set_admin_freeze_window(origin: OriginFor<T>, window: u16) -> DispatchResult {
            global!(origin, AdminFreezeWindow, window, Subnet::AdminFreezeWindowSet(window))
        }
        #[pallet::call_index(75)]
        #[pallet::weight(free())]
        pub fn sudo_set_owner_hparam_rate_limit(origin: OriginFor<T>, epochs: u16) -> DispatchResult {
            global!(origin, OwnerHyperparamRateLimit, epochs, Subnet::OwnerHyperparamRateLimitSet(epochs))
        }
    }
}
