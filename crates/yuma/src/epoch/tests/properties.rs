//! Promises that hold for every subnet, checked on random ones and against a plain floating-point Yuma.

use super::Subnet;
use crate::epoch::{EpochInput, LiquidAlpha, Mode, epoch};
use proptest::prelude::*;

const NEURONS: usize = 8;

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Yuma2),
        Just(Mode::Yuma3 { liquid: None }),
        (0_u16..20_000, 0_u16..40_000, -2_000_i16..2_000).prop_map(|(low, more, steepness)| Mode::Yuma3 {
            liquid: Some(LiquidAlpha { low, high: low + more, steepness })
        }),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Vec<(u16, u16)>>> {
    let row = prop::collection::btree_map(0..NEURONS as u16, 0_u16.., 0..NEURONS);
    prop::collection::vec(row.prop_map(|row| row.into_iter().collect()), NEURONS)
}

prop_compose! {
    /// Stakes are distinct, so that no permit hangs on the order of uids, and sum to less than 65 535, so that no
    /// majority hangs on the last bit of a share.
    fn subnet()(
        order in Just((1..=NEURONS as u64).collect::<Vec<_>>()).prop_shuffle(),
        stretch in 1_u64..500,
        weights in rows(),
        bonds in rows(),
        permits in prop::collection::vec(any::<bool>(), NEURONS),
        last_update in prop::collection::vec(80_u64..110, NEURONS),
        registered in prop::collection::vec(prop_oneof![Just(0_u64), 80_u64..110], NEURONS),
        owner in prop::option::of(0..NEURONS as u16),
        max_validators in 1..=NEURONS as u16,
        threshold in 0_u64..1_000,
        penalty in prop_oneof![Just(0), Just(u16::MAX), any::<u16>()],
        mode in mode(),
        emission in 0_u64..2_000_000_000,
    ) -> EpochInput {
        let stake: Vec<u64> = order.iter().map(|rank| rank * stretch + rank * rank).collect();
        let mut input = Subnet::new(&stake).input;
        input.block = 110;
        input.tempo = 10;
        input.activity_cutoff = 20;
        input.weights = weights;
        input.bonds = bonds;
        input.permits = permits;
        input.last_update = last_update;
        input.block_at_registration = registered;
        input.owner_uid = owner;
        input.max_validators = max_validators;
        input.stake_threshold = threshold;
        input.bonds_penalty = penalty;
        input.mode = mode;
        input.emission = emission;
        input
    }
}

