//! A cut model is the same function as the whole one, and an audit repeats what a miner did.

use std::collections::BTreeMap;

use starling_commitment::{Canonical, DType, Digest};
use starling_model::{Device, Stage, execute};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig};

use crate::{config, hyper, stages, tokens};

/// What a pass through all stages computes.
#[derive(PartialEq)]
struct Pass {
    loss: Canonical,
    /// Gradient of each parameter.
    parameters: BTreeMap<String, Vec<u8>>,
    /// What crossed before block n: tensor on the way up, gradient on the way down.
    crossings: BTreeMap<u32, (Canonical, Canonical)>,
}

/// As between machines: everything that crosses goes through its bytes.
fn through_bytes(tensor: &Canonical) -> Canonical {
    Canonical::decode(tensor.bytes().clone(), Default::default()).unwrap()
}

fn through(config: &ModelConfig, input: &Canonical, targets: &Canonical) -> Pass {
    let stages = stages(config);
    let weights: Vec<_> = stages.iter().map(|s| s.load(&s.initial_weights(3).unwrap()).unwrap()).collect();
    let (mut inputs, mut tapes) = (vec![input.clone()], Vec::new());
    for (stage, w) in stages.iter().zip(&weights) {
        let f = stage.forward(w, inputs.last().unwrap(), stage.is_last().then_some(targets)).unwrap();
        inputs.push(through_bytes(&f.output));
        tapes.push(f.tape);
    }
    let loss = inputs.pop().unwrap();
    let (mut parameters, mut crossings, mut gradient) = (BTreeMap::new(), BTreeMap::new(), None);
    let mut first_block: u32 = config.stages.iter().sum();
    for (i, tape) in tapes.into_iter().enumerate().rev() {
        let b = stages[i].backward(tape, gradient.as_ref()).unwrap();
        gradient = b.input_gradient.as_ref().map(through_bytes);
        first_block -= config.stages[i];
        if let Some(g) = &gradient {
            assert_eq!(g.shape(), inputs[i].shape());
            crossings.insert(first_block, (inputs[i].clone(), g.clone()));
        }
        let flat = b.gradient.to_canonical(&stages[i]).unwrap();
        for p in stages[i].layout() {
            parameters.insert(p.name.clone(), flat.data()[4 * p.offset..4 * (p.offset + p.length())].to_vec());
        }
    }
    Pass { loss, parameters, crossings }
}

