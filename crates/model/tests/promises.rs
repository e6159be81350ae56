//! Promises of the model room.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use starling_commitment::{Canonical, DType};
use starling_model::{Device, ModelError, Stage, Tokenizer, checkpoint, data, execute, generate, merge, optimiser};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserConfig, OuterConfig};

fn config(stages: &[u32], boundary: BoundaryConfig) -> ModelConfig {
    ModelConfig {
        vocab: 50,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        d_ff: 48,
        stages: stages.to_vec(),
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.2,
        boundary,
        dtype: ComputeDType::F32,
    }
}

fn hyper() -> OptimiserConfig {
    OptimiserConfig {
        learning_rate: 1e-2,
        warmup_steps: 2,
        final_fraction: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1.0,
    }
}

fn tokens(batch: u64, length: u64, salt: u64) -> Canonical {
    let ids: Vec<u16> = (0..batch * length).map(|i| ((i * 7 + salt * 13 + i * i) % 50) as u16).collect();
    Canonical::from_u16(&[batch, length], &ids).unwrap()
}

/// Loss, parameter gradients by name, and the gradients that crossed.
fn through(config: &ModelConfig, input: &Canonical, targets: &Canonical) -> (Canonical, Vec<(String, Vec<u8>)>) {
    let stages: Vec<Stage> = (0..config.stages.len()).map(|i| Stage::new(config, i, &Device::CPU).unwrap()).collect();
    let weights: Vec<_> = stages.iter().map(|s| s.load(&s.initial_weights(3).unwrap()).unwrap()).collect();
    let mut crossing = input.clone();
    let mut tapes = Vec::new();
    for (stage, w) in stages.iter().zip(&weights) {
        let f = stage.forward(w, &crossing, stage.is_last().then_some(targets)).unwrap();
        crossing = f.output;
        tapes.push(f.tape);
    }
    let loss = crossing;
    let mut named = Vec::new();
    let mut gradient = None;
    for ((stage, w), tape) in stages.iter().zip(&weights).zip(tapes).rev() {
        let b = stage.backward(w, tape, gradient.as_ref()).unwrap();
        gradient = b.input_gradient;
        let flat = b.gradient.to_canonical().unwrap();
        for p in stage.layout() {
            named.push((p.name.clone(), flat.data()[4 * p.offset..4 * (p.offset + p.length())].to_vec()));
        }
    }
    named.sort();
    (loss, named)
}

#[test]
fn cutting_the_model_changes_no_bit_of_loss_or_gradient() {
    let (input, targets) = (tokens(3, 12, 1), tokens(3, 12, 2));
    let whole = through(&config(&[4], BoundaryConfig::Dense), &input, &targets);
    for cut in [&[2, 2][..], &[1, 3], &[1, 2, 1], &[1, 1, 1, 1]] {
        let parts = through(&config(cut, BoundaryConfig::Dense), &input, &targets);
        assert!(whole == parts, "cut {cut:?}");
    }
}

#[test]
fn first_weights_are_the_same_bits_wherever_the_cut_is() {
    let all = |cut: &[u32]| -> Vec<u8> {
        let c = config(cut, BoundaryConfig::Dense);
        (0..cut.len()).flat_map(|i| Stage::new(&c, i, &Device::CPU).unwrap().initial_weights(9).unwrap().data().to_vec()).collect()
    };
    assert!(all(&[3]) == all(&[1, 2]) && all(&[3]) == all(&[1, 1, 1]));
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
        let back = last.backward(&ll, end.tape, None).unwrap();
        let g = back.input_gradient.unwrap();
        let own = first.backward(&lf, forward.tape, Some(&g)).unwrap();

        assert_eq!(execute::forward(&first, &wf, &input, None).unwrap().output, forward.output);
        assert_eq!(execute::forward(&last, &wl, &forward.output, Some(&targets)).unwrap().output, end.output);
        assert_eq!(execute::backward(&last, &wl, &forward.output, Some(&targets), None).unwrap().input_gradient.unwrap(), g);
        let zero = first.zero_optimiser_state().unwrap();
        let sum = first.sum(&[&own.gradient]).unwrap();
        let stepped = first.step(&wf, &zero, &sum, &hyper(), 10).unwrap();
        let sample = execute::StepSample { input, targets: None, output_gradient: Some(g) };
        assert_eq!(execute::step(&first, &wf, &zero, &[sample], &hyper(), 10).unwrap(), stepped);
        assert_ne!(stepped.0.digest(), wf.digest());
    }
}

