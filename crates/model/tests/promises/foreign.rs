//! What comes from a peer, a file or a person is answered in words.

use starling_commitment::Canonical;
use starling_model::{Device, ModelError, Stage, execute};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig};

use crate::{config, hyper, tokens};

#[test]
fn foreign_bytes_give_words_not_panics() {
    let c = config(&[1, 1], BoundaryConfig::Dense);
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let out_of_vocabulary = Canonical::from_u16(&[1, 2], &[1, 50]).unwrap();
    assert!(matches!(
        execute::forward(&first, &wf, &out_of_vocabulary, None),
        Err(ModelError::Token { token: 50, vocab: 50 })
    ));
    let negative = Canonical::from_i64(&[1, 1], &[-1]).unwrap();
    assert!(execute::forward(&first, &wf, &negative, None).is_err());
    let empty = Canonical::from_u16(&[0, 4], &[]).unwrap();
    assert!(execute::forward(&first, &wf, &empty, None).is_err());
    for shape in [vec![1, 2, 31], vec![2, 32], vec![0, 2, 32], vec![1, 0, 32]] {
        let n = shape.iter().product::<u64>() as usize;
        let t = Canonical::from_f32(&shape, &vec![0.0; n]).unwrap();
        assert!(execute::forward(&last, &wl, &t, Some(&tokens(1, 2, 0))).is_err(), "{shape:?}");
    }
    assert!(
        execute::forward(&last, &wl, &Canonical::from_u16(&[1, 2, 32], &[0; 64]).unwrap(), Some(&tokens(1, 2, 0)))
            .is_err()
    );
    assert!(execute::forward(&first, &wl, &tokens(1, 2, 0), None).is_err(), "another stage's weights");
    let good = execute::forward(&first, &wf, &tokens(1, 2, 0), None).unwrap().output;
    assert!(execute::forward(&last, &wl, &good, Some(&tokens(1, 3, 0))).is_err(), "one target too many");
    let g =
        first.sum(&[&execute::backward(&first, &wf, &tokens(1, 2, 0), None, Some(&good)).unwrap().gradient]).unwrap();
    let mut state = vec![0.0; 2 * first.parameter_count() + 1];
    state[2 * first.parameter_count()] = f32::NAN;
    let state = Canonical::from_f32(&[state.len() as u64], &state).unwrap();
    assert!(first.step_bytes(&wf, &state, &g, &hyper(), 10).is_err());
}

fn refused_by_result(result: Result<(), ModelError>) {
    assert!(matches!(result, Err(ModelError::NotFinite("what the stage computed"))), "{result:?}");
}

#[test]
fn nan_and_infinity_are_refused_wherever_they_come_from() {
    for dtype in [ComputeDType::F32, ComputeDType::Bf16] {
        let c = ModelConfig { dtype, ..config(&[1, 1], BoundaryConfig::Dense) };
        let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
        let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
        let (input, targets) = (tokens(1, 2, 0), tokens(1, 2, 1));
        let good = execute::forward(&first, &wf, &input, None).unwrap().output;
        let size = good.dtype().size();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // The upper half of an f32 is the bf16.
            let poison = &value.to_le_bytes()[4 - size..];
            let mut data = good.data().to_vec();
            data[5 * size..6 * size].copy_from_slice(poison);
            let bad = Canonical::new(good.dtype(), good.shape(), &data).unwrap();
            let refused = |result: Result<(), ModelError>, of: &str| match result {
                Err(ModelError::NotFinite(what)) => assert_eq!(what, of),
                other => panic!("{value} in {of}: {other:?}"),
            };
            refused(execute::forward(&last, &wl, &bad, Some(&targets)).map(|_| ()), "the input");
            refused(execute::backward(&first, &wf, &input, None, Some(&bad)).map(|_| ()), "the output gradient");
            let mut w = wf.to_f32().unwrap();
            w[17] = value;
            let w = Canonical::from_f32(&[w.len() as u64], &w).unwrap();
            refused(first.load(&w).map(|_| ()), "the stage's weights");
        }
        // Finite weights whose product is not: both halves of the SwiGLU at 1e38, of either sign.
        let mut w = wf.to_f32().unwrap();
        for p in first.layout().iter().filter(|p| p.name.ends_with("mlp.gate") || p.name.ends_with("mlp.up")) {
            w[p.offset] = 1e38;
            w[p.offset + 32] = -1e38;
        }
        let huge = Canonical::from_f32(wf.shape(), &w).unwrap();
        refused_by_result(execute::forward(&first, &huge, &input, None).map(|_| ()));
    }
}