#[test]
fn cutting_the_model_changes_no_bit_of_loss_output_or_gradient() {
    let (input, targets) = (tokens(3, 12, 1), tokens(3, 12, 2));
    let whole = through(&config(&[4], BoundaryConfig::Dense), &input, &targets);
    assert!(whole.parameters.values().all(|g| g.iter().any(|byte| *byte != 0)), "no parameter is left out");
    let finest = through(&config(&[1, 1, 1, 1], BoundaryConfig::Dense), &input, &targets);
    assert_eq!(finest.crossings.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    for cut in [&[2, 2][..], &[1, 3], &[1, 2, 1], &[1, 1, 1, 1]] {
        let parts = through(&config(cut, BoundaryConfig::Dense), &input, &targets);
        assert!(whole.loss == parts.loss && whole.parameters == parts.parameters, "cut {cut:?}");
        for (block, crossing) in &parts.crossings {
            assert!(finest.crossings.get(block) == Some(crossing), "before block {block} of cut {cut:?}");
        }
    }
}

#[test]
fn first_weights_are_the_same_bits_wherever_the_cut_is() {
    let all = |cut: &[u32]| -> Vec<u8> {
        let c = config(cut, BoundaryConfig::Dense);
        (0..cut.len())
            .flat_map(|i| Stage::new(&c, i, &Device::CPU).unwrap().initial_weights(9).unwrap().data().to_vec())
            .collect()
    };
    assert!(all(&[3]) == all(&[1, 2]) && all(&[3]) == all(&[1, 1, 1]));
}

#[test]
fn first_weights_are_these_bits_on_every_machine() {
    let digest = |boundary, seed| -> Digest {
        let c = config(&[1, 1], boundary);
        let all: Vec<u8> = stages(&c).iter().flat_map(|s| s.initial_weights(seed).unwrap().data().to_vec()).collect();
        Digest::of(&all)
    };
    assert_eq!(
        digest(BoundaryConfig::Dense, 9).to_string(),
        "ca921200f6491d92adcdbb233147a1d9f56b2da0e2cd6e71b347d6b48e7528b2"
    );
    assert_eq!(
        digest(BoundaryConfig::Bottleneck { width: 8 }, 9).to_string(),
        "f16791d55e153bd830f705a95f3b40e50a735f12dca75112fb31375e0c3807b0"
    );
    assert_ne!(digest(BoundaryConfig::Dense, 9), digest(BoundaryConfig::Dense, 10));
}

#[test]
fn first_weights_have_the_spread_that_was_asked_for() {
    let c = config(&[2, 2], BoundaryConfig::Dense);
    for stage in stages(&c) {
        let flat = stage.initial_weights(1).unwrap().to_f32().unwrap();
        for p in stage.layout() {
            let values = &flat[p.offset..p.offset + p.length()];
            let rms = (values.iter().map(|x| f64::from(x * x)).sum::<f64>() / values.len() as f64).sqrt();
            let into_stream = p.name.ends_with("attention.o") || p.name.ends_with("mlp.down");
            let want = match (p.decays(), into_stream) {
                (false, _) => 1.0,
                (true, true) => c.init_std / 8f64.sqrt(),
                (true, false) => c.init_std,
            };
            assert!((rms / want - 1.0).abs() < 0.1, "{}: {rms} against {want}", p.name);
        }
    }
}

#[test]
fn an_audit_computes_what_the_miner_computed() {
    for boundary in [BoundaryConfig::Dense, BoundaryConfig::Bottleneck { width: 8 }] {
        let c = config(&[1, 1], boundary);
        let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
        let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
        let (input, targets) = (tokens(2, 8, 3), tokens(2, 8, 4));
        let (lf, ll) = (first.load(&wf).unwrap(), last.load(&wl).unwrap());
        let forward = first.forward(&lf, &input, None).unwrap();
        let end = last.forward(&ll, &forward.output, Some(&targets)).unwrap();
        let back = last.backward(end.tape, None).unwrap();
        let g = back.input_gradient.unwrap();
        let own = first.backward(forward.tape, Some(&g)).unwrap();

        assert_eq!(execute::forward(&first, &wf, &input, None).unwrap().output, forward.output);
        assert_eq!(execute::forward(&last, &wl, &forward.output, Some(&targets)).unwrap().output, end.output);
        assert_eq!(
            execute::backward(&last, &wl, &forward.output, Some(&targets), None).unwrap().input_gradient.unwrap(),
            g
        );
        let zero = first.first_state_bytes(&hyper()).unwrap();
        let sum = first.sum(&[&own.gradient]).unwrap();
        let stepped = first.step_bytes(&wf, &zero, &sum, &hyper(), 10).unwrap();
        let sample = execute::StepSample { input, targets: None, output_gradient: Some(g) };
        assert_eq!(execute::step(&first, &wf, &zero, &[sample], &hyper(), 10).unwrap(), stepped);
        assert_ne!(stepped.0.digest(), wf.digest());
    }
}

#[test]
fn a_replayed_step_is_the_miners_step_whatever_order_its_samples_came_back_in() {
    let c = config(&[1, 1], BoundaryConfig::Dense);
    let first = Stage::new(&c, 0, &Device::CPU).unwrap();
    let (w, zero) = (first.initial_weights(1).unwrap(), first.first_state_bytes(&hyper()).unwrap());
    let loaded = first.load(&w).unwrap();
    let samples: Vec<execute::StepSample> = (0..3)
        .map(|i| {
            let gradient: Vec<f32> = (0..2 * 8 * 32).map(|j| ((j * 31 + i * 7) % 19) as f32 / 100.0 - 0.09).collect();
            let output_gradient = Some(Canonical::from_f32(&[2, 8, 32], &gradient).unwrap());
            execute::StepSample { input: tokens(2, 8, i), targets: None, output_gradient }
        })
        .collect();

    // The miner keeps all tapes open, as a pipeline does, and the backwards arrive last sample first.
    let mut tapes: Vec<_> = samples.iter().map(|s| first.forward(&loaded, &s.input, None).unwrap().tape).collect();
    let mut gradients = Vec::new();
    for s in samples.iter().rev() {
        let b = first.backward(tapes.pop().unwrap(), s.output_gradient.as_ref()).unwrap();
        gradients.insert(0, b.gradient);
    }
    let sum = first.sum(&gradients.iter().collect::<Vec<_>>()).unwrap();
    let own = first.step_bytes(&w, &zero, &sum, &hyper(), 10).unwrap();
    assert_eq!(execute::step(&first, &w, &zero, &samples, &hyper(), 10).unwrap(), own);
    let fewer = execute::step(&first, &w, &zero, &samples[..2], &hyper(), 10).unwrap();
    assert_ne!(fewer.0.digest(), own.0.digest(), "a sample left out shows");
}

#[test]
fn bfloat16_crosses_as_bfloat16() {
    let c = ModelConfig { dtype: ComputeDType::Bf16, ..config(&[1, 1], BoundaryConfig::Dense) };
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let (input, targets) = (tokens(1, 4, 3), tokens(1, 4, 4));
    let crossing = execute::forward(&first, &wf, &input, None).unwrap().output;
    assert_eq!(crossing.dtype(), DType::Bf16);
    let b = execute::backward(&last, &wl, &crossing, Some(&targets), None).unwrap();
    assert_eq!(b.input_gradient.unwrap().dtype(), DType::Bf16);
    assert_eq!(b.gradient.to_canonical(&last).unwrap().dtype(), DType::F32);
}

#[test]
fn the_halves_of_a_backward_give_what_the_whole_gives_and_samples_add_up_in_place() {
    for boundary in [BoundaryConfig::Dense, BoundaryConfig::Bottleneck { width: 8 }] {
        let c = config(&[1, 1, 1], boundary);
        for stage in stages(&c) {
            let weights = stage.load(&stage.initial_weights(3).unwrap()).unwrap();
            let sample = |salt: u64| {
                let form = stage.boundary().output(2, 6);
                let floats = |scale: f32| -> Canonical {
                    let n = form.shape.iter().product::<u64>();
                    let values = (0..n).map(|i| ((i * 31 + salt * 7) % 19) as f32 * scale - 9.0 * scale);
                    Canonical::from_f32(&form.shape, &values.collect::<Vec<_>>()).unwrap()
                };
                let input = if stage.is_first() { tokens(2, 6, salt) } else { floats(0.1) };
                let targets = stage.is_last().then(|| tokens(2, 6, salt + 5));
                (input, targets, (!stage.is_last()).then(|| floats(0.01)))
            };
            let mut sum = stage.no_gradient().unwrap();
            let mut separate = Vec::new();
            for salt in 0..3 {
                let (input, targets, given) = sample(salt);
                let whole = {
                    let tape = stage.forward(&weights, &input, targets.as_ref()).unwrap().tape;
                    stage.backward(tape, given.as_ref()).unwrap()
                };
                let tape = stage.forward(&weights, &input, targets.as_ref()).unwrap().tape;
                let given = given.map(|g| stage.output_gradient(&tape, &g).unwrap());
                let (first, second) = stage.input_gradient(tape, given.as_ref()).unwrap();
                let first = first.map(|g| g.to_canonical(&stage).unwrap());
                assert_eq!(
                    first, whole.input_gradient,
                    "what the stage before waits for is there before the second half"
                );
                stage.accumulate(second, &mut sum).unwrap();
                separate.push(whole.gradient);
            }
            // In place a product adds to what is there, apart it is rounded first: alike, not equal to the bit.
            let apart = stage.sum(&separate.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!((sum.samples(), apart.samples()), (3, 3));
            let (a, b) = (sum.to_canonical(&stage).unwrap(), apart.to_canonical(&stage).unwrap());
            let difference = starling_commitment::difference(&a, &b).unwrap();
            assert!(difference.relative_l2 < 1e-6, "{difference:?}");
            sum.clear().unwrap();
            assert!(sum.samples() == 0 && sum.to_canonical(&stage).unwrap().data().iter().all(|b| *b == 0));
        }
    }
}
