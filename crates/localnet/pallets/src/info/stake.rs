//! Who has staked what where, and who delegates for whom (chain.md 2, `StakeInfo` and `DelegateInfo`).

use std::collections::BTreeMap;

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use crate::{
    subtensor::{self as s, Config, Pallet},
    types::{AccountId, NetUid},
};

/// One coldkey's stake at one hotkey on one subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct StakeInfo {
    pub hotkey: AccountId,
    pub coldkey: AccountId,
    pub netuid: Compact<NetUid>,
    pub stake: Compact<u64>,
    pub locked: Compact<u64>,
    pub emission: Compact<u64>,
    pub tao_emission: Compact<u64>,
    pub drain: Compact<u64>,
    pub is_registered: bool,
}

/// A hotkey that others stake to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct DelegateInfo {
    pub delegate_ss58: AccountId,
    pub take: Compact<u16>,
    pub nominators: Vec<(AccountId, Vec<(Compact<NetUid>, Compact<u64>)>)>,
    pub owner_ss58: AccountId,
    pub registrations: Vec<Compact<NetUid>>,
    pub validator_permits: Vec<Compact<NetUid>>,
    pub return_per_1000: Compact<u64>,
    pub total_daily_return: Compact<u64>,
}

/// What a coldkey has on one subnet, over all hotkeys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct StakeAvailability {
    pub total: Compact<u64>,
    pub locked: Compact<u64>,
    pub available: Compact<u64>,
}

/// Per coldkey and subnet.
pub type Availability = BTreeMap<AccountId, BTreeMap<NetUid, StakeAvailability>>;

impl<T: Config> Pallet<T> {
    /// What coldkeys have on subnets (`None`: on all). Nothing is ever locked on this chain.
    pub fn availability(coldkeys: Vec<AccountId>, netuids: Option<Vec<NetUid>>) -> Availability {
        let netuids = netuids.unwrap_or_else(Self::networks);
        let of = |coldkey: &AccountId| {
            let stakes = Self::stakes_of(coldkey);
            let on = |netuid: &NetUid| {
                let here = stakes.iter().filter(|info| info.netuid.0 == *netuid);
                let total = here.fold(0u64, |sum, info| sum.saturating_add(info.stake.0));
                StakeAvailability { total: total.into(), locked: 0.into(), available: total.into() }
            };
            netuids.iter().filter(|n| Self::exists(**n)).map(|n| (*n, on(n))).collect()
        };
        coldkeys
            .into_iter()
            .map(|coldkey| {
                let stakes = of(&coldkey);
                (coldkey, stakes)
            })
            .collect()
    }

    /// One coldkey's stake at one hotkey on one subnet; `None` without the subnet.
    pub fn stake_info(hotkey: &AccountId, coldkey: &AccountId, netuid: NetUid) -> Option<StakeInfo> {
        let uid = s::Uids::<T>::get(netuid, hotkey);
        let emission = uid.map_or(0, |uid| super::neuron::at(&s::Emission::<T>::get(netuid), uid));
        Self::exists(netuid).then(|| StakeInfo {
            hotkey: hotkey.clone(),
            coldkey: coldkey.clone(),
            netuid: netuid.into(),
            stake: Self::stake_of(hotkey, coldkey, netuid).into(),
            locked: 0.into(),
            emission: emission.into(),
            tao_emission: 0.into(),
            drain: 0.into(),
            is_registered: uid.is_some(),
        })
    }

    /// All that a coldkey has staked, by hotkey and subnet.
    pub fn stakes_of(coldkey: &AccountId) -> Vec<StakeInfo> {
        let networks = Self::networks();
        s::StakingHotkeys::<T>::get(coldkey)
            .iter()
            .flat_map(|hotkey| networks.iter().filter_map(|netuid| Self::stake_info(hotkey, coldkey, *netuid)))
            .filter(|info| info.stake.0 > 0)
            .collect()
    }

    /// A hotkey that somebody owns. The returns are 0: they are a forecast, and this chain makes none.
    pub fn delegate(hotkey: &AccountId) -> Option<DelegateInfo> {
        if !s::Owner::<T>::contains_key(hotkey) {
            return None;
        }
        let networks = Self::networks();
        let mut nominators: Vec<(AccountId, Vec<(Compact<NetUid>, Compact<u64>)>)> = Vec::new();
        for netuid in &networks {
            for (coldkey, stake) in Self::holders(hotkey, *netuid) {
                let entry = (Compact(*netuid), Compact(stake));
                match nominators.iter_mut().find(|(known, _)| *known == coldkey) {
                    Some((_, list)) => list.push(entry),
                    None => nominators.push((coldkey, vec![entry])),
                }
            }
        }
        nominators.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let registered: Vec<(NetUid, u16)> =
            networks.iter().filter_map(|n| Some((*n, s::Uids::<T>::get(n, hotkey)?))).collect();
        Some(DelegateInfo {
            delegate_ss58: hotkey.clone(),
            take: s::Delegates::<T>::get(hotkey).into(),
            nominators,
            owner_ss58: s::Owner::<T>::get(hotkey),
            registrations: registered.iter().map(|(n, _)| Compact(*n)).collect(),
            validator_permits: registered
                .iter()
                .filter(|(n, uid)| super::neuron::at(&s::ValidatorPermit::<T>::get(n), *uid))
                .map(|(n, _)| Compact(*n))
                .collect(),
            return_per_1000: 0.into(),
            total_daily_return: 0.into(),
        })
    }

    /// All hotkeys that somebody owns, in order of account.
    pub fn delegates() -> Vec<DelegateInfo> {
        let mut hotkeys: Vec<AccountId> = s::Owner::<T>::iter_keys().collect();
        hotkeys.sort_unstable();
        hotkeys.iter().filter_map(Self::delegate).collect()
    }

    /// The hotkeys that a coldkey has staked to, with each stake.
    pub fn delegated(coldkey: &AccountId) -> Vec<(DelegateInfo, (Compact<NetUid>, Compact<u64>))> {
        Self::stakes_of(coldkey)
            .into_iter()
            .filter_map(|info| Some((Self::delegate(&info.hotkey)?, (info.netuid, info.stake))))
            .collect()
    }
}
