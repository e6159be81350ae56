//! Kinds of optimiser and boundary: what the seams promise to whoever adds one.

use starling_commitment::{Canonical, DType, Form};
use starling_model::{
    Device, ModelError, Stage,
    boundary::{Boundary, Project, Projection},
    execute, optimiser,
};
use starling_protocol::config::{BoundaryConfig, OptimiserConfig, OptimiserKind};
use tch::{Kind, Tensor};

use crate::{config, hyper, tokens};

/// NAdam in f64, as PyTorch's documentation has it.
#[test]
fn nadam_does_what_its_paper_says() {
    let c = config(&[1], BoundaryConfig::Dense);
    let stage = Stage::new(&c, 0, &Device::CPU).unwrap();
    let h = OptimiserConfig { kind: OptimiserKind::Nadam, clip_norm: 0.5, momentum_decay: 0.7, ..hyper() };
    let w = stage.initial_weights(1).unwrap();
    let b = execute::backward(&stage, &w, &tokens(1, 4, 0), Some(&tokens(1, 4, 1)), None).unwrap();
    let (mut weights, mut state) = (w.clone(), stage.first_state_bytes(&h).unwrap());
    for _ in 0..3 {
        (weights, state) = stage.step_bytes(&weights, &state, &b.gradient, &h, 20).unwrap();
    }
    let scalars: Vec<f32> = state.to_f32().unwrap().split_off(2 * stage.parameter_count());

    let g: Vec<f64> = b.gradient.to_canonical(&stage).unwrap().to_f32().unwrap().into_iter().map(f64::from).collect();
    let norm = g.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut x: Vec<f64> = w.to_f32().unwrap().into_iter().map(f64::from).collect();
    let (mut m, mut v, mut product) = (vec![0.0; x.len()], vec![0.0; x.len()], 1.0);
    let momentum = |t: u32| 0.9 * (1.0 - 0.5 * 0.96f64.powf(f64::from(t) * 0.7));
    for t in 1..=3u32 {
        let rate = optimiser::learning_rate(&h, t, 20);
        product *= momentum(t);
        for p in stage.layout() {
            for i in p.offset..p.offset + p.length() {
                let gi = g[i] * 0.5 / norm;
                m[i] = 0.9 * m[i] + 0.1 * gi;
                v[i] = 0.95 * v[i] + 0.05 * gi * gi;
                let ahead = momentum(t + 1);
                let step = (1.0 - momentum(t)) * gi / (1.0 - product) + ahead * m[i] / (1.0 - product * ahead);
                let scale = (v[i] / (1.0 - 0.95f64.powi(t as i32))).sqrt() + 1e-8;
                let decay = if p.decays() { 0.1 } else { 0.0 };
                x[i] -= rate * (decay * x[i] + step / scale);
            }
        }
    }
    for (got, want) in weights.to_f32().unwrap().iter().zip(&x) {
        assert!((f64::from(*got) - want).abs() < 1e-5, "{got} against {want}");
    }
    assert!((f64::from(scalars[1]) - product).abs() < 1e-6 && scalars[0] == 3.0, "{scalars:?}");
}

