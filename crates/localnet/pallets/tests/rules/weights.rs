//! Setting weights: checks in the public order, upscaling, what is written (chain.md 4).

use frame_support::{assert_noop, assert_ok};
use parity_scale_codec::Compact;
use starling_pallets::{
    subtensor::{self as s, Error, Event, max_upscale},
    types::ROOT,
};

use super::support::*;

type E = Error<Test>;

#[test]
fn weights_are_stored_upscaled_with_their_zeros_and_their_block() {
    open(|| {
        let uid = validator(2, 10 * TAO);
        run_to(4);
        assert_ok!(set_weights(&hotkey(2), &[(0, 10), (1, 0)]));
        assert_eq!(s::Weights::<Test>::get(NET, uid), [(0, 65_535), (1, 0)]);
        assert_eq!(s::LastUpdate::<Test>::get(NET)[usize::from(uid)], 4);
        assert!(events().contains(&Event::WeightsSet(NET, uid)));
    });
}

#[test]
fn commit_reveal_is_looked_at_before_anything_else() {
    open(|| {
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        // Unregistered, unequal lengths: still the same answer.
        let call = Subtensor::set_weights(signed(&account(99)), NET, vec![0], vec![], 0);
        assert_noop!(call, E::CommitRevealEnabled);
        assert_noop!(
            Subtensor::set_mechanism_weights(signed(&account(99)), NET, 0, vec![0], vec![], 0),
            E::CommitRevealEnabled
        );
    });
}

#[test]
fn refusals_come_in_the_public_order() {
    open(|| {
        s::CommitRevealWeightsEnabled::<Test>::insert(ROOT, false);
        s::CommitRevealWeightsEnabled::<Test>::insert(9, false);
        let uid = register(2);
        register(3);
        let call = |who: u8, netuid, uids: &[u16], values: &[u16], key| {
            Subtensor::set_weights(signed(&account(who)), netuid, uids.to_vec(), values.to_vec(), key)
        };
        assert_noop!(call(102, ROOT, &[0], &[], 0), E::CanNotSetRootNetworkWeights);
        assert_noop!(call(102, 9, &[0], &[], 0), E::WeightVecNotEqualSize);
        assert_noop!(call(102, 9, &[0], &[1], 0), E::MechanismDoesNotExist);
        assert_noop!(
            Subtensor::set_mechanism_weights(signed(&hotkey(2)), NET, 1, vec![0], vec![1], 0),
            E::MechanismDoesNotExist
        );
        assert_noop!(call(99, NET, &[0, 1, 2, 3], &[1; 4], 0), E::UidsLengthExceedUidsInSubNet);
        s::StakeThreshold::<Test>::put(TAO);
        s::WeightsVersionKey::<Test>::insert(NET, 7);
        s::WeightsSetRateLimit::<Test>::insert(NET, 100);
        s::MinAllowedWeights::<Test>::insert(NET, 3);
        assert_noop!(call(99, NET, &[0, 0], &[1, 1], 6), E::HotKeyNotRegisteredInSubNet);
        assert_noop!(call(102, NET, &[9, 9], &[1, 1], 6), E::NotEnoughStakeToSetWeights);
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 2 * TAO));
        assert_noop!(call(102, NET, &[9, 9], &[1, 1], 6), E::IncorrectWeightVersionKey);
        assert_noop!(call(102, NET, &[9, 9], &[1, 1], 7), E::SettingWeightsTooFast);
        s::WeightsSetRateLimit::<Test>::insert(NET, 0);
        assert_noop!(call(102, NET, &[9, 9], &[1, 1], 8), E::NeuronNoValidatorPermit);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_noop!(call(102, NET, &[9, 9], &[1, 1], 8), E::DuplicateUids);
        assert_noop!(call(102, NET, &[0, 9], &[1, 1], 8), E::UidVecContainInvalidOne);
        assert_noop!(call(102, NET, &[0, 1], &[1, 1], 8), E::WeightVecLengthIsLow);
        assert_noop!(call(102, NET, &[], &[], 8), E::WeightVecLengthIsLow);
        assert_ok!(call(102, NET, &[0, 1, 2], &[1, 1, 1], 8));
    });
}

