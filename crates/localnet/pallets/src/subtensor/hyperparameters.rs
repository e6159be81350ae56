//! Who may change a hyperparameter, and when (chain.md 9): root always; a subnet's owner outside the freeze window before an epoch and
//! not twice within `OwnerHyperparamRateLimit` tempos.

use super::*;
use crate::types::{Hyperparameter, RateLimitKey};

impl<T: Config> Pallet<T> {
    /// Root, or the owner within its limits. Returns whether it was the owner, whose change is then to be recorded.
    ///
    /// # Errors
    /// `BadOrigin` for anybody else; the owner's limits as their own errors.
    pub fn ensure_root_or_owner(
        origin: OriginFor<T>,
        netuid: NetUid,
        what: Hyperparameter,
    ) -> Result<bool, DispatchError> {
        use frame_system::RawOrigin;
        match origin.into() {
            Ok(RawOrigin::Root) => Ok(false),
            Ok(RawOrigin::Signed(who)) if Self::exists(netuid) && SubnetOwner::<T>::get(netuid) == who => {
                Self::ensure_owner_may_change(netuid, what)?;
                Ok(true)
            }
            _ => Err(DispatchError::BadOrigin),
        }
    }

    /// The owner's limits.
    pub(crate) fn ensure_owner_may_change(netuid: NetUid, what: Hyperparameter) -> DispatchResult {
        let now = Self::now();
        let window = u64::from(AdminFreezeWindow::<T>::get());
        if window > 0
            && let Some(next) = Self::next_epoch_block(netuid, now)
        {
            ensure!(next.saturating_sub(now) >= window, Error::<T>::AdminActionProhibitedDuringWeightsWindow);
        }
        Self::ensure_owner_waited(netuid, what)
    }

    /// The owner's waiting time alone.
    pub(crate) fn ensure_owner_waited(netuid: NetUid, what: Hyperparameter) -> DispatchResult {
        let tempos = match what {
            Hyperparameter::WeightsVersionKey => WeightsVersionKeyRateLimit::<T>::get(),
            _ => u64::from(OwnerHyperparamRateLimit::<T>::get()),
        };
        let last = LastRateLimitedBlock::<T>::get(RateLimitKey::OwnerHyperparamUpdate(netuid, what));
        let wait = tempos.saturating_mul(u64::from(Tempo::<T>::get(netuid)));
        ensure!(last == 0 || Self::now().saturating_sub(last) >= wait, Error::<T>::TxRateLimitExceeded);
        Ok(())
    }

    /// Starts the owner's waiting time for this hyperparameter.
    pub fn record_owner_change(netuid: NetUid, what: Hyperparameter) {
        LastRateLimitedBlock::<T>::insert(RateLimitKey::OwnerHyperparamUpdate(netuid, what), Self::now());
    }
}
