//! The inner step: gradients summed in order, clipped by the stage's norm, AdamW, warm-up and cosine decay.
//!
//! Invariant: a pure function of bytes. The optimiser state carries its own step count, so a receipt that names the state's
//! digest names the learning rate too (design D3).

use starling_commitment::{Canonical, DType};
use starling_protocol::config::OptimiserConfig;
use tch::{Kind, Tensor};

use crate::{
    Gradient, ModelError, Stage,
    convert::{tensor_error, to_canonical, to_tensor},
    stage::finite,
};

/// Learning rate of step `t`, counted from 1.
#[must_use]
pub fn learning_rate(hyper: &OptimiserConfig, t: u32, total: u32) -> f64 {
    let warmup = hyper.warmup_steps;
    if t <= warmup {
        return hyper.learning_rate * f64::from(t) / f64::from(warmup.max(1));
    }
    let span = f64::from(total.saturating_sub(warmup).max(1));
    let progress = (f64::from(t - warmup) / span).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    hyper.learning_rate * (hyper.final_fraction + (1.0 - hyper.final_fraction) * cosine)
}

/// `base^exponent` by squaring: `powi` may round differently from one compiler to the next.
fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// Euclidean norm in f64 of a flat f32 vector. Rows of 1024 elements are summed by libtorch, each whole by one thread, and the
/// rows' sums one after the other here: a sum over everything at once is split by the number of threads and rounds with it
/// (`tests/threads.rs` fails with such a sum).
fn norm(flat: &Tensor) -> Result<f64, ModelError> {
    const ROW: i64 = 1024;
    let missing = (ROW - flat.size1()? % ROW) % ROW;
    let squares = flat.f_to_kind(Kind::Double)?.f_square()?.f_constant_pad_nd([0, missing])?;
    let rows = squares.f_reshape([-1, ROW])?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
    let mut sums = vec![0f64; rows.numel()];
    rows.f_to_device(tch::Device::Cpu)?.f_copy_data(&mut sums, rows.numel())?;
    Ok(sums.iter().sum::<f64>().sqrt())
}

impl Stage {
    /// Mean of the samples' gradients, summed in the order given: the order is part of the result.
    ///
    /// # Errors
    /// [`ModelError::Misuse`] without gradients.
    pub fn sum(&self, gradients: &[&Gradient]) -> Result<Gradient, ModelError> {
        let (first, rest) = gradients.split_first().ok_or(ModelError::Misuse("a step needs at least one sample"))?;
        let mut total = first.0.shallow_clone();
        for g in rest {
            total = total.f_add(&g.0)?;
        }
        Ok(Gradient(total.f_div_scalar(gradients.len() as f64)?))
    }

    /// One AdamW step: new weights f32 `[P]` and new optimiser state f32 `[2P + 1]`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if weights or state do not fit this stage, [`ModelError::NotFinite`] if the gradient or the result is
    /// not finite.
    pub fn step(
        &self,
        weights: &Canonical,
        optimiser: &Canonical,
        gradient: &Gradient,
        hyper: &OptimiserConfig,
        total_steps: u32,
    ) -> Result<(Canonical, Canonical), ModelError> {
        let p = self.parameter_count() as i64;
        weights.require(DType::F32, &[p as u64]).map_err(tensor_error("weights"))?;
        optimiser.require(DType::F32, &[2 * p as u64 + 1]).map_err(tensor_error("optimiser state"))?;
        tch::no_grad(|| {
            let (w, state) = (to_tensor(weights, &self.device)?, to_tensor(optimiser, &self.device)?);
            let count = f64::try_from(state.f_narrow(0, 2 * p, 1)?)?;
            // A count is exact in f32 up to 2^24 and never anything but a small whole number in an honest state.
            if !(0.0..16_777_215.0).contains(&count) || count.fract() != 0.0 {
                return Err(ModelError::Misuse("the optimiser state's step count is not a whole number below 2^24"));
            }
            let t = count as u32 + 1;

            let norm = norm(&gradient.0)?;
            if !norm.is_finite() {
                return Err(ModelError::NotFinite("the step's gradient"));
            }
            let g = if norm > hyper.clip_norm {
                gradient.0.f_mul_scalar(hyper.clip_norm / norm)?
            } else {
                gradient.0.shallow_clone()
            };

            let m = state.f_narrow(0, 0, p)?.f_mul_scalar(hyper.beta1)?.f_add(&g.f_mul_scalar(1.0 - hyper.beta1)?)?;
            let v = state
                .f_narrow(0, p, p)?
                .f_mul_scalar(hyper.beta2)?
                .f_add(&g.f_square()?.f_mul_scalar(1.0 - hyper.beta2)?)?;
            let m_hat = m.f_div_scalar(1.0 - power(hyper.beta1, t))?;
            let v_hat = v.f_div_scalar(1.0 - power(hyper.beta2, t))?;
            let rate = learning_rate(hyper, t, total_steps);
            let kept = w.f_sub(&w.f_mul(&self.decay_mask()?)?.f_mul_scalar(rate * hyper.weight_decay)?)?;
            let moved = m_hat.f_div(&v_hat.f_sqrt()?.f_add_scalar(hyper.eps)?)?.f_mul_scalar(rate)?;
            let new = finite("the step's new weights", kept.f_sub(&moved)?)?;
            let count = Tensor::f_full([1], f64::from(t), (Kind::Float, self.device.0))?;
            Ok((to_canonical(&new)?, to_canonical(&Tensor::f_cat(&[m, v, count], 0)?)?))
        })
    }

    fn decay_mask(&self) -> Result<Tensor, ModelError> {
        let mask = Tensor::f_zeros([self.parameter_count() as i64], (Kind::Float, self.device.0))?;
        for p in self.layout().iter().filter(|p| p.decays()) {
            let _ = mask.f_narrow(0, p.offset as i64, p.length() as i64)?.f_fill_(1.0)?;
        }
        Ok(mask)
    }
}
