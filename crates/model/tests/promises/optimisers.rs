//! The inner and the outer step do what their papers say.

use starling_commitment::Canonical;
use starling_model::{Device, Stage, execute, merge, optimiser};
use starling_protocol::config::{BoundaryConfig, OptimiserConfig, OuterConfig};

use crate::{config, hyper, tokens};

#[test]
fn adamw_does_what_its_paper_says() {
    let c = config(&[1], BoundaryConfig::Dense);
    let stage = Stage::new(&c, 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    let b = execute::backward(&stage, &w, &tokens(1, 4, 0), Some(&tokens(1, 4, 1)), None).unwrap();
    let h = OptimiserConfig { clip_norm: 0.5, ..hyper() };
    let (w1, s1) = stage.step_bytes(&w, &stage.first_state_bytes(&hyper()).unwrap(), &b.gradient, &h, 20).unwrap();
    let (w2, _) = stage.step_bytes(&w1, &s1, &b.gradient, &h, 20).unwrap();

    let g: Vec<f64> = b.gradient.to_canonical(&stage).unwrap().to_f32().unwrap().into_iter().map(f64::from).collect();
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
                let step =
                    (m[i] / (1.0 - 0.9f64.powi(t as i32))) / ((v[i] / (1.0 - 0.95f64.powi(t as i32))).sqrt() + 1e-8);
                x[i] -= rate * (decay * x[i] + step);
            }
        }
    }
    for (got, want) in w2.to_f32().unwrap().iter().zip(&x) {
        assert!((f64::from(*got) - want).abs() < 1e-5, "{got} against {want}");
    }
}

#[test]
fn gradients_are_added_in_the_order_given() {
    let c = config(&[1], BoundaryConfig::Dense);
    let stage = Stage::new(&c, 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    let all: Vec<_> = (0..3)
        .map(|i| execute::backward(&stage, &w, &tokens(1, 4, i), Some(&tokens(1, 4, i + 9)), None).unwrap().gradient)
        .collect();
    let plain: Vec<Vec<f32>> = all.iter().map(|g| g.to_canonical(&stage).unwrap().to_f32().unwrap()).collect();
    for order in [[0, 1, 2], [2, 1, 0]] {
        let sum = stage.sum(&order.map(|i: usize| &all[i])).unwrap().to_canonical(&stage).unwrap().to_f32().unwrap();
        for (j, got) in sum.iter().enumerate() {
            let want = (plain[order[0]][j] + plain[order[1]][j]) + plain[order[2]][j];
            assert_eq!(got.to_bits(), want.to_bits(), "element {j} in order {order:?}");
        }
    }
    assert!(stage.sum(&[]).is_err());
}

#[test]
fn the_learning_rate_warms_up_linearly_and_falls_by_a_cosine() {
    let h = OptimiserConfig { learning_rate: 1.0, warmup_steps: 10, final_fraction: 0.1, ..hyper() };
    let at = |t| optimiser::learning_rate(&h, t, 110);
    assert!((at(1) - 0.1).abs() < 1e-12 && (at(5) - 0.5).abs() < 1e-12 && (at(10) - 1.0).abs() < 1e-12);
    assert!((at(60) - 0.55).abs() < 1e-12, "half way");
    assert!((at(110) - 0.1).abs() < 1e-12 && (at(5000) - 0.1).abs() < 1e-12, "the end, and after it");
    assert!((11..110).all(|t| at(t) > at(t + 1)));
}

#[test]
fn the_schedule_follows_the_count_inside_the_state() {
    let c = config(&[1], BoundaryConfig::Dense);
    let stage = Stage::new(&c, 0, &Device::CPU).unwrap();
    let w = stage.initial_weights(1).unwrap();
    let g = execute::backward(&stage, &w, &tokens(1, 4, 0), Some(&tokens(1, 4, 1)), None).unwrap().gradient;
    let (_, one) = stage.step_bytes(&w, &stage.first_state_bytes(&hyper()).unwrap(), &g, &hyper(), 20).unwrap();
    let (_, two) = stage.step_bytes(&w, &one, &g, &hyper(), 20).unwrap();
    let count = |state: &Canonical| *state.to_f32().unwrap().last().unwrap();
    assert_eq!([count(&one), count(&two)], [1.0, 2.0]);
    for nonsense in [-1.0, 0.5, 2f32.powi(24), f32::INFINITY] {
        let mut state = one.to_f32().unwrap();
        *state.last_mut().unwrap() = nonsense;
        let state = Canonical::from_f32(&[state.len() as u64], &state).unwrap();
        assert!(stage.step_bytes(&w, &state, &g, &hyper(), 20).is_err(), "{nonsense}");
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
fn merging_shard_by_shard_is_merging_the_whole_to_the_bit() {
    let vector = |salt: usize| -> Vec<f32> { (0..1000).map(|i| ((i * 37 + salt * 101) % 997) as f32 / 31.0).collect() };
    let (previous, momentum, parts) = (vector(0), vector(1), [vector(2), vector(3), vector(4)]);
    let merged = |from: usize, to: usize| {
        let cut: Vec<&[f32]> = parts.iter().map(|p| &p[from..to]).collect();
        merge::outer_shard(&previous[from..to], &momentum[from..to], &cut, &OuterConfig::default())
    };
    let whole = merged(0, 1000);
    for cuts in [&[0, 500, 1000][..], &[0, 1, 334, 335, 1000]] {
        let (mut weights, mut momenta) = (Vec::new(), Vec::new());
        for cut in cuts.windows(2) {
            let (w, v) = merged(cut[0], cut[1]);
            weights.extend(w);
            momenta.extend(v);
        }
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&weights), bits(&whole.0));
        assert_eq!(bits(&momenta), bits(&whole.1));
    }
}
