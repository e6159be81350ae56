//! One epoch of Yuma consensus: 64 validators that weigh every other neuron, on 256 and on 4,096 uids.
//!
//! The subnet is in its second epoch, so that bonds are as dense as weights.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use starling_yuma::epoch::{EpochInput, LiquidAlpha, Mode, epoch};

const VALIDATORS: usize = 64;

/// Values that look random and are the same every time.
fn scrambled(i: usize, j: usize) -> u16 {
    let mixed =
        (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(j as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> 48) as u16
}

fn subnet(neurons: usize, mode: Mode) -> EpochInput {
    let validates = |uid: usize| uid < VALIDATORS;
    let weights: Vec<Vec<(u16, u16)>> = (0..neurons)
        .map(|i| {
            let row = (0..neurons).filter(|j| *j != i).map(|j| (j as u16, scrambled(i, j)));
            if validates(i) { row.collect() } else { Vec::new() }
        })
        .collect();
    let mut input = EpochInput {
        block: 720,
        tempo: 360,
        last_update: vec![700; neurons],
        block_at_registration: vec![0; neurons],
        activity_cutoff: 5_000,
        kappa: 32_767,
        permits: (0..neurons).map(validates).collect(),
        owner_uid: None,
        stake: (0..neurons).map(|uid| if validates(uid) { 1_000_000_000 + uid as u64 } else { 0 }).collect(),
        stake_threshold: 1_000,
        max_validators: VALIDATORS as u16,
        weights,
        bonds: vec![Vec::new(); neurons],
        last_mechanism_step: 0,
        bonds_penalty: 32_768,
        bonds_moving_average: 900_000,
        earliest_commit: None,
        mode,
        emission: 1_000_000_000,
    };
    input.bonds = epoch(&input).expect("the subnet is consistent").bonds;
    input
}

fn yuma(criterion: &mut Criterion) {
    let liquid = LiquidAlpha { low: 45_875, high: 58_982, steepness: 1_000 };
    let modes = [
        ("yuma2", Mode::Yuma2),
        ("yuma3", Mode::Yuma3 { liquid: None }),
        ("yuma3_liquid", Mode::Yuma3 { liquid: Some(liquid) }),
    ];
    for (name, mode) in modes {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        for neurons in [256, 4_096] {
            let input = subnet(neurons, mode);
            group.bench_with_input(BenchmarkId::from_parameter(neurons), &input, |bencher, input| {
                bencher.iter(|| epoch(black_box(input)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, yuma);
criterion_main!(benches);
