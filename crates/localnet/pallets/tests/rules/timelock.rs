//! The beacon, timelocked weights and timelocked commitments (chain.md 5.2, 5.3).

use frame_support::{BoundedVec, assert_noop, assert_ok, dispatch::DispatchResult, traits::Hooks};
use parity_scale_codec::Encode;
use sp_runtime::{DispatchError, MultiSigner};
use starling_pallets::{
    commitments::{self as c, Data},
    drand::{self, Pulse, PulsesPayload},
    subtensor::{self as s, Error, Event},
};
use starling_timelock::{Entropy, LocalBeacon, Payload, encrypt, randomness};

use super::support::*;

type E = Error<Test>;

fn beacon() -> LocalBeacon {
    LocalBeacon::from_seed(b"rules")
}

fn listen() {
    let key = beacon().public_key().to_bytes().to_vec();
    drand::BeaconConfig::<Test>::mutate(|config| config.public_key = BoundedVec::truncate_from(key));
}

fn pulse(round: u64) -> Pulse {
    let signature = beacon().sign(round);
    Pulse {
        round,
        randomness: BoundedVec::truncate_from(randomness(&signature).to_vec()),
        signature: BoundedVec::truncate_from(signature.to_bytes().to_vec()),
    }
}

fn write(pulses: Vec<Pulse>) -> DispatchResult {
    let public = MultiSigner::Sr25519(sp_core::sr25519::Public::from_raw([0; 32]));
    let payload = PulsesPayload { block_number: 1, pulses, public };
    Drand::write_pulse(RuntimeOrigin::none(), payload, None)
}

/// Tempo 10, commit-reveal on, one validator (coldkey 2) at block 1, and the beacon's round 100 stored.
fn committing(test: impl FnOnce(u16)) {
    let mut genesis = open_genesis();
    genesis.subnet.commit_reveal_enabled = true;
    chain(genesis, || {
        listen();
        assert_ok!(write(vec![pulse(100)]));
        let uid = validator(2, 10 * TAO);
        test(uid);
    });
}

fn entropy() -> Entropy {
    Entropy { key: [1; 32], sigma: [2; 32], nonce: [3; 12] }
}

fn sealed(author: u8, value: u16, round: u64) -> BoundedVec<u8, sp_core::ConstU32<5_000>> {
    let payload = Payload { hotkey: hotkey(author).encode(), uids: vec![0, 1], values: vec![value, 1], version_key: 0 };
    BoundedVec::truncate_from(payload.seal(&beacon().public_key(), round, entropy()).unwrap())
}

fn commit(byte: u8, value: u16, round: u64) -> DispatchResult {
    Subtensor::commit_timelocked_weights(signed(&hotkey(byte)), NET, sealed(byte, value, round), round, 4)
}

fn waiting(epoch: u64) -> usize {
    s::TimelockedWeightCommits::<Test>::get(NET, epoch).len()
}

fn weights(uid: u16) -> Vec<(u16, u16)> {
    s::Weights::<Test>::get(NET, uid)
}

#[test]
fn rounds_are_stored_in_order_and_only_if_the_beacon_signed_them() {
    open(|| {
        assert_noop!(write(vec![pulse(7)]), drand::Error::<Test>::PulseVerificationError);
        listen();
        assert_ok!(write(vec![pulse(7), pulse(8)]));
        assert_eq!((drand::LastStoredRound::<Test>::get(), drand::OldestStoredRound::<Test>::get()), (8, 7));
        assert_eq!(drand::Pulses::<Test>::get(8), Some(pulse(8)));
        assert_noop!(write(vec![pulse(10)]), drand::Error::<Test>::InvalidRoundNumber);
        assert_noop!(write(vec![pulse(8)]), drand::Error::<Test>::InvalidRoundNumber);
        assert_noop!(write(Vec::new()), drand::Error::<Test>::InvalidRoundNumber);
        let forged = Pulse { round: 9, ..pulse(10) };
        assert_noop!(write(vec![forged]), drand::Error::<Test>::PulseVerificationError);
        let lying = Pulse { randomness: pulse(10).randomness, ..pulse(9) };
        assert_noop!(write(vec![lying]), drand::Error::<Test>::PulseVerificationError);
        let public = MultiSigner::Sr25519(sp_core::sr25519::Public::from_raw([0; 32]));
        let payload = PulsesPayload { block_number: 1, pulses: vec![pulse(9)], public };
        assert_noop!(Drand::write_pulse(signed(&owner()), payload, None), DispatchError::BadOrigin);
    });
}

#[test]
fn rounds_older_than_a_week_of_quicknet_are_forgotten_a_hundred_at_a_time() {
    open(|| {
        listen();
        // As after 300,000 rounds of which none was ever forgotten.
        drand::LastStoredRound::<Test>::put(300_000);
        drand::OldestStoredRound::<Test>::put(1);
        for round in [1, 100, 101] {
            drand::Pulses::<Test>::insert(round, pulse(round));
        }
        assert_ok!(write(vec![pulse(300_001)]));
        assert_eq!(drand::OldestStoredRound::<Test>::get(), 101);
        let there = |round| drand::Pulses::<Test>::contains_key(round);
        assert!(!there(1) && !there(100) && there(101) && there(300_001));
    });
}

