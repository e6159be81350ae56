//! The subtensor's own JSON-RPC names (chain.md 8.6): runtime API calls whose answers are JSON arrays of SCALE bytes.

use jsonrpsee::core::RegisterMethodError;
use parity_scale_codec::{Decode, Encode};
use serde_json::{Value, json};
use sp_core::crypto::Ss58Codec;
use sp_runtime::AccountId32;

use super::{Answer, Methods, failed, invalid_params, list, needed, optional, state_call};

/// What a parameter is.
#[derive(Clone, Copy)]
enum Kind {
    U8,
    U16,
    U16s,
    /// An SS58 text, or an array of 32 bytes as older nodes had it.
    Account,
}

/// How the answer is given.
#[derive(Clone, Copy)]
enum Shape {
    Bytes,
    U64,
}

use Kind::{Account, U8, U16, U16s};
use Shape::{Bytes, U64};

const TABLE: &[(&str, &str, &[Kind], Shape)] = &[
    ("delegateInfo_getDelegates", "DelegateInfoRuntimeApi_get_delegates", &[], Bytes),
    ("delegateInfo_getDelegate", "DelegateInfoRuntimeApi_get_delegate", &[Account], Bytes),
    ("delegateInfo_getDelegated", "DelegateInfoRuntimeApi_get_delegated", &[Account], Bytes),
    ("neuronInfo_getNeurons", "NeuronInfoRuntimeApi_get_neurons", &[U16], Bytes),
    ("neuronInfo_getNeuron", "NeuronInfoRuntimeApi_get_neuron", &[U16, U16], Bytes),
    ("neuronInfo_getNeuronsLite", "NeuronInfoRuntimeApi_get_neurons_lite", &[U16], Bytes),
    ("neuronInfo_getNeuronLite", "NeuronInfoRuntimeApi_get_neuron_lite", &[U16, U16], Bytes),
    ("subnetInfo_getSubnetInfo", "SubnetInfoRuntimeApi_get_subnet_info", &[U16], Bytes),
    ("subnetInfo_getSubnetsInfo", "SubnetInfoRuntimeApi_get_subnets_info", &[], Bytes),
    ("subnetInfo_getSubnetInfo_v2", "SubnetInfoRuntimeApi_get_subnet_info_v2", &[U16], Bytes),
    ("subnetInfo_getSubnetsInfo_v2", "SubnetInfoRuntimeApi_get_subnets_info_v2", &[], Bytes),
    ("subnetInfo_getSubnetHyperparams", "SubnetInfoRuntimeApi_get_subnet_hyperparams", &[U16], Bytes),
    ("subnetInfo_getSubnetHyperparamsV2", "SubnetInfoRuntimeApi_get_subnet_hyperparams_v2", &[U16], Bytes),
    ("subnetInfo_getAllDynamicInfo", "SubnetInfoRuntimeApi_get_all_dynamic_info", &[], Bytes),
    ("subnetInfo_getDynamicInfo", "SubnetInfoRuntimeApi_get_dynamic_info", &[U16], Bytes),
    ("subnetInfo_getAllMetagraphs", "SubnetInfoRuntimeApi_get_all_metagraphs", &[], Bytes),
    ("subnetInfo_getMetagraph", "SubnetInfoRuntimeApi_get_metagraph", &[U16], Bytes),
    ("subnetInfo_getAllMechagraphs", "SubnetInfoRuntimeApi_get_all_mechagraphs", &[], Bytes),
    ("subnetInfo_getMechagraph", "SubnetInfoRuntimeApi_get_mechagraph", &[U16, U8], Bytes),
    ("subnetInfo_getSelectiveMetagraph", "SubnetInfoRuntimeApi_get_selective_metagraph", &[U16, U16s], Bytes),
    ("subnetInfo_getSelectiveMechagraph", "SubnetInfoRuntimeApi_get_selective_mechagraph", &[U16, U8, U16s], Bytes),
    ("subnetInfo_getSubnetState", "SubnetInfoRuntimeApi_get_subnet_state", &[U16], Bytes),
    ("subnetInfo_getSubnetToPrune", "SubnetInfoRuntimeApi_get_subnet_to_prune", &[], Bytes),
    ("subnetInfo_getSubnetAccountId", "SubnetInfoRuntimeApi_get_subnet_account_id", &[U16], Bytes),
    ("subnetInfo_getLockCost", "SubnetRegistrationRuntimeApi_get_network_registration_cost", &[], U64),
    ("swap_currentAlphaPrice", "SwapRuntimeApi_current_alpha_price", &[U16], U64),
];

fn account(value: &Value) -> Option<AccountId32> {
    match value {
        Value::String(text) => AccountId32::from_string(text).ok(),
        _ => serde_json::from_value::<[u8; 32]>(value.clone()).ok().map(AccountId32::new),
    }
}

fn encode(kinds: &[Kind], params: &[Value]) -> Result<Vec<u8>, jsonrpsee::types::ErrorObjectOwned> {
    let mut data = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        match kind {
            U8 => needed::<u8>(params, index)?.encode_to(&mut data),
            U16 => needed::<u16>(params, index)?.encode_to(&mut data),
            U16s => needed::<Vec<u16>>(params, index)?.encode_to(&mut data),
            Account => {
                let value: Value = needed(params, index)?;
                let account = account(&value);
                account.ok_or_else(|| invalid_params(format!("{value} is not an account")))?.encode_to(&mut data);
            }
        }
    }
    Ok(data)
}

pub fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    for (name, function, kinds, shape) in TABLE {
        methods.module.register_blocking_method(name, move |params, chain, _| -> Answer {
            let params = list(&params)?;
            let answer = state_call(&chain, function, &encode(kinds, &params)?, optional(&params, kinds.len())?)?;
            Ok(match shape {
                Bytes => json!(answer),
                U64 => json!(u64::decode(&mut &answer[..]).map_err(failed)?),
            })
        })?;
    }
    Ok(())
}
