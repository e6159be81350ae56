//! Exact numbers of the chain's tests for the original Yuma.

use super::Subnet;
use crate::epoch::EpochOutput;

#[test]
fn a_lone_neuron_that_weighs_itself_earns_no_incentive() {
    let mut subnet = Subnet::new(&[1_000_000_000]);
    subnet.run();
    subnet.set_weights(0, &[(0, 65_535)]);
    let output = subnet.run();
    assert_eq!((output.consensus[0], output.incentive[0], output.dividends[0]), (0, 0, 0));
    assert_eq!(output.combined_emission, [1_000_000_000], "the stake is paid instead");
}

#[test]
fn ten_neurons_that_weigh_only_themselves_share_the_emission_by_stake() {
    let mut subnet = Subnet::new(&[1; 10]);
    for uid in 0..10 {
        subnet.set_weights(uid, &[(uid, 65_535)]);
    }
    for _ in 0..2 {
        let output = subnet.run();
        assert_eq!(output.combined_emission, [99_999_999; 10]);
        assert_eq!((output.consensus, output.incentive, output.dividends), (vec![0; 10], vec![0; 10], vec![0; 10]));
        assert_eq!(output.server_emission, [0; 10]);
    }
}

#[test]
fn sixty_four_validators_and_448_servers_are_paid_as_on_chain() {
    // Validators as a block, evenly interleaved, and scattered; servers with and without weights on themselves.
    let layouts: [fn(u16) -> bool; 3] = [|uid| uid < 64, |uid| uid % 8 == 0, |uid| (uid * 37 % 512) < 64];
    for (layout, servers_weigh_themselves) in layouts.iter().flat_map(|layout| [(layout, false), (layout, true)]) {
        let validates: Vec<bool> = (0..512).map(layout).collect();
        assert_eq!(validates.iter().filter(|validates| **validates).count(), 64);
        let stake: Vec<u64> = validates.iter().map(|v| if *v { 328_125_000_000_000 } else { 0 }).collect();
        let servers: Vec<u16> = (0..512).filter(|uid| !layout(*uid)).collect();
        let mut subnet = Subnet::new(&stake);
        subnet.input.tempo = 65_534;
        subnet.input.max_validators = 64;
        subnet.run();
        let row: Vec<(u16, u16)> = servers.iter().map(|uid| (*uid, 127)).collect();
        for uid in 0..512 {
            if layout(uid) {
                subnet.set_weights(uid, &row);
            } else if servers_weigh_themselves {
                subnet.set_weights(uid, &[(uid, 65_535)]);
            }
        }
        let mut output = subnet.run();
        for _ in 0..2 {
            output = subnet.run();
        }
        for (uid, validates) in (0_u16..).zip(validates) {
            let got = of(&output, uid);
            if validates {
                assert_eq!(got, (0, 0, 1_023, 7_812_500), "validator {uid}");
                assert_eq!((subnet.bond(uid, servers[0]), subnet.bond(uid, uid)), (65_535, 0));
            } else {
                assert_eq!(got, (146, 146, 0, 1_116_071), "server {uid}");
                assert_eq!(subnet.input.bonds[usize::from(uid)], []);
            }
        }
    }
}

/// Consensus, incentive, dividends and emission of a neuron.
fn of(output: &EpochOutput, uid: u16) -> (u16, u16, u16, u64) {
    let uid = usize::from(uid);
    (output.consensus[uid], output.incentive[uid], output.dividends[uid], output.combined_emission[uid])
}

