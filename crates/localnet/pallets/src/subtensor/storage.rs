//! Storage of `SubtensorModule`: public names, hashers, key order and value types (chain.md 3). Defaults are the production ones.

use frame_support::pallet_macros::pallet_section;

/// Storage items, pasted into the pallet.
#[pallet_section]
mod storage {
    // Defaults that no constant type expresses.

    /// The account of 32 zero bytes: "nobody".
    #[pallet::type_value]
    pub fn ZeroAccount<T: Config>() -> AccountId {
        AccountId::new([0; 32])
    }
    /// Low and high bound of liquid alpha, /65535.
    #[pallet::type_value]
    pub fn DefaultAlphaValues<T: Config>() -> (u16, u16) {
        (45_875, 58_982)
    }
    /// 1.26 in 64.64.
    #[pallet::type_value]
    pub fn DefaultBurnIncreaseMult<T: Config>() -> FixedU128 {
        crate::subtensor::burn::DEFAULT_INCREASE
    }
    /// The letter tau in bold italics, as on the public chain.
    #[pallet::type_value]
    pub fn DefaultTokenSymbol<T: Config>() -> Vec<u8> {
        "\u{1d70f}".as_bytes().to_vec()
    }
    /// 1 in 64.64.
    #[pallet::type_value]
    pub fn One<T: Config>() -> FixedU128 {
        FixedU128 { bits: 1 << 64 }
    }
    /// Root dividends arrive as alpha and stay that.
    #[pallet::type_value]
    pub fn DefaultRootClaimType<T: Config>() -> crate::types::RootClaimTypeEnum {
        crate::types::RootClaimTypeEnum::Keep
    }
    /// Step of the moving price, 0.000003 in 96.32.
    #[pallet::type_value]
    pub fn DefaultSubnetMovingAlpha<T: Config>() -> FixedI128 {
        FixedI128 { bits: 0x3255 }
    }

    // Global.

    #[pallet::storage]
    pub type AdminFreezeWindow<T> = StorageValue<_, u16, ValueQuery, ConstU16<10>>;
    /// Tempos an owner waits between two changes of the same hyperparameter.
    #[pallet::storage]
    pub type OwnerHyperparamRateLimit<T> = StorageValue<_, u16, ValueQuery, ConstU16<2>>;
    /// Weight of root TAO beside alpha, over `u64::MAX`.
    #[pallet::storage]
    pub type TaoWeight<T> = StorageValue<_, u64, ValueQuery, ConstU64<971_718_665_099_567_868>>;
    #[pallet::storage]
    pub type BlockEmission<T> = StorageValue<_, u64, ValueQuery, ConstU64<1_000_000_000>>;
    #[pallet::storage]
    pub type SubnetLimit<T> = StorageValue<_, u16, ValueQuery, ConstU16<128>>;
    #[pallet::storage]
    pub type TotalIssuance<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type TotalStake<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type TotalNetworks<T> = StorageValue<_, u16, ValueQuery>;
    #[pallet::storage]
    pub type SubnetMovingAlpha<T> = StorageValue<_, FixedI128, ValueQuery, DefaultSubnetMovingAlpha<T>>;
    #[pallet::storage]
    pub type NetworkImmunityPeriod<T> = StorageValue<_, u64, ValueQuery, ConstU64<1_296_000>>;
    #[pallet::storage]
    pub type StartCallDelay<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type NetworkMinLockCost<T> = StorageValue<_, u64, ValueQuery, ConstU64<1_000_000_000_000>>;
    #[pallet::storage]
    pub type NetworkLastLockCost<T> = StorageValue<_, u64, ValueQuery, ConstU64<1_000_000_000_000>>;
    #[pallet::storage]
    pub type NetworkLockReductionInterval<T> = StorageValue<_, u64, ValueQuery, ConstU64<100_800>>;
    #[pallet::storage]
    pub type SubnetOwnerCut<T> = StorageValue<_, u16, ValueQuery, ConstU16<11_796>>;
    #[pallet::storage]
    pub type NetworkRateLimit<T> = StorageValue<_, u64, ValueQuery, ConstU64<7_200>>;
    #[pallet::storage]
    pub type MaxEpochsPerBlock<T> = StorageValue<_, u8, ValueQuery, ConstU8<2>>;
    #[pallet::storage]
    pub type TxRateLimit<T> = StorageValue<_, u64, ValueQuery, ConstU64<1_000>>;
    #[pallet::storage]
    pub type StakeThreshold<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type CommitRevealWeightsVersion<T> = StorageValue<_, u16, ValueQuery, ConstU16<4>>;
    /// Tempos between two changes of a weights version key.
    #[pallet::storage]
    pub type WeightsVersionKeyRateLimit<T> = StorageValue<_, u64, ValueQuery, ConstU64<5>>;
    #[pallet::storage]
    pub type MaxMechanismCount<T> = StorageValue<_, u8, ValueQuery, ConstU8<2>>;
    #[pallet::storage]
    pub type LastRateLimitedBlock<T> = StorageMap<_, Identity, crate::types::RateLimitKey, u64, ValueQuery>;
    /// Of this chain's own, not public: what a new subnet starts with where it differs from the production defaults.
    #[pallet::storage]
    pub type NewSubnetParams<T> = StorageValue<_, crate::subtensor::params::SubnetParams, OptionQuery>;

