//! What crosses between stages: one trait, one file per kind.
//!
//! A kind owns everything about its crossing: the weights on either side, what the elements on the wire look like in each
//! direction, how they are made from the stream and the stream from them, and what that costs. The rest of the house asks it.
//! Invariant: [`Boundary::pack`] and [`Boundary::pack_gradient`] are pure functions of a tensor's elements, so an auditor who packs
//! the same elements gets the same bytes. A kind may lose precision on the wire: the next stage computes with what arrived, and the
//! gradient of what arrived is taken for the gradient of what was sent (straight through).
//!
//! To add a kind: one file beside these, its variant in `starling_protocol::config::BoundaryConfig`, its arm in [`boundary`].

mod bottleneck;
mod dense;

use starling_commitment::Form;
use starling_protocol::config::{BoundaryConfig, ModelConfig};
use tch::Tensor;

use crate::ModelError;

/// A matrix that a boundary adds to a stage, with the last part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    /// `encode` or `decode`.
    pub name: &'static str,
    /// Rows and columns.
    pub shape: [u32; 2],
}

/// Multiplies with the projection of one side and notes it for the backward.
pub type Project<'a> = &'a mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>;

/// How a stage's last block hands over and the next stage takes up.
pub trait Boundary: Send + Sync {
    /// The matrix on the side that hands over, if there is one.
    fn encoder(&self) -> Option<Projection>;
    /// The matrix on the side that takes up, if there is one.
    fn decoder(&self) -> Option<Projection>;

    /// What a stage sends for `batch` sequences of `length` tokens.
    fn output(&self, batch: u64, length: u64) -> Form;
    /// What it gets back: the gradient of what it sent.
    fn gradient(&self, batch: u64, length: u64) -> Form {
        self.output(batch, length)
    }

    /// `h` is the stream before the MLP, `added` what the MLP adds, both `[batch, length, d]`; result `[batch, length, width]` in
    /// the element type of computing. Differentiable; `project` multiplies with the encoder.
    ///
    /// # Errors
    /// [`ModelError::Torch`], or what `project` says.
    fn encode(&self, h: &Tensor, added: &Tensor, project: Project<'_>) -> Result<Tensor, ModelError>;
    /// From `[batch, length, width]` back to `[batch, length, d]`. Differentiable; `project` multiplies with the decoder.
    ///
    /// # Errors
    /// As [`Boundary::encode`].
    fn decode(&self, crossed: &Tensor, project: Project<'_>) -> Result<Tensor, ModelError>;

    /// What [`Boundary::encode`] gave, as the elements of [`Boundary::output`].
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    fn pack(&self, encoded: &Tensor) -> Result<Tensor, ModelError> {
        Ok(encoded.shallow_clone())
    }
    /// Elements that arrived, as [`Boundary::decode`] takes them.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    fn unpack(&self, wire: &Tensor) -> Result<Tensor, ModelError> {
        Ok(wire.shallow_clone())
    }
    /// The gradient of what arrived, as the elements of [`Boundary::gradient`].
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    fn pack_gradient(&self, gradient: &Tensor) -> Result<Tensor, ModelError> {
        Ok(gradient.shallow_clone())
    }
    /// A gradient that arrived, in the element type of computing.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    fn unpack_gradient(&self, wire: &Tensor) -> Result<Tensor, ModelError> {
        Ok(wire.shallow_clone())
    }

    /// Floating-point operations per token: of encoding, and of decoding.
    fn flops(&self) -> (u64, u64);
}

/// The kind that a model names.
#[must_use]
pub fn boundary(config: &ModelConfig) -> Box<dyn Boundary> {
    match config.boundary {
        BoundaryConfig::Dense => Box::new(dense::Dense::new(config)),
        BoundaryConfig::Bottleneck { width } => Box::new(bottleneck::Bottleneck::new(config, width)),
    }
}
