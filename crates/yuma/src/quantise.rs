//! Quantising: real-valued weights become the `(uids, values)` of a `set_weights` call (chain.md 4.5).
//!
//! The official clients divide by the maximum, multiply by 65 535, round half to even and leave out the zeros. Doing the
//! same keeps a vector that two programs computed from the same scores identical on chain.

use thiserror::Error;

/// Why a weight vector cannot be quantised.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum QuantiseError {
    /// The two lists do not pair up.
    #[error("there are {uids} uids and {weights} weights; give exactly one weight to each uid")]
    Length {
        /// Length of the uid list.
        uids: usize,
        /// Length of the weight list.
        weights: usize,
    },
    /// A weight is negative, infinite or not a number.
    #[error("the weight of uid {uid} is {weight}; weights must be finite and not negative")]
    NotAWeight {
        /// Whose weight it is.
        uid: u16,
        /// The value that was given.
        weight: f64,
    },
}

/// Turns real weights into u16 values whose maximum is 65 535, without the entries that round to zero.
///
/// All-zero input gives an empty vector. The order of `uids` is kept.
///
/// # Errors
/// When the lists differ in length, or a weight is negative or not finite.
pub fn quantise(uids: &[u16], weights: &[f64]) -> Result<Vec<(u16, u16)>, QuantiseError> {
    if uids.len() != weights.len() {
        return Err(QuantiseError::Length { uids: uids.len(), weights: weights.len() });
    }
    for (uid, weight) in uids.iter().zip(weights) {
        if !weight.is_finite() || *weight < 0.0 {
            return Err(QuantiseError::NotAWeight { uid: *uid, weight: *weight });
        }
    }
    let max = weights.iter().copied().fold(0.0_f64, f64::max);
    if max == 0.0 {
        return Ok(Vec::new());
    }
    Ok(uids
        .iter()
        .zip(weights)
        .map(|(uid, weight)| {
            // In [0, 65 535] by construction, so the cast neither wraps nor saturates.
            let value = ((weight / max) * f64::from(u16::MAX)).round_ties_even() as u16;
            (*uid, value)
        })
        .filter(|(_, value)| *value > 0)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{QuantiseError, quantise};
    use proptest::prelude::*;

    #[test]
    fn halves_round_to_even_and_zeros_are_left_out() {
        // With a maximum of 65 535 the quotient times 65 535 is the weight itself, so the ties are exact.
        let uids = [9, 8, 7, 6, 5, 4];
        let weights = [65_535.0, 0.5, 1.5, 2.5, 0.0, 0.4];
        assert_eq!(quantise(&uids, &weights), Ok(vec![(9, 65_535), (7, 2), (6, 2)]));
        assert_eq!(quantise(&[1, 2], &[0.0, 0.0]), Ok(vec![]));
        assert_eq!(quantise(&[], &[]), Ok(vec![]));
        assert_eq!(quantise(&[3], &[1e-300]), Ok(vec![(3, 65_535)]));
    }

    #[test]
    fn what_is_no_weight_is_refused_by_name() {
        assert_eq!(quantise(&[1, 2], &[1.0]), Err(QuantiseError::Length { uids: 2, weights: 1 }));
        assert_eq!(quantise(&[1, 2], &[1.0, -0.1]), Err(QuantiseError::NotAWeight { uid: 2, weight: -0.1 }));
        assert!(quantise(&[1], &[f64::NAN]).is_err());
        assert!(quantise(&[1], &[f64::INFINITY]).is_err());
    }

    proptest! {
        #[test]
        fn quantising_keeps_order_and_stays_within_half_a_step(weights in prop::collection::vec(0.0_f64..1e6, 1..64)) {
            let uids: Vec<u16> = (0..weights.len() as u16).collect();
            let max = weights.iter().copied().fold(0.0, f64::max);
            prop_assume!(max > 0.0);
            let values = quantise(&uids, &weights);
            prop_assert!(values.is_ok());
            let values = values.unwrap_or_default();
            prop_assert_eq!(values.iter().map(|(_, value)| *value).max(), Some(65_535));
            for (uid, weight) in uids.iter().zip(&weights) {
                let value = values.iter().find(|(u, _)| u == uid).map_or(0, |(_, value)| *value);
                let exact = weight / max * 65_535.0;
                prop_assert!((exact - f64::from(value)).abs() <= 0.5 + 1e-9);
            }
        }
    }
}
