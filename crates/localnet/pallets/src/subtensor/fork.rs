//! A subnet as a metagraph snapshot describes it (`starling metagraph --json`), as a chain's beginning.
//!
//! Invariant: the chain goes on at the snapshot's block, so ages, immunity and the epoch clock are what they were; every alpha and TAO
//! that the snapshot shows is held by its neuron's coldkey and backed by the pool's accounts.
//!
//! What a snapshot does not say is as in a new subnet: weights and bonds (so incentives change with the first epoch in which validators
//! have set some), who nominated, children, pools (their price starts at 1), balances of the coldkeys.

use super::genesis_build::{DYNAMIC, STABLE};
use super::*;
use crate::types::SubnetIdentityV3;
use frame_support::traits::fungible::Mutate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What is read of a snapshot; other fields are ignored, those with a default may be absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Block of the snapshot.
    pub block: u32,
    /// Number of the subnet.
    pub netuid: NetUid,
    /// Name, empty for none.
    #[serde(default)]
    pub name: String,
    /// Symbol of its token.
    #[serde(default)]
    pub symbol: String,
    /// Coldkey of its owner.
    pub owner_coldkey: AccountId,
    /// Hotkey of its owner.
    pub owner_hotkey: AccountId,
    /// Blocks between epochs.
    pub tempo: u16,
    /// Block of the last epoch.
    pub last_step: u64,
    /// Blocks since then.
    pub blocks_since_last_step: u64,
    /// Neurons that fit.
    pub max_uids: u16,
    /// Majority that consensus needs, /65535.
    pub kappa: u16,
    /// Fewest weights.
    pub min_allowed_weights: u16,
    /// Least version key.
    pub weights_version: u64,
    /// Blocks between two settings of weights.
    pub weights_rate_limit: u64,
    /// Blocks without an update after which a validator is inactive.
    pub activity_cutoff: u64,
    /// Validator permits.
    pub max_validators: u16,
    /// Blocks without pruning.
    pub immunity_period: u16,
    /// Price of a registration, rao.
    pub burn: u64,
    /// Whether registrations are taken.
    pub registration_allowed: bool,
    /// Whether weights are committed and revealed.
    pub commit_reveal_enabled: bool,
    /// Epochs from commit to reveal.
    pub commit_reveal_period: u64,
    /// By uid, without gaps.
    pub neurons: Vec<Neuron>,
}

/// One neuron of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Neuron {
    pub uid: u16,
    pub hotkey: AccountId,
    pub coldkey: AccountId,
    pub active: bool,
    pub validator_permit: bool,
    pub last_update: u64,
    pub emission: u64,
    pub dividends: u16,
    pub incentive: u16,
    pub consensus: u16,
    #[serde(default)]
    pub validator_trust: u16,
    /// Rao; what the neuron weighs with, inherited stake included.
    pub alpha_stake: u64,
    /// Rao on the root network.
    pub tao_stake: u64,
    #[serde(default)]
    pub axon: Option<Axon>,
    pub block_at_registration: u64,
}

/// Where a neuron of a [`Snapshot`] serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Axon {
    pub block: u64,
    pub address: SocketAddr,
    pub protocol: u8,
    pub version: u32,
}

impl Snapshot {
    /// Says what is wrong with it, if anything is.
    ///
    /// # Errors
    /// What was found and what is needed.
    pub fn check(&self) -> Result<(), String> {
        if self.netuid == ROOT || self.netuid >= crate::types::GLOBAL_MAX_SUBNET_COUNT {
            return Err(format!(
                "netuid is {}; it must be 1 to {}",
                self.netuid,
                crate::types::GLOBAL_MAX_SUBNET_COUNT - 1
            ));
        }
        if self.block == 0 || self.block > u32::MAX / 2 {
            return Err(format!("block is {}; it must be 1 to {}", self.block, u32::MAX / 2));
        }
        if self.tempo == 0 {
            return Err("tempo is 0; a subnet without epochs cannot be forked".into());
        }
        if self.neurons.is_empty() || self.neurons.len() > usize::from(self.max_uids) {
            return Err(format!(
                "it has {} neurons; 1 to max_uids, {}, are possible",
                self.neurons.len(),
                self.max_uids
            ));
        }
        let mut hotkeys = std::collections::BTreeSet::new();
        for (uid, neuron) in self.neurons.iter().enumerate() {
            if usize::from(neuron.uid) != uid {
                return Err(format!("neuron number {uid} has uid {}; uids must be 0, 1, 2 and so on", neuron.uid));
            }
            if !hotkeys.insert(&neuron.hotkey) {
                return Err(format!("uid {uid} has the hotkey {} of another uid", neuron.hotkey));
            }
            let newest = neuron.last_update.max(neuron.block_at_registration);
            if newest > u64::from(self.block) {
                return Err(format!(
                    "uid {uid} was updated in block {newest}, after the snapshot's block {}",
                    self.block
                ));
            }
        }
        if self.last_step > u64::from(self.block) {
            return Err(format!("last_step is {}, after the snapshot's block {}", self.last_step, self.block));
        }
        let sum = |amount: fn(&Neuron) -> u64| {
            self.neurons.iter().map(amount).try_fold(0u64, u64::checked_add).filter(|sum| *sum < u64::MAX / 4)
        };
        if sum(|n| n.alpha_stake).is_none() || sum(|n| n.tao_stake).is_none() {
            return Err("the stakes add up to more than there can be".into());
        }
        Ok(())
    }
}

