//! Single rules: who may speak, what is masked, which input is refused.

use super::Subnet;
use crate::epoch::{YumaError, epoch};

/// Two validators with half the stake each, agreeing on uids 2 and 3, after the epoch that grants permits.
fn agreed() -> Subnet {
    let mut subnet = Subnet::new(&[500, 500, 0, 0]);
    subnet.run();
    for uid in 0..2 {
        subnet.set_weights(uid, &[(2, 65_535), (3, 65_535)]);
    }
    subnet
}

#[test]
fn the_owner_may_weigh_itself_and_nobody_else_may() {
    for (owner, incentive) in [(Some(0), [32_767, 32_767]), (None, [0, 65_535])] {
        let mut subnet = Subnet::new(&[5_000_000_000_000, 0]);
        subnet.input.owner_uid = owner;
        subnet.input.permits = vec![true, false];
        subnet.set_weights(0, &[(0, 32_767), (1, 32_767)]);
        assert_eq!(subnet.run().incentive, incentive);
    }
}

#[test]
fn the_owner_needs_neither_stake_nor_a_place_to_have_a_permit() {
    let mut subnet = Subnet::new(&[10, 20, 0]);
    subnet.input.max_validators = 1;
    subnet.input.owner_uid = Some(2);
    assert_eq!(subnet.run().permits, [false, true, true]);
}

#[test]
fn permits_move_to_those_who_hold_more_stake_now() {
    let mut subnet = Subnet::new(&[8, 9, 1, 2]);
    subnet.input.max_validators = 2;
    subnet.input.stake_threshold = 2;
    assert_eq!(subnet.run().permits, [true, true, false, false]);
    subnet.input.stake = vec![8, 9, 17, 18];
    assert_eq!(subnet.run().permits, [false, false, true, true]);
}

#[test]
fn weights_of_a_validator_without_a_permit_do_not_count() {
    let mut subnet = agreed();
    subnet.set_weights(0, &[(2, 65_535)]);
    subnet.set_weights(1, &[(3, 65_535)]);
    subnet.input.permits = vec![true, false, false, false];
    let output = subnet.run();
    assert_eq!(output.incentive, [0, 0, 65_535, 0]);
    assert_eq!(output.dividends, [65_535, 0, 0, 0]);
}

#[test]
fn a_lost_permit_clears_the_bonds() {
    let mut subnet = agreed();
    subnet.run();
    assert_eq!(subnet.bond(0, 2), 65_535);
    subnet.input.max_validators = 1;
    subnet.run();
    assert_eq!(subnet.input.bonds[0], [], "uid 0 lost the tie for the only place");
    assert_eq!(subnet.bond(1, 2), 65_535);
}

#[test]
fn a_commit_from_before_a_miner_registered_says_nothing_about_it() {
    let mut subnet = agreed();
    subnet.input.block = 30;
    subnet.input.last_update = vec![25, 25, 0, 0];
    subnet.input.block_at_registration = vec![0, 0, 0, 20];
    assert_eq!(
        subnet.run().incentive,
        [0, 0, 32_767, 32_767],
        "without commit-reveal the update at 25 is later than 20"
    );
    subnet.input.earliest_commit = Some(vec![10, 10, u64::MAX, u64::MAX]);
    assert_eq!(subnet.run().incentive, [0, 0, 65_535, 0], "both open commits are older than uid 3");
    subnet.input.earliest_commit = Some(vec![20, u64::MAX, u64::MAX, u64::MAX]);
    assert_eq!(subnet.run().incentive, [0, 0, 32_767, 32_767], "a commit in the block of registration, and none open");
}

#[test]
fn bonds_on_a_neuron_registered_since_the_last_epoch_are_forgotten() {
    let mut subnet = agreed();
    subnet.input.tempo = 10;
    subnet.input.block = 100;
    subnet.input.bonds = vec![vec![(2, 65_535), (3, 65_535)], vec![(2, 1), (3, 1)], vec![], vec![]];
    subnet.input.last_update = vec![99, 99, 0, 0];
    let bond_on_3 = |last_step: u64, registered: u64| {
        let mut subnet = Subnet { input: subnet.input.clone() };
        subnet.input.last_mechanism_step = last_step;
        subnet.input.block_at_registration[3] = registered;
        subnet.run();
        subnet.bond(1, 3)
    };
    let (kept, forgotten) = (bond_on_3(0, 89), bond_on_3(0, 90));
    assert!(kept < 20_000, "nine tenths of the old imbalance remain, not {kept}");
    assert_eq!(forgotten, 65_535, "equal new weights on a clean column");
    assert_eq!(bond_on_3(94, 94), kept, "a known last epoch replaces the tempo: 94 + 1 is later than 94");
    assert_eq!(bond_on_3(94, 95), forgotten);
}

