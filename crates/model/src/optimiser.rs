//! The inner step: gradients summed in order, clipped by the stage's norm, AdamW, warm-up and cosine decay.
//!
//! Invariant: a pure function of bytes. The optimiser state carries its own step count, so a receipt that names the state's
//! digest names the learning rate too (design D3).

use starling_commitment::{Canonical, DType};
use starling_protocol::config::OptimiserConfig;
use tch::{Kind, Tensor};

use crate::{Gradient, ModelError, Stage, convert::{tensor_error, to_canonical, to_tensor}};

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
    /// [`ModelError::Tensor`] if weights or state do not fit this stage.
    pub fn step(&self, weights: &Canonical, optimiser: &Canonical, gradient: &Gradient, hyper: &OptimiserConfig, total_steps: u32) -> Result<(Canonical, Canonical), ModelError> {
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

            let norm = f64::try_from(gradient.0.f_norm()?)?;
            let g = if norm > hyper.clip_norm { gradient.0.f_mul_scalar(hyper.clip_norm / norm)? } else { gradient.0.shallow_clone() };

            let m = state.f_narrow(0, 0, p)?.f_mul_scalar(hyper.beta1)?.f_add(&g.f_mul_scalar(1.0 - hyper.beta1)?)?;
            let v = state.f_narrow(0, p, p)?.f_mul_scalar(hyper.beta2)?.f_add(&g.f_square()?.f_mul_scalar(1.0 - hyper.beta2)?)?;
            let m_hat = m.f_div_scalar(1.0 - hyper.beta1.powi(t as i32))?;
            let v_hat = v.f_div_scalar(1.0 - hyper.beta2.powi(t as i32))?;
            let rate = learning_rate(hyper, t, total_steps);
            let kept = w.f_sub(&w.f_mul(&self.decay_mask()?)?.f_mul_scalar(rate * hyper.weight_decay)?)?;
            let moved = m_hat.f_div(&v_hat.f_sqrt()?.f_add_scalar(hyper.eps)?)?.f_mul_scalar(rate)?;
            let new = kept.f_sub(&moved)?;
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
