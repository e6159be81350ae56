//! Liquid alpha: a bond moves faster where a validator leads or leaves the consensus (chain.md 6.9).
//!
//! Two of the chain's habits are kept on purpose, because a prediction must have them too. A bond survives only in
//! columns that the validator's row still names (a weight of zero is named). And the rate of an entry is computed from a
//! walk over ascending uids that never steps back: in a row that was submitted out of order, an entry that comes after
//! a larger uid is read as zero there.

use super::LiquidAlpha;
use super::fixed_point::{I32F32, at, div, exp, proportion};
use super::sparse::{Matrix, Row, Scratch};

/// The bounds of the rate and how sharply it turns.
struct Curve {
    low: I32F32,
    high: I32F32,
    /// Minus the steepness.
    slope: I32F32,
}

impl Curve {
    fn new(alpha: LiquidAlpha) -> Self {
        Self {
            low: proportion(alpha.low),
            high: proportion(alpha.high),
            slope: I32F32::saturating_from_num(alpha.steepness).saturating_div(I32F32::saturating_from_num(-100)),
        }
    }

    /// The rate for one entry.
    fn rate(&self, consensus: I32F32, weight: I32F32, bond: I32F32) -> I32F32 {
        let gap = if weight >= bond { weight.saturating_sub(consensus) } else { bond.saturating_sub(weight) };
        let gap = gap.clamp(I32F32::ZERO, I32F32::ONE);
        let half = I32F32::ONE / 2;
        let bend = exp(self.slope.saturating_mul(gap.saturating_sub(half)));
        let sigmoid = div(I32F32::ONE, I32F32::ONE.saturating_add(bend));
        let rate = self.low.saturating_add(sigmoid.saturating_mul(self.high.saturating_sub(self.low)));
        // Not `clamp`: bounds in the wrong order would panic there, and the chain's own comparison gives `low` first.
        if rate < self.low {
            self.low
        } else if rate > self.high {
            self.high
        } else {
            rate
        }
    }
}

/// The entries that a walk over ascending uids sees: those larger than every uid before them.
fn ascending(row: &Row) -> impl Iterator<Item = (u16, I32F32)> + '_ {
    let mut largest: Option<u16> = None;
    row.iter().copied().filter(move |(j, _)| {
        let seen = largest.is_none_or(|largest| *j > largest);
        if seen {
            largest = Some(*j);
        }
        seen
    })
}