    // Subnets.

    #[pallet::storage]
    pub type NetworksAdded<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type SubnetworkN<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery>;
    #[pallet::storage]
    pub type SubnetMechanism<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery>;
    #[pallet::storage]
    pub type SubnetOwner<T: Config> = StorageMap<_, Identity, NetUid, AccountId, ValueQuery, ZeroAccount<T>>;
    #[pallet::storage]
    pub type SubnetOwnerHotkey<T: Config> = StorageMap<_, Identity, NetUid, AccountId, ValueQuery, ZeroAccount<T>>;
    #[pallet::storage]
    pub type NetworkRegisteredAt<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type FirstEmissionBlockNumber<T> = StorageMap<_, Identity, NetUid, u64, OptionQuery>;
    #[pallet::storage]
    pub type SubtokenEnabled<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type TransferToggle<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery, ConstBool<true>>;
    #[pallet::storage]
    pub type SubnetLocked<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type TokenSymbol<T: Config> = StorageMap<_, Identity, NetUid, Vec<u8>, ValueQuery, DefaultTokenSymbol<T>>;
    #[pallet::storage]
    pub type SubnetIdentitiesV3<T> =
        StorageMap<_, Blake2_128Concat, NetUid, crate::types::SubnetIdentityV3, OptionQuery>;
    #[pallet::storage]
    pub type IdentitiesV2<T> = StorageMap<_, Blake2_128Concat, AccountId, crate::types::ChainIdentityV2, OptionQuery>;
    #[pallet::storage]
    pub type MechanismCountCurrent<T> = StorageMap<_, Twox64Concat, NetUid, u8, ValueQuery, ConstU8<1>>;
    #[pallet::storage]
    pub type MechanismEmissionSplit<T> = StorageMap<_, Twox64Concat, NetUid, Vec<u16>, OptionQuery>;

    // The pool and emission.

    #[pallet::storage]
    pub type SubnetMovingPrice<T> = StorageMap<_, Identity, NetUid, FixedI128, ValueQuery>;
    #[pallet::storage]
    pub type EMAPriceHalvingBlocks<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<201_600>>;
    #[pallet::storage]
    pub type SubnetVolume<T> = StorageMap<_, Identity, NetUid, u128, ValueQuery>;
    /// TAO in the pool; equals the free balance of the subnet's account.
    #[pallet::storage]
    pub type SubnetTAO<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetAlphaIn<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetAlphaOut<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetAlphaInEmission<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetAlphaOutEmission<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetTaoInEmission<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type RootProp<T> = StorageMap<_, Identity, NetUid, FixedU128, ValueQuery>;
    #[pallet::storage]
    pub type PendingServerEmission<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type PendingValidatorEmission<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type PendingRootAlphaDivs<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type PendingOwnerCut<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type AlphaDividendsPerSubnet<T> =
        StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, u64, ValueQuery>;
    #[pallet::storage]
    pub type RootAlphaDividendsPerSubnet<T> =
        StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, u64, ValueQuery>;

    /// Flows do not steer emission here, so none is ever recorded.
    #[pallet::storage]
    pub type SubnetEmaTaoFlow<T> = StorageMap<_, Identity, NetUid, (u64, FixedI128), OptionQuery>;
    /// Newer than the metadata at hand. Every started subnet takes part in emission.
    #[pallet::storage]
    pub type SubnetEmissionEnabled<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery, ConstBool<true>>;
    #[pallet::storage]
    pub type RootClaimType<T: Config> = StorageMap<
        _,
        Blake2_128Concat,
        AccountId,
        crate::types::RootClaimTypeEnum,
        ValueQuery,
        DefaultRootClaimType<T>,
    >;

    // The epoch clock (chain.md 5.2).

