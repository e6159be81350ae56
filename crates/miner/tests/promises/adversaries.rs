//! An honest engine gives what an auditor's re-execution gives; every adversary gives something else, where it should.

use starling_commitment::Canonical;
use starling_miner::{
    Adversary,
    compute::{Engine, Job, Pass, Product},
};
use starling_model::{
    Device, Stage,
    execute::{self, StepSample},
};
use starling_protocol::{Digest, config::RunConfig};

use crate::world::{config, key};

fn run() -> RunConfig {
    config(3, 1, 4, 2, 4, key(200).account(), Digest::ZERO)
}

fn engine(how: Option<Adversary>) -> Engine {
    Engine::new(&run(), 1, &Device::CPU, how).unwrap()
}

fn stage() -> Stage {
    Stage::new(&run().model, 1, &Device::CPU).unwrap()
}

/// A tensor that crosses a boundary.
fn crossing(seed: u32) -> Canonical {
    let values: Vec<f32> = (0..2 * 16 * 32u32)
        .map(|i| {
            ((i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503_001))) >> 20) as f32 / 2048.0 - 1.0
        })
        .collect();
    Canonical::from_f32(&[2, 16, 32], &values).unwrap()
}

fn pass(weights: &Canonical, sample: u32) -> Pass {
    Pass {
        epoch: 0,
        round: 0,
        sample,
        attempt: 0,
        weights: weights.clone(),
        input: crossing(sample),
        targets: None,
        gradient: Some(crossing(100 + sample)),
    }
}

fn forward(engine: &mut Engine, pass: &Pass) -> Canonical {
    match engine.run(Job::Forward(pass.clone())).unwrap() {
        Product::Forward { output, loss: None } => output,
        other => panic!("{other:?}"),
    }
}

fn step(engine: &mut Engine, weights: &Canonical, passes: &[Pass]) -> (Canonical, Canonical, Canonical) {
    match engine.run(Job::Step { passes: passes.to_vec(), weights: weights.clone(), optimiser: None }).unwrap() {
        Product::Step { before, weights, optimiser } => (before, weights, optimiser),
        other => panic!("{other:?}"),
    }
}

fn audited_step(weights: &Canonical, before: &Canonical, passes: &[Pass]) -> (Canonical, Canonical) {
    let samples: Vec<StepSample> = passes
        .iter()
        .map(|p| StepSample { input: p.input.clone(), targets: None, output_gradient: p.gradient.clone() })
        .collect();
    execute::step(&stage(), weights, before, &samples, &run().training.optimiser, run().total_steps()).unwrap()
}

#[test]
fn an_honest_engine_gives_what_the_audit_gives_with_or_without_its_memory() {
    let weights = stage().initial_weights(11).unwrap();
    let passes = [pass(&weights, 0), pass(&weights, 1)];
    let mut remembers = engine(None);
    for p in &passes {
        let audited = execute::forward(&stage(), &weights, &p.input, None).unwrap().output;
        assert_eq!(forward(&mut remembers, p).digest(), audited.digest());
    }
    for p in passes.iter().rev() {
        let audited =
            execute::backward(&stage(), &weights, &p.input, None, p.gradient.as_ref()).unwrap().input_gradient;
        let Product::Backward { input_gradient } = remembers.run(Job::Backward(p.clone())).unwrap() else { panic!() };
        assert_eq!(input_gradient.unwrap().digest(), audited.unwrap().digest());
    }
    let (before, after, optimiser) = step(&mut remembers, &weights, &passes);
    assert_eq!(before.digest(), stage().first_state_bytes(&run().training.optimiser).unwrap().digest());
    let audited = audited_step(&weights, &before, &passes);
    assert_eq!((after.digest(), optimiser.digest()), (audited.0.digest(), audited.1.digest()));
    // Restarted in the middle of the round: no tape, no gradient.
    let (_, after, optimiser) = step(&mut engine(None), &weights, &passes);
    assert_eq!((after.digest(), optimiser.digest()), (audited.0.digest(), audited.1.digest()));
}