#[test]
fn a_commit_is_revealed_in_the_first_block_of_its_epoch() {
    committing(|uid| {
        run_to(3);
        assert_ok!(commit(2, 8, 100));
        let hash = sp_core::H256(sp_io::hashing::blake2_256(&sealed(2, 8, 100).encode()));
        assert!(events().contains(&Event::TimelockedWeightsCommitted(hotkey(2), NET, hash, 100)));
        assert_eq!(s::LastUpdate::<Test>::get(NET)[usize::from(uid)], 3);
        run_to(9);
        assert_eq!((waiting(0), weights(uid)), (1, vec![]), "not before its epoch");
        run_to(10);
        assert!(events().contains(&Event::TimelockedWeightsRevealed(NET, hotkey(2))));
        assert_eq!((waiting(0), weights(uid)), (0, vec![(0, 65_535), (1, 8_192)]));
        assert_eq!(s::LastUpdate::<Test>::get(NET)[usize::from(uid)], 3, "the block of the commit, not of the reveal");
    });
}

#[test]
fn a_commit_in_the_block_of_an_epoch_belongs_to_the_new_epoch() {
    committing(|uid| {
        run_to(10);
        assert_ok!(commit(2, 8, 100));
        assert_eq!((waiting(0), waiting(1)), (0, 1));
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        run_to(19);
        assert_eq!(weights(uid), []);
        run_to(20);
        assert!(!weights(uid).is_empty());
    });
}

#[test]
fn the_reveal_is_tried_again_in_every_block_of_its_epoch_and_then_no_more() {
    committing(|uid| {
        assert_ok!(commit(2, 8, 101));
        assert_ok!(commit(2, 9, 102));
        run_to(14);
        assert_eq!((waiting(0), weights(uid)), (2, vec![]), "round 101 is not there");
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        assert_ok!(write(vec![pulse(101)]));
        run_to(15);
        assert_eq!((waiting(0), weights(uid)), (1, vec![(0, 65_535), (1, 8_192)]));
        run_to(20);
        assert_eq!(waiting(0), 0, "epoch 2 forgets what epoch 1 did not find a round for");
        assert_ok!(write(vec![pulse(102)]));
        run_to(22);
        assert_eq!(weights(uid), [(0, 65_535), (1, 8_192)]);
    });
}

#[test]
fn the_reveal_period_is_counted_in_epochs() {
    committing(|uid| {
        s::RevealPeriodEpochs::<Test>::insert(NET, 3);
        assert_ok!(commit(2, 8, 100));
        run_to(29);
        assert_eq!((waiting(0), weights(uid)), (1, vec![]));
        s::ValidatorPermit::<Test>::mutate(NET, |permits| permits[usize::from(uid)] = true);
        run_to(30);
        assert_eq!((waiting(0), weights(uid).is_empty()), (0, false));
    });
}

#[test]
fn of_several_commits_the_latest_stands_and_a_copied_or_broken_one_is_dropped_without_a_word() {
    committing(|uid| {
        let thief = validator(3, 10 * TAO);
        assert_ok!(commit(2, 8, 100));
        assert_ok!(commit(2, 16, 100));
        let copied = sealed(2, 8, 100);
        assert_ok!(Subtensor::commit_timelocked_weights(signed(&hotkey(3)), NET, copied, 100, 4));
        let garbage = BoundedVec::truncate_from(vec![7; 300]);
        assert_ok!(Subtensor::commit_timelocked_weights(signed(&hotkey(3)), NET, garbage, 100, 4));
        run_to(10);
        assert_eq!(weights(uid), [(0, 65_535), (1, 4_096)]);
        assert_eq!((weights(thief), waiting(0)), (vec![], 0));
        assert!(!events().contains(&Event::TimelockedWeightsRevealed(NET, hotkey(3))));
    });
}

#[test]
fn a_payload_without_a_hotkey_is_still_read() {
    committing(|uid| {
        let older = (vec![1u16], vec![5u16], 0u64).encode();
        let bytes = encrypt(&beacon().public_key(), 100, &older, entropy()).unwrap();
        let commit = BoundedVec::truncate_from(bytes);
        assert_ok!(Subtensor::commit_timelocked_weights(signed(&hotkey(2)), NET, commit, 100, 4));
        run_to(10);
        assert_eq!(weights(uid), [(1, 65_535)]);
    });
}

#[test]
fn a_reveal_that_the_rules_refuse_leaves_the_old_weights_and_no_event() {
    committing(|uid| {
        assert_ok!(commit(2, 8, 100));
        s::WeightsVersionKey::<Test>::insert(NET, 1);
        run_to(10);
        assert_eq!((weights(uid), waiting(0)), (vec![], 0));
        assert!(!events().contains(&Event::TimelockedWeightsRevealed(NET, hotkey(2))));
    });
}