    #[pallet::storage]
    pub type Tempo<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<360>>;
    #[pallet::storage]
    pub type LastEpochBlock<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type PendingEpochAt<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type SubnetEpochIndex<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type BlocksSinceLastStep<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    /// Spelled as on the public chain.
    #[pallet::storage]
    pub type LastMechansimStepBlock<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;

    // Hyperparameters.

    #[pallet::storage]
    pub type Rho<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<10>>;
    #[pallet::storage]
    pub type Kappa<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<32_767>>;
    #[pallet::storage]
    pub type AlphaSigmoidSteepness<T> = StorageMap<_, Identity, NetUid, i16, ValueQuery, ConstI16<1_000>>;
    #[pallet::storage]
    pub type ImmunityPeriod<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<4_096>>;
    /// Deprecated publicly; the effective cutoff comes from the factor.
    #[pallet::storage]
    pub type ActivityCutoff<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<5_000>>;
    #[pallet::storage]
    pub type ActivityCutoffFactorMilli<T> = StorageMap<_, Identity, NetUid, u32, ValueQuery, ConstU32<13_889>>;
    #[pallet::storage]
    pub type MaxWeightsLimit<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<65_535>>;
    #[pallet::storage]
    pub type MinAllowedWeights<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<1_024>>;
    #[pallet::storage]
    pub type MaxAllowedValidators<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<128>>;
    #[pallet::storage]
    pub type MinAllowedUids<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<64>>;
    #[pallet::storage]
    pub type MaxAllowedUids<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<256>>;
    #[pallet::storage]
    pub type WeightsVersionKey<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type WeightsSetRateLimit<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<100>>;
    #[pallet::storage]
    pub type CommitRevealWeightsEnabled<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery, ConstBool<true>>;
    #[pallet::storage]
    pub type RevealPeriodEpochs<T> = StorageMap<_, Twox64Concat, NetUid, u64, ValueQuery, ConstU64<1>>;
    #[pallet::storage]
    pub type BondsMovingAverage<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<900_000>>;
    #[pallet::storage]
    pub type BondsPenalty<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<65_535>>;
    #[pallet::storage]
    pub type BondsResetOn<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type LiquidAlphaOn<T> = StorageMap<_, Blake2_128Concat, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type Yuma3On<T> = StorageMap<_, Blake2_128Concat, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type AlphaValues<T: Config> = StorageMap<_, Identity, NetUid, (u16, u16), ValueQuery, DefaultAlphaValues<T>>;
    #[pallet::storage]
    pub type ServingRateLimit<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<50>>;
    #[pallet::storage]
    pub type ScalingLawPower<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<50>>;
    #[pallet::storage]
    pub type ImmuneOwnerUidsLimit<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<1>>;
    #[pallet::storage]
    pub type MinNonImmuneUids<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<10>>;

    /// Newer than the metadata at hand: only the name and the values' names are known (chain.md 0).
    #[pallet::storage]
    pub type SubnetEpochConsensus<T> = StorageMap<_, Identity, NetUid, crate::types::EpochConsensus, ValueQuery>;

    // Registration.

    #[pallet::storage]
    pub type NetworkRegistrationAllowed<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery, ConstBool<true>>;
    #[pallet::storage]
    pub type NetworkPowRegistrationAllowed<T> = StorageMap<_, Identity, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type Burn<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<100_000_000>>;
    #[pallet::storage]
    pub type MinBurn<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<500_000>>;
    #[pallet::storage]
    pub type MaxBurn<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<100_000_000_000>>;
    #[pallet::storage]
    pub type BurnHalfLife<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<360>>;
    #[pallet::storage]
    pub type BurnIncreaseMult<T: Config> =
        StorageMap<_, Identity, NetUid, FixedU128, ValueQuery, DefaultBurnIncreaseMult<T>>;
    /// Part of the price that becomes collateral, /65535. Newer than the metadata at hand; 0 says that there is no collateral, and
    /// no call changes it.
    #[pallet::storage]
    pub type CollateralLockShare<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery>;
    /// What collateral would be released per alpha earned. No collateral, so nothing reads it.
    #[pallet::storage]
    pub type CollateralDrainRatio<T: Config> = StorageMap<_, Identity, NetUid, FixedU128, ValueQuery, One<T>>;
    #[pallet::storage]
    pub type Difficulty<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<10_000_000>>;
    #[pallet::storage]
    pub type MinDifficulty<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<10_000_000>>;
    #[pallet::storage]
    pub type MaxDifficulty<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery, ConstU64<4_611_686_018_427_387_903>>;
    #[pallet::storage]
    pub type AdjustmentInterval<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<100>>;
    #[pallet::storage]
    pub type AdjustmentAlpha<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    #[pallet::storage]
    pub type TargetRegistrationsPerInterval<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<2>>;
    #[pallet::storage]
    pub type MaxRegistrationsPerBlock<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery, ConstU16<1>>;
    #[pallet::storage]
    pub type RegistrationsThisBlock<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery>;
    #[pallet::storage]
    pub type RegistrationsThisInterval<T> = StorageMap<_, Identity, NetUid, u16, ValueQuery>;
    #[pallet::storage]
    pub type LastAdjustmentBlock<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;
    /// Block of the last proof of work that a hotkey registered with.
    #[pallet::storage]
    pub type LastPowRegistrationBlock<T> = StorageMap<_, Blake2_128Concat, AccountId, u64, OptionQuery>;
    #[pallet::storage]
    pub type RAORecycledForRegistration<T> = StorageMap<_, Identity, NetUid, u64, ValueQuery>;

