//! Scores to the u16 weights that are sent (chain.md 4.5, `convert_weights_and_uids_for_emit`).
//!
//! Pure. The largest weight becomes 65535, the rest in proportion, rounded half to even as Python rounds; zeros are dropped, because
//! the chain stores what it is given.

/// Why weights cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// One weight per uid.
    #[error("{uids} uids but {weights} weights: there must be one weight per uid")]
    Lengths {
        /// Number of uids.
        uids: usize,
        /// Number of weights.
        weights: usize,
    },
    /// Weights are shares.
    #[error("the weight of uid {uid} is {weight}: weights are finite and not negative")]
    Value {
        /// Whose.
        uid: u16,
        /// What was given.
        weight: f64,
    },
}

/// The uids with a weight above zero, and their weights scaled so that the largest is 65535. Two empty lists if all are zero.
///
/// # Errors
/// [`WeightsError`].
pub fn quantise(uids: &[u16], weights: &[f64]) -> Result<(Vec<u16>, Vec<u16>), WeightsError> {
    if uids.len() != weights.len() {
        return Err(WeightsError::Lengths { uids: uids.len(), weights: weights.len() });
    }
    if let Some((uid, weight)) = uids.iter().zip(weights).find(|(_, weight)| !weight.is_finite() || **weight < 0.0) {
        return Err(WeightsError::Value { uid: *uid, weight: *weight });
    }
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let scale = |weight: f64| (weight / largest * 65535.0).round_ties_even() as u16;
    Ok(uids.iter().zip(weights).map(|(uid, weight)| (*uid, scale(*weight))).filter(|(_, value)| *value > 0).unzip())
}

/// What the chain stores for `values` (chain.md 4.3): the largest raised to 65535, the rest in proportion, in its fixed-point
/// arithmetic of 32 fraction bits, halves away from zero. Zeros stay.
#[must_use]
pub fn max_upscale(values: &[u16]) -> Vec<u16> {
    let largest = values.iter().copied().max().unwrap_or(0);
    if largest == 0 {
        return vec![0; values.len()];
    }
    let (full, largest) = (u64::from(u16::MAX), u64::from(largest));
    let scale = |value: u16| {
        let bits = if largest > 32768 {
            u64::from(value) * ((full << 32) / largest)
        } else {
            // 65535 * 65535 needs all 32 bits above the fraction: the wider type holds it.
            ((u128::from(value) * u128::from(full)) << 32).wrapping_div(u128::from(largest)).min(u64::MAX.into()) as u64
        };
        u16::try_from(bits.saturating_add(1 << 31) >> 32).unwrap_or(u16::MAX)
    };
    values.iter().map(|value| scale(*value)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_is_65535_and_zeros_are_dropped() {
        assert_eq!(quantise(&[3, 1, 7], &[0.5, 0.0, 1.0]).unwrap(), (vec![3, 7], vec![32768, 65535]));
        assert_eq!(quantise(&[1, 2], &[0.0, 0.0]).unwrap(), (vec![], vec![]));
        assert_eq!(quantise(&[1], &[1e-30]).unwrap(), (vec![1], vec![65535]));
    }

    #[test]
    fn halves_go_to_the_even_number_as_in_python() {
        // 65535 * x = n + 1/2 exactly, for powers of two: 65535 / 2 = 32767.5 -> 32768, 65535 * 1.5 / 2 ...
        assert_eq!(quantise(&[0, 1], &[1.0, 2.0]).unwrap().1, [32768, 65535]);
        // 65535 * 3 / 2 / 65535... : 0.5 -> 0, which is dropped; 1.5 -> 2; 2.5 -> 2.
        let unit = 65535.0 * 2.0;
        assert_eq!(quantise(&[0, 1, 2, 3], &[1.0, 3.0, 5.0, unit]).unwrap(), (vec![1, 2, 3], vec![2, 2, 65535]));
    }

    #[test]
    fn the_chain_leaves_quantised_weights_as_they_are_and_raises_others() {
        assert_eq!(max_upscale(&[65535, 32768, 0, 1]), [65535, 32768, 0, 1]);
        assert_eq!(max_upscale(&[1, 2]), [32768, 65535]);
        assert_eq!(max_upscale(&[50000, 25000]), [65535, 32768]);
        assert_eq!(max_upscale(&[0, 0]), [0, 0]);
        assert_eq!(max_upscale(&[7]), [65535]);
        assert!(max_upscale(&[]).is_empty());
    }

    #[test]
    fn what_is_no_weight_is_named() {
        assert_eq!(quantise(&[1], &[]), Err(WeightsError::Lengths { uids: 1, weights: 0 }));
        assert_eq!(quantise(&[4, 5], &[1.0, -0.5]), Err(WeightsError::Value { uid: 5, weight: -0.5 }));
        assert!(quantise(&[4], &[f64::NAN]).is_err() && quantise(&[4], &[f64::INFINITY]).is_err());
    }

    proptest! {
        #[test]
        fn order_is_kept_and_the_top_is_full(weights in prop::collection::vec(0.0_f64..1e6, 1..50)) {
            let uids: Vec<u16> = (0..weights.len() as u16).collect();
            let (kept, values) = quantise(&uids, &weights).unwrap();
            prop_assert_eq!(kept.len(), values.len());
            if weights.iter().any(|weight| *weight > 0.0) {
                prop_assert_eq!(values.iter().max(), Some(&65535));
            }
            for (a, &x) in kept.iter().zip(&values) {
                for (b, &y) in kept.iter().zip(&values) {
                    if weights[usize::from(*a)] < weights[usize::from(*b)] {
                        prop_assert!(x <= y);
                    }
                }
            }
        }
    }
}
