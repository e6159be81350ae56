//! Runtime APIs with the public names and signatures (chain.md 2). What is not declared here, this chain does not have.
#![allow(missing_docs, clippy::too_many_arguments)]

use crate::{
    info::{HyperparamEntry, Metagraph, NeuronInfo, NeuronInfoLite, SubnetHyperparams, SubnetHyperparamsV2, SubnetInfo},
    types::{AccountId, NetUid},
};

sp_api::decl_runtime_apis! {
    pub trait NeuronInfoRuntimeApi {
        fn get_neurons(netuid: NetUid) -> Vec<NeuronInfo>;
        fn get_neuron(netuid: NetUid, uid: u16) -> Option<NeuronInfo>;
        fn get_neurons_lite(netuid: NetUid) -> Vec<NeuronInfoLite>;
        fn get_neuron_lite(netuid: NetUid, uid: u16) -> Option<NeuronInfoLite>;
    }

    pub trait SubnetInfoRuntimeApi {
        fn get_subnet_info(netuid: NetUid) -> Option<SubnetInfo>;
        fn get_subnets_info() -> Vec<Option<SubnetInfo>>;
        fn get_subnet_hyperparams(netuid: NetUid) -> Option<SubnetHyperparams>;
        fn get_subnet_hyperparams_v2(netuid: NetUid) -> Option<SubnetHyperparamsV2>;
        fn get_subnet_hyperparams_v3(netuid: NetUid) -> Option<Vec<HyperparamEntry>>;
        fn get_metagraph(netuid: NetUid) -> Option<Metagraph>;
        fn get_all_metagraphs() -> Vec<Option<Metagraph>>;
        fn get_next_epoch_start_block(netuid: NetUid) -> Option<u64>;
        fn get_subnet_account_id(netuid: NetUid) -> Option<AccountId>;
    }

    pub trait SubnetRegistrationRuntimeApi {
        fn get_network_registration_cost() -> u64;
    }
}
