//! Stake: TAO against alpha, shares of a hotkey's pool, and what stake weighs (module doc of `subtensor`, chain.md 6.2).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event, MIN_STAKE},
    types::ROOT,
};

use super::support::*;

type E = Error<Test>;

fn add(cold: u8, hot: u8, netuid: u16, tao: u64) -> frame_support::dispatch::DispatchResult {
    Subtensor::add_stake(signed(&account(cold)), hotkey(hot), netuid, tao)
}

fn remove(cold: u8, hot: u8, netuid: u16, alpha: u64) -> frame_support::dispatch::DispatchResult {
    Subtensor::remove_stake(signed(&account(cold)), hotkey(hot), netuid, alpha)
}

/// A subnet's account holds the pool's TAO and the existential deposit, nothing else.
fn assert_backed(netuid: u16) {
    let held = Balances::free_balance(Subtensor::subnet_account(netuid));
    assert_eq!(held, s::SubnetTAO::<Test>::get(netuid) + 500);
}

#[test]
fn stake_is_bought_from_the_pool_at_constant_product() {
    open(|| {
        register(2);
        let (tao, alpha) = (s::SubnetTAO::<Test>::get(NET), s::SubnetAlphaIn::<Test>::get(NET));
        let before = Balances::free_balance(account(2));
        assert_ok!(add(2, 2, NET, 100 * TAO));
        let bought = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        let exact = u128::from(alpha) * u128::from(100 * TAO) / u128::from(tao + 100 * TAO);
        assert_eq!(u128::from(bought), exact);
        assert!(bought < 100 * TAO, "the trade itself moves the price");
        assert_eq!(Balances::free_balance(account(2)), before - 100 * TAO);
        assert!(events().contains(&Event::StakeAdded(account(2), hotkey(2), 100 * TAO, bought, NET, 0)));
        assert_backed(NET);
        // Back again: never more than was paid, and only rounding less.
        assert_ok!(remove(2, 2, NET, bought));
        let after = Balances::free_balance(account(2));
        assert!(after <= before && after >= before - 2, "{before} {after}");
        assert_eq!(Subtensor::stake_of(&hotkey(2), &account(2), NET), 0);
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET), 0);
        assert_backed(NET);
    });
}

#[test]
fn root_stake_is_one_to_one() {
    open(|| {
        register(2);
        let before = Balances::free_balance(account(2));
        assert_ok!(add(2, 2, ROOT, 7 * TAO));
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(hotkey(2), ROOT), 7 * TAO);
        assert_backed(ROOT);
        assert_ok!(remove(2, 2, ROOT, 7 * TAO));
        assert_eq!(Balances::free_balance(account(2)), before);
        assert_backed(ROOT);
    });
}

#[test]
fn staking_refuses_what_it_must() {
    open(|| {
        register(2);
        assert_noop!(add(2, 2, 9, TAO), E::SubnetNotExists);
        assert_noop!(add(2, 77, NET, TAO), E::HotKeyAccountNotExists);
        assert_noop!(add(2, 2, NET, MIN_STAKE - 1), E::AmountTooLow);
        assert_noop!(add(2, 2, NET, 2 * ENDOWMENT), E::NotEnoughBalanceToStake);
        s::SubtokenEnabled::<Test>::insert(NET, false);
        assert_noop!(add(2, 2, NET, TAO), E::SubtokenDisabled);
        s::SubtokenEnabled::<Test>::insert(NET, true);
        assert_ok!(add(2, 2, NET, TAO));
        let held = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        assert_noop!(remove(2, 2, NET, held + 1), E::NotEnoughStakeToWithdraw);
        assert_noop!(remove(2, 2, NET, 0), E::NotEnoughStakeToWithdraw);
        assert_noop!(remove(3, 2, NET, 1), E::NotEnoughStakeToWithdraw);
        assert_noop!(remove(2, 2, NET, 1_000), E::AmountTooLow);
        s::SubnetAlphaIn::<Test>::insert(NET, 0);
        assert_noop!(add(2, 2, NET, TAO), E::InsufficientLiquidity);
    });
}

