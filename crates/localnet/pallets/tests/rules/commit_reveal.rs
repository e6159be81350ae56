//! Commit and reveal by hash, on the epoch clock (chain.md 5.1, 5.2).

use frame_support::{assert_noop, assert_ok};
use sp_core::H256;
use starling_pallets::subtensor::{self as s, Error, Event, commit_hash};

use super::support::*;

type E = Error<Test>;

/// Tempo 10, commit-reveal on, one validator (coldkey 2) at block 1.
fn committing(test: impl FnOnce(u16)) {
    let mut genesis = open_genesis();
    genesis.subnet.commit_reveal_enabled = true;
    chain(genesis, || {
        let uid = validator(2, 10 * TAO);
        test(uid);
    });
}

fn hash(value: u16) -> H256 {
    commit_hash(&hotkey(2), NET, &[0], &[value], &[1, 2, 3], 0)
}

fn commit(value: u16) -> frame_support::dispatch::DispatchResult {
    Subtensor::commit_weights(signed(&hotkey(2)), NET, hash(value))
}

fn reveal(value: u16) -> frame_support::dispatch::DispatchResult {
    Subtensor::reveal_weights(signed(&hotkey(2)), NET, vec![0], vec![value], vec![1, 2, 3], 0)
}

#[test]
fn the_hash_is_the_public_vector() {
    let alice = hex::decode("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d").unwrap();
    let alice = sp_runtime::AccountId32::new(alice.try_into().unwrap());
    let hash = |index| hex::encode(commit_hash(&alice, index, &[0, 1], &[65_535, 32_768], &[1, 2, 3, 4], 0));
    assert_eq!(hash(1), "57aa47d5881d5df1eb20e8d94c5af6b79d7154e59e15987bc04d75b71270fbb0");
    assert_eq!(hash(4_097), "e74dedb71cef847d43171b2fba8e6068d930f2df018e22f2b0f96ed9a50c7e23");
}

#[test]
fn a_commit_counts_as_the_update_and_a_reveal_writes_the_weights() {
    committing(|uid| {
        run_to(3);
        assert_ok!(commit(5));
        assert!(events().contains(&Event::WeightsCommitted(hotkey(2), NET, hash(5))));
        assert_eq!(s::WeightCommits::<Test>::get(NET, hotkey(2)).unwrap(), [(hash(5), 0, 3, 0)]);
        // Epoch 0 ends with block 10, whose extrinsics already belong to epoch 1.
        run_to(9);
        assert_noop!(reveal(5), E::RevealTooEarly);
        run_to(10);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_ok!(reveal(5));
        assert_eq!(s::Weights::<Test>::get(NET, uid), [(0, 65_535)]);
        assert_eq!(s::LastUpdate::<Test>::get(NET)[usize::from(uid)], 3, "the block of the commit, not of the reveal");
        assert!(s::WeightCommits::<Test>::get(NET, hotkey(2)).is_none());
        assert!(events().contains(&Event::WeightsRevealed(hotkey(2), NET, hash(5))));
        assert_noop!(reveal(5), E::NoWeightsCommitFound);
    });
}

#[test]
fn after_its_epoch_a_commit_is_expired_and_says_so() {
    committing(|_| {
        assert_ok!(commit(5));
        run_to(20);
        assert_noop!(reveal(5), E::ExpiredWeightCommit);
    });
}

#[test]
fn the_reveal_period_is_counted_in_epochs() {
    committing(|uid| {
        s::RevealPeriodEpochs::<Test>::insert(NET, 3);
        assert_ok!(commit(5));
        run_to(29);
        assert_noop!(reveal(5), E::RevealTooEarly);
        run_to(30);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_ok!(reveal(5));
    });
}

#[test]
fn what_does_not_match_is_refused_and_nothing_found_is_said() {
    committing(|_| {
        assert_noop!(reveal(5), E::NoWeightsCommitFound);
        assert_ok!(commit(5));
        run_to(10);
        assert_noop!(reveal(6), E::InvalidRevealCommitHashNotMatch);
    });
}

