//! Is what the device computes right? Forward, backward and step of every kind of stage and boundary against the processor in f32.
//!
//! Bounds: f32 differs by the order of sums alone, so 1e-4 of a tensor's length is much. bf16 keeps eight bits, each product
//! rounds, and a small model is shallow: 3 % of an output and 10 % of a gradient would mean another function.

use starling_commitment::Canonical;
use starling_model::{Device, Gradient, ModelError, Stage, execute};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserKind};
use tch::{Kind, Tensor};

use crate::{card, report::Check, report::rounded, shapes};

/// What a stage gives for one sample.
struct Results {
    output: Vec<f32>,
    input_gradient: Option<Vec<f32>>,
    gradient: Vec<f32>,
    /// Change of the weights by a step.
    moved: Vec<f32>,
}

fn compute(config: &ModelConfig, stage: usize, device: &Device, kind: OptimiserKind) -> Result<Results, ModelError> {
    let (batch, length) = (2, 64);
    let stage = Stage::new(config, stage, device)?;
    let weights = stage.initial_weights(7)?;
    let boundary = stage.boundary();
    let input = match stage.is_first() {
        true => shapes::tokens(batch, length, 1)?,
        false => shapes::tensor(&boundary.output(batch, length), 1.0, 3)?,
    };
    let targets = if stage.is_last() { Some(shapes::tokens(batch, length, 2)?) } else { None };
    let given = if stage.is_last() { None } else { Some(shapes::tensor(&boundary.gradient(batch, length), 0.01, 4)?) };
    let output = execute::forward(&stage, &weights, &input, targets.as_ref())?.output;
    let backward = execute::backward(&stage, &weights, &input, targets.as_ref(), given.as_ref())?;
    let flat = |g: &Gradient| -> Result<Vec<f32>, ModelError> { Ok(shapes::floats(&g.to_canonical(&stage)?)) };
    let gradient = flat(&backward.gradient)?;
    let hyper = shapes::hyper(kind);
    let state = stage.first_state_bytes(&hyper)?;
    let (after, _) = stage.step_bytes(&weights, &state, &stage.sum(&[&backward.gradient])?, &hyper, 100)?;
    let moved = shapes::floats(&after).iter().zip(shapes::floats(&weights)).map(|(a, b)| a - b).collect();
    let input_gradient = backward.input_gradient.as_ref().map(shapes::floats);
    Ok(Results { output: shapes::floats(&output), input_gradient, gradient, moved })
}

/// `|a − b| / |b|`.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let length: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    if a.len() != b.len() { f64::INFINITY } else { (difference / length.max(f64::MIN_POSITIVE)).sqrt() }
}

/// The parameter whose gradient is farthest off, and how far.
fn worst(config: &ModelConfig, stage: usize, got: &[f32], want: &[f32]) -> (String, f64) {
    let layout = starling_model::shape::layout(config, stage);
    let each = layout.into_iter().map(|p| {
        let range = p.offset..p.offset + p.length();
        let (got, want) = (got.get(range.clone()).unwrap_or_default(), want.get(range).unwrap_or_default());
        (p.name, relative(got, want))
    });
    each.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
}

fn compare(name: &str, config: &ModelConfig, stage: usize, device: &Device, bounds: (f64, f64)) -> Check {
    let check = Check::new("right", name);
    let kind = if stage == 1 { OptimiserKind::Nadam } else { OptimiserKind::Adamw };
    let exact = ModelConfig { dtype: ComputeDType::F32, ..config.clone() };
    let both = compute(config, stage, device, kind).and_then(|a| Ok((a, compute(&exact, stage, &Device::CPU, kind)?)));
    let (got, want) = match both {
        Ok(both) => both,
        Err(error) => return check.failed(error),
    };
    let output = relative(&got.output, &want.output);
    let (parameter, gradient) = worst(config, stage, &got.gradient, &want.gradient);
    let input = match (&got.input_gradient, &want.input_gradient) {
        (Some(a), Some(b)) => relative(a, b),
        _ => 0.0,
    };
    // A step divides by the gradient's own size, so what is next to zero may move either way: this figure has no bound.
    let moved = relative(&got.moved, &want.moved);
    check
        .figure("output_relative_l2", rounded(output))
        .figure("input_gradient_relative_l2", rounded(input))
        .figure("worst_gradient_relative_l2", rounded(gradient))
        .figure("worst_gradient", parameter)
        .figure("step_relative_l2", rounded(moved))
        .unless(
            !(output <= bounds.0 && input <= bounds.1 && gradient <= bounds.1),
            format!("at most {} for the output and {} for gradients is expected", bounds.0, bounds.1),
        )
}

