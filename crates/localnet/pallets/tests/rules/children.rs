//! Child hotkeys and takes (chain.md 6.2, 6.11, 9).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event},
    types::ROOT,
};

use super::support::*;

type E = Error<Test>;

const HALF: u64 = u64::MAX / 2;

fn set(parent: u8, children: &[(u64, u8)]) -> frame_support::dispatch::DispatchResult {
    let children = children.iter().map(|(p, byte)| (*p, hotkey(*byte))).collect();
    Subtensor::set_children(signed(&account(parent)), hotkey(parent), NET, children)
}

/// Children that hold at once.
fn link(parent: u8, children: &[(u64, u8)]) {
    s::SubtokenEnabled::<Test>::insert(NET, false);
    assert_ok!(set(parent, children));
    s::SubtokenEnabled::<Test>::insert(NET, true);
}

/// Validators 2 and 3 with stake, miner 4.
fn family(test: impl FnOnce()) {
    open(|| {
        for byte in 2..=4 {
            register(byte);
        }
        for byte in [2, 3] {
            assert_ok!(Subtensor::add_stake(signed(&account(byte)), hotkey(byte), NET, 100 * TAO));
        }
        test();
    });
}

fn alpha(byte: u8) -> u64 {
    s::TotalHotkeyAlpha::<Test>::get(hotkey(byte), NET)
}

#[test]
fn children_hold_at_the_first_epoch_after_their_cooldown() {
    family(|| {
        s::PendingChildKeyCooldown::<Test>::put(12);
        assert_ok!(set(2, &[(HALF, 3), (HALF / 2, 4)]));
        let wanted = vec![(HALF, hotkey(3)), (HALF / 2, hotkey(4))];
        assert!(events().contains(&Event::SetChildrenScheduled(hotkey(2), NET, now() + 12, wanted.clone())));
        // Due after block 13; epochs are at 10 and 20.
        run_to(19);
        assert!(s::ChildKeys::<Test>::get(hotkey(2), NET).is_empty());
        next_block();
        assert_eq!(s::ChildKeys::<Test>::get(hotkey(2), NET), wanted);
        assert_eq!(s::ParentKeys::<Test>::get(hotkey(3), NET), [(HALF, hotkey(2))]);
        assert!(events().contains(&Event::SetChildren(hotkey(2), NET, wanted)));
        assert!(!s::PendingChildKeys::<Test>::contains_key(NET, hotkey(2)));
        // New ones replace the old on both sides; none at all are none.
        run_to(200);
        link(2, &[(1, 4)]);
        assert!(!s::ParentKeys::<Test>::contains_key(hotkey(3), NET));
        assert_eq!(s::ParentKeys::<Test>::get(hotkey(4), NET), [(1, hotkey(2))]);
        run_to(400);
        link(2, &[]);
        assert!(!s::ChildKeys::<Test>::contains_key(hotkey(2), NET));
        assert!(!s::ParentKeys::<Test>::contains_key(hotkey(4), NET));
    });
}

#[test]
fn who_may_not_have_which_children_is_named() {
    family(|| {
        let call =
            |cold: u8, netuid| Subtensor::set_children(signed(&account(cold)), hotkey(2), netuid, vec![(1, hotkey(3))]);
        assert_noop!(call(2, ROOT), E::RegistrationNotPermittedOnRootSubnet);
        assert_noop!(call(2, 9), E::SubnetNotExists);
        assert_noop!(call(3, NET), E::NonAssociatedColdKey);
        assert_noop!(set(2, &[(1, 3), (1, 3)]), E::DuplicateChild);
        assert_noop!(set(2, &[(1, 2)]), E::InvalidChild);
        assert_noop!(set(2, &[(1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8)]), E::TooManyChildren);
        assert_noop!(set(2, &[(u64::MAX, 3), (1, 4)]), E::ProportionOverflow);
        s::StakeThreshold::<Test>::put(1_000 * TAO);
        assert_noop!(set(2, &[(1, 3)]), E::NotEnoughStakeToSetChildkeys);
        assert_ok!(set(1, &[(1, 5)]));
        s::StakeThreshold::<Test>::put(0);
        link(2, &[(1, 3)]);
        assert_noop!(set(3, &[(1, 2)]), E::ChildParentInconsistency);
        assert_noop!(set(2, &[(1, 4)]), E::TxRateLimitExceeded);
        run_to(151);
        assert_ok!(set(2, &[(1, 4)]));
    });
}

#[test]
fn what_became_contradictory_while_it_waited_is_dropped() {
    family(|| {
        s::PendingChildKeyCooldown::<Test>::put(2);
        assert_ok!(set(2, &[(1, 3)]));
        link(3, &[(1, 2)]);
        run_to(10);
        assert!(!s::ChildKeys::<Test>::contains_key(hotkey(2), NET));
        assert!(!s::PendingChildKeys::<Test>::contains_key(NET, hotkey(2)));
        assert_eq!(s::ParentKeys::<Test>::get(hotkey(2), NET), [(1, hotkey(3))]);
    });
}

