//! The whole subnet in one answer (chain.md 2, `Metagraph`).

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use frame_support::traits::Get;

use super::neuron::at;
use crate::{
    subtensor::{self as s, Config, Pallet},
    types::{AccountId, AxonInfo, ChainIdentityV2, FixedI128, MechId, NetUid, SubnetIdentityV3},
};

/// A subnet's parameters and neurons.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct Metagraph {
    pub netuid: Compact<NetUid>,
    pub name: Vec<Compact<u8>>,
    pub symbol: Vec<Compact<u8>>,
    pub identity: Option<SubnetIdentityV3>,
    pub network_registered_at: Compact<u64>,
    pub owner_hotkey: AccountId,
    pub owner_coldkey: AccountId,
    pub block: Compact<u64>,
    pub tempo: Compact<u16>,
    pub last_step: Compact<u64>,
    pub blocks_since_last_step: Compact<u64>,
    pub subnet_emission: Compact<u64>,
    pub alpha_in: Compact<u64>,
    pub alpha_out: Compact<u64>,
    pub tao_in: Compact<u64>,
    pub alpha_out_emission: Compact<u64>,
    pub alpha_in_emission: Compact<u64>,
    pub tao_in_emission: Compact<u64>,
    pub pending_alpha_emission: Compact<u64>,
    pub pending_root_emission: Compact<u64>,
    pub subnet_volume: Compact<u128>,
    pub moving_price: FixedI128,
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub weights_version: Compact<u64>,
    pub weights_rate_limit: Compact<u64>,
    pub activity_cutoff: Compact<u64>,
    pub max_validators: Compact<u16>,
    pub num_uids: Compact<u16>,
    pub max_uids: Compact<u16>,
    pub burn: Compact<u64>,
    pub difficulty: Compact<u64>,
    pub registration_allowed: bool,
    pub pow_registration_allowed: bool,
    pub immunity_period: Compact<u16>,
    pub min_difficulty: Compact<u64>,
    pub max_difficulty: Compact<u64>,
    pub min_burn: Compact<u64>,
    pub max_burn: Compact<u64>,
    pub adjustment_alpha: Compact<u64>,
    pub adjustment_interval: Compact<u16>,
    pub target_regs_per_interval: Compact<u16>,
    pub max_regs_per_block: Compact<u16>,
    pub serving_rate_limit: Compact<u64>,
    pub commit_reveal_weights_enabled: bool,
    pub commit_reveal_period: Compact<u64>,
    pub liquid_alpha_enabled: bool,
    pub alpha_high: Compact<u16>,
    pub alpha_low: Compact<u16>,
    pub bonds_moving_avg: Compact<u64>,
    pub hotkeys: Vec<AccountId>,
    pub coldkeys: Vec<AccountId>,
    pub identities: Vec<Option<ChainIdentityV2>>,
    pub axons: Vec<AxonInfo>,
    pub active: Vec<bool>,
    pub validator_permit: Vec<bool>,
    pub pruning_score: Vec<Compact<u16>>,
    pub last_update: Vec<Compact<u64>>,
    pub emission: Vec<Compact<u64>>,
    pub dividends: Vec<Compact<u16>>,
    pub incentives: Vec<Compact<u16>>,
    pub consensus: Vec<Compact<u16>>,
    pub trust: Vec<Compact<u16>>,
    pub rank: Vec<Compact<u16>>,
    pub block_at_registration: Vec<Compact<u64>>,
    pub alpha_stake: Vec<Compact<u64>>,
    pub tao_stake: Vec<Compact<u64>>,
    pub total_stake: Vec<Compact<u64>>,
    pub tao_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
    pub alpha_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
}

/// Indices of the lists that cost a read or more for each neuron.
const HOTKEYS: u16 = 52;
const COLDKEYS: u16 = 53;
const IDENTITIES: u16 = 54;
const AXONS: u16 = 55;
const BLOCK_AT_REGISTRATION: u16 = 66;
const ALPHA_STAKE: u16 = 67;
const TAO_STAKE: u16 = 68;
const TOTAL_STAKE: u16 = 69;
const ALPHA_DIVIDENDS: u16 = 71;

pub(super) fn text(bytes: &[u8]) -> Vec<Compact<u8>> {
    bytes.iter().map(|b| Compact(*b)).collect()
}

impl<T: Config> Pallet<T> {
    /// The metagraph as a mechanism sees it: its number is the storage index, updates and incentives are the mechanism's own.
    pub fn mechagraph(netuid: NetUid, mecid: MechId) -> Option<Metagraph> {
        Self::mechagraph_with(netuid, mecid, |_| true)
    }

