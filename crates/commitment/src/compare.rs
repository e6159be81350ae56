//! How far two tensors are apart, and whether that is close enough (design D4).
//!
//! Pure statistics: thresholds are measured by calibration and come in as an argument; none is guessed here. Sums run in f64
//! over the elements in their order, so both sides of a dispute get the same numbers.

use serde::{Deserialize, Serialize};

use crate::{Canonical, DType, TensorError};

/// Distance of `a` from the reference `b`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Same bytes. All distances are then zero.
    pub bit_equal: bool,
    /// `|a − b|₂ / |b|₂`; infinite if only `b` is zero.
    pub relative_l2: f64,
    /// Largest `|aᵢ − bᵢ|`.
    pub max_abs: f64,
    /// Largest number of representable values of the element type between `aᵢ` and `bᵢ`; `None` for integers and
    /// where something is not finite.
    pub max_ulp: Option<u64>,
    /// `1 − cos(a, b)`; 1 if one of the two is zero.
    pub one_minus_cosine: f64,
    /// One of the two holds an infinity or NaN. Unless the bytes are equal, all distances are then infinite.
    pub non_finite: bool,
}

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tolerance {
    /// The same 32 bytes: one build on one class of hardware.
    BitEqual,
    /// At most these, all of them. A threshold that is no number accepts nothing.
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
/// [`TensorError`] if they differ in element type or shape.
pub fn difference(a: &Canonical, b: &Canonical) -> Result<Difference, TensorError> {
    a.require(b.dtype(), b.shape())?;
    let float = Float::of(a.dtype());
    let pairs = || elements(a).zip(elements(b));
    let (mut aa, mut bb, mut dd, mut max_abs, mut max_ulp, mut non_finite) = (0f64, 0f64, 0f64, 0f64, 0u64, false);
    for ((x, xb), (y, yb)) in pairs() {
        non_finite |= !x.is_finite() || !y.is_finite();
        aa += x * x;
        bb += y * y;
        let d = x - y;
        dd += d * d;
        max_abs = max_abs.max(d.abs());
        if let Some(float) = float {
            max_ulp = max_ulp.max(float.place(xb).abs_diff(float.place(yb)));
        }
    }
    let bit_equal = a.bytes() == b.bytes();
    if bit_equal {
        let max_ulp = (float.is_some() && !non_finite).then_some(0);
        return Ok(Difference {
            bit_equal,
            relative_l2: 0.0,
            max_abs: 0.0,
            max_ulp,
            one_minus_cosine: 0.0,
            non_finite,
        });
    }
    if non_finite {
        let far = f64::INFINITY;
        return Ok(Difference {
            bit_equal,
            relative_l2: far,
            max_abs: far,
            max_ulp: None,
            one_minus_cosine: far,
            non_finite,
        });
    }
    let one_minus_cosine = match (aa.sqrt(), bb.sqrt()) {
        (na, nb) if na > 0.0 && nb > 0.0 => {
            // 1 − cos = |a/|a| − b/|b||² / 2. The textbook form loses everything below 1e-16 to cancellation, and what
            // separates honest rounding from cheating is at 1e-6 and below.
            let sum: f64 = pairs().map(|((x, _), (y, _))| (x / na - y / nb).powi(2)).sum();
            sum / 2.0
        }
        (na, nb) => f64::from(u8::from(na > 0.0 || nb > 0.0)),
    };
    let relative_l2 = if dd == 0.0 { 0.0 } else { (dd / bb).sqrt() };
    Ok(Difference { bit_equal, relative_l2, max_abs, max_ulp: float.map(|_| max_ulp), one_minus_cosine, non_finite })
}

/// Width of a float's bit pattern.
#[derive(Clone, Copy)]
struct Float {
    sign: u64,
}

impl Float {
    fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::F32 => Some(Self { sign: 1 << 31 }),
            DType::Bf16 | DType::F16 => Some(Self { sign: 1 << 15 }),
            DType::I64 | DType::U16 | DType::U8 => None,
        }
    }

    /// Where the float with these bits stands in the order of all floats; both zeros stand at 0.
    fn place(self, bits: u64) -> i64 {
        let magnitude = (bits & (self.sign - 1)) as i64;
        if bits & self.sign == 0 { magnitude } else { -magnitude }
    }
}

/// Every element as a number and as its bits.
fn elements(t: &Canonical) -> impl Iterator<Item = (f64, u64)> + '_ {
    let dtype = t.dtype();
    t.data().chunks_exact(dtype.size()).map(move |c| {
        let mut wide = [0; 8];
        if let Some(low) = wide.get_mut(..c.len()) {
            low.copy_from_slice(c);
        }
        let bits = u64::from_le_bytes(wide);
        let value = match dtype {
            DType::F32 => f64::from(f32::from_bits(bits as u32)),
            DType::Bf16 => f64::from(f32::from_bits((bits as u32) << 16)),
            DType::F16 => half::f16::from_bits(bits as u16).to_f64(),
            // Above 2^53 the statistics of integers are rounded; equality is decided by the bytes.
            DType::I64 => bits as i64 as f64,
            DType::U16 | DType::U8 => bits as f64,
        };
        (value, bits)
    })
}
