//! A hotkey gives its place to another of the same coldkey, on one subnet or everywhere (chain.md 1, 9).
//!
//! Invariant: uid, endpoints, weights commits, children, parents and (unless it is kept) stake are the new hotkey's afterwards, and
//! nothing of them is the old one's.

use super::*;
use frame_support::traits::fungible::Mutate;
use frame_support::traits::tokens::{Fortitude, Precision, Preservation};

/// Price of a swap everywhere and of one on one subnet, rao; it is recycled.
const EVERYWHERE_COST: u64 = 100_000_000;
const SUBNET_COST: u64 = 1_000_000;

impl<T: Config> Pallet<T> {
    pub(crate) fn do_swap_hotkey(
        origin: OriginFor<T>,
        old: AccountId,
        new: AccountId,
        netuid: Option<NetUid>,
        keep_stake: bool,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(netuid.is_none_or(Self::exists), Error::<T>::SubnetNotExists);
        ensure!(Self::owns(&coldkey, &old), Error::<T>::NonAssociatedColdKey);
        ensure!(Self::free_or_owned(&coldkey, &new), Error::<T>::NonAssociatedColdKey);
        ensure!(old != new, Error::<T>::NewHotKeyIsSameWithOld);
        let now = Self::now();
        let (last, limit) = (LastTxBlock::<T>::get(&coldkey), TxRateLimit::<T>::get());
        ensure!(last == 0 || limit == 0 || now.saturating_sub(last) > limit, Error::<T>::HotKeySetTxRateLimitExceeded);
        let networks = Self::networks();
        let wanted = |n: &NetUid| netuid.is_none_or(|only| only == *n);
        let taken = networks.iter().filter(|n| wanted(n)).any(|n| Uids::<T>::contains_key(n, &new));
        ensure!(!taken, Error::<T>::HotKeyAlreadyRegisteredInSubNet);
        ensure!(
            !wanted(&ROOT) || TotalHotkeyAlpha::<T>::get(&new, ROOT) == 0,
            Error::<T>::NewHotKeyNotCleanForRootSwap
        );
        // Everywhere means: where it has a place or children. Being somebody's child is not of its own doing.
        let places: Vec<NetUid> = networks
            .iter()
            .copied()
            .filter(|n| {
                netuid == Some(*n)
                    || netuid.is_none() && (Uids::<T>::contains_key(n, &old) || ChildKeys::<T>::contains_key(&old, n))
            })
            .collect();
        let interval = HotkeySwapOnSubnetInterval::<T>::get();
        let waited = places.iter().all(|n| {
            let last = LastHotkeySwapOnNetuid::<T>::get(n, &coldkey);
            last == 0 || last.saturating_add(interval) < now
        });
        ensure!(waited, Error::<T>::HotKeySwapOnSubnetIntervalNotPassed);
        let cost = if netuid.is_some() { SUBNET_COST } else { EVERYWHERE_COST };
        ensure!(Self::free_balance(&coldkey) >= cost, Error::<T>::NotEnoughBalanceToPaySwapHotKey);
        T::Currency::burn_from(&coldkey, cost, Preservation::Expendable, Precision::Exact, Fortitude::Polite)?;

        LastTxBlock::<T>::insert(&coldkey, now);
        Self::associate(&coldkey, &new);
        for n in networks.iter().copied().filter(|n| wanted(n)) {
            Self::swap_on(n, &old, &new, keep_stake);
        }
        for n in places {
            LastHotkeySwapOnNetuid::<T>::insert(n, &coldkey, now);
        }
        match netuid {
            Some(netuid) => {
                Self::deposit_event(Event::HotkeySwappedOnSubnet { coldkey, old_hotkey: old, new_hotkey: new, netuid })
            }
            None => {
                if Delegates::<T>::contains_key(&old) {
                    Delegates::<T>::insert(&new, Delegates::<T>::take(&old));
                }
                LastTxBlockDelegateTake::<T>::insert(&new, LastTxBlockDelegateTake::<T>::take(&old));
                if !keep_stake {
                    // Nothing is left that needs the old one's owner.
                    Owner::<T>::remove(&old);
                    OwnedHotkeys::<T>::mutate(&coldkey, |list| list.retain(|hotkey| *hotkey != old));
                }
                Self::deposit_event(Event::HotkeySwapped { coldkey, old_hotkey: old, new_hotkey: new });
            }
        }
        Ok(())
    }