    pub(super) fn mechagraph_with(netuid: NetUid, mecid: MechId, wants: impl Fn(u16) -> bool) -> Option<Metagraph> {
        let index = Self::existing_index(netuid, mecid).ok()?;
        let mut graph = Self::metagraph_with(netuid, wants)?;
        let (updates, incentives) = (s::LastUpdate::<T>::get(index), s::Incentive::<T>::get(index));
        let uids = || 0..graph.num_uids.0;
        let last_update = uids().map(|uid| Compact(at(&updates, uid))).collect();
        let incentives = uids().map(|uid| Compact(at(&incentives, uid))).collect();
        (graph.netuid, graph.last_update, graph.incentives) = (index.into(), last_update, incentives);
        Some(graph)
    }

    /// The metagraphs of all mechanisms of all networks.
    pub fn mechagraphs() -> Vec<Option<Metagraph>> {
        let all = Self::networks().into_iter().flat_map(|netuid| {
            (0..s::MechanismCountCurrent::<T>::get(netuid).max(1)).map(move |mecid| (netuid, mecid))
        });
        all.map(|(netuid, mecid)| Self::mechagraph(netuid, mecid)).collect()
    }

    /// The metagraph of mechanism 0.
    pub fn metagraph(netuid: NetUid) -> Option<Metagraph> {
        Self::metagraph_with(netuid, |_| true)
    }

