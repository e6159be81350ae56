//! Hyperparameters by root and by the owner within its limits (chain.md 9).

use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError::BadOrigin;
use starling_pallets::{
    admin_utils as a,
    subtensor::{self as s, Event},
    types::FixedU128,
};

use super::support::*;

type E = a::Error<Test>;
type S = s::Error<Test>;

fn root() -> RuntimeOrigin {
    RuntimeOrigin::root()
}

#[test]
fn root_and_the_owner_may_and_nobody_else() {
    open(|| {
        let call = |origin| AdminUtils::sudo_set_commit_reveal_weights_enabled(origin, NET, true);
        assert_noop!(call(signed(&account(2))), BadOrigin);
        assert_noop!(call(RuntimeOrigin::none()), BadOrigin);
        assert_ok!(call(signed(&owner())));
        assert!(s::CommitRevealWeightsEnabled::<Test>::get(NET));
        assert!(events().contains(&Event::CommitRevealEnabled(NET, true)));
        assert_ok!(call(root()));
        // Some are root's alone.
        assert_noop!(AdminUtils::sudo_set_tempo(signed(&owner()), NET, 5), BadOrigin);
        assert_ok!(AdminUtils::sudo_set_tempo(root(), NET, 5));
        assert_noop!(AdminUtils::sudo_set_stake_threshold(signed(&owner()), 5), BadOrigin);
        assert_ok!(AdminUtils::sudo_set_stake_threshold(root(), 5));
        assert_eq!((s::Tempo::<Test>::get(NET), s::StakeThreshold::<Test>::get()), (5, 5));
    });
}

#[test]
fn before_an_epoch_the_owner_waits_and_root_does_not() {
    open(|| {
        s::AdminFreezeWindow::<Test>::put(4);
        let call = |origin| AdminUtils::sudo_set_kappa(origin, NET, 1);
        run_to(6);
        assert_ok!(call(signed(&owner())));
        run_to(7);
        assert_noop!(call(signed(&owner())), S::AdminActionProhibitedDuringWeightsWindow);
        assert_ok!(call(root()));
    });
}

#[test]
fn the_owner_changes_one_value_once_in_two_tempos_and_the_version_key_once_in_five() {
    open(|| {
        s::OwnerHyperparamRateLimit::<Test>::put(2);
        s::WeightsVersionKeyRateLimit::<Test>::put(5);
        let kappa = |value| AdminUtils::sudo_set_kappa(signed(&owner()), NET, value);
        let version = |value| AdminUtils::sudo_set_weights_version_key(signed(&owner()), NET, value);
        assert_ok!(kappa(1));
        assert_ok!(version(1));
        assert_ok!(AdminUtils::sudo_set_rho(signed(&owner()), NET, 1));
        run_to(20);
        assert_noop!(kappa(2), S::TxRateLimitExceeded);
        run_to(21);
        assert_ok!(kappa(2));
        assert_noop!(version(2), S::TxRateLimitExceeded);
        run_to(51);
        assert_ok!(version(2));
    });
}

#[test]
fn an_unknown_subnet_is_refused() {
    open(|| {
        assert_noop!(AdminUtils::sudo_set_kappa(root(), 9, 1), E::SubnetDoesNotExist);
        assert_noop!(AdminUtils::sudo_set_tempo(root(), 9, 1), E::SubnetDoesNotExist);
        assert_noop!(AdminUtils::sudo_set_yuma3_enabled(root(), 9, true), E::SubnetDoesNotExist);
        assert_noop!(AdminUtils::sudo_set_liquid_alpha_enabled(root(), 9, true), E::SubnetDoesNotExist);
    });
}