#[test]
fn each_optimiser_says_the_form_of_its_state_and_keeps_it() {
    let stage = Stage::new(&config(&[1], BoundaryConfig::Dense), 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    let g = execute::backward(&stage, &w, &tokens(1, 4, 0), Some(&tokens(1, 4, 1)), None).unwrap().gradient;
    for kind in [OptimiserKind::Adamw, OptimiserKind::Nadam] {
        let h = OptimiserConfig { kind, ..hyper() };
        let form = optimiser::optimiser(&h).form(stage.parameter_count() as u64);
        let first = stage.first_state_bytes(&h).unwrap();
        assert_eq!(first, stage.first_state(&h).unwrap().to_canonical(&stage).unwrap(), "on the device and as bytes");
        let (_, next) = stage.step_bytes(&w, &first, &g, &h, 10).unwrap();
        for state in [&first, &next] {
            form.read(state.bytes().clone()).unwrap();
        }
        let longer = Canonical::from_f32(&[form.shape[0] + 1], &vec![0.0; form.shape[0] as usize + 1]).unwrap();
        assert!(matches!(stage.step_bytes(&w, &longer, &g, &h, 10), Err(ModelError::Tensor { .. })), "{kind:?}");
    }
}

#[test]
fn steps_on_the_device_are_the_steps_from_bytes_to_the_bit() {
    for kind in [OptimiserKind::Adamw, OptimiserKind::Nadam] {
        let h = OptimiserConfig { kind, ..hyper() };
        let stage = Stage::new(&config(&[1], BoundaryConfig::Dense), 0, &Device::CPU).unwrap();
        let (mut bytes, mut state) = (stage.initial_weights(1).unwrap(), stage.first_state_bytes(&h).unwrap());
        let (mut live, mut kept) = (stage.load(&bytes).unwrap(), stage.first_state(&h).unwrap());
        for i in 0..4 {
            let (input, targets) = (tokens(1, 4, i), tokens(1, 4, i + 1));
            let tape = stage.forward(&live, &input, Some(&targets)).unwrap().tape;
            let gradient = stage.backward(tape, None).unwrap().gradient;
            stage.step(&mut live, &mut kept, &gradient, &h, 10).unwrap();
            let again = execute::backward(&stage, &bytes, &input, Some(&targets), None).unwrap().gradient;
            (bytes, state) = stage.step_bytes(&bytes, &state, &again, &h, 10).unwrap();
            assert_eq!(live.to_canonical(&stage).unwrap(), bytes, "{kind:?} step {i}");
            assert_eq!(kept.to_canonical(&stage).unwrap(), state, "{kind:?} step {i}");
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let stage = Stage::new(&config(&[1, 1], BoundaryConfig::Dense), 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    // Finite on the wire, infinite once it has been multiplied.
    let huge = Canonical::from_f32(&[1, 2, 32], &[f32::MAX; 64]).unwrap();
    let gradient = execute::backward(&stage, &w, &tokens(1, 2, 0), None, Some(&huge)).unwrap().gradient;
    let (mut live, mut state) = (stage.load(&w).unwrap(), stage.first_state(&hyper()).unwrap());
    let refused = stage.step(&mut live, &mut state, &gradient, &hyper(), 10);
    assert!(matches!(refused, Err(ModelError::NotFinite("the step's gradient"))), "{refused:?}");
    assert_eq!(live.to_canonical(&stage).unwrap(), w);
    assert_eq!(state.to_canonical(&stage).unwrap(), stage.first_state_bytes(&hyper()).unwrap());
}

/// A kind that no run can name: whole channels computed in f32, sent as bf16, and gradients as one byte each with a fixed step.
struct Lossy;

const STEP: f64 = 1.0 / 256.0;

impl Boundary for Lossy {
    fn encoder(&self) -> Option<Projection> {
        None
    }
    fn decoder(&self) -> Option<Projection> {
        None
    }
    fn output(&self, batch: u64, length: u64) -> Form {
        Form { dtype: DType::Bf16, shape: vec![batch, length, 32] }
    }
    fn gradient(&self, batch: u64, length: u64) -> Form {
        Form { dtype: DType::U8, shape: vec![batch, length, 32] }
    }
    fn encode(&self, h: &Tensor, added: &Tensor, _: Project<'_>) -> Result<Tensor, ModelError> {
        Ok(h.f_add(added)?)
    }
    fn decode(&self, crossed: &Tensor, _: Project<'_>) -> Result<Tensor, ModelError> {
        Ok(crossed.shallow_clone())
    }
    fn pack(&self, encoded: &Tensor) -> Result<Tensor, ModelError> {
        Ok(encoded.f_to_kind(Kind::BFloat16)?)
    }
    fn unpack(&self, wire: &Tensor) -> Result<Tensor, ModelError> {
        Ok(wire.f_to_kind(Kind::Float)?)
    }
    fn pack_gradient(&self, gradient: &Tensor) -> Result<Tensor, ModelError> {
        Ok(gradient.f_div_scalar(STEP)?.f_round()?.f_add_scalar(128.0)?.f_clamp(0.0, 255.0)?.f_to_kind(Kind::Uint8)?)
    }
    fn unpack_gradient(&self, wire: &Tensor) -> Result<Tensor, ModelError> {
        Ok(wire.f_to_kind(Kind::Float)?.f_sub_scalar(128.0)?.f_mul_scalar(STEP)?)
    }
    fn flops(&self) -> (u64, u64) {
        (0, 0)
    }
}

#[test]
fn a_boundary_may_lose_precision_on_the_wire_in_another_form_each_way() {
    let c = config(&[1, 1], BoundaryConfig::Dense);
    let make = |i: usize| Stage::with_boundary(&c, i, &Device::CPU, Box::new(Lossy)).unwrap();
    let (first, last) = (make(0), make(1));
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let (input, targets) = (tokens(1, 6, 3), tokens(1, 6, 4));
    let sent = execute::forward(&first, &wf, &input, None).unwrap().output;
    first.boundary().output(1, 6).read(sent.bytes().clone()).unwrap();
    let back = execute::backward(&last, &wl, &sent, Some(&targets), None).unwrap().input_gradient.unwrap();
    first.boundary().gradient(1, 6).read(back.bytes().clone()).unwrap();
    let own = execute::backward(&first, &wf, &input, None, Some(&back)).unwrap().gradient;

    // The exact pair of stages, given what arrived, has nearly the same gradients: what is lost is the wire's rounding.
    let exact: Vec<Stage> = (0..2).map(|i| Stage::new(&c, i, &Device::CPU).unwrap()).collect();
    let arrived: Vec<f32> =
        sent.data().as_chunks::<2>().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect();
    let arrived = Canonical::from_f32(&[1, 6, 32], &arrived).unwrap();
    let gradient = execute::backward(&exact[1], &wl, &arrived, Some(&targets), None).unwrap().input_gradient.unwrap();
    for (byte, want) in back.data().iter().zip(gradient.to_f32().unwrap()) {
        assert!((f64::from(*byte) - 128.0 - f64::from(want) / STEP).abs() <= 0.5001, "{byte} for {want}");
    }
    let rounded: Vec<f32> = back.data().iter().map(|b| ((f64::from(*b) - 128.0) * STEP) as f32).collect();
    let rounded = Canonical::from_f32(&[1, 6, 32], &rounded).unwrap();
    let want = execute::backward(&exact[0], &wf, &input, None, Some(&rounded)).unwrap().gradient;
    assert_eq!(own.to_canonical(&first).unwrap(), want.to_canonical(&exact[0]).unwrap());
    assert!(
        matches!(execute::backward(&first, &wf, &input, None, Some(&gradient)), Err(ModelError::Tensor { .. })),
        "a gradient in the output's form is not the gradient's form"
    );
}
