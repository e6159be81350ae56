//! Stake: adding, removing, and the weight that a hotkey's stake has in consensus (chain.md 4.2, 6.2).

use super::*;

/// Least TAO of one staking operation, rao.
pub const MIN_STAKE: u64 = 2_000_000;

impl<T: Config> Pallet<T> {
    /// Inherited alpha and root TAO times `TaoWeight / u64::MAX`, rao: what a hotkey weighs in consensus.
    pub fn total_stake_weight(hotkey: &AccountId, netuid: NetUid) -> u64 {
        if netuid == ROOT {
            return TotalHotkeyAlpha::<T>::get(hotkey, ROOT);
        }
        let (alpha, tao) = Self::inherited_stake(hotkey, netuid);
        alpha.saturating_add(Self::weighted_tao(tao))
    }

    /// A hotkey's own alpha on the subnet, and its own root TAO already multiplied by its weight.
    pub fn stake_parts(hotkey: &AccountId, netuid: NetUid) -> (u64, u64) {
        let alpha = TotalHotkeyAlpha::<T>::get(hotkey, netuid);
        if netuid == ROOT {
            return (0, alpha);
        }
        let root = TotalHotkeyAlpha::<T>::get(hotkey, ROOT);
        (alpha, Self::weighted_tao(root))
    }

    /// Root TAO times `TaoWeight`, rounded down.
    pub fn weighted_tao(tao: u64) -> u64 {
        pool::share(tao, TaoWeight::<T>::get(), u128::from(u64::MAX))
    }

    fn ensure_stakeable(hotkey: &AccountId, netuid: NetUid) -> DispatchResult {
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(SubtokenEnabled::<T>::get(netuid), Error::<T>::SubtokenDisabled);
        ensure!(Owner::<T>::contains_key(hotkey), Error::<T>::HotKeyAccountNotExists);
        Ok(())
    }

    pub(crate) fn do_add_stake(origin: OriginFor<T>, hotkey: AccountId, netuid: NetUid, tao: u64) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        Self::ensure_stakeable(&hotkey, netuid)?;
        ensure!(tao >= MIN_STAKE, Error::<T>::AmountTooLow);
        ensure!(Self::free_balance(&coldkey) >= tao, Error::<T>::NotEnoughBalanceToStake);
        let alpha = Self::buy(&coldkey, netuid, tao)?;
        Self::credit(&hotkey, &coldkey, netuid, alpha);
        Self::deposit_event(Event::StakeAdded(coldkey, hotkey, tao, alpha, netuid, 0));
        Ok(())
    }

    pub(crate) fn do_remove_stake(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        alpha: u64,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        Self::ensure_stakeable(&hotkey, netuid)?;
        let held = Self::stake_of(&hotkey, &coldkey, netuid);
        ensure!(alpha > 0 && alpha <= held, Error::<T>::NotEnoughStakeToWithdraw);
        // The whole remainder may always leave, however small.
        ensure!(alpha == held || Self::quote_sell(netuid, alpha) >= MIN_STAKE, Error::<T>::AmountTooLow);
        let tao = Self::sell(&coldkey, netuid, alpha)?;
        Self::debit(&hotkey, &coldkey, netuid, alpha);
        Self::deposit_event(Event::StakeRemoved(coldkey, hotkey, tao, alpha, netuid, 0));
        Ok(())
    }
}
