//! Hyperparameters in the three shapes that runtimes have had (chain.md 2).

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use crate::{
    subtensor::{self as s, Config, Pallet},
    types::{FixedI64, FixedU128, NetUid},
};

/// Version 1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetHyperparams {
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub immunity_period: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub tempo: Compact<u16>,
    pub min_difficulty: Compact<u64>,
    pub max_difficulty: Compact<u64>,
    pub weights_version: Compact<u64>,
    pub weights_rate_limit: Compact<u64>,
    pub adjustment_interval: Compact<u16>,
    pub activity_cutoff: Compact<u64>,
    pub registration_allowed: bool,
    pub target_regs_per_interval: Compact<u16>,
    pub min_burn: Compact<u64>,
    pub max_burn: Compact<u64>,
    pub bonds_moving_avg: Compact<u64>,
    pub max_regs_per_block: Compact<u16>,
    pub serving_rate_limit: Compact<u64>,
    pub max_validators: Compact<u16>,
    pub adjustment_alpha: Compact<u64>,
    pub difficulty: Compact<u64>,
    pub commit_reveal_period: Compact<u64>,
    pub commit_reveal_weights_enabled: bool,
    pub alpha_high: Compact<u16>,
    pub alpha_low: Compact<u16>,
    pub liquid_alpha_enabled: bool,
}

/// Version 2: version 1's bytes, then more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetHyperparamsV2 {
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub immunity_period: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub tempo: Compact<u16>,
    pub min_difficulty: Compact<u64>,
    pub max_difficulty: Compact<u64>,
    pub weights_version: Compact<u64>,
    pub weights_rate_limit: Compact<u64>,
    pub adjustment_interval: Compact<u16>,
    pub activity_cutoff: Compact<u64>,
    pub registration_allowed: bool,
    pub target_regs_per_interval: Compact<u16>,
    pub min_burn: Compact<u64>,
    pub max_burn: Compact<u64>,
    pub bonds_moving_avg: Compact<u64>,
    pub max_regs_per_block: Compact<u16>,
    pub serving_rate_limit: Compact<u64>,
    pub max_validators: Compact<u16>,
    pub adjustment_alpha: Compact<u64>,
    pub difficulty: Compact<u64>,
    pub commit_reveal_period: Compact<u64>,
    pub commit_reveal_weights_enabled: bool,
    pub alpha_high: Compact<u16>,
    pub alpha_low: Compact<u16>,
    pub liquid_alpha_enabled: bool,
    pub alpha_sigmoid_steepness: FixedI64,
    pub yuma_version: Compact<u16>,
    pub subnet_is_active: bool,
    pub transfers_enabled: bool,
    pub bonds_reset_enabled: bool,
    pub user_liquidity_enabled: bool,
}

/// A value of version 3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub enum HyperparamValue {
    Bool(bool),
    U16(Compact<u16>),
    U32(Compact<u32>),
    U64(Compact<u64>),
    U128(Compact<u128>),
    TaoBalance(Compact<u64>),
    I32F32(FixedI64),
    U64F64(FixedU128),
}

/// Version 3 is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct HyperparamEntry {
    pub name: Vec<u8>,
    pub value: HyperparamValue,
}

impl<T: Config> Pallet<T> {
    /// Version 1.
    pub fn hyperparams(netuid: NetUid) -> Option<SubnetHyperparams> {
        let v2 = Self::hyperparams_v2(netuid)?;
        Decode::decode(&mut &v2.encode()[..]).ok()
    }

