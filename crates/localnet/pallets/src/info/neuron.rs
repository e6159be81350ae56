//! Neurons and subnets one by one (chain.md 2).

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use frame_support::traits::Get;

use crate::{
    subtensor::{self as s, Config, Pallet},
    types::{AccountId, AxonInfo, NetUid, PrometheusInfo, SubnetIdentityV3},
};

/// A neuron without weights and bonds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct NeuronInfoLite {
    pub hotkey: AccountId,
    pub coldkey: AccountId,
    pub uid: Compact<u16>,
    pub netuid: Compact<NetUid>,
    pub active: bool,
    pub axon_info: AxonInfo,
    pub prometheus_info: PrometheusInfo,
    pub stake: Vec<(AccountId, Compact<u64>)>,
    pub rank: Compact<u16>,
    pub emission: Compact<u64>,
    pub incentive: Compact<u16>,
    pub consensus: Compact<u16>,
    pub trust: Compact<u16>,
    pub validator_trust: Compact<u16>,
    pub dividends: Compact<u16>,
    pub last_update: Compact<u64>,
    pub validator_permit: bool,
    pub pruning_score: Compact<u16>,
}

/// A neuron with weights and bonds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct NeuronInfo {
    pub hotkey: AccountId,
    pub coldkey: AccountId,
    pub uid: Compact<u16>,
    pub netuid: Compact<NetUid>,
    pub active: bool,
    pub axon_info: AxonInfo,
    pub prometheus_info: PrometheusInfo,
    pub stake: Vec<(AccountId, Compact<u64>)>,
    pub rank: Compact<u16>,
    pub emission: Compact<u64>,
    pub incentive: Compact<u16>,
    pub consensus: Compact<u16>,
    pub trust: Compact<u16>,
    pub validator_trust: Compact<u16>,
    pub dividends: Compact<u16>,
    pub last_update: Compact<u64>,
    pub validator_permit: bool,
    pub weights: Vec<(Compact<u16>, Compact<u16>)>,
    pub bonds: Vec<(Compact<u16>, Compact<u16>)>,
    pub pruning_score: Compact<u16>,
}

/// A subnet in brief.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetInfo {
    pub netuid: Compact<NetUid>,
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub difficulty: Compact<u64>,
    pub immunity_period: Compact<u16>,
    pub max_allowed_validators: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub scaling_law_power: Compact<u16>,
    pub subnetwork_n: Compact<u16>,
    pub max_allowed_uids: Compact<u16>,
    pub blocks_since_last_step: Compact<u64>,
    pub tempo: Compact<u16>,
    pub network_modality: Compact<u16>,
    pub network_connect: Vec<[u16; 2]>,
    pub emission_values: Compact<u64>,
    pub burn: Compact<u64>,
    pub owner: AccountId,
}

/// [`SubnetInfo`] with the identity; its name is the public one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetInfov2 {
    pub netuid: Compact<NetUid>,
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub difficulty: Compact<u64>,
    pub immunity_period: Compact<u16>,
    pub max_allowed_validators: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub scaling_law_power: Compact<u16>,
    pub subnetwork_n: Compact<u16>,
    pub max_allowed_uids: Compact<u16>,
    pub blocks_since_last_step: Compact<u64>,
    pub tempo: Compact<u16>,
    pub network_modality: Compact<u16>,
    pub network_connect: Vec<[u16; 2]>,
    pub emission_value: Compact<u64>,
    pub burn: Compact<u64>,
    pub owner: AccountId,
    pub identity: Option<SubnetIdentityV3>,
}

pub(super) fn at<V: Clone + Default>(list: &[V], uid: u16) -> V {
    list.get(usize::from(uid)).cloned().unwrap_or_default()
}

fn pairs(row: Vec<(u16, u16)>) -> Vec<(Compact<u16>, Compact<u16>)> {
    row.into_iter().map(|(uid, value)| (uid.into(), value.into())).collect()
}

impl<T: Config> Pallet<T> {
    /// One neuron, without weights and bonds.
    pub fn neuron_lite(netuid: NetUid, uid: u16) -> Option<NeuronInfoLite> {
        if !Self::exists(netuid) || uid >= s::SubnetworkN::<T>::get(netuid) {
            return None;
        }
        let hotkey = s::Keys::<T>::get(netuid, uid);
        let coldkey = s::Owner::<T>::get(&hotkey);
        let stake = s::TotalHotkeyAlpha::<T>::get(&hotkey, netuid);
        Some(NeuronInfoLite {
            uid: uid.into(),
            netuid: netuid.into(),
            active: at(&s::Active::<T>::get(netuid), uid),
            axon_info: s::Axons::<T>::get(netuid, &hotkey).unwrap_or_default(),
            prometheus_info: s::Prometheus::<T>::get(netuid, &hotkey).unwrap_or_default(),
            stake: vec![(coldkey.clone(), stake.into())],
            rank: at(&s::Rank::<T>::get(netuid), uid).into(),
            emission: at(&s::Emission::<T>::get(netuid), uid).into(),
            incentive: at(&s::Incentive::<T>::get(netuid), uid).into(),
            consensus: at(&s::Consensus::<T>::get(netuid), uid).into(),
            trust: at(&s::Trust::<T>::get(netuid), uid).into(),
            validator_trust: at(&s::ValidatorTrust::<T>::get(netuid), uid).into(),
            dividends: at(&s::Dividends::<T>::get(netuid), uid).into(),
            last_update: at(&s::LastUpdate::<T>::get(netuid), uid).into(),
            validator_permit: at(&s::ValidatorPermit::<T>::get(netuid), uid),
            pruning_score: if T::RemovedStorage::get() {
                at(&s::PruningScores::<T>::get(netuid), uid).into()
            } else {
                u16::MAX.into()
            },
            hotkey,
            coldkey,
        })
    }