#[test]
fn one_self_weight_needs_neither_permit_nor_length() {
    open(|| {
        let uid = register(2);
        register(3);
        s::MinAllowedWeights::<Test>::insert(NET, 3);
        assert_ok!(set_weights(&hotkey(2), &[(uid, 1)]));
        assert_noop!(set_weights(&hotkey(2), &[(0, 1)]), E::NeuronNoValidatorPermit);
    });
}

#[test]
fn the_owner_hotkey_needs_neither_stake_nor_permit() {
    open(|| {
        register(2);
        s::StakeThreshold::<Test>::put(TAO);
        assert_ok!(set_weights(&account(101), &[(1, 1)]));
    });
}

#[test]
fn the_rate_limit_counts_from_the_last_update_and_lets_the_limit_itself_pass() {
    open(|| {
        validator(2, 10 * TAO);
        s::WeightsSetRateLimit::<Test>::insert(NET, 3);
        run_to(4);
        assert_ok!(set_weights(&hotkey(2), &[(0, 1)]));
        run_to(6);
        assert_noop!(set_weights(&hotkey(2), &[(0, 1)]), E::SettingWeightsTooFast);
        run_to(7);
        assert_ok!(set_weights(&hotkey(2), &[(0, 1)]));
    });
}

#[test]
fn upscaling_is_the_public_chain_s_to_the_bit() {
    assert_eq!(max_upscale(&[]), Vec::<u16>::new());
    assert_eq!(max_upscale(&[0, 0]), [0, 0]);
    assert_eq!(max_upscale(&[1]), [65_535]);
    assert_eq!(max_upscale(&[1, 2, 3, 4]), [16_384, 32_768, 49_151, 65_535], "halves go away from zero");
    assert_eq!(max_upscale(&[65_535, 1, 0]), [65_535, 1, 0]);
    // Above half the range the factor 65535/max is formed first, and truncated to 32 fraction bits.
    for max in [32_769u16, 40_000, 50_001, 65_534] {
        let factor = (65_535u64 << 32) / u64::from(max);
        for value in [1u16, 2, 999, 20_000, max / 2, max] {
            let exact = u64::from(value) * factor;
            let rounded = (exact + (1 << 31)) >> 32;
            assert_eq!(u64::from(max_upscale(&[max, value])[1]), rounded, "{value} of {max}");
        }
    }
    // The chain's own numbers agree with the validator's library.
    for list in [[3u16, 7, 65_000], [12_345, 54_321, 1], [32_768, 32_767, 5]] {
        assert_eq!(max_upscale(&list), starling_yuma::upscale::upscale(&list));
    }
}

#[test]
fn a_batch_says_which_item_failed_and_keeps_the_others() {
    open(|| {
        let uid = validator(2, 10 * TAO);
        let pair = |uid: u16, value: u16| vec![(Compact(uid), Compact(value))];
        let call = |netuids: Vec<u16>, versions: Vec<u64>| {
            let weights = netuids.iter().map(|_| pair(0, 1)).collect();
            Subtensor::batch_set_weights(
                signed(&hotkey(2)),
                netuids.into_iter().map(Compact).collect(),
                weights,
                versions.into_iter().map(Compact).collect(),
            )
        };
        assert_noop!(call(vec![NET, 9], vec![0]), E::InputLengthsUnequal);
        s::CommitRevealWeightsEnabled::<Test>::insert(9, false);
        assert_ok!(call(vec![9, NET], vec![0, 0]));
        assert_eq!(s::Weights::<Test>::get(NET, uid), [(0, 65_535)]);
        let events = events();
        assert!(events.contains(&Event::BatchWeightItemFailed(9, E::MechanismDoesNotExist.into())));
        assert!(events.contains(&Event::BatchCompletedWithErrors()));
        assert!(events.contains(&Event::BatchWeightsCompleted(vec![Compact(9), Compact(NET)], hotkey(2))));
    });
}