#[test]
fn a_child_weighs_with_its_parent_s_alpha_and_root_stake_and_the_parent_with_what_is_left() {
    family(|| {
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), ROOT, 40 * TAO));
        s::TaoWeight::<Test>::put(u64::MAX);
        let (own, childs) = (alpha(2), alpha(3));
        link(2, &[(u64::MAX / 4, 3)]);
        // Shares have 32 fraction bits, as on the public chain.
        let close = |value: u64, exact: u64| value.abs_diff(exact) <= 64;
        let (a, t) = Subtensor::inherited_stake(&hotkey(2), NET);
        assert!(close(a, own / 4 * 3) && close(t, 30 * TAO), "{a} {t} of {own}");
        let (a, t) = Subtensor::inherited_stake(&hotkey(3), NET);
        assert!(close(a, childs + own / 4) && close(t, 10 * TAO), "{a} {t}");
        assert_eq!(Subtensor::total_stake_weight(&hotkey(3), NET), a + t);
        // The stake itself stays where it is, and other subnets know nothing of it.
        assert_eq!((alpha(2), alpha(3)), (own, childs));
        assert_eq!(Subtensor::inherited_stake(&hotkey(2), ROOT), (40 * TAO, 0));
        let graph = Subtensor::metagraph(NET).unwrap();
        assert_eq!((graph.alpha_stake[2].0, graph.tao_stake[2].0), (a, t), "the metagraph shows what weighs");
    });
}

#[test]
fn a_parent_without_weight_left_loses_its_permit_to_its_child() {
    family(|| {
        assert_ok!(Subtensor::remove_stake(signed(&account(3)), hotkey(3), NET, alpha(3)));
        link(2, &[(u64::MAX, 3)]);
        run_to(10);
        assert_eq!(s::ValidatorPermit::<Test>::get(NET)[1..3], [false, true]);
    });
}

#[test]
fn dividends_of_a_child_go_to_its_parents_but_for_its_take() {
    family(|| {
        // All of 2's stake works at 3, which has none of its own.
        assert_ok!(Subtensor::remove_stake(signed(&account(3)), hotkey(3), NET, alpha(3)));
        link(2, &[(u64::MAX, 3)]);
        s::ChildkeyTake::<Test>::insert(hotkey(3), NET, u16::MAX / 10);
        run_to(11);
        assert_ok!(set_weights(&hotkey(3), &[(3, 1)]));
        let due = s::PendingValidatorEmission::<Test>::get(NET) * 10;
        let before = [alpha(2), alpha(3)];
        run_to(20);
        let (parent, child) = (alpha(2) - before[0], alpha(3) - before[1]);
        assert!((parent + child).abs_diff(due) < due / 100, "{parent} + {child} of {due}");
        assert!(child.abs_diff(due / 10) < due / 100, "{child} is a tenth of {due}");
    });
    // A parent of the same coldkey pays no take.
    family(|| {
        assert_ok!(Subtensor::remove_stake(signed(&account(3)), hotkey(3), NET, alpha(3)));
        s::Owner::<Test>::insert(hotkey(3), account(2));
        link(2, &[(u64::MAX, 3)]);
        s::ChildkeyTake::<Test>::insert(hotkey(3), NET, u16::MAX / 10);
        run_to(11);
        assert_ok!(set_weights(&hotkey(3), &[(3, 1)]));
        let before = alpha(3);
        run_to(20);
        assert_eq!(alpha(3), before);
    });
}

#[test]
fn a_childkey_take_is_bounded_and_raised_seldom() {
    family(|| {
        s::TxChildkeyTakeRateLimit::<Test>::put(100);
        let call =
            |cold: u8, netuid, take| Subtensor::set_childkey_take(signed(&account(cold)), hotkey(2), netuid, take);
        assert_noop!(call(3, NET, 1), E::NonAssociatedColdKey);
        assert_noop!(call(2, 9, 1), E::SubnetNotExists);
        assert_noop!(call(2, NET, 11_797), E::InvalidChildkeyTake);
        assert_ok!(call(2, NET, 100));
        assert!(events().contains(&Event::ChildKeyTakeSet(hotkey(2), 100)));
        assert_noop!(call(2, NET, 101), E::TxChildkeyTakeRateLimitExceeded);
        assert_ok!(call(2, NET, 50));
        s::MinChildkeyTake::<Test>::put(60);
        assert_noop!(call(2, NET, 59), E::InvalidChildkeyTake);
        assert_eq!(Subtensor::childkey_take(&hotkey(2), NET), 60, "a later minimum holds for all");
        run_to(101);
        assert_ok!(call(2, NET, 101));
    });
}

#[test]
fn a_take_goes_up_within_its_bounds_and_seldom_and_down_at_any_time() {
    family(|| {
        s::TxDelegateTakeRateLimit::<Test>::put(10);
        let up = |cold: u8, take| Subtensor::increase_take(signed(&account(cold)), hotkey(2), take);
        let down = |cold: u8, take| Subtensor::decrease_take(signed(&account(cold)), hotkey(2), take);
        assert_noop!(Subtensor::increase_take(signed(&account(2)), account(250), 1), E::HotKeyAccountNotExists);
        assert_noop!(up(3, 1), E::NonAssociatedColdKey);
        assert_noop!(up(2, 11_797), E::DelegateTakeTooHigh);
        assert_ok!(up(2, 500));
        assert!(events().contains(&Event::TakeIncreased(account(2), hotkey(2), 500)));
        assert_noop!(up(2, 500), E::DelegateTakeTooLow);
        assert_noop!(up(2, 600), E::DelegateTxRateLimitExceeded);
        assert_noop!(down(2, 500), E::DelegateTakeTooLow);
        assert_ok!(down(2, 100));
        assert!(events().contains(&Event::TakeDecreased(account(2), hotkey(2), 100)));
        s::MinDelegateTake::<Test>::put(50);
        assert_noop!(down(2, 49), E::DelegateTakeTooLow);
        run_to(now() + 11);
        assert_ok!(up(2, 600));
        assert_eq!(s::Delegates::<Test>::get(hotkey(2)), 600);
    });
}
