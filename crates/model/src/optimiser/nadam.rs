//! NAdam (Dozat 2016, as PyTorch computes it, with decoupled weight decay): Adam whose momentum looks ahead and warms up.
//! State: m, v, step count, product of the momenta so far.
//!
//! ```text
//! μ_t = β₁ (1 − ½ · 0.96^(t ψ));  Π_t = Π_{t−1} μ_t
//! step = (1 − μ_t) g / (1 − Π_t) + μ_{t+1} m / (1 − Π_t μ_{t+1})
//! ```

use starling_protocol::config::OptimiserConfig;

use super::{Optimiser, Part, moments, power};
use crate::ModelError;

pub(super) struct NAdam {
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
    momentum_decay: f64,
}

impl NAdam {
    pub(super) fn new(c: &OptimiserConfig) -> Self {
        Self { beta1: c.beta1, beta2: c.beta2, eps: c.eps, decay: c.weight_decay, momentum_decay: c.momentum_decay }
    }

    /// `0.96^ψ` is rounded once, to f32: a library's last bit of `powf`, which differs between machines, is below that.
    fn momentum(&self, t: u32) -> f64 {
        let base = f64::from(0.96f64.powf(self.momentum_decay) as f32);
        self.beta1 * (1.0 - 0.5 * power(base, t))
    }

    fn product(before: &[f32]) -> f64 {
        f64::from(before.get(1).copied().unwrap_or(1.0))
    }
}

impl Optimiser for NAdam {
    fn vectors(&self) -> usize {
        2
    }
    fn scalars(&self) -> usize {
        2
    }
    fn first_scalars(&self) -> Vec<f32> {
        vec![0.0, 1.0]
    }
    fn next_scalars(&self, before: &[f32], t: u32) -> Vec<f32> {
        vec![t as f32, (Self::product(before) * self.momentum(t)) as f32]
    }
    fn change(&self, part: Part<'_>, t: u32, rate: f64, scalars: &[f32]) -> Result<(), ModelError> {
        let Part { mut weight, moments, gradient, decays } = part;
        let Ok([mut m, mut v]) = <[_; 2]>::try_from(moments) else {
            return Err(ModelError::Misuse("NAdam has two moments"));
        };
        moments::update(&mut m, &mut v, gradient, self.beta1, self.beta2)?;
        let (now, next) = (self.momentum(t), self.momentum(t + 1));
        let product = Self::product(scalars) * now;
        let mut step = gradient.f_mul_scalar((1.0 - now) / (1.0 - product))?;
        let _ = step.f_add_(&m.f_mul_scalar(next / (1.0 - product * next))?)?;
        let decay = if decays { self.decay } else { 0.0 };
        moments::apply(&mut weight, step, &v, 1.0 - power(self.beta2, t), self.eps, rate, decay)
    }
    fn flops(&self) -> u64 {
        17
    }
}
