//! The numbers of the chain's unit tests of its arithmetic (`math.rs`), for the functions that this module has. The weighted median's are
//! in `consensus_tests.rs`, the sigmoid's in `liquid.rs`, `exp`'s in `fixed_point.rs`, the upscaling of weights' in `upscale.rs`.
//!
//! No function here, hence no test: `vec_max_upscale_to_u16` (only u16 vectors are upscaled), the dense twins of every sparse function, `hadamard`,
//! `clip` to two values, `mat_ema_alpha_vec*` (liquid alpha has a rate per entry), `quantile`, `checked_sum`, `fixed_to_u64` (emission
//! goes through 96 bits), and the tests of the test's own helpers (`vec_to_fixed`, `vec_to_mat_fixed`, …).

use crate::epoch::{
    bonds,
    bonds::penalised,
    consensus::clip,
    fixed_point::{I32F32, div, normalise, proportion, sum, to_u16},
    liquid, sparse,
    sparse::Matrix,
    stake::{permits, shares},
};

fn fixed(values: &[f64]) -> Vec<I32F32> {
    values.iter().map(|value| I32F32::from_num(*value)).collect()
}

/// A table by rows; what is not positive is not written down.
fn rows<const N: usize>(table: &[[f64; N]]) -> Matrix {
    let entries =
        |row: &[f64; N]| (0..).zip(row).filter(|(_, v)| **v > 0.0).map(|(j, v)| (j, I32F32::from_num(*v))).collect();
    table.iter().map(entries).collect()
}

/// The same entries in the same places, values to within `epsilon`.
fn close(got: &Matrix, expected: &Matrix, epsilon: f64) {
    let uids = |m: &Matrix| m.iter().map(|row| row.iter().map(|(j, _)| *j).collect::<Vec<_>>()).collect::<Vec<_>>();
    assert_eq!(uids(got), uids(expected));
    for ((_, a), (_, b)) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((a.to_num::<f64>() - b.to_num::<f64>()).abs() <= epsilon, "{a} is not {b}");
    }
}

const TWELVE: [[f64; 3]; 4] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [10.0, 11.0, 12.0]];
/// The same with the first column gone from three rows.
const NINE: [[f64; 3]; 4] = [[0.0, 2.0, 3.0], [4.0, 0.0, 6.0], [7.0, 8.0, 0.0], [10.0, 11.0, 12.0]];
const NOTHING: [[f64; 3]; 4] = [[0.0; 3]; 4];
const RAGGED: [[f64; 7]; 6] = [
    [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 4.0],
    [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0],
    [1.0, 0.0, 0.0, 2.0, 0.0, 3.0, 4.0],
    [0.0, 10.0, 0.0, 100.0, 1_000.0, 0.0, 10_000.0],
    [0.0; 7],
    [1.0; 7],
];

/// A table turned on its side.
fn turned<const N: usize, const M: usize>(table: [[f64; N]; M]) -> [[f64; M]; N] {
    std::array::from_fn(|j| std::array::from_fn(|i| table[i][j]))
}

#[test]
fn rows_and_columns_are_made_to_sum_to_one() {
    let seventh = 0.142_857;
    let expected = [
        [0.0, 0.1, 0.0, 0.2, 0.0, 0.3, 0.4],
        [0.0, 0.166_666, 0.0, 0.333_333, 0.0, 0.5, 0.0],
        [0.1, 0.0, 0.0, 0.2, 0.0, 0.3, 0.4],
        [0.0, 0.0009, 0.0, 0.009, 0.09, 0.0, 0.9],
        [0.0; 7],
        [seventh; 7],
    ];
    let mut matrix = rows(&RAGGED);
    sparse::normalise_rows(&mut matrix);
    close(&matrix, &rows(&expected), 1e-4);
    let mut matrix = rows(&turned(RAGGED));
    sparse::normalise_columns(&mut matrix, 6);
    close(&matrix, &rows(&turned(expected)), 1e-4);
    for mut empty in [rows(&NOTHING), vec![]] {
        let before = empty.clone();
        sparse::normalise_rows(&mut empty);
        sparse::normalise_columns(&mut empty, 3);
        sparse::upscale_columns(&mut empty, 3);
        assert_eq!(empty, before);
    }
}