#[test]
fn a_model_that_cannot_be_built_is_refused_with_its_key() {
    let base = config(&[1, 1], BoundaryConfig::Dense);
    let broken = [
        ("heads", ModelConfig { heads: 0, ..base.clone() }),
        ("heads", ModelConfig { heads: 5, ..base.clone() }),
        ("heads", ModelConfig { heads: 32, ..base.clone() }),
        ("kv_heads", ModelConfig { kv_heads: 0, ..base.clone() }),
        ("kv_heads", ModelConfig { kv_heads: 3, ..base.clone() }),
        ("vocab", ModelConfig { vocab: 0, ..base.clone() }),
        ("d_model", ModelConfig { d_model: 0, ..base.clone() }),
        ("d_ff", ModelConfig { d_ff: u32::MAX, ..base.clone() }),
        ("stages", ModelConfig { stages: vec![], ..base.clone() }),
        ("stages", ModelConfig { stages: vec![u32::MAX, u32::MAX], ..base.clone() }),
        ("rope_theta", ModelConfig { rope_theta: f64::NAN, ..base.clone() }),
        ("norm_eps", ModelConfig { norm_eps: -1.0, ..base.clone() }),
        ("init_std", ModelConfig { init_std: f64::INFINITY, ..base.clone() }),
        ("boundary.width", ModelConfig { boundary: BoundaryConfig::Bottleneck { width: 33 }, ..base.clone() }),
    ];
    for (want, config) in broken {
        match Stage::new(&config, 0, &Device::CPU) {
            Err(ModelError::Config { key, .. }) => assert_eq!(key, want),
            other => panic!("{want}: {other:?}"),
        }
    }
    assert!(Stage::new(&base, 2, &Device::CPU).is_err(), "there is no third stage");
}

#[test]
fn messages_say_what_was_found_and_what_is_needed() {
    let c = config(&[1, 1], BoundaryConfig::Dense);
    let last = Stage::new(&c, 1, &Device::CPU).unwrap();
    let w = last.initial_weights(1).unwrap();
    let say = |input: &Canonical, targets: &Canonical| {
        execute::forward(&last, &w, input, Some(targets)).unwrap_err().to_string()
    };
    let narrow = Canonical::from_f32(&[1, 2, 31], &[0.0; 62]).unwrap();
    assert_eq!(
        say(&narrow, &tokens(1, 2, 0)),
        "the input: the shape is [1, 2, 31], [batch, length, 32] with at least one of each is needed"
    );
    let good = Canonical::from_f32(&[1, 2, 32], &[0.1; 64]).unwrap();
    assert_eq!(
        say(&good, &tokens(2, 1, 0)),
        "the targets: the shape is [2, 1], [1, 2] (one target per input token) is needed"
    );
    assert!(say(&tokens(1, 2, 0), &tokens(1, 2, 0)).contains("U16"));
}

#[test]
fn a_device_that_is_not_there_is_said_so() {
    assert!(Device::open("gpu").unwrap_err().to_string().contains("cpu or cuda:N"));
    assert_eq!(Device::open("cpu").unwrap(), Device::CPU);
    for nonsense in ["", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "CUDA:0"] {
        assert!(matches!(Device::open(nonsense), Err(ModelError::Device { .. })), "{nonsense}");
    }
    // Where there is no CUDA the message says how to get it; where there is, no machine has a thousand of them.
    let error = Device::open("cuda:1000").unwrap_err().to_string();
    assert!(error.contains("LD_LIBRARY_PATH") || error.contains("CUDA devices"), "{error}");
}
