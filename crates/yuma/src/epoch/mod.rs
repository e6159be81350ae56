//! One epoch of Yuma consensus, bit for bit as the chain computes it (chain.md 6; the sparse variant, which is the one
//! that the chain runs).
//!
//! Owns the arithmetic between "these weights were set" and "this is what everyone is paid". The caller gathers the
//! input from storage and stores the output. Invariants: nothing here can panic or overflow; the cost is
//! O(nonzeros · log) in the entries of weights and bonds; the same input gives the same output on every machine.
//!
//! The order of the day: `stake` decides whose voice counts, `consensus` what the majority supports, `bonds` and
//! `liquid` who backed it early, `emission` what that is worth.

mod bonds;
mod check;
mod consensus;
mod emission;
mod fixed_point;
mod liquid;
mod sparse;
mod stake;

pub use check::YumaError;

use fixed_point::{I32F32, at, normalise, proportion, to_u16};
use sparse::Matrix;

/// Everything that one epoch of one subnet mechanism depends on. All vectors have one entry per uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochInput {
    /// The block in which the epoch runs.
    pub block: u64,
    /// Blocks per epoch, as configured.
    pub tempo: u64,
    /// Block in which each neuron last set (or, with commit-reveal, committed) weights.
    pub last_update: Vec<u64>,
    /// Block in which each neuron registered.
    pub block_at_registration: Vec<u64>,
    /// Blocks after its last update in which a neuron still counts as active.
    pub activity_cutoff: u64,
    /// The majority, in 65 535ths of the active stake.
    pub kappa: u16,
    /// Who holds a validator permit from the previous epoch.
    pub permits: Vec<bool>,
    /// The subnet owner's neuron, if it is registered.
    pub owner_uid: Option<u16>,
    /// Total stake weight in rao; what is below the threshold is not zeroed yet.
    pub stake: Vec<u64>,
    /// Stake below this counts as none (rao).
    pub stake_threshold: u64,
    /// How many permits may be granted.
    pub max_validators: u16,
    /// Weights as stored: rows in the order of submission, values max-upscaled.
    pub weights: Vec<Vec<(u16, u16)>>,
    /// Bonds as stored by the previous epoch.
    pub bonds: Vec<Vec<(u16, u16)>>,
    /// Block of the previous successful epoch; 0 if there was none.
    pub last_mechanism_step: u64,
    /// How strongly bonds follow the clipped weights instead of the submitted ones, in 65 535ths.
    pub bonds_penalty: u16,
    /// How much of a bond is kept from epoch to epoch, in millionths.
    pub bonds_moving_average: u64,
    /// With commit-reveal: block of each validator's earliest unexpired commit, `u64::MAX` if it has none. Without: None.
    pub earliest_commit: Option<Vec<u64>>,
    /// Which Yuma.
    pub mode: Mode,
    /// What is to be paid, in rao.
    pub emission: u64,
}

/// Which of the chain's two ways to grow bonds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The original: bonds are shares of a miner's column.
    Yuma2,
    /// Bonds are averages of the weights themselves.
    Yuma3 {
        /// A rate of its own for every entry, if liquid alpha is on.
        liquid: Option<LiquidAlpha>,
    },
}

/// The bounds and the sharpness of liquid alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiquidAlpha {
    /// Lowest rate, in 65 535ths.
    pub low: u16,
    /// Highest rate, in 65 535ths.
    pub high: u16,
    /// Steepness of the sigmoid, in hundredths.
    pub steepness: i16,
}

/// What the epoch decided. All vectors have one entry per uid; proportions are in 65 535ths, truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochOutput {
    /// Who updated recently enough.
    pub active: Vec<bool>,
    /// Permits for the next epoch.
    pub permits: Vec<bool>,
    /// Shares of stake.
    pub stake_weight: Vec<u16>,
    /// The weight that the majority supports, per miner.
    pub consensus: Vec<u16>,
    /// How much of a validator's weights the majority supports.
    pub validator_trust: Vec<u16>,
    /// How much of what a miner was given the majority supports; older runtimes stored it.
    pub trust: Vec<u16>,
    /// Shares of the miners.
    pub incentive: Vec<u16>,
    /// Shares of the validators.
    pub dividends: Vec<u16>,
    /// To be stored; empty for those without a permit for the next epoch.
    pub bonds: Vec<Vec<(u16, u16)>>,
    /// Rao to miners.
    pub server_emission: Vec<u64>,
    /// Rao to validators.
    pub validator_emission: Vec<u64>,
    /// Rao that the metagraph shows.
    pub combined_emission: Vec<u64>,
}