#[test]
fn the_largest_of_a_column_becomes_one() {
    let expected = [
        [0.0, 0.25, 0.0, 0.5, 0.0, 0.75, 1.0],
        [0.0, 0.333_333, 0.0, 0.666_666, 0.0, 1.0, 0.0],
        [0.25, 0.0, 0.0, 0.5, 0.0, 0.75, 1.0],
        [0.0, 0.001, 0.0, 0.01, 0.1, 0.0, 1.0],
        [0.0; 7],
        [1.0; 7],
    ];
    let mut matrix = rows(&turned(RAGGED));
    sparse::upscale_columns(&mut matrix, 6);
    close(&matrix, &rows(&turned(expected)), 1e-4);
    let mut zero: Matrix = vec![vec![(0, I32F32::ZERO)]];
    sparse::upscale_columns(&mut zero, 1);
    assert_eq!(zero, vec![vec![(0, I32F32::ZERO)]]);
}

#[test]
fn rows_are_scaled_summed_and_weighed() {
    let factors = fixed(&[1.0, 2.0, 3.0, 4.0]);
    let scaled = [[1.0, 2.0, 3.0], [8.0, 10.0, 12.0], [21.0, 24.0, 27.0], [40.0, 44.0, 48.0]];
    assert_eq!(sparse::scale_rows(&rows(&TWELVE), &factors), rows(&scaled));
    let scaled = [[0.0, 2.0, 3.0], [8.0, 0.0, 12.0], [21.0, 24.0, 0.0], [40.0, 44.0, 48.0]];
    assert_eq!(sparse::scale_rows(&rows(&NINE), &factors), rows(&scaled));
    assert_eq!(sparse::row_sums(&rows(&TWELVE)), fixed(&[6.0, 15.0, 24.0, 33.0]));
    assert_eq!(sparse::row_sums(&rows(&NINE)), fixed(&[5.0, 10.0, 15.0, 33.0]));
    assert_eq!(sparse::row_sums(&rows(&NOTHING)), fixed(&[0.0; 4]));
    assert_eq!(sparse::weigh_rows(&rows(&TWELVE), &factors, 3), fixed(&[70.0, 80.0, 90.0]));
    assert_eq!(sparse::weigh_rows(&rows(&NINE), &factors, 3), fixed(&[69.0, 70.0, 63.0]));
    assert_eq!(sparse::weigh_rows(&rows(&NOTHING), &factors, 3), fixed(&[0.0; 3]));
    let ones = fixed(&[1.0; 4]);
    assert_eq!(sparse::weigh_rows(&rows(&TWELVE), &ones, 3), fixed(&[22.0, 26.0, 30.0]), "the sums of the columns");
    let factors = fixed(&[1.0, 2.0, 3.0]);
    assert_eq!(sparse::weigh_columns(&rows(&TWELVE), &factors), fixed(&[14.0, 32.0, 50.0, 68.0]));
    assert_eq!(sparse::weigh_columns(&rows(&NINE), &factors), fixed(&[13.0, 22.0, 23.0, 68.0]));
}

#[test]
fn what_a_mask_hits_is_dropped() {
    let square = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
    let kept = |keep: fn(usize, u16) -> bool| {
        let mut matrix = rows(&square);
        sparse::retain(&mut matrix, keep);
        matrix
    };
    assert_eq!(kept(|i, j| i != usize::from(j)), rows(&[[0.0, 2.0, 3.0], [4.0, 0.0, 6.0], [7.0, 8.0, 0.0]]));
    assert_eq!(kept(|i, j| i >= usize::from(j)), rows(&[[1.0, 0.0, 0.0], [4.0, 5.0, 0.0], [7.0, 8.0, 9.0]]));
    assert_eq!(kept(|i, _| i == 1), rows(&[[0.0; 3], [4.0, 5.0, 6.0], [0.0; 3]]));
    assert_eq!(kept(|_, _| false), rows(&[[0.0; 3]; 3]));
}

