//! Are results the same bits? Twice in this process, in another process, alone and as part of a batch.

use serde_json::{Value, json};
use starling_commitment::Canonical;
use starling_model::{Device, ModelError, Stage, execute};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig};

use crate::{card, report::Check, right, shapes};

const DTYPES: [(ComputeDType, &str); 2] = [(ComputeDType::F32, "f32"), (ComputeDType::Bf16, "bf16")];

fn config(device: &Device, dtype: ComputeDType) -> ModelConfig {
    // Large enough on a card that its fast kernels are taken; bf16 on a processor is slow.
    let (d, ff) = if device.is_cuda() { (1024, 2816) } else { (64, 176) };
    shapes::model(d, d / 64 * 4, d / 64, ff, vec![1, 2, 1], BoundaryConfig::Bottleneck { width: 16 }, dtype)
}

/// As lines: one digest for each thing that a stage gives.
pub fn digests(device: &Device) {
    for (dtype, name) in DTYPES {
        match right::everything(&config(device, dtype), device) {
            Ok(all) => {
                for (what, tensor) in all {
                    println!("{}", json!({ "dtype": name, "what": what, "digest": tensor.digest().to_string() }));
                }
            }
            Err(error) => println!("{}", json!({ "dtype": name, "error": error.to_string() })),
        }
    }
}

/// Names of what differs.
fn differing(a: &[(&'static str, Canonical)], b: &[(&'static str, Canonical)]) -> Vec<&'static str> {
    a.iter().zip(b).filter(|(a, b)| a.1.digest() != b.1.digest()).map(|(a, _)| a.0).collect()
}

fn verdict(check: Check, differing: &[&str]) -> Check {
    check
        .figure("equal", differing.is_empty())
        .unless(!differing.is_empty(), format!("differs in {}", differing.join(", ")))
}

/// Each sequence of a batch alone, against the batch. We never batch differently when auditing, so a difference is no fault: the
/// figure says whether we could.
fn alone(config: &ModelConfig, device: &Device) -> Result<(bool, bool), ModelError> {
    let stage = Stage::new(config, 1, device)?;
    let weights = stage.initial_weights(7)?;
    let boundary = stage.boundary();
    let input = shapes::tensor(&boundary.output(2, 64), 1.0, 3)?;
    let given = shapes::tensor(&boundary.gradient(2, 64), 0.01, 4)?;
    let pass = |input: &Canonical, given: &Canonical| -> Result<(Canonical, Option<Canonical>), ModelError> {
        let output = execute::forward(&stage, &weights, input, None)?.output;
        Ok((output, execute::backward(&stage, &weights, input, None, Some(given))?.input_gradient))
    };
    let whole = pass(&input, &given)?;
    let half = |t: &Canonical, part: usize| -> Result<Canonical, ModelError> {
        let mut shape = t.shape().to_vec();
        if let Some(batch) = shape.first_mut() {
            *batch /= 2;
        }
        let length = t.data().len() / 2;
        Ok(Canonical::new(t.dtype(), &shape, t.data().get(part * length..(part + 1) * length).unwrap_or_default())?)
    };
    let (mut outputs, mut gradients) = (true, true);
    for part in 0..2 {
        let (output, gradient) = pass(&half(&input, part)?, &half(&given, part)?)?;
        outputs &= output == half(&whole.0, part)?;
        gradients &= match (&gradient, &whole.1) {
            (Some(a), Some(b)) => *a == half(b, part)?,
            _ => false,
        };
    }
    Ok((outputs, gradients))
}

pub fn run(device: &Device, other: &dyn Fn() -> Result<Vec<Value>, String>) {
    let elsewhere = other();
    for (dtype, name) in DTYPES {
        let titles = [
            format!("run against run, {name}"),
            format!("process against process, {name}"),
            format!("a sequence alone and in a batch of two, {name}"),
        ];
        let [again, process, batch] = titles.map(|t| Check::new("bits", t));
        if device.is_cuda() && dtype == ComputeDType::Bf16 && !card::has_bf16() {
            for check in [again, process, batch] {
                check.skipped("the card has no bf16 (compute capability below 8.0): use f32").print();
            }
            continue;
        }
        let config = config(device, dtype);
        let twice = right::everything(&config, device).and_then(|a| Ok((a, right::everything(&config, device)?)));
        match &twice {
            Ok((a, b)) => verdict(again, &differing(a, b)).print(),
            Err(error) => again.failed(error).print(),
        }
        match (&twice, &elsewhere) {
            (Ok((own, _)), Ok(lines)) => {
                let there = |what: &str| {
                    let line = lines.iter().find(|l| l["dtype"] == name && l["what"] == what);
                    line.and_then(|l| l["digest"].as_str()).map(str::to_owned)
                };
                let differ: Vec<&str> = own
                    .iter()
                    .filter(|(what, t)| there(what).as_deref() != Some(t.digest().to_string().as_str()))
                    .map(|(what, _)| *what)
                    .collect();
                verdict(process, &differ).print();
            }
            (Err(error), _) => process.failed(error).print(),
            (_, Err(error)) => process.failed(error).print(),
        }
        match alone(&config, device) {
            Ok((outputs, gradients)) => {
                batch.figure("outputs_equal", outputs).figure("input_gradients_equal", gradients).print();
            }
            Err(error) => batch.failed(error).print(),
        }
    }
}