    // Neurons.

    #[pallet::storage]
    pub type Keys<T: Config> =
        StorageDoubleMap<_, Identity, NetUid, Identity, u16, AccountId, ValueQuery, ZeroAccount<T>>;
    #[pallet::storage]
    pub type Uids<T> = StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, u16, OptionQuery>;
    #[pallet::storage]
    pub type IsNetworkMember<T> = StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, bool, ValueQuery>;
    #[pallet::storage]
    pub type BlockAtRegistration<T> = StorageDoubleMap<_, Identity, NetUid, Identity, u16, u64, ValueQuery>;
    #[pallet::storage]
    pub type Axons<T> = StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, AxonInfo, OptionQuery>;
    #[pallet::storage]
    pub type Prometheus<T> =
        StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, PrometheusInfo, OptionQuery>;
    #[pallet::storage]
    pub type NeuronCertificates<T> = StorageDoubleMap<
        _,
        Identity,
        NetUid,
        Blake2_128Concat,
        AccountId,
        crate::types::NeuronCertificate,
        OptionQuery,
    >;
    #[pallet::storage]
    pub type Active<T> = StorageMap<_, Identity, NetUid, Vec<bool>, ValueQuery>;
    #[pallet::storage]
    pub type Consensus<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type Dividends<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type Emission<T> = StorageMap<_, Identity, NetUid, Vec<u64>, ValueQuery>;
    #[pallet::storage]
    pub type ValidatorTrust<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type ValidatorPermit<T> = StorageMap<_, Identity, NetUid, Vec<bool>, ValueQuery>;
    #[pallet::storage]
    pub type StakeWeight<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;

    // Written only where `RemovedStorage` says so; newer runtimes have them no more.

    #[pallet::storage]
    pub type Rank<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type Trust<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type PruningScores<T> = StorageMap<_, Identity, NetUid, Vec<u16>, ValueQuery>;

    // Per mechanism.

    #[pallet::storage]
    pub type Incentive<T> = StorageMap<_, Identity, NetUidStorageIndex, Vec<u16>, ValueQuery>;
    #[pallet::storage]
    pub type LastUpdate<T> = StorageMap<_, Identity, NetUidStorageIndex, Vec<u64>, ValueQuery>;
    #[pallet::storage]
    pub type Weights<T> = StorageDoubleMap<_, Identity, NetUidStorageIndex, Identity, u16, Vec<(u16, u16)>, ValueQuery>;
    #[pallet::storage]
    pub type Bonds<T> = StorageDoubleMap<_, Identity, NetUidStorageIndex, Identity, u16, Vec<(u16, u16)>, ValueQuery>;
    /// Per hotkey: (hash, epoch of the commit, block of the commit, 0), oldest first.
    #[pallet::storage]
    pub type WeightCommits<T> = StorageDoubleMap<
        _,
        Twox64Concat,
        NetUidStorageIndex,
        Twox64Concat,
        AccountId,
        VecDeque<(H256, u64, u64, u64)>,
        OptionQuery,
    >;
    /// Timelocked commits of an epoch: (hotkey, block of the commit, ciphertext, round that opens it), oldest first.
    #[pallet::storage]
    pub type TimelockedWeightCommits<T> = StorageDoubleMap<
        _,
        Twox64Concat,
        NetUidStorageIndex,
        Twox64Concat,
        u64,
        VecDeque<(AccountId, u64, BoundedVec<u8, ConstU32<5_000>>, u64)>,
        ValueQuery,
    >;

