//! Pays an epoch's emission (chain.md 6.11): the owner's cut, miners by incentive, validators and their nominators by dividends.
//!
//! Invariant: what the pendings held is either credited as alpha or taken out of `SubnetAlphaOut`; nothing is paid twice.

use super::pool::share;
use super::*;
use std::collections::BTreeMap;

impl<T: Config> Pallet<T> {
    /// `servers` are the miners' parts by mechanism and uid, `mined` whether anybody mined, `dividends` the validators' parts by uid.
    pub(crate) fn pay_epoch(netuid: NetUid, servers: &[(NetUidStorageIndex, &[u64])], mined: bool, dividends: &[u64]) {
        let mut server = PendingServerEmission::<T>::take(netuid);
        let mut validators = PendingValidatorEmission::<T>::take(netuid);
        let root = PendingRootAlphaDivs::<T>::take(netuid);
        let cut = PendingOwnerCut::<T>::take(netuid);
        let due = server.saturating_add(validators).saturating_add(root).saturating_add(cut);

        let owner_hotkey = SubnetOwnerHotkey::<T>::get(netuid);
        let owner = SubnetOwner::<T>::get(netuid);
        let mut paid = 0u64;
        if cut > 0 && Owner::<T>::contains_key(&owner_hotkey) {
            Self::credit(&owner_hotkey, &owner, netuid, cut);
            paid = paid.saturating_add(cut);
        }

        let hotkeys: Vec<AccountId> =
            (0..SubnetworkN::<T>::get(netuid)).map(|uid| Keys::<T>::get(netuid, uid)).collect();
        if !mined {
            // Nobody mined: validators take the miners' part too.
            validators = validators.saturating_add(std::mem::take(&mut server));
        }
        // Yuma has split the whole emission; where nobody earns dividends that is all of it, so the budget is not the server half.
        let mut budget = server.saturating_add(validators).saturating_add(root);
        for (index, server) in servers {
            let mut emissions = vec![0; hotkeys.len()];
            for ((hotkey, due), emission) in hotkeys.iter().zip(*server).zip(&mut emissions) {
                let amount = (*due).min(budget);
                // The subnet owner does not mine for itself: its part is recycled.
                if amount > 0 && *hotkey != owner_hotkey {
                    Self::credit(hotkey, &Owner::<T>::get(hotkey), netuid, amount);
                    *emission = amount;
                    paid = paid.saturating_add(amount);
                }
                budget = budget.saturating_sub(amount);
            }
            Self::deposit_event(Event::IncentiveAlphaEmittedToMiners { netuid: *index, emissions });
        }
        let root = root.min(budget);
        let validators = validators.min(budget.saturating_sub(root));
        paid = paid.saturating_add(Self::pay_validators(netuid, &hotkeys, dividends, validators, root));

        let unpaid = due.saturating_sub(paid);
        SubnetAlphaOut::<T>::mutate(netuid, |out| *out = out.saturating_sub(unpaid));
    }

    /// Splits `alpha` by each validator's alpha part and `root` by its root part; answers what was credited.
    fn pay_validators(netuid: NetUid, hotkeys: &[AccountId], dividends: &[u64], alpha: u64, root: u64) -> u64 {
        // Parents take part in what their children earned.
        let mut earned: BTreeMap<AccountId, u64> = BTreeMap::new();
        for (hotkey, dividend) in hotkeys.iter().zip(dividends).filter(|(_, d)| **d > 0) {
            for (who, part) in Self::split_dividend(hotkey, netuid, *dividend) {
                let sum = earned.entry(who).or_default();
                *sum = sum.saturating_add(part);
            }
        }
        let mut parts: Vec<(&AccountId, u64, u64)> = Vec::new();
        for (hotkey, dividend) in earned.iter().filter(|(_, d)| **d > 0) {
            let (own, tao) = Self::stake_parts(hotkey, netuid);
            let whole = u128::from(own) + u128::from(tao);
            let by_root = share(*dividend, tao, whole);
            parts.push((hotkey, dividend.saturating_sub(by_root), by_root));
        }
        let by_alpha: u128 = parts.iter().map(|p| u128::from(p.1)).sum();
        let by_root: u128 = parts.iter().map(|p| u128::from(p.2)).sum();
        // A part that nobody has a claim on goes to those who have one.
        let (alpha, root) = match (by_alpha, by_root) {
            (0, 0) => return 0,
            (0, _) => (0, root.saturating_add(alpha)),
            (_, 0) => (alpha.saturating_add(root), 0),
            _ => (alpha, root),
        };
        let mut paid = 0u64;
        for (hotkey, own, tao) in parts {
            let coldkey = Owner::<T>::get(hotkey);
            let take = u64::from(Delegates::<T>::get(hotkey));
            let (alpha, root) = (share(alpha, own, by_alpha), share(root, tao, by_root));
            for (amount, from_root) in [(alpha, false), (root, true)] {
                if amount == 0 {
                    continue;
                }
                let kept = share(amount, take, u128::from(u16::MAX));
                let rest = amount.saturating_sub(kept);
                // Nominators first: the owner's take must not change their shares' part.
                if from_root {
                    Self::pay_root_stakers(hotkey, netuid, rest);
                    RootAlphaDividendsPerSubnet::<T>::insert(netuid, hotkey, rest);
                } else {
                    if !Self::credit_all(hotkey, netuid, rest) {
                        Self::credit(hotkey, &coldkey, netuid, rest);
                    }
                    AlphaDividendsPerSubnet::<T>::insert(netuid, hotkey, rest);
                }
                Self::credit(hotkey, &coldkey, netuid, kept);
                paid = paid.saturating_add(amount);
            }
        }
        paid
    }

    /// Root stake earns alpha at the hotkey, in proportion; rounding goes to the hotkey's owner.
    fn pay_root_stakers(hotkey: &AccountId, netuid: NetUid, amount: u64) {
        let holders = Self::holders(hotkey, ROOT);
        let whole: u128 = holders.iter().map(|(_, v)| u128::from(*v)).sum();
        let mut left = amount;
        for (coldkey, value) in holders {
            let part = share(amount, value, whole);
            Self::credit(hotkey, &coldkey, netuid, part);
            left = left.saturating_sub(part);
        }
        Self::credit(hotkey, &Owner::<T>::get(hotkey), netuid, left);
    }
}
