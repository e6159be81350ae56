//! The inner step: gradients summed in order, clipped by the stage's norm, a learning rate that follows the step's count, and the
//! optimiser that the run names.
//!
//! A kind owns its state: how long it is for so many parameters, what it begins with, how a step changes it, and what that costs.
//! The rest of the house asks it. Invariant: a step is a pure function of the elements of weights, state and gradient; the state
//! carries its own step count, so a receipt that names the state's digest names the learning rate too (design D3).
//!
//! To add a kind: one file beside these, its variant in `starling_protocol::config::OptimiserKind`, its arm in [`optimiser`].

mod adamw;
mod moments;
mod nadam;

use starling_commitment::{Canonical, Form};
use starling_protocol::config::{OptimiserConfig, OptimiserKind};
use tch::{Kind, Tensor};

use crate::{
    Gradient, ModelError, Stage, Weights,
    convert::{tensor_error, to_canonical, to_tensor},
};

/// One parameter's share of a step, all flat f32 on one device; `moments[i]` is the parameter's part of the state's i-th vector.
pub struct Part<'a> {
    /// Changed in place.
    pub weight: Tensor,
    /// Changed in place.
    pub moments: Vec<Tensor>,
    /// Clipped gradient.
    pub gradient: &'a Tensor,
    /// Weight decay applies to matrices only.
    pub decays: bool,
}

/// How a clipped gradient changes weights and state.
///
/// The state of P parameters is one flat f32 vector: [`Optimiser::vectors`] vectors of P elements, then [`Optimiser::scalars`]
/// numbers, the first of which counts the steps.
pub trait Optimiser: Send + Sync {
    /// Vectors of the parameters' length in the state.
    fn vectors(&self) -> usize;
    /// Numbers after them; at least one, the step count.
    fn scalars(&self) -> usize;
    /// Those numbers before the first step.
    fn first_scalars(&self) -> Vec<f32>;
    /// The numbers after step `t`, counted from 1.
    fn next_scalars(&self, before: &[f32], t: u32) -> Vec<f32>;
    /// Change one parameter and its moments in place in step `t`; `scalars` are those before the step.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    fn change(&self, part: Part<'_>, t: u32, rate: f64, scalars: &[f32]) -> Result<(), ModelError>;
    /// Floating-point operations per parameter of one step, the clip included.
    fn flops(&self) -> u64;

    /// The state's form for a stage of `parameters` elements.
    fn form(&self, parameters: u64) -> Form {
        Form::flat(self.vectors() as u64 * parameters + self.scalars() as u64)
    }
}

/// The kind that a run names.
#[must_use]
pub fn optimiser(config: &OptimiserConfig) -> Box<dyn Optimiser> {
    match config.kind {
        OptimiserKind::Adamw => Box::new(adamw::AdamW::new(config)),
        OptimiserKind::Nadam => Box::new(nadam::NAdam::new(config)),
    }
}

/// An optimiser's state on the device.
#[derive(Debug)]
pub struct OptimiserState {
    vectors: Tensor,
    scalars: Vec<f32>,
}

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
pub(crate) fn power(mut base: f64, mut exponent: u32) -> f64 {
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

/// Euclidean norm in f64 of a flat f32 vector, the one number that a step reads back from the device. Rows of 1024 elements are
/// summed, then rows of those sums, and so on: each row whole by one thread. A sum over everything at once is split by the number
/// of threads and rounds with it (`tests/threads.rs` fails with such a sum).
fn norm(flat: &Tensor) -> Result<f64, ModelError> {
    const ROW: i64 = 1024;
    let mut sums = flat.f_to_kind(Kind::Double)?.f_square_()?;
    while sums.numel() > 1 {
        let length = sums.size1()?;
        let whole = length - length % ROW;
        let rows = sums.f_narrow(0, 0, whole)?.f_reshape([-1, ROW])?;
        let of_rows = rows.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
        let rest = sums.f_narrow(0, whole, length - whole)?.f_sum(Kind::Double)?.f_reshape([1])?;
        sums = if whole == length { of_rows } else { Tensor::f_cat(&[of_rows, rest], 0)? };
    }
    Ok(f64::try_from(sums.f_sum(Kind::Double)?)?.sqrt())
}

impl OptimiserState {
    /// As canonical bytes: f32, flat.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn to_canonical(&self, stage: &Stage) -> Result<Canonical, ModelError> {
        let scalars = Tensor::f_from_slice(&self.scalars)?.f_to_device(stage.device.torch())?;
        to_canonical(&Tensor::f_cat(&[&self.vectors, &scalars], 0)?, &stage.device)
    }
}

impl Stage {
    /// The sum of several sums, in the order given: the order is part of the result.
    ///
    /// # Errors
    /// [`ModelError::Misuse`] without gradients.
    pub fn sum(&self, gradients: &[&Gradient]) -> Result<Gradient, ModelError> {
        let (first, rest) = gradients.split_first().ok_or(ModelError::Misuse("a step needs at least one sample"))?;
        let (mut flat, mut samples) = (first.flat.f_detach_copy()?, first.samples);
        for g in rest {
            let _ = flat.f_add_(&g.flat)?;
            samples += g.samples;
        }
        Ok(Gradient { flat, samples })
    }

