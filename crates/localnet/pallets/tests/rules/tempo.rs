//! The epoch clock in its owner's hand (chain.md 5.2).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::subtensor::{self as s, Error, Event};

use super::support::*;

type E = Error<Test>;

fn index() -> u64 {
    s::SubnetEpochIndex::<Test>::get(NET)
}

#[test]
fn a_new_tempo_begins_a_new_cycle() {
    open(|| {
        run_to(8);
        assert_ok!(Subtensor::set_tempo(signed(&owner()), NET, 20));
        assert_eq!(Subtensor::next_epoch_block(NET, now()), Some(28));
        run_to(27);
        assert_eq!(index(), 0);
        next_block();
        assert_eq!((index(), s::LastEpochBlock::<Test>::get(NET)), (1, 28));
    });
}

#[test]
fn a_triggered_epoch_fires_after_the_freeze_window_and_the_clock_starts_anew() {
    open(|| {
        s::AdminFreezeWindow::<Test>::put(3);
        s::Tempo::<Test>::insert(NET, 50);
        run_to(5);
        let call = |who: u8| Subtensor::trigger_epoch(signed(&account(who)), NET);
        assert_noop!(call(2), E::NotSubnetOwner);
        assert_ok!(call(1));
        assert!(events().contains(&Event::EpochTriggered { netuid: NET, by: owner(), fires_at: 8 }));
        assert_eq!((s::PendingEpochAt::<Test>::get(NET), Subtensor::next_epoch_block(NET, 5)), (8, Some(8)));
        assert_noop!(call(1), E::EpochTriggerAlreadyPending);
        next_block();
        assert_noop!(Subtensor::set_tempo(signed(&owner()), NET, 60), E::AdminActionProhibitedDuringWeightsWindow);
        run_to(7);
        assert_eq!((index(), Subtensor::current_epoch(NET, 7), Subtensor::current_epoch(NET, 8)), (0, 0, 1));
        next_block();
        assert_eq!((index(), s::LastEpochBlock::<Test>::get(NET), s::PendingEpochAt::<Test>::get(NET)), (1, 8, 0));
        assert_eq!(Subtensor::next_epoch_block(NET, 8), Some(58));
    });
}

#[test]
fn no_epoch_is_triggered_under_commit_reveal_nor_shortly_before_one() {
    open(|| {
        let call = || Subtensor::trigger_epoch(signed(&owner()), NET);
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        assert_noop!(call(), E::DynamicTempoBlockedByCommitReveal);
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, false);
        s::AdminFreezeWindow::<Test>::put(3);
        run_to(8);
        assert_noop!(call(), E::AutoEpochAlreadyImminent);
        assert_noop!(Subtensor::trigger_epoch(signed(&owner()), 9), E::SubnetNotExists);
    });
}

#[test]
fn triggers_wait_two_tempos_for_each_other() {
    open(|| {
        s::OwnerHyperparamRateLimit::<Test>::put(2);
        let call = || Subtensor::trigger_epoch(signed(&owner()), NET);
        run_to(2);
        assert_ok!(call());
        run_to(21);
        assert_noop!(call(), E::TxRateLimitExceeded);
        run_to(22);
        assert_ok!(call());
    });
}

#[test]
fn the_owner_sets_the_activity_cutoff_in_thousandths_of_a_tempo() {
    open(|| {
        let call = |who: u8, factor| Subtensor::set_activity_cutoff_factor(signed(&account(who)), NET, factor);
        assert_noop!(call(2, 2_000), E::NotSubnetOwner);
        assert_noop!(call(1, 999), E::ActivityCutoffFactorMilliOutOfBounds);
        assert_noop!(call(1, 50_000_001), E::ActivityCutoffFactorMilliOutOfBounds);
        assert_ok!(call(1, 2_500));
        assert!(events().contains(&Event::ActivityCutoffFactorMilliSet(NET, 2_500)));
        assert_eq!(Subtensor::activity_cutoff(NET), 25);
        s::OwnerHyperparamRateLimit::<Test>::put(2);
        assert_noop!(call(1, 3_000), E::TxRateLimitExceeded);
    });
}

#[test]
fn an_epoch_is_overdue_after_50400_blocks_whatever_the_tempo_says() {
    open(|| {
        s::LastEpochBlock::<Test>::insert(NET, 1_000);
        s::BlocksSinceLastStep::<Test>::insert(NET, 50_400);
        assert!(!Subtensor::should_run_epoch(NET, now()));
        s::BlocksSinceLastStep::<Test>::insert(NET, 50_401);
        assert!(Subtensor::should_run_epoch(NET, now()));
    });
}
