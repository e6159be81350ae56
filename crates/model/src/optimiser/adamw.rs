//! AdamW (arXiv 1711.05101): bias-corrected moments, weight decay apart from the gradient. State: m, v, step count.

use starling_protocol::config::OptimiserConfig;

use super::{Optimiser, Part, moments, power};
use crate::ModelError;

pub(super) struct AdamW {
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
}

impl AdamW {
    pub(super) fn new(c: &OptimiserConfig) -> Self {
        Self { beta1: c.beta1, beta2: c.beta2, eps: c.eps, decay: c.weight_decay }
    }
}

impl Optimiser for AdamW {
    fn vectors(&self) -> usize {
        2
    }
    fn scalars(&self) -> usize {
        1
    }
    fn first_scalars(&self) -> Vec<f32> {
        vec![0.0]
    }
    fn next_scalars(&self, _: &[f32], t: u32) -> Vec<f32> {
        vec![t as f32]
    }
    fn change(&self, part: Part<'_>, t: u32, rate: f64, _: &[f32]) -> Result<(), ModelError> {
        let Part { mut weight, moments, gradient, decays } = part;
        let Ok([mut m, mut v]) = <[_; 2]>::try_from(moments) else {
            return Err(ModelError::Misuse("AdamW has two moments"));
        };
        moments::update(&mut m, &mut v, gradient, self.beta1, self.beta2)?;
        let step = m.f_div_scalar(1.0 - power(self.beta1, t))?;
        let decay = if decays { self.decay } else { 0.0 };
        moments::apply(&mut weight, step, &v, 1.0 - power(self.beta2, t), self.eps, rate, decay)
    }
    fn flops(&self) -> u64 {
        14
    }
}