#[test]
fn every_adversary_is_another_name_and_gives_something_else() {
    let weights = stage().initial_weights(11).unwrap();
    let passes = [pass(&weights, 0), pass(&weights, 1)];
    let honest: Vec<Digest> = passes.iter().map(|p| forward(&mut engine(None), p).digest()).collect();
    for how in Adversary::ALL {
        assert_eq!(how.to_string().parse::<Adversary>(), Ok(how));
        let mut cheat = engine(Some(how));
        let outputs: Vec<Canonical> = passes.iter().map(|p| forward(&mut cheat, p)).collect();
        let differs: Vec<bool> = outputs.iter().zip(&honest).map(|(o, h)| o.digest() != *h).collect();
        let expected = match how {
            Adversary::RandomOutput | Adversary::SkipLayers | Adversary::WrongShape => [true, true],
            // The first is the one it repeats.
            Adversary::Replay => [false, true],
            Adversary::StaleWeights | Adversary::WithholdOpening | Adversary::LazyStep | Adversary::BadSignature => {
                [false, false]
            }
        };
        assert_eq!(differs, expected, "{how}");
        let gives_away = outputs.iter().any(|o| o.shape() != [2, 16, 32]);
        assert_eq!(gives_away, how == Adversary::WrongShape, "{how} gives itself away by the shape");
        assert!(outputs.iter().all(|o| o.to_f32().unwrap().iter().all(|x| x.is_finite())));
    }
    assert!("honest".parse::<Adversary>().unwrap_err().to_string().contains("lazy-step"));
}

#[test]
fn stale_weights_show_after_the_first_step_and_not_before() {
    let first = stage().initial_weights(11).unwrap();
    let (honest, mut stale) = (&mut engine(None), engine(Some(Adversary::StaleWeights)));
    let p = pass(&first, 0);
    assert_eq!(forward(&mut stale, &p).digest(), forward(honest, &p).digest());
    let (_, second, _) = step(honest, &first, &[pass(&first, 0)]);
    let mut later = pass(&second, 1);
    later.round = 1;
    assert_ne!(forward(&mut stale, &later).digest(), forward(honest, &later).digest());
    // In a new epoch it starts from that epoch's weights again.
    (later.epoch, later.round) = (1, 0);
    assert_eq!(forward(&mut stale, &later).digest(), forward(honest, &later).digest());
}

#[test]
fn a_lazy_step_is_neither_the_computed_one_nor_none() {
    let weights = stage().initial_weights(11).unwrap();
    let passes = [pass(&weights, 0)];
    let (before, after, optimiser) = step(&mut engine(Some(Adversary::LazyStep)), &weights, &passes);
    let audited = audited_step(&weights, &before, &passes);
    assert_ne!(after.digest(), audited.0.digest());
    assert_ne!(after.digest(), weights.digest());
    assert_eq!(optimiser.digest(), before.digest());
}

#[test]
fn garbage_is_an_error_and_the_engine_goes_on() {
    let weights = stage().initial_weights(11).unwrap();
    let mut engine = engine(None);
    let mut bad = pass(&weights, 0);
    bad.input = Canonical::from_f32(&[3], &[f32::NAN; 3]).unwrap();
    assert!(engine.run(Job::Forward(bad)).is_err());
    let mut bad = pass(&weights, 0);
    bad.gradient = Some(Canonical::from_f32(&[1], &[0.0]).unwrap());
    assert!(engine.run(Job::Backward(bad)).is_err());
    let mut bad = pass(&weights, 0);
    bad.weights = Canonical::from_f32(&[7], &[0.0; 7]).unwrap();
    assert!(engine.run(Job::Forward(bad)).is_err());
    forward(&mut engine, &pass(&weights, 0));
}