#[test]
fn the_bottleneck_sends_its_width_and_its_gradients_are_right() {
    let c = config(&[1, 1], BoundaryConfig::Bottleneck { width: 4 });
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let (input, targets) = (tokens(1, 6, 3), tokens(1, 6, 4));
    let crossing = execute::forward(&first, &wf, &input, None).unwrap().output;
    assert_eq!(crossing.shape(), [1, 6, 4]);
    let g = execute::backward(&last, &wl, &crossing, Some(&targets), None).unwrap().input_gradient.unwrap().to_f32().unwrap();
    let x = crossing.to_f32().unwrap();
    let loss_at = |i: usize, step: f32| {
        let mut moved = x.clone();
        moved[i] += step;
        let moved = Canonical::from_f32(&[1, 6, 4], &moved).unwrap();
        f64::from(execute::forward(&last, &wl, &moved, Some(&targets)).unwrap().loss.unwrap())
    };
    for i in 0..x.len() {
        let slope = (loss_at(i, 1e-2) - loss_at(i, -1e-2)) / 2e-2;
        assert!((slope - f64::from(g[i])).abs() < 2e-3, "channel {i}: {slope} against {}", g[i]);
    }
}

#[test]
fn foreign_bytes_give_words_not_panics() {
    let c = config(&[1, 1], BoundaryConfig::Dense);
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let out_of_vocabulary = Canonical::from_u16(&[1, 2], &[1, 50]).unwrap();
    assert!(matches!(execute::forward(&first, &wf, &out_of_vocabulary, None), Err(ModelError::Token { token: 50, vocab: 50 })));
    let negative = Canonical::from_i64(&[1, 1], &[-1]).unwrap();
    assert!(execute::forward(&first, &wf, &negative, None).is_err());
    let empty = Canonical::from_u16(&[0, 4], &[]).unwrap();
    assert!(execute::forward(&first, &wf, &empty, None).is_err());
    for shape in [vec![1, 2, 31], vec![2, 32], vec![0, 2, 32], vec![1, 0, 32]] {
        let n = shape.iter().product::<u64>() as usize;
        let t = Canonical::from_f32(&shape, &vec![0.0; n]).unwrap();
        assert!(execute::forward(&last, &wl, &t, Some(&tokens(1, 2, 0))).is_err(), "{shape:?}");
    }
    assert!(execute::forward(&last, &wl, &Canonical::from_u16(&[1, 2, 32], &[0; 64]).unwrap(), Some(&tokens(1, 2, 0))).is_err());
    assert!(execute::forward(&first, &wl, &tokens(1, 2, 0), None).is_err(), "another stage's weights");
    let good = execute::forward(&first, &wf, &tokens(1, 2, 0), None).unwrap().output;
    assert!(execute::forward(&last, &wl, &good, Some(&tokens(1, 3, 0))).is_err(), "one target too many");
    let nan = Canonical::from_f32(&[1, 2, 32], &[f32::NAN; 64]).unwrap();
    let computed = execute::forward(&last, &wl, &nan, Some(&tokens(1, 2, 0))).unwrap();
    assert!(computed.loss.unwrap().is_nan());
    let g = first.sum(&[&execute::backward(&first, &wf, &tokens(1, 2, 0), None, Some(&good)).unwrap().gradient]).unwrap();
    let mut state = vec![0.0; 2 * first.parameter_count() + 1];
    state[2 * first.parameter_count()] = f32::NAN;
    let state = Canonical::from_f32(&[state.len() as u64], &state).unwrap();
    assert!(first.step(&wf, &state, &g, &hyper(), 10).is_err());
}

