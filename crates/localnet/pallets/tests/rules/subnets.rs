//! Networks: genesis, registration against the lock cost, start, tempo (chain.md 9, 12).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event},
    types::ROOT,
};

use super::support::*;

type E = Error<Test>;

fn found(byte: u8) -> frame_support::dispatch::DispatchResult {
    Subtensor::register_network(signed(&account(byte)), hotkey(byte))
}

#[test]
fn the_default_genesis_is_the_public_localnet_s() {
    chain(Genesis::default(), || {
        assert_eq!(s::TotalNetworks::<Test>::get(), 2);
        assert_eq!((s::Tempo::<Test>::get(ROOT), s::Tempo::<Test>::get(NET)), (100, 100));
        assert_eq!(s::MaxAllowedUids::<Test>::get(ROOT), 64);
        assert_eq!((s::MaxAllowedUids::<Test>::get(NET), s::MinAllowedWeights::<Test>::get(NET)), (256, 0));
        let zero = account(0);
        assert_eq!((s::SubnetOwner::<Test>::get(NET), s::Keys::<Test>::get(NET, 0)), (zero.clone(), zero));
        assert_eq!((s::SubnetMechanism::<Test>::get(ROOT), s::SubnetMechanism::<Test>::get(NET)), (0, 1));
        assert!(s::FirstEmissionBlockNumber::<Test>::get(NET).is_none() && !s::SubtokenEnabled::<Test>::get(NET));
        assert!(s::CommitRevealWeightsEnabled::<Test>::get(NET));
        assert_eq!(s::NetworkRateLimit::<Test>::get(), 7_200);
    });
}

#[test]
fn a_network_costs_its_lock_and_makes_its_founder_the_owner() {
    open(|| {
        let cost = Subtensor::lock_cost(now());
        assert_eq!(cost, 1_000 * TAO);
        assert_ok!(found(2));
        assert_eq!(Balances::free_balance(account(2)), ENDOWMENT - cost);
        assert_eq!((s::SubnetOwner::<Test>::get(2), s::SubnetOwnerHotkey::<Test>::get(2)), (account(2), hotkey(2)));
        assert_eq!((s::Keys::<Test>::get(2, 0), s::SubnetworkN::<Test>::get(2)), (hotkey(2), 1));
        assert_eq!((s::SubnetTAO::<Test>::get(2), s::SubnetAlphaIn::<Test>::get(2)), (cost, cost));
        assert_eq!(Balances::free_balance(Subtensor::subnet_account(2)), cost + 500);
        assert_eq!(s::LastEpochBlock::<Test>::get(2), now(), "the first epoch is one tempo away");
        assert_eq!(s::Tempo::<Test>::get(2), open_params().tempo, "genesis says what new subnets are like");
        assert!(events().contains(&Event::NetworkAdded(2, 1)));
    });
}

#[test]
fn the_lock_cost_doubles_and_sinks_back_and_what_exceeds_the_pool_is_burnt() {
    open(|| {
        assert_ok!(found(2));
        assert_eq!(Subtensor::lock_cost(now()), 2_000 * TAO);
        s::NetworkLockReductionInterval::<Test>::put(100);
        // 10 TAO a block: after 50 blocks 1500.
        assert_eq!(Subtensor::lock_cost(now() + 50), 1_500 * TAO);
        assert_eq!(Subtensor::lock_cost(now() + 1_000), 1_000 * TAO);
        let issuance = Balances::total_issuance();
        assert_ok!(found(3));
        assert_eq!(s::SubnetTAO::<Test>::get(3), 1_000 * TAO);
        assert_eq!(s::SubnetLocked::<Test>::get(3), 2_000 * TAO);
        assert_eq!(Balances::total_issuance(), issuance - 1_000 * TAO + 500, "the rest, but for the account's deposit");
    });
}

#[test]
fn networks_refuse_what_they_must() {
    open(|| {
        assert_ok!(found(2));
        assert_noop!(Subtensor::register_network(signed(&account(3)), hotkey(2)), E::NonAssociatedColdKey);
        s::NetworkRateLimit::<Test>::put(10);
        assert_noop!(found(3), E::NetworkTxRateLimitExceeded);
        run_to(11);
        assert_noop!(found(99), E::CannotAffordLockCost);
        s::SubnetLimit::<Test>::put(2);
        assert_noop!(found(3), E::SubnetLimitReached);
        s::SubnetLimit::<Test>::put(3);
        assert_ok!(found(3));
    });
}

#[test]
fn emission_waits_for_the_owner_s_start_call() {
    open(|| {
        assert_ok!(found(2));
        let start = |byte: u8, netuid| Subtensor::start_call(signed(&account(byte)), netuid);
        assert_noop!(start(2, 9), E::SubnetNotExists);
        assert_noop!(start(3, 2), E::NotSubnetOwner);
        run_to(5);
        assert_eq!(s::SubnetAlphaOut::<Test>::get(2), 0);
        s::StartCallDelay::<Test>::put(10);
        assert_noop!(start(2, 2), E::NeedWaitingMoreBlocksToStarCall);
        s::StartCallDelay::<Test>::put(4);
        assert_ok!(start(2, 2));
        assert!(events().contains(&Event::FirstEmissionBlockNumberSet(2, 6)));
        assert_noop!(start(2, 2), E::FirstEmissionBlockNumberAlreadySet);
        next_block();
        assert!(s::SubnetAlphaOut::<Test>::get(2) > 0 && s::SubtokenEnabled::<Test>::get(2));
    });
}

#[test]
fn the_owner_sets_the_tempo_within_bounds_and_not_twice_in_two_tempos() {
    open(|| {
        let call = |byte: u8, tempo| Subtensor::set_tempo(signed(&account(byte)), NET, tempo);
        assert_noop!(call(2, 20), E::NotSubnetOwner);
        assert_noop!(call(1, 1), E::TempoOutOfBounds);
        assert_noop!(call(1, 50_401), E::TempoOutOfBounds);
        s::OwnerHyperparamRateLimit::<Test>::put(2);
        assert_ok!(call(1, 20));
        assert!(events().contains(&Event::TempoSet(NET, 20)));
        run_to(40);
        assert_noop!(call(1, 30), E::TxRateLimitExceeded);
        run_to(41);
        assert_ok!(call(1, 30));
    });
}
