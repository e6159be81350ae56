//! Runtime APIs with the public names and signatures (chain.md 2). What is not declared here, this chain does not have.
#![allow(missing_docs, clippy::too_many_arguments)]

use crate::{
    info::{
        Availability, DelegateInfo, DynamicInfo, HyperparamEntry, Metagraph, NeuronInfo, NeuronInfoLite,
        SelectiveMetagraph, SimSwapResult, StakeInfo, SubnetHyperparams, SubnetHyperparamsV2, SubnetInfo, SubnetInfov2,
        SubnetPrice, SubnetState,
    },
    types::{AccountId, MechId, NetUid},
};
use parity_scale_codec::Compact;

sp_api::decl_runtime_apis! {
    pub trait NeuronInfoRuntimeApi {
        fn get_neurons(netuid: NetUid) -> Vec<NeuronInfo>;
        fn get_neuron(netuid: NetUid, uid: u16) -> Option<NeuronInfo>;
        fn get_neurons_lite(netuid: NetUid) -> Vec<NeuronInfoLite>;
        fn get_neuron_lite(netuid: NetUid, uid: u16) -> Option<NeuronInfoLite>;
    }

    #[api_version(2)]
    pub trait SubnetInfoRuntimeApi {
        fn get_subnet_info(netuid: NetUid) -> Option<SubnetInfo>;
        fn get_subnets_info() -> Vec<Option<SubnetInfo>>;
        fn get_subnet_info_v2(netuid: NetUid) -> Option<SubnetInfov2>;
        fn get_subnets_info_v2() -> Vec<Option<SubnetInfov2>>;
        fn get_subnet_hyperparams(netuid: NetUid) -> Option<SubnetHyperparams>;
        fn get_subnet_hyperparams_v2(netuid: NetUid) -> Option<SubnetHyperparamsV2>;
        fn get_subnet_hyperparams_v3(netuid: NetUid) -> Option<Vec<HyperparamEntry>>;
        fn get_all_dynamic_info() -> Vec<Option<DynamicInfo>>;
        fn get_dynamic_info(netuid: NetUid) -> Option<DynamicInfo>;
        fn get_metagraph(netuid: NetUid) -> Option<Metagraph>;
        fn get_all_metagraphs() -> Vec<Option<Metagraph>>;
        fn get_mechagraph(netuid: NetUid, mecid: MechId) -> Option<Metagraph>;
        fn get_all_mechagraphs() -> Vec<Option<Metagraph>>;
        fn get_selective_metagraph(netuid: NetUid, metagraph_indexes: Vec<u16>) -> Option<SelectiveMetagraph>;
        fn get_selective_mechagraph(netuid: NetUid, subid: MechId, metagraph_indexes: Vec<u16>) -> Option<SelectiveMetagraph>;
        fn get_subnet_state(netuid: NetUid) -> Option<SubnetState>;
        fn get_subnet_to_prune() -> Option<NetUid>;
        fn get_subnet_account_id(netuid: NetUid) -> Option<AccountId>;
        fn get_next_epoch_start_block(netuid: NetUid) -> Option<u64>;
    }

    pub trait StakeInfoRuntimeApi {
        fn get_stake_info_for_coldkey(coldkey_account: AccountId) -> Vec<StakeInfo>;
        fn get_stake_info_for_coldkeys(coldkey_accounts: Vec<AccountId>) -> Vec<(AccountId, Vec<StakeInfo>)>;
        fn get_stake_info_for_hotkey_coldkey_netuid(hotkey_account: AccountId, coldkey_account: AccountId, netuid: NetUid) -> Option<StakeInfo>;
        fn get_stake_availability_for_coldkeys(coldkey_accounts: Vec<AccountId>, netuids: Option<Vec<NetUid>>) -> Availability;
        fn get_stake_fee(origin: Option<(AccountId, NetUid)>, origin_coldkey_account: AccountId, destination: Option<(AccountId, NetUid)>, destination_coldkey_account: AccountId, amount: u64) -> u64;
    }

    pub trait DelegateInfoRuntimeApi {
        fn get_delegates() -> Vec<DelegateInfo>;
        fn get_delegate(delegate_account: AccountId) -> Option<DelegateInfo>;
        fn get_delegated(delegatee_account: AccountId) -> Vec<(DelegateInfo, (Compact<NetUid>, Compact<u64>))>;
    }

    pub trait SubnetRegistrationRuntimeApi {
        fn get_network_registration_cost() -> u64;
    }

    pub trait SwapRuntimeApi {
        fn current_alpha_price(netuid: NetUid) -> u64;
        fn current_alpha_price_all() -> Vec<SubnetPrice>;
        fn sim_swap_tao_for_alpha(netuid: NetUid, tao: u64) -> SimSwapResult;
        fn sim_swap_alpha_for_tao(netuid: NetUid, alpha: u64) -> SimSwapResult;
    }
}