fn product(device: &Device, name: &str) -> Result<Check, ModelError> {
    let n = 512i64;
    let at = |salt| Tensor::f_from_slice(&shapes::noise((n * n) as usize, salt)).and_then(|t| t.f_reshape([n, n]));
    let (a, b) = (at(1)?, at(2)?);
    let want = a.f_matmul(&b)?;
    let place: tch::Device = if device.is_cuda() { tch::Device::Cuda(0) } else { tch::Device::Cpu };
    let flat = |t: &Tensor| -> Result<Vec<f32>, ModelError> {
        let t = t.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_reshape([-1])?;
        Vec::try_from(t).map_err(ModelError::Torch)
    };
    let (a, b) = (a.f_to_device(place)?, b.f_to_device(place)?);
    let single = relative(&flat(&a.f_matmul(&b)?)?, &flat(&want)?);
    let half = a.f_to_kind(Kind::BFloat16)?.f_matmul(&b.f_to_kind(Kind::BFloat16)?)?;
    let half = relative(&flat(&half)?, &flat(&want)?);
    Ok(Check::new("right", name)
        .figure("f32_relative_l2", rounded(single))
        .figure("bf16_relative_l2", rounded(half))
        // With TF32 the first would be 3e-4.
        .unless(!(single < 1e-5 && half < 1e-2), "at most 1e-5 and 1e-2 is expected: TF32 or reduced sums may be on"))
}

pub fn run(device: &Device) {
    let name = "a product of 512 x 512 matrices";
    product(device, name).unwrap_or_else(|e| Check::new("right", name).failed(e)).print();
    for (boundary, kind) in [(BoundaryConfig::Dense, "dense"), (BoundaryConfig::Bottleneck { width: 16 }, "bottleneck")]
    {
        for (stage, place) in [(0, "first"), (1, "middle"), (2, "last")] {
            for (dtype, name, bounds) in
                [(ComputeDType::F32, "f32", (1e-4, 1e-3)), (ComputeDType::Bf16, "bf16", (0.03, 0.1))]
            {
                let config = shapes::model(64, 4, 2, 176, vec![1, 1, 1], boundary, dtype);
                let name = format!("{place} stage, {kind}, {name} against f32 on the CPU");
                if device.is_cuda() && dtype == ComputeDType::Bf16 && !card::has_bf16() {
                    Check::new("right", name)
                        .skipped("the card has no bf16 (compute capability below 8.0): use f32")
                        .print();
                    continue;
                }
                compare(&name, &config, stage, device, bounds).print();
            }
        }
    }
}

/// For `bits`: one stage's bytes of everything.
pub fn everything(config: &ModelConfig, device: &Device) -> Result<Vec<(&'static str, Canonical)>, ModelError> {
    let (batch, length) = (2, 64);
    let stage = Stage::new(config, 1, device)?;
    let weights = stage.initial_weights(7)?;
    let input = shapes::tensor(&stage.boundary().output(batch, length), 1.0, 3)?;
    let given = shapes::tensor(&stage.boundary().gradient(batch, length), 0.01, 4)?;
    let output = execute::forward(&stage, &weights, &input, None)?.output;
    let backward = execute::backward(&stage, &weights, &input, None, Some(&given))?;
    let hyper = shapes::hyper(OptimiserKind::Nadam);
    let gradient = backward.gradient.to_canonical(&stage)?;
    let state = stage.first_state_bytes(&hyper)?;
    let (after, state) = stage.step_bytes(&weights, &state, &stage.sum(&[&backward.gradient])?, &hyper, 100)?;
    let missing = ModelError::Misuse("a middle stage has an input gradient");
    let input_gradient = backward.input_gradient.ok_or(missing)?;
    Ok(vec![
        ("output", output),
        ("input gradient", input_gradient),
        ("gradient", gradient),
        ("weights after a step", after),
        ("optimiser state after a step", state),
    ])
}
