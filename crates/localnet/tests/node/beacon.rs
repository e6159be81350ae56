//! The local beacon's rounds, and chain time that goes by the block.

use std::time::Duration;

use parity_scale_codec::Decode;
use serde_json::json;
use starling_localnet::{Localnet, LocalnetConfig};
use starling_pallets::drand::{BeaconConfiguration, Pulse};
use starling_timelock::{PublicKey, Rounds, Signature};

use crate::support::{client, get, on_demand};

fn key(pallet: &str, entry: &str, rest: &[u8]) -> String {
    let hash = |text: &str| sp_crypto_hashing::twox_128(text.as_bytes());
    format!("0x{}", hex::encode([&hash(pallet)[..], &hash(entry), rest].concat()))
}

async fn read<T: Decode>(client: &jsonrpsee::ws_client::WsClient, key: String) -> Option<T> {
    let value = get(client, "state_getStorage", json!([key])).await;
    let bytes = hex::decode(value.as_str()?.trim_start_matches("0x")).unwrap();
    Some(T::decode(&mut &bytes[..]).unwrap())
}

fn pulse(round: u64) -> String {
    let encoded = round.to_le_bytes();
    key("Drand", "Pulses", &[&sp_crypto_hashing::blake2_128(&encoded)[..], &encoded].concat())
}

/// Blocks that lie 12 seconds apart and are made in no time: every round of it is stored, none before the chain's clock reached it, and each opens with the
/// key that the chain names.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_come_by_the_chain_s_own_clock_and_verify_with_the_key_that_it_names() {
    let config = LocalnetConfig { step: Some(Duration::from_secs(12)), beacon: Some(5), ..on_demand() };
    let node = Localnet::start(config).await.unwrap();
    let rpc = client(&node.url()).await;
    let config: BeaconConfiguration = read(&rpc, key("Drand", "BeaconConfig", &[])).await.unwrap();
    let beacon = PublicKey::from_bytes(&config.public_key).unwrap();
    let rounds = Rounds { genesis: config.genesis_time.into(), period: 5 };
    let mut first = None;
    let mut before = None;
    for _ in 0..20 {
        node.produce_block().await.unwrap();
        let now: u64 = read(&rpc, key("Timestamp", "Now", &[])).await.unwrap();
        if let Some(before) = before.replace(now) {
            assert_eq!(now - before, 12_000);
        }
        let last: u64 = read(&rpc, key("Drand", "LastStoredRound", &[])).await.unwrap();
        assert_eq!(last, rounds.published_at(now));
        for round in *first.get_or_insert(last)..=last {
            let stored: Pulse = read(&rpc, pulse(round)).await.unwrap();
            let signature = Signature::from_bytes(&stored.signature).unwrap();
            assert!(beacon.verifies(round, &signature), "{round}");
        }
    }
    node.shutdown().await;
}
