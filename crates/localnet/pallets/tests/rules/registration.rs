//! Registration against the burn, its price, pruning and immunity (chain.md 9).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event, decay_factor, decayed, increased},
    types::{FixedU128, ROOT},
};

use super::support::*;

type E = Error<Test>;

#[test]
fn a_hotkey_gets_the_next_uid_and_starts_with_nothing() {
    open(|| {
        let uid = register(2);
        assert_eq!(uid, 1, "uid 0 is the owner's");
        assert_eq!(s::Keys::<Test>::get(NET, uid), hotkey(2));
        assert_eq!(s::Owner::<Test>::get(hotkey(2)), account(2));
        assert_eq!(s::OwnedHotkeys::<Test>::get(account(2)), [hotkey(2)]);
        assert!(s::IsNetworkMember::<Test>::get(hotkey(2), NET));
        assert_eq!(s::BlockAtRegistration::<Test>::get(NET, uid), now());
        assert_eq!(s::LastUpdate::<Test>::get(NET), [0, now()]);
        assert_eq!(s::ValidatorPermit::<Test>::get(NET), [false, false]);
        assert!(events().contains(&Event::NeuronRegistered(NET, uid, hotkey(2))));
    });
}

#[test]
fn registration_refuses_in_the_public_order() {
    open(|| {
        let call = |cold: u8, netuid, hot: u8| Subtensor::burned_register(signed(&account(cold)), netuid, account(hot));
        assert_noop!(call(2, ROOT, 102), E::RegistrationNotPermittedOnRootSubnet);
        assert_noop!(call(2, 9, 102), E::SubnetNotExists);
        s::NetworkRegistrationAllowed::<Test>::insert(NET, false);
        // 101 is registered already, but the switch is looked at first.
        assert_noop!(call(2, NET, 101), E::SubNetRegistrationDisabled);
        s::NetworkRegistrationAllowed::<Test>::insert(NET, true);
        // A poor stranger's coldkey: "registered already" comes before "too poor".
        assert_noop!(call(99, NET, 101), E::HotKeyAlreadyRegisteredInSubNet);
        register(2);
        assert_noop!(call(99, NET, 150), E::NotEnoughBalanceToStake);
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(2)), account(151)));
        assert_noop!(call(3, NET, 151), E::NonAssociatedColdKey);
        s::MaxAllowedUids::<Test>::insert(NET, 0);
        assert_noop!(call(3, NET, 151), E::NonAssociatedColdKey);
        assert_noop!(call(3, NET, 152), E::NoNeuronIdAvailable);
    });
}

#[test]
fn a_price_limit_protects_the_caller() {
    open(|| {
        let burn = s::Burn::<Test>::get(NET);
        let call = |limit| Subtensor::register_limit(signed(&account(2)), NET, hotkey(2), limit);
        assert_noop!(call(burn - 1), E::RegistrationPriceLimitExceeded);
        assert_ok!(call(burn));
    });
}

#[test]
fn the_burn_leaves_the_coldkey_enters_the_pool_and_buys_alpha_that_nobody_gets() {
    open(|| {
        let burn = s::Burn::<Test>::get(NET);
        let pool = s::SubnetTAO::<Test>::get(NET);
        let (alpha_in, alpha_out) = (s::SubnetAlphaIn::<Test>::get(NET), s::SubnetAlphaOut::<Test>::get(NET));
        register(2);
        assert_eq!(Balances::free_balance(account(2)), ENDOWMENT - burn);
        assert_eq!(s::SubnetTAO::<Test>::get(NET), pool + burn);
        assert!(s::SubnetAlphaIn::<Test>::get(NET) < alpha_in);
        assert_eq!(s::SubnetAlphaOut::<Test>::get(NET), alpha_out);
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET), 0);
        assert_eq!(s::RAORecycledForRegistration::<Test>::get(NET), burn);
    });
}

