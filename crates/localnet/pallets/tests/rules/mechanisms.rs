//! Several mechanisms on one subnet (chain.md 3, 6.10).

use frame_support::{assert_noop, assert_ok};
use starling_pallets::{
    subtensor::{self as s, Error, Event, commit_hash},
    types::storage_index,
};

use super::support::*;

type E = Error<Test>;

/// The storage index of mechanism 1.
const SECOND: u16 = 4_097;

/// Validators 2 and 3, miners 4 and 5 (uids 3 and 4), two mechanisms, permits given at block 10.
fn two(test: impl FnOnce()) {
    open(|| {
        s::MaxAllowedUids::<Test>::insert(NET, 128);
        for byte in 2..=5 {
            register(byte);
        }
        for byte in [2, 3] {
            assert_ok!(Subtensor::add_stake(signed(&account(byte)), hotkey(byte), NET, 100 * TAO));
        }
        assert_ok!(Subtensor::set_mechanism_count(NET, 2));
        run_to(11);
        test();
    });
}

fn set(byte: u8, mecid: u8, uid: u16) -> frame_support::dispatch::DispatchResult {
    Subtensor::set_mechanism_weights(signed(&hotkey(byte)), NET, mecid, vec![uid], vec![1], 0)
}

fn alpha(byte: u8) -> u64 {
    s::TotalHotkeyAlpha::<Test>::get(hotkey(byte), NET)
}

#[test]
fn each_mechanism_has_weights_rate_limits_and_commits_of_its_own() {
    two(|| {
        assert_eq!(storage_index(NET, 1), Some(SECOND));
        s::WeightsSetRateLimit::<Test>::insert(NET, 5);
        run_to(20);
        assert_ok!(set(2, 0, 3));
        assert_ok!(set(2, 1, 4));
        assert!(events().contains(&Event::WeightsSet(SECOND, 1)));
        assert_eq!(
            (s::Weights::<Test>::get(NET, 1), s::Weights::<Test>::get(SECOND, 1)),
            (vec![(3, 65_535)], vec![(4, 65_535)])
        );
        assert_eq!(s::LastUpdate::<Test>::get(SECOND)[1], 20);
        assert_noop!(set(2, 1, 3), E::SettingWeightsTooFast);
        assert_noop!(set(2, 2, 3), E::MechanismDoesNotExist);

        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        run_to(25);
        let hash = commit_hash(&hotkey(2), SECOND, &[3], &[9], &[1], 0);
        assert_ok!(Subtensor::commit_mechanism_weights(signed(&hotkey(2)), NET, 1, hash));
        assert!(s::WeightCommits::<Test>::get(NET, hotkey(2)).is_none());
        run_to(30);
        let reveal =
            |mecid| Subtensor::reveal_mechanism_weights(signed(&hotkey(2)), NET, mecid, vec![3], vec![9], vec![1], 0);
        assert_noop!(reveal(0), E::NoWeightsCommitFound);
        assert_ok!(reveal(1));
        assert_eq!(s::Weights::<Test>::get(SECOND, 1), [(3, 65_535)]);
    });
}

#[test]
fn emission_is_divided_evenly_or_as_the_owner_says_and_each_mechanism_pays_its_own_miners() {
    for (split, share) in [(None, 2), (Some(vec![13_107, 52_428]), 5)] {
        two(|| {
            assert_ok!(Subtensor::set_mechanism_split(NET, split.clone()));
            for byte in [2, 3] {
                assert_ok!(set(byte, 0, 3));
                assert_ok!(set(byte, 1, 4));
            }
            let due = s::PendingServerEmission::<Test>::get(NET) * 10;
            let before = [alpha(4), alpha(5)];
            run_to(20);
            let paid = [alpha(4) - before[0], alpha(5) - before[1]];
            assert!((paid[0] + paid[1]).abs_diff(due) < 1_000, "{paid:?} of {due}");
            assert!(paid[0].abs_diff(due / share) < due / 1_000, "{paid:?}: one in {share} of {due}");
            assert!(s::Incentive::<Test>::get(NET)[3] > 65_000 && s::Incentive::<Test>::get(NET)[4] == 0);
            assert!(s::Incentive::<Test>::get(SECOND)[4] > 65_000 && s::Incentive::<Test>::get(SECOND)[3] == 0);
            assert!(!s::Bonds::<Test>::get(NET, 1).is_empty() && !s::Bonds::<Test>::get(SECOND, 1).is_empty());
            for (index, uid) in [(NET, 3), (SECOND, 4)] {
                let told = events().into_iter().find_map(|event| match event {
                    Event::IncentiveAlphaEmittedToMiners { netuid, emissions } if netuid == index => Some(emissions),
                    _ => None,
                });
                assert_eq!(told.unwrap()[uid], paid[uid - 3]);
            }
            // Per subnet stands the sum weighted by the split.
            let consensus = s::Consensus::<Test>::get(NET);
            let exact = [65_535 / share, 65_535 - 65_535 / share];
            let near = |uid: usize, exact: u64| u64::from(consensus[uid]).abs_diff(exact) <= 3;
            assert!(near(3, exact[0]) && near(4, exact[1]), "{consensus:?}");
        });
    }
}

