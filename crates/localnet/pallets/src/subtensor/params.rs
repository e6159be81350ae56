//! The hyperparameters that a chain specification may choose for subnet 1 and for subnets registered later.

use super::*;
use serde::{Deserialize, Serialize};

/// Where a value equals the production default it is not written to storage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SubnetParams {
    /// Blocks from one epoch to the next.
    pub tempo: u16,
    /// Blocks a new neuron cannot be pruned.
    pub immunity_period: u16,
    /// Least number of weights of a vector that is not one self-weight.
    pub min_allowed_weights: u16,
    /// Validator permits.
    pub max_allowed_validators: u16,
    /// Neurons.
    pub max_allowed_uids: u16,
    /// Blocks between two weight settings or commits of a neuron.
    pub weights_set_rate_limit: u64,
    /// Whether weights must be committed and revealed.
    pub commit_reveal_enabled: bool,
    /// Epochs from commit to reveal.
    pub reveal_period_epochs: u64,
    /// Blocks between two servings of a neuron.
    pub serving_rate_limit: u64,
    /// Inactive after this many thousandths of a tempo without weights.
    pub activity_cutoff_factor_milli: u32,
    /// First registration price, rao.
    pub burn: u64,
    /// Least registration price, rao.
    pub min_burn: u64,
    /// Greatest registration price, rao.
    pub max_burn: u64,
    /// Blocks in which the price halves.
    pub burn_half_life: u16,
    /// Difficulty of a registration by proof of work, where the owner allows it.
    pub difficulty: u64,
    /// Least difficulty.
    pub min_difficulty: u64,
    /// Yuma 3 instead of Yuma 2.
    pub yuma3: bool,
    /// Liquid alpha (Yuma 3).
    pub liquid_alpha: bool,
}

impl Default for SubnetParams {
    /// The production values (chain.md 3).
    fn default() -> Self {
        Self {
            tempo: 360,
            immunity_period: 4_096,
            min_allowed_weights: 1_024,
            max_allowed_validators: 128,
            max_allowed_uids: 256,
            weights_set_rate_limit: 100,
            commit_reveal_enabled: true,
            reveal_period_epochs: 1,
            serving_rate_limit: 50,
            activity_cutoff_factor_milli: 13_889,
            burn: 100_000_000,
            min_burn: 500_000,
            max_burn: 100_000_000_000,
            burn_half_life: 360,
            difficulty: 10_000_000,
            min_difficulty: 10_000_000,
            yuma3: false,
            liquid_alpha: false,
        }
    }
}

impl SubnetParams {
    /// For a chain of short blocks with few neurons: tempo 10 as in the public fast runtime, one weight is enough, no waiting.
    pub fn fast() -> Self {
        Self {
            tempo: 10,
            min_allowed_weights: 1,
            max_allowed_validators: 64,
            weights_set_rate_limit: 0,
            serving_rate_limit: 0,
            activity_cutoff_factor_milli: 500_000,
            // A proof in well under a second on one core.
            difficulty: 10_000,
            min_difficulty: 1,
            ..Self::default()
        }
    }

    /// Writes what differs from the defaults.
    pub fn apply<T: Config>(&self, netuid: NetUid) {
        let default = Self::default();
        macro_rules! set {
            ($($field:ident => $item:ident),* $(,)?) => {$(
                if self.$field != default.$field {
                    $item::<T>::insert(netuid, self.$field);
                }
            )*};
        }
        set!(
            tempo => Tempo,
            immunity_period => ImmunityPeriod,
            min_allowed_weights => MinAllowedWeights,
            max_allowed_validators => MaxAllowedValidators,
            max_allowed_uids => MaxAllowedUids,
            weights_set_rate_limit => WeightsSetRateLimit,
            commit_reveal_enabled => CommitRevealWeightsEnabled,
            reveal_period_epochs => RevealPeriodEpochs,
            serving_rate_limit => ServingRateLimit,
            activity_cutoff_factor_milli => ActivityCutoffFactorMilli,
            burn => Burn,
            min_burn => MinBurn,
            max_burn => MaxBurn,
            burn_half_life => BurnHalfLife,
            difficulty => Difficulty,
            min_difficulty => MinDifficulty,
            yuma3 => Yuma3On,
            liquid_alpha => LiquidAlphaOn,
        );
    }
}
