//! Stake with price limits, and stake that moves (chain.md 1).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event},
    types::{NetUid, ROOT},
};

use super::support::*;

type E = Error<Test>;

fn stake(hot: u8, cold: u8, netuid: NetUid) -> u64 {
    Subtensor::stake_of(&hotkey(hot), &account(cold), netuid)
}

fn price(netuid: NetUid) -> u64 {
    Subtensor::alpha_price_rao(netuid)
}

/// Coldkey 2 with 100 TAO of alpha at hotkey 2; hotkey 3 and a second subnet, started, exist.
fn staked(test: impl FnOnce()) {
    open(|| {
        register(2);
        register(3);
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 100 * TAO));
        assert_ok!(Subtensor::register_network(signed(&account(9)), hotkey(9)));
        assert_ok!(Subtensor::start_call(signed(&account(9)), 2));
        test();
    });
}

fn assert_pools_are_backed() {
    for netuid in [ROOT, NET, 2] {
        let held = Balances::free_balance(Subtensor::subnet_account(netuid));
        assert_eq!(held, s::SubnetTAO::<Test>::get(netuid) + 500, "subnet {netuid}");
    }
    let staked: u64 = s::TotalHotkeyAlpha::<Test>::iter().filter(|(_, n, _)| *n == NET).map(|(.., a)| a).sum();
    assert!(staked <= s::SubnetAlphaOut::<Test>::get(NET));
}

#[test]
fn a_buyer_s_limit_is_the_price_after_the_trade() {
    staked(|| {
        let limit = price(NET) / 100 * 105;
        let most = Subtensor::most_to_buy(NET, limit);
        let call = |tao, partial| Subtensor::add_stake_limit(signed(&account(2)), hotkey(2), NET, tao, limit, partial);
        assert_noop!(call(most + TAO, false), E::SlippageTooHigh);
        let before = (stake(2, 2, NET), Balances::free_balance(account(2)));
        assert_ok!(call(most + TAO, true));
        assert_eq!(Balances::free_balance(account(2)), before.1 - most, "as much as the limit allows, and no more");
        assert!(stake(2, 2, NET) > before.0);
        assert!(price(NET).abs_diff(limit) <= 2, "{} {limit}", price(NET));
        let late = Subtensor::add_stake_limit(signed(&account(2)), hotkey(2), NET, TAO, limit - 1_000, true);
        assert_eq!(late, Err(E::ZeroMaxStakeAmount.into()));
        // Root is one to one: a limit below one TAO allows nothing.
        let root = |limit| Subtensor::add_stake_limit(signed(&account(2)), hotkey(2), ROOT, TAO, limit, false);
        assert_noop!(root(TAO - 1), E::ZeroMaxStakeAmount);
        assert_ok!(root(TAO));
        assert_noop!(
            Subtensor::add_stake_limit(signed(&account(2)), hotkey(2), 77, TAO, TAO, false),
            E::SubnetNotExists
        );
        assert_pools_are_backed();
    });
}

#[test]
fn a_seller_s_limit_is_the_price_after_the_trade() {
    staked(|| {
        let limit = price(NET) / 100 * 95;
        let most = Subtensor::most_to_sell(NET, limit);
        let call =
            |alpha, partial| Subtensor::remove_stake_limit(signed(&account(2)), hotkey(2), NET, alpha, limit, partial);
        let held = stake(2, 2, NET);
        assert!(most < held);
        assert_noop!(call(held, false), E::SlippageTooHigh);
        assert_ok!(call(held, true));
        assert_eq!(stake(2, 2, NET), held - most);
        assert!(price(NET).abs_diff(limit) <= 2);
        // All of it, with and without a limit.
        let full = |limit| Subtensor::remove_stake_full_limit(signed(&account(2)), hotkey(2), NET, limit);
        assert!(full(Some(limit)).is_err());
        assert_ok!(full(Some(1)));
        assert_eq!(stake(2, 2, NET), 0);
        assert_noop!(full(None), E::NotEnoughStakeToWithdraw);
        assert_pools_are_backed();
    });
}