    /// One neuron.
    pub fn neuron(netuid: NetUid, uid: u16) -> Option<NeuronInfo> {
        let n = Self::neuron_lite(netuid, uid)?;
        Some(NeuronInfo {
            hotkey: n.hotkey,
            coldkey: n.coldkey,
            uid: n.uid,
            netuid: n.netuid,
            active: n.active,
            axon_info: n.axon_info,
            prometheus_info: n.prometheus_info,
            stake: n.stake,
            rank: n.rank,
            emission: n.emission,
            incentive: n.incentive,
            consensus: n.consensus,
            trust: n.trust,
            validator_trust: n.validator_trust,
            dividends: n.dividends,
            last_update: n.last_update,
            validator_permit: n.validator_permit,
            weights: pairs(s::Weights::<T>::get(netuid, uid)),
            bonds: pairs(s::Bonds::<T>::get(netuid, uid)),
            pruning_score: n.pruning_score,
        })
    }

    /// All neurons of a subnet, without weights and bonds.
    pub fn neurons_lite(netuid: NetUid) -> Vec<NeuronInfoLite> {
        (0..s::SubnetworkN::<T>::get(netuid)).filter_map(|uid| Self::neuron_lite(netuid, uid)).collect()
    }

    /// All neurons of a subnet.
    pub fn neurons(netuid: NetUid) -> Vec<NeuronInfo> {
        (0..s::SubnetworkN::<T>::get(netuid)).filter_map(|uid| Self::neuron(netuid, uid)).collect()
    }

    /// A subnet in brief.
    pub fn subnet_info(netuid: NetUid) -> Option<SubnetInfo> {
        Self::exists(netuid).then(|| SubnetInfo {
            netuid: netuid.into(),
            rho: s::Rho::<T>::get(netuid).into(),
            kappa: s::Kappa::<T>::get(netuid).into(),
            difficulty: s::Difficulty::<T>::get(netuid).into(),
            immunity_period: s::ImmunityPeriod::<T>::get(netuid).into(),
            max_allowed_validators: s::MaxAllowedValidators::<T>::get(netuid).into(),
            min_allowed_weights: s::MinAllowedWeights::<T>::get(netuid).into(),
            max_weights_limit: s::MaxWeightsLimit::<T>::get(netuid).into(),
            scaling_law_power: s::ScalingLawPower::<T>::get(netuid).into(),
            subnetwork_n: s::SubnetworkN::<T>::get(netuid).into(),
            max_allowed_uids: s::MaxAllowedUids::<T>::get(netuid).into(),
            blocks_since_last_step: s::BlocksSinceLastStep::<T>::get(netuid).into(),
            tempo: s::Tempo::<T>::get(netuid).into(),
            network_modality: 0.into(),
            network_connect: Vec::new(),
            emission_values: 0.into(),
            burn: s::Burn::<T>::get(netuid).into(),
            owner: s::SubnetOwner::<T>::get(netuid),
        })
    }

    /// A subnet in brief, with its identity.
    pub fn subnet_info_v2(netuid: NetUid) -> Option<SubnetInfov2> {
        let v1 = Self::subnet_info(netuid)?;
        Some(SubnetInfov2 {
            netuid: v1.netuid,
            rho: v1.rho,
            kappa: v1.kappa,
            difficulty: v1.difficulty,
            immunity_period: v1.immunity_period,
            max_allowed_validators: v1.max_allowed_validators,
            min_allowed_weights: v1.min_allowed_weights,
            max_weights_limit: v1.max_weights_limit,
            scaling_law_power: v1.scaling_law_power,
            subnetwork_n: v1.subnetwork_n,
            max_allowed_uids: v1.max_allowed_uids,
            blocks_since_last_step: v1.blocks_since_last_step,
            tempo: v1.tempo,
            network_modality: v1.network_modality,
            network_connect: v1.network_connect,
            emission_value: v1.emission_values,
            burn: v1.burn,
            owner: v1.owner,
            identity: s::SubnetIdentitiesV3::<T>::get(netuid),
        })
    }
}
