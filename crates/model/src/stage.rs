//! One stage of the model: forward, backward, nothing hidden.
//!
//! Invariant: results depend on the bytes of weights, input, targets and gradients alone, so that a miner and an auditor who run
//! these functions on the same bytes get the same bytes (design D3, D11). Gradients of a sample are exact: the gradient of
//! `Σ output · g` with respect to the output is `g`.
//!
//! A backward has two halves ([`Stage::input_gradient`], [`Stage::accumulate`]), so that the stage before need not wait for what
//! only the step needs. A pass meets the host twice: what arrives is checked as bytes before it goes to the device, what was computed is checked as
//! bytes once it is back. Nothing is read back in between, so a GPU never waits for the host in the middle of a pass.

use std::sync::{Mutex, PoisonError};

use starling_commitment::{Canonical, DType, TensorError};
use starling_protocol::config::ModelConfig;
use tch::{Kind, Tensor};

use crate::{
    Device, ModelError, Weights,
    block::{Block, Rotary, WEIGHTS},
    boundary::{Boundary, boundary},
    convert::{kind_of, tensor_error, to_canonical, to_tensor, tokens_to_tensor},
    shape::{self, Parameter},
    trace::{Deferred, Trace},
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

/// Something on the device that was checked on its way there: tokens, a boundary tensor, its gradient.
#[derive(Debug)]
pub struct OnDevice {
    tensor: Tensor,
    /// Sequences and tokens per sequence.
    size: (u64, u64),
}

/// What a forward leaves for its backward.
#[derive(Debug)]
pub struct Tape {
    input: Option<Tensor>,
    output: Tensor,
    trace: Trace,
    /// Sequences and tokens per sequence.
    size: (u64, u64),
}

/// A forward's result.
#[derive(Debug)]
pub struct Forward {
    /// Boundary tensor in the boundary's form, or the scalar f32 loss at the last stage.
    pub output: Canonical,
    /// Mean cross-entropy in nats per token, at the last stage.
    pub loss: Option<f32>,
    /// For the backward.
    pub tape: Tape,
}

/// The sum of samples' gradients with respect to the flat weights, f32 `[P]`, on the device.
#[derive(Debug)]
pub struct Gradient {
    pub(crate) flat: Tensor,
    pub(crate) samples: u32,
}

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
        Self::with_boundary(config, stage, device, boundary(config))
    }

    /// As [`Stage::new`], with a boundary that need not be one of the kinds a run may name.
    ///
    /// # Errors
    /// As [`Stage::new`].
    pub fn with_boundary(
        config: &ModelConfig,
        stage: usize,
        device: &Device,
        boundary: Box<dyn Boundary>,
    ) -> Result<Self, ModelError> {
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
            layout: shape::layout_with(config, stage, &*boundary),
            boundary,
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

    /// Element type of computing.
    pub(crate) fn kind(&self) -> Kind {
        kind_of(self.config.dtype).0
    }

    /// What crosses between this run's stages.
    #[must_use]
    pub fn boundary(&self) -> &dyn Boundary {
        &*self.boundary
    }

    /// First weights, flat f32 `[P]`: the same bits everywhere.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if they do not fit into memory's address space.
    pub fn initial_weights(&self, seed: u64) -> Result<Canonical, ModelError> {
        let flat: Vec<f32> = self.layout.iter().flat_map(|p| p.initial(&self.config, seed)).collect();
        Canonical::from_f32(&[flat.len() as u64], &flat).map_err(tensor_error("first weights"))
    }

    fn tokens(&self, what: &'static str, tokens: &Canonical) -> Result<OnDevice, ModelError> {
        if !matches!(tokens.dtype(), DType::U16 | DType::I64) {
            return Err(tensor_error(what)(TensorError::Expected { need: DType::U16, got: tokens.dtype() }));
        }
        match tokens.shape() {
            [batch, length] if tokens.elements() > 0 => Ok(OnDevice {
                tensor: tokens_to_tensor(tokens, self.config.vocab, &self.device)?,
                size: (*batch, *length),
            }),
            got => {
                let need = "[batch, length] with at least one of each".into();
                Err(ModelError::Shape { what, got: got.to_vec(), need })
            }
        }
    }

    /// Check a sample's input and bring it to the device: tokens `[batch, length]` at stage 0, else a boundary tensor.
    ///
    /// # Errors
    /// [`ModelError`] for anything that does not fit.
    pub fn input(&self, input: &Canonical) -> Result<OnDevice, ModelError> {
        if self.is_first() {
            return self.tokens("the input", input);
        }
        let size = match input.shape() {
            [batch, length, ..] if *batch > 0 && *length > 0 => (*batch, *length),
            // No form fits: the comparison below says what is needed.
            _ => (1, 1),
        };
        let form = self.boundary.output(size.0, size.1);
        if input.dtype() != form.dtype {
            return Err(tensor_error("the input")(TensorError::Expected { need: form.dtype, got: input.dtype() }));
        }
        if input.shape() != form.shape {
            let rest: String = form.shape.iter().skip(2).map(|d| format!(", {d}")).collect();
            let need = format!("[batch, length{rest}] with at least one of each");
            return Err(ModelError::Shape { what: "the input", got: input.shape().to_vec(), need });
        }
        Ok(OnDevice { tensor: to_tensor(&finite("the input", input.clone())?, &self.device)?, size })
    }

    /// Check a sample's targets, at the last stage, and bring them to the device.
    ///
    /// # Errors
    /// [`ModelError`] for anything that does not fit.
    pub fn targets(&self, targets: &Canonical) -> Result<OnDevice, ModelError> {
        self.tokens("the targets", targets)
    }

    /// Check the gradient of a sample's output and bring it to the device.
    ///
    /// # Errors
    /// [`ModelError`] for anything that does not fit.
    pub fn output_gradient(&self, tape: &Tape, gradient: &Canonical) -> Result<OnDevice, ModelError> {
        let form = self.boundary.gradient(tape.size.0, tape.size.1);
        gradient.require(form.dtype, &form.shape).map_err(tensor_error("the output gradient"))?;
        let gradient = finite("the output gradient", gradient.clone())?;
        Ok(OnDevice { tensor: to_tensor(&gradient, &self.device)?, size: tape.size })
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
        let targets = targets.map(|t| self.targets(t)).transpose()?;
        let (wire, tape) = self.forward_on_device(weights, &self.input(input)?, targets.as_ref())?;
        let output = finite("what the stage computed", wire.to_canonical(self)?)?;
        let loss = if self.is_last() { output.to_f32().map_err(tensor_error("loss"))?.first().copied() } else { None };
        Ok(Forward { output, loss, tape })
    }

    /// [`Stage::forward`] without the way to the device and back: what crosses, or the loss, stays there. Returns before a card
    /// has computed it.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn forward_on_device(
        &self,
        weights: &Weights,
        input: &OnDevice,
        targets: Option<&OnDevice>,
    ) -> Result<(OnDevice, Tape), ModelError> {
        if targets.is_some() != self.is_last() {
            return Err(ModelError::Misuse("targets belong to the last stage, and only there"));
        }
        let mut trace = Trace::new();
        let (leaf, stream) = self.enter(weights, input, &mut trace)?;
        let output = self.blocks(weights, stream, targets, &mut trace)?;
        let tensor = if self.is_last() {
            output.f_detach()?
        } else {
            tch::no_grad(|| self.boundary.pack(&output))?.f_detach()?
        };
        let wire = OnDevice { tensor, size: input.size };
        Ok((wire, Tape { input: leaf, output, trace, size: input.size }))
    }

    /// The input as a leaf (none for tokens) and the stream that it starts.
    fn enter(
        &self,
        weights: &Weights,
        input: &OnDevice,
        trace: &mut Trace,
    ) -> Result<(Option<Tensor>, Tensor), ModelError> {
        let first = || weights.parts().first().ok_or(ModelError::Misuse("a stage has weights"));
        if self.is_first() {
            return Ok((None, trace.lookup(0, &input.tensor, first()?, self.kind())?));
        }
        // Detached: the leaf of one pass is not the leaf of another, though they share the elements.
        let leaf = tch::no_grad(|| self.boundary.unpack(&input.tensor))?.f_detach()?.f_set_requires_grad(true)?;
        let stream = self.boundary.decode(&leaf, &mut |x| trace.product(0, x, first()?))?;
        Ok((Some(leaf), stream))
    }

    /// Rotary tables for `length`, computed when the length changes.
    fn rotary(&self, length: usize) -> Result<Rotary, ModelError> {
        // A panic while the lock is held leaves a complete table or none.
        let mut kept = self.rotary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = kept.as_ref().filter(|t| t.length() == length) {
            return Ok(table.share());
        }
        let table = Rotary::new(&self.config, length, self.kind(), &self.device)?;
        *kept = Some(table.share());
        Ok(table)
    }

    fn blocks(
        &self,
        weights: &Weights,
        mut stream: Tensor,
        targets: Option<&OnDevice>,
        trace: &mut Trace,
    ) -> Result<Tensor, ModelError> {
        let length = stream.size().get(1).copied().unwrap_or(0) as usize;
        let rotary = self.rotary(length)?;
        let parts = weights.parts();
        let before = usize::from(self.is_first() || self.boundary.decoder().is_some());
        let count = self.config.stages.get(self.stage).copied().unwrap_or(0) as usize;
        for i in 0..count {
            let block = Block { weights: parts, first: before + WEIGHTS * i, config: &self.config };
            let (h, added) = block.forward(&stream, &rotary, trace)?;
            stream = if i + 1 == count && !self.is_last() {
                let last = before + WEIGHTS * count;
                let encoder = || parts.get(last).ok_or(ModelError::Misuse("this boundary has no projection"));
                return self.boundary.encode(&h, &added, &mut |x| trace.product(last, x, encoder()?));
            } else {
                h.f_add(&added)?
            };
        }
        let logits = self.head(parts, &stream, trace)?;
        match targets {
            None => Ok(logits),
            Some(targets) => {
                let ids = &targets.tensor;
                let size = logits.size();
                if size.get(..2) != Some(&ids.size()[..]) {
                    let need = format!("{:?} (one target per input token)", size.get(..2).unwrap_or_default());
                    let got = vec![targets.size.0, targets.size.1];
                    return Err(ModelError::Shape { what: "the targets", got, need });
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

    fn head(&self, parts: &[Tensor], stream: &Tensor, trace: &mut Trace) -> Result<Tensor, ModelError> {
        let [.., final_norm, head] = parts else {
            return Err(ModelError::Misuse("the last stage has a norm and a head"));
        };
        let normed = trace.norm(parts.len() - 2, stream, final_norm, self.config.norm_eps)?;
        Ok(trace.product(parts.len() - 1, &normed, head)?.f_to_kind(Kind::Float)?)
    }

    /// Logits f32 `[batch, length, vocab]` at the last stage, or the boundary tensor: for sampling text, no tape.
    pub(crate) fn infer(&self, weights: &Weights, input: &Canonical) -> Result<Tensor, ModelError> {
        tch::no_grad(|| {
            let mut trace = Trace::none();
            let (_, stream) = self.enter(weights, &self.input(input)?, &mut trace)?;
            let output = self.blocks(weights, stream, None, &mut trace)?;
            if self.is_last() { Ok(output) } else { self.boundary.pack(&output) }
        })
    }

    /// One sample backward. `output_gradient` has the boundary's form for gradients; none at the last stage, whose output is the
    /// loss.
    ///
    /// # Errors
    /// [`ModelError`] for a gradient that does not fit.
    pub fn backward(&self, tape: Tape, output_gradient: Option<&Canonical>) -> Result<Backward, ModelError> {
        let given = output_gradient.map(|g| self.output_gradient(&tape, g)).transpose()?;
        let (wire, gradient) = self.backward_on_device(tape, given.as_ref())?;
        let input_gradient = wire.map(|g| finite("the input gradient", g.to_canonical(self)?)).transpose()?;
        Ok(Backward { input_gradient, gradient })
    }

    /// [`Stage::backward`] without the way to the device and back. Returns before a card has computed it.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn backward_on_device(
        &self,
        tape: Tape,
        output_gradient: Option<&OnDevice>,
    ) -> Result<(Option<OnDevice>, Gradient), ModelError> {
        let (wire, deferred) = self.input_gradient(tape, output_gradient)?;
        let mut gradient = self.no_gradient()?;
        self.accumulate(deferred, &mut gradient)?;
        Ok((wire, gradient))
    }

    /// The first half of a backward: what the stage before waits for; none at stage 0.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn input_gradient(
        &self,
        tape: Tape,
        output_gradient: Option<&OnDevice>,
    ) -> Result<(Option<OnDevice>, Deferred), ModelError> {
        let scalar = match (output_gradient, self.is_last()) {
            (None, true) => tape.output,
            (Some(wire), false) => {
                tape.output.f_mul(&self.boundary.unpack_gradient(&wire.tensor)?)?.f_sum(Kind::Float)?
            }
            _ => return Err(ModelError::Misuse("every stage but the last takes an output gradient")),
        };
        let (gradient, deferred) = tape.trace.walk(scalar, tape.input.as_ref())?;
        let wire = gradient.map(|g| self.boundary.pack_gradient(&g)).transpose()?;
        Ok((wire.map(|tensor| OnDevice { tensor, size: tape.size }), deferred))
    }

    /// The second half: add a sample's gradients of the weights to `sum`, in place.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn accumulate(&self, deferred: Deferred, sum: &mut Gradient) -> Result<(), ModelError> {
        deferred.add_to(&sum.flat, &self.layout)?;
        sum.samples += 1;
        Ok(())
    }

    /// The sum of no gradients: zeros.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if the device has no room.
    pub fn no_gradient(&self) -> Result<Gradient, ModelError> {
        let flat = Tensor::f_zeros([self.parameter_count() as i64], (Kind::Float, self.device.torch()))?;
        Ok(Gradient { flat, samples: 0 })
    }
}

impl OnDevice {
    /// As canonical bytes: waits until the device has computed it.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn to_canonical(&self, stage: &Stage) -> Result<Canonical, ModelError> {
        to_canonical(&self.tensor, &stage.device)
    }
}

/// The tensor, if each of its elements is finite.
fn finite(what: &'static str, tensor: Canonical) -> Result<Canonical, ModelError> {
    if tensor.is_finite() { Ok(tensor) } else { Err(ModelError::NotFinite(what)) }
}

impl Gradient {
    /// Samples in the sum.
    #[must_use]
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Begin again with none.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn clear(&mut self) -> Result<(), ModelError> {
        let _ = self.flat.f_zero_()?;
        self.samples = 0;
        Ok(())
    }

    /// The sum, flat f32 `[P]`, as canonical bytes.
    ///
    /// # Errors
    /// [`ModelError::Torch`].
    pub fn to_canonical(&self, stage: &Stage) -> Result<Canonical, ModelError> {
        to_canonical(&self.flat, &stage.device)
    }
}