#[test]
fn a_small_remainder_may_leave_as_a_whole() {
    open(|| {
        register(2);
        assert_ok!(add(2, 2, NET, TAO));
        let held = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        assert_ok!(remove(2, 2, NET, held - 1_000_000));
        assert_ok!(remove(2, 2, NET, 1_000_000));
        assert_eq!(Subtensor::stake_of(&hotkey(2), &account(2), NET), 0);
    });
}

#[test]
fn nominators_share_a_hotkey_s_alpha_and_no_one_can_take_another_s() {
    open(|| {
        register(2);
        assert_ok!(add(2, 2, NET, 30 * TAO));
        assert_ok!(add(3, 2, NET, 10 * TAO));
        let (own, other) =
            (Subtensor::stake_of(&hotkey(2), &account(2), NET), Subtensor::stake_of(&hotkey(2), &account(3), NET));
        let total = s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET);
        assert!(total - (own + other) <= 1, "{own} + {other} of {total}");
        // A dividend: everybody's part grows in proportion.
        s::TotalHotkeyAlpha::<Test>::insert(hotkey(2), NET, total * 2);
        assert!(Subtensor::stake_of(&hotkey(2), &account(3), NET).abs_diff(other * 2) <= 2);
        let grown = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        s::SubnetAlphaOut::<Test>::mutate(NET, |out| *out += total);
        assert_ok!(remove(3, 2, NET, Subtensor::stake_of(&hotkey(2), &account(3), NET)));
        let after = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        assert!(after >= grown && after - grown <= 2, "who stays loses nothing: {grown} {after}");
    });
}

#[test]
fn many_odd_deposits_and_withdrawals_never_create_alpha() {
    open(|| {
        register(2);
        for round in 0..40u64 {
            let cold = 2 + (round * 7 % 5) as u8;
            assert_ok!(add(cold, 2, NET, MIN_STAKE + round * 1_234_567));
            if round % 3 == 0 {
                s::TotalHotkeyAlpha::<Test>::mutate(hotkey(2), NET, |total| *total += 1_000_003);
                s::SubnetAlphaOut::<Test>::mutate(NET, |out| *out += 1_000_003);
            }
            if round % 4 == 3 {
                let held = Subtensor::stake_of(&hotkey(2), &account(cold), NET);
                assert_ok!(remove(cold, 2, NET, held));
            }
            let total = s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET);
            let parts: u64 = Subtensor::holders(&hotkey(2), NET).iter().map(|(_, part)| part).sum();
            assert!(parts <= total && total - parts <= 5, "{parts} of {total} in round {round}");
        }
        // Each leaves with what it holds then: who went before has left a rounding to those who stay.
        for (cold, _) in Subtensor::holders(&hotkey(2), NET) {
            let held = Subtensor::stake_of(&hotkey(2), &cold, NET);
            assert_ok!(Subtensor::remove_stake(signed(&cold), hotkey(2), NET, held));
        }
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET), 0);
        assert_backed(NET);
    });
}

#[test]
fn stake_weight_is_alpha_plus_root_tao_times_its_weight() {
    open(|| {
        register(2);
        assert_ok!(add(2, 2, NET, 10 * TAO));
        assert_ok!(add(2, 2, ROOT, 100 * TAO));
        let alpha = s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET);
        s::TaoWeight::<Test>::put(u64::MAX / 2);
        let weight = Subtensor::total_stake_weight(&hotkey(2), NET);
        // u64::MAX / 2 is a hair below one half.
        assert_eq!(weight, alpha + 50 * TAO - 1);
        s::TaoWeight::<Test>::put(u64::MAX);
        assert_eq!(Subtensor::total_stake_weight(&hotkey(2), NET), alpha + 100 * TAO);
    });
}