#[test]
fn weights_above_the_consensus_are_cut_to_it() {
    let ceiling = fixed(&[0.0, 5.0, 12.0]);
    let mut given = TWELVE;
    given[0][0] = 0.0;
    assert_eq!(
        clip(&rows(&given), &ceiling),
        rows(&[[0.0, 2.0, 3.0], [0.0, 5.0, 6.0], [0.0, 5.0, 9.0], [0.0, 5.0, 12.0]])
    );
    given[2] = [0.0; 3];
    assert_eq!(clip(&rows(&given), &ceiling), rows(&[[0.0, 2.0, 3.0], [0.0, 5.0, 6.0], [0.0; 3], [0.0, 5.0, 12.0]]));
    assert_eq!(clip(&rows(&NOTHING), &ceiling), rows(&NOTHING));
}

#[test]
fn the_moving_average_takes_a_tenth_of_the_new() {
    let tenth = I32F32::from_num(0.1);
    let tenfold = TWELVE.map(|row| row.map(|v| 10.0 * v));
    let average = |new: &[[f64; 3]; 4], old: &[[f64; 3]; 4], rate| bonds::average(&rows(new), &rows(old), rate, 3);
    close(&average(&tenfold, &TWELVE, tenth), &rows(&TWELVE.map(|row| row.map(|v| 1.9 * v))), 1e-6);
    assert_eq!(average(&tenfold, &TWELVE, I32F32::ZERO), rows(&TWELVE));
    assert_eq!(average(&tenfold, &TWELVE, I32F32::ONE), rows(&tenfold));

    let old = [[0.0, 2.0, 3.0], [4.0, 0.0, 6.0], [7.0, 8.0, 0.0], [10.0, 11.0, 12.0]];
    let new = [[10.0, 20.0, 0.0], [40.0, 0.0, 60.0], [0.0, 80.0, 90.0], [100.0, 110.0, 120.0]];
    let mixed = [[1.0, 3.8, 2.7], [7.6, 0.0, 11.4], [6.3, 15.2, 9.0], [19.0, 20.9, 22.8]];
    close(&average(&new, &old, tenth), &rows(&mixed), 1e-6);
    close(&average(&new, &NOTHING, tenth), &rows(&new.map(|row| row.map(|v| 0.1 * v))), 1e-6);
    close(&average(&NOTHING, &NOTHING, tenth), &rows(&NOTHING), 0.0);
    let (mut one, mut two) = (NOTHING, NOTHING);
    (one[0][0], two[1][1]) = (1.0, 2.0);
    let mut both = NOTHING;
    (both[0][0], both[1][1]) = (0.9, 0.2);
    close(&average(&two, &one, tenth), &rows(&both), 1e-6);
}

#[test]
fn the_rate_of_the_moving_average_is_what_it_does_not_keep() {
    assert_eq!(bonds::rate(900_000), I32F32::from_num(0.1));
    assert_eq!(bonds::rate(1_000_000), I32F32::ZERO);
    assert_eq!(bonds::rate(0), I32F32::ONE);
}

#[test]
fn the_penalty_mixes_two_matrices() {
    let from = [[1.0, 0.0], [100.0, 1_000.0], [10_000.0, 100_000.0]];
    let to = [[10.0, 100.0], [1_000.0, 10_000.0], [100_000.0, 0.0]];
    let mix = |penalty| penalised(&rows(&from), &rows(&to), penalty, 2);
    assert_eq!(mix(0), rows(&from));
    assert_eq!(mix(u16::MAX), rows(&to));
    // The chain's table has a ratio of 0.9; the nearest penalty is 58 982, and what only the second matrix names is not taken up.
    let ratio = 58_982.0 / 65_535.0;
    let expected = [0, 1, 2]
        .map(|i| [0, 1].map(|j| if from[i][j] > 0.0 { from[i][j] + ratio * (to[i][j] - from[i][j]) } else { 0.0 }));
    close(&mix(58_982), &rows(&expected), 1e-3);
    for (got, table) in mix(58_982).iter().zip([[9.1, 0.0], [910.0, 9_100.0], [91_000.0, 10_000.0]]) {
        for (j, value) in got {
            let table = table[usize::from(*j)];
            assert!((value.to_num::<f64>() / table - 1.0).abs() < 1e-4, "{value} is not {table}");
        }
    }
}

