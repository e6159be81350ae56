//! A stage's weights on the device: the f32 master vector, and what is computed with.
//!
//! Invariant: the parts are the master's elements in the element type of computing (the token table's in f32), whatever has
//! happened to the master: they are made anew after each step, once, and not in every pass.

use starling_commitment::{Canonical, Form};
use tch::{Kind, Tensor};

use crate::{
    ModelError, Stage,
    convert::{tensor_error, to_canonical, to_tensor},
};

/// Weights of one stage; they stay where they are computed with.
#[derive(Debug)]
pub struct Weights {
    /// Flat f32 `[P]`.
    flat: Tensor,
    /// One per parameter, in the element type of computing. In f32 they share the master's memory.
    parts: Vec<Tensor>,
}

impl Stage {
    /// Flat f32 `[P]` to the device.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] for another element type or length, [`ModelError::NotFinite`] for NaN or infinity.
    pub fn load(&self, weights: &Canonical) -> Result<Weights, ModelError> {
        let form = Form::flat(self.parameter_count() as u64);
        weights.require(form.dtype, &form.shape).map_err(tensor_error("weights"))?;
        if !weights.is_finite() {
            return Err(ModelError::NotFinite("the stage's weights"));
        }
        let mut loaded = Weights { flat: to_tensor(weights, &self.device)?, parts: Vec::new() };
        loaded.refresh(self)?;
        Ok(loaded)
    }
}

impl Stage {
    /// `weights += base − committed`, in place: a base that comes late is added to weights that went on without it.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if one of the two does not fit this stage, [`ModelError::NotFinite`].
    pub fn add_difference(
        &self,
        weights: &mut Weights,
        base: &Canonical,
        committed: &Canonical,
    ) -> Result<(), ModelError> {
        let form = Form::flat(self.parameter_count() as u64);
        for (what, flat) in [("the base", base), ("what was committed", committed)] {
            flat.require(form.dtype, &form.shape).map_err(tensor_error(what))?;
            if !flat.is_finite() {
                return Err(ModelError::NotFinite(what));
            }
        }
        tch::no_grad(|| {
            let difference = to_tensor(base, &self.device)?.f_sub_(&to_tensor(committed, &self.device)?)?;
            let _ = weights.flat.f_add_(&difference)?;
            weights.refresh(self)
        })
    }
}

impl Weights {
    /// The master vector as canonical bytes.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] if a step has made it so, [`ModelError::Torch`].
    pub fn to_canonical(&self, stage: &Stage) -> Result<Canonical, ModelError> {
        let bytes = to_canonical(&self.flat, &stage.device)?;
        if bytes.is_finite() { Ok(bytes) } else { Err(ModelError::NotFinite("the step's new weights")) }
    }

    pub(crate) fn parts(&self) -> &[Tensor] {
        &self.parts
    }

    pub(crate) fn flat_mut(&mut self) -> &mut Tensor {
        &mut self.flat
    }

    /// Make the parts anew from the master.
    pub(crate) fn refresh(&mut self, stage: &Stage) -> Result<(), ModelError> {
        let kind = stage.kind();
        // The old copies go first: both together may not fit.
        self.parts.clear();
        for p in stage.layout() {
            let view = self.flat.f_narrow(0, p.offset as i64, p.length() as i64)?.f_reshape(&p.shape)?;
            // The table stays in f32: gradients of a token that occurs often are added up, and in bf16 small ones would be lost.
            let cast = if kind == Kind::Float || p.is_table() { view } else { view.f_to_kind(kind)? };
            self.parts.push(cast.f_detach()?);
        }
        Ok(())
    }
}
