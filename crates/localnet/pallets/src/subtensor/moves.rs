//! Stake that moves: between hotkeys, coldkeys and subnets, with or without a limit on the price, and all of it at once (chain.md 1).
//!
//! Invariant: a call moves all that it says or fails; only `allow_partial` lets it move less.

use super::*;
use frame_support::traits::fungible::Mutate;
use frame_support::traits::tokens::Preservation;
use sp_core::U256;

/// Where stake lies.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub coldkey: AccountId,
    pub hotkey: AccountId,
    pub netuid: NetUid,
}

/// A price in rao and whether less than the whole may be done within it.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub price: u64,
    pub partial: bool,
}

const PER_TAO: u64 = 1_000_000_000;

impl<T: Config> Pallet<T> {
    /// Alpha that can go from one subnet to another before the relative price (of what is left to what is entered) is below `limit`.
    fn most_to_move(from: NetUid, to: NetUid, limit: u64) -> u64 {
        match (Self::is_dynamic(from), Self::is_dynamic(to)) {
            (false, false) => {
                if limit > PER_TAO {
                    0
                } else {
                    u64::MAX
                }
            }
            // TAO that buys: the limit is one over the price.
            (false, true) if limit == 0 => u64::MAX,
            (false, true) => Self::most_to_buy(to, PER_TAO.saturating_mul(PER_TAO) / limit),
            (true, false) => Self::most_to_sell(from, limit),
            (true, true) if limit == 0 => u64::MAX,
            (true, true) => {
                let [t1, t2] = [from, to].map(|n| U256::from(SubnetTAO::<T>::get(n)));
                let [a1, a2] = [from, to].map(|n| U256::from(SubnetAlphaIn::<T>::get(n)));
                let (limit, unit) = (U256::from(limit), U256::from(PER_TAO));
                let whole = (a2 * t1 * unit).saturating_sub(limit * a1 * t2);
                let divisor = limit * (t1 + t2);
                whole.checked_div(divisor).and_then(|most| u64::try_from(most).ok()).unwrap_or(0)
            }
        }
    }