    /// A metagraph in which lists that cost a read or more for each neuron, and are not wanted, are empty. They are named by their
    /// indices (chain.md 2).
    pub(super) fn metagraph_with(netuid: NetUid, wants: impl Fn(u16) -> bool) -> Option<Metagraph> {
        if !Self::exists(netuid) {
            return None;
        }
        let n = s::SubnetworkN::<T>::get(netuid);
        let any = |indices: &[u16]| indices.iter().any(|index| wants(*index));
        // Of all neurons, or of none.
        let of = |wanted: bool| 0..if wanted { n } else { 0 };
        let stakes_wanted = any(&[ALPHA_STAKE, TAO_STAKE, TOTAL_STAKE]);
        let by_hotkey = [HOTKEYS, COLDKEYS, IDENTITIES, AXONS, ALPHA_DIVIDENDS];
        let hotkeys: Vec<AccountId> =
            of(stakes_wanted || any(&by_hotkey)).map(|uid| s::Keys::<T>::get(netuid, uid)).collect();
        let each = |wanted: bool| if wanted { hotkeys.as_slice() } else { &[] };
        let coldkeys: Vec<AccountId> = each(any(&[COLDKEYS, IDENTITIES])).iter().map(s::Owner::<T>::get).collect();
        let identity = s::SubnetIdentitiesV3::<T>::get(netuid);
        let each64 = |list: Vec<u64>| (0..n).map(|uid| Compact(at(&list, uid))).collect::<Vec<_>>();
        let each16 = |list: Vec<u16>| (0..n).map(|uid| Compact(at(&list, uid))).collect::<Vec<_>>();
        // Empty since the storage was removed.
        let removed = |list: Vec<u16>| if T::RemovedStorage::get() { each16(list) } else { Vec::new() };
        let flags = |list: Vec<bool>| (0..n).map(|uid| at(&list, uid)).collect::<Vec<_>>();
        let stakes: Vec<(u64, u64)> = each(stakes_wanted).iter().map(|h| Self::inherited_stake(h, netuid)).collect();
        let (alpha_low, alpha_high) = s::AlphaValues::<T>::get(netuid);
        Some(Metagraph {
            netuid: netuid.into(),
            name: identity.as_ref().map(|i| text(&i.subnet_name)).unwrap_or_default(),
            symbol: text(&s::TokenSymbol::<T>::get(netuid)),
            identity,
            network_registered_at: s::NetworkRegisteredAt::<T>::get(netuid).into(),
            owner_hotkey: s::SubnetOwnerHotkey::<T>::get(netuid),
            owner_coldkey: s::SubnetOwner::<T>::get(netuid),
            block: Self::now().into(),
            tempo: s::Tempo::<T>::get(netuid).into(),
            last_step: s::LastMechansimStepBlock::<T>::get(netuid).into(),
            blocks_since_last_step: s::BlocksSinceLastStep::<T>::get(netuid).into(),
            subnet_emission: 0.into(),
            alpha_in: s::SubnetAlphaIn::<T>::get(netuid).into(),
            alpha_out: s::SubnetAlphaOut::<T>::get(netuid).into(),
            tao_in: s::SubnetTAO::<T>::get(netuid).into(),
            alpha_out_emission: s::SubnetAlphaOutEmission::<T>::get(netuid).into(),
            alpha_in_emission: s::SubnetAlphaInEmission::<T>::get(netuid).into(),
            tao_in_emission: s::SubnetTaoInEmission::<T>::get(netuid).into(),
            pending_alpha_emission: Self::pending_emission(netuid).into(),
            pending_root_emission: 0.into(),
            subnet_volume: s::SubnetVolume::<T>::get(netuid).into(),
            moving_price: s::SubnetMovingPrice::<T>::get(netuid),
            rho: s::Rho::<T>::get(netuid).into(),
            kappa: s::Kappa::<T>::get(netuid).into(),
            min_allowed_weights: s::MinAllowedWeights::<T>::get(netuid).into(),
            max_weights_limit: s::MaxWeightsLimit::<T>::get(netuid).into(),
            weights_version: s::WeightsVersionKey::<T>::get(netuid).into(),
            weights_rate_limit: s::WeightsSetRateLimit::<T>::get(netuid).into(),
            activity_cutoff: Self::activity_cutoff(netuid).into(),
            max_validators: s::MaxAllowedValidators::<T>::get(netuid).into(),
            num_uids: n.into(),
            max_uids: s::MaxAllowedUids::<T>::get(netuid).into(),
            burn: s::Burn::<T>::get(netuid).into(),
            difficulty: s::Difficulty::<T>::get(netuid).into(),
            registration_allowed: s::NetworkRegistrationAllowed::<T>::get(netuid),
            pow_registration_allowed: s::NetworkPowRegistrationAllowed::<T>::get(netuid),
            immunity_period: s::ImmunityPeriod::<T>::get(netuid).into(),
            min_difficulty: s::MinDifficulty::<T>::get(netuid).into(),
            max_difficulty: s::MaxDifficulty::<T>::get(netuid).into(),
            min_burn: s::MinBurn::<T>::get(netuid).into(),
            max_burn: s::MaxBurn::<T>::get(netuid).into(),
            adjustment_alpha: s::AdjustmentAlpha::<T>::get(netuid).into(),
            adjustment_interval: s::AdjustmentInterval::<T>::get(netuid).into(),
            target_regs_per_interval: s::TargetRegistrationsPerInterval::<T>::get(netuid).into(),
            max_regs_per_block: s::MaxRegistrationsPerBlock::<T>::get(netuid).into(),
            serving_rate_limit: s::ServingRateLimit::<T>::get(netuid).into(),
            commit_reveal_weights_enabled: s::CommitRevealWeightsEnabled::<T>::get(netuid),
            commit_reveal_period: s::RevealPeriodEpochs::<T>::get(netuid).into(),
            liquid_alpha_enabled: s::LiquidAlphaOn::<T>::get(netuid),
            alpha_high: alpha_high.into(),
            alpha_low: alpha_low.into(),
            bonds_moving_avg: s::BondsMovingAverage::<T>::get(netuid).into(),
            identities: if wants(IDENTITIES) {
                coldkeys.iter().map(s::IdentitiesV2::<T>::get).collect()
            } else {
                Vec::new()
            },
            axons: each(wants(AXONS)).iter().map(|h| s::Axons::<T>::get(netuid, h).unwrap_or_default()).collect(),
            active: flags(s::Active::<T>::get(netuid)),
            validator_permit: flags(s::ValidatorPermit::<T>::get(netuid)),
            pruning_score: removed(s::PruningScores::<T>::get(netuid)),
            last_update: each64(s::LastUpdate::<T>::get(netuid)),
            emission: each64(s::Emission::<T>::get(netuid)),
            dividends: each16(s::Dividends::<T>::get(netuid)),
            incentives: each16(s::Incentive::<T>::get(netuid)),
            consensus: each16(s::Consensus::<T>::get(netuid)),
            trust: removed(s::Trust::<T>::get(netuid)),
            rank: removed(s::Rank::<T>::get(netuid)),
            block_at_registration: of(wants(BLOCK_AT_REGISTRATION))
                .map(|uid| s::BlockAtRegistration::<T>::get(netuid, uid).into())
                .collect(),
            alpha_stake: stakes.iter().map(|(alpha, _)| Compact(*alpha)).collect(),
            tao_stake: stakes.iter().map(|(_, tao)| Compact(*tao)).collect(),
            total_stake: stakes
                .iter()
                .map(|(alpha, tao)| alpha.saturating_add(Self::weighted_tao(*tao)).into())
                .collect(),
            tao_dividends_per_hotkey: Vec::new(),
            alpha_dividends_per_hotkey: each(wants(ALPHA_DIVIDENDS))
                .iter()
                .map(|h| (h.clone(), s::AlphaDividendsPerSubnet::<T>::get(netuid, h).into()))
                .collect(),
            hotkeys,
            coldkeys,
        })
    }
}