#[test]
fn adamw_does_what_its_paper_says() {
    let c = config(&[1], BoundaryConfig::Dense);
    let stage = Stage::new(&c, 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    let b = execute::backward(&stage, &w, &tokens(1, 4, 0), Some(&tokens(1, 4, 1)), None).unwrap();
    let h = OptimiserConfig { clip_norm: 0.5, ..hyper() };
    let (w1, s1) = stage.step(&w, &stage.zero_optimiser_state().unwrap(), &b.gradient, &h, 20).unwrap();
    let (w2, _) = stage.step(&w1, &s1, &b.gradient, &h, 20).unwrap();

    let g: Vec<f64> = b.gradient.to_canonical().unwrap().to_f32().unwrap().into_iter().map(f64::from).collect();
    let norm = g.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!(norm > 0.5, "the clip must bite");
    let mut x: Vec<f64> = w.to_f32().unwrap().into_iter().map(f64::from).collect();
    let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for t in 1..=2u32 {
        let rate = optimiser::learning_rate(&h, t, 20);
        for p in stage.layout() {
            for i in p.offset..p.offset + p.length() {
                let gi = g[i] * 0.5 / norm;
                m[i] = 0.9 * m[i] + 0.1 * gi;
                v[i] = 0.95 * v[i] + 0.05 * gi * gi;
                let decay = if p.decays() { 0.1 } else { 0.0 };
                let step = (m[i] / (1.0 - 0.9f64.powi(t as i32))) / ((v[i] / (1.0 - 0.95f64.powi(t as i32))).sqrt() + 1e-8);
                x[i] -= rate * (decay * x[i] + step);
            }
        }
    }
    for (got, want) in w2.to_f32().unwrap().iter().zip(&x) {
        assert!((f64::from(*got) - want).abs() < 1e-5, "{got} against {want}");
    }
}

#[test]
fn the_outer_step_is_nesterov_and_one_quiet_contributor_changes_nothing() {
    let outer = OuterConfig { learning_rate: 0.7, momentum: 0.9 };
    let (w, v) = merge::outer_shard(&[1.0, 2.0], &[0.1, 0.0], &[&[0.5, 2.0], &[0.7, 2.0]], &outer);
    let delta = ((1.0f32 - 0.5) + (1.0 - 0.7)) / 2.0;
    let v0 = 0.9 * 0.1 + delta;
    assert_eq!(v, [v0, 0.0]);
    assert_eq!(w, [1.0 - 0.7 * (delta + 0.9 * v0), 2.0]);
}

#[test]
fn training_learns_a_text_and_the_checkpoint_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let text = "the starling sings. ".repeat(200);
    std::fs::write(dir.path().join("a.txt"), &text).unwrap();
    std::fs::write(dir.path().join("b.bin"), [0u8, 1, 2]).unwrap();
    let out = dir.path().join("shards");
    let corpus = data::Corpus::write(dir.path(), &Tokenizer::bytes(), &out).unwrap();
    assert_eq!(corpus.skipped.len(), 1);
    let shards: Vec<Canonical> = corpus
        .manifest
        .shards
        .iter()
        .map(|s| Canonical::decode(std::fs::read(out.join(s.digest.to_string())).unwrap().into(), Default::default()).unwrap())
        .collect();
    let bytes = std::fs::read(out.join(corpus.digest.to_string())).unwrap();
    assert_eq!(data::Manifest::decode_checked(&bytes).unwrap(), corpus.manifest);
    assert!(data::Manifest::decode_checked(&bytes[..bytes.len() - 1]).is_err());

    let c = ModelConfig { vocab: 256, init_std: 0.05, ..config(&[1, 1], BoundaryConfig::Dense) };
    let stages: Vec<Stage> = (0..2).map(|i| Stage::new(&c, i, &Device::CPU).unwrap()).collect();
    let mut weights: Vec<Canonical> = stages.iter().map(|s| s.initial_weights(5).unwrap()).collect();
    let mut states: Vec<Canonical> = stages.iter().map(|s| s.zero_optimiser_state().unwrap()).collect();
    let mut losses = Vec::new();
    for step in 0..60 {
        let windows = data::sample(&corpus.manifest, 1, step, 4, 32).unwrap();
        let (input, targets) = data::batch(&corpus.manifest, &shards, &windows, 32).unwrap();
        let crossing = execute::forward(&stages[0], &weights[0], &input, None).unwrap().output;
        losses.push(execute::forward(&stages[1], &weights[1], &crossing, Some(&targets)).unwrap().loss.unwrap());
        let last = execute::backward(&stages[1], &weights[1], &crossing, Some(&targets), None).unwrap();
        let first = execute::backward(&stages[0], &weights[0], &input, None, last.input_gradient.as_ref()).unwrap();
        for (i, gradient) in [first.gradient, last.gradient].iter().enumerate() {
            (weights[i], states[i]) = stages[i].step(&weights[i], &states[i], gradient, &hyper(), 60).unwrap();
        }
    }
    assert!(losses[0] > 5.0 && *losses.last().unwrap() < 1.0, "loss went from {} to {}", losses[0], losses.last().unwrap());

    let path = dir.path().join("model.safetensors");
    checkpoint::save(&c, &weights, &path).unwrap();
    let (same, back) = checkpoint::load(&path, None).unwrap();
    assert!(same == c && back == weights);
    let (whole, one) = checkpoint::load(&path, Some(vec![2])).unwrap();
    let say = |config: &ModelConfig, stages: &[Canonical]| generate(config, stages, &Tokenizer::bytes(), "the ", 20, 0.0, 0, &Device::CPU).unwrap();
    let said = say(&c, &weights);
    assert_eq!(said, say(&whole, &one), "the cut does not change what the model says");
    assert!("the starling sings. the starling".starts_with(&said[..12]), "{said}");
    assert!(checkpoint::load(&path, Some(vec![3])).is_err());
    std::fs::write(&path, b"garbage").unwrap();
    assert!(checkpoint::load(&path, None).is_err());
}

#[test]
fn no_text_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = data::Corpus::write(dir.path(), &Tokenizer::bytes(), &dir.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("holds no text"), "{error}");
    assert!(data::Corpus::write(&dir.path().join("nowhere"), &Tokenizer::bytes(), dir.path()).is_err());
}

#[test]
fn a_device_that_is_not_there_is_said_so() {
    assert!(Device::open("gpu").unwrap_err().to_string().contains("cpu or cuda:N"));
    assert_eq!(Device::open("cpu").unwrap(), Device::CPU);
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
    assert_eq!(b.gradient.to_canonical().unwrap().dtype(), DType::F32);
}