#[test]
fn values_out_of_bounds_are_refused() {
    open(|| {
        let interval = |value| AdminUtils::sudo_set_commit_reveal_weights_interval(root(), NET, value);
        assert_noop!(interval(0), S::RevealPeriodTooSmall);
        assert_noop!(interval(101), S::RevealPeriodTooLarge);
        assert_ok!(interval(100));
        assert_noop!(AdminUtils::sudo_set_min_burn(root(), NET, 1_000_000_000), E::ValueNotInBounds);
        assert_ok!(AdminUtils::sudo_set_min_burn(root(), NET, 999_999_999));
        assert_noop!(AdminUtils::sudo_set_max_burn(root(), NET, 999_999_999), E::ValueNotInBounds);
        assert_ok!(AdminUtils::sudo_set_max_burn(root(), NET, TAO + 1));
        let average = |origin, value| AdminUtils::sudo_set_bonds_moving_average(origin, NET, value);
        assert_noop!(average(signed(&owner()), 975_001), E::BondsMovingAverageMaxReached);
        assert_ok!(average(root(), 975_001));
        assert_noop!(average(root(), 1_000_001), E::ValueNotInBounds);
        let steepness = |origin| AdminUtils::sudo_set_alpha_sigmoid_steepness(origin, NET, -1);
        assert_noop!(steepness(signed(&owner())), E::NegativeSigmoidSteepness);
        assert_ok!(steepness(root()));
        let cutoff = |value| AdminUtils::sudo_set_activity_cutoff_factor(root(), NET, value);
        assert_noop!(cutoff(999), S::ActivityCutoffFactorMilliOutOfBounds);
        assert_ok!(cutoff(1_000));
        assert_noop!(AdminUtils::sudo_set_burn_half_life(root(), NET, 36_101), E::ValueNotInBounds);
        assert_ok!(AdminUtils::sudo_set_burn_increase_mult(root(), NET, FixedU128 { bits: 2 << 64 }));
    });
}

#[test]
fn the_number_of_neurons_has_bounds_on_all_sides() {
    open(|| {
        let most = |value| AdminUtils::sudo_set_max_allowed_uids(root(), NET, value);
        assert_noop!(most(63), E::MaxAllowedUidsLessThanMinAllowedUids);
        assert_noop!(
            AdminUtils::sudo_set_min_allowed_uids(root(), NET, 256),
            E::MinAllowedUidsGreaterThanMaxAllowedUids
        );
        assert_ok!(AdminUtils::sudo_set_min_allowed_uids(root(), NET, 0));
        assert_noop!(most(0), E::MaxAllowedUIdsLessThanCurrentUIds);
        assert_noop!(most(257), E::MaxAllowedUidsGreaterThanDefaultMaxAllowedUids);
        assert_ok!(most(4));
        assert_noop!(AdminUtils::sudo_set_max_allowed_validators(root(), NET, 5), E::MaxValidatorsLargerThanMaxUIds);
        assert_ok!(AdminUtils::sudo_set_max_allowed_validators(root(), NET, 4));
    });
}

#[test]
fn liquid_alpha_needs_its_switch_and_ordered_values() {
    open(|| {
        let values = |low, high| AdminUtils::sudo_set_alpha_values(root(), NET, low, high);
        assert_noop!(values(20_000, 40_000), S::LiquidAlphaDisabled);
        assert_ok!(AdminUtils::sudo_set_liquid_alpha_enabled(root(), NET, true));
        assert_noop!(values(1_638, 1_637), S::AlphaHighTooLow);
        assert_noop!(values(1_637, 40_000), S::AlphaLowOutOfRange);
        assert_noop!(values(40_001, 40_000), S::AlphaLowOutOfRange);
        assert_ok!(values(20_000, 40_000));
        assert_eq!(s::AlphaValues::<Test>::get(NET), (20_000, 40_000));
    });
}

#[test]
fn the_owner_hotkey_can_be_changed() {
    open(|| {
        assert_ok!(AdminUtils::sudo_set_sn_owner_hotkey(signed(&owner()), NET, account(200)));
        assert_eq!(s::SubnetOwnerHotkey::<Test>::get(NET), account(200));
        assert!(events().contains(&Event::SubnetOwnerHotkeySet(NET, account(200))));
        assert_noop!(AdminUtils::sudo_set_subnet_owner_hotkey(signed(&account(2)), NET, hotkey(2)), BadOrigin);
    });
}
