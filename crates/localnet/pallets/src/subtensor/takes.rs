//! What a delegate keeps of its nominators' dividends: raised seldom, lowered at any time (chain.md 1.5, 9).

use super::*;

impl<T: Config> Pallet<T> {
    /// Whether the hotkey exists and is the coldkey's.
    fn check_delegate(coldkey: &AccountId, hotkey: &AccountId) -> Result<(), Error<T>> {
        ensure!(Owner::<T>::contains_key(hotkey), Error::<T>::HotKeyAccountNotExists);
        ensure!(Self::owns(coldkey, hotkey), Error::<T>::NonAssociatedColdKey);
        Ok(())
    }

    /// What pool and call both check of an increase.
    ///
    /// # Errors
    /// By the public names.
    pub fn check_increase_take(coldkey: &AccountId, hotkey: &AccountId, take: u16) -> Result<(), Error<T>> {
        Self::check_delegate(coldkey, hotkey)?;
        // A hotkey that never set a take may begin with any.
        if Delegates::<T>::contains_key(hotkey) {
            ensure!(take > Delegates::<T>::get(hotkey), Error::<T>::DelegateTakeTooLow);
        }
        ensure!(take <= MaxDelegateTake::<T>::get(), Error::<T>::DelegateTakeTooHigh);
        Ok(())
    }

    /// What pool and call both check of a decrease.
    ///
    /// # Errors
    /// By the public names.
    pub fn check_decrease_take(coldkey: &AccountId, hotkey: &AccountId, take: u16) -> Result<(), Error<T>> {
        Self::check_delegate(coldkey, hotkey)?;
        if Delegates::<T>::contains_key(hotkey) {
            ensure!(take < Delegates::<T>::get(hotkey), Error::<T>::DelegateTakeTooLow);
        }
        ensure!(take >= MinDelegateTake::<T>::get(), Error::<T>::DelegateTakeTooLow);
        Ok(())
    }

    pub(crate) fn do_increase_take(origin: OriginFor<T>, hotkey: AccountId, take: u16) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        Self::check_increase_take(&coldkey, &hotkey, take)?;
        let now = Self::now();
        let (last, limit) = (LastTxBlockDelegateTake::<T>::get(&hotkey), TxDelegateTakeRateLimit::<T>::get());
        ensure!(last == 0 || limit == 0 || now.saturating_sub(last) > limit, Error::<T>::DelegateTxRateLimitExceeded);
        LastTxBlockDelegateTake::<T>::insert(&hotkey, now);
        Delegates::<T>::insert(&hotkey, take);
        Self::deposit_event(Event::TakeIncreased(coldkey, hotkey, take));
        Ok(())
    }

    pub(crate) fn do_decrease_take(origin: OriginFor<T>, hotkey: AccountId, take: u16) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        Self::check_decrease_take(&coldkey, &hotkey, take)?;
        LastTxBlockDelegateTake::<T>::insert(&hotkey, Self::now());
        Delegates::<T>::insert(&hotkey, take);
        Self::deposit_event(Event::TakeDecreased(coldkey, hotkey, take));
        Ok(())
    }
}
