//! Registration by proof of work (chain.md 8.9 b).

use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_core::H256;
use sp_runtime::AccountId32;
use starling_pallets::{
    subtensor::{self as s, Error, Event, meets_difficulty, registration_seal},
    types::ROOT,
};

use super::support::*;

type E = Error<Test>;

/// The open chain at block 10 with proof-of-work registration on and block hashes known.
fn mining(test: impl FnOnce()) {
    open(|| {
        run_to(10);
        for number in 1..10u32 {
            frame_system::BlockHash::<Test>::insert(number, H256([number as u8; 32]));
        }
        s::NetworkPowRegistrationAllowed::<Test>::insert(NET, true);
        s::Difficulty::<Test>::insert(NET, 100);
        s::MinDifficulty::<Test>::insert(NET, 1);
        test();
    });
}

/// The first nonce that meets a difficulty (or fails it), with its seal.
fn mine(work_block: u64, hot: &AccountId32, cold: &AccountId32, good: bool) -> (u64, Vec<u8>) {
    let block = [work_block as u8; 32];
    let difficulty = Subtensor::pow_difficulty(NET);
    let seal = |nonce| registration_seal(NET, &block, hot, cold, nonce);
    let nonce = (0..).find(|nonce| meets_difficulty(&seal(*nonce), difficulty) == good).unwrap();
    (nonce, seal(nonce).to_vec())
}

fn call(cold: u8, netuid: u16, work_block: u64, proof: (u64, Vec<u8>), hot: u8) -> DispatchResult {
    Subtensor::pow_register(signed(&account(cold)), netuid, work_block, proof.0, proof.1, account(hot))
}

