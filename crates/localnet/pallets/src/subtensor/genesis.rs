//! Genesis of `SubtensorModule`: the root network and subnet 1 (chain.md 12), with what a fast local chain overrides.

use frame_support::pallet_macros::pallet_section;

/// Genesis configuration and build, pasted into the pallet.
#[pallet_section]
mod genesis {
    /// `Default` is the production chain; [`GenesisConfig::fast`] is what a developer wants.
    #[pallet::genesis_config]
    pub struct GenesisConfig<T: Config> {
        /// Owner coldkey and owner hotkey of the root network; nobody by default.
        pub root_owner: Option<(AccountId, AccountId)>,
        /// Owner coldkey and owner hotkey of subnet 1; the zero account by default, as on the public localnet. The hotkey gets uid 0.
        pub subnet_owner: Option<(AccountId, AccountId)>,
        /// A subnet to begin with in place of subnet 1, at the block of its snapshot; it must have passed its check.
        pub fork: Option<crate::subtensor::fork::Snapshot>,
        /// Hyperparameters of subnet 1 and of every subnet registered later.
        pub subnet: crate::subtensor::params::SubnetParams,
        /// Whether subnet 1 emits from the first block, as if `start_call` had been made.
        pub subnet_started: bool,
        /// TAO and alpha (rao) in subnet 1's pool; the price starts at 1.
        pub subnet_pool: u64,
        /// Blocks between two `register_network`.
        pub network_rate_limit: u64,
        /// Least lock cost of a subnet, rao.
        pub network_min_lock_cost: u64,
        /// Blocks before an epoch in which owners may not change hyperparameters.
        pub admin_freeze_window: u16,
        /// Tempos between two changes of one hyperparameter by an owner.
        pub owner_hyperparam_rate_limit: u16,
        /// Tempos between two changes of a weights version key by an owner.
        pub weights_version_key_rate_limit: u64,
        /// Blocks from `set_children` until they hold.
        pub pending_childkey_cooldown: u64,
        /// Blocks between two swaps of a coldkey's hotkeys, and between two on one subnet.
        pub hotkey_swap_rate_limits: (u64, u64),
        /// Epochs that may run in one block.
        pub max_epochs_per_block: u8,
        /// Least stake weight (rao) of who sets weights.
        pub stake_threshold: u64,
        /// Weight of root TAO beside alpha, over `u64::MAX`.
        pub tao_weight: u64,
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    impl<T: Config> Default for GenesisConfig<T> {
        fn default() -> Self {
            Self {
                root_owner: None,
                subnet_owner: None,
                fork: None,
                subnet: Default::default(),
                subnet_started: false,
                subnet_pool: 1_000_000_000_000,
                network_rate_limit: 7_200,
                network_min_lock_cost: 1_000_000_000_000,
                admin_freeze_window: 10,
                owner_hyperparam_rate_limit: 2,
                weights_version_key_rate_limit: 5,
                pending_childkey_cooldown: 7_200,
                hotkey_swap_rate_limits: (1_000, 7_200),
                max_epochs_per_block: 2,
                stake_threshold: 0,
                tao_weight: 971_718_665_099_567_868,
                _config: Default::default(),
            }
        }
    }

    impl<T: Config> GenesisConfig<T> {
        /// A chain for one developer: short tempo, cheap registration, no rate limits on owners.
        pub fn fast() -> Self {
            Self {
                subnet: crate::subtensor::params::SubnetParams::fast(),
                subnet_started: true,
                network_rate_limit: 0,
                admin_freeze_window: 0,
                owner_hyperparam_rate_limit: 0,
                weights_version_key_rate_limit: 0,
                pending_childkey_cooldown: 15,
                hotkey_swap_rate_limits: (0, 1),
                max_epochs_per_block: 32,
                ..Default::default()
            }
        }
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::build_genesis(self);
        }
    }
}
