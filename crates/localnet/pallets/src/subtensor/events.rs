//! Events of `SubtensorModule`: public names and field order (chain.md 1.5, snapshot of spec 381 for the fields).

use frame_support::pallet_macros::pallet_section;

/// The event enum, pasted into the pallet.
#[pallet_section]
mod events {
    #[pallet::event]
    #[pallet::generate_deposit(pub fn deposit_event)]
    pub enum Event<T: Config> {
        /// A subnet exists now: netuid, mechanism.
        NetworkAdded(NetUid, u16),
        /// coldkey, hotkey, TAO in, alpha out, netuid, fee.
        StakeAdded(AccountId, AccountId, u64, u64, NetUid, u64),
        /// coldkey, hotkey, TAO out, alpha in, netuid, fee.
        StakeRemoved(AccountId, AccountId, u64, u64, NetUid, u64),
        /// coldkey, hotkey and subnet that it leaves, hotkey and subnet that it enters, TAO.
        StakeMoved(AccountId, AccountId, NetUid, AccountId, NetUid, u64),
        /// coldkey that it leaves and enters, hotkey, subnet that it leaves and enters, TAO.
        StakeTransferred(AccountId, AccountId, AccountId, NetUid, NetUid, u64),
        /// coldkey, hotkey, subnet that it leaves and enters, TAO.
        StakeSwapped(AccountId, AccountId, NetUid, NetUid, u64),
        /// hotkey, netuid, block after which they hold, (share, child).
        SetChildrenScheduled(AccountId, NetUid, u64, Vec<(u64, AccountId)>),
        /// hotkey, netuid, (share, child).
        SetChildren(AccountId, NetUid, Vec<(u64, AccountId)>),
        ChildKeyTakeSet(AccountId, u16),
        /// coldkey, hotkey, take.
        TakeIncreased(AccountId, AccountId, u16),
        /// coldkey, hotkey, take.
        TakeDecreased(AccountId, AccountId, u16),
        HotkeySwapped {
            coldkey: AccountId,
            old_hotkey: AccountId,
            new_hotkey: AccountId,
        },
        HotkeySwappedOnSubnet {
            coldkey: AccountId,
            old_hotkey: AccountId,
            new_hotkey: AccountId,
            netuid: NetUid,
        },
        ChainIdentitySet(AccountId),
        SubnetIdentitySet(NetUid),
        /// Storage index, uid.
        WeightsSet(NetUidStorageIndex, u16),
        /// netuid, uid, hotkey.
        NeuronRegistered(NetUid, u16, AccountId),
        MaxAllowedUidsSet(NetUid, u16),
        DifficultySet(NetUid, u64),
        AdjustmentIntervalSet(NetUid, u16),
        RegistrationPerIntervalSet(NetUid, u16),
        MaxRegistrationsPerBlockSet(NetUid, u16),
        ActivityCutoffSet(NetUid, u16),
        ActivityCutoffFactorMilliSet(NetUid, u32),
        RhoSet(NetUid, u16),
        AlphaSigmoidSteepnessSet(NetUid, i16),
        KappaSet(NetUid, u16),
        MinAllowedWeightSet(NetUid, u16),
        WeightsSetRateLimitSet(NetUid, u64),
        ImmunityPeriodSet(NetUid, u16),
        BondsMovingAverageSet(NetUid, u64),
        BondsPenaltySet(NetUid, u16),
        BondsResetOnSet(NetUid, bool),
        MaxAllowedValidatorsSet(NetUid, u16),
        /// netuid, hotkey.
        AxonServed(NetUid, AccountId),
        /// netuid, hotkey.
        PrometheusServed(NetUid, AccountId),
        WeightsVersionKeySet(NetUid, u64),
        MinDifficultySet(NetUid, u64),
        MaxDifficultySet(NetUid, u64),
        ServingRateLimitSet(NetUid, u64),
        BurnSet(NetUid, u64),
        MaxBurnSet(NetUid, u64),
        MinBurnSet(NetUid, u64),
        BurnHalfLifeSet(NetUid, u16),
        BurnIncreaseMultSet(NetUid, FixedU128),
        TxRateLimitSet(u64),
        AdminFreezeWindowSet(u16),
        OwnerHyperparamRateLimitSet(u16),
        RegistrationAllowed(NetUid, bool),
        PowRegistrationAllowed(NetUid, bool),
        TempoSet(NetUid, u16),
        RAORecycledForRegistrationSet(NetUid, u64),
        StakeThresholdSet(u64),
        AdjustmentAlphaSet(NetUid, u64),
        SubnetOwnerCutSet(u16),
        NetworkRateLimitSet(u64),
        NetworkImmunityPeriodSet(u64),
        StartCallDelaySet(u64),
        NetworkMinLockCostSet(u64),
        SubnetLimitSet(u16),
        NetworkLockCostReductionIntervalSet(u64),
        /// hotkey, storage index, hash.
        WeightsCommitted(AccountId, NetUidStorageIndex, H256),
        /// hotkey, storage index, hash.
        WeightsRevealed(AccountId, NetUidStorageIndex, H256),
        /// hotkey, netuid, hashes.
        WeightsBatchRevealed(AccountId, NetUid, Vec<H256>),
        /// hotkey, storage index, `blake2_256` of the SCALE-encoded ciphertext, round that opens it.
        TimelockedWeightsCommitted(AccountId, NetUidStorageIndex, H256, u64),
        /// storage index, hotkey.
        TimelockedWeightsRevealed(NetUidStorageIndex, AccountId),
        /// netuids, hotkey.
        BatchWeightsCompleted(Vec<Compact<NetUid>>, AccountId),
        /// Some items failed; each has its `BatchWeightItemFailed`.
        BatchCompletedWithErrors(),
        /// netuid, why.
        BatchWeightItemFailed(NetUid, DispatchError),
        SubnetOwnerHotkeySet(NetUid, AccountId),
        FirstEmissionBlockNumberSet(NetUid, u64),
        CommitRevealPeriodsSet(NetUid, u64),
        CommitRevealEnabled(NetUid, bool),
        CommitRevealVersionSet(u16),
        /// Miners' pay of one epoch, by uid.
        IncentiveAlphaEmittedToMiners {
            netuid: NetUidStorageIndex,
            emissions: Vec<u64>,
        },
        MinAllowedUidsSet(NetUid, u16),
        MinNonImmuneUidsSet(NetUid, u16),
        /// The owner asked for an epoch out of turn.
        EpochTriggered {
            netuid: NetUid,
            by: AccountId,
            fires_at: u64,
        },
        /// `MaxEpochsPerBlock` was reached; this subnet's epoch runs later.
        EpochDeferred {
            netuid: NetUid,
            from_block: u64,
            to_block: u64,
        },
        /// The epoch's arithmetic refused its input; the subnet kept its old state and its pending emission.
        EpochSkipped {
            netuid: NetUid,
            block: u64,
        },
    }
}