#[test]
fn each_registration_raises_the_burn_by_26_percent_up_to_the_maximum() {
    open(|| {
        let burn = s::Burn::<Test>::get(NET);
        register(2);
        let raised = s::Burn::<Test>::get(NET);
        // 1.26 is not exact in binary: the product may be one below.
        assert!((burn * 126 / 100 - 1..=burn * 126 / 100).contains(&raised), "{burn} -> {raised}");
        s::MaxBurn::<Test>::insert(NET, raised + 1);
        register(3);
        assert_eq!(s::Burn::<Test>::get(NET), raised + 1);
    });
    // A multiplier below one does not make registration cheaper.
    assert_eq!(increased(1_000, FixedU128 { bits: 1 << 63 }), 1_000);
    assert_eq!(increased(u64::MAX, FixedU128 { bits: u128::MAX }), u64::MAX);
}

#[test]
fn the_burn_halves_in_its_half_life_and_stops_at_the_minimum() {
    open(|| {
        s::Burn::<Test>::insert(NET, 100 * TAO);
        s::MinBurn::<Test>::insert(NET, 1);
        s::BurnHalfLife::<Test>::insert(NET, 20);
        run_to(21);
        let halved = s::Burn::<Test>::get(NET);
        // The factor is exact in 32 fraction bits only.
        assert!(halved.abs_diff(50 * TAO) < 100, "{halved}");
        s::MinBurn::<Test>::insert(NET, 60 * TAO);
        next_block();
        assert_eq!(s::Burn::<Test>::get(NET), 60 * TAO);
    });
}

#[test]
fn the_decay_factor_is_the_largest_whose_power_is_at_most_one_half() {
    let power = |factor: u64, blocks: u32| (0..blocks).fold(1u64 << 32, |burn, _| decayed(burn, factor));
    for half_life in [1u16, 2, 7, 360, 36_100] {
        let factor = decay_factor(half_life);
        let exact = 0.5f64.powf(1.0 / f64::from(half_life)) * 4_294_967_296.0;
        // The factor errs upwards only by what the truncated products lose.
        assert!((factor as f64 - exact).abs() < 8.0, "{half_life}: {factor} against {exact}");
        assert!(power(factor, u32::from(half_life)) <= 1 << 31);
    }
    assert_eq!(decay_factor(1), 1 << 31);
    assert_eq!(decay_factor(0), 1 << 32, "no half-life, no decay");
}

/// A full subnet: the owner and `others` neurons, all out of immunity.
fn full(others: u8) {
    s::ImmunityPeriod::<Test>::insert(NET, 5);
    for byte in 2..2 + others {
        s::Burn::<Test>::insert(NET, TAO);
        register(byte);
        next_block();
    }
    s::MaxAllowedUids::<Test>::insert(NET, s::SubnetworkN::<Test>::get(NET));
    run_to(now() + 5);
}

#[test]
fn who_earns_least_goes_first_and_nothing_of_it_stays() {
    open(|| {
        full(12);
        s::Emission::<Test>::mutate(NET, |emission| {
            for (uid, place) in emission.iter_mut().enumerate() {
                *place = 100 - uid as u64;
            }
        });
        // The lowest emission is the last uid's, 12.
        let old = s::Keys::<Test>::get(NET, 12);
        s::Weights::<Test>::insert(NET, 12, vec![(1, 1)]);
        s::Bonds::<Test>::insert(NET, 12, vec![(1, 1)]);
        s::Axons::<Test>::insert(NET, &old, starling_pallets::types::AxonInfo::default());
        assert_eq!(register(20), 12);
        assert_eq!(s::SubnetworkN::<Test>::get(NET), 13);
        assert!(s::Uids::<Test>::get(NET, &old).is_none());
        assert!(!s::IsNetworkMember::<Test>::get(&old, NET));
        assert!(s::Axons::<Test>::get(NET, &old).is_none());
        assert!(s::Weights::<Test>::get(NET, 12).is_empty() && s::Bonds::<Test>::get(NET, 12).is_empty());
        assert_eq!(s::Emission::<Test>::get(NET)[12], 0);
        assert_eq!(s::BlockAtRegistration::<Test>::get(NET, 12), now());
    });
}

