//! Child hotkeys: a parent lends shares of its stake's weight on a subnet to others (chain.md 6.2, 6.11, 9).
//!
//! Invariant: `ChildKeys` and `ParentKeys` mirror each other, a parent's shares sum to at most one, and nobody is a parent and a child
//! of the same hotkey. The stake itself never moves.

use super::*;
use fixed::types::U96F32;

/// Children of one hotkey on one subnet.
const MOST_CHILDREN: usize = 5;
/// Blocks between two settings of the same hotkey's children.
const SET_CHILDREN_INTERVAL: u64 = 150;
/// Kinds of `TransactionKeyLastBlock`.
const SET_CHILDREN: u16 = 0;
const SET_CHILDKEY_TAKE: u16 = 1;

/// `p / u64::MAX`.
fn proportion(p: u64) -> U96F32 {
    U96F32::from_num(p).checked_div(U96F32::from_num(u64::MAX)).unwrap_or_default()
}

impl<T: Config> Pallet<T> {
    /// Alpha and root TAO that a hotkey weighs with on a subnet, rao: its own without what its children there have of it, and with what
    /// its parents lend it. The TAO is not yet multiplied by its weight.
    pub fn inherited_stake(hotkey: &AccountId, netuid: NetUid) -> (u64, u64) {
        if netuid == ROOT {
            return (TotalHotkeyAlpha::<T>::get(hotkey, ROOT), 0);
        }
        let (children, parents) = (ChildKeys::<T>::get(hotkey, netuid), ParentKeys::<T>::get(hotkey, netuid));
        let part = |whole: U96F32, p: u64| whole.saturating_mul(proportion(p));
        let inherited = |of: NetUid| -> u64 {
            let own = TotalHotkeyAlpha::<T>::get(hotkey, of);
            if children.is_empty() && parents.is_empty() {
                return own;
            }
            let own = U96F32::from_num(own);
            let lent = children.iter().fold(U96F32::ZERO, |sum, (p, _)| sum.saturating_add(part(own, *p)));
            let borrowed = parents.iter().fold(U96F32::ZERO, |sum, (p, parent)| {
                sum.saturating_add(part(U96F32::from_num(TotalHotkeyAlpha::<T>::get(parent, of)), *p))
            });
            own.saturating_sub(lent).saturating_add(borrowed).saturating_to_num()
        };
        (inherited(netuid), inherited(ROOT))
    }

    /// Whether a hotkey may have these children.
    fn check_children(hotkey: &AccountId, netuid: NetUid, children: &[(u64, AccountId)]) -> DispatchResult {
        ensure!(children.iter().all(|(_, child)| child != hotkey), Error::<T>::InvalidChild);
        ensure!(children.len() <= MOST_CHILDREN, Error::<T>::TooManyChildren);
        let sum: u128 = children.iter().map(|(p, _)| u128::from(*p)).sum();
        ensure!(sum <= u128::from(u64::MAX), Error::<T>::ProportionOverflow);
        let parents = ParentKeys::<T>::get(hotkey, netuid);
        let both = children.iter().any(|(_, child)| parents.iter().any(|(_, parent)| parent == child));
        ensure!(!both, Error::<T>::ChildParentInconsistency);
        Ok(())
    }

    /// `TxRateLimitExceeded`'s clock of a hotkey on a subnet.
    fn waited(hotkey: &AccountId, netuid: NetUid, kind: u16, limit: u64) -> bool {
        let last = TransactionKeyLastBlock::<T>::get((hotkey, netuid, kind));
        last == 0 || Self::now().saturating_sub(last) >= limit
    }

    pub(crate) fn do_set_children(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        children: Vec<(u64, AccountId)>,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(Self::waited(&hotkey, netuid, SET_CHILDREN, SET_CHILDREN_INTERVAL), Error::<T>::TxRateLimitExceeded);
        ensure!(netuid != ROOT, Error::<T>::RegistrationNotPermittedOnRootSubnet);
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(Self::owns(&coldkey, &hotkey), Error::<T>::NonAssociatedColdKey);
        let mut unique: Vec<&AccountId> = children.iter().map(|(_, child)| child).collect();
        unique.sort_unstable();
        unique.dedup();
        ensure!(unique.len() == children.len(), Error::<T>::DuplicateChild);
        Self::check_children(&hotkey, netuid, &children)?;
        ensure!(
            children.is_empty()
                || Self::stake_everywhere(&hotkey) >= StakeThreshold::<T>::get()
                || SubnetOwnerHotkey::<T>::get(netuid) == hotkey,
            Error::<T>::NotEnoughStakeToSetChildkeys
        );
        let now = Self::now();
        TransactionKeyLastBlock::<T>::insert((&hotkey, netuid, SET_CHILDREN), now);
        if !SubtokenEnabled::<T>::get(netuid) {
            Self::apply_children(netuid, &hotkey, children);
            return Ok(());
        }
        let due = now.saturating_add(PendingChildKeyCooldown::<T>::get());
        PendingChildKeys::<T>::insert(netuid, &hotkey, (&children, due));
        Self::deposit_event(Event::SetChildrenScheduled(hotkey, netuid, due, children));
        Ok(())
    }

    /// Stake of a hotkey on all subnets, in TAO at today's prices.
    fn stake_everywhere(hotkey: &AccountId) -> u64 {
        let value = |netuid| {
            let alpha = TotalHotkeyAlpha::<T>::get(hotkey, netuid);
            let tao = Self::alpha_price(netuid).saturating_mul(fixed::types::I96F32::saturating_from_num(alpha));
            tao.saturating_to_num::<u64>()
        };
        std::iter::once(ROOT).chain(Self::subnets()).map(value).fold(0, u64::saturating_add)
    }

