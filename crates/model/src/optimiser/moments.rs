//! Adam's two moments, as both kinds keep them.
//!
//! Only plain products, sums, quotients and roots: libtorch's fused forms (`addcmul`, `add` with a factor) round once in its
//! vectorised loops and twice in their tails, so their bits depend on where a vector is cut.

use tch::Tensor;

use crate::ModelError;

/// `m ← β₁ m + (1 − β₁) g` and `v ← β₂ v + (1 − β₂) g²`, in place.
pub(super) fn update(m: &mut Tensor, v: &mut Tensor, g: &Tensor, beta1: f64, beta2: f64) -> Result<(), ModelError> {
    let _ = m.f_mul_scalar_(beta1)?.f_add_(&g.f_mul_scalar(1.0 - beta1)?)?;
    let _ = v.f_mul_scalar_(beta2)?.f_add_(&g.f_square()?.f_mul_scalar_(1.0 - beta2)?)?;
    Ok(())
}

/// `w ← w − rate · decay · w − rate · step / (√(v / correction) + ε)`, in place; `step` is used up.
pub(super) fn apply(
    weight: &mut Tensor,
    mut step: Tensor,
    v: &Tensor,
    correction: f64,
    eps: f64,
    rate: f64,
    decay: f64,
) -> Result<(), ModelError> {
    if decay > 0.0 {
        let lost = weight.f_mul_scalar(rate * decay)?;
        let _ = weight.f_sub_(&lost)?;
    }
    let scale = v.f_div_scalar(correction)?.f_sqrt_()?.f_add_scalar_(eps)?;
    let _ = weight.f_sub_(&step.f_div_(&scale)?.f_mul_scalar_(rate)?)?;
    Ok(())
}
