//! Sparse matrices, row by row: a row is a validator, an entry `(uid, value)` is what it gives to a miner.
//!
//! Invariant: every operation costs O(nonzeros + uids) and keeps the order of a row's entries. The order matters: the
//! chain stores rows as they were submitted, and one of its steps (see [`super::liquid`]) reads them in that order.

use super::fixed_point::{I32F32, at, div, normalise_by, sum};

/// One validator's entries.
pub(crate) type Row = Vec<(u16, I32F32)>;
/// One row per uid.
pub(crate) type Matrix = Vec<Row>;

/// Stored u16 rows as plain numbers, not yet proportions.
pub(crate) fn from_stored(rows: &[Vec<(u16, u16)>]) -> Matrix {
    rows.iter().map(|row| row.iter().map(|(j, v)| (*j, I32F32::saturating_from_num(*v))).collect()).collect()
}

/// Keeps the entries for which `keep(row, column)` holds.
pub(crate) fn retain(matrix: &mut Matrix, keep: impl Fn(usize, u16) -> bool) {
    for (i, row) in matrix.iter_mut().enumerate() {
        row.retain(|(j, _)| keep(i, *j));
    }
}

/// Makes every row sum to one.
pub(crate) fn normalise_rows(matrix: &mut Matrix) {
    let mut values = Vec::new();
    for row in matrix {
        values.clear();
        values.extend(row.iter().map(|(_, value)| *value));
        let total = sum(values.iter().copied());
        normalise_by(&mut values, total);
        for ((_, value), normal) in row.iter_mut().zip(&values) {
            *value = *normal;
        }
    }
}

/// Folds each column to one value, in row order.
fn fold_columns(matrix: &Matrix, columns: usize, fold: impl Fn(I32F32, I32F32) -> I32F32) -> Vec<I32F32> {
    let mut folded = vec![I32F32::ZERO; columns];
    for (j, value) in matrix.iter().flatten() {
        if let Some(cell) = folded.get_mut(usize::from(*j)) {
            *cell = fold(*cell, *value);
        }
    }
    folded
}

/// Divides each column by its divisor; a column whose divisor is zero stays as it is.
fn divide_columns(matrix: &mut Matrix, divisors: &[I32F32]) {
    for (j, value) in matrix.iter_mut().flatten() {
        let divisor = at(divisors, *j);
        if !divisor.is_zero() {
            *value = div(*value, divisor);
        }
    }
}

/// Makes every column sum to one.
pub(crate) fn normalise_columns(matrix: &mut Matrix, columns: usize) {
    let totals = fold_columns(matrix, columns, I32F32::saturating_add);
    divide_columns(matrix, &totals);
}

/// Makes the largest entry of every column one.
pub(crate) fn upscale_columns(matrix: &mut Matrix, columns: usize) {
    let largest = fold_columns(matrix, columns, I32F32::max);
    divide_columns(matrix, &largest);
}

/// The sum of every row.
pub(crate) fn row_sums(matrix: &Matrix) -> Vec<I32F32> {
    matrix.iter().map(|row| sum(row.iter().map(|(_, value)| *value))).collect()
}

/// Multiplies row `i` by `factors[i]`.
pub(crate) fn scale_rows(matrix: &Matrix, factors: &[I32F32]) -> Matrix {
    matrix
        .iter()
        .zip(factors)
        .map(|(row, factor)| row.iter().map(|(j, value)| (*j, value.saturating_mul(*factor))).collect())
        .collect()
}

/// Per column `j`: the sum over rows of `factors[i] · matrix[i][j]`.
pub(crate) fn weigh_rows(matrix: &Matrix, factors: &[I32F32], columns: usize) -> Vec<I32F32> {
    let mut result = vec![I32F32::ZERO; columns];
    for (row, factor) in matrix.iter().zip(factors) {
        for (j, value) in row {
            if let Some(cell) = result.get_mut(usize::from(*j)) {
                *cell = cell.saturating_add(factor.saturating_mul(*value));
            }
        }
    }
    result
}

/// Per row `i`: the sum over columns of `factors[j] · matrix[i][j]`.
pub(crate) fn weigh_columns(matrix: &Matrix, factors: &[I32F32]) -> Vec<I32F32> {
    matrix.iter().map(|row| sum(row.iter().map(|(j, value)| at(factors, *j).saturating_mul(*value)))).collect()
}

/// A row-sized scratch pad: dense while one row is worked on, cleared at the cost of what was touched.
pub(crate) struct Scratch {
    cells: Vec<I32F32>,
    touched: Vec<u16>,
}

impl Scratch {
    /// A pad for `columns` uids.
    pub(crate) fn new(columns: usize) -> Self {
        Self { cells: vec![I32F32::ZERO; columns], touched: Vec::new() }
    }

    /// The value of a cell.
    pub(crate) fn get(&self, uid: u16) -> I32F32 {
        at(&self.cells, uid)
    }

    /// Adds to a cell.
    pub(crate) fn add(&mut self, uid: u16, value: I32F32) {
        if let Some(cell) = self.cells.get_mut(usize::from(uid)) {
            *cell = cell.saturating_add(value);
            self.touched.push(uid);
        }
    }

    /// Sets every touched cell back to zero.
    pub(crate) fn clear(&mut self) {
        for uid in self.touched.drain(..) {
            if let Some(cell) = self.cells.get_mut(usize::from(uid)) {
                *cell = I32F32::ZERO;
            }
        }
    }

    /// Takes the positive cells in ascending order of uid and clears the pad.
    pub(crate) fn take_positive(&mut self) -> Row {
        self.touched.sort_unstable();
        self.touched.dedup();
        let row = self
            .touched
            .iter()
            .map(|uid| (*uid, at(&self.cells, *uid)))
            .filter(|(_, value)| *value > I32F32::ZERO)
            .collect();
        self.clear();
        row
    }
}
