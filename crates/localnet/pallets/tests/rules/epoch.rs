//! The epoch: Yuma over the chain's own state, and what it pays (chain.md 6). Yuma's arithmetic has its tests in
//! `starling_yuma`; here: that the right state goes in, and that the money comes out where it should.

use frame_support::assert_ok;
use starling_pallets::{
    subtensor::{self as s, Event},
    types::ROOT,
};

use super::support::*;

/// Validators are coldkeys 2 and 3 (uids 1, 2), miners 4, 5, 6 (uids 3, 4, 5); the first epoch, at block 10, gave the permits.
fn swarm(test: impl FnOnce()) {
    open(|| {
        for byte in 2..=6 {
            s::Burn::<Test>::insert(NET, TAO / 10);
            register(byte);
        }
        for byte in [2, 3] {
            assert_ok!(Subtensor::add_stake(signed(&account(byte)), hotkey(byte), NET, 100 * TAO));
        }
        run_to(11);
        assert_eq!(s::ValidatorPermit::<Test>::get(NET), [true, true, true, false, false, false]);
        test();
    });
}

fn alpha(byte: u8) -> u64 {
    s::TotalHotkeyAlpha::<Test>::get(hotkey(byte), NET)
}

/// Alpha that is staked or pending is all the alpha there is outside the pool.
fn assert_alpha_is_accounted_for() {
    let staked: u64 =
        s::TotalHotkeyAlpha::<Test>::iter().filter(|(_, netuid, _)| *netuid == NET).map(|(.., a)| a).sum();
    let pending = Subtensor::pending_emission(NET) + s::PendingOwnerCut::<Test>::get(NET);
    assert_eq!(s::SubnetAlphaOut::<Test>::get(NET), staked + pending, "at block {}", now());
}

/// Every TAO is somebody's balance, and the pools' are in their accounts.
fn assert_tao_is_accounted_for() {
    let held: u64 = frame_system::Account::<Test>::iter().map(|(_, account)| account.data.free).sum();
    assert_eq!(Balances::total_issuance(), held);
    let mut staked = 0;
    for netuid in [ROOT, NET] {
        let pool = s::SubnetTAO::<Test>::get(netuid);
        assert_eq!(Balances::free_balance(Subtensor::subnet_account(netuid)), pool + 500);
        staked += pool;
    }
    assert_eq!(s::TotalStake::<Test>::get(), staked);
}

#[test]
fn miners_are_paid_by_their_weights_and_one_without_weight_gets_nothing() {
    swarm(|| {
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(3, 100), (4, 100), (5, 0)]));
        }
        let server = s::PendingServerEmission::<Test>::get(NET);
        let before = [4, 5, 6].map(alpha);
        run_to(20);
        let incentive = s::Incentive::<Test>::get(NET);
        assert_eq!(incentive[5], 0);
        assert_eq!(incentive[3], incentive[4]);
        assert!(incentive[3] >= 32_766);
        let paid: Vec<u64> = [4, 5, 6].map(alpha).iter().zip(before).map(|(after, before)| after - before).collect();
        // Nine more blocks' halves came in since block 11.
        let due = server * 10;
        assert!(paid[0].abs_diff(due / 2) < 100 && paid[0] == paid[1], "{paid:?} of {due}");
        assert_eq!(paid[2], 0);
        assert_eq!(Subtensor::stake_of(&hotkey(4), &account(4), NET), alpha(4), "it belongs to the miner's coldkey");
        let emissions = vec![0, 0, 0, paid[0], paid[1], 0];
        assert!(events().contains(&Event::IncentiveAlphaEmittedToMiners { netuid: NET, emissions }));
        assert!(s::Emission::<Test>::get(NET)[3] > 0);
    });
}

#[test]
fn validators_are_paid_for_their_bonds_and_the_owner_gets_its_cut() {
    swarm(|| {
        // Both back the same miner with the same stake; validator 2 alone backs nobody else.
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(3, 1)]));
        }
        let before = [2, 3].map(alpha);
        let owner_before = s::TotalHotkeyAlpha::<Test>::get(account(101), NET);
        let (cut, half) = (s::PendingOwnerCut::<Test>::get(NET), s::PendingValidatorEmission::<Test>::get(NET));
        run_to(20);
        let dividends = s::Dividends::<Test>::get(NET);
        assert!(dividends[1] > 0 && dividends[2] > 0 && dividends[3] == 0);
        let paid = [alpha(2) - before[0], alpha(3) - before[1]];
        assert!((paid[0] + paid[1]).abs_diff(half * 10) < 100, "{paid:?}");
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(account(101), NET) - owner_before, cut * 10);
        assert!(s::AlphaDividendsPerSubnet::<Test>::get(NET, hotkey(2)) > 0);
    });
}

