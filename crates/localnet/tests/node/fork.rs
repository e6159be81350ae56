//! A chain that begins in the millions, as the fork of a subnet (its contents have their tests in the pallets).

use serde_json::{Value, json};
use starling_localnet::{Localnet, LocalnetConfig, LocalnetError, Snapshot};
use subxt_signer::sr25519::dev;

use crate::support::{ALICE, BOB, client, get, height, legacy, on_demand, remark, signed};

const BLOCK: u64 = 5_000_000;

fn snapshot() -> Snapshot {
    let neuron = json!({
        "uid": 0, "hotkey": ALICE, "coldkey": BOB, "active": true, "validator_permit": true, "last_update": BLOCK - 7,
        "emission": 1, "dividends": 2, "incentive": 3, "consensus": 4, "alpha_stake": 5_000_000_000u64, "tao_stake": 0,
        "block_at_registration": 7, "a_field_of_tomorrow": [1, 2]
    });
    serde_json::from_value(json!({
        "block": BLOCK, "netuid": 9, "owner_coldkey": BOB, "owner_hotkey": ALICE, "tempo": 360, "last_step": BLOCK - 10,
        "blocks_since_last_step": 10, "max_uids": 256, "kappa": 32_767, "min_allowed_weights": 1, "weights_version": 0,
        "weights_rate_limit": 100, "activity_cutoff": 5_000, "max_validators": 64, "immunity_period": 4_096, "burn": 1,
        "registration_allowed": true, "commit_reveal_enabled": true, "commit_reveal_period": 1, "neurons": [neuron]
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_go_on_at_the_snapshot_s_number_and_transactions_find_their_genesis() {
    let directory = tempfile::tempdir().unwrap();
    let config = LocalnetConfig { fork: Some(snapshot()), state: Some(directory.path().to_owned()), ..on_demand() };
    let node = Localnet::start(config.clone()).await.unwrap();
    let rpc = client(&node.url()).await;
    assert_eq!(height(&rpc).await, BLOCK + 1, "the first block is there at once");
    let hash = |number: u64| get(&rpc, "chain_getBlockHash", json!([number]));
    let (genesis, first) = (hash(0).await, hash(BLOCK + 1).await);
    assert!(genesis.is_string() && first.is_string());
    for nothing in [1, BLOCK, BLOCK + 2] {
        assert_eq!(hash(nothing).await, Value::Null, "block {nothing}");
    }
    assert_eq!(get(&rpc, "chain_getHeader", json!([first])).await["parentHash"], genesis);

    // A mortal transaction, signed by a stock client for this genesis.
    let api = legacy(&node.url()).await;
    let extrinsic = signed(&api, &dev::alice(), &remark(b"forked"), 0).await;
    get(&rpc, "author_submitExtrinsic", json!([extrinsic])).await;
    node.produce_block().await.unwrap();
    let block = get(&rpc, "chain_getBlock", json!([hash(BLOCK + 2).await])).await;
    assert_eq!(block["block"]["extrinsics"][1], json!(extrinsic));
    let newest = get(&rpc, "chain_getBlockHash", json!([])).await;
    node.shutdown().await;

    let node = Localnet::start(config).await.unwrap();
    let rpc = client(&node.url()).await;
    assert_eq!(get(&rpc, "chain_getBlockHash", json!([])).await, newest, "continued, not begun again");
    node.produce_block().await.unwrap();
    assert_eq!(height(&rpc).await, BLOCK + 3);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_contradicts_itself_starts_nothing() {
    let config = LocalnetConfig { fork: Some(Snapshot { netuid: 0, ..snapshot() }), ..on_demand() };
    let error = Localnet::start(config).await.unwrap_err();
    assert!(matches!(&error, LocalnetError::Fork(why) if why.contains("netuid is 0")), "{error}");
}