#[test]
fn commits_are_refused_by_the_public_names() {
    committing(|_| {
        assert_noop!(commit(2, 8, 99), E::InvalidRevealRound);
        let version = |v| Subtensor::commit_timelocked_weights(signed(&hotkey(2)), NET, sealed(2, 8, 100), 100, v);
        assert_noop!(version(3), E::IncorrectCommitRevealVersion);
        assert_noop!(commit(9, 8, 100), E::HotKeyNotRegisteredInSubNet);
        for _ in 0..10 {
            assert_ok!(commit(2, 8, 100));
        }
        assert_noop!(commit(2, 8, 100), E::TooManyUnrevealedCommits);
        run_to(10);
        assert_ok!(commit(2, 8, 100));
        s::WeightsSetRateLimit::<Test>::insert(NET, 5);
        run_to(14);
        assert_noop!(commit(2, 8, 100), E::CommittingWeightsTooFast);
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, false);
        assert_noop!(commit(2, 8, 100), E::CommitRevealDisabled);
    });
}

#[test]
fn a_mechanism_has_commits_of_its_own() {
    committing(|uid| {
        s::MaxAllowedUids::<Test>::insert(NET, 128);
        assert_ok!(Subtensor::set_mechanism_count(NET, 2));
        let (who, bytes) = (signed(&hotkey(2)), sealed(2, 8, 100));
        assert_ok!(Subtensor::commit_crv3_mechanism_weights(who.clone(), NET, 1, bytes.clone(), 100));
        assert_ok!(Subtensor::commit_timelocked_mechanism_weights(who.clone(), NET, 1, bytes.clone(), 100, 4));
        assert_noop!(
            Subtensor::commit_timelocked_mechanism_weights(who, NET, 2, bytes, 100, 4),
            E::MechanismDoesNotExist
        );
        run_to(10);
        assert!(events().contains(&Event::TimelockedWeightsRevealed(4_097, hotkey(2))));
        assert_eq!(s::Weights::<Test>::get(4_097, uid), [(0, 65_535), (1, 8_192)]);
        assert_eq!(weights(uid), []);
    });
}

#[test]
fn a_subnet_whose_epoch_is_deferred_does_not_reveal_in_that_block() {
    committing(|uid| {
        assert_ok!(commit(2, 8, 100));
        s::MaxEpochsPerBlock::<Test>::put(0);
        run_to(10);
        assert_eq!((waiting(0), weights(uid)), (1, vec![]));
        s::MaxEpochsPerBlock::<Test>::put(1);
        run_to(11);
        assert_eq!((waiting(0), weights(uid).is_empty()), (0, false));
    });
}

/// chain.md 6.5: with commit-reveal on, weights on a neuron that registered after the validator's earliest undecided commit do not count.
#[test]
fn a_waiting_commit_masks_neurons_that_registered_after_it() {
    let consensus_on_newcomer = |commits: bool| {
        let mut share = 0;
        committing(|uid| {
            s::RevealPeriodEpochs::<Test>::insert(NET, 5);
            if commits {
                run_to(2);
                assert_ok!(commit(2, 8, 100));
            }
            run_to(4);
            let newcomer = register(4);
            s::Weights::<Test>::insert(NET, uid, vec![(newcomer, 65_535)]);
            run_to(5);
            s::LastUpdate::<Test>::mutate(NET, |list| list[usize::from(uid)] = 5);
            run_to(10);
            share = s::Incentive::<Test>::get(NET)[usize::from(newcomer)];
        });
        share
    };
    assert_eq!(consensus_on_newcomer(false), 65_535);
    assert_eq!(consensus_on_newcomer(true), 0);
}

#[test]
fn a_timelocked_commitment_opens_with_its_round_and_one_that_cannot_stays() {
    open(|| {
        listen();
        assert_ok!(write(vec![pulse(100)]));
        register(2);
        let field = |bytes: Vec<u8>, reveal_round| Data::TimelockEncrypted {
            encrypted: BoundedVec::truncate_from(bytes),
            reveal_round,
        };
        let good = encrypt(&beacon().public_key(), 101, b"a secret", entropy()).unwrap();
        let fields = vec![field(good, 101), field(vec![1; 40], 101)];
        let info = c::CommitmentInfo { fields: BoundedVec::truncate_from(fields.clone()) };
        assert_ok!(Commitments::set_commitment(signed(&hotkey(2)), NET, Box::new(info)));
        Commitments::on_initialize(2);
        assert_eq!(c::RevealedCommitments::<Test>::get(NET, hotkey(2)), None);
        assert_ok!(write(vec![pulse(101)]));
        Commitments::on_initialize(3);
        assert_eq!(c::RevealedCommitments::<Test>::get(NET, hotkey(2)), Some(vec![(b"a secret".to_vec(), 3)]));
        let left = c::CommitmentOf::<Test>::get(NET, hotkey(2)).unwrap().info.fields;
        assert_eq!(left[..], fields[1..]);
        Commitments::on_initialize(4);
        assert_eq!(c::RevealedCommitments::<Test>::get(NET, hotkey(2)).map(|all| all.len()), Some(1), "once");
    });
}
