//! Block 0: the root network and subnet 1 (chain.md 12).

use super::*;

/// Mechanism numbers of `SubnetMechanism`: 1:1 or a pool.
pub(crate) const STABLE: u16 = 0;
/// A subnet with a pool.
pub(crate) const DYNAMIC: u16 = 1;

impl<T: Config> Pallet<T> {
    pub(crate) fn build_genesis(config: &GenesisConfig<T>) {
        NetworkRateLimit::<T>::put(config.network_rate_limit);
        NetworkMinLockCost::<T>::put(config.network_min_lock_cost);
        NetworkLastLockCost::<T>::put(config.network_min_lock_cost);
        AdminFreezeWindow::<T>::put(config.admin_freeze_window);
        OwnerHyperparamRateLimit::<T>::put(config.owner_hyperparam_rate_limit);
        WeightsVersionKeyRateLimit::<T>::put(config.weights_version_key_rate_limit);
        PendingChildKeyCooldown::<T>::put(config.pending_childkey_cooldown);
        let (everywhere, on_subnet) = config.hotkey_swap_rate_limits;
        TxRateLimit::<T>::put(everywhere);
        HotkeySwapOnSubnetInterval::<T>::put(on_subnet);
        MaxEpochsPerBlock::<T>::put(config.max_epochs_per_block);
        StakeThreshold::<T>::put(config.stake_threshold);
        TaoWeight::<T>::put(config.tao_weight);
        if config.subnet != params::SubnetParams::default() {
            NewSubnetParams::<T>::put(config.subnet.clone());
        }

        Self::init_network(ROOT, STABLE, 0);
        Tempo::<T>::insert(ROOT, 100);
        MaxAllowedUids::<T>::insert(ROOT, 64);
        MaxAllowedValidators::<T>::insert(ROOT, 64);
        MinAllowedWeights::<T>::insert(ROOT, 0);
        NetworkRegistrationAllowed::<T>::insert(ROOT, true);
        SubtokenEnabled::<T>::insert(ROOT, true);
        TokenSymbol::<T>::insert(ROOT, "\u{03a4}".as_bytes().to_vec());
        if let Some((coldkey, hotkey)) = &config.root_owner {
            SubnetOwner::<T>::insert(ROOT, coldkey);
            SubnetOwnerHotkey::<T>::insert(ROOT, hotkey);
            Self::associate(coldkey, hotkey);
        }

        if let Some(snapshot) = &config.fork {
            Self::build_fork(snapshot, config.subnet_pool);
            return;
        }
        const FIRST: NetUid = 1;
        let zero = AccountId::new([0; 32]);
        let (coldkey, hotkey) = config.subnet_owner.clone().unwrap_or((zero.clone(), zero));
        Self::init_network(FIRST, DYNAMIC, 0);
        // The public localnet's subnet 1; `subnet` below may say otherwise.
        MaxAllowedValidators::<T>::insert(FIRST, 64);
        MinAllowedWeights::<T>::insert(FIRST, 0);
        Tempo::<T>::insert(FIRST, 100);
        config.subnet.apply::<T>(FIRST);
        SubnetOwner::<T>::insert(FIRST, &coldkey);
        SubnetOwnerHotkey::<T>::insert(FIRST, &hotkey);
        Self::associate(&coldkey, &hotkey);
        Self::append_neuron(FIRST, &hotkey, 0);
        Self::fill_pool(FIRST, config.subnet_pool);
        if config.subnet_started {
            FirstEmissionBlockNumber::<T>::insert(FIRST, 1);
            SubtokenEnabled::<T>::insert(FIRST, true);
        }
    }

    /// Mints a new pool's TAO (genesis only: a registered subnet's comes from its lock) with as much alpha.
    pub(crate) fn fill_pool(netuid: NetUid, amount: u64) {
        use frame_support::traits::fungible::Mutate;
        if amount > 0 && T::Currency::mint_into(&Self::subnet_account(netuid), amount).is_ok() {
            SubnetTAO::<T>::insert(netuid, amount);
            SubnetAlphaIn::<T>::insert(netuid, amount);
            TotalStake::<T>::mutate(|total| *total = total.saturating_add(amount));
        }
    }
}
