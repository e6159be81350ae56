//! Yuma against the numbers of the public chain's own test suite (chain.md 6.12), and its promises as properties.
//!
//! Where each of the chain's tests (`epoch.rs`) stands here: `test_1_graph`, `test_10_graph`, `test_512_graph`, `test_bonds`,
//! `test_active_stake`, `test_outdated_weights`, `test_zero_weights` in `chain_numbers`; `test_deregistered_miner_bonds`,
//! `test_validator_permits`, `test_epoch_masks_incoming_to_sniped_uid…`, `…_no_mask_when_commit_reveal_disabled`,
//! `…_does_not_mask_outside_window_but_masks_inside`, `…_single_staker_registered_no_weights` in `chain_scenarios`;
//! `test_can_set_self_weight_as_subnet_owner` in `rules`; the six `test_yuma_3_*` and the bond reset in `yuma3_tables`;
//! `test_liquid_alpha_equal_values_against_itself` and the tests of the arithmetic (`math.rs`) in `math_vectors`.
//!
//! Not here: `test_512_graph_random_weights` compares the chain's two implementations with each other and has no numbers (`properties` compares
//! with a second implementation of our own); `test_bonds`' traces of intermediate values stand in comments there and are asserted nowhere;
//! `test_set_alpha_disabled`, `test_get_set_alpha` and `test_blocks_since_last_step` are about calls and the clock (the local chain's
//! tests); `test_consensus_guarantees` and the retention map are commented out there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod chain_numbers;
mod chain_scenarios;
mod math_vectors;
mod properties;
mod rules;
mod yuma3_tables;

use super::{EpochInput, EpochOutput, Mode, epoch};
use crate::upscale::upscale;

/// A subnet that is driven like the chain's test externalities: set weights, step a block, run an epoch.
struct Subnet {
    input: EpochInput,
}

impl Subnet {
    /// Neurons registered at block 0, no permits yet, block 1; the chain's defaults for tests.
    fn new(stake: &[u64]) -> Self {
        let n = stake.len();
        Self {
            input: EpochInput {
                block: 1,
                tempo: 1,
                last_update: vec![0; n],
                block_at_registration: vec![0; n],
                activity_cutoff: 5_000,
                kappa: 32_767,
                permits: vec![false; n],
                owner_uid: None,
                stake: stake.to_vec(),
                stake_threshold: 0,
                max_validators: n as u16,
                weights: vec![vec![]; n],
                bonds: vec![vec![]; n],
                last_mechanism_step: 0,
                bonds_penalty: u16::MAX,
                bonds_moving_average: 900_000,
                earliest_commit: None,
                mode: Mode::Yuma2,
                emission: 1_000_000_000,
            },
        }
    }

    /// What `set_weights` stores: upscaled values and the block.
    fn set_weights(&mut self, uid: u16, weights: &[(u16, u16)]) {
        let values: Vec<u16> = weights.iter().map(|(_, value)| *value).collect();
        let row = weights.iter().map(|(uid, _)| *uid).zip(upscale(&values)).collect();
        self.input.weights[usize::from(uid)] = row;
        self.input.last_update[usize::from(uid)] = self.input.block;
    }

    /// One epoch in the present block; bonds and permits are stored.
    fn run(&mut self) -> EpochOutput {
        let output = epoch(&self.input).unwrap();
        self.input.bonds = output.bonds.clone();
        self.input.permits = output.permits.clone();
        output
    }

    fn bond(&self, validator: u16, miner: u16) -> u16 {
        let row = &self.input.bonds[usize::from(validator)];
        row.iter().find(|(uid, _)| *uid == miner).map_or(0, |(_, bond)| *bond)
    }
}