    pub(crate) fn do_remove_stake_full(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        limit: Option<u64>,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin.clone())?;
        let all = Self::stake_of(&hotkey, &coldkey, netuid);
        match limit {
            Some(price) => Self::do_remove_stake_limit(origin, hotkey, netuid, all, price, false),
            None => Self::do_remove_stake(origin, hotkey, netuid, all),
        }
    }

    /// Sells all stake at a hotkey, wherever that is possible; as root stake where `into_root`, as TAO otherwise.
    pub(crate) fn do_unstake_all(origin: OriginFor<T>, hotkey: AccountId, into_root: bool) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(Owner::<T>::contains_key(&hotkey), Error::<T>::HotKeyAccountNotExists);
        let root = (!into_root).then_some(ROOT);
        let mut sum = 0u64;
        for netuid in root.into_iter().chain(Self::subnets()).filter(|n| SubtokenEnabled::<T>::get(n)) {
            let alpha = Self::stake_of(&hotkey, &coldkey, netuid);
            if alpha == 0 || Self::quote_sell(netuid, alpha) == 0 {
                continue;
            }
            let tao = Self::sell(&coldkey, netuid, alpha)?;
            Self::debit(&hotkey, &coldkey, netuid, alpha);
            sum = sum.saturating_add(tao);
            Self::deposit_event(Event::StakeRemoved(coldkey.clone(), hotkey.clone(), tao, alpha, netuid, 0));
        }
        if into_root {
            ensure!(sum >= MIN_STAKE, Error::<T>::AmountTooLow);
            let alpha = Self::buy(&coldkey, ROOT, sum)?;
            Self::credit(&hotkey, &coldkey, ROOT, alpha);
            Self::deposit_event(Event::StakeAdded(coldkey, hotkey, sum, alpha, ROOT, 0));
        }
        Ok(())
    }

    /// Moves alpha from place to place; answers its worth in TAO.
    fn transition(
        from: &Place,
        to: &Place,
        alpha: u64,
        limit: Option<Limit>,
        transfer: bool,
    ) -> Result<u64, DispatchError> {
        ensure!(from != to, Error::<T>::SameNetuid);
        for place in [from, to] {
            ensure!(Self::exists(place.netuid), Error::<T>::SubnetNotExists);
            ensure!(SubtokenEnabled::<T>::get(place.netuid), Error::<T>::SubtokenDisabled);
            ensure!(Owner::<T>::contains_key(&place.hotkey), Error::<T>::HotKeyAccountNotExists);
        }
        let across = from.netuid != to.netuid;
        let amount = match limit.filter(|_| across) {
            Some(limit) => Self::filled(alpha, Self::most_to_move(from.netuid, to.netuid, limit.price), limit.partial)?,
            None => alpha,
        };
        let held = Self::stake_of(&from.hotkey, &from.coldkey, from.netuid);
        ensure!(amount > 0 && amount <= held, Error::<T>::NotEnoughStakeToWithdraw);
        ensure!(Self::quote_sell(from.netuid, amount) >= MIN_STAKE, Error::<T>::AmountTooLow);
        if transfer {
            let allowed = [from, to].iter().all(|place| TransferToggle::<T>::get(place.netuid));
            ensure!(allowed, Error::<T>::TransferDisallowed);
        }
        if !across {
            let worth = Self::quote_sell(from.netuid, amount);
            Self::debit(&from.hotkey, &from.coldkey, from.netuid, amount);
            Self::credit(&to.hotkey, &to.coldkey, to.netuid, amount);
            return Ok(worth);
        }
        let tao = Self::sell(&from.coldkey, from.netuid, amount)?;
        Self::debit(&from.hotkey, &from.coldkey, from.netuid, amount);
        Self::deposit_event(Event::StakeRemoved(
            from.coldkey.clone(),
            from.hotkey.clone(),
            tao,
            amount,
            from.netuid,
            0,
        ));
        if from.coldkey != to.coldkey {
            T::Currency::transfer(&from.coldkey, &to.coldkey, tao, Preservation::Expendable)?;
        }
        let bought = Self::buy(&to.coldkey, to.netuid, tao)?;
        Self::credit(&to.hotkey, &to.coldkey, to.netuid, bought);
        Self::deposit_event(Event::StakeAdded(to.coldkey.clone(), to.hotkey.clone(), tao, bought, to.netuid, 0));
        Ok(tao)
    }

    pub(crate) fn do_move_stake(
        origin: OriginFor<T>,
        hotkeys: (AccountId, AccountId),
        netuids: (NetUid, NetUid),
        alpha: u64,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let from = Place { coldkey: coldkey.clone(), hotkey: hotkeys.0, netuid: netuids.0 };
        let to = Place { coldkey: coldkey.clone(), hotkey: hotkeys.1, netuid: netuids.1 };
        let tao = Self::transition(&from, &to, alpha, None, false)?;
        Self::deposit_event(Event::StakeMoved(coldkey, from.hotkey, from.netuid, to.hotkey, to.netuid, tao));
        Ok(())
    }

    pub(crate) fn do_transfer_stake(
        origin: OriginFor<T>,
        destination: AccountId,
        hotkey: AccountId,
        netuids: (NetUid, NetUid),
        alpha: u64,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let from = Place { coldkey: coldkey.clone(), hotkey: hotkey.clone(), netuid: netuids.0 };
        let to = Place { coldkey: destination.clone(), hotkey: hotkey.clone(), netuid: netuids.1 };
        let tao = Self::transition(&from, &to, alpha, None, true)?;
        Self::deposit_event(Event::StakeTransferred(coldkey, destination, hotkey, netuids.0, netuids.1, tao));
        Ok(())
    }

    pub(crate) fn do_swap_stake(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuids: (NetUid, NetUid),
        alpha: u64,
        limit: Option<Limit>,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let from = Place { coldkey: coldkey.clone(), hotkey: hotkey.clone(), netuid: netuids.0 };
        let to = Place { netuid: netuids.1, ..from.clone() };
        let tao = Self::transition(&from, &to, alpha, limit, false)?;
        Self::deposit_event(Event::StakeSwapped(coldkey, hotkey, netuids.0, netuids.1, tao));
        Ok(())
    }
}
