//! How far two tensors are apart, and whether that is close enough (design D4).
//!
//! Pure statistics: thresholds are measured by calibration and come in as an argument; none is guessed here.

use crate::{Canonical, DType, TensorError};

/// Distance of `a` from the reference `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Same bytes.
    pub bit_equal: bool,
    /// `|a − b|₂ / |b|₂`; infinite if only `b` is zero.
    pub relative_l2: f64,
    /// Largest `|aᵢ − bᵢ|`.
    pub max_abs: f64,
    /// `1 − cos(a, b)`.
    pub one_minus_cosine: f64,
    /// One of the two holds an infinity or NaN.
    pub non_finite: bool,
}

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// The same 32 bytes: one build on one class of hardware.
    BitEqual,
    /// At most these, all of them.
    Measured {
        /// Bound on [`Difference::relative_l2`].
        relative_l2: f64,
        /// Bound on [`Difference::one_minus_cosine`].
        one_minus_cosine: f64,
        /// Bound on [`Difference::max_abs`].
        max_abs: f64,
    },
}

impl Tolerance {
    /// True if the difference is within the tolerance. A tensor with NaN or infinity passes only bit for bit.
    #[must_use]
    pub fn accepts(&self, difference: &Difference) -> bool {
        if difference.bit_equal {
            return true;
        }
        match *self {
            Self::BitEqual => false,
            Self::Measured { relative_l2, one_minus_cosine, max_abs } => {
                !difference.non_finite
                    && difference.relative_l2 <= relative_l2
                    && difference.one_minus_cosine <= one_minus_cosine
                    && difference.max_abs <= max_abs
            }
        }
    }
}

/// Compare `a` with the reference `b`.
///
/// # Errors
/// [`TensorError`] if they differ in element type or shape, or are no floats.
pub fn difference(a: &Canonical, b: &Canonical) -> Result<Difference, TensorError> {
    a.require(b.dtype(), b.shape())?;
    let (mut dot, mut aa, mut bb, mut dd, mut max_abs, mut non_finite) = (0f64, 0f64, 0f64, 0f64, 0f64, false);
    for (x, y) in floats(a)?.zip(floats(b)?) {
        non_finite |= !x.is_finite() || !y.is_finite();
        dot += x * y;
        aa += x * x;
        bb += y * y;
        let d = x - y;
        dd += d * d;
        max_abs = max_abs.max(d.abs());
    }
    let relative_l2 = if dd == 0.0 { 0.0 } else { (dd / bb).sqrt() };
    let one_minus_cosine = if dd == 0.0 { 0.0 } else { 1.0 - dot / (aa.sqrt() * bb.sqrt()) };
    let one_minus_cosine = if one_minus_cosine.is_nan() { 1.0 } else { one_minus_cosine };
    Ok(Difference { bit_equal: a.digest() == b.digest(), relative_l2, max_abs, one_minus_cosine, non_finite })
}

fn floats(t: &Canonical) -> Result<Box<dyn Iterator<Item = f64> + '_>, TensorError> {
    match t.dtype() {
        DType::F32 => Ok(Box::new(t.data().as_chunks::<4>().0.iter().map(|c| f64::from(f32::from_le_bytes(*c))))),
        // bfloat16 is the upper half of an f32.
        DType::Bf16 => Ok(Box::new(t.data().as_chunks::<2>().0.iter().map(|c| f64::from(f32::from_le_bytes([0, 0, c[0], c[1]]))))),
        got => Err(TensorError::Expected { need: DType::F32, got }),
    }
}
