//! What a block mints and where it lies until the epoch (chain.md 6.11), and the epoch clock (5.2).

use frame_support::assert_ok;
use starling_pallets::{
    subtensor::{self as s, ALPHA_PER_BLOCK, Event},
    types::{FixedI128, ROOT},
};

use super::support::*;

fn pendings(netuid: u16) -> [u64; 4] {
    [
        s::PendingOwnerCut::<Test>::get(netuid),
        s::PendingServerEmission::<Test>::get(netuid),
        s::PendingValidatorEmission::<Test>::get(netuid),
        s::PendingRootAlphaDivs::<Test>::get(netuid),
    ]
}

#[test]
fn a_block_s_alpha_is_the_owner_s_cut_and_two_halves() {
    open(|| {
        let cut = ALPHA_PER_BLOCK * 11_796 / 65_535;
        let half = (ALPHA_PER_BLOCK - cut) / 2;
        assert_eq!(pendings(NET), [cut, half, ALPHA_PER_BLOCK - cut - half, 0]);
        assert_eq!(s::SubnetAlphaOut::<Test>::get(NET), ALPHA_PER_BLOCK);
        next_block();
        assert_eq!(pendings(NET)[0], 2 * cut);
    });
}

#[test]
fn a_block_s_tao_goes_to_the_pools_by_price_and_leaves_the_prices() {
    open(|| {
        let before = s::SubnetTAO::<Test>::get(NET);
        let issuance = Balances::total_issuance();
        next_block();
        assert_eq!(s::SubnetTAO::<Test>::get(NET), before + TAO, "one subnet gets the whole TAO");
        assert_eq!(Balances::total_issuance(), issuance + TAO);
        assert_eq!(s::TotalIssuance::<Test>::get(), issuance + TAO);
        assert_eq!(s::SubnetTaoInEmission::<Test>::get(NET), TAO);
        // A second subnet, three times as dear.
        assert_ok!(Subtensor::register_network(signed(&account(2)), hotkey(2)));
        assert_ok!(Subtensor::start_call(signed(&account(2)), 2));
        s::SubnetAlphaIn::<Test>::mutate(2, |alpha| *alpha /= 3);
        let price = Subtensor::alpha_price(2);
        next_block();
        let parts = (s::SubnetTaoInEmission::<Test>::get(NET), s::SubnetTaoInEmission::<Test>::get(2));
        assert!(parts.0.abs_diff(TAO / 4) <= 4 && parts.1.abs_diff(TAO * 3 / 4) <= 4, "{parts:?}");
        assert!((Subtensor::alpha_price(2) - price).abs() < 0.000_001);
    });
}

#[test]
fn a_cheap_subnet_s_tao_is_cut_to_the_alpha_of_a_block() {
    open(|| {
        // A price of 1/8: the whole TAO would want 8 alpha.
        s::SubnetAlphaIn::<Test>::mutate(NET, |alpha| *alpha = s::SubnetTAO::<Test>::get(NET) * 8);
        let issuance = Balances::total_issuance();
        next_block();
        assert_eq!(s::SubnetAlphaInEmission::<Test>::get(NET), ALPHA_PER_BLOCK);
        assert_eq!(s::SubnetTaoInEmission::<Test>::get(NET), TAO / 8);
        assert_eq!(Balances::total_issuance(), issuance + TAO / 8, "what is cut is not minted");
    });
}

#[test]
fn root_s_part_is_not_emitted_until_the_moving_prices_exceed_one() {
    open(|| {
        register(2);
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), ROOT, 5_000 * TAO));
        let (before, alpha) = (pendings(NET), s::SubnetAlphaOut::<Test>::get(NET));
        next_block();
        let grown = pendings(NET);
        let validators = grown[2] - before[2];
        assert!(validators < grown[1] - before[1], "root's part is missing from the validators' half");
        assert_eq!(grown[3], 0);
        let emitted: u64 = grown.iter().sum::<u64>() - before.iter().sum::<u64>();
        assert_eq!(s::SubnetAlphaOut::<Test>::get(NET) - alpha, emitted);
        s::SubnetMovingPrice::<Test>::insert(NET, FixedI128 { bits: 2 << 32 });
        next_block();
        assert!(pendings(NET)[3] > 0);
        let halves = (ALPHA_PER_BLOCK - ALPHA_PER_BLOCK * 11_796 / 65_535) / 2;
        let paid = pendings(NET)[2] - grown[2] + pendings(NET)[3];
        assert!(paid.abs_diff(halves) <= 1);
    });
}

#[test]
fn the_moving_price_creeps_towards_the_price() {
    open(|| {
        // The public step is 0.000003 at most; a large one shows the direction.
        s::SubnetMovingAlpha::<Test>::put(FixedI128 { bits: 1 << 31 });
        s::EMAPriceHalvingBlocks::<Test>::insert(NET, 0);
        next_block();
        let first = s::SubnetMovingPrice::<Test>::get(NET).bits;
        next_block();
        let second = s::SubnetMovingPrice::<Test>::get(NET).bits;
        assert!(0 < first && first < second && second < 1 << 32);
    });
}

#[test]
fn an_epoch_fires_every_tempo_and_its_block_belongs_to_the_new_epoch() {
    open(|| {
        assert_eq!(Subtensor::next_epoch_block(NET, now()), Some(10));
        run_to(9);
        assert_eq!((s::SubnetEpochIndex::<Test>::get(NET), s::BlocksSinceLastStep::<Test>::get(NET)), (0, 9));
        assert_eq!((Subtensor::current_epoch(NET, 9), Subtensor::current_epoch(NET, 10)), (0, 1));
        run_to(10);
        assert_eq!((s::SubnetEpochIndex::<Test>::get(NET), s::BlocksSinceLastStep::<Test>::get(NET)), (1, 0));
        assert_eq!((s::LastEpochBlock::<Test>::get(NET), s::LastMechansimStepBlock::<Test>::get(NET)), (10, 10));
        assert_eq!(Subtensor::current_epoch(NET, 10), 1);
        run_to(20);
        assert_eq!(s::SubnetEpochIndex::<Test>::get(NET), 2);
        // A shorter tempo takes effect at once, no tempo stops the clock.
        s::Tempo::<Test>::insert(NET, 3);
        run_to(23);
        assert_eq!(s::SubnetEpochIndex::<Test>::get(NET), 3);
        s::Tempo::<Test>::insert(NET, 0);
        run_to(60);
        assert_eq!(s::SubnetEpochIndex::<Test>::get(NET), 3);
        assert_eq!(Subtensor::next_epoch_block(NET, 60), None);
    });
}

#[test]
fn over_the_cap_an_epoch_waits_for_the_next_block() {
    open(|| {
        assert_ok!(Subtensor::register_network(signed(&account(2)), hotkey(2)));
        s::MaxEpochsPerBlock::<Test>::put(1);
        s::LastEpochBlock::<Test>::insert(2, 0);
        run_to(10);
        assert_eq!((s::SubnetEpochIndex::<Test>::get(NET), s::SubnetEpochIndex::<Test>::get(2)), (1, 0));
        assert_eq!(s::PendingEpochAt::<Test>::get(2), 11);
        assert!(events().contains(&Event::EpochDeferred { netuid: 2, from_block: 10, to_block: 11 }));
        next_block();
        assert_eq!((s::SubnetEpochIndex::<Test>::get(2), s::LastEpochBlock::<Test>::get(2)), (1, 11));
        assert_eq!(s::PendingEpochAt::<Test>::get(2), 0);
    });
}