/// `rate · weight + (1 − rate) · bond` per entry of the new weights, zeros left out.
pub(crate) fn average(
    weights: &Matrix,
    bonds: &Matrix,
    consensus: &[I32F32],
    alpha: LiquidAlpha,
    columns: usize,
) -> Matrix {
    let curve = Curve::new(alpha);
    let mut old = Scratch::new(columns);
    let mut seen_weight = Scratch::new(columns);
    let mut seen_bond = Scratch::new(columns);
    weights
        .iter()
        .zip(bonds)
        .map(|(row, bonds)| {
            for (j, bond) in bonds {
                old.add(*j, *bond);
            }
            for (j, weight) in ascending(row) {
                seen_weight.add(j, weight);
            }
            for (j, bond) in ascending(bonds) {
                seen_bond.add(j, bond);
            }
            let averaged = row
                .iter()
                .map(|(j, weight)| {
                    let rate = curve.rate(at(consensus, *j), seen_weight.get(*j), seen_bond.get(*j));
                    let kept = I32F32::ONE.saturating_sub(rate).saturating_mul(old.get(*j));
                    // Between bond and weight, hence in 0..=1: the chain's clamp to that range has nothing to do.
                    (*j, kept.saturating_add(rate.saturating_mul(*weight)))
                })
                .filter(|(_, bond)| *bond > I32F32::ZERO)
                .collect();
            old.clear();
            seen_weight.clear();
            seen_bond.clear();
            averaged
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: LiquidAlpha = LiquidAlpha { low: 6_553, high: 19_660, steepness: 1000 };

    fn row(entries: &[(u16, f64)]) -> Row {
        entries.iter().map(|(j, value)| (*j, I32F32::from_num(*value))).collect()
    }

    #[test]
    fn the_rate_stays_within_its_bounds_and_rises_with_the_gap() {
        let curve = Curve::new(ALPHA);
        let mut last = I32F32::ZERO;
        for step in 0..=10 {
            let rate = curve.rate(I32F32::ZERO, I32F32::from_num(step) / 10, I32F32::ZERO);
            assert!(rate >= curve.low && rate <= curve.high && rate >= last);
            last = rate;
        }
        let (low, high) = (curve.low.to_num::<f64>(), curve.high.to_num::<f64>());
        let at_half = curve.rate(I32F32::ZERO, I32F32::from_num(0.5), I32F32::ZERO).to_num::<f64>();
        assert!((at_half - (low + high) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_sigmoid_is_the_chains() {
        // The chain's unit test of it, for the inputs that a gap can have; those of its second table are single precision.
        let thirty: &[(f64, f64)] =
            &[(0.0, 0.000_000_305_7), (0.4, 0.047_425_872_9), (0.5, 0.5), (0.6, 0.952_574_127), (1.0, 0.999_999_694_3)];
        let forty: [(f32, f64); 11] = [
            (0.0, 0.000_000_001_9),
            (0.1, 0.000_000_112_5),
            (0.2, 0.000_006_144_2),
            (0.3, 0.000_335_350_2),
            (0.4, 0.017_986_214),
            (0.5, 0.5),
            (0.6, 0.982_013_806_7),
            (0.7, 0.999_664_649_8),
            (0.8, 0.999_993_855_8),
            (0.9, 0.999_999_887_5),
            (1.0, 0.999_999_998_1),
        ];
        let forty = &forty.map(|(gap, expected)| (f64::from(gap), expected))[..];
        for (steepness, table) in [(3_000, thirty), (4_000, forty)] {
            let curve = Curve::new(LiquidAlpha { low: 0, high: u16::MAX, steepness });
            for (gap, expected) in table {
                let got = curve.rate(I32F32::ZERO, I32F32::from_num(*gap), I32F32::ZERO);
                assert_eq!(got, I32F32::from_num(*expected), "steepness {steepness}, gap {gap}");
            }
        }
    }

    #[test]
    fn bounds_in_the_wrong_order_do_not_panic() {
        let curve = Curve::new(LiquidAlpha { low: 19_660, high: 6_553, steepness: -7 });
        assert_eq!(curve.rate(I32F32::ZERO, I32F32::ONE, I32F32::ZERO), curve.low);
    }

    #[test]
    fn a_bond_lives_on_only_where_the_row_still_names_the_miner() {
        let consensus = [I32F32::ZERO, I32F32::ONE, I32F32::ZERO];
        let bonds = vec![row(&[(1, 0.5), (2, 0.5)])];
        let named = average(&vec![row(&[(1, 1.0), (2, 0.0)])], &bonds, &consensus, ALPHA, 3);
        assert_eq!(named[0].iter().map(|(j, _)| *j).collect::<Vec<_>>(), [1, 2]);
        let unnamed = average(&vec![row(&[(1, 1.0)])], &bonds, &consensus, ALPHA, 3);
        assert_eq!(unnamed[0].iter().map(|(j, _)| *j).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_entry_after_a_larger_uid_is_read_as_zero_for_its_rate() {
        let consensus = [I32F32::ZERO, I32F32::from_num(0.1), I32F32::ZERO];
        let bonds = vec![row(&[])];
        let sorted = average(&vec![row(&[(1, 0.9), (2, 0.1)])], &bonds, &consensus, ALPHA, 3);
        let shuffled = average(&vec![row(&[(2, 0.1), (1, 0.9)])], &bonds, &consensus, ALPHA, 3);
        let curve = Curve::new(ALPHA);
        let blind = curve.rate(consensus[1], I32F32::ZERO, I32F32::ZERO);
        assert_eq!(shuffled[0][1], (1, blind.saturating_mul(I32F32::from_num(0.9))));
        assert!(sorted[0][0].1 > shuffled[0][1].1);
    }
}