#[test]
fn stake_moves_to_another_hotkey_as_it_is_and_to_another_subnet_through_both_pools() {
    staked(|| {
        let held = stake(2, 2, NET);
        let call = |to, destination, alpha| {
            Subtensor::move_stake(signed(&account(2)), hotkey(2), hotkey(to), NET, destination, alpha)
        };
        assert_ok!(call(3, NET, held / 2));
        assert!(stake(3, 2, NET).abs_diff(held / 2) <= 1, "no trade, no slippage");
        let event = |event: &Event<Test>| {
            matches!(event, Event::StakeMoved(cold, from, NET, to, NET, tao)
                if *cold == account(2) && *from == hotkey(2) && *to == hotkey(3) && *tao > 0)
        };
        assert!(events().iter().any(event));
        let (sold, before) = (s::SubnetTAO::<Test>::get(NET), s::SubnetTAO::<Test>::get(2));
        assert_ok!(call(3, 2, held / 4));
        let tao = sold - s::SubnetTAO::<Test>::get(NET);
        assert_eq!(s::SubnetTAO::<Test>::get(2), before + tao, "what one pool paid the other got");
        assert!(stake(3, 2, 2) > 0);
        assert_noop!(call(2, NET, TAO), E::SameNetuid);
        assert_noop!(call(3, 77, TAO), E::SubnetNotExists);
        assert_noop!(call(3, NET, held), E::NotEnoughStakeToWithdraw);
        assert_noop!(call(3, NET, 1_000), E::AmountTooLow);
        assert_noop!(call(99, NET, TAO), E::HotKeyAccountNotExists);
        s::SubtokenEnabled::<Test>::insert(2, false);
        assert_noop!(call(3, 2, TAO), E::SubtokenDisabled);
        assert_pools_are_backed();
    });
}

#[test]
fn stake_is_given_to_another_coldkey_where_the_subnet_lets_it() {
    staked(|| {
        let (held, balances) = (stake(2, 2, NET), [2, 5].map(|byte| Balances::free_balance(account(byte))));
        let call = |destination, alpha| {
            Subtensor::transfer_stake(signed(&account(2)), account(5), hotkey(2), NET, destination, alpha)
        };
        assert_ok!(call(NET, held / 2));
        assert!(stake(2, 5, NET).abs_diff(held / 2) <= 1);
        assert_ok!(call(ROOT, held / 4));
        assert!(stake(2, 5, ROOT) > 0);
        assert_eq!([2, 5].map(|byte| Balances::free_balance(account(byte))), balances, "no TAO stays on the way");
        assert!(events().iter().any(|e| matches!(e, Event::StakeTransferred(from, to, _, NET, ROOT, _)
            if *from == account(2) && *to == account(5))));
        s::TransferToggle::<Test>::insert(NET, false);
        assert_noop!(call(NET, TAO), E::TransferDisallowed);
        assert_ok!(Subtensor::move_stake(signed(&account(2)), hotkey(2), hotkey(3), NET, NET, TAO));
        assert_pools_are_backed();
    });
}

#[test]
fn stake_is_swapped_between_subnets_within_a_relative_price() {
    staked(|| {
        let held = stake(2, 2, NET);
        let swap = |alpha| Subtensor::swap_stake(signed(&account(2)), hotkey(2), NET, 2, alpha);
        assert_ok!(swap(held / 10));
        assert!(events().iter().any(|e| matches!(e, Event::StakeSwapped(cold, _, NET, 2, _) if *cold == account(2))));
        let relative = || u128::from(price(NET)) * u128::from(TAO) / u128::from(price(2));
        let limited = |alpha, limit: u128, partial| {
            let limit = u64::try_from(limit).unwrap();
            Subtensor::swap_stake_limit(signed(&account(2)), hotkey(2), NET, 2, alpha, limit, partial)
        };
        let limit = relative() * 97 / 100;
        assert_noop!(limited(stake(2, 2, NET), limit, false), E::SlippageTooHigh);
        assert_noop!(limited(TAO, relative() * 2, true), E::ZeroMaxStakeAmount);
        let before = stake(2, 2, NET);
        assert_ok!(limited(before, limit, true));
        let sold = before - stake(2, 2, NET);
        assert!(sold > 0 && sold < before);
        // The public formula: the average rate of the swap is the limit.
        assert!(relative() < limit * 101 / 100, "{} {limit}", relative());
        assert_noop!(Subtensor::swap_stake(signed(&account(2)), hotkey(2), NET, NET, TAO), E::SameNetuid);
        assert_pools_are_backed();
    });
}

#[test]
fn everything_is_unstaked_at_once_to_tao_or_to_root() {
    staked(|| {
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), ROOT, 5 * TAO));
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), 2, 5 * TAO));
        assert_ok!(Subtensor::unstake_all_alpha(signed(&account(2)), hotkey(2)));
        assert_eq!((stake(2, 2, NET), stake(2, 2, 2)), (0, 0));
        let root = stake(2, 2, ROOT);
        assert!(root > 100 * TAO, "{root}");
        assert_noop!(Subtensor::unstake_all_alpha(signed(&account(2)), hotkey(2)), E::AmountTooLow);
        let before = Balances::free_balance(account(2));
        assert_ok!(Subtensor::unstake_all(signed(&account(2)), hotkey(2)));
        assert_eq!((stake(2, 2, ROOT), Balances::free_balance(account(2))), (0, before + root));
        assert_noop!(Subtensor::unstake_all(signed(&account(2)), account(250)), E::HotKeyAccountNotExists);
        assert_pools_are_backed();
    });
}