#[test]
fn a_mechanism_that_goes_leaves_nothing_behind() {
    two(|| {
        assert_ok!(set(2, 1, 4));
        assert_ok!(Subtensor::set_mechanism_split(NET, Some(vec![1, 65_534])));
        assert_ok!(Subtensor::set_mechanism_count(NET, 1));
        assert!(s::Weights::<Test>::get(SECOND, 1).is_empty());
        assert!(s::LastUpdate::<Test>::get(SECOND).is_empty() && s::Incentive::<Test>::get(SECOND).is_empty());
        assert_eq!(s::MechanismEmissionSplit::<Test>::get(NET), None);
        assert_noop!(set(2, 1, 4), E::MechanismDoesNotExist);
    });
}

#[test]
fn a_new_neuron_begins_anew_in_every_mechanism() {
    two(|| {
        s::Weights::<Test>::insert(SECOND, 4, vec![(1, 1)]);
        s::Bonds::<Test>::insert(SECOND, 4, vec![(1, 1)]);
        s::MaxAllowedUids::<Test>::insert(NET, 5);
        s::MinNonImmuneUids::<Test>::insert(NET, 0);
        s::Emission::<Test>::insert(NET, vec![9, 9, 9, 9, 0]);
        assert_eq!(register(9), 4);
        assert!(s::Weights::<Test>::get(SECOND, 4).is_empty() && s::Bonds::<Test>::get(SECOND, 4).is_empty());
        assert_eq!(s::LastUpdate::<Test>::get(SECOND)[4], now());
    });
}

#[test]
fn count_and_split_have_bounds_and_the_owner_sets_them() {
    open(|| {
        let count = |who: u8, n| AdminUtils::sudo_set_mechanism_count(signed(&account(who)), NET, n);
        let split = |parts| AdminUtils::sudo_set_mechanism_emission_split(signed(&owner()), NET, parts);
        assert_noop!(count(1, 2), E::TooManyUIDsPerMechanism);
        s::MaxAllowedUids::<Test>::insert(NET, 128);
        assert!(count(2, 2).is_err());
        assert_noop!(count(1, 0), E::InvalidValue);
        assert_noop!(count(1, 3), E::InvalidValue);
        assert_ok!(count(1, 2));
        assert_noop!(AdminUtils::sudo_set_max_allowed_uids(signed(&owner()), NET, 129), E::TooManyUIDsPerMechanism);
        assert_noop!(split(Some(vec![65_535])), E::InvalidValue);
        assert_noop!(split(Some(vec![1, 65_535])), E::InvalidValue);
        assert_ok!(split(Some(vec![1, 65_534])));
        assert_eq!(Subtensor::mechanism_split(NET), [1, 65_534]);
        assert_ok!(split(None));
        assert_eq!(Subtensor::mechanism_split(NET), [32_768, 32_767], "what rounding leaves is the main one's");
    });
}

#[test]
fn a_mechagraph_shows_the_mechanism_s_updates_and_incentives() {
    two(|| {
        assert_ok!(set(2, 1, 4));
        run_to(20);
        let graph = Subtensor::mechagraph(NET, 1).unwrap();
        assert_eq!(graph.netuid.0, SECOND);
        assert!(graph.incentives[4].0 > 65_000 && graph.incentives[3].0 == 0);
        assert_eq!(graph.last_update[1].0, 11);
        assert_eq!(graph.hotkeys, Subtensor::metagraph(NET).unwrap().hotkeys);
        let picked = Subtensor::selective_mechagraph(NET, 1, &[0, 62]).unwrap();
        assert_eq!((picked.netuid.0, picked.incentives.unwrap()), (SECOND, graph.incentives));
        assert!(Subtensor::mechagraph(NET, 2).is_none() && Subtensor::mechagraph(9, 0).is_none());
        // Root has one, the subnet two.
        assert_eq!(Subtensor::mechagraphs().len(), 3);
    });
}
