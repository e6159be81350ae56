//! One stage of the model: forward, backward, nothing hidden.
//!
//! Invariant: results depend on the bytes of weights, input, targets and gradients alone, so that a miner and an auditor who run
//! these functions on the same bytes get the same bytes (design D3, D11). Gradients of a sample are exact: the gradient of
//! `Σ output · g` with respect to the output is `g`.

use std::sync::{Mutex, PoisonError};

use starling_commitment::{Canonical, DType, TensorError};
use starling_protocol::config::ModelConfig;
use tch::{Kind, Tensor};

use crate::{
    Device, ModelError,
    block::{Block, Rotary, linear, norm},
    boundary::{Boundary, boundary},
    convert::{kind_of, tensor_error, to_canonical, to_tensor},
    shape::{self, Parameter},
};

/// A stage's shape and place; holds no weights.
pub struct Stage {
    pub(crate) config: ModelConfig,
    stage: usize,
    pub(crate) device: Device,
    layout: Vec<Parameter>,
    boundary: Box<dyn Boundary>,
    /// Tables of the last sequence length: all samples of a run have the same.
    rotary: Mutex<Option<Rotary>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("stage", &self.stage)
            .field("parameters", &self.parameter_count())
            .finish_non_exhaustive()
    }
}

/// A stage's weights as tensors, leaves of the graph.
#[derive(Debug)]
pub struct Weights {
    tensors: Vec<Tensor>,
}

/// What a forward leaves for its backward.
#[derive(Debug)]
pub struct Tape {
    input: Option<Tensor>,
    output: Tensor,
}

/// A forward's result.
#[derive(Debug)]
pub struct Forward {
    /// Boundary tensor `[batch, length, width]`, or the scalar f32 loss at the last stage.
    pub output: Canonical,
    /// Mean cross-entropy in nats per token, at the last stage.
    pub loss: Option<f32>,
    /// For the backward.
    pub tape: Tape,
}

/// A sample's gradient with respect to the flat weights, f32 `[P]`.
#[derive(Debug)]
pub struct Gradient(pub(crate) Tensor);

/// A backward's result.
#[derive(Debug)]
pub struct Backward {
    /// For the stage before; none at stage 0.
    pub input_gradient: Option<Canonical>,
    /// For the step.
    pub gradient: Gradient,
}

impl Stage {
    /// The stage `stage` of a model.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the model cannot be built or has no such stage.
    pub fn new(config: &ModelConfig, stage: usize, device: &Device) -> Result<Self, ModelError> {
        crate::device::prepare();
        shape::check(config)?;
        if stage >= config.stages.len() {
            return Err(ModelError::Config {
                key: "stages",
                value: format!("{:?}", config.stages),
                need: "the stage asked for is beyond the last one (stages are counted from 0)",
            });
        }
        Ok(Self {
            config: config.clone(),
            stage,
            device: *device,
            layout: shape::layout(config, stage),
            boundary: boundary(config),
            rotary: Mutex::new(None),
        })
    }