    // Stake.

    #[pallet::storage]
    pub type Owner<T: Config> = StorageMap<_, Blake2_128Concat, AccountId, AccountId, ValueQuery, ZeroAccount<T>>;
    #[pallet::storage]
    pub type OwnedHotkeys<T> = StorageMap<_, Blake2_128Concat, AccountId, Vec<AccountId>, ValueQuery>;
    #[pallet::storage]
    pub type StakingHotkeys<T> = StorageMap<_, Blake2_128Concat, AccountId, Vec<AccountId>, ValueQuery>;
    /// Block of a coldkey's last swap of a hotkey.
    #[pallet::storage]
    pub type LastTxBlock<T> = StorageMap<_, Identity, AccountId, u64, ValueQuery>;
    #[pallet::storage]
    pub type LastHotkeySwapOnNetuid<T> =
        StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, u64, ValueQuery>;
    /// Of this chain's own (a constant on the public one): blocks between two swaps of a coldkey's hotkeys on a subnet.
    #[pallet::storage]
    pub type HotkeySwapOnSubnetInterval<T> = StorageValue<_, u64, ValueQuery, ConstU64<7_200>>;
    /// (share /`u64::MAX`, child) of a parent on a subnet.
    #[pallet::storage]
    pub type ChildKeys<T> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, Vec<(u64, AccountId)>, ValueQuery>;
    /// (share /`u64::MAX`, parent) of a child on a subnet.
    #[pallet::storage]
    pub type ParentKeys<T> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, Vec<(u64, AccountId)>, ValueQuery>;
    /// Children to come, and the block after which they do.
    #[pallet::storage]
    pub type PendingChildKeys<T> =
        StorageDoubleMap<_, Identity, NetUid, Blake2_128Concat, AccountId, (Vec<(u64, AccountId)>, u64), ValueQuery>;
    #[pallet::storage]
    pub type PendingChildKeyCooldown<T> = StorageValue<_, u64, ValueQuery, ConstU64<7_200>>;
    #[pallet::storage]
    pub type ChildkeyTake<T> = StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, u16, ValueQuery>;
    #[pallet::storage]
    pub type MinChildkeyTake<T> = StorageValue<_, u16, ValueQuery>;
    #[pallet::storage]
    pub type MaxChildkeyTake<T> = StorageValue<_, u16, ValueQuery, ConstU16<11_796>>;
    #[pallet::storage]
    pub type TxChildkeyTakeRateLimit<T> = StorageValue<_, u64, ValueQuery, ConstU64<216_000>>;
    #[pallet::storage]
    pub type MinDelegateTake<T> = StorageValue<_, u16, ValueQuery>;
    #[pallet::storage]
    pub type MaxDelegateTake<T> = StorageValue<_, u16, ValueQuery, ConstU16<11_796>>;
    #[pallet::storage]
    pub type TxDelegateTakeRateLimit<T> = StorageValue<_, u64, ValueQuery, ConstU64<216_000>>;
    #[pallet::storage]
    pub type LastTxBlockDelegateTake<T> = StorageMap<_, Identity, AccountId, u64, ValueQuery>;
    /// Hotkey, subnet, kind of transaction -> block of the last one.
    #[pallet::storage]
    pub type TransactionKeyLastBlock<T> = StorageNMap<
        _,
        (NMapKey<Blake2_128Concat, AccountId>, NMapKey<Identity, NetUid>, NMapKey<Identity, u16>),
        u64,
        ValueQuery,
    >;
    /// Delegate take of a hotkey, /65535.
    #[pallet::storage]
    pub type Delegates<T> = StorageMap<_, Blake2_128Concat, AccountId, u16, ValueQuery, ConstU16<11_796>>;
    #[pallet::storage]
    pub type TotalHotkeyAlpha<T> = StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, u64, ValueQuery>;
    /// Shares of all coldkeys in a hotkey's pool on a subnet, 64.64.
    #[pallet::storage]
    pub type TotalHotkeyShares<T> =
        StorageDoubleMap<_, Blake2_128Concat, AccountId, Identity, NetUid, FixedU128, ValueQuery>;
    /// Shares of one coldkey in a hotkey's pool on a subnet, 64.64.
    #[pallet::storage]
    pub type Alpha<T> = StorageNMap<
        _,
        (NMapKey<Blake2_128Concat, AccountId>, NMapKey<Blake2_128Concat, AccountId>, NMapKey<Identity, NetUid>),
        FixedU128,
        ValueQuery,
    >;
}
