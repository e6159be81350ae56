//! The owner's hand on the epoch clock: tempo, activity cutoff, an epoch out of turn (chain.md 5.2). The clock itself is `coinbase`.
//!
//! Invariant: `PendingEpochAt` is 0 or a block at which an epoch is due that has not run.

use super::*;
use crate::types::Hyperparameter;

/// Bounds of the activity cutoff, thousandths of a tempo.
const CUTOFF_FACTOR: core::ops::RangeInclusive<u32> = 1_000..=50_000_000;

impl<T: Config> Pallet<T> {
    fn ensure_owner(origin: OriginFor<T>, netuid: NetUid) -> Result<AccountId, DispatchError> {
        let coldkey = ensure_signed(origin)?;
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(SubnetOwner::<T>::get(netuid) == coldkey, Error::<T>::NotSubnetOwner);
        Ok(coldkey)
    }

    /// A new tempo begins a new cycle: the next epoch is one whole tempo away.
    pub(crate) fn do_set_tempo(origin: OriginFor<T>, netuid: NetUid, tempo: u16) -> DispatchResult {
        Self::ensure_owner(origin, netuid)?;
        ensure!((T::MinTempo::get()..=T::MaxTempo::get()).contains(&tempo), Error::<T>::TempoOutOfBounds);
        Self::ensure_owner_may_change(netuid, Hyperparameter::Tempo)?;
        Tempo::<T>::insert(netuid, tempo);
        LastEpochBlock::<T>::insert(netuid, Self::now());
        Self::record_owner_change(netuid, Hyperparameter::Tempo);
        Self::deposit_event(Event::TempoSet(netuid, tempo));
        Ok(())
    }

    pub(crate) fn do_set_activity_cutoff_factor(
        origin: OriginFor<T>,
        netuid: NetUid,
        factor_milli: u32,
    ) -> DispatchResult {
        Self::ensure_owner(origin, netuid)?;
        Self::check_activity_cutoff_factor(factor_milli)?;
        Self::ensure_owner_may_change(netuid, Hyperparameter::ActivityCutoffFactor)?;
        ActivityCutoffFactorMilli::<T>::insert(netuid, factor_milli);
        Self::record_owner_change(netuid, Hyperparameter::ActivityCutoffFactor);
        Self::deposit_event(Event::ActivityCutoffFactorMilliSet(netuid, factor_milli));
        Ok(())
    }

    /// Bounds of the activity cutoff's factor.
    ///
    /// # Errors
    /// `ActivityCutoffFactorMilliOutOfBounds`.
    pub fn check_activity_cutoff_factor(factor_milli: u32) -> DispatchResult {
        ensure!(CUTOFF_FACTOR.contains(&factor_milli), Error::<T>::ActivityCutoffFactorMilliOutOfBounds);
        Ok(())
    }

    /// An epoch fires `AdminFreezeWindow` blocks from now; until then the owner's hands are tied as before any epoch.
    pub(crate) fn do_trigger_epoch(origin: OriginFor<T>, netuid: NetUid) -> DispatchResult {
        let by = Self::ensure_owner(origin, netuid)?;
        // A commit's reveal round was computed for the clock as it was: an epoch out of turn would lose the weights.
        ensure!(!CommitRevealWeightsEnabled::<T>::get(netuid), Error::<T>::DynamicTempoBlockedByCommitReveal);
        ensure!(PendingEpochAt::<T>::get(netuid) == 0, Error::<T>::EpochTriggerAlreadyPending);
        let now = Self::now();
        let window = u64::from(AdminFreezeWindow::<T>::get());
        if let Some(next) = Self::next_epoch_block(netuid, now) {
            ensure!(next.saturating_sub(now) >= window, Error::<T>::AutoEpochAlreadyImminent);
        }
        Self::ensure_owner_waited(netuid, Hyperparameter::TriggerEpoch)?;
        let fires_at = now.saturating_add(window);
        PendingEpochAt::<T>::insert(netuid, fires_at);
        Self::record_owner_change(netuid, Hyperparameter::TriggerEpoch);
        Self::deposit_event(Event::EpochTriggered { netuid, by, fires_at });
        Ok(())
    }
}