#[test]
fn bonds_follow_weights_epoch_by_epoch() {
    /// Which weights change before the epoch; the column looked at; its bonds for uids 0..4; everyone's emission.
    struct Epoch {
        change: Option<(u16, &'static [(u16, u16)])>,
        column: u16,
        bonds: [u16; 4],
        emission: [u64; 8],
    }
    let miners = [49_998_779, 100_000_610, 149_996_337, 200_004_272];
    let with_miners = |v: [u64; 4]| [v[0], v[1], v[2], v[3], miners[0], miners[1], miners[2], miners[3]];
    let to_last = |v: [u64; 4]| [v[0], v[1], v[2], v[3], 0, 0, 0, 500_000_000];
    let epochs = [
        Epoch {
            change: None,
            column: 4,
            bonds: [16_383, 32_767, 49_151, 65_535],
            emission: with_miners([49_999_998, 99_999_999, 150_000_000, 200_000_001]),
        },
        Epoch {
            change: Some((0, &[(0, 65_535)])),
            column: 4,
            bonds: [14_582, 32_767, 49_151, 65_535],
            emission: with_miners([44_998_351, 101_110_561, 151_667_215, 202_223_870]),
        },
        Epoch {
            change: Some((1, &[(1, 65_535)])),
            column: 4,
            bonds: [12_603, 28_321, 49_151, 65_535],
            emission: with_miners([40_496_805, 90_999_783, 157_929_636, 210_573_773]),
        },
        // Only 40 % of the stake still weighs anyone: no consensus, and stake is paid instead.
        Epoch {
            change: Some((2, &[(2, 65_535)])),
            column: 7,
            bonds: [12_602, 28_320, 49_150, 65_535],
            emission: [99_999_999, 199_999_999, 299_999_999, 399_999_999, 0, 0, 0, 0],
        },
        Epoch {
            change: Some((2, &[(7, 65_535)])),
            column: 7,
            bonds: [10_951, 24_609, 49_150, 65_535],
            emission: to_last([36_443_733, 81_898_628, 163_565_493, 218_092_144]),
        },
        Epoch {
            change: None,
            column: 7,
            bonds: [9_559, 21_482, 49_150, 65_535],
            emission: to_last([32_799_427, 73_706_612, 168_638_129, 224_855_830]),
        },
        Epoch {
            change: None,
            column: 7,
            bonds: [8_376, 18_824, 49_150, 65_535],
            emission: to_last([29_518_068, 66_336_137, 173_203_134, 230_942_659]),
        },
        Epoch {
            change: None,
            column: 7,
            bonds: [7_363, 16_549, 49_150, 65_535],
            emission: to_last([26_565_175, 59_701_871, 177_311_856, 236_421_095]),
        },
    ];

    let mut subnet = Subnet::new(&[1, 2, 3, 4, 0, 0, 0, 0]);
    subnet.input.permits = vec![true, true, true, true, false, false, false, false];
    for uid in 0..4 {
        subnet.set_weights(uid, &[(4, 16_383), (5, 32_767), (6, 49_149), (7, 65_535)]);
    }
    for (number, step) in epochs.iter().enumerate() {
        if let Some((uid, weights)) = step.change {
            subnet.set_weights(uid, weights);
        }
        let output = subnet.run();
        let bonds = [0, 1, 2, 3].map(|validator| subnet.bond(validator, step.column));
        assert_eq!(bonds, step.bonds, "bonds of epoch {number}");
        assert_eq!(output.combined_emission, step.emission, "emission of epoch {number}");
        subnet.input.block += 1;
    }
}

#[test]
fn the_stake_of_a_validator_that_stopped_setting_weights_does_not_count() {
    let mut subnet = Subnet::new(&[1; 4]);
    subnet.run();
    let weights = [(2, 32_767), (3, 32_767)];
    subnet.set_weights(0, &weights);
    subnet.set_weights(1, &weights);
    let output = subnet.run();
    assert_eq!(output.dividends[..2], [32_767; 2]);
    assert_eq!(output.combined_emission, [250_000_000; 4]);
    assert_eq!([subnet.bond(0, 2), subnet.bond(1, 3)], [65_535; 2]);

    subnet.input.block = 5_002;
    subnet.set_weights(0, &weights);
    let output = subnet.run();
    assert_eq!(output.active, [true, false, false, false]);
    assert_eq!(output.dividends[..2], [36_044, 29_490]);
    assert_eq!(output.combined_emission[..2], [274_999_999, 224_999_999]);
    assert_eq!(
        [subnet.bond(0, 2), subnet.bond(0, 3), subnet.bond(1, 2), subnet.bond(1, 3)],
        [65_535, 65_535, 53_619, 53_619]
    );

    subnet.set_weights(1, &weights);
    subnet.input.block = 5_003;
    let output = subnet.run();
    assert_eq!(output.dividends[..2], [35_716, 29_818]);
    assert_eq!(output.combined_emission[..2], [272_501_132, 227_498_866]);
    assert_eq!([subnet.bond(0, 2), subnet.bond(1, 2), subnet.bond(1, 3)], [65_535, 54_712, 54_712]);
}

#[test]
fn weights_and_bonds_on_a_neuron_that_left_do_not_pass_to_the_next_one() {
    let mut subnet = Subnet::new(&[1; 4]);
    subnet.run();
    let weights = [(2, 2 * 21_845), (3, 21_845)];
    for uid in 0..2 {
        subnet.set_weights(uid, &weights);
    }
    for uid in 2..4 {
        subnet.set_weights(uid, &[(uid, 65_535)]);
    }
    let output = subnet.run();
    assert_eq!(output.combined_emission, [250_000_000, 250_000_000, 333_331_637, 166_668_361]);

    // Uid 3 changes hands; only validator 0 has looked again since.
    subnet.input.block_at_registration[3] = 1;
    subnet.input.stake[3] = 0;
    subnet.input.permits[3] = false;
    subnet.input.block = 2;
    subnet.set_weights(0, &weights);
    let output = subnet.run();
    assert_eq!(output.combined_emission, [250_000_000, 250_000_000, 500_000_000, 0]);
    assert_eq!(output.dividends[0], 32_767);
    assert_eq!(output.incentive, [0, 0, 65_535, 0]);
    assert_eq!(subnet.bond(0, 2), 65_535);
}

#[test]
fn without_effective_weights_the_stake_is_paid_until_there_are_some() {
    let mut subnet = Subnet::new(&[1, 0]);
    subnet.input.tempo = 65_534;
    subnet.input.block = 0;
    assert_eq!(subnet.run().combined_emission, [1_000_000_000, 0], "no weights");
    subnet.input.block = 1;
    subnet.set_weights(1, &[(1, 65_535)]);
    assert_eq!(subnet.run().combined_emission, [1_000_000_000, 0], "only a weight on itself");
    subnet.input.block = 2;
    subnet.set_weights(0, &[(1, 65_535)]);
    subnet.input.block_at_registration[1] = 2;
    assert_eq!(subnet.run().combined_emission, [1_000_000_000, 0], "a weight on the neuron that left");
    subnet.input.block = 3;
    subnet.set_weights(0, &[(1, 65_535)]);
    assert_eq!(subnet.run().combined_emission, [500_000_000, 500_000_000], "a weight that counts");
}
