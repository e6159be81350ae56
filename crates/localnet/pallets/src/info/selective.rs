//! The parts of a metagraph that a client asks for (chain.md 2, `SelectiveMetagraph`).

use parity_scale_codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use super::Metagraph;
use crate::{
    info::CommitmentSource,
    subtensor::{self as s, Config, Pallet},
    types::{AccountId, AxonInfo, ChainIdentityV2, FixedI128, MechId, NetUid, SubnetIdentityV3},
};

/// Index by which a client asks for the subnet's number.
const NETUID: u16 = 0;
/// Index of the list of validators.
const VALIDATORS: u16 = 72;
/// Index of the commitments.
const COMMITMENTS: u16 = 73;

/// One list of index, field and type makes the struct and what fills it: they cannot disagree.
macro_rules! selective {
    ($($index:literal $field:ident: $ty:ty,)*) => {
        /// A metagraph of which only some fields are there.
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
        #[allow(missing_docs)]
        pub struct SelectiveMetagraph {
            /// 0 unless it was asked for.
            pub netuid: Compact<NetUid>,
            $(pub $field: Option<$ty>,)*
            /// Uids with a validator permit.
            pub validators: Option<Vec<Compact<u16>>>,
            /// Encoded `Registration` of every hotkey that committed.
            pub commitments: Option<Vec<(AccountId, Vec<Compact<u8>>)>>,
        }

        impl SelectiveMetagraph {
            /// The wanted fields of a whole metagraph; validators and commitments are no part of one.
            pub fn pick(m: Metagraph, wanted: &[u16]) -> Self {
                let has = |index: u16| wanted.contains(&index);
                Self {
                    netuid: if has(NETUID) { m.netuid } else { Compact(0) },
                    $($field: has($index).then_some(m.$field),)*
                    validators: None,
                    commitments: None,
                }
            }
        }
    };
}

selective! {
    1 name: Vec<Compact<u8>>,
    2 symbol: Vec<Compact<u8>>,
    3 identity: Option<SubnetIdentityV3>,
    4 network_registered_at: Compact<u64>,
    5 owner_hotkey: AccountId,
    6 owner_coldkey: AccountId,
    7 block: Compact<u64>,
    8 tempo: Compact<u16>,
    9 last_step: Compact<u64>,
    10 blocks_since_last_step: Compact<u64>,
    11 subnet_emission: Compact<u64>,
    12 alpha_in: Compact<u64>,
    13 alpha_out: Compact<u64>,
    14 tao_in: Compact<u64>,
    15 alpha_out_emission: Compact<u64>,
    16 alpha_in_emission: Compact<u64>,
    17 tao_in_emission: Compact<u64>,
    18 pending_alpha_emission: Compact<u64>,
    19 pending_root_emission: Compact<u64>,
    20 subnet_volume: Compact<u128>,
    21 moving_price: FixedI128,
    22 rho: Compact<u16>,
    23 kappa: Compact<u16>,
    24 min_allowed_weights: Compact<u16>,
    25 max_weights_limit: Compact<u16>,
    26 weights_version: Compact<u64>,
    27 weights_rate_limit: Compact<u64>,
    28 activity_cutoff: Compact<u64>,
    29 max_validators: Compact<u16>,
    30 num_uids: Compact<u16>,
    31 max_uids: Compact<u16>,
    32 burn: Compact<u64>,
    33 difficulty: Compact<u64>,
    34 registration_allowed: bool,
    35 pow_registration_allowed: bool,
    36 immunity_period: Compact<u16>,
    37 min_difficulty: Compact<u64>,
    38 max_difficulty: Compact<u64>,
    39 min_burn: Compact<u64>,
    40 max_burn: Compact<u64>,
    41 adjustment_alpha: Compact<u64>,
    42 adjustment_interval: Compact<u16>,
    43 target_regs_per_interval: Compact<u16>,
    44 max_regs_per_block: Compact<u16>,
    45 serving_rate_limit: Compact<u64>,
    46 commit_reveal_weights_enabled: bool,
    47 commit_reveal_period: Compact<u64>,
    48 liquid_alpha_enabled: bool,
    49 alpha_high: Compact<u16>,
    50 alpha_low: Compact<u16>,
    51 bonds_moving_avg: Compact<u64>,
    52 hotkeys: Vec<AccountId>,
    53 coldkeys: Vec<AccountId>,
    54 identities: Vec<Option<ChainIdentityV2>>,
    55 axons: Vec<AxonInfo>,
    56 active: Vec<bool>,
    57 validator_permit: Vec<bool>,
    58 pruning_score: Vec<Compact<u16>>,
    59 last_update: Vec<Compact<u64>>,
    60 emission: Vec<Compact<u64>>,
    61 dividends: Vec<Compact<u16>>,
    62 incentives: Vec<Compact<u16>>,
    63 consensus: Vec<Compact<u16>>,
    64 trust: Vec<Compact<u16>>,
    65 rank: Vec<Compact<u16>>,
    66 block_at_registration: Vec<Compact<u64>>,
    67 alpha_stake: Vec<Compact<u64>>,
    68 tao_stake: Vec<Compact<u64>>,
    69 total_stake: Vec<Compact<u64>>,
    70 tao_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
    71 alpha_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
}

impl<T: Config> Pallet<T> {
    /// The parts of the metagraph whose indices (chain.md 2) are given; unknown indices are ignored.
    pub fn selective_metagraph(netuid: NetUid, wanted: &[u16]) -> Option<SelectiveMetagraph> {
        Self::selective(netuid, Self::metagraph_with(netuid, |index| wanted.contains(&index))?, wanted)
    }

    /// As [`Self::selective_metagraph`], of one mechanism.
    pub fn selective_mechagraph(netuid: NetUid, mecid: MechId, wanted: &[u16]) -> Option<SelectiveMetagraph> {
        Self::selective(netuid, Self::mechagraph_with(netuid, mecid, |index| wanted.contains(&index))?, wanted)
    }

    fn selective(netuid: NetUid, graph: super::Metagraph, wanted: &[u16]) -> Option<SelectiveMetagraph> {
        let mut picked = SelectiveMetagraph::pick(graph, wanted);
        if wanted.contains(&VALIDATORS) {
            let permits = s::ValidatorPermit::<T>::get(netuid);
            let uids = (0u16..).zip(permits).filter(|(_, permit)| *permit).map(|(uid, _)| Compact(uid));
            picked.validators = Some(uids.collect());
        }
        if wanted.contains(&COMMITMENTS) {
            let all = T::Commitments::commitments(netuid);
            picked.commitments =
                Some(all.into_iter().map(|(who, bytes)| (who, super::metagraph::text(&bytes))).collect());
        }
        Some(picked)
    }
}
