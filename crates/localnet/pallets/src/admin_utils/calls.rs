//! Calls of `AdminUtils`, one like another: who, which value, which event.

use frame_support::pallet_macros::pallet_section;

/// The call enum, pasted into the pallet.
#[pallet_section]
mod calls {
    #[pallet::call]
    impl<T: Config> Pallet<T> {
        #[pallet::call_index(3)]
        #[pallet::weight(free())]
        pub fn sudo_set_serving_rate_limit(
            origin: OriginFor<T>,
            netuid: NetUid,
            serving_rate_limit: u64,
        ) -> DispatchResult {
            put!(origin, netuid, ServingRateLimit, ServingRateLimit, serving_rate_limit, ServingRateLimitSet)
        }
        #[pallet::call_index(4)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_difficulty(origin: OriginFor<T>, netuid: NetUid, min_difficulty: u64) -> DispatchResult {
            root!(origin, netuid, MinDifficulty, min_difficulty, MinDifficultySet)
        }
        #[pallet::call_index(5)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_difficulty(origin: OriginFor<T>, netuid: NetUid, max_difficulty: u64) -> DispatchResult {
            put!(origin, netuid, MaxDifficulty, MaxDifficulty, max_difficulty, MaxDifficultySet)
        }
        #[pallet::call_index(6)]
        #[pallet::weight(free())]
        pub fn sudo_set_weights_version_key(
            origin: OriginFor<T>,
            netuid: NetUid,
            weights_version_key: u64,
        ) -> DispatchResult {
            put!(origin, netuid, WeightsVersionKey, WeightsVersionKey, weights_version_key, WeightsVersionKeySet)
        }
        #[pallet::call_index(7)]
        #[pallet::weight(free())]
        pub fn sudo_set_weights_set_rate_limit(
            origin: OriginFor<T>,
            netuid: NetUid,
            weights_set_rate_limit: u64,
        ) -> DispatchResult {
            root!(origin, netuid, WeightsSetRateLimit, weights_set_rate_limit, WeightsSetRateLimitSet)
        }
        #[pallet::call_index(8)]
        #[pallet::weight(free())]
        pub fn sudo_set_adjustment_interval(
            origin: OriginFor<T>,
            netuid: NetUid,
            adjustment_interval: u16,
        ) -> DispatchResult {
            root!(origin, netuid, AdjustmentInterval, adjustment_interval, AdjustmentIntervalSet)
        }
        #[pallet::call_index(9)]
        #[pallet::weight(free())]
        pub fn sudo_set_adjustment_alpha(
            origin: OriginFor<T>,
            netuid: NetUid,
            adjustment_alpha: u64,
        ) -> DispatchResult {
            put!(origin, netuid, AdjustmentAlpha, AdjustmentAlpha, adjustment_alpha, AdjustmentAlphaSet)
        }
        #[pallet::call_index(13)]
        #[pallet::weight(free())]
        pub fn sudo_set_immunity_period(origin: OriginFor<T>, netuid: NetUid, immunity_period: u16) -> DispatchResult {
            put!(origin, netuid, ImmunityPeriod, ImmunityPeriod, immunity_period, ImmunityPeriodSet)
        }
        #[pallet::call_index(14)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_allowed_weights(
            origin: OriginFor<T>,
            netuid: NetUid,
            min_allowed_weights: u16,
        ) -> DispatchResult {
            put!(origin, netuid, MinAllowedWeights, MinAllowedWeights, min_allowed_weights, MinAllowedWeightSet)
        }
        #[pallet::call_index(15)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_allowed_uids(
            origin: OriginFor<T>,
            netuid: NetUid,
            max_allowed_uids: u16,
        ) -> DispatchResult {
            let least = subtensor::MinAllowedUids::<T>::get(netuid);
            ensure!(max_allowed_uids >= least, Error::<T>::MaxAllowedUidsLessThanMinAllowedUids);
            let n = subtensor::SubnetworkN::<T>::get(netuid);
            ensure!(max_allowed_uids >= n, Error::<T>::MaxAllowedUIdsLessThanCurrentUIds);
            ensure!(max_allowed_uids <= MOST_UIDS, Error::<T>::MaxAllowedUidsGreaterThanDefaultMaxAllowedUids);
            let mechanisms = subtensor::MechanismCountCurrent::<T>::get(netuid);
            subtensor::Pallet::<T>::check_mechanism_room(mechanisms, max_allowed_uids)?;
            put!(origin, netuid, MaxAllowedUids, MaxAllowedUids, max_allowed_uids, MaxAllowedUidsSet)
        }
        #[pallet::call_index(16)]
        #[pallet::weight(free())]
        pub fn sudo_set_kappa(origin: OriginFor<T>, netuid: NetUid, kappa: u16) -> DispatchResult {
            put!(origin, netuid, Kappa, Kappa, kappa, KappaSet)
        }
        #[pallet::call_index(17)]
        #[pallet::weight(free())]
        pub fn sudo_set_rho(origin: OriginFor<T>, netuid: NetUid, rho: u16) -> DispatchResult {
            put!(origin, netuid, Rho, Rho, rho, RhoSet)
        }
        #[pallet::call_index(18)]
        #[pallet::weight(free())]
        pub fn sudo_set_activity_cutoff(origin: OriginFor<T>, netuid: NetUid, activity_cutoff: u16) -> DispatchResult {
            put!(origin, netuid, ActivityCutoff, ActivityCutoff, activity_cutoff, ActivityCutoffSet)
        }
        #[pallet::call_index(19)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_registration_allowed(
            origin: OriginFor<T>,
            netuid: NetUid,
            registration_allowed: bool,
        ) -> DispatchResult {
            root!(origin, netuid, NetworkRegistrationAllowed, registration_allowed, RegistrationAllowed)
        }
        #[pallet::call_index(20)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_pow_registration_allowed(
            origin: OriginFor<T>,
            netuid: NetUid,
            registration_allowed: bool,
        ) -> DispatchResult {
            put!(
                origin,
                netuid,
                PowRegistrationAllowed,
                NetworkPowRegistrationAllowed,
                registration_allowed,
                PowRegistrationAllowed
            )
        }
        #[pallet::call_index(21)]
        #[pallet::weight(free())]
        pub fn sudo_set_target_registrations_per_interval(
            origin: OriginFor<T>,
            netuid: NetUid,
            target_registrations_per_interval: u16,
        ) -> DispatchResult {
            root!(
                origin,
                netuid,
                TargetRegistrationsPerInterval,
                target_registrations_per_interval,
                RegistrationPerIntervalSet
            )
        }
        #[pallet::call_index(22)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_burn(origin: OriginFor<T>, netuid: NetUid, min_burn: u64) -> DispatchResult {
            let most = subtensor::MaxBurn::<T>::get(netuid).min(MIN_BURN_UPPER);
            ensure!(min_burn < most, Error::<T>::ValueNotInBounds);
            put!(origin, netuid, MinBurn, MinBurn, min_burn, MinBurnSet)
        }
        #[pallet::call_index(23)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_burn(origin: OriginFor<T>, netuid: NetUid, max_burn: u64) -> DispatchResult {
            let least = subtensor::MinBurn::<T>::get(netuid).max(MAX_BURN_LOWER);
            ensure!(max_burn > least, Error::<T>::ValueNotInBounds);
            put!(origin, netuid, MaxBurn, MaxBurn, max_burn, MaxBurnSet)
        }
        #[pallet::call_index(24)]
        #[pallet::weight(free())]
        pub fn sudo_set_difficulty(origin: OriginFor<T>, netuid: NetUid, difficulty: u64) -> DispatchResult {
            root!(origin, netuid, Difficulty, difficulty, DifficultySet)
        }
        #[pallet::call_index(25)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_allowed_validators(
            origin: OriginFor<T>,
            netuid: NetUid,
            max_allowed_validators: u16,
        ) -> DispatchResult {
            ensure!(
                max_allowed_validators <= subtensor::MaxAllowedUids::<T>::get(netuid),
                Error::<T>::MaxValidatorsLargerThanMaxUIds
            );
            root!(origin, netuid, MaxAllowedValidators, max_allowed_validators, MaxAllowedValidatorsSet)
        }
        #[pallet::call_index(26)]
        #[pallet::weight(free())]
        pub fn sudo_set_bonds_moving_average(
            origin: OriginFor<T>,
            netuid: NetUid,
            bonds_moving_average: u64,
        ) -> DispatchResult {
            let by_root = ensure_root(origin.clone()).is_ok();
            ensure!(
                by_root || bonds_moving_average <= OWNER_BONDS_MOVING_AVERAGE,
                Error::<T>::BondsMovingAverageMaxReached
            );
            ensure!(bonds_moving_average <= 1_000_000, Error::<T>::ValueNotInBounds);
            put!(origin, netuid, BondsMovingAverage, BondsMovingAverage, bonds_moving_average, BondsMovingAverageSet)
        }
        #[pallet::call_index(60)]
        #[pallet::weight(free())]
        pub fn sudo_set_bonds_penalty(origin: OriginFor<T>, netuid: NetUid, bonds_penalty: u16) -> DispatchResult {
            put!(origin, netuid, BondsPenalty, BondsPenalty, bonds_penalty, BondsPenaltySet)
        }
        #[pallet::call_index(27)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_registrations_per_block(
            origin: OriginFor<T>,
            netuid: NetUid,
            max_registrations_per_block: u16,
        ) -> DispatchResult {
            root!(origin, netuid, MaxRegistrationsPerBlock, max_registrations_per_block, MaxRegistrationsPerBlockSet)
        }
        #[pallet::call_index(28)]
        #[pallet::weight(free())]
        pub fn sudo_set_subnet_owner_cut(origin: OriginFor<T>, subnet_owner_cut: u16) -> DispatchResult {
            global!(origin, SubnetOwnerCut, subnet_owner_cut, SubnetOwnerCutSet)
        }
        #[pallet::call_index(29)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_rate_limit(origin: OriginFor<T>, rate_limit: u64) -> DispatchResult {
            global!(origin, NetworkRateLimit, rate_limit, NetworkRateLimitSet)
        }
        #[pallet::call_index(30)]
        #[pallet::weight(free())]
        pub fn sudo_set_tempo(origin: OriginFor<T>, netuid: NetUid, tempo: u16) -> DispatchResult {
            root!(origin, netuid, Tempo, tempo, TempoSet)
        }
        #[pallet::call_index(36)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_min_lock_cost(origin: OriginFor<T>, lock_cost: u64) -> DispatchResult {
            global!(origin, NetworkMinLockCost, lock_cost, NetworkMinLockCostSet)
        }
        #[pallet::call_index(37)]
        #[pallet::weight(free())]
        pub fn sudo_set_subnet_limit(origin: OriginFor<T>, max_subnets: u16) -> DispatchResult {
            global!(origin, SubnetLimit, max_subnets, SubnetLimitSet)
        }
        #[pallet::call_index(42)]
        #[pallet::weight(free())]
        pub fn sudo_set_stake_threshold(origin: OriginFor<T>, min_stake: u64) -> DispatchResult {
            global!(origin, StakeThreshold, min_stake, StakeThresholdSet)
        }
        #[pallet::call_index(49)]
        #[pallet::weight(free())]
        pub fn sudo_set_commit_reveal_weights_enabled(
            origin: OriginFor<T>,
            netuid: NetUid,
            enabled: bool,
        ) -> DispatchResult {
            put!(origin, netuid, CommitRevealEnabled, CommitRevealWeightsEnabled, enabled, CommitRevealEnabled)
        }
        #[pallet::call_index(50)]
        #[pallet::weight(free())]
        pub fn sudo_set_liquid_alpha_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::LiquidAlphaEnabled)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::LiquidAlphaOn::<T>::insert(netuid, enabled);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::LiquidAlphaEnabled);
            }
            Ok(())
        }
        #[pallet::call_index(51)]
        #[pallet::weight(free())]
        pub fn sudo_set_alpha_values(
            origin: OriginFor<T>,
            netuid: NetUid,
            alpha_low: u16,
            alpha_high: u16,
        ) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::AlphaValues)?;
            ensure!(subtensor::LiquidAlphaOn::<T>::get(netuid), subtensor::Error::<T>::LiquidAlphaDisabled);
            ensure!(alpha_high >= LEAST_ALPHA, subtensor::Error::<T>::AlphaHighTooLow);
            let fits = (LEAST_ALPHA..=alpha_high).contains(&alpha_low);
            ensure!(fits, subtensor::Error::<T>::AlphaLowOutOfRange);
            subtensor::AlphaValues::<T>::insert(netuid, (alpha_low, alpha_high));
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::AlphaValues);
            }
            Ok(())
        }
        #[pallet::call_index(57)]
        #[pallet::weight(free())]
        pub fn sudo_set_commit_reveal_weights_interval(
            origin: OriginFor<T>,
            netuid: NetUid,
            interval: u64,
        ) -> DispatchResult {
            ensure!(interval >= 1, subtensor::Error::<T>::RevealPeriodTooSmall);
            ensure!(interval <= 100, subtensor::Error::<T>::RevealPeriodTooLarge);
            put!(origin, netuid, WeightCommitInterval, RevealPeriodEpochs, interval, CommitRevealPeriodsSet)
        }
        #[pallet::call_index(68)]
        #[pallet::weight(free())]
        pub fn sudo_set_alpha_sigmoid_steepness(
            origin: OriginFor<T>,
            netuid: NetUid,
            steepness: i16,
        ) -> DispatchResult {
            let by_root = ensure_root(origin.clone()).is_ok();
            ensure!(by_root || steepness >= 0, Error::<T>::NegativeSigmoidSteepness);
            put!(origin, netuid, AlphaSigmoidSteepness, AlphaSigmoidSteepness, steepness, AlphaSigmoidSteepnessSet)
        }
        #[pallet::call_index(69)]
        #[pallet::weight(free())]
        pub fn sudo_set_yuma3_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::Yuma3Enabled)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::Yuma3On::<T>::insert(netuid, enabled);
            Self::deposit_event(Event::Yuma3EnableToggled { netuid, enabled });
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::Yuma3Enabled);
            }
            Ok(())
        }
        #[pallet::call_index(74)]
        #[pallet::weight(free())]
        pub fn sudo_set_admin_freeze_window(origin: OriginFor<T>, window: u16) -> DispatchResult {
            global!(origin, AdminFreezeWindow, window, AdminFreezeWindowSet)
        }
        #[pallet::call_index(75)]
        #[pallet::weight(free())]
        pub fn sudo_set_owner_hparam_rate_limit(origin: OriginFor<T>, epochs: u16) -> DispatchResult {
            global!(origin, OwnerHyperparamRateLimit, epochs, OwnerHyperparamRateLimitSet)
        }
        #[pallet::call_index(2)]
        #[pallet::weight(free())]
        pub fn sudo_set_tx_rate_limit(origin: OriginFor<T>, tx_rate_limit: u64) -> DispatchResult {
            global!(origin, TxRateLimit, tx_rate_limit, TxRateLimitSet)
        }
        #[pallet::call_index(35)]
        #[pallet::weight(free())]
        pub fn sudo_set_network_immunity_period(origin: OriginFor<T>, immunity_period: u64) -> DispatchResult {
            global!(origin, NetworkImmunityPeriod, immunity_period, NetworkImmunityPeriodSet)
        }
        #[pallet::call_index(38)]
        #[pallet::weight(free())]
        pub fn sudo_set_lock_reduction_interval(origin: OriginFor<T>, interval: u64) -> DispatchResult {
            global!(origin, NetworkLockReductionInterval, interval, NetworkLockCostReductionIntervalSet)
        }
        #[pallet::call_index(39)]
        #[pallet::weight(free())]
        pub fn sudo_set_rao_recycled(origin: OriginFor<T>, netuid: NetUid, rao_recycled: u64) -> DispatchResult {
            root!(origin, netuid, RAORecycledForRegistration, rao_recycled, RAORecycledForRegistrationSet)
        }
        #[pallet::call_index(64)]
        #[pallet::weight(free())]
        pub fn sudo_set_subnet_owner_hotkey(origin: OriginFor<T>, netuid: NetUid, hotkey: AccountId) -> DispatchResult {
            Self::set_owner_hotkey(origin, netuid, hotkey)
        }
        #[pallet::call_index(67)]
        #[pallet::weight(free())]
        pub fn sudo_set_sn_owner_hotkey(origin: OriginFor<T>, netuid: NetUid, hotkey: AccountId) -> DispatchResult {
            Self::set_owner_hotkey(origin, netuid, hotkey)
        }
        #[pallet::call_index(66)]
        #[pallet::weight(free())]
        pub fn sudo_set_subtoken_enabled(
            origin: OriginFor<T>,
            netuid: NetUid,
            subtoken_enabled: bool,
        ) -> DispatchResult {
            ensure_root(origin)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::SubtokenEnabled::<T>::insert(netuid, subtoken_enabled);
            Ok(())
        }
        #[pallet::call_index(70)]
        #[pallet::weight(free())]
        pub fn sudo_set_bonds_reset_enabled(origin: OriginFor<T>, netuid: NetUid, enabled: bool) -> DispatchResult {
            put!(origin, netuid, BondsResetEnabled, BondsResetOn, enabled, BondsResetOnSet)?;
            Self::deposit_event(Event::BondsResetToggled { netuid, enabled });
            Ok(())
        }
        #[pallet::call_index(71)]
        #[pallet::weight(free())]
        pub fn sudo_set_commit_reveal_version(origin: OriginFor<T>, version: u16) -> DispatchResult {
            global!(origin, CommitRevealWeightsVersion, version, CommitRevealVersionSet)
        }
        #[pallet::call_index(72)]
        #[pallet::weight(free())]
        pub fn sudo_set_owner_immune_neuron_limit(
            origin: OriginFor<T>,
            netuid: NetUid,
            immune_neurons: u16,
        ) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::ImmuneNeuronLimit)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            ensure!((1..=10).contains(&immune_neurons), Error::<T>::InvalidValue);
            subtensor::ImmuneOwnerUidsLimit::<T>::insert(netuid, immune_neurons);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::ImmuneNeuronLimit);
            }
            Ok(())
        }
        #[pallet::call_index(79)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_allowed_uids(
            origin: OriginFor<T>,
            netuid: NetUid,
            min_allowed_uids: u16,
        ) -> DispatchResult {
            let most = subtensor::MaxAllowedUids::<T>::get(netuid);
            ensure!(min_allowed_uids < most, Error::<T>::MinAllowedUidsGreaterThanMaxAllowedUids);
            root!(origin, netuid, MinAllowedUids, min_allowed_uids, MinAllowedUidsSet)
        }
        #[pallet::call_index(84)]
        #[pallet::weight(free())]
        pub fn sudo_set_min_non_immune_uids(origin: OriginFor<T>, netuid: NetUid, min: u16) -> DispatchResult {
            root!(origin, netuid, MinNonImmuneUids, min, MinNonImmuneUidsSet)
        }
        #[pallet::call_index(85)]
        #[pallet::weight(free())]
        pub fn sudo_set_start_call_delay(origin: OriginFor<T>, delay: u64) -> DispatchResult {
            global!(origin, StartCallDelay, delay, StartCallDelaySet)
        }
        /// Newer than the snapshot: the name is public (SDK 11.3.0), the index is this chain's own.
        #[pallet::call_index(200)]
        #[pallet::weight(free())]
        pub fn sudo_set_activity_cutoff_factor(
            origin: OriginFor<T>,
            netuid: NetUid,
            factor_milli: u32,
        ) -> DispatchResult {
            subtensor::Pallet::<T>::check_activity_cutoff_factor(factor_milli)?;
            put!(
                origin,
                netuid,
                ActivityCutoffFactor,
                ActivityCutoffFactorMilli,
                factor_milli,
                ActivityCutoffFactorMilliSet
            )
        }
        /// Newer than the snapshot: the name is public (SDK 11.3.0), the index is this chain's own.
        #[pallet::call_index(201)]
        #[pallet::weight(free())]
        pub fn sudo_set_burn_half_life(origin: OriginFor<T>, netuid: NetUid, burn_half_life: u16) -> DispatchResult {
            ensure!((1..=36_100).contains(&burn_half_life), Error::<T>::ValueNotInBounds);
            put!(origin, netuid, BurnHalfLife, BurnHalfLife, burn_half_life, BurnHalfLifeSet)
        }
        /// Newer than the snapshot: the name is public (SDK 11.3.0), the index is this chain's own.
        #[pallet::call_index(202)]
        #[pallet::weight(free())]
        pub fn sudo_set_burn_increase_mult(
            origin: OriginFor<T>,
            netuid: NetUid,
            burn_increase_mult: FixedU128,
        ) -> DispatchResult {
            put!(origin, netuid, BurnIncreaseMult, BurnIncreaseMult, burn_increase_mult, BurnIncreaseMultSet)
        }
        #[pallet::call_index(76)]
        #[pallet::weight(free())]
        pub fn sudo_set_mechanism_count(origin: OriginFor<T>, netuid: NetUid, mechanism_count: u8) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::MechanismCount)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::Pallet::<T>::set_mechanism_count(netuid, mechanism_count)?;
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::MechanismCount);
            }
            Ok(())
        }
        #[pallet::call_index(77)]
        #[pallet::weight(free())]
        pub fn sudo_set_mechanism_emission_split(
            origin: OriginFor<T>,
            netuid: NetUid,
            maybe_split: Option<Vec<u16>>,
        ) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::MechanismEmissionSplit)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::Pallet::<T>::set_mechanism_split(netuid, maybe_split)?;
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::MechanismEmissionSplit);
            }
            Ok(())
        }
        #[pallet::call_index(88)]
        #[pallet::weight(free())]
        pub fn sudo_set_max_mechanism_count(origin: OriginFor<T>, max_mechanism_count: u8) -> DispatchResult {
            ensure_root(origin)?;
            subtensor::MaxMechanismCount::<T>::put(max_mechanism_count);
            Ok(())
        }
    }
}