    fn swap_on(netuid: NetUid, old: &AccountId, new: &AccountId, keep_stake: bool) {
        if let Some(uid) = Uids::<T>::take(netuid, old) {
            Uids::<T>::insert(netuid, new, uid);
            Keys::<T>::insert(netuid, uid, new);
            IsNetworkMember::<T>::remove(old, netuid);
            IsNetworkMember::<T>::insert(new, netuid, true);
        }
        macro_rules! hand_over {
            ($($item:ident),*) => {$(
                if let Some(value) = $item::<T>::take(netuid, old) {
                    $item::<T>::insert(netuid, new, value);
                }
            )*};
        }
        hand_over!(Axons, Prometheus, NeuronCertificates);
        for index in Self::mechanism_indices(netuid) {
            if let Some(commits) = WeightCommits::<T>::take(index, old) {
                WeightCommits::<T>::insert(index, new, commits);
            }
        }
        if SubnetOwnerHotkey::<T>::get(netuid) == *old {
            SubnetOwnerHotkey::<T>::insert(netuid, new);
        }
        macro_rules! hand_over_amount {
            ($($item:ident),*) => {$(
                let amount = $item::<T>::take(netuid, old);
                if amount > 0 {
                    $item::<T>::insert(netuid, new, amount);
                }
            )*};
        }
        hand_over_amount!(AlphaDividendsPerSubnet, RootAlphaDividendsPerSubnet);
        Self::swap_relations(netuid, old, new);
        if !keep_stake {
            for (coldkey, alpha) in Self::holders(old, netuid) {
                Self::debit(old, &coldkey, netuid, alpha);
                Self::credit(new, &coldkey, netuid, alpha);
                if !Self::stakes_anywhere(old, &coldkey) && !Self::owns(&coldkey, old) {
                    StakingHotkeys::<T>::mutate(&coldkey, |list| list.retain(|hotkey| hotkey != old));
                }
            }
        }
    }

    fn stakes_anywhere(hotkey: &AccountId, coldkey: &AccountId) -> bool {
        Self::networks().into_iter().any(|netuid| Self::stake_of(hotkey, coldkey, netuid) > 0)
    }

    /// Children and parents, those to come too, know the new hotkey.
    fn swap_relations(netuid: NetUid, old: &AccountId, new: &AccountId) {
        if ChildkeyTake::<T>::contains_key(old, netuid) {
            ChildkeyTake::<T>::insert(new, netuid, ChildkeyTake::<T>::take(old, netuid));
        }
        // The new one itself among them would be a loop: it drops out.
        let children: Vec<(u64, AccountId)> =
            ChildKeys::<T>::get(old, netuid).into_iter().filter(|(_, child)| child != new).collect();
        Self::link_children(netuid, old, &[]);
        if !children.is_empty() {
            Self::link_children(netuid, new, &children);
        }
        for (_, parent) in ParentKeys::<T>::get(old, netuid) {
            let children: Vec<(u64, AccountId)> = ChildKeys::<T>::get(&parent, netuid)
                .into_iter()
                .map(|(p, child)| (p, if child == *old { new.clone() } else { child }))
                .filter(|(_, child)| *child != parent)
                .collect();
            Self::link_children(netuid, &parent, &children);
        }
        if PendingChildKeys::<T>::contains_key(netuid, old) {
            PendingChildKeys::<T>::insert(netuid, new, PendingChildKeys::<T>::take(netuid, old));
        }
    }
}