    /// Optimiser state before the first step.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if the device has no room.
    pub fn first_state(&self, hyper: &OptimiserConfig) -> Result<OptimiserState, ModelError> {
        let kind = optimiser(hyper);
        let length = (kind.vectors() * self.parameter_count()) as i64;
        let vectors = Tensor::f_zeros([length], (Kind::Float, self.device.torch()))?;
        Ok(OptimiserState { vectors, scalars: kind.first_scalars() })
    }

    /// The same as bytes.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if it does not fit into memory's address space.
    pub fn first_state_bytes(&self, hyper: &OptimiserConfig) -> Result<Canonical, ModelError> {
        let kind = optimiser(hyper);
        let mut flat = vec![0f32; kind.vectors() * self.parameter_count()];
        flat.extend(kind.first_scalars());
        Canonical::from_f32(&[flat.len() as u64], &flat).map_err(tensor_error("optimiser state"))
    }

    /// An optimiser state from bytes to the device.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] for another element type or length; [`ModelError::NotFinite`].
    pub fn load_state(&self, state: &Canonical, hyper: &OptimiserConfig) -> Result<OptimiserState, ModelError> {
        let kind = optimiser(hyper);
        let form = kind.form(self.parameter_count() as u64);
        state.require(form.dtype, &form.shape).map_err(tensor_error("optimiser state"))?;
        if !state.is_finite() {
            return Err(ModelError::NotFinite("the optimiser state"));
        }
        let at = (kind.vectors() * self.parameter_count()) as i64;
        let all = to_tensor(state, &self.device)?;
        let bytes = state.data().get(4 * at as usize..).unwrap_or_default();
        let scalars = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(OptimiserState { vectors: all.f_narrow(0, 0, at)?, scalars })
    }

    /// One step with the mean of the samples' gradients, at the learning rate of the state's own count. In place on the device:
    /// nothing crosses to the host but the gradient's norm.
    ///
    /// # Errors
    /// As [`Stage::step_at`].
    pub fn step(
        &self,
        weights: &mut Weights,
        state: &mut OptimiserState,
        gradient: &Gradient,
        hyper: &OptimiserConfig,
        total_steps: u32,
    ) -> Result<(), ModelError> {
        let t = state.scalars.first().copied().unwrap_or_default() as u32 + 1;
        self.step_at(weights, state, gradient, hyper, learning_rate(hyper, t, total_steps))
    }

    /// [`Stage::step`] at a learning rate that the caller knows, from the position that its receipt names.
    ///
    /// # Errors
    /// [`ModelError::Misuse`] for a state whose count is nonsense or a sum of no samples, [`ModelError::NotFinite`] if the gradient
    /// is not finite: then nothing has changed.
    pub fn step_at(
        &self,
        weights: &mut Weights,
        state: &mut OptimiserState,
        gradient: &Gradient,
        hyper: &OptimiserConfig,
        rate: f64,
    ) -> Result<(), ModelError> {
        let kind = optimiser(hyper);
        if gradient.samples == 0 {
            return Err(ModelError::Misuse("a step needs at least one sample"));
        }
        let count = f64::from(state.scalars.first().copied().unwrap_or(-1.0));
        // A count is exact in f32 up to 2^24 and never anything but a small whole number in an honest state.
        if !(0.0..16_777_215.0).contains(&count) || count.fract() != 0.0 {
            return Err(ModelError::Misuse("the optimiser state's step count is not a whole number below 2^24"));
        }
        let t = count as u32 + 1;
        let p = self.parameter_count() as i64;
        tch::no_grad(|| {
            let samples = f64::from(gradient.samples);
            let norm = norm(&gradient.flat)? / samples;
            if !norm.is_finite() {
                return Err(ModelError::NotFinite("the step's gradient"));
            }
            // Divided by the number of samples first, then clipped: two roundings, whatever the number.
            let clip = (norm > hyper.clip_norm).then(|| hyper.clip_norm / norm);
            let flat = weights.flat_mut();
            // Parameter by parameter: what is needed beside weights, state and gradient is as large as the largest parameter.
            for parameter in self.layout() {
                let (offset, length) = (parameter.offset as i64, parameter.length() as i64);
                let mut own = gradient.flat.f_narrow(0, offset, length)?.f_div_scalar(samples)?;
                if let Some(factor) = clip {
                    let _ = own.f_mul_scalar_(factor)?;
                }
                let moments = (0..kind.vectors() as i64)
                    .map(|i| Ok(state.vectors.f_narrow(0, i * p + offset, length)?))
                    .collect::<Result<Vec<_>, ModelError>>()?;
                let weight = flat.f_narrow(0, offset, length)?;
                kind.change(
                    Part { weight, moments, gradient: &own, decays: parameter.decays() },
                    t,
                    rate,
                    &state.scalars,
                )?;
            }
            state.scalars = kind.next_scalars(&state.scalars, t);
            weights.refresh(self)
        })
    }

    /// One step from bytes to bytes: new weights and new optimiser state.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if weights or state do not fit this stage, [`ModelError::NotFinite`] if an input or the result is
    /// not finite.
    pub fn step_bytes(
        &self,
        weights: &Canonical,
        state: &Canonical,
        gradient: &Gradient,
        hyper: &OptimiserConfig,
        total_steps: u32,
    ) -> Result<(Canonical, Canonical), ModelError> {
        let (mut weights, mut state) = (self.load(weights)?, self.load_state(state, hyper)?);
        self.step(&mut weights, &mut state, gradient, hyper, total_steps)?;
        Ok((weights.to_canonical(self)?, state.to_canonical(self)?))
    }
}
