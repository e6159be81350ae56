//! Bonds: how early and how steadily a validator has backed a miner (chain.md 6.8, 6.9).
//!
//! A bond is an exponential moving average of weights. Yuma 2 averages shares of stake-scaled weights and stores the
//! columns stretched to a maximum of one; Yuma 3 averages the weights themselves, with a rate of its own per entry when
//! liquid alpha is on.

use super::fixed_point::{I32F32, I64F64, proportion, to_u16};
use super::sparse::{self, Matrix, Scratch};
use super::{LiquidAlpha, liquid};

/// What the averages need besides the weights.
pub(crate) struct Context<'a> {
    /// Number of uids.
    pub columns: usize,
    /// Shares of active stake.
    pub active: &'a [I32F32],
    /// The weighted median per miner.
    pub consensus: &'a [I32F32],
    /// The share of each miner.
    pub incentive: &'a [I32F32],
    /// How much of a bond is new, in millionths, seen from the other side: the moving average keeps this much.
    pub moving_average: u64,
}

/// New bonds, as proportions, and the validators' shares of dividends.
pub(crate) struct Bonded {
    /// To be stored.
    pub bonds: Matrix,
    /// Normalised, unless all are zero.
    pub dividends: Vec<I32F32>,
}

impl Bonded {
    /// The bonds as the chain stores them.
    pub(crate) fn stored(&self) -> Vec<Vec<(u16, u16)>> {
        self.bonds.iter().map(|row| row.iter().map(|(j, bond)| (*j, to_u16(*bond))).collect()).collect()
    }
}

/// The weights that bonds are bought with: between what was set and what consensus left of it.
pub(crate) fn penalised(weights: &Matrix, clipped: &Matrix, penalty: u16, columns: usize) -> Matrix {
    match penalty {
        0 => return weights.clone(),
        u16::MAX => return clipped.clone(),
        _ => {}
    }
    let ratio = proportion(penalty);
    let mut left = Scratch::new(columns);
    let mut mixed = Scratch::new(columns);
    weights
        .iter()
        .zip(clipped)
        .map(|(row, clipped)| {
            for (j, weight) in clipped {
                left.add(*j, *weight);
            }
            for (j, weight) in row {
                let change = left.get(*j).saturating_sub(*weight);
                mixed.add(*j, weight.saturating_add(ratio.saturating_mul(change)));
            }
            left.clear();
            mixed.take_positive()
        })
        .collect()
}

/// The share of a bond that is bought anew when the rate is the same for all.
pub(super) fn rate(moving_average: u64) -> I32F32 {
    let kept = I64F64::saturating_from_num(moving_average).saturating_div(I64F64::saturating_from_num(1_000_000));
    I32F32::ONE.saturating_sub(I32F32::saturating_from_num(kept))
}

/// `rate · new + (1 − rate) · old`, rows in ascending order of uid, zeros left out.
pub(super) fn average(new: &Matrix, old: &Matrix, rate: I32F32, columns: usize) -> Matrix {
    let keep = I32F32::ONE.saturating_sub(rate);
    let mut cells = Scratch::new(columns);
    new.iter()
        .zip(old)
        .map(|(new, old)| {
            for (j, value) in new {
                cells.add(*j, rate.saturating_mul(*value));
            }
            for (j, value) in old {
                cells.add(*j, keep.saturating_mul(*value));
            }
            cells.take_positive()
        })
        .collect()
}

/// Yuma 2. `bonds` are the stored numbers, already masked.
pub(crate) fn yuma2(weights: &Matrix, mut bonds: Matrix, context: &Context<'_>) -> Bonded {
    sparse::normalise_columns(&mut bonds, context.columns);
    let mut bought = sparse::scale_rows(weights, context.active);
    sparse::normalise_columns(&mut bought, context.columns);
    let mut bonds = average(&bought, &bonds, rate(context.moving_average), context.columns);
    sparse::normalise_columns(&mut bonds, context.columns);
    let mut dividends = sparse::weigh_columns(&bonds, context.incentive);
    super::fixed_point::normalise(&mut dividends);
    sparse::upscale_columns(&mut bonds, context.columns);
    Bonded { bonds, dividends }
}

/// Yuma 3. `bonds` are the stored numbers, already masked.
pub(crate) fn yuma3(weights: &Matrix, mut bonds: Matrix, liquid: Option<LiquidAlpha>, context: &Context<'_>) -> Bonded {
    let whole = I32F32::saturating_from_num(u16::MAX);
    for (_, bond) in bonds.iter_mut().flatten() {
        *bond = super::fixed_point::div(*bond, whole);
    }
    let agreed = context.consensus.iter().any(|consensus| !consensus.is_zero());
    let bonds = match liquid.filter(|_| agreed) {
        Some(alpha) => liquid::average(weights, &bonds, context.consensus, alpha, context.columns),
        None => average(weights, &bonds, rate(context.moving_average), context.columns),
    };
    let mut shares = bonds.clone();
    sparse::normalise_columns(&mut shares, context.columns);
    let mut dividends: Vec<I32F32> = sparse::weigh_columns(&shares, context.incentive)
        .iter()
        .zip(context.active)
        .map(|(bonded, stake)| bonded.saturating_mul(*stake))
        .collect();
    super::fixed_point::normalise(&mut dividends);
    Bonded { bonds, dividends }
}
