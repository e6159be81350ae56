//! Weights before they are sent: scores to the two lists ([`quantise`]), whether the chain would take them ([`preflight`]), and what
//! they would earn ([`simulate`]). The arithmetic itself is [`starling_incentive`]'s.

pub mod preflight;
pub mod simulate;

pub use starling_incentive::quantise::QuantiseError;

/// The uids with a weight above zero, and their weights scaled so that the largest is 65535 (chain.md 4.5). Two empty lists if all
/// are zero.
///
/// # Errors
/// [`QuantiseError`] if the lists differ in length, or a weight is negative or not finite.
pub fn quantise(uids: &[u16], weights: &[f64]) -> Result<(Vec<u16>, Vec<u16>), QuantiseError> {
    Ok(starling_incentive::quantise::quantise(uids, weights)?.into_iter().unzip())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_65535_and_zeros_are_dropped() {
        assert_eq!(quantise(&[3, 1, 7], &[0.5, 0.0, 1.0]).unwrap(), (vec![3, 7], vec![32768, 65535]));
        assert_eq!(quantise(&[1, 2], &[0.0, 0.0]).unwrap(), (vec![], vec![]));
    }
}
