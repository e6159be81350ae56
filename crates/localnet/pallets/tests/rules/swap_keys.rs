//! Hotkeys that give their place to others (chain.md 1, 9).

use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_core::H256;
use starling_pallets::{
    subtensor::{self as s, Error, Event},
    types::{NetUid, ROOT},
};

use super::support::*;

type E = Error<Test>;

fn swap(cold: u8, old: u8, new: u8, netuid: Option<NetUid>) -> DispatchResult {
    Subtensor::swap_hotkey(signed(&account(cold)), hotkey(old), hotkey(new), netuid)
}

/// Hotkey 2 of coldkey 2: registered, staked to by 2 and 3, served, with a commit and a child.
fn settled(test: impl FnOnce(u16)) {
    open(|| {
        let uid = validator(2, 50 * TAO);
        assert_ok!(Subtensor::add_stake(signed(&account(3)), hotkey(2), NET, 20 * TAO));
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), ROOT, 10 * TAO));
        assert_ok!(Subtensor::serve_axon(signed(&hotkey(2)), NET, 1, 0x0102_0304, 1, 4, 4, 0, 0));
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        assert_ok!(Subtensor::commit_weights(signed(&hotkey(2)), NET, H256([7; 32])));
        s::SubtokenEnabled::<Test>::insert(NET, false);
        let children = vec![(100, hotkey(9))];
        assert_ok!(Subtensor::set_children(signed(&account(2)), hotkey(2), NET, children));
        s::SubtokenEnabled::<Test>::insert(NET, true);
        s::Delegates::<Test>::insert(hotkey(2), 77);
        s::ChildkeyTake::<Test>::insert(hotkey(2), NET, 5);
        test(uid);
    });
}

fn parts(hot: u8) -> [u64; 3] {
    [(2, NET), (3, NET), (2, ROOT)].map(|(cold, netuid)| Subtensor::stake_of(&hotkey(hot), &account(cold), netuid))
}

#[test]
fn everything_of_a_hotkey_goes_to_the_new_one() {
    settled(|uid| {
        let (before, balance) = (parts(2), Balances::free_balance(account(2)));
        let issued = Balances::total_issuance();
        s::RootAlphaDividendsPerSubnet::<Test>::insert(NET, hotkey(2), 11);
        assert_ok!(swap(2, 2, 40, None));
        let event = Event::HotkeySwapped { coldkey: account(2), old_hotkey: hotkey(2), new_hotkey: hotkey(40) };
        assert!(events().contains(&event));
        assert_eq!(Balances::free_balance(account(2)), balance - TAO / 10);
        assert_eq!(Balances::total_issuance(), issued - TAO / 10, "the price is recycled");
        assert_eq!((s::Uids::<Test>::get(NET, hotkey(40)), s::Uids::<Test>::get(NET, hotkey(2))), (Some(uid), None));
        assert_eq!(s::Keys::<Test>::get(NET, uid), hotkey(40));
        assert!(s::IsNetworkMember::<Test>::get(hotkey(40), NET) && !s::IsNetworkMember::<Test>::get(hotkey(2), NET));
        assert!(s::Axons::<Test>::contains_key(NET, hotkey(40)) && !s::Axons::<Test>::contains_key(NET, hotkey(2)));
        assert_eq!(s::WeightCommits::<Test>::get(NET, hotkey(40)).unwrap().len(), 1);
        assert!(s::WeightCommits::<Test>::get(NET, hotkey(2)).is_none());
        assert_eq!(s::ChildKeys::<Test>::get(hotkey(40), NET), [(100, hotkey(9))]);
        assert_eq!(s::ParentKeys::<Test>::get(hotkey(9), NET), [(100, hotkey(40))]);
        assert!(s::ChildKeys::<Test>::get(hotkey(2), NET).is_empty());
        assert_eq!((s::Delegates::<Test>::get(hotkey(40)), s::ChildkeyTake::<Test>::get(hotkey(40), NET)), (77, 5));
        for (after, before) in parts(40).into_iter().zip(before) {
            assert!(before - after <= 1, "{after} of {before}");
        }
        assert_eq!(parts(2), [0, 0, 0]);
        assert_eq!(s::RootAlphaDividendsPerSubnet::<Test>::get(NET, hotkey(40)), 11);
        assert_eq!(s::OwnedHotkeys::<Test>::get(account(2)), [hotkey(40)]);
        assert!(!s::Owner::<Test>::contains_key(hotkey(2)));
        assert!(!s::StakingHotkeys::<Test>::get(account(3)).contains(&hotkey(2)));
        assert!(s::StakingHotkeys::<Test>::get(account(3)).contains(&hotkey(40)));
        assert!(s::ValidatorPermit::<Test>::get(NET)[usize::from(uid)], "the uid keeps what is the uid's");
    });
}

