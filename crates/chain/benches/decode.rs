//! A metagraph's bytes to neurons, 256 and 4,096 uids, and metadata: what a command does besides waiting for the node.
//!
//! The bytes are a real answer of the local chain, forked from a snapshot of that many neurons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jsonrpsee::{core::client::ClientT as _, ws_client::WsClientBuilder};
use serde_json::json;
use starling_chain::{Client, Options, fuzzing, runtime::Runtime};
use starling_keys::Account;
use starling_localnet::{Localnet, LocalnetConfig, parse_snapshot};

async fn ask(url: &str, function: &str, argument: &str) -> Vec<u8> {
    let client = WsClientBuilder::new().build(url).await.unwrap();
    let answer: String = client.request("state_call", vec![json!(function), json!(argument)]).await.unwrap();
    hex::decode(&answer[2..]).unwrap()
}

/// The answer of a chain with so many neurons on subnet 1, and its metadata.
async fn answer(uids: u16) -> (Vec<u8>, Vec<u8>) {
    let quick = || LocalnetConfig { block_time: Some(Duration::from_millis(50)), ..LocalnetConfig::default() };
    let net = Localnet::start(quick()).await.unwrap();
    let chain = Client::connect(&net.url(), Options::default()).await.unwrap();
    chain.wait_for_block(1, Duration::from_secs(60)).await.unwrap();
    let mut graph = serde_json::to_value(chain.metagraph(1, None).await.unwrap()).unwrap();
    let first = graph["neurons"][0].clone();
    let neurons = (0..uids).map(|uid| {
        let mut neuron = first.clone();
        neuron["uid"] = uid.into();
        if uid > 0 {
            let mut key = [7; 32];
            key[..2].copy_from_slice(&uid.to_le_bytes());
            neuron["hotkey"] = Account(key).to_string().into();
        }
        neuron
    });
    graph["neurons"] = neurons.collect();
    graph["max_uids"] = uids.into();
    let fork = parse_snapshot(&serde_json::to_vec(&graph).unwrap()).unwrap();
    let net = Localnet::start(LocalnetConfig { fork: Some(fork), ..quick() }).await.unwrap();
    let metadata = ask(&net.url(), "Metadata_metadata_at_version", "0x0f000000").await;
    let metadata = starling_chain::runtime::metadata_answer(&metadata).unwrap().unwrap().to_vec();
    (ask(&net.url(), "SubnetInfoRuntimeApi_get_metagraph", "0x0100").await, metadata)
}

fn decode(c: &mut Criterion) {
    let rt = tokio::runtime::Runtime::new().unwrap();
    let mut group = c.benchmark_group("decode");
    let mut metadata = Vec::new();
    for uids in [256, 4096] {
        let (bytes, described) = rt.block_on(answer(uids));
        let runtime = Runtime::new(&described, 425, 1, [0; 32]).unwrap();
        assert_eq!(fuzzing::metagraph(&runtime, &bytes), Some(usize::from(uids)));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("metagraph-{uids}"), |b| {
            b.iter(|| fuzzing::metagraph(&runtime, black_box(&bytes)))
        });
        metadata = described;
    }
    group.throughput(Throughput::Bytes(metadata.len() as u64));
    group.bench_function("metadata", |b| b.iter(|| Runtime::new(black_box(&metadata), 425, 1, [0; 32])));
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
