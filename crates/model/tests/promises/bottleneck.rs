//! IOTA's bottleneck: what crosses is narrow, and its gradients are those of the function.

use starling_commitment::Canonical;
use starling_model::{Device, Stage, execute};
use starling_protocol::config::BoundaryConfig;

use crate::{config, stages, tokens};

#[test]
fn the_bottleneck_sends_its_width_and_its_gradients_are_right() {
    let c = config(&[1, 1], BoundaryConfig::Bottleneck { width: 4 });
    let (first, last) = (Stage::new(&c, 0, &Device::CPU).unwrap(), Stage::new(&c, 1, &Device::CPU).unwrap());
    let (wf, wl) = (first.initial_weights(1).unwrap(), last.initial_weights(1).unwrap());
    let (input, targets) = (tokens(1, 6, 3), tokens(1, 6, 4));
    let crossing = execute::forward(&first, &wf, &input, None).unwrap().output;
    assert_eq!(crossing.shape(), [1, 6, 4]);
    let g = execute::backward(&last, &wl, &crossing, Some(&targets), None)
        .unwrap()
        .input_gradient
        .unwrap()
        .to_f32()
        .unwrap();
    let x = crossing.to_f32().unwrap();
    let loss_at = |i: usize, step: f32| {
        let mut moved = x.clone();
        moved[i] += step;
        let moved = Canonical::from_f32(&[1, 6, 4], &moved).unwrap();
        f64::from(execute::forward(&last, &wl, &moved, Some(&targets)).unwrap().loss.unwrap())
    };
    for (i, g) in g.iter().enumerate() {
        let slope = (loss_at(i, 1e-2) - loss_at(i, -1e-2)) / 2e-2;
        assert!((slope - f64::from(*g)).abs() < 2e-3, "channel {i}: {slope} against {g}");
    }
}

#[test]
fn parameter_gradients_on_both_sides_of_a_bottleneck_are_slopes_of_the_loss() {
    let c = config(&[1, 1], BoundaryConfig::Bottleneck { width: 4 });
    let s = stages(&c);
    let weights: Vec<Canonical> = s.iter().map(|s| s.initial_weights(1).unwrap()).collect();
    let (input, targets) = (tokens(1, 6, 3), tokens(1, 6, 4));
    let loss = |weights: &[Canonical]| -> f64 {
        let crossing = execute::forward(&s[0], &weights[0], &input, None).unwrap().output;
        f64::from(execute::forward(&s[1], &weights[1], &crossing, Some(&targets)).unwrap().loss.unwrap())
    };
    let crossing = execute::forward(&s[0], &weights[0], &input, None).unwrap().output;
    let last = execute::backward(&s[1], &weights[1], &crossing, Some(&targets), None).unwrap();
    let first = execute::backward(&s[0], &weights[0], &input, None, last.input_gradient.as_ref()).unwrap();
    let mut steep = Vec::new();
    for (stage, gradient) in [first.gradient, last.gradient].iter().enumerate() {
        let gradient = gradient.to_canonical(&s[stage]).unwrap().to_f32().unwrap();
        let flat = weights[stage].to_f32().unwrap();
        for p in s[stage].layout() {
            // The steepest element of each parameter: a gradient of zero would prove nothing.
            let i = (p.offset..p.offset + p.length())
                .max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()))
                .unwrap();
            let at = |step: f32| {
                let mut moved = flat.clone();
                moved[i] += step;
                let mut all = weights.clone();
                all[stage] = Canonical::from_f32(&[moved.len() as u64], &moved).unwrap();
                loss(&all)
            };
            let (slope, g) = ((at(2e-3) - at(-2e-3)) / 4e-3, f64::from(gradient[i]));
            assert!((slope - g).abs() < 0.02 * g.abs() + 1e-3, "{}: slope {slope}, gradient {g}", p.name);
            if g.abs() > 1e-2 {
                steep.push(p.name.clone());
            }
        }
    }
    for name in ["embedding", "boundary.0.encode", "boundary.0.decode", "head"] {
        assert!(steep.iter().any(|n| n == name), "{name} has next to no gradient: {steep:?}");
    }
}