#[test]
fn among_equals_the_oldest_goes_first() {
    open(|| {
        full(12);
        assert_eq!(register(20), 1, "all emissions are 0: the oldest after the owner");
    });
}

#[test]
fn the_owner_hotkey_and_its_oldest_companion_never_go() {
    open(|| {
        // The owner's second hotkey is the oldest of all others.
        assert_ok!(Subtensor::burned_register(signed(&owner()), NET, account(200)));
        assert_ok!(Subtensor::burned_register(signed(&owner()), NET, account(201)));
        full(12);
        assert_eq!(register(20), 2, "uid 0 owner, uid 1 its companion, uid 2 is one too many");
    });
}

#[test]
fn while_few_are_out_of_immunity_the_immune_go_and_without_any_nobody_comes_in() {
    open(|| {
        full(10);
        // Ten are out of immunity, which is the number that is kept; nobody is immune.
        let call = |byte: u8| Subtensor::burned_register(signed(&account(byte)), NET, hotkey(byte));
        assert_noop!(call(20), E::NoNeuronIdAvailable);
        s::MinNonImmuneUids::<Test>::insert(NET, 9);
        assert_ok!(call(20));
        let young = s::Uids::<Test>::get(NET, hotkey(20)).unwrap();
        assert!(Subtensor::is_immune(NET, young));
        s::MinNonImmuneUids::<Test>::insert(NET, 10);
        assert_ok!(call(21));
        assert_eq!(s::Uids::<Test>::get(NET, hotkey(21)), Some(young), "the only immune one went");
    });
}

#[test]
fn root_takes_one_a_block_and_six_an_interval() {
    open(|| {
        let call = |byte: u8| Subtensor::root_register(signed(&account(byte)), hotkey(byte));
        assert_ok!(call(2));
        assert_noop!(call(3), E::TooManyRegistrationsThisBlock);
        next_block();
        assert_noop!(call(2), E::HotKeyAlreadyRegisteredInSubNet);
        assert_noop!(Subtensor::root_register(signed(&account(3)), hotkey(2)), E::HotKeyAlreadyRegisteredInSubNet);
        assert_noop!(Subtensor::root_register(signed(&account(3)), account(101)), E::NonAssociatedColdKey);
        for byte in 3..=7 {
            assert_ok!(call(byte));
            next_block();
        }
        assert_noop!(call(8), E::TooManyRegistrationsThisInterval);
        run_to(100);
        assert_ok!(call(8));
    });
}

#[test]
fn a_full_root_gives_way_to_more_stake_only() {
    open(|| {
        s::MaxAllowedUids::<Test>::insert(ROOT, 2);
        for byte in [2, 3] {
            assert_ok!(Subtensor::root_register(signed(&account(byte)), hotkey(byte)));
            assert_ok!(Subtensor::add_stake(signed(&account(byte)), hotkey(byte), ROOT, u64::from(byte) * TAO));
            next_block();
        }
        let call = || Subtensor::root_register(signed(&account(4)), hotkey(4));
        assert_noop!(call(), E::StakeTooLowForRoot);
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(4)), hotkey(4)));
        assert_ok!(Subtensor::add_stake(signed(&account(4)), hotkey(4), ROOT, 2 * TAO));
        assert_noop!(call(), E::StakeTooLowForRoot);
        assert_ok!(Subtensor::add_stake(signed(&account(4)), hotkey(4), ROOT, TAO));
        assert_ok!(call());
        assert!(s::Uids::<Test>::get(ROOT, hotkey(2)).is_none(), "the lowest stake went");
    });
}

#[test]
fn a_hotkey_is_associated_once() {
    open(|| {
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(2)), account(150)));
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(3)), account(150)));
        assert_eq!(s::Owner::<Test>::get(account(150)), account(2));
        assert!(s::OwnedHotkeys::<Test>::get(account(3)).is_empty());
    });
}
