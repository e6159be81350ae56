//! The weighted median against the chain's own examples, against its definition, and under reordering.

use super::*;
use proptest::prelude::*;

fn fixed(values: &[f64]) -> Vec<I32F32> {
    values.iter().map(|value| I32F32::from_num(*value)).collect()
}

/// One column scored by validators with these stakes; zeros are not written down, as on chain after a drop.
fn median(stake: &[f64], scores: &[f64], majority: f64) -> I32F32 {
    let rows: Matrix =
        scores.iter().map(|score| if *score > 0.0 { vec![(0, I32F32::from_num(*score))] } else { vec![] }).collect();
    let medians = weighted_median(&fixed(stake), &rows, 1, I32F32::from_num(majority));
    medians[0]
}

#[test]
fn the_median_is_what_the_majority_of_stake_supports() {
    // The chain's unit tests, majority 0.51.
    let table: &[(&[f64], &[f64], f64)] = &[
        (&[], &[], 0.0),
        (&[0.51], &[1.0], 1.0),
        (&[0.49, 0.51], &[0.5, 1.0], 1.0),
        (&[0.51, 0.49], &[0.5, 1.0], 0.5),
        (&[0.49, 0.0, 0.51], &[0.5, 0.7, 1.0], 1.0),
        (&[0.49, 0.01, 0.5], &[0.5, 0.7, 1.0], 0.7),
        (&[0.49, 0.51, 0.0], &[0.5, 0.7, 1.0], 0.7),
        (&[0.0, 0.49, 0.51], &[0.5, 0.7, 1.0], 1.0),
        (&[0.0, 0.49, 0.0, 0.51], &[0.5, 0.5, 1.0, 1.0], 1.0),
        (&[0.0, 0.49, 0.0, 0.51, 0.0], &[0.5, 0.5, 1.0, 1.0, 0.5], 1.0),
        (&[0.2, 0.2, 0.2, 0.2, 0.2], &[0.8, 0.2, 1.0, 0.6, 0.4], 0.6),
        (&[0.1; 10], &[0.8, 0.8, 0.2, 0.2, 1.0, 1.0, 0.6, 0.6, 0.4, 0.4], 0.6),
    ];
    for (stake, scores, expected) in table {
        // The stakes of the table sum to one only up to fixed-point dust, so the majority keeps clear of the edge.
        assert_eq!(median(stake, scores, 0.51 - 1e-8), I32F32::from_num(*expected), "{stake:?} {scores:?}");
    }
}

#[test]
fn exactly_the_majority_is_enough() {
    // Halves and quarters are exact, so these are true ties: kappa of the stake supports the larger score.
    let table: &[(&[f64], &[f64], f64, f64)] = &[
        (&[1.0, 1.0], &[0.25, 0.75], 0.5, 0.75),
        (&[1.0, 1.0], &[0.0, 0.75], 0.5, 0.75),
        (&[1.0, 1.0], &[0.0, 0.75], 0.5 + 1e-9, 0.0),
        (&[1.0, 1.0], &[0.25, 0.75], 0.5 + 1e-9, 0.25),
        (&[1.0, 1.0, 2.0], &[0.5, 0.25, 0.0], 0.5, 0.25),
        (&[1.0, 1.0, 2.0], &[0.5, 0.25, 0.0], 0.25, 0.5),
        (&[1.0, 1.0], &[0.25, 0.75], 1.0, 0.25),
        (&[1.0, 1.0], &[0.0, 0.75], 1.0, 0.0),
        (&[1.0, 1.0], &[0.25, 0.75], 2.0, 0.25),
        (&[1.0, 1.0], &[0.0, 0.75], 2.0, 0.0),
        (&[1.0, 1.0], &[0.25, 0.75], 0.0, 0.75),
    ];
    for (stake, scores, majority, expected) in table {
        let got = median(stake, scores, *majority);
        assert_eq!(got, I32F32::from_num(*expected), "{stake:?} {scores:?} {majority}");
    }
}