#[test]
fn nominators_get_their_part_after_the_delegate_s_take() {
    swarm(|| {
        // Coldkey 7 nominates hotkey 2 with as much as its owner has; the take is 18 percent.
        let own = Subtensor::stake_of(&hotkey(2), &account(2), NET);
        assert_ok!(Subtensor::add_stake(signed(&account(7)), hotkey(2), NET, 150 * TAO));
        let nominated = Subtensor::stake_of(&hotkey(2), &account(7), NET);
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(3, 1)]));
        }
        let total = alpha(2);
        run_to(20);
        let paid = alpha(2) - total;
        let take = paid as u128 * 11_796 / 65_535;
        let share = (paid as u128 - take) * u128::from(nominated) / u128::from(own + nominated);
        let gained = Subtensor::stake_of(&hotkey(2), &account(7), NET) - nominated;
        assert!(u128::from(gained).abs_diff(share) < 10, "{gained} against {share}");
    });
}

#[test]
fn a_validator_with_root_stake_only_earns_for_its_root_stakers() {
    open(|| {
        register(2);
        register(3);
        assert_ok!(Subtensor::add_stake(signed(&account(8)), hotkey(2), ROOT, 1_000 * TAO));
        run_to(11);
        assert!(s::ValidatorPermit::<Test>::get(NET)[1]);
        assert_ok!(set_weights(&hotkey(2), &[(2, 1)]));
        run_to(20);
        assert!(s::RootAlphaDividendsPerSubnet::<Test>::get(NET, hotkey(2)) > 0);
        let (staker, owner) =
            (Subtensor::stake_of(&hotkey(2), &account(8), NET), Subtensor::stake_of(&hotkey(2), &account(2), NET));
        assert!(staker > owner && owner > 0, "the staker's 82 percent and the owner's take: {staker} {owner}");
        assert_alpha_is_accounted_for();
    });
}

#[test]
fn what_the_owner_hotkey_mines_is_recycled() {
    swarm(|| {
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(0, 1)]));
        }
        let before = s::TotalHotkeyAlpha::<Test>::get(account(101), NET);
        let cut = s::PendingOwnerCut::<Test>::get(NET);
        run_to(20);
        assert!(s::Incentive::<Test>::get(NET)[0] > 65_000);
        assert_eq!(s::TotalHotkeyAlpha::<Test>::get(account(101), NET) - before, cut * 10, "its cut and nothing else");
        assert_alpha_is_accounted_for();
    });
}

#[test]
fn without_miners_validators_get_all_and_without_validators_nobody_does() {
    swarm(|| {
        let due = Subtensor::pending_emission(NET) + s::PendingOwnerCut::<Test>::get(NET);
        // The owner's cut of the first epoch is stake, and the owner always has a permit: it is hotkey 1 here.
        let before: u64 = [1, 2, 3].map(alpha).iter().sum();
        run_to(20);
        let paid = [1, 2, 3].map(alpha).iter().sum::<u64>() - before;
        assert!(paid.abs_diff(due * 10) < 100, "{paid} of {}", due * 10);
        assert!(alpha(2) > 100 * alpha(4), "miners got nothing");
    });
    open(|| {
        register(4);
        run_to(10);
        assert_eq!(alpha(4), 0);
        assert_eq!(Subtensor::pending_emission(NET), 0);
        assert_alpha_is_accounted_for();
    });
}

#[test]
fn with_commit_reveal_the_revealed_weights_pay() {
    let mut genesis = open_genesis();
    genesis.subnet.commit_reveal_enabled = true;
    chain(genesis, || {
        for byte in 2..=4 {
            register(byte);
        }
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 100 * TAO));
        run_to(11);
        let hash = s::commit_hash(&hotkey(2), NET, &[2], &[1], &[9], 0);
        assert_ok!(Subtensor::commit_weights(signed(&hotkey(2)), NET, hash));
        run_to(20);
        assert_eq!(s::Incentive::<Test>::get(NET)[2], 0, "not revealed yet");
        assert_ok!(Subtensor::reveal_weights(signed(&hotkey(2)), NET, vec![2], vec![1], vec![9], 0));
        run_to(30);
        assert!(s::Incentive::<Test>::get(NET)[2] > 65_000);
        assert!(alpha(3) > 0);
    });
}

#[test]
fn a_neuron_registered_after_the_weights_inherits_none_of_them() {
    swarm(|| {
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(3, 1), (4, 1)]));
        }
        // Uid 4 goes to a newcomer in the same block.
        s::MaxAllowedUids::<Test>::insert(NET, 6);
        s::MinNonImmuneUids::<Test>::insert(NET, 0);
        s::Emission::<Test>::mutate(NET, |emission| emission[3] = 1);
        s::Emission::<Test>::mutate(NET, |emission| emission[5] = 1);
        assert_eq!(register(9), 4);
        run_to(20);
        let incentive = s::Incentive::<Test>::get(NET);
        assert_eq!(incentive[4], 0);
        assert!(incentive[3] > 65_000);
    });
}