#[test]
fn a_minority_cannot_raise_its_own_miner() {
    // 49 % put everything on uid 3, 51 % on uid 2: consensus on 3 is zero and so is what it earns.
    let mut subnet = Subnet::new(&[510, 490, 0, 0]);
    subnet.run();
    subnet.set_weights(0, &[(2, 65_535)]);
    subnet.set_weights(1, &[(3, 65_535)]);
    let output = subnet.run();
    assert_eq!(output.incentive, [0, 0, 65_535, 0]);
    assert_eq!(output.consensus, [0, 0, 65_535, 0]);
    assert_eq!(output.validator_trust, [65_535, 0, 0, 0]);
    assert_eq!(output.dividends, [65_535, 0, 0, 0], "and with the full penalty its bonds buy nothing");
}

#[test]
fn the_bonds_penalty_lies_between_what_was_set_and_what_was_agreed() {
    // The minority overweights uid 2; the bond it gets for that shrinks as the penalty grows.
    let bond = |penalty: u16| {
        let mut subnet = Subnet::new(&[600, 400, 0, 0]);
        subnet.run();
        subnet.input.bonds_penalty = penalty;
        subnet.set_weights(0, &[(2, 20_000), (3, 45_535)]);
        subnet.set_weights(1, &[(2, 65_535)]);
        subnet.run();
        f64::from(subnet.bond(0, 2)) / f64::from(subnet.bond(1, 2).max(1))
    };
    // 0.6 · 0.3052 against 0.4 · 1, 0.4 · 0.6526 and 0.4 · 0.3052.
    for (penalty, ratio) in [(0, 0.4578_f64), (32_768, 0.7015), (65_535, 1.5)] {
        let got = bond(penalty);
        assert!((got - ratio).abs() < 1e-3, "penalty {penalty}: {got} is not {ratio}");
    }
}

#[test]
fn an_empty_subnet_has_an_empty_epoch() {
    let output = Subnet::new(&[]).run();
    assert!(output.combined_emission.is_empty() && output.permits.is_empty());
}

#[test]
fn inconsistent_input_is_refused_by_name() {
    let refuse = |spoil: fn(&mut Subnet)| {
        let mut subnet = agreed();
        spoil(&mut subnet);
        epoch(&subnet.input).unwrap_err()
    };
    let length = |field, found| YumaError::Length { field, found, neurons: 4 };
    assert_eq!(refuse(|s| s.input.last_update.push(0)), length("last_update", 5));
    assert_eq!(refuse(|s| s.input.block_at_registration.truncate(1)), length("block_at_registration", 1));
    assert_eq!(refuse(|s| s.input.permits.clear()), length("permits", 0));
    assert_eq!(refuse(|s| s.input.weights.push(vec![])), length("weights", 5));
    assert_eq!(refuse(|s| s.input.bonds.truncate(3)), length("bonds", 3));
    assert_eq!(refuse(|s| s.input.earliest_commit = Some(vec![0])), length("earliest_commit", 1));
    assert_eq!(refuse(|s| s.input.owner_uid = Some(4)), YumaError::OwnerOutOfRange { uid: 4, neurons: 4 });
    assert_eq!(
        refuse(|s| s.input.weights[1] = vec![(4, 1)]),
        YumaError::UidOutOfRange { field: "weights", row: 1, uid: 4, neurons: 4 }
    );
    assert_eq!(
        refuse(|s| s.input.bonds[3] = vec![(2, 1), (2, 2)]),
        YumaError::DuplicateUid { field: "bonds", row: 3, uid: 2 }
    );
    let mut huge = Subnet::new(&[]);
    huge.input.stake = vec![0; 65_537];
    assert_eq!(epoch(&huge.input), Err(YumaError::TooManyNeurons { neurons: 65_537 }));
}