#[test]
fn a_vector_is_made_to_sum_to_one_and_divided_entry_by_entry() {
    let cases: [(&[f64], &[f64]); 3] = [
        (&[], &[]),
        (&[1.0, 10.0, 30.0], &[0.024_390_243_7, 0.243_902_439, 0.731_707_317_1]),
        (&[-1.0, 10.0, 30.0], &[-0.025_641_025_5, 0.256_410_256_3, 0.769_230_769]),
    ];
    for (given, expected) in cases {
        let mut values = fixed(given);
        normalise(&mut values);
        for (got, expected) in values.iter().zip(expected) {
            assert!((got.to_num::<f64>() - expected).abs() < 1e-9, "{got} is not {expected}");
        }
    }
    assert_eq!(sum(fixed(&[1.0, 10.0, 30.0])), I32F32::from_num(41));
    assert_eq!(sum(fixed(&[-1.0, 10.0, 30.0])), I32F32::from_num(39));
    assert_eq!(sum([]), I32F32::ZERO);
    for (x, y, quotient) in [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (10.0, 2.0, 5.0)] {
        assert_eq!(div(I32F32::from_num(x), I32F32::from_num(y)), I32F32::from_num(quotient), "{x}/{y}");
    }
}

#[test]
fn stake_shares_have_32_bits_and_no_more() {
    let all = 21_000_000_000_000_000;
    let share = |stake: u64| shares(&[stake, all - stake], 0, None)[0];
    assert_eq!(share(1), I32F32::ZERO);
    assert_eq!(share(4_889_444), I32F32::DELTA, "2^-32 of all stake is the least that counts");
    assert_eq!(share(all / 2), I32F32::from_num(0.5));
    assert_eq!(share(all), I32F32::ONE);
}

#[test]
fn the_first_k_by_stake_have_permits() {
    let ascending = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let granted = |values: &[f64], k| permits(&fixed(values), k, None).iter().map(|p| u8::from(*p)).collect::<Vec<_>>();
    assert_eq!(granted(&[], 5), [0_u8; 0]);
    assert_eq!(granted(&ascending, 0), [0; 10]);
    assert_eq!(granted(&ascending, 5), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    // No stake, no permit, however many there are: the chain's `is_topk_nonzero`.
    for k in [10, 100] {
        assert_eq!(granted(&ascending, k), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
    let descending: Vec<f64> = ascending.iter().rev().copied().collect();
    assert_eq!(granted(&descending, 5), [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    for scale in [1.0, 0.1] {
        let mixed = [9.0, 0.0, 8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0].map(|v| v * scale);
        assert_eq!(granted(&mixed, 5), [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    }
    assert_eq!(granted(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 6.0], 5), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn proportions_and_u16_become_one_another() {
    assert_eq!((proportion(0), to_u16(I32F32::ZERO)), (I32F32::ZERO, 0));
    assert_eq!(to_u16(I32F32::from_num(u16::MAX)), u16::MAX, "saturates");
    assert_eq!(to_u16(I32F32::from_num(-1)), 0, "saturates");
}

#[test]
fn liquid_alpha_with_equal_bounds_is_one_rate_for_all() {
    let table = |t: [[f64; 3]; 4]| -> Matrix {
        t.iter().map(|row| (0..).zip(row).map(|(j, v)| (j, I32F32::from_num(*v))).collect()).collect()
    };
    let weights = table([[0.0, 0.1, 0.0], [0.0, 0.2, 0.4], [0.0, 0.3, 0.1], [0.0, 0.4, 0.5]]);
    let bonds = table([[0.1, 0.1, 0.5], [0.0, 0.0, 0.4], [0.5, 0.1, 0.1], [0.0, 0.4, 0.2]]);
    let alpha = crate::epoch::LiquidAlpha { low: 6_553, high: 6_553, steepness: 1_000 };
    let liquid = liquid::average(&weights, &bonds, &fixed(&[0.3, 0.2, 0.1]), alpha, 3);
    let plain = bonds::average(&weights, &bonds, bonds::rate(900_000), 3);
    close(&liquid, &plain, 1e-3);
}
