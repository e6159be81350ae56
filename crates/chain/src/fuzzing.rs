//! What a node may send, as functions of bytes: the bodies of the fuzz targets in `fuzz/`, also driven by `tests/fuzzing.rs`.
//!
//! Invariant of each: it returns, whatever the bytes; true if they made sense. Not part of the API.
#![allow(missing_docs)]

use crate::{
    BlockRef, ChainError, Column, client,
    columns::read_selection,
    dial, hyperparameters,
    metagraph::{read_axon, read_metagraph},
    neuron::{read_certificate, read_prometheus},
    outcome, queries,
    runtime::{Runtime, metadata_answer},
    value::Value,
};

/// Runtime APIs that the client calls, with arguments.
fn apis() -> [(&'static str, Vec<Value>); 7] {
    let netuid = || Value::from(1_u16);
    [
        ("get_metagraph", vec![netuid()]),
        ("get_subnet_hyperparams_v3", vec![netuid()]),
        ("get_subnet_hyperparams_v2", vec![netuid()]),
        ("get_subnet_hyperparams", vec![netuid()]),
        ("get_subnets_info_v2", vec![]),
        ("get_dynamic_info", vec![netuid()]),
        ("get_selective_metagraph", vec![netuid(), [8_u16, 52].as_slice().into()]),
    ]
}

/// Metadata, and names looked up and written by it.
pub fn metadata(bytes: &[u8]) -> bool {
    let Ok(runtime) = Runtime::new(bytes, 1, 1, [0; 32]) else { return false };
    for (method, arguments) in apis() {
        if let Ok(query) = runtime.api("SubnetInfoRuntimeApi", method, &arguments) {
            let _ = runtime.read_api(&query, &[1; 64]);
        }
    }
    for (entry, keys) in [("Axons", vec![Value::from(1_u16), [1; 32].into()]), ("Tempo", vec![Value::from(1_u16)])] {
        if let Ok(query) = runtime.storage("SubtensorModule", entry, &keys) {
            let _ = runtime.read_storage(&query, Some(&[1; 64]));
            let _ = runtime.read_storage(&query, None);
        }
    }
    let weights =
        [("netuid", 1_u16.into()), ("dests", [1_u16].as_slice().into()), ("weights", [1_u16].as_slice().into())];
    let _ = runtime.call("SubtensorModule", "set_weights", &[&weights[..], &[("version_key", 0_u64.into())]].concat());
    let _ = runtime.has_variant("Data", "Raw1");
    for index in 0..=u8::MAX {
        let _ = runtime.module_error(index, index);
    }
    true
}

/// The node's answer around metadata.
pub fn metadata_envelope(bytes: &[u8]) {
    let _ = metadata_answer(bytes);
}

/// A runtime API's answer: the first byte chooses which.
pub fn answer(runtime: &Runtime, bytes: &[u8]) -> bool {
    let Some((which, bytes)) = bytes.split_first() else { return false };
    let apis = apis();
    let (method, arguments) = &apis[usize::from(*which) % apis.len()];
    let Ok(query) = runtime.api("SubnetInfoRuntimeApi", method, arguments) else { return false };
    let Ok(value) = runtime.read_api(&query, bytes) else { return false };
    let block = BlockRef { number: 1, hash: [1; 32] };
    let inner = value.optional().ok().flatten().unwrap_or(&value);
    let graph = read_metagraph(inner, 1.into(), block, &[]).is_ok();
    let hyperparameters = hyperparameters::read(inner).and_then(hyperparameters::Hyperparameters::new).is_ok();
    let subnets =
        value.list().is_ok_and(|list| list.iter().filter(|info| queries::read_subnet(info).is_ok()).count() > 0);
    let selection = read_selection(inner, 1.into(), block, Column::ALL, None).is_ok();
    graph || hyperparameters || subnets || selection
}

/// A metagraph's bytes to its neurons, whose number is answered: for the bench.
pub fn metagraph(runtime: &Runtime, bytes: &[u8]) -> Option<usize> {
    let query = runtime.api("SubnetInfoRuntimeApi", "get_metagraph", &[Value::from(1_u16)]).ok()?;
    let value = runtime.read_api(&query, bytes).ok()?;
    let block = BlockRef { number: 1, hash: [1; 32] };
    Some(read_metagraph(value.optional().ok()??, 1.into(), block, &[]).ok()?.neurons.len())
}

/// A storage value: the first byte chooses which.
pub fn storage(runtime: &Runtime, bytes: &[u8]) -> bool {
    let Some((which, bytes)) = bytes.split_first() else { return false };
    let (netuid, account) = (Value::from(1_u16), Value::from([1; 32]));
    let entries = [
        ("SubtensorModule", "Axons", vec![netuid.clone(), account.clone()]),
        ("SubtensorModule", "WeightCommits", vec![netuid.clone(), account.clone()]),
        ("SubtensorModule", "Weights", vec![netuid.clone(), netuid.clone()]),
        ("Commitments", "CommitmentOf", vec![netuid.clone(), account.clone()]),
        ("System", "Account", vec![account.clone()]),
        ("SubtensorModule", "Prometheus", vec![netuid.clone(), account.clone()]),
        ("SubtensorModule", "NeuronCertificates", vec![netuid.clone(), account]),
        ("SubtensorModule", "ValidatorTrust", vec![netuid]),
    ];
    let (pallet, entry, keys) = &entries[usize::from(*which) % entries.len()];
    let Ok(query) = runtime.storage(pallet, entry, keys) else { return false };
    let Ok(Some(value)) = runtime.read_storage(&query, Some(bytes)) else { return false };
    let _ = read_axon(&value);
    let _ = read_prometheus(&value);
    let _ = read_certificate(&value);
    let _ = queries::read_commitment(&value);
    true
}

/// A block's events.
pub fn events(runtime: &Runtime, bytes: &[u8]) -> bool {
    let Ok(query) = runtime.storage("System", "Events", &[]) else { return false };
    let Ok(Some(records)) = runtime.read_storage(&query, Some(bytes)) else { return false };
    let mut some = false;
    for index in 0..4 {
        let Ok(events) = outcome::events_of(&records, outcome::of_extrinsic(index)) else { continue };
        for event in events {
            some = true;
            let _ = outcome::dispatch_error(runtime, event.fields.field_or_self("dispatch_error"));
        }
    }
    some
}

/// What a node says in plain text: hex, numbers, the head of an HTTP answer, refusals.
pub fn words(bytes: &[u8]) {
    dial::read_refusal(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (client::parse_hash(text), client::parse_number(text), client::parse_hex(text));
        let _ = outcome::read_refusal(text);
        let error = ChainError::Node { method: "m".into(), code: 1010, message: text.to_owned() };
        let _ = (error.to_string(), crate::answers::too_many(&error));
    }
}
