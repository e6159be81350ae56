//! Promises of the workbench: the rules of protocol 2 and the model room, joined. Messages go by hand; scheduler, outbox, credit, tables,
//! receipts, tensors and gradients are the real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod replay;
mod swarm;

use starling_commitment::Canonical;
use starling_model::{Device, Stage, optimiser::learning_rate};
use starling_protocol::v2::config::{Carry, RunConfig};
use swarm::Swarm;

/// Samples of one step, wherever a test does not say otherwise.
const PER_STEP: u32 = 3;

fn config(stages: &[u32], lanes: u8, carry: Carry, bottleneck: bool) -> RunConfig {
    let zero = "00".repeat(32);
    let account = starling_keys::Account([3; 32]).to_string();
    let base = vec![format!("\"{zero}\""); stages.len()].join(", ");
    let boundary = if bottleneck { r#"boundary = { kind = "bottleneck", width = 8 }"# } else { "" };
    let carry = if carry == Carry::Late { "late" } else { "stalled" };
    RunConfig::from_toml(&format!(
        r#"
        name = "workbench"
        netuid = 1
        seed = 5
        genesis = "{zero}"
        orchestrator = "{account}"
        base = [{base}]
        [model]
        vocab = 50
        d_model = 32
        heads = 4
        kv_heads = 2
        d_ff = 48
        stages = {stages:?}
        init_std = 0.2
        {boundary}
        [training]
        sequence_length = 6
        sequences_per_sample = 2
        epochs = 3
        [training.optimiser]
        kind = "nadam"
        learning_rate = 0.01
        warmup_steps = 2
        # The clip is by stage: a model that is not cut would be clipped by another norm.
        clip_norm = 1e9
        [lanes]
        samples_per_step = [{PER_STEP}, {PER_STEP}]
        lanes = [{lanes}, {lanes}]
        steps_per_epoch = 4
        content_every = 3
        detour_ms = 50
        loop_floor_ms = 200
        carry = "{carry}"
        [tally]
        beat_ms = 200
        [epoch]
        min_miners = 1
        max_miners = 8
        gather_ms = 1000
        max_ms = 60000
        close_ms = 400
        silence_ms = 120000
        ghost_ms = 60000
        backlog = 2
        [data]
        manifest = "{zero}"
        "#
    ))
    .unwrap()
}

/// Input and targets of a sample.
fn tokens(number: u64) -> (Canonical, Canonical) {
    let ids = |salt: u64| -> Canonical {
        let ids: Vec<u16> = (0..12).map(|i| ((i * 7 + salt * 13 + i * i) % 50) as u16).collect();
        Canonical::from_u16(&[2, 6], &ids).unwrap()
    };
    (ids(number), ids(number + 1000))
}

/// The model in one piece, trained on samples 0, 1, 2 … in order.
fn oracle(run: &RunConfig, steps: u64) -> Canonical {
    let mut model = run.model.clone();
    model.stages = vec![model.stages.iter().sum()];
    let whole = Stage::new(&model, 0, &Device::CPU).unwrap();
    let hyper = &run.training.optimiser;
    let mut weights = whole.load(&whole.initial_weights(run.seed).unwrap()).unwrap();
    let mut state = whole.first_state(hyper).unwrap();
    for step in 0..steps {
        let mut sum = whole.no_gradient().unwrap();
        for i in 0..u64::from(PER_STEP) {
            let (input, targets) = tokens(step * u64::from(PER_STEP) + i);
            let input = whole.input(&input).unwrap();
            let targets = whole.targets(&targets).unwrap();
            let (_, tape) = whole.forward_on_device(&weights, &input, Some(&targets)).unwrap();
            let (_, rest) = whole.input_gradient(tape, None).unwrap();
            whole.accumulate(rest, &mut sum).unwrap();
        }
        let rate = learning_rate(hyper, step as u32 + 1, run.total_steps() as u32);
        whole.step_at(&mut weights, &mut state, &sum, hyper, rate).unwrap();
    }
    weights.to_canonical(&whole).unwrap()
}

#[test]
fn one_lane_and_one_miner_per_stage_give_the_unsplit_models_bits() {
    for cut in [&[1, 1, 1][..], &[2, 1], &[3]] {
        let mut swarm = Swarm::new(config(cut, 1, Carry::Late, false), 1);
        swarm.run_until_closed(1);
        let parts: Vec<u8> = swarm.first_miners().flat_map(|p| p.committed[0].data().to_vec()).collect();
        assert!(parts == oracle(swarm.run(), 4).data(), "cut {cut:?}");
        let losses = swarm.losses();
        assert_eq!(losses.len() as u64, 4 * u64::from(PER_STEP));
    }
}

#[test]
fn a_swarm_learns_and_every_receipt_is_sound_and_can_be_computed_again() {
    for bottleneck in [false, true] {
        let mut swarm = Swarm::new(config(&[1, 1, 1], 2, Carry::Late, bottleneck), 2);
        swarm.run_until_closed(3);
        let losses = swarm.losses();
        let mean = |l: &[f32]| l.iter().sum::<f32>() / l.len() as f32;
        let (early, late) = (mean(&losses[..12]), mean(&losses[losses.len() - 12..]));
        assert!(late < early - 0.3, "from {early} to {late}");
        // Two lanes of each of the six miners close three epochs; a base is carried after each but the last, if there is time.
        for miner in 0..6 {
            let seen = replay::replay(&swarm, miner);
            assert_eq!(seen.closes, 2 * 3, "miner {miner}: {seen:?}");
            assert!(seen.steps >= 3 * 4 && (2..=4).contains(&seen.carries), "miner {miner}: {seen:?}");
            assert!(seen.forwards >= seen.backwards && seen.backwards >= 2 * seen.steps, "miner {miner}: {seen:?}");
        }
    }
}

#[test]
fn what_a_miner_holds_does_not_grow_with_the_number_of_samples() {
    let mut swarm = Swarm::new(config(&[1, 1, 1], 2, Carry::Late, false), 1);
    swarm.run_until_closed(1);
    let early = swarm.most_held();
    swarm.run_until_closed(3);
    assert!(early > 0 && swarm.most_held() <= early.max(4 * 2 * PER_STEP as usize), "{early}, {}", swarm.most_held());
}

#[test]
fn stalled_lanes_wait_for_their_base_and_late_ones_do_not() {
    for (carry, waits) in [(Carry::Stalled, true), (Carry::Late, false)] {
        let mut swarm = Swarm::new(config(&[1, 1], 1, carry, false), 1);
        swarm.withhold_bases(true);
        swarm.run_until_closed(1);
        let moved = swarm.goes_on();
        assert_eq!(moved, !waits, "{carry:?}");
        swarm.withhold_bases(false);
        swarm.run_until_closed(2);
    }
}

#[test]
fn a_sequence_that_was_not_reserved_is_not_signed() {
    let mut swarm = Swarm::new(config(&[1], 1, Carry::Late, false), 1);
    swarm.reserve_only(5);
    let error = swarm.run_until_error();
    assert_eq!(error, "sequence 5 is not reserved: write the reservation down, then make it");
    assert_eq!(swarm.peers[0].bench.log().size(), 5);
}
