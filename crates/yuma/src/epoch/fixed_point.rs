//! The chain's numbers: signed fixed point, saturating, truncating, and nothing divided by zero.
//!
//! Owns the few operations that all of Yuma is made of. Invariant: for the same input every function returns the same
//! bits as the chain's, because a prediction that is off by one rounding step is off by one in a stored u16.

pub(crate) use fixed::types::{I32F32, I64F64, I96F32};

/// The inputs of `exp` are clamped to this magnitude: e^20 still fits into 31 integer bits.
const EXP_LIMIT: i32 = 20;

/// Euler's number as the chain's library keeps it: 23 fractional bits, truncated.
const E_23_BITS: i64 = (std::f64::consts::E * 8_388_608.0) as i64;

/// `x / y`, or zero when `y` is zero.
pub(crate) fn div(x: I32F32, y: I32F32) -> I32F32 {
    if y.is_zero() { I32F32::ZERO } else { x.saturating_div(y) }
}

/// The value of a vector at a uid, or the type's zero when the uid is outside.
pub(crate) fn at<T: Copy + Default>(values: &[T], uid: u16) -> T {
    values.get(usize::from(uid)).copied().unwrap_or_default()
}

/// `x / 65535`: a stored u16 as the proportion that it stands for.
pub(crate) fn proportion(x: u16) -> I32F32 {
    div(I32F32::saturating_from_num(x), I32F32::saturating_from_num(u16::MAX))
}

/// A proportion as the chain stores it: truncated, not rounded, and clamped to 0..=65535.
pub(crate) fn to_u16(x: I32F32) -> u16 {
    x.saturating_mul(I32F32::saturating_from_num(u16::MAX)).saturating_to_num::<u16>()
}

/// Saturating sum.
pub(crate) fn sum(values: impl IntoIterator<Item = I32F32>) -> I32F32 {
    values.into_iter().fold(I32F32::ZERO, I32F32::saturating_add)
}

/// Divides by `total`, unless it is zero.
pub(crate) fn normalise_by(values: &mut [I32F32], total: I32F32) {
    if total.is_zero() {
        return;
    }
    for value in values {
        *value = div(*value, total);
    }
}

/// Makes the values sum to one, or leaves them alone when they sum to zero.
pub(crate) fn normalise(values: &mut [I32F32]) {
    let total = sum(values.iter().copied());
    normalise_by(values, total);
}

/// e^x for x clamped to ±20, by the chain's library: 31 terms of the power series, and the reciprocal for negative x.
pub(crate) fn exp(x: I32F32) -> I32F32 {
    let limit = I32F32::saturating_from_num(EXP_LIMIT);
    let x = x.clamp(-limit, limit);
    if x.is_zero() {
        return I32F32::ONE;
    }
    if x == I32F32::ONE {
        // The library special-cases exactly one and answers with its shorter constant.
        return I32F32::from_bits(E_23_BITS << 9);
    }
    let magnitude = x.saturating_abs();
    let mut result = magnitude.saturating_add(I32F32::ONE);
    let mut term = magnitude;
    for i in 2..I32F32::FRAC_NBITS {
        term = div(term.saturating_mul(magnitude), I32F32::saturating_from_num(i));
        result = result.saturating_add(term);
    }
    if x.is_negative() { div(I32F32::ONE, result) } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dividing_by_zero_gives_zero() {
        assert_eq!(div(I32F32::ONE, I32F32::ZERO), I32F32::ZERO);
        let mut values = vec![I32F32::ZERO; 3];
        normalise(&mut values);
        assert_eq!(values, vec![I32F32::ZERO; 3]);
    }

    #[test]
    fn a_proportion_is_truncated_on_its_way_to_u16() {
        assert_eq!(to_u16(div(I32F32::ONE, I32F32::from_num(64))), 1023);
        assert_eq!(to_u16(I32F32::from_num(0.5)), 32_767);
        assert_eq!(to_u16(I32F32::ONE), 65_535);
        assert_eq!(to_u16(I32F32::from_num(2)), 65_535);
        assert_eq!(to_u16(I32F32::from_num(-1)), 0);
        assert_eq!(proportion(65_535), I32F32::ONE);
    }

    #[test]
    fn exp_has_its_special_points() {
        assert_eq!(exp(I32F32::ZERO), I32F32::ONE);
        // e truncated to 23 fractional bits: 22 802 600 / 2^23.
        assert_eq!(exp(I32F32::ONE), I32F32::from_bits(22_802_600_i64 << 9));
        assert_eq!(exp(I32F32::MAX), exp(I32F32::from_num(20)));
        assert_eq!(exp(I32F32::MIN), exp(I32F32::from_num(-20)));
    }

    proptest! {
        #[test]
        fn exp_is_close_to_exp(x in -20.0_f64..20.0) {
            let x = I32F32::from_num(x);
            let got = exp(x).to_num::<f64>();
            let want = x.to_num::<f64>().exp();
            // 31 terms are too few far from zero, and that is the chain's number: by 20 they lack 1.5 %.
            let slack = if x.to_num::<f64>() > 8.0 { 0.02 * want } else { 1e-6 * want + 1e-8 };
            prop_assert!((got - want).abs() <= slack.max(1e-8), "exp({}) = {}, not {}", x, got, want);
        }
    }
}