    /// True for the stage with the embedding.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.stage == 0
    }

    /// True for the stage with the head.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.stage + 1 == self.config.stages.len()
    }

    /// Elements of the flat vector.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.layout.iter().map(Parameter::length).sum()
    }

    /// Parameters in flat order.
    #[must_use]
    pub fn layout(&self) -> &[Parameter] {
        &self.layout
    }

    /// Channels of a boundary tensor.
    #[must_use]
    pub fn boundary_width(&self) -> u32 {
        self.boundary.width()
    }

    /// Element type of a boundary tensor.
    #[must_use]
    pub fn boundary_dtype(&self) -> DType {
        kind_of(self.config.dtype).1
    }

    /// First weights, flat f32 `[P]`: the same bits everywhere.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if they do not fit into memory's address space.
    pub fn initial_weights(&self, seed: u64) -> Result<Canonical, ModelError> {
        let flat: Vec<f32> = self.layout.iter().flat_map(|p| p.initial(&self.config, seed)).collect();
        Canonical::from_f32(&[flat.len() as u64], &flat).map_err(tensor_error("first weights"))
    }

    /// Optimiser state before the first step: f32 `[2P + 1]`, all zero.
    ///
    /// # Errors
    /// As [`Stage::initial_weights`].
    pub fn zero_optimiser_state(&self) -> Result<Canonical, ModelError> {
        let length = 2 * self.parameter_count() + 1;
        Canonical::from_f32(&[length as u64], &vec![0.0; length]).map_err(tensor_error("optimiser state"))
    }

    /// Flat f32 `[P]` to tensors.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] for another element type or length, [`ModelError::NotFinite`] for NaN or infinity.
    pub fn load(&self, weights: &Canonical) -> Result<Weights, ModelError> {
        weights.require(DType::F32, &[self.parameter_count() as u64]).map_err(tensor_error("weights"))?;
        let flat = finite("the stage's weights", to_tensor(weights, &self.device)?)?;
        let tensors = self
            .layout
            .iter()
            .map(|p| {
                let view = flat.f_narrow(0, p.offset as i64, p.length() as i64)?.f_reshape(&p.shape)?;
                Ok(view.f_detach()?.f_set_requires_grad(true)?)
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        Ok(Weights { tensors })
    }

    fn tokens(&self, what: &'static str, tokens: &Canonical) -> Result<Tensor, ModelError> {
        if !matches!(tokens.dtype(), DType::U16 | DType::I64) {
            return Err(tensor_error(what)(TensorError::Expected { need: DType::U16, got: tokens.dtype() }));
        }
        if tokens.shape().len() != 2 || tokens.elements() == 0 {
            let need = "[batch, length] with at least one of each".into();
            return Err(ModelError::Shape { what, got: tokens.shape().to_vec(), need });
        }
        let ids = to_tensor(tokens, &self.device)?;
        let (low, high) = (i64::try_from(ids.f_min()?)?, i64::try_from(ids.f_max()?)?);
        if low < 0 || high >= i64::from(self.config.vocab) {
            return Err(ModelError::Token { token: if low < 0 { low } else { high }, vocab: self.config.vocab });
        }
        Ok(ids)
    }

    /// One sample forward. `input` is tokens `[batch, length]` at stage 0, else a boundary tensor; `targets` are tokens, needed at
    /// the last stage and only there.
    ///
    /// # Errors
    /// [`ModelError`] for anything that does not fit; never panics on foreign bytes.
    pub fn forward(
        &self,
        weights: &Weights,
        input: &Canonical,
        targets: Option<&Canonical>,
    ) -> Result<Forward, ModelError> {
        if targets.is_some() != self.is_last() {
            return Err(ModelError::Misuse("targets belong to the last stage, and only there"));
        }
        let (leaf, stream) = self.enter(weights, input)?;
        let output = finite("what the stage computed", self.blocks(weights, stream, targets)?)?;
        let canonical = to_canonical(&output)?;
        let loss =
            if self.is_last() { canonical.to_f32().map_err(tensor_error("loss"))?.first().copied() } else { None };
        Ok(Forward { output: canonical, loss, tape: Tape { input: leaf, output } })
    }

    /// The input as a leaf (none for tokens) and the stream that it starts.
    fn enter(&self, weights: &Weights, input: &Canonical) -> Result<(Option<Tensor>, Tensor), ModelError> {
        let (kind, dtype) = kind_of(self.config.dtype);
        if self.is_first() {
            let table = weights.first()?;
            let stream = Tensor::f_embedding(table, &self.tokens("the input", input)?, -1, false, false)?;
            return Ok((None, stream.f_to_kind(kind)?));
        }
        if input.dtype() != dtype {
            return Err(tensor_error("the input")(TensorError::Expected { need: dtype, got: input.dtype() }));
        }
        match input.shape() {
            [batch, length, width] if *width == u64::from(self.boundary.width()) && *batch > 0 && *length > 0 => {}
            got => {
                let need = format!("[batch, length, {}] with at least one of each", self.boundary.width());
                return Err(ModelError::Shape { what: "the input", got: got.to_vec(), need });
            }
        }
        let leaf = finite("the input", to_tensor(input, &self.device)?)?.f_set_requires_grad(true)?;
        let weight = weights.tensors.first().filter(|_| self.has_projection());
        let stream = self.boundary.decode(&leaf, self.cast(weight, kind)?.as_ref())?;
        Ok((Some(leaf), stream))
    }

    /// Rotary tables for `length`, computed when the length changes.
    fn rotary(&self, length: usize, kind: Kind) -> Result<Rotary, ModelError> {
        // A panic while the lock is held leaves a complete table or none.
        let mut kept = self.rotary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = kept.as_ref().filter(|t| t.length() == length) {
            return Ok(table.share());
        }
        let table = Rotary::new(&self.config, length, kind, &self.device)?;
        *kept = Some(table.share());
        Ok(table)
    }

    fn has_projection(&self) -> bool {
        self.boundary.width() != self.config.d_model
            || !matches!(self.config.boundary, starling_protocol::config::BoundaryConfig::Dense)
    }

    fn cast(&self, weight: Option<&Tensor>, kind: Kind) -> Result<Option<Tensor>, ModelError> {
        Ok(weight.map(|w| w.f_to_kind(kind)).transpose()?)
    }

    fn blocks(&self, weights: &Weights, mut stream: Tensor, targets: Option<&Canonical>) -> Result<Tensor, ModelError> {
        let (kind, _) = kind_of(self.config.dtype);
        let length = stream.size().get(1).copied().unwrap_or(0) as usize;
        let rotary = self.rotary(length, kind)?;
        let cast: Vec<Tensor> = weights.tensors.iter().map(|w| w.f_to_kind(kind)).collect::<Result<_, _>>()?;
        let before = usize::from(self.is_first() || self.has_projection());
        let count = self.config.stages.get(self.stage).copied().unwrap_or(0) as usize;
        for i in 0..count {
            let slice =
                cast.get(before + 9 * i..before + 9 * (i + 1)).ok_or(ModelError::Misuse("a block has nine weights"))?;
            let (h, added) = Block { weights: slice, config: &self.config }.forward(&stream, &rotary)?;
            stream = if i + 1 == count && !self.is_last() {
                return self.boundary.encode(&h, &added, cast.last().filter(|_| self.has_projection()));
            } else {
                h.f_add(&added)?
            };
        }
        let logits = self.head(&cast, &stream)?;
        match targets {
            None => Ok(logits),
            Some(targets) => {
                let ids = self.tokens("the targets", targets)?;
                let size = logits.size();
                if size.get(..2) != Some(&ids.size()[..]) {
                    let need = format!("{:?} (one target per input token)", size.get(..2).unwrap_or_default());
                    return Err(ModelError::Shape { what: "the targets", got: targets.shape().to_vec(), need });
                }
                let logits = logits.f_reshape([-1, i64::from(self.config.vocab)])?;
                Ok(logits.f_cross_entropy_loss(
                    &ids.f_reshape([-1])?,
                    None::<Tensor>,
                    tch::Reduction::Mean,
                    -100,
                    0.0,
                )?)
            }
        }
    }

    fn head(&self, cast: &[Tensor], stream: &Tensor) -> Result<Tensor, ModelError> {
        let [.., final_norm, head] = cast else {
            return Err(ModelError::Misuse("the last stage has a norm and a head"));
        };
        Ok(linear(&norm(stream, final_norm, self.config.norm_eps)?, head)?.f_to_kind(Kind::Float)?)
    }

    /// Logits f32 `[batch, length, vocab]` at the last stage, or the boundary tensor: for sampling text, no tape.
    pub(crate) fn infer(&self, weights: &Weights, input: &Canonical) -> Result<Tensor, ModelError> {
        tch::no_grad(|| {
            let (_, stream) = self.enter(weights, input)?;
            self.blocks(weights, stream, None)
        })
    }

    /// One sample backward. `output_gradient` has the output's shape; none at the last stage, whose output is the loss.
    ///
    /// # Errors
    /// [`ModelError`] for a gradient that does not fit.
    pub fn backward(
        &self,
        weights: &Weights,
        tape: Tape,
        output_gradient: Option<&Canonical>,
    ) -> Result<Backward, ModelError> {
        let scalar = match (output_gradient, self.is_last()) {
            (None, true) => tape.output,
            (Some(gradient), false) => {
                let shape: Vec<u64> = tape.output.size().iter().map(|d| *d as u64).collect();
                gradient.require(self.boundary_dtype(), &shape).map_err(tensor_error("the output gradient"))?;
                let gradient = finite("the output gradient", to_tensor(gradient, &self.device)?)?;
                tape.output.f_mul(&gradient)?.f_sum(Kind::Float)?
            }
            _ => return Err(ModelError::Misuse("every stage but the last takes an output gradient")),
        };
        let mut inputs: Vec<&Tensor> = weights.tensors.iter().collect();
        inputs.extend(tape.input.as_ref());
        let mut gradients = Tensor::f_run_backward(&[scalar], &inputs, false, false)?;
        let input_gradient = match tape.input {
            Some(_) => gradients.pop().map(|g| to_canonical(&finite("the input gradient", g)?)).transpose()?,
            None => None,
        };
        let flat: Vec<Tensor> =
            gradients.iter().map(|g| g.f_to_kind(Kind::Float)?.f_reshape([-1])).collect::<Result<_, _>>()?;
        Ok(Backward { input_gradient, gradient: Gradient(Tensor::f_cat(&flat, 0)?) })
    }
}

/// The tensor, if all of it is finite. One pass: a sum meets NaN and infinity wherever they are.
pub(crate) fn finite(what: &'static str, tensor: Tensor) -> Result<Tensor, ModelError> {
    let sum = tch::no_grad(|| tensor.f_sum(Kind::Float).and_then(f64::try_from))?;
    if sum.is_finite() { Ok(tensor) } else { Err(ModelError::NotFinite(what)) }
}

impl Weights {
    fn first(&self) -> Result<&Tensor, ModelError> {
        self.tensors.first().ok_or(ModelError::Misuse("a stage has weights"))
    }
}

impl Gradient {
    /// Flat f32 `[P]` as canonical bytes.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn to_canonical(&self) -> Result<Canonical, ModelError> {
        to_canonical(&self.0)
    }
}