#[test]
fn the_seal_is_the_official_one() {
    // chain.md 8.9: netuid 1, hash 0x11 x 32, hotkey Alice, coldkey Bob, nonce 5.
    let key = |hex: &str| AccountId32::new(hex::decode(hex).unwrap().try_into().unwrap());
    let alice = key("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
    let bob = key("8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48");
    let seal = registration_seal(1, &[0x11; 32], &alice, &bob, 5);
    assert_eq!(hex::encode(seal), "05a5a752caa225a8b039802bc6f35a8cfd8543885874d4368a385b97660deab3");
    // Little-endian: the last byte is the greatest.
    let mut small = [0xff; 32];
    small[31] = 0;
    assert!(meets_difficulty(&small, 256) && !meets_difficulty(&small, 257));
    assert!(meets_difficulty(&[0xff; 32], 1) && meets_difficulty(&[0xff; 32], 0) && !meets_difficulty(&[0xff; 32], 2));
}

#[test]
fn a_good_proof_registers_without_burn_and_without_raising_it() {
    mining(|| {
        let (balance, burn) = (Balances::free_balance(account(2)), s::Burn::<Test>::get(NET));
        assert_ok!(call(2, NET, 9, mine(9, &hotkey(2), &account(2), true), 102));
        let uid = s::Uids::<Test>::get(NET, hotkey(2)).unwrap();
        assert!(events().contains(&Event::NeuronRegistered(NET, uid, hotkey(2))));
        assert_eq!((Balances::free_balance(account(2)), s::Burn::<Test>::get(NET)), (balance, burn));
        assert_eq!(s::Owner::<Test>::get(hotkey(2)), account(2));
        assert_eq!(s::LastPowRegistrationBlock::<Test>::get(hotkey(2)), Some(9));
    });
}

#[test]
fn what_is_wrong_with_a_proof_is_named() {
    mining(|| {
        let good = || mine(9, &hotkey(2), &account(2), true);
        assert_noop!(call(2, ROOT, 9, good(), 102), E::RegistrationNotPermittedOnRootSubnet);
        assert_noop!(call(2, 7, 9, good(), 102), E::SubnetNotExists);
        assert_noop!(call(1, NET, 9, good(), 101), E::HotKeyAlreadyRegisteredInSubNet);
        // Blocks 6 to 9 are young enough at block 10; block 10 has no hash yet.
        assert_noop!(call(2, NET, 5, mine(5, &hotkey(2), &account(2), true), 102), E::InvalidWorkBlock);
        assert_noop!(call(2, NET, 10, mine(10, &hotkey(2), &account(2), true), 102), E::InvalidWorkBlock);
        assert_noop!(call(2, NET, 9, mine(9, &hotkey(2), &account(2), false), 102), E::InvalidDifficulty);
        // Another coldkey's, another hotkey's, another block's, and a mangled proof.
        assert_noop!(call(3, NET, 9, good(), 102), E::InvalidSeal);
        assert_noop!(call(2, NET, 9, good(), 103), E::InvalidSeal);
        assert_noop!(call(2, NET, 8, good(), 102), E::InvalidSeal);
        assert_noop!(call(2, NET, 9, (good().0, good().1[..31].to_vec()), 102), E::InvalidSeal);
        assert_ok!(Subtensor::try_associate_hotkey(signed(&account(3)), hotkey(2)));
        assert_noop!(call(2, NET, 9, good(), 102), E::NonAssociatedColdKey);
        s::NetworkPowRegistrationAllowed::<Test>::insert(NET, false);
        assert_noop!(call(2, NET, 9, good(), 102), E::SubNetRegistrationDisabled);
        s::NetworkPowRegistrationAllowed::<Test>::insert(NET, true);
        s::NetworkRegistrationAllowed::<Test>::insert(NET, false);
        assert_noop!(call(2, NET, 9, good(), 102), E::SubNetRegistrationDisabled);
    });
}

#[test]
fn one_proof_a_block_and_none_twice() {
    mining(|| {
        let first = mine(9, &hotkey(2), &account(2), true);
        assert_ok!(call(2, NET, 9, first.clone(), 102));
        assert_noop!(call(3, NET, 9, mine(9, &hotkey(3), &account(3), true), 103), E::TooManyRegistrationsThisBlock);
        next_block();
        assert_ok!(call(3, NET, 9, mine(9, &hotkey(3), &account(3), true), 103));
        // Hotkey 2 is pruned; the same proof does not bring it back.
        s::Uids::<Test>::remove(NET, hotkey(2));
        next_block();
        assert_noop!(call(2, NET, 9, first, 102), E::InvalidWorkBlock);
    });
}

#[test]
fn the_owner_switches_it_on_and_the_chain_s_least_difficulty_holds() {
    mining(|| {
        use starling_pallets::admin_utils::Pallet as Admin;
        let admin =
            |who: u8, on| Admin::<Test>::sudo_set_network_pow_registration_allowed(signed(&account(who)), NET, on);
        assert_ok!(admin(1, false));
        assert!(!s::NetworkPowRegistrationAllowed::<Test>::get(NET));
        assert!(admin(2, true).is_err());
        assert_ok!(admin(1, true));
        assert_eq!(Subtensor::pow_difficulty(NET), 100);
        s::MinDifficulty::<Test>::insert(NET, 500);
        assert_eq!(Subtensor::pow_difficulty(NET), 500);
        s::MaxDifficulty::<Test>::insert(NET, 20);
        assert_eq!(Subtensor::pow_difficulty(NET), 500, "an owner's maximum does not undercut the minimum");
        s::MinDifficulty::<Test>::insert(NET, 0);
        assert_eq!(Subtensor::pow_difficulty(NET), 20);
    });
}

#[test]
fn register_burns_as_burned_register_does_for_whoever_signs() {
    open(|| {
        let burn = s::Burn::<Test>::get(NET);
        let call = |cold: u8| Subtensor::register(signed(&account(cold)), NET, 0, 0, vec![], hotkey(2), account(9));
        assert_ok!(call(2));
        assert_eq!(s::Owner::<Test>::get(hotkey(2)), account(2), "the coldkey argument says nothing");
        assert_eq!(Balances::free_balance(account(2)), ENDOWMENT - burn);
        assert!(s::Burn::<Test>::get(NET) > burn);
        assert_noop!(call(2), E::HotKeyAlreadyRegisteredInSubNet);
    });
}
