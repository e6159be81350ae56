//! A subnet's economy and its neurons' columns (chain.md 2, `DynamicInfo` and `SubnetState`).

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use crate::{
    subtensor::{self as s, Config, Pallet},
    types::{AccountId, FixedI128, NetUid, SubnetIdentityV3},
};

/// Pool, emission and identity of a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct DynamicInfo {
    pub netuid: Compact<NetUid>,
    pub owner_hotkey: AccountId,
    pub owner_coldkey: AccountId,
    pub subnet_name: Vec<Compact<u8>>,
    pub token_symbol: Vec<Compact<u8>>,
    pub tempo: Compact<u16>,
    pub last_step: Compact<u64>,
    pub blocks_since_last_step: Compact<u64>,
    pub emission: Compact<u64>,
    pub alpha_in: Compact<u64>,
    pub alpha_out: Compact<u64>,
    pub tao_in: Compact<u64>,
    pub alpha_out_emission: Compact<u64>,
    pub alpha_in_emission: Compact<u64>,
    pub tao_in_emission: Compact<u64>,
    pub pending_alpha_emission: Compact<u64>,
    pub pending_root_emission: Compact<u64>,
    pub subnet_volume: Compact<u128>,
    pub network_registered_at: Compact<u64>,
    pub subnet_identity: Option<SubnetIdentityV3>,
    pub moving_price: FixedI128,
}

/// The neurons of a subnet, column by column.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetState {
    pub netuid: Compact<NetUid>,
    pub hotkeys: Vec<AccountId>,
    pub coldkeys: Vec<AccountId>,
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
    pub emission_history: Vec<Vec<Compact<u64>>>,
}

impl<T: Config> Pallet<T> {
    /// Pool, emission and identity of a subnet.
    pub fn dynamic_info(netuid: NetUid) -> Option<DynamicInfo> {
        let m = Self::metagraph_with(netuid, |_| false)?;
        Some(DynamicInfo {
            netuid: m.netuid,
            owner_hotkey: m.owner_hotkey,
            owner_coldkey: m.owner_coldkey,
            subnet_name: m.name,
            token_symbol: m.symbol,
            tempo: m.tempo,
            last_step: m.last_step,
            blocks_since_last_step: m.blocks_since_last_step,
            emission: m.subnet_emission,
            alpha_in: m.alpha_in,
            alpha_out: m.alpha_out,
            tao_in: m.tao_in,
            alpha_out_emission: m.alpha_out_emission,
            alpha_in_emission: m.alpha_in_emission,
            tao_in_emission: m.tao_in_emission,
            pending_alpha_emission: m.pending_alpha_emission,
            pending_root_emission: m.pending_root_emission,
            subnet_volume: m.subnet_volume,
            network_registered_at: m.network_registered_at,
            subnet_identity: m.identity,
            moving_price: m.moving_price,
        })
    }

    /// The neurons of a subnet. The history of emissions holds the last epoch only: the chain stores no other.
    pub fn subnet_state(netuid: NetUid) -> Option<SubnetState> {
        let m = Self::metagraph(netuid)?;
        Some(SubnetState {
            netuid: m.netuid,
            active: m.active,
            validator_permit: m.validator_permit,
            pruning_score: m.pruning_score,
            last_update: m.last_update,
            emission_history: vec![m.emission.clone()],
            emission: m.emission,
            dividends: m.dividends,
            incentives: m.incentives,
            consensus: m.consensus,
            trust: m.trust,
            rank: m.rank,
            block_at_registration: m.block_at_registration,
            alpha_stake: m.alpha_stake,
            tao_stake: m.tao_stake,
            total_stake: m.total_stake,
            hotkeys: m.hotkeys,
            coldkeys: m.coldkeys,
        })
    }

    /// Every network, root too, in order of number.
    pub fn networks() -> Vec<NetUid> {
        std::iter::once(crate::types::ROOT).chain(Self::subnets()).filter(|n| s::NetworksAdded::<T>::get(n)).collect()
    }
}