impl<T: Config> Pallet<T> {
    /// Builds the subnet of a checked snapshot into a genesis that has a root network; `pool` is TAO and alpha in its pool, rao.
    pub(crate) fn build_fork(snapshot: &Snapshot, pool: u64) {
        let (netuid, block) = (snapshot.netuid, u64::from(snapshot.block));
        frame_system::Pallet::<T>::set_block_number(snapshot.block.into());
        if !Self::exists(netuid) {
            Self::init_network(netuid, DYNAMIC, 0);
        }
        Self::fork_parameters(snapshot);
        Self::associate(&snapshot.owner_coldkey, &snapshot.owner_hotkey);
        for neuron in &snapshot.neurons {
            Self::associate(&neuron.coldkey, &neuron.hotkey);
            let uid = Self::append_neuron(netuid, &neuron.hotkey, neuron.block_at_registration);
            if let Some(axon) = &neuron.axon {
                let (ip, ip_type) = match axon.address.ip() {
                    IpAddr::V4(ip) => (u32::from(ip).into(), 4),
                    IpAddr::V6(ip) => (ip.into(), 6),
                };
                let (port, protocol) = (axon.address.port(), axon.protocol);
                let (version, block) = (axon.version, axon.block);
                let axon = AxonInfo { block, version, ip, port, ip_type, protocol, placeholder1: 0, placeholder2: 0 };
                Axons::<T>::insert(netuid, &neuron.hotkey, axon);
            }
            debug_assert_eq!(uid, neuron.uid);
        }
        macro_rules! columns {
            ($($item:ident: $field:ident),* $(,)?) => {$(
                $item::<T>::insert(netuid, snapshot.neurons.iter().map(|n| n.$field).collect::<Vec<_>>());
            )*};
        }
        columns!(
            Active: active,
            ValidatorPermit: validator_permit,
            LastUpdate: last_update,
            Emission: emission,
            Dividends: dividends,
            Incentive: incentive,
            Consensus: consensus,
            ValidatorTrust: validator_trust,
        );
        Self::fill_pool(netuid, pool);
        let mut staked = 0u64;
        for neuron in &snapshot.neurons {
            Self::credit(&neuron.hotkey, &neuron.coldkey, netuid, neuron.alpha_stake);
            staked = staked.saturating_add(neuron.alpha_stake);
            Self::fork_root_stake(neuron);
        }
        SubnetAlphaOut::<T>::mutate(netuid, |out| *out = out.saturating_add(staked));
        FirstEmissionBlockNumber::<T>::insert(netuid, block);
        SubtokenEnabled::<T>::insert(netuid, true);
    }

    fn fork_root_stake(neuron: &Neuron) {
        let tao = neuron.tao_stake;
        if tao > 0 && T::Currency::mint_into(&Self::subnet_account(ROOT), tao).is_ok() {
            Self::credit(&neuron.hotkey, &neuron.coldkey, ROOT, tao);
            SubnetTAO::<T>::mutate(ROOT, |v| *v = v.saturating_add(tao));
            SubnetAlphaOut::<T>::mutate(ROOT, |v| *v = v.saturating_add(tao));
            TotalStake::<T>::mutate(|v| *v = v.saturating_add(tao));
        }
    }

    fn fork_parameters(snapshot: &Snapshot) {
        let netuid = snapshot.netuid;
        SubnetOwner::<T>::insert(netuid, &snapshot.owner_coldkey);
        SubnetOwnerHotkey::<T>::insert(netuid, &snapshot.owner_hotkey);
        Tempo::<T>::insert(netuid, snapshot.tempo);
        LastMechansimStepBlock::<T>::insert(netuid, snapshot.last_step);
        BlocksSinceLastStep::<T>::insert(netuid, snapshot.blocks_since_last_step);
        LastEpochBlock::<T>::insert(netuid, u64::from(snapshot.block).saturating_sub(snapshot.blocks_since_last_step));
        MaxAllowedUids::<T>::insert(netuid, snapshot.max_uids);
        Kappa::<T>::insert(netuid, snapshot.kappa);
        MinAllowedWeights::<T>::insert(netuid, snapshot.min_allowed_weights);
        WeightsVersionKey::<T>::insert(netuid, snapshot.weights_version);
        WeightsSetRateLimit::<T>::insert(netuid, snapshot.weights_rate_limit);
        let factor = snapshot.activity_cutoff.saturating_mul(1_000).div_ceil(u64::from(snapshot.tempo.max(1)));
        ActivityCutoffFactorMilli::<T>::insert(netuid, u32::try_from(factor).unwrap_or(u32::MAX));
        MaxAllowedValidators::<T>::insert(netuid, snapshot.max_validators);
        ImmunityPeriod::<T>::insert(netuid, snapshot.immunity_period);
        Burn::<T>::insert(netuid, snapshot.burn);
        MinBurn::<T>::mutate(netuid, |least| *least = (*least).min(snapshot.burn));
        MaxBurn::<T>::mutate(netuid, |most| *most = (*most).max(snapshot.burn));
        NetworkRegistrationAllowed::<T>::insert(netuid, snapshot.registration_allowed);
        CommitRevealWeightsEnabled::<T>::insert(netuid, snapshot.commit_reveal_enabled);
        RevealPeriodEpochs::<T>::insert(netuid, snapshot.commit_reveal_period);
        if !snapshot.symbol.is_empty() {
            TokenSymbol::<T>::insert(netuid, snapshot.symbol.as_bytes());
        }
        if !snapshot.name.is_empty() {
            let subnet_name = snapshot.name.clone().into_bytes();
            SubnetIdentitiesV3::<T>::insert(netuid, SubnetIdentityV3 { subnet_name, ..Default::default() });
        }
        debug_assert_eq!(SubnetMechanism::<T>::get(ROOT), STABLE);
    }
}
