//! Re-execution from bytes: what an auditor runs, and a miner that lost its tape.

use starling_commitment::Canonical;
use starling_protocol::config::OptimiserConfig;

use crate::{Backward, Forward, Gradient, ModelError, Stage};

/// One forward from bytes.
///
/// # Errors
/// [`ModelError`].
pub fn forward(
    stage: &Stage,
    weights: &Canonical,
    input: &Canonical,
    targets: Option<&Canonical>,
) -> Result<Forward, ModelError> {
    stage.forward(&stage.load(weights)?, input, targets)
}

/// One backward from bytes; the forward is computed again.
///
/// # Errors
/// [`ModelError`].
pub fn backward(
    stage: &Stage,
    weights: &Canonical,
    input: &Canonical,
    targets: Option<&Canonical>,
    output_gradient: Option<&Canonical>,
) -> Result<Backward, ModelError> {
    let loaded = stage.load(weights)?;
    let tape = stage.forward(&loaded, input, targets)?.tape;
    stage.backward(tape, output_gradient)
}

/// What one sample of a step is computed from.
#[derive(Clone, Debug)]
pub struct StepSample {
    /// Tokens or boundary tensor.
    pub input: Canonical,
    /// Tokens, at the last stage.
    pub targets: Option<Canonical>,
    /// Gradient from the next stage, elsewhere.
    pub output_gradient: Option<Canonical>,
}

/// One optimiser step from bytes, all its samples computed again in the order given.
///
/// # Errors
/// [`ModelError`].
pub fn step(
    stage: &Stage,
    weights: &Canonical,
    optimiser: &Canonical,
    samples: &[StepSample],
    hyper: &OptimiserConfig,
    total_steps: u32,
) -> Result<(Canonical, Canonical), ModelError> {
    let loaded = stage.load(weights)?;
    // Sample by sample and then in order, as a miner adds up whose gradients come back in another order.
    let gradients = samples
        .iter()
        .map(|s| {
            let tape = stage.forward(&loaded, &s.input, s.targets.as_ref())?.tape;
            Ok(stage.backward(tape, s.output_gradient.as_ref())?.gradient)
        })
        .collect::<Result<Vec<Gradient>, ModelError>>()?;
    let total = stage.sum(&gradients.iter().collect::<Vec<_>>())?;
    let (mut weights, mut state) = (loaded, stage.load_state(optimiser, hyper)?);
    stage.step(&mut weights, &mut state, &total, hyper, total_steps)?;
    Ok((weights.to_canonical(stage)?, state.to_canonical(stage)?))
}