    /// At a subnet's epoch: children whose cooldown is over.
    pub(crate) fn apply_pending_children(netuid: NetUid, now: u64) {
        let started = SubtokenEnabled::<T>::get(netuid);
        let due: Vec<(AccountId, Vec<(u64, AccountId)>)> = PendingChildKeys::<T>::iter_prefix(netuid)
            .filter(|(_, (_, block))| *block < now || !started)
            .map(|(hotkey, (children, _))| (hotkey, children))
            .collect();
        for (hotkey, children) in due {
            PendingChildKeys::<T>::remove(netuid, &hotkey);
            // Relations may have changed since it was asked for: then it is dropped without a word, as on the public chain.
            if Self::check_children(&hotkey, netuid, &children).is_ok() {
                Self::apply_children(netuid, &hotkey, children);
            }
        }
    }

    fn apply_children(netuid: NetUid, hotkey: &AccountId, children: Vec<(u64, AccountId)>) {
        Self::link_children(netuid, hotkey, &children);
        Self::deposit_event(Event::SetChildren(hotkey.clone(), netuid, children));
    }

    /// Replaces a hotkey's children, both sides.
    pub(crate) fn link_children(netuid: NetUid, hotkey: &AccountId, children: &[(u64, AccountId)]) {
        for (_, child) in ChildKeys::<T>::take(hotkey, netuid) {
            let mut parents = ParentKeys::<T>::get(&child, netuid);
            parents.retain(|(_, parent)| parent != hotkey);
            Self::write_parents(&child, netuid, parents);
        }
        for (p, child) in children {
            let mut parents = ParentKeys::<T>::get(child, netuid);
            parents.push((*p, hotkey.clone()));
            Self::write_parents(child, netuid, parents);
        }
        if !children.is_empty() {
            ChildKeys::<T>::insert(hotkey, netuid, children.to_vec());
        }
    }

    fn write_parents(child: &AccountId, netuid: NetUid, parents: Vec<(u64, AccountId)>) {
        if parents.is_empty() {
            ParentKeys::<T>::remove(child, netuid);
        } else {
            ParentKeys::<T>::insert(child, netuid, parents);
        }
    }

    /// The part that a hotkey keeps of what it earns with other coldkeys' stake, /65535.
    pub fn childkey_take(hotkey: &AccountId, netuid: NetUid) -> u16 {
        ChildkeyTake::<T>::get(hotkey, netuid).max(MinChildkeyTake::<T>::get())
    }

    pub(crate) fn do_set_childkey_take(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        take: u16,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(Self::owns(&coldkey, &hotkey), Error::<T>::NonAssociatedColdKey);
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(
            (MinChildkeyTake::<T>::get()..=MaxChildkeyTake::<T>::get()).contains(&take),
            Error::<T>::InvalidChildkeyTake
        );
        // Less may be taken at any time.
        ensure!(
            take <= Self::childkey_take(&hotkey, netuid)
                || Self::waited(&hotkey, netuid, SET_CHILDKEY_TAKE, TxChildkeyTakeRateLimit::<T>::get()),
            Error::<T>::TxChildkeyTakeRateLimitExceeded
        );
        TransactionKeyLastBlock::<T>::insert((&hotkey, netuid, SET_CHILDKEY_TAKE), Self::now());
        ChildkeyTake::<T>::insert(&hotkey, netuid, take);
        Self::deposit_event(Event::ChildKeyTakeSet(hotkey, take));
        Ok(())
    }

    /// How a hotkey's dividend is divided between its parents, by what each contributed to its weight, and itself. Of a part that
    /// another coldkey's parent earns it keeps its take.
    pub(crate) fn split_dividend(hotkey: &AccountId, netuid: NetUid, dividend: u64) -> Vec<(AccountId, u64)> {
        let parents = ParentKeys::<T>::get(hotkey, netuid);
        if parents.is_empty() {
            return vec![(hotkey.clone(), dividend)];
        }
        let tao_weight = proportion(TaoWeight::<T>::get());
        let weighs = |who: &AccountId, p: U96F32| {
            let alpha = U96F32::from_num(TotalHotkeyAlpha::<T>::get(who, netuid)).saturating_mul(p);
            let root = U96F32::from_num(TotalHotkeyAlpha::<T>::get(who, ROOT)).saturating_mul(p);
            alpha.saturating_add(root.saturating_mul(tao_weight))
        };
        let lent = ChildKeys::<T>::get(hotkey, netuid)
            .iter()
            .fold(U96F32::ZERO, |sum, (p, _)| sum.saturating_add(proportion(*p)));
        let own = weighs(hotkey, U96F32::from_num(1).saturating_sub(lent));
        let shares: Vec<(AccountId, U96F32)> =
            parents.into_iter().map(|(p, parent)| (parent.clone(), weighs(&parent, proportion(p)))).collect();
        let whole = shares.iter().fold(own, |sum, (_, share)| sum.saturating_add(*share));
        let take = U96F32::from_num(Self::childkey_take(hotkey, netuid))
            .checked_div(U96F32::from_num(u16::MAX))
            .unwrap_or_default();
        let owner = Owner::<T>::get(hotkey);
        let dividend = U96F32::from_num(dividend);
        let (mut parts, mut left, mut taken) = (Vec::new(), dividend, U96F32::ZERO);
        for (parent, share) in shares {
            let mut part = dividend.saturating_mul(share.checked_div(whole).unwrap_or_default());
            left = left.saturating_sub(part);
            if Owner::<T>::get(&parent) != owner {
                let kept = part.saturating_mul(take);
                part = part.saturating_sub(kept);
                taken = taken.saturating_add(kept);
            }
            parts.push((parent, part.saturating_to_num()));
        }
        parts.push((hotkey.clone(), left.saturating_add(taken).saturating_to_num()));
        parts
    }
}