#[test]
fn a_reveal_takes_all_older_commits_with_it() {
    committing(|uid| {
        for value in 1..=3 {
            assert_ok!(commit(value));
        }
        run_to(10);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_ok!(reveal(2));
        let left = s::WeightCommits::<Test>::get(NET, hotkey(2)).unwrap();
        assert_eq!(left.iter().map(|commit| commit.0).collect::<Vec<_>>(), [hash(3)]);
        assert_noop!(reveal(1), E::InvalidRevealCommitHashNotMatch);
    });
}

#[test]
fn a_reveal_passes_the_checks_of_set_weights_and_a_failed_one_keeps_the_commit() {
    committing(|uid| {
        s::WeightsVersionKey::<Test>::insert(NET, 1);
        assert_ok!(commit(5));
        run_to(10);
        assert_noop!(reveal(5), E::IncorrectWeightVersionKey);
        s::WeightsVersionKey::<Test>::insert(NET, 0);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = false);
        assert_noop!(reveal(5), E::NeuronNoValidatorPermit);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_ok!(reveal(5));
    });
}

#[test]
fn commits_refuse_in_the_public_order() {
    committing(|_| {
        let call = |who: u8, netuid| Subtensor::commit_weights(signed(&account(who)), netuid, H256::zero());
        assert_noop!(call(102, 9), E::MechanismDoesNotExist);
        assert_noop!(
            Subtensor::commit_mechanism_weights(signed(&hotkey(2)), NET, 1, H256::zero()),
            E::MechanismDoesNotExist
        );
        assert_noop!(call(99, NET), E::HotKeyNotRegisteredInSubNet);
        s::WeightsSetRateLimit::<Test>::insert(NET, 5);
        assert_noop!(call(102, NET), E::CommittingWeightsTooFast);
        run_to(6);
        assert_ok!(call(102, NET));
        assert_noop!(call(102, NET), E::CommittingWeightsTooFast);
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, false);
        assert_noop!(call(102, NET), E::CommitRevealDisabled);
        assert_noop!(reveal(5), E::CommitRevealDisabled);
    });
}

#[test]
fn ten_commits_may_wait_and_expired_ones_do_not_count() {
    committing(|_| {
        for value in 0..10 {
            assert_ok!(commit(value));
        }
        assert_noop!(commit(10), E::TooManyUnrevealedCommits);
        run_to(20);
        assert_ok!(commit(11));
        assert_eq!(s::WeightCommits::<Test>::get(NET, hotkey(2)).unwrap().len(), 1);
    });
}

#[test]
fn a_batch_reveal_is_all_or_nothing_and_commits_may_come_in_a_batch() {
    committing(|uid| {
        let netuids = vec![parity_scale_codec::Compact(NET); 2];
        assert_ok!(Subtensor::batch_commit_weights(signed(&hotkey(2)), netuids, vec![hash(1), hash(2)]));
        run_to(10);
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        let call = |values: &[u16]| {
            let n = values.len();
            Subtensor::batch_reveal_weights(
                signed(&hotkey(2)),
                NET,
                vec![vec![0]; n],
                values.iter().map(|value| vec![*value]).collect(),
                vec![vec![1, 2, 3]; n],
                vec![0; n],
            )
        };
        // A dispatched call is one transaction of storage; here the layer is drawn by hand.
        let failed = frame_support::storage::with_storage_layer(|| call(&[1, 9]));
        assert_eq!(failed, Err(E::InvalidRevealCommitHashNotMatch.into()));
        assert_eq!(s::WeightCommits::<Test>::get(NET, hotkey(2)).unwrap().len(), 2, "nothing was consumed");
        assert_ok!(call(&[1, 2]));
        assert!(events().contains(&Event::WeightsBatchRevealed(hotkey(2), NET, vec![hash(1), hash(2)])));
    });
}