/// Computes one epoch.
///
/// # Errors
/// [`YumaError`] when vectors differ in length or a row names a uid that does not exist, or one twice.
pub fn epoch(input: &EpochInput) -> Result<EpochOutput, YumaError> {
    check::check(input)?;
    let neurons = input.stake.len();

    let active: Vec<bool> =
        input.last_update.iter().map(|updated| updated.saturating_add(input.activity_cutoff) >= input.block).collect();
    let stake = stake::shares(&input.stake, input.stake_threshold, input.owner_uid);
    let next_permits = stake::permits(&stake, input.max_validators, input.owner_uid);
    let mut permits = input.permits.clone();
    stake::grant_owner(&mut permits, input.owner_uid);
    let active_stake = stake::active_shares(&stake, &active, &permits);

    let weights = counted_weights(input, &permits);
    let consensus = consensus::weighted_median(&active_stake, &weights, neurons, proportion(input.kappa));
    let clipped = consensus::clip(&weights, &consensus);
    let validator_trust = sparse::row_sums(&clipped);
    let mut incentive = sparse::weigh_rows(&clipped, &active_stake, neurons);
    let given = sparse::weigh_rows(&weights, &active_stake, neurons);
    let trust: Vec<I32F32> =
        incentive.iter().zip(&given).map(|(supported, given)| fixed_point::div(*supported, *given)).collect();
    normalise(&mut incentive);

    let bond_weights = bonds::penalised(&weights, &clipped, input.bonds_penalty, neurons);
    let context = bonds::Context {
        columns: neurons,
        active: &active_stake,
        consensus: &consensus,
        incentive: &incentive,
        moving_average: input.bonds_moving_average,
    };
    let old_bonds = counted_bonds(input);
    let bonded = match input.mode {
        Mode::Yuma2 => bonds::yuma2(&bond_weights, old_bonds, &context),
        Mode::Yuma3 { liquid } => bonds::yuma3(&bond_weights, old_bonds, liquid, &context),
    };
    let mut stored_bonds = bonded.stored();
    for (row, permit) in stored_bonds.iter_mut().zip(&next_permits) {
        if !*permit {
            row.clear();
        }
    }

    let emission = emission::split(&incentive, &bonded.dividends, &stake, &active_stake, input.emission);
    Ok(EpochOutput {
        active,
        permits: next_permits,
        stake_weight: stored(&stake),
        consensus: stored(&consensus),
        validator_trust: stored(&validator_trust),
        trust: stored(&trust),
        incentive: stored(&incentive),
        dividends: stored(&bonded.dividends),
        bonds: stored_bonds,
        server_emission: emission.server,
        validator_emission: emission.validator,
        combined_emission: emission.combined,
    })
}

fn stored(proportions: &[I32F32]) -> Vec<u16> {
    proportions.iter().copied().map(to_u16).collect()
}

/// The weights that count (chain.md 6.5): set by a permitted validator, not on itself (the owner may), about the neuron
/// that holds the uid now and not about the one before it. Rows sum to one.
fn counted_weights(input: &EpochInput, permits: &[bool]) -> Matrix {
    let mut weights = sparse::from_stored(&input.weights);
    for (row, permit) in weights.iter_mut().zip(permits) {
        if !*permit {
            row.clear();
        }
    }
    let owner = input.owner_uid.map(usize::from);
    sparse::retain(&mut weights, |i, j| {
        let registered = at(&input.block_at_registration, j);
        let updated = input.last_update.get(i).copied().unwrap_or_default();
        let itself = usize::from(j) == i && owner != Some(i);
        !itself && updated > registered
    });
    if let Some(commits) = &input.earliest_commit {
        // A commit from before a miner registered was made about someone else, whenever it is revealed.
        sparse::retain(&mut weights, |i, j| {
            commits.get(i).copied().unwrap_or(u64::MAX) >= at(&input.block_at_registration, j)
        });
    }
    sparse::normalise_rows(&mut weights);
    weights
}

/// The bonds that count: not those on neurons that registered since the last epoch.
fn counted_bonds(input: &EpochInput) -> Matrix {
    let last_epoch = if input.last_mechanism_step == 0 {
        input.block.saturating_sub(input.tempo)
    } else {
        input.last_mechanism_step.saturating_add(1)
    };
    let mut bonds = sparse::from_stored(&input.bonds);
    sparse::retain(&mut bonds, |_, j| last_epoch > at(&input.block_at_registration, j));
    bonds
}

#[cfg(test)]
mod tests;