#[test]
fn on_one_subnet_only_that_subnet_changes_hands() {
    settled(|uid| {
        let before = parts(2);
        let balance = Balances::free_balance(account(2));
        assert_ok!(swap(2, 2, 40, Some(NET)));
        assert!(events().iter().any(|e| matches!(e, Event::HotkeySwappedOnSubnet { netuid: NET, .. })));
        assert_eq!(Balances::free_balance(account(2)), balance - TAO / 1_000);
        assert_eq!(s::Keys::<Test>::get(NET, uid), hotkey(40));
        assert_eq!(parts(2), [0, 0, before[2]], "root stake stays");
        assert!(parts(40)[0] > 0 && parts(40)[1] > 0);
        assert_eq!(s::Owner::<Test>::get(hotkey(2)), account(2));
        assert_eq!(s::OwnedHotkeys::<Test>::get(account(2)), [hotkey(2), hotkey(40)]);
    });
}

#[test]
fn stake_may_be_kept_by_the_old_hotkey() {
    settled(|uid| {
        let before = parts(2);
        let call = Subtensor::swap_hotkey_v2(signed(&account(2)), hotkey(2), hotkey(40), None, true);
        assert_ok!(call);
        assert_eq!((parts(2), parts(40)), (before, [0, 0, 0]));
        assert_eq!(s::Keys::<Test>::get(NET, uid), hotkey(40));
        assert_eq!(s::Owner::<Test>::get(hotkey(2)), account(2), "the stake's hotkey keeps its owner");
    });
}

#[test]
fn swaps_that_may_not_be_are_named() {
    settled(|_| {
        assert_noop!(swap(2, 2, 40, Some(9)), E::SubnetNotExists);
        assert_noop!(swap(3, 2, 40, None), E::NonAssociatedColdKey);
        register(5);
        assert_noop!(swap(2, 2, 5, None), E::NonAssociatedColdKey);
        assert_noop!(swap(2, 2, 2, None), E::NewHotKeyIsSameWithOld);
        assert_ok!(Subtensor::burned_register(signed(&account(2)), NET, hotkey(41)));
        assert_noop!(swap(2, 2, 41, None), E::HotKeyAlreadyRegisteredInSubNet);
        assert_noop!(swap(2, 2, 41, Some(NET)), E::HotKeyAlreadyRegisteredInSubNet);
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(2)), hotkey(42)));
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(42), ROOT, TAO));
        assert_noop!(swap(2, 2, 42, None), E::NewHotKeyNotCleanForRootSwap);
        let rich = Balances::free_balance(account(2));
        assert_ok!(Balances::transfer_allow_death(signed(&account(2)), account(30), rich - TAO / 10 + 1));
        assert_noop!(swap(2, 2, 40, None), E::NotEnoughBalanceToPaySwapHotKey);
        assert_ok!(swap(2, 2, 40, Some(NET)));
    });
}

#[test]
fn swaps_wait_for_each_other() {
    settled(|_| {
        s::HotkeySwapOnSubnetInterval::<Test>::put(10);
        run_to(2);
        assert_ok!(swap(2, 2, 40, Some(NET)));
        run_to(12);
        assert_noop!(swap(2, 40, 41, Some(NET)), E::HotKeySwapOnSubnetIntervalNotPassed);
        assert_noop!(swap(2, 40, 41, None), E::HotKeySwapOnSubnetIntervalNotPassed);
        run_to(13);
        assert_ok!(swap(2, 40, 41, Some(NET)));
        s::TxRateLimit::<Test>::put(100);
        run_to(113);
        assert_noop!(swap(2, 41, 42, None), E::HotKeySetTxRateLimitExceeded);
        run_to(114);
        assert_ok!(swap(2, 41, 42, None));
    });
}