    /// Version 2.
    pub fn hyperparams_v2(netuid: NetUid) -> Option<SubnetHyperparamsV2> {
        let (alpha_low, alpha_high) = s::AlphaValues::<T>::get(netuid);
        Self::exists(netuid).then(|| SubnetHyperparamsV2 {
            rho: s::Rho::<T>::get(netuid).into(),
            kappa: s::Kappa::<T>::get(netuid).into(),
            immunity_period: s::ImmunityPeriod::<T>::get(netuid).into(),
            min_allowed_weights: s::MinAllowedWeights::<T>::get(netuid).into(),
            max_weights_limit: s::MaxWeightsLimit::<T>::get(netuid).into(),
            tempo: s::Tempo::<T>::get(netuid).into(),
            min_difficulty: s::MinDifficulty::<T>::get(netuid).into(),
            max_difficulty: s::MaxDifficulty::<T>::get(netuid).into(),
            weights_version: s::WeightsVersionKey::<T>::get(netuid).into(),
            weights_rate_limit: s::WeightsSetRateLimit::<T>::get(netuid).into(),
            adjustment_interval: s::AdjustmentInterval::<T>::get(netuid).into(),
            activity_cutoff: Self::activity_cutoff(netuid).into(),
            registration_allowed: s::NetworkRegistrationAllowed::<T>::get(netuid),
            target_regs_per_interval: s::TargetRegistrationsPerInterval::<T>::get(netuid).into(),
            min_burn: s::MinBurn::<T>::get(netuid).into(),
            max_burn: s::MaxBurn::<T>::get(netuid).into(),
            bonds_moving_avg: s::BondsMovingAverage::<T>::get(netuid).into(),
            max_regs_per_block: s::MaxRegistrationsPerBlock::<T>::get(netuid).into(),
            serving_rate_limit: s::ServingRateLimit::<T>::get(netuid).into(),
            max_validators: s::MaxAllowedValidators::<T>::get(netuid).into(),
            adjustment_alpha: s::AdjustmentAlpha::<T>::get(netuid).into(),
            difficulty: s::Difficulty::<T>::get(netuid).into(),
            commit_reveal_period: s::RevealPeriodEpochs::<T>::get(netuid).into(),
            commit_reveal_weights_enabled: s::CommitRevealWeightsEnabled::<T>::get(netuid),
            alpha_high: alpha_high.into(),
            alpha_low: alpha_low.into(),
            liquid_alpha_enabled: s::LiquidAlphaOn::<T>::get(netuid),
            alpha_sigmoid_steepness: FixedI64 { bits: i64::from(s::AlphaSigmoidSteepness::<T>::get(netuid)) << 32 },
            yuma_version: if s::Yuma3On::<T>::get(netuid) { 3 } else { 2 }.into(),
            subnet_is_active: s::FirstEmissionBlockNumber::<T>::contains_key(netuid),
            transfers_enabled: s::TransferToggle::<T>::get(netuid),
            bonds_reset_enabled: s::BondsResetOn::<T>::get(netuid),
            user_liquidity_enabled: false,
        })
    }

    /// Version 3: names with values, so that clients survive what is added.
    pub fn hyperparams_v3(netuid: NetUid) -> Option<Vec<HyperparamEntry>> {
        use HyperparamValue::{Bool, I32F32, TaoBalance, U16, U32, U64, U64F64};
        let v = Self::hyperparams_v2(netuid)?;
        let entry = |(name, value): (&str, HyperparamValue)| HyperparamEntry { name: name.as_bytes().to_vec(), value };
        let all = [
            ("kappa", U16(v.kappa)),
            ("immunity_period", U16(v.immunity_period)),
            ("min_allowed_weights", U16(v.min_allowed_weights)),
            ("max_weights_limit", U16(v.max_weights_limit)),
            ("tempo", U16(v.tempo)),
            ("weights_version", U64(v.weights_version)),
            ("weights_rate_limit", U64(v.weights_rate_limit)),
            ("activity_cutoff", U64(v.activity_cutoff)),
            ("activity_cutoff_factor", U32(s::ActivityCutoffFactorMilli::<T>::get(netuid).into())),
            ("registration_allowed", Bool(v.registration_allowed)),
            ("target_regs_per_interval", U16(v.target_regs_per_interval)),
            ("min_burn", TaoBalance(v.min_burn)),
            ("max_burn", TaoBalance(v.max_burn)),
            ("burn_half_life", U16(s::BurnHalfLife::<T>::get(netuid).into())),
            ("burn_increase_mult", U64F64(s::BurnIncreaseMult::<T>::get(netuid))),
            ("bonds_moving_avg", U64(v.bonds_moving_avg)),
            ("max_regs_per_block", U16(v.max_regs_per_block)),
            ("serving_rate_limit", U64(v.serving_rate_limit)),
            ("max_validators", U16(v.max_validators)),
            ("commit_reveal_period", U64(v.commit_reveal_period)),
            ("commit_reveal_weights_enabled", Bool(v.commit_reveal_weights_enabled)),
            ("alpha_high", U16(v.alpha_high)),
            ("alpha_low", U16(v.alpha_low)),
            ("liquid_alpha_enabled", Bool(v.liquid_alpha_enabled)),
            ("alpha_sigmoid_steepness", I32F32(v.alpha_sigmoid_steepness)),
            ("yuma_version", U16(v.yuma_version)),
            ("subnet_is_active", Bool(v.subnet_is_active)),
            ("transfers_enabled", Bool(v.transfers_enabled)),
            ("bonds_reset_enabled", Bool(v.bonds_reset_enabled)),
            ("user_liquidity_enabled", Bool(v.user_liquidity_enabled)),
            // Fixed here: owners are always paid, in the open.
            ("owner_cut_enabled", Bool(true)),
            ("owner_cut_auto_lock_enabled", Bool(false)),
            ("min_childkey_take", U16(s::MinChildkeyTake::<T>::get().into())),
        ];
        Some(all.into_iter().map(entry).collect())
    }
}