fn total(values: &[u16]) -> u32 {
    values.iter().map(|value| u32::from(*value)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_paid_twice_and_shares_are_shares(input in subnet()) {
        let output = epoch(&input).unwrap();
        let paid: u64 = output.server_emission.iter().chain(&output.validator_emission).sum();
        prop_assert!(paid <= input.emission);
        prop_assert!(output.combined_emission.iter().sum::<u64>() <= input.emission);
        // What rounding keeps back: fixed-point dust per neuron, in parts of 2^32, and a rao per neuron and role.
        let anyone = output.combined_emission.iter().any(|rao| *rao > 0);
        let dust = 4 * NEURONS as u64 + input.emission / 10_000_000;
        prop_assert!(!anyone || input.emission - paid <= dust, "{} of {} are not paid", input.emission - paid, input.emission);
        for shares in [&output.stake_weight, &output.incentive, &output.dividends] {
            prop_assert!(total(shares) <= 65_535);
        }
        for (i, permit) in output.permits.iter().enumerate() {
            prop_assert!(*permit || output.bonds[i].is_empty());
        }
        let held = output.permits.iter().filter(|permit| **permit).count();
        prop_assert!(held <= usize::from(input.max_validators) + usize::from(input.owner_uid.is_some()));
    }

    #[test]
    fn a_miner_that_nobody_weighs_earns_no_incentive(mut input in subnet(), miner in 0..NEURONS as u16) {
        for row in &mut input.weights {
            row.retain(|(uid, _)| *uid != miner);
        }
        let output = epoch(&input).unwrap();
        prop_assert_eq!(output.incentive[usize::from(miner)], 0);
        prop_assert_eq!(output.server_emission[usize::from(miner)], 0);
        prop_assert_eq!(output.consensus[usize::from(miner)], 0);
    }

    #[test]
    fn a_miner_that_less_than_the_majority_weighs_earns_no_incentive(mut input in subnet(), miner in 0..NEURONS as u16) {
        // Let validators drop the miner, the richest first, until those who keep it hold clearly less than kappa.
        input.owner_uid = None;
        input.permits = vec![true; NEURONS];
        input.last_update = vec![input.block; NEURONS];
        input.block_at_registration = vec![0; NEURONS];
        input.stake_threshold = 0;
        let all: u64 = input.stake.iter().sum();
        let mut richest: Vec<usize> = (0..NEURONS).collect();
        richest.sort_by_key(|uid| std::cmp::Reverse(input.stake[*uid]));
        let mut supporters = all;
        for uid in richest {
            if supporters * 1_000 >= all * 499 {
                supporters -= input.stake[uid];
                input.weights[uid].retain(|(j, _)| *j != miner);
            }
        }
        let output = epoch(&input).unwrap();
        prop_assert_eq!(output.incentive[usize::from(miner)], 0);
    }

    #[test]
    fn a_uid_is_only_a_name(input in subnet(), order in Just((0..NEURONS as u16).collect::<Vec<_>>()).prop_shuffle()) {
        // `order[i]` is the new uid of old uid i. Rows stay ascending: liquid alpha reads them in order.
        let to = |uid: u16| usize::from(order[usize::from(uid)]);
        let rename = |rows: &[Vec<(u16, u16)>]| {
            let mut renamed = vec![Vec::new(); NEURONS];
            for (i, row) in rows.iter().enumerate() {
                let mut row: Vec<(u16, u16)> = row.iter().map(|(j, value)| (to(*j) as u16, *value)).collect();
                row.sort_unstable();
                renamed[to(i as u16)] = row;
            }
            renamed
        };
        let mut renamed = input.clone();
        for uid in 0..NEURONS {
            let target = to(uid as u16);
            renamed.stake[target] = input.stake[uid];
            renamed.permits[target] = input.permits[uid];
            renamed.last_update[target] = input.last_update[uid];
            renamed.block_at_registration[target] = input.block_at_registration[uid];
        }
        renamed.owner_uid = input.owner_uid.map(|uid| to(uid) as u16);
        renamed.weights = rename(&input.weights);
        renamed.bonds = rename(&input.bonds);
        let (before, after) = (epoch(&input).unwrap(), epoch(&renamed).unwrap());
        for uid in 0..NEURONS {
            let target = to(uid as u16);
            prop_assert_eq!(before.active[uid], after.active[target]);
            prop_assert_eq!(before.permits[uid], after.permits[target]);
            prop_assert_eq!(before.consensus[uid], after.consensus[target]);
            prop_assert_eq!(before.validator_trust[uid], after.validator_trust[target]);
            prop_assert_eq!(before.incentive[uid], after.incentive[target]);
            prop_assert_eq!(before.dividends[uid], after.dividends[target]);
            prop_assert_eq!(before.combined_emission[uid], after.combined_emission[target]);
        }
        prop_assert_eq!(rename(&before.bonds), after.bonds);
    }

    #[test]
    fn fixed_point_yuma_is_yuma(input in subnet()) {
        let expected = Float::epoch(&input);
        let output = epoch(&input).unwrap();
        let close = |got: &[u16], expected: &[f64]| {
            got.iter().zip(expected).all(|(got, expected)| (f64::from(*got) - expected * 65_535.0).abs() < 3.0)
        };
        prop_assert!(close(&output.consensus, &expected.consensus), "{:?} {:?}", output.consensus, expected.consensus);
        prop_assert!(close(&output.incentive, &expected.incentive), "{:?} {:?}", output.incentive, expected.incentive);
        prop_assert!(close(&output.dividends, &expected.dividends), "{:?} {:?}", output.dividends, expected.dividends);
    }
}

/// Yuma as the papers have it: dense, in floating point, written from chain.md 6 alone.
struct Float {
    consensus: Vec<f64>,
    incentive: Vec<f64>,
    dividends: Vec<f64>,
}

type Dense = Vec<Vec<f64>>;

impl Float {
    fn epoch(input: &EpochInput) -> Self {
        let n = input.stake.len();
        let owner = |i: usize| input.owner_uid == Some(i as u16);
        let counted = |i: usize| {
            let stake = input.stake[i];
            let active = input.last_update[i] + input.activity_cutoff >= input.block;
            let heard = active && (input.permits[i] || owner(i)) && (stake >= input.stake_threshold || owner(i));
            if heard { stake as f64 } else { 0.0 }
        };
        let stake = shares((0..n).map(counted).collect());
        let mut named = vec![vec![false; n]; n];
        let weights: Dense = (0..n)
            .map(|i| {
                let mut row = vec![0.0; n];
                for (j, value) in &input.weights[i] {
                    let j = usize::from(*j);
                    let counts = (input.permits[i] || owner(i))
                        && (i != j || owner(i))
                        && input.last_update[i] > input.block_at_registration[j];
                    if counts {
                        row[j] = f64::from(*value);
                        named[i][j] = true;
                    }
                }
                shares(row)
            })
            .collect();
        let kappa = f64::from(input.kappa) / 65_535.0;
        let consensus: Vec<f64> = (0..n)
            .map(|j| {
                let support = |w: f64| (0..n).filter(|i| weights[*i][j] >= w).map(|i| stake[i]).sum::<f64>();
                let candidates = (0..n).filter(|i| stake[*i] > 0.0).map(|i| weights[i][j]);
                candidates.filter(|w| support(*w) >= kappa).fold(0.0, f64::max)
            })
            .collect();
        let clipped: Dense = weights.iter().map(|row| (0..n).map(|j| row[j].min(consensus[j])).collect()).collect();
        let incentive = shares((0..n).map(|j| (0..n).map(|i| stake[i] * clipped[i][j]).sum()).collect());

        let penalty = f64::from(input.bonds_penalty) / 65_535.0;
        let bought: Dense = (0..n)
            .map(|i| (0..n).map(|j| weights[i][j] + penalty * (clipped[i][j] - weights[i][j])).collect())
            .collect();
        let mut bonds: Dense = vec![vec![0.0; n]; n];
        for (i, row) in input.bonds.iter().enumerate() {
            for (j, bond) in row {
                if input.block - input.tempo > input.block_at_registration[usize::from(*j)] {
                    bonds[i][usize::from(*j)] = f64::from(*bond) / 65_535.0;
                }
            }
        }
        let rate = 1.0 - input.bonds_moving_average as f64 / 1e6;
        let dividends = match input.mode {
            Mode::Yuma2 => {
                let scaled = (0..n).map(|i| bought[i].iter().map(|w| w * stake[i]).collect()).collect();
                let (new, old) = (column_shares(scaled), column_shares(bonds));
                let mixed =
                    (0..n).map(|i| (0..n).map(|j| rate * new[i][j] + (1.0 - rate) * old[i][j]).collect()).collect();
                let mixed = column_shares(mixed);
                shares((0..n).map(|i| (0..n).map(|j| mixed[i][j] * incentive[j]).sum()).collect())
            }
            Mode::Yuma3 { liquid } => {
                let liquid = liquid.filter(|_| consensus.iter().any(|c| *c > 0.0));
                let rate_of = |i: usize, j: usize| {
                    let Some(alpha) = liquid else { return rate };
                    let (low, high) = (f64::from(alpha.low) / 65_535.0, f64::from(alpha.high) / 65_535.0);
                    let (w, b) = (bought[i][j], bonds[i][j]);
                    let gap = if w >= b { w - consensus[j] } else { b - w }.clamp(0.0, 1.0);
                    let sigmoid = 1.0 / (1.0 + (-f64::from(alpha.steepness) / 100.0 * (gap - 0.5)).exp());
                    low + sigmoid * (high - low)
                };
                // With liquid alpha a bond lives where the bond weights still have an entry: clipping to nothing drops it.
                let kept = |i: usize, j: usize| {
                    liquid.is_none() || bought[i][j] > 0.0 || (named[i][j] && weights[i][j] == 0.0 && full_or_no(input))
                };
                let mixed: Dense = (0..n)
                    .map(|i| {
                        (0..n)
                            .map(|j| {
                                let rate = rate_of(i, j);
                                if kept(i, j) { rate * bought[i][j] + (1.0 - rate) * bonds[i][j] } else { 0.0 }
                            })
                            .collect()
                    })
                    .collect();
                let mixed = column_shares(mixed);
                shares((0..n).map(|i| stake[i] * (0..n).map(|j| mixed[i][j] * incentive[j]).sum::<f64>()).collect())
            }
        };
        Self { consensus, incentive, dividends }
    }
}

/// Weights of zero survive a penalty of nothing or everything, where rows are taken over as they are.
fn full_or_no(input: &EpochInput) -> bool {
    input.bonds_penalty == 0 || input.bonds_penalty == u16::MAX
}

fn shares(mut values: Vec<f64>) -> Vec<f64> {
    let total: f64 = values.iter().sum();
    if total > 0.0 {
        values.iter_mut().for_each(|value| *value /= total);
    }
    values
}

fn column_shares(mut matrix: Dense) -> Dense {
    for j in 0..matrix.len() {
        let total: f64 = matrix.iter().map(|row| row[j]).sum();
        if total > 0.0 {
            matrix.iter_mut().for_each(|row| row[j] /= total);
        }
    }
    matrix
}