#[test]
fn bonds_stay_with_those_who_have_a_permit_only() {
    swarm(|| {
        for byte in [2, 3] {
            assert_ok!(set_weights(&hotkey(byte), &[(3, 1)]));
        }
        run_to(20);
        assert!(!s::Bonds::<Test>::get(NET, 1).is_empty() && !s::Bonds::<Test>::get(NET, 2).is_empty());
        // One permit: the owner always has it, so both validators lose theirs or one stays by stake.
        s::MaxAllowedValidators::<Test>::insert(NET, 1);
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 50 * TAO));
        run_to(30);
        assert_eq!(s::ValidatorPermit::<Test>::get(NET)[..3], [true, true, false]);
        assert!(s::Bonds::<Test>::get(NET, 2).is_empty());
        assert!(!s::Bonds::<Test>::get(NET, 1).is_empty());
    });
}

#[test]
fn contradictory_state_skips_the_epoch_and_keeps_its_emission() {
    swarm(|| {
        s::Weights::<Test>::insert(NET, 1, vec![(77, 1)]);
        let step = s::LastMechansimStepBlock::<Test>::get(NET);
        run_to(20);
        assert!(events().contains(&Event::EpochSkipped { netuid: NET, block: 20 }));
        assert!(Subtensor::pending_emission(NET) > 0);
        assert_eq!(s::LastMechansimStepBlock::<Test>::get(NET), step);
        assert_eq!(s::SubnetEpochIndex::<Test>::get(NET), 2, "the clock goes on: commits depend on it");
        s::Weights::<Test>::insert(NET, 1, vec![(3, 1)]);
        run_to(30);
        assert_eq!(Subtensor::pending_emission(NET), 0);
        assert_alpha_is_accounted_for();
    });
}

#[test]
fn no_money_is_made_or_lost_over_many_epochs() {
    swarm(|| {
        assert_ok!(Subtensor::add_stake(signed(&account(8)), hotkey(3), ROOT, 777 * TAO));
        assert_ok!(Subtensor::add_stake(signed(&account(7)), hotkey(2), NET, 33 * TAO + 1));
        for block in 11..=75u64 {
            run_to(block);
            if block % 7 == 0 {
                let odd = u16::try_from(block).unwrap();
                for byte in [2, 3] {
                    assert_ok!(set_weights(&hotkey(byte), &[(3, 1), (4, odd), (5, 7), (0, u16::from(byte))]));
                }
            }
            if block % 11 == 0 {
                assert_ok!(Subtensor::add_stake(signed(&account(7)), hotkey(2), NET, TAO + block));
                let held = Subtensor::stake_of(&hotkey(2), &account(7), NET);
                assert_ok!(Subtensor::remove_stake(signed(&account(7)), hotkey(2), NET, held / 3));
            }
            if block == 40 {
                register(9);
            }
            assert_alpha_is_accounted_for();
            assert_tao_is_accounted_for();
        }
        assert!([4, 5, 6].into_iter().all(|byte| alpha(byte) > 0));
    });
}

#[test]
fn older_runtimes_keep_rank_trust_and_pruning_scores_and_the_upgrade_clears_them() {
    use frame_support::traits::Hooks;
    swarm(|| {
        RemovedStorage::set(true);
        // The stronger validator backs uid 3 alone: what the other gives to uid 4 the majority does not support.
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 100 * TAO));
        assert_ok!(set_weights(&hotkey(2), &[(3, 1)]));
        assert_ok!(set_weights(&hotkey(3), &[(3, 1), (4, 1)]));
        run_to(20);
        assert_eq!(s::Rank::<Test>::get(NET), s::Incentive::<Test>::get(NET));
        let trust = s::Trust::<Test>::get(NET);
        assert!(trust[3] == u16::MAX && trust[4] == 0 && trust[5] == 0, "{trust:?}");
        let scores = s::PruningScores::<Test>::get(NET);
        assert_eq!(scores.iter().max(), Some(&u16::MAX));
        let graph = Subtensor::metagraph(NET).unwrap();
        assert_eq!((graph.rank.len(), graph.trust.len(), graph.pruning_score.len()), (6, 6, 6));
        assert_eq!(graph.trust[3].0, u16::MAX);
        assert_eq!(Subtensor::neuron_lite(NET, 3).unwrap().trust.0, u16::MAX);

        RemovedStorage::set(false);
        Subtensor::on_runtime_upgrade();
        assert!(s::Rank::<Test>::get(NET).is_empty() && s::Trust::<Test>::get(NET).is_empty());
        let graph = Subtensor::metagraph(NET).unwrap();
        assert!(graph.rank.is_empty() && graph.trust.is_empty() && graph.pruning_score.is_empty());
        assert_eq!(Subtensor::neuron_lite(NET, 3).unwrap().pruning_score.0, u16::MAX);
        run_to(30);
        assert!(s::Rank::<Test>::get(NET).is_empty(), "and nothing writes them any more");
    });
}
