//! Subnets: existence, registration against the lock cost, `start_call` (chain.md 9).
//!
//! Invariant: a subnet's account always holds the existential deposit beside `SubnetTAO`, so no withdrawal can reap it.

use super::genesis_build::DYNAMIC;
use super::*;
use frame_support::PalletId;
use frame_support::traits::fungible::{Inspect, Mutate};
use frame_support::traits::tokens::{Fortitude, Precision, Preservation};
use sp_runtime::traits::AccountIdConversion;

/// Prefix of the subnets' accounts.
const SUBNETS: PalletId = PalletId(*b"subtensr");

impl<T: Config> Pallet<T> {
    /// Whether the subnet exists.
    pub fn exists(netuid: NetUid) -> bool {
        NetworksAdded::<T>::get(netuid)
    }

    /// All subnets but root, ascending.
    pub fn subnets() -> Vec<NetUid> {
        let mut netuids: Vec<NetUid> = NetworksAdded::<T>::iter()
            .filter(|(netuid, added)| *added && *netuid != ROOT)
            .map(|(netuid, _)| netuid)
            .collect();
        netuids.sort_unstable();
        netuids
    }

    /// The account that holds a subnet's TAO.
    pub fn subnet_account(netuid: NetUid) -> AccountId {
        SUBNETS.into_sub_account_truncating(netuid)
    }

    /// What `register_network` costs at a block, rao: twice the last cost, sinking to the minimum over the reduction interval.
    pub fn lock_cost(now: u64) -> u64 {
        let last = NetworkLastLockCost::<T>::get();
        let last_block = LastRateLimitedBlock::<T>::get(crate::types::RateLimitKey::NetworkLastRegistered);
        let factor = if last_block == 0 { 1 } else { 2 };
        let interval = NetworkLockReductionInterval::<T>::get().max(1);
        last.saturating_mul(factor)
            .saturating_sub((last / interval).saturating_mul(now.saturating_sub(last_block)))
            .max(NetworkMinLockCost::<T>::get())
    }

    /// Whether `register_network` is allowed by its rate limit.
    pub(crate) fn network_rate_limit_passed(now: u64) -> bool {
        let last = LastRateLimitedBlock::<T>::get(crate::types::RateLimitKey::NetworkLastRegistered);
        last == 0 || now.saturating_sub(last) >= NetworkRateLimit::<T>::get()
    }

    /// Storage that every network has, from the moment it exists.
    pub(crate) fn init_network(netuid: NetUid, mechanism: u16, now: u64) {
        NetworksAdded::<T>::insert(netuid, true);
        SubnetworkN::<T>::insert(netuid, 0);
        SubnetMechanism::<T>::insert(netuid, mechanism);
        NetworkRegisteredAt::<T>::insert(netuid, now);
        LastEpochBlock::<T>::insert(netuid, now);
        TotalNetworks::<T>::mutate(|n| *n = n.saturating_add(1));
        // Keeps the account alive; see the module's invariant.
        let _ = T::Currency::mint_into(&Self::subnet_account(netuid), T::Currency::minimum_balance());
    }

    pub(crate) fn do_register_network(
        origin: OriginFor<T>,
        hotkey: AccountId,
        identity: Option<crate::types::SubnetIdentityV3>,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let now = Self::now();
        ensure!(identity.as_ref().is_none_or(identities::is_valid_subnet), Error::<T>::InvalidIdentity);
        ensure!(Self::free_or_owned(&coldkey, &hotkey), Error::<T>::NonAssociatedColdKey);
        ensure!(Self::network_rate_limit_passed(now), Error::<T>::NetworkTxRateLimitExceeded);
        let count = Self::subnets().len();
        ensure!(count < usize::from(SubnetLimit::<T>::get()), Error::<T>::SubnetLimitReached);
        let netuid = (1..crate::types::GLOBAL_MAX_SUBNET_COUNT)
            .find(|n| !Self::exists(*n))
            .ok_or(Error::<T>::SubnetLimitReached)?;
        let cost = Self::lock_cost(now);
        let available = T::Currency::reducible_balance(&coldkey, Preservation::Expendable, Fortitude::Polite);
        ensure!(available >= cost, Error::<T>::CannotAffordLockCost);

        Self::init_network(netuid, DYNAMIC, now);
        if let Some(params) = NewSubnetParams::<T>::get() {
            params.apply::<T>(netuid);
        }
        // The pool gets the minimum, what the subnet cost above it is recycled.
        let pool = cost.min(NetworkMinLockCost::<T>::get());
        T::Currency::transfer(&coldkey, &Self::subnet_account(netuid), pool, Preservation::Expendable)?;
        if cost > pool {
            T::Currency::burn_from(
                &coldkey,
                cost - pool,
                Preservation::Expendable,
                Precision::Exact,
                Fortitude::Polite,
            )?;
        }
        SubnetTAO::<T>::insert(netuid, pool);
        SubnetAlphaIn::<T>::insert(netuid, pool);
        TotalStake::<T>::mutate(|total| *total = total.saturating_add(pool));
        SubnetLocked::<T>::insert(netuid, cost);
        NetworkLastLockCost::<T>::put(cost);
        LastRateLimitedBlock::<T>::insert(crate::types::RateLimitKey::NetworkLastRegistered, now);
        SubnetOwner::<T>::insert(netuid, &coldkey);
        SubnetOwnerHotkey::<T>::insert(netuid, &hotkey);
        Self::associate(&coldkey, &hotkey);
        Self::append_neuron(netuid, &hotkey, now);
        Self::deposit_event(Event::NetworkAdded(netuid, DYNAMIC));
        if let Some(identity) = identity {
            SubnetIdentitiesV3::<T>::insert(netuid, identity);
            Self::deposit_event(Event::SubnetIdentitySet(netuid));
        }
        Ok(())
    }

    pub(crate) fn do_start_call(origin: OriginFor<T>, netuid: NetUid) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let now = Self::now();
        ensure!(netuid != ROOT && Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(SubnetOwner::<T>::get(netuid) == coldkey, Error::<T>::NotSubnetOwner);
        ensure!(FirstEmissionBlockNumber::<T>::get(netuid).is_none(), Error::<T>::FirstEmissionBlockNumberAlreadySet);
        let ready = NetworkRegisteredAt::<T>::get(netuid).saturating_add(StartCallDelay::<T>::get());
        ensure!(now >= ready, Error::<T>::NeedWaitingMoreBlocksToStarCall);
        let first = now.saturating_add(1);
        FirstEmissionBlockNumber::<T>::insert(netuid, first);
        SubtokenEnabled::<T>::insert(netuid, true);
        Self::deposit_event(Event::FirstEmissionBlockNumberSet(netuid, first));
        Ok(())
    }
}
