//! Max-upscaling: the chain stretches every weight vector it accepts so that its largest entry is 65 535 (chain.md 4.3).
//!
//! A validator that wants to recognise its own vector when it reads it back must apply the same arithmetic.

use fixed::types::I32F32;

/// Above this maximum the chain multiplies by a ratio instead of dividing the product. Both ways are the same in exact
/// arithmetic and differ by one unit here and there in fixed point, so the branch is part of the rule.
const RATIO_ABOVE: u16 = 32_768;

/// Scales `values` so that the largest becomes 65 535, rounding half away from zero. Zeros stay, all-zero stays all-zero.
#[must_use]
pub fn upscale(values: &[u16]) -> Vec<u16> {
    let Some(max) = values.iter().copied().max().filter(|max| *max > 0) else {
        return values.to_vec();
    };
    let top = I32F32::saturating_from_num(u16::MAX);
    let largest = I32F32::saturating_from_num(max);
    // `max` is at least 1 here, so neither division can divide by zero.
    let ratio = top.saturating_div(largest);
    values
        .iter()
        .map(|value| {
            let value = I32F32::saturating_from_num(*value);
            let scaled = if max > RATIO_ABOVE {
                value.saturating_mul(ratio)
            } else {
                value.saturating_mul(top).saturating_div(largest)
            };
            scaled.saturating_round().saturating_to_num::<u16>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::upscale;
    use proptest::prelude::*;

    #[test]
    fn the_largest_entry_becomes_65535_and_the_others_follow() {
        let table: &[(&[u16], &[u16])] = &[
            (&[], &[]),
            (&[0], &[0]),
            (&[0, 0, 0], &[0, 0, 0]),
            (&[1], &[65_535]),
            (&[0, 1], &[0, 65_535]),
            (&[65_535], &[65_535]),
            (&[16_383, 32_767, 49_149, 65_535], &[16_383, 32_767, 49_149, 65_535]),
            // 32 767 · 65 535 / 65 534 is 32 767.5 exactly, and the truncated ratio leaves it just under the half.
            (&[32_767, 65_534], &[32_767, 65_535]),
            (&[0, 1, 2, 3, 4], &[0, 16_384, 32_768, 49_151, 65_535]),
            (&[0, 10, 20, 30, 40], &[0, 16_384, 32_768, 49_151, 65_535]),
            (&[65_534], &[65_535]),
            (&[65_535, 65_535], &[65_535, 65_535]),
            (&[0, 1, 65_534], &[0, 1, 65_535]),
            (&[0, 1, 2, 3, 4, 65_533, 65_535], &[0, 1, 2, 3, 4, 65_533, 65_535]),
            (&[43_690, 21_845], &[65_535, 32_768]),
        ];
        for (given, expected) in table {
            assert_eq!(&upscale(given), expected, "upscaling {given:?}");
        }
    }

    proptest! {
        #[test]
        fn upscaling_keeps_order_zeros_and_proportions(values in prop::collection::vec(any::<u16>(), 1..64)) {
            let scaled = upscale(&values);
            let max = values.iter().copied().max().unwrap_or(0);
            prop_assert_eq!(scaled.len(), values.len());
            for (value, scaled) in values.iter().zip(&scaled) {
                if max == 0 || *value == 0 {
                    prop_assert_eq!(*scaled, 0);
                } else {
                    let exact = f64::from(*value) * 65_535.0 / f64::from(max);
                    prop_assert!((exact - f64::from(*scaled)).abs() <= 0.501, "{} of {} became {}", value, max, scaled);
                }
            }
            if max > 0 {
                prop_assert_eq!(scaled.iter().copied().max(), Some(65_535));
            }
        }

        #[test]
        fn upscaling_twice_changes_nothing_more(values in prop::collection::vec(any::<u16>(), 0..64)) {
            let once = upscale(&values);
            prop_assert_eq!(upscale(&once), once);
        }
    }
}
