//! The chain's scenarios about who may speak and about whom: permits by stake, neurons that changed hands, commits older than a miner.

use super::Subnet;

#[test]
fn permits_follow_stake_whatever_the_order_of_uids() {
    // Validators first, evenly interleaved, and scattered by a fixed rule where the chain's test shuffles.
    let layouts: [fn(usize, usize) -> bool; 3] =
        [|uid, n| uid < n / 2, |uid, _| uid % 2 == 0, |uid, n| (uid * 5 + 1) % n < n / 2];
    for (layout, n) in layouts.iter().flat_map(|layout| [2, 4, 8].map(|n| (layout, n))) {
        let validates: Vec<bool> = (0..n).map(|uid| layout(uid, n)).collect();
        let validators = validates.iter().filter(|validates| **validates).count();
        assert_eq!(validators, n / 2, "{n}");
        for by_uid in [false, true] {
            let stake: Vec<u64> = (0..)
                .zip(&validates)
                .map(|(uid, validates)| match (by_uid, *validates) {
                    (true, true) => uid + n as u64,
                    (true, false) => uid,
                    (false, validates) => u64::from(validates),
                })
                .collect();
            let mut subnet = Subnet::new(&stake);
            subnet.input.max_validators = validators as u16;
            subnet.input.stake_threshold = validators as u64;
            let enough = |stake: &[u64]| stake.iter().map(|s| *s >= validators as u64).collect::<Vec<_>>();
            let expected: Vec<bool> = validates.iter().zip(enough(&stake)).map(|(v, enough)| *v && enough).collect();
            assert_eq!(subnet.run().permits, expected, "{stake:?}");

            // The servers come to hold more than any validator.
            for (stake, validates) in subnet.input.stake.iter_mut().zip(&validates) {
                *stake += if *validates { 0 } else { 2 * n as u64 };
            }
            subnet.input.block = 2;
            let servers: Vec<bool> = validates.iter().map(|validates| !validates).collect();
            assert_eq!(subnet.run().permits, servers, "{stake:?}, after the servers' stake rose");
        }
    }
}

#[test]
fn bonds_on_a_miner_that_was_replaced_are_gone_and_the_others_stay() {
    let mut subnet = Subnet::new(&[1; 4]);
    subnet.input.tempo = 2;
    subnet.run();
    let weights = [(2, 2 * 21_845), (3, 21_845)];
    subnet.input.block = 2;
    for uid in 0..2 {
        subnet.set_weights(uid, &weights);
    }
    subnet.input.block = 4;
    subnet.run();
    assert_eq!([subnet.bond(0, 2), subnet.bond(0, 3)], [65_535; 2]);

    // Uid 3 goes to another key, one block before the epoch; both validators set weights in that block.
    subnet.input.block = 5;
    subnet.input.block_at_registration[3] = 5;
    subnet.input.stake[3] = 0;
    subnet.input.permits[3] = false;
    for uid in 0..2 {
        subnet.set_weights(uid, &weights);
    }
    subnet.input.block = 6;
    subnet.run();
    assert_eq!([subnet.bond(0, 2), subnet.bond(0, 3)], [65_535, 0]);
}

#[test]
fn who_snipes_a_slot_does_not_inherit_the_weights_that_were_committed_for_it() {
    let mut subnet = Subnet::new(&[10_000, 100, 5_000]);
    subnet.input.tempo = 10;
    subnet.input.permits = vec![true, false, false];
    subnet.input.block = 22;
    let committed = 21;
    subnet.set_weights(0, &[(1, 65_535)]);
    subnet.input.earliest_commit = Some(vec![committed, u64::MAX, u64::MAX]);
    assert_eq!(subnet.run().incentive, [0, 65_535, 0], "the miner that was there when the validator committed");

    // Another key takes uid 1; the validator's next weights are later than that, its open commit is not.
    subnet.input.block_at_registration[1] = 22;
    subnet.input.stake[1] = 10_000;
    subnet.input.block = 23;
    subnet.set_weights(0, &[(0, 32_767), (1, 32_767)]);
    subnet.input.permits = vec![true, false, false];
    let output = subnet.run();
    assert_eq!((output.incentive[1], output.server_emission[1]), (0, 0));
    subnet.input.earliest_commit = None;
    subnet.input.permits = vec![true, false, false];
    assert_eq!(subnet.run().incentive[1], 65_535, "the same weights without commit-reveal");
}

#[test]
fn without_commit_reveal_nothing_is_masked_epoch_after_epoch() {
    let mut subnet = Subnet::new(&[1_000, 1_000]);
    subnet.input.tempo = 5;
    subnet.input.emission = 1;
    subnet.input.permits = vec![true, false];
    subnet.set_weights(0, &[(1, 65_535)]);
    for _ in 0..3 {
        let output = subnet.run();
        assert_eq!(output.incentive, [0, 65_535]);
        assert_eq!(output.validator_trust[0], 65_535);
        subnet.input.block += 6;
    }
}

#[test]
fn only_miners_younger_than_the_open_commit_are_masked() {
    // Uid 1 registered after a commit that has expired since; uids 2 and 3 after the one that is open now.
    let (expired, open) = (9, 37);
    let mut subnet = Subnet::new(&[10_000, 1_000, 1_000, 1_000]);
    subnet.input.tempo = 8;
    subnet.input.max_validators = 1;
    subnet.input.permits = vec![true, false, false, false];
    subnet.input.block_at_registration = vec![0, expired + 1, open + 1, open + 1];
    subnet.input.block = open + 2;
    subnet.set_weights(0, &[(1, 21_845), (2, 21_845), (3, 21_845)]);
    subnet.input.earliest_commit = Some(vec![open, u64::MAX, u64::MAX, u64::MAX]);
    assert_eq!(subnet.run().incentive, [0, 65_535, 0, 0]);
    subnet.input.earliest_commit = Some(vec![expired, u64::MAX, u64::MAX, u64::MAX]);
    assert_eq!(subnet.run().incentive, [0; 4], "were the first commit still open, uid 1 would be masked too");
}

#[test]
fn a_lone_staker_without_weights_is_paid_everything() {
    let mut subnet = Subnet::new(&[1]);
    subnet.input.tempo = 65_534;
    let output = subnet.run();
    let paid: u64 = output.server_emission.iter().chain(&output.validator_emission).sum();
    assert!(paid.abs_diff(1_000_000_000) <= 1_000, "{paid}");
}
