//! Errors of `SubtensorModule`: public names. Indices 0..=95 are those that chain.md 1.4 calls stable; the others follow SDK 11.3.0.
//!
//! Without gaps, although some are never raised: bittensor-cli 9 looks a name up by its position.

use frame_support::pallet_macros::pallet_section;

/// The error enum, pasted into the pallet.
#[pallet_section]
mod errors {
    #[pallet::error]
    pub enum Error<T> {
        /// The root network does not exist.
        #[codec(index = 0)]
        RootNetworkDoesNotExist,
        /// `ip_type` is neither 4 nor 6.
        #[codec(index = 1)]
        InvalidIpType,
        /// The address is one that nobody can be reached at.
        #[codec(index = 2)]
        InvalidIpAddress,
        /// The port is 0.
        #[codec(index = 3)]
        InvalidPort,
        /// The hotkey has no uid on this subnet.
        #[codec(index = 4)]
        HotKeyNotRegisteredInSubNet,
        /// Nobody owns this hotkey.
        #[codec(index = 5)]
        HotKeyAccountNotExists,
        /// The hotkey has a uid on no subnet.
        #[codec(index = 6)]
        HotKeyNotRegisteredInNetwork,
        /// The hotkey belongs to another coldkey.
        #[codec(index = 7)]
        NonAssociatedColdKey,
        /// Public; never raised here.
        #[codec(index = 8)]
        NotEnoughStake,
        /// The hotkey holds less alpha than the call takes.
        #[codec(index = 9)]
        NotEnoughStakeToWithdraw,
        /// The hotkey's stake weight is below `StakeThreshold`.
        #[codec(index = 10)]
        NotEnoughStakeToSetWeights,
        /// The parent's stake is below `StakeThreshold`.
        #[codec(index = 11)]
        NotEnoughStakeToSetChildkeys,
        /// The coldkey's free balance does not cover the amount.
        #[codec(index = 12)]
        NotEnoughBalanceToStake,
        /// Public; never raised here.
        #[codec(index = 13)]
        BalanceWithdrawalError,
        /// Public; never raised here.
        #[codec(index = 14)]
        ZeroBalanceAfterWithdrawn,
        /// The hotkey has no validator permit and the weights are not one self-weight.
        #[codec(index = 15)]
        NeuronNoValidatorPermit,
        /// `dests` and `weights` differ in length.
        #[codec(index = 16)]
        WeightVecNotEqualSize,
        /// A uid occurs twice.
        #[codec(index = 17)]
        DuplicateUids,
        /// A uid does not exist on this subnet.
        #[codec(index = 18)]
        UidVecContainInvalidOne,
        /// Fewer weights than `MinAllowedWeights`.
        #[codec(index = 19)]
        WeightVecLengthIsLow,
        /// The block's quota of registrations is used up.
        #[codec(index = 20)]
        TooManyRegistrationsThisBlock,
        /// The hotkey already has a uid on this subnet.
        #[codec(index = 21)]
        HotKeyAlreadyRegisteredInSubNet,
        /// The new hotkey is the old one.
        #[codec(index = 22)]
        NewHotKeyIsSameWithOld,
        /// The new hotkey has stake on the root network.
        #[codec(index = 23)]
        NewHotKeyNotCleanForRootSwap,
        /// The proof's block is too old, not yet made, or used up.
        #[codec(index = 24)]
        InvalidWorkBlock,
        /// The proof does not meet the subnet's difficulty.
        #[codec(index = 25)]
        InvalidDifficulty,
        /// The proof is not the one that nonce, block, hotkey and coldkey give.
        #[codec(index = 26)]
        InvalidSeal,
        /// A weight is above `MaxWeightsLimit`.
        #[codec(index = 27)]
        MaxWeightExceeded,
        /// Public; never raised here.
        #[codec(index = 28)]
        HotKeyAlreadyDelegate,
        /// Fewer than `WeightsSetRateLimit` blocks have passed since the last weights.
        #[codec(index = 29)]
        SettingWeightsTooFast,
        /// `version_key` is below `WeightsVersionKey`.
        #[codec(index = 30)]
        IncorrectWeightVersionKey,
        /// Fewer than `ServingRateLimit` blocks have passed since the last serving.
        #[codec(index = 31)]
        ServingRateLimitExceeded,
        /// More uids than neurons.
        #[codec(index = 32)]
        UidsLengthExceedUidsInSubNet,
        /// Too soon after the last network registration.
        #[codec(index = 33)]
        NetworkTxRateLimitExceeded,
        /// The take was raised too recently.
        #[codec(index = 34)]
        DelegateTxRateLimitExceeded,
        /// The coldkey swapped a hotkey too recently.
        #[codec(index = 35)]
        HotKeySetTxRateLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 36)]
        StakingRateLimitExceeded,
        /// Registration is switched off on this subnet.
        #[codec(index = 37)]
        SubNetRegistrationDisabled,
        /// The interval's quota of registrations is used up.
        #[codec(index = 38)]
        TooManyRegistrationsThisInterval,
        /// Public; never raised here.
        #[codec(index = 39)]
        TransactorAccountShouldBeHotKey,
        /// Public; never raised here.
        #[codec(index = 40)]
        FaucetDisabled,
        /// The signer is not this subnet's owner.
        #[codec(index = 41)]
        NotSubnetOwner,
        /// The root network has its own registration call.
        #[codec(index = 42)]
        RegistrationNotPermittedOnRootSubnet,
        /// The root network is full of hotkeys with more stake.
        #[codec(index = 43)]
        StakeTooLowForRoot,
        /// Public; never raised here.
        #[codec(index = 44)]
        AllNetworksInImmunity,
        /// The coldkey cannot pay for the swap.
        #[codec(index = 45)]
        NotEnoughBalanceToPaySwapHotKey,
        /// Public; never raised here.
        #[codec(index = 46)]
        NotRootSubnet,
        /// Weights on the root network are not accepted.
        #[codec(index = 47)]
        CanNotSetRootNetworkWeights,
        /// The subnet is full and no neuron may be pruned.
        #[codec(index = 48)]
        NoNeuronIdAvailable,
        /// Not above the old take, or below the least.
        #[codec(index = 49)]
        DelegateTakeTooLow,
        /// Above the greatest take.
        #[codec(index = 50)]
        DelegateTakeTooHigh,
        /// Nothing to reveal.
        #[codec(index = 51)]
        NoWeightsCommitFound,
        /// The reveal hashes to none of the commits.
        #[codec(index = 52)]
        InvalidRevealCommitHashNotMatch,
        /// The subnet wants commit and reveal, not `set_weights`.
        #[codec(index = 53)]
        CommitRevealEnabled,
        /// The subnet wants `set_weights`, not commit and reveal.
        #[codec(index = 54)]
        CommitRevealDisabled,
        /// Alpha values need liquid alpha switched on.
        #[codec(index = 55)]
        LiquidAlphaDisabled,
        /// `alpha_high` is below the least allowed.
        #[codec(index = 56)]
        AlphaHighTooLow,
        /// `alpha_low` is out of range or not below `alpha_high`.
        #[codec(index = 57)]
        AlphaLowOutOfRange,
        /// Public; never raised here.
        #[codec(index = 58)]
        ColdKeyAlreadyAssociated,
        /// Public; never raised here.
        #[codec(index = 59)]
        NotEnoughBalanceToPaySwapColdKey,
        /// A hotkey cannot be its own child.
        #[codec(index = 60)]
        InvalidChild,
        /// A child occurs twice.
        #[codec(index = 61)]
        DuplicateChild,
        /// The children's shares are more than the whole.
        #[codec(index = 62)]
        ProportionOverflow,
        /// More than five children.
        #[codec(index = 63)]
        TooManyChildren,
        /// Changed again too soon.
        #[codec(index = 64)]
        TxRateLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 65)]
        ColdkeySwapAnnouncementNotFound,
        /// Public; never raised here.
        #[codec(index = 66)]
        ColdkeySwapTooEarly,
        /// Public; never raised here.
        #[codec(index = 67)]
        ColdkeySwapReannouncedTooEarly,
        /// Public; never raised here.
        #[codec(index = 68)]
        AnnouncedColdkeyHashDoesNotMatch,
        /// Public; never raised here.
        #[codec(index = 69)]
        ColdkeySwapAlreadyDisputed,
        /// Public; never raised here.
        #[codec(index = 70)]
        NewColdKeyIsHotkey,
        /// The take is out of bounds.
        #[codec(index = 71)]
        InvalidChildkeyTake,
        /// The childkey take was raised too recently.
        #[codec(index = 72)]
        TxChildkeyTakeRateLimitExceeded,
        /// A text of the identity is too long.
        #[codec(index = 73)]
        InvalidIdentity,
        /// The subnet has no such mechanism.
        #[codec(index = 74)]
        MechanismDoesNotExist,
        /// Public; never raised here.
        #[codec(index = 75)]
        StakeUnavailable,
        /// No subnet of this number.
        #[codec(index = 76)]
        SubnetNotExists,
        /// Ten commits wait for their reveal.
        #[codec(index = 77)]
        TooManyUnrevealedCommits,
        /// The commit's reveal epoch has passed.
        #[codec(index = 78)]
        ExpiredWeightCommit,
        /// The commit's reveal epoch has not come.
        #[codec(index = 79)]
        RevealTooEarly,
        /// The lists differ in length.
        #[codec(index = 80)]
        InputLengthsUnequal,
        /// Fewer than `WeightsSetRateLimit` blocks have passed since the last commit.
        #[codec(index = 81)]
        CommittingWeightsTooFast,
        /// Below the smallest stake.
        #[codec(index = 82)]
        AmountTooLow,
        /// The pool cannot serve this amount.
        #[codec(index = 83)]
        InsufficientLiquidity,
        /// The price limit does not allow it.
        #[codec(index = 84)]
        SlippageTooHigh,
        /// The subnet does not let stake be transferred.
        #[codec(index = 85)]
        TransferDisallowed,
        /// Public; never raised here.
        #[codec(index = 86)]
        ActivityCutoffTooLow,
        /// Public; never raised here.
        #[codec(index = 87)]
        CallDisabled,
        /// `start_call` was already made.
        #[codec(index = 88)]
        FirstEmissionBlockNumberAlreadySet,
        /// `StartCallDelay` has not passed.
        #[codec(index = 89)]
        NeedWaitingMoreBlocksToStarCall,
        /// Public; never raised here.
        #[codec(index = 90)]
        NotEnoughAlphaOutToRecycle,
        /// Public; never raised here.
        #[codec(index = 91)]
        CannotBurnOrRecycleOnRootSubnet,
        /// Public; never raised here.
        #[codec(index = 92)]
        UnableToRecoverPublicKey,
        /// Public; never raised here.
        #[codec(index = 93)]
        InvalidRecoveredPublicKey,
        /// The subnet's token is not enabled: `start_call` first.
        #[codec(index = 94)]
        SubtokenDisabled,
        /// A hotkey of the coldkey was swapped on this subnet too recently.
        #[codec(index = 95)]
        HotKeySwapOnSubnetIntervalNotPassed,
        /// The price is past the caller's limit already.
        #[codec(index = 96)]
        ZeroMaxStakeAmount,
        /// Origin and destination are the same.
        #[codec(index = 97)]
        SameNetuid,
        /// Public; never raised here.
        #[codec(index = 98)]
        InsufficientTaoBalance,
        /// Public; never raised here.
        #[codec(index = 99)]
        InvalidLeaseBeneficiary,
        /// Public; never raised here.
        #[codec(index = 100)]
        LeaseCannotEndInThePast,
        /// Public; never raised here.
        #[codec(index = 101)]
        LeaseNetuidNotFound,
        /// Public; never raised here.
        #[codec(index = 102)]
        LeaseDoesNotExist,
        /// Public; never raised here.
        #[codec(index = 103)]
        LeaseHasNoEndBlock,
        /// Public; never raised here.
        #[codec(index = 104)]
        LeaseHasNotEnded,
        /// An arithmetic result does not fit.
        #[codec(index = 105)]
        Overflow,
        /// Public; never raised here.
        #[codec(index = 106)]
        BeneficiaryDoesNotOwnHotkey,
        /// Public; never raised here.
        #[codec(index = 107)]
        ExpectedBeneficiaryOrigin,
        /// Owners may not change hyperparameters just before an epoch.
        #[codec(index = 108)]
        AdminActionProhibitedDuringWeightsWindow,
        /// Public; never raised here.
        #[codec(index = 109)]
        SymbolDoesNotExist,
        /// Public; never raised here.
        #[codec(index = 110)]
        SymbolAlreadyInUse,
        /// A timelocked commit of another version than `CommitRevealWeightsVersion`.
        #[codec(index = 111)]
        IncorrectCommitRevealVersion,
        /// A timelocked commit to a round that is older than the newest stored one.
        #[codec(index = 112)]
        InvalidRevealRound,
        /// Reveal period above 100 epochs.
        #[codec(index = 113)]
        RevealPeriodTooLarge,
        /// Reveal period of 0 epochs.
        #[codec(index = 114)]
        RevealPeriodTooSmall,
        /// Value out of range.
        #[codec(index = 115)]
        InvalidValue,
        /// No room for another subnet. (The public chain prunes one; this chain does not.)
        #[codec(index = 116)]
        SubnetLimitReached,
        /// The coldkey cannot pay the lock cost.
        #[codec(index = 117)]
        CannotAffordLockCost,
        /// Public; never raised here.
        #[codec(index = 118)]
        EvmKeyAssociateRateLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 119)]
        EvmKeyAssociationLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 120)]
        SameAutoStakeHotkeyAlreadySet,
        /// Public; never raised here.
        #[codec(index = 121)]
        UidMapCouldNotBeCleared,
        /// Public; never raised here.
        #[codec(index = 122)]
        TrimmingWouldExceedMaxImmunePercentage,
        /// A child would be its parent's parent.
        #[codec(index = 123)]
        ChildParentInconsistency,
        /// Public; never raised here.
        #[codec(index = 124)]
        InvalidRootClaimThreshold,
        /// Mechanisms times neurons are more than 256.
        #[codec(index = 125)]
        TooManyUIDsPerMechanism,
        /// Public; never raised here.
        #[codec(index = 126)]
        VotingPowerTrackingNotEnabled,
        /// Public; never raised here.
        #[codec(index = 127)]
        InvalidVotingPowerEmaAlpha,
        /// Public; never raised here.
        #[codec(index = 128)]
        Deprecated,
        /// Public; never raised here.
        #[codec(index = 129)]
        SubnetBuybackRateLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 130)]
        NetworkDissolveAlreadyQueued,
        /// Public; never raised here.
        #[codec(index = 131)]
        AddStakeBurnRateLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 132)]
        ColdkeySwapAnnounced,
        /// Public; never raised here.
        #[codec(index = 133)]
        ColdkeySwapDisputed,
        /// Public; never raised here.
        #[codec(index = 134)]
        ColdkeySwapClearTooEarly,
        /// Public; never raised here.
        #[codec(index = 135)]
        DisabledTemporarily,
        /// The burn is above the caller's limit.
        #[codec(index = 136)]
        RegistrationPriceLimitExceeded,
        /// Public; never raised here.
        #[codec(index = 137)]
        LockHotkeyMismatch,
        /// Public; never raised here.
        #[codec(index = 138)]
        InsufficientStakeForLock,
        /// Public; never raised here.
        #[codec(index = 139)]
        NoExistingLock,
        /// Public; never raised here.
        #[codec(index = 140)]
        ActiveLockExists,
        /// Public; never raised here.
        #[codec(index = 141)]
        CannotUseSystemAccount,
        /// Public; never raised here.
        #[codec(index = 142)]
        UnlockAmountTooHigh,
        /// Public; never raised here.
        #[codec(index = 143)]
        WaitingForDissolvedSubnetCleanup,
        /// Tempo outside `MinTempo..=MaxTempo`.
        #[codec(index = 144)]
        TempoOutOfBounds,
        /// Activity cutoff factor out of bounds.
        #[codec(index = 145)]
        ActivityCutoffFactorMilliOutOfBounds,
        /// An epoch out of turn is already asked for.
        #[codec(index = 146)]
        EpochTriggerAlreadyPending,
        /// The next epoch comes sooner than a triggered one could.
        #[codec(index = 147)]
        AutoEpochAlreadyImminent,
        /// With commit-reveal on, an epoch out of turn would lose committed weights.
        #[codec(index = 148)]
        DynamicTempoBlockedByCommitReveal,
    }
}
