//! Results do not depend on threads: not on how many the machine has, nor on which one computes (design D11).
//!
//! A process of its own: it changes libtorch's number of threads, which would reach into other tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use starling_commitment::{Canonical, Digest};
use starling_model::{Device, Stage, execute};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserConfig, OptimiserKind};

const CHILD: &str = "STARLING_TEST_PRINTS_DIGEST";

/// Large enough that libtorch would split it: it leaves up to 32,768 elements to one thread.
fn model() -> ModelConfig {
    ModelConfig {
        vocab: 256,
        d_model: 128,
        heads: 4,
        kv_heads: 2,
        d_ff: 352,
        stages: vec![1, 1],
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.02,
        boundary: BoundaryConfig::Dense,
        dtype: ComputeDType::F32,
    }
}

/// Small clip: the norm of the gradient reaches every new weight.
fn hyper() -> OptimiserConfig {
    OptimiserConfig {
        kind: OptimiserKind::Adamw,
        momentum_decay: 0.004,
        learning_rate: 1e-3,
        warmup_steps: 0,
        final_fraction: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        clip_norm: 1e-3,
    }
}

fn everything() -> Digest {
    let (c, mut bytes) = (model(), Vec::new());
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let ids = |salt: u64| -> Canonical {
        let ids: Vec<u16> = (0..4 * 64).map(|i: u64| ((i * i * 7 + salt * 13 + i) % 256) as u16).collect();
        Canonical::from_u16(&[4, 64], &ids).unwrap()
    };
    let (input, targets) = (ids(1), ids(2));
    let crossing = execute::forward(&first, &wf, &input, None).unwrap().output;
    let back = execute::backward(&last, &wl, &crossing, Some(&targets), None).unwrap();
    let output_gradient = back.input_gradient.clone();
    bytes.extend_from_slice(&crossing.digest().0);
    bytes.extend_from_slice(&output_gradient.as_ref().unwrap().digest().0);
    let sample = execute::StepSample { input, targets: None, output_gradient };
    let zero = first.first_state_bytes(&hyper()).unwrap();
    let (w, state) = execute::step(&first, &wf, &zero, &[sample], &hyper(), 10).unwrap();
    bytes.extend_from_slice(&w.digest().0);
    bytes.extend_from_slice(&state.digest().0);
    Digest::of(&bytes)
}

#[test]
fn results_do_not_depend_on_threads() {
    let here = everything();
    if std::env::var_os(CHILD).is_some() {
        println!("digest {here}");
        return;
    }
    assert_eq!(everything(), here, "again");
    let beside: Vec<Digest> = std::thread::scope(|s| {
        let running: Vec<_> = (0..3).map(|_| s.spawn(everything)).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(beside, [here; 3], "on other threads of this process");

    for threads in ["1", "2", "4"] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "results_do_not_depend_on_threads", "--nocapture"])
            .env(CHILD, "1")
            .env("OMP_NUM_THREADS", threads)
            .env("MKL_NUM_THREADS", threads)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(said.contains(&format!("digest {here}")), "with {threads} threads: {said}");
    }

    // And the step itself rounds alike even if somebody gives libtorch more threads.
    let stage = Stage::new(&model(), 0, &Device::CPU).unwrap();
    let (w, zero) = (stage.initial_weights(1).unwrap(), stage.first_state_bytes(&hyper()).unwrap());
    let ids = Canonical::from_u16(&[1, 64], &(0..64).collect::<Vec<u16>>()).unwrap();
    let ones = Canonical::from_f32(&[1, 64, 128], &(0..64 * 128).map(|i| (i % 13) as f32).collect::<Vec<_>>()).unwrap();
    let gradient = execute::backward(&stage, &w, &ids, None, Some(&ones)).unwrap().gradient;
    let one = stage.step_bytes(&w, &zero, &gradient, &hyper(), 10).unwrap();
    for threads in [2, 3, 5] {
        tch::set_num_threads(threads);
        assert_eq!(stage.step_bytes(&w, &zero, &gradient, &hyper(), 10).unwrap(), one, "{threads} threads");
    }
}