#[test]
fn the_median_of_every_column_agrees_with_the_chains_example() {
    let rows = |table: [[f64; 3]; 4]| -> Matrix {
        table
            .iter()
            .map(|row| (0..).zip(row).filter(|(_, w)| **w > 0.0).map(|(j, w)| (j, I32F32::from_num(*w))).collect())
            .collect()
    };
    let first = rows([[0.0, 0.1, 0.0], [0.0, 0.2, 0.4], [0.0, 0.3, 0.1], [0.0, 0.4, 0.5]]);
    let stake = fixed(&[0.0, 0.75, 0.25, 0.0]);
    for (majority, expected) in [(0.24, [0.0, 0.3, 0.4]), (0.26, [0.0, 0.2, 0.4]), (0.76, [0.0, 0.2, 0.1])] {
        assert_eq!(weighted_median(&stake, &first, 3, I32F32::from_num(majority)), fixed(&expected));
    }
    let second = rows([[0.0, 0.1, 0.0], [0.0, 0.2, 0.4], [0.0, 0.3, 0.1], [0.0, 0.0, 0.5]]);
    let stake = fixed(&[0.0, 0.3, 0.2, 0.5]);
    assert_eq!(weighted_median(&stake, &second, 3, I32F32::from_num(0.51)), fixed(&[0.0, 0.0, 0.4]));
}

#[test]
fn nobody_active_means_no_consensus() {
    let rows: Matrix = vec![vec![(0, I32F32::ONE)], vec![(1, I32F32::ONE)]];
    assert_eq!(weighted_median(&fixed(&[0.0, 0.0]), &rows, 2, I32F32::from_num(0.5)), fixed(&[0.0, 0.0]));
}

#[test]
fn what_consensus_cuts_to_nothing_is_dropped_and_a_zero_stays() {
    let rows: Matrix = vec![vec![(2, I32F32::from_num(0.5)), (0, I32F32::from_num(0.5)), (1, I32F32::ZERO)]];
    let clipped = clip(&rows, &fixed(&[0.25, 0.0, 0.0]));
    assert_eq!(clipped, vec![vec![(0, I32F32::from_num(0.25)), (1, I32F32::ZERO)]]);
}

/// The median by its definition, over the scores of all active validators, zeros written out.
fn by_definition(stake: &[I32F32], scores: &[I32F32], majority: I32F32) -> I32F32 {
    let mut voices: Vec<I32F32> = stake.iter().copied().filter(|s| *s > 0).collect();
    normalise(&mut voices);
    let total = sum(voices.iter().copied());
    let minority = total - majority;
    let scored = || stake.iter().zip(scores).filter(|(s, _)| **s > 0).map(|(_, score)| *score);
    let supported = |candidate: I32F32| {
        scored().zip(&voices).filter(|(score, _)| *score <= candidate).map(|(_, voice)| *voice).sum::<I32F32>()
            > minority
    };
    scored().filter(|score| supported(*score)).min().or_else(|| scored().max()).unwrap_or(I32F32::ZERO)
}

proptest! {
    #[test]
    fn the_median_meets_its_definition_in_any_order_of_validators(
        (stakes, scores) in (1_usize..12).prop_flat_map(|n| (
            prop::collection::vec(0_u16..4, n),
            prop::collection::vec(0_u16..4, n),
        )),
        // Above one (no majority can exist) and at both ends too.
        majority in 0_u32..=20,
        shift in 0_usize..12,
    ) {
        let majority = I32F32::from_num(majority) / 16;
        let stake: Vec<I32F32> = stakes.iter().map(|s| I32F32::from_num(*s)).collect();
        let score: Vec<I32F32> = scores.iter().map(|s| I32F32::from_num(*s) / 5).collect();
        let rows = |score: &[I32F32]| -> Matrix {
            score.iter().map(|s| if *s > 0 { vec![(0, *s)] } else { vec![] }).collect()
        };
        let median = weighted_median(&stake, &rows(&score), 1, majority)[0];
        prop_assert_eq!(median, by_definition(&stake, &score, majority));

        let shift = shift % stake.len();
        let (mut turned_stake, mut turned_score) = (stake.clone(), score.clone());
        turned_stake.rotate_left(shift);
        turned_score.rotate_left(shift);
        prop_assert_eq!(weighted_median(&turned_stake, &rows(&turned_score), 1, majority)[0], median);
    }
}
