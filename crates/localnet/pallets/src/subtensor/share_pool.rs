//! Who owns how much of a hotkey's alpha on a subnet: coldkeys hold shares of `TotalHotkeyAlpha`, so a dividend is one addition.
//!
//! Invariant: the values of all shares never exceed `TotalHotkeyAlpha`, and no alpha is left where nobody holds a share.

use super::*;
use sp_core::U256;

impl<T: Config> Pallet<T> {
    /// Alpha (TAO on root) that a coldkey holds at a hotkey, rao.
    pub fn stake_of(hotkey: &AccountId, coldkey: &AccountId, netuid: NetUid) -> u64 {
        let shares = Alpha::<T>::get((hotkey, coldkey, netuid)).bits;
        let all = TotalHotkeyShares::<T>::get(hotkey, netuid).bits;
        value(shares, all, TotalHotkeyAlpha::<T>::get(hotkey, netuid))
    }

    /// Credits a coldkey at a hotkey.
    pub(crate) fn credit(hotkey: &AccountId, coldkey: &AccountId, netuid: NetUid, alpha: u64) {
        if alpha == 0 {
            return;
        }
        let total = TotalHotkeyAlpha::<T>::get(hotkey, netuid);
        let all = TotalHotkeyShares::<T>::get(hotkey, netuid).bits;
        let minted = if total == 0 || all == 0 {
            u128::from(alpha) << 64
        } else {
            // At most `alpha << 64`: a share is never worth less than when the pool was empty.
            let exact = U256::from(alpha) * U256::from(all) / U256::from(total);
            u128::try_from(exact).unwrap_or(u128::MAX)
        };
        TotalHotkeyAlpha::<T>::insert(hotkey, netuid, total.saturating_add(alpha));
        TotalHotkeyShares::<T>::insert(hotkey, netuid, FixedU128 { bits: all.saturating_add(minted) });
        Alpha::<T>::mutate((hotkey, coldkey, netuid), |shares| {
            shares.bits = shares.bits.saturating_add(minted);
        });
        StakingHotkeys::<T>::mutate(coldkey, |list| registration::push_unique(list, hotkey));
    }

    /// Takes `alpha` from a coldkey at a hotkey; the caller has checked that it holds as much.
    pub(crate) fn debit(hotkey: &AccountId, coldkey: &AccountId, netuid: NetUid, alpha: u64) {
        let total = TotalHotkeyAlpha::<T>::get(hotkey, netuid);
        let all = TotalHotkeyShares::<T>::get(hotkey, netuid).bits;
        let held = Alpha::<T>::get((hotkey, coldkey, netuid)).bits;
        let whole = alpha >= value(held, all, total);
        let removed = if whole || total == 0 {
            held
        } else {
            // Rounded up: who leaves pays the rounding, not who stays.
            let (quotient, rest) = (U256::from(alpha) * U256::from(all)).div_mod(U256::from(total));
            let up = if rest.is_zero() { quotient } else { quotient + 1 };
            u128::try_from(up).unwrap_or(u128::MAX).min(held)
        };
        let left = total.saturating_sub(alpha);
        if held == removed {
            Alpha::<T>::remove((hotkey, coldkey, netuid));
        } else {
            Alpha::<T>::insert((hotkey, coldkey, netuid), FixedU128 { bits: held - removed });
        }
        if all <= removed {
            TotalHotkeyShares::<T>::remove(hotkey, netuid);
            TotalHotkeyAlpha::<T>::remove(hotkey, netuid);
            // Rounding left over by those who went before is nobody's now.
            SubnetAlphaOut::<T>::mutate(netuid, |out| *out = out.saturating_sub(left));
        } else {
            TotalHotkeyShares::<T>::insert(hotkey, netuid, FixedU128 { bits: all - removed });
            TotalHotkeyAlpha::<T>::insert(hotkey, netuid, left);
        }
    }

    /// Gives a dividend to all who hold shares at a hotkey, in proportion; `false` where nobody does.
    pub(crate) fn credit_all(hotkey: &AccountId, netuid: NetUid, alpha: u64) -> bool {
        if TotalHotkeyShares::<T>::get(hotkey, netuid).bits == 0 {
            return false;
        }
        TotalHotkeyAlpha::<T>::mutate(hotkey, netuid, |total| {
            *total = total.saturating_add(alpha);
        });
        true
    }

    /// Coldkeys with shares at a hotkey on a subnet, and what they are worth.
    pub fn holders(hotkey: &AccountId, netuid: NetUid) -> Vec<(AccountId, u64)> {
        let all = TotalHotkeyShares::<T>::get(hotkey, netuid).bits;
        let total = TotalHotkeyAlpha::<T>::get(hotkey, netuid);
        Alpha::<T>::iter_prefix((hotkey,))
            .filter(|((_, on), _)| *on == netuid)
            .map(|((coldkey, _), shares)| (coldkey, value(shares.bits, all, total)))
            .collect()
    }
}

/// `total * shares / all`, rounded down.
fn value(shares: u128, all: u128, total: u64) -> u64 {
    if all == 0 {
        return 0;
    }
    let exact = U256::from(total) * U256::from(shares) / U256::from(all);
    u64::try_from(exact).unwrap_or(total).min(total)
}
