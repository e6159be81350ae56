//! Bad input and bad circumstances: an answer in words, and the node lives.

use jsonrpsee::ws_client::WsClientBuilder;
use serde_json::{Value, json};
use starling_localnet::{Localnet, LocalnetConfig, LocalnetError};
use subxt_signer::sr25519::dev;

use crate::support::{
    ALICE, client, get, height, legacy, nested, node, nonce, on_demand, refusal, remark, request, signed,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_folder_in_use_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let with_folder = || LocalnetConfig { state: Some(directory.path().to_owned()), ..on_demand() };
    let node = Localnet::start(with_folder()).await.unwrap();
    let listen = node.url().trim_start_matches("ws://").parse().unwrap();
    let error = Localnet::start(LocalnetConfig { listen, ..on_demand() }).await.unwrap_err();
    assert!(matches!(&error, LocalnetError::Bind { .. }) && error.to_string().contains("--listen"), "{error}");
    let error = Localnet::start(with_folder()).await.unwrap_err();
    assert!(matches!(error, LocalnetError::Store { .. }), "{error}");
    node.produce_block().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_blocks_go_on() {
    let node = node().await;
    let client = client(&node.url()).await;
    for junk in ["0x", "0x00", "0xffffffffffffffff", "0x280403000b", "no hex"] {
        assert!(request(&client, "author_submitExtrinsic", json!([junk])).await.is_err(), "{junk}");
    }
    // The inherent that only the author may set; submitted, it would panic in the block.
    let timestamp = "0x280502000b00a0724e1809";
    refusal(&client, "author_submitExtrinsic", json!([timestamp])).await;
    for method in
        ["Nonsense_method", "Core_execute_block", "BlockBuilder_apply_extrinsic", "BlockBuilder_finalize_block"]
    {
        assert_eq!(refusal(&client, "state_call", json!([method, "0xdeadbeef"])).await, 4003, "{method}");
    }
    for (method, params) in [
        ("state_getStorage", json!(["0x00", "0x11"])),
        ("state_getStorage", json!([])),
        ("state_getStorage", json!([{ "key": 1 }])),
        ("chain_getBlockHash", json!([-1])),
        ("chain_getBlockHash", json!([u64::MAX])),
        ("state_getKeysPaged", json!(["0x", -5])),
        ("system_accountNextIndex", json!(["5Grw"])),
        ("state_queryStorageAt", json!([vec!["0x00"; 1001]])),
        ("neuronInfo_getNeuron", json!([1, 70_000])),
        ("chainHead_v1_header", json!([1, 2])),
    ] {
        assert_eq!(refusal(&client, method, params.clone()).await, -32602, "{method} {params}");
    }
    let unknown = format!("0x{}", "11".repeat(32));
    assert_eq!(get(&client, "chain_getBlock", json!([unknown])).await, Value::Null);
    assert_eq!(refusal(&client, "state_getStorage", json!(["0x00", unknown])).await, 4003);
    node.produce_block().await.unwrap();
    assert_eq!(height(&client).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_is_refused_and_the_node_lives() {
    let node = Localnet::start(LocalnetConfig { max_request: 64 << 10, ..on_demand() }).await.unwrap();
    let large = WsClientBuilder::default().build(node.url()).await.unwrap();
    let junk = format!("0x{}", "00".repeat(64 << 10));
    assert!(request(&large, "author_submitExtrinsic", json!([junk])).await.is_err());
    node.produce_block().await.unwrap();
    assert_eq!(height(&client(&node.url()).await).await, 1);
}

/// Natively a stack that overflows would end the process, not the call.
#[tokio::test(flavor = "multi_thread")]
async fn calls_nested_without_end_are_refused_and_calls_nested_deeply_are_executed() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let deepest = signed(&api, &dev::alice(), &nested(32), 0).await;
    get(&client, "payment_queryInfo", json!([deepest])).await;
    get(&client, "author_submitExtrinsic", json!([deepest])).await;
    node.produce_block().await.unwrap();
    assert_eq!(nonce(&client, ALICE).await, 1, "it is in the block");

    // A bare extrinsic around a million batches: version 5, no signature.
    let body = [&[5], nested(1_000_000).as_slice()].concat();
    let length = parity_scale_codec::Encode::encode(&parity_scale_codec::Compact(body.len() as u32));
    let endless = [length, body].concat();
    let text = |prefix: &[u8]| format!("0x{}{}", hex::encode(prefix), hex::encode(&endless));
    assert_eq!(refusal(&client, "author_submitExtrinsic", json!([text(&[])])).await, 1002);
    refusal(&client, "payment_queryInfo", json!([text(&[])])).await;
    refusal(&client, "system_dryRun", json!([text(&[])])).await;
    for (method, prefix) in [
        ("TransactionPaymentApi_query_fee_details", &[][..]),
        ("BlockBuilder_apply_extrinsic", &[][..]),
        ("TaggedTransactionQueue_validate_transaction", &[2][..]),
        // A header of nothing (hash, number 0, two roots, no digest) and one extrinsic.
        ("Core_execute_block", &[&[0u8; 32 + 1 + 32 + 32 + 1][..], &[4]].concat()),
        ("BlockBuilder_check_inherents", &[&[0u8; 32 + 1 + 32 + 32 + 1][..], &[4]].concat()),
    ] {
        assert_eq!(refusal(&client, "state_call", json!([method, text(prefix)])).await, 4003, "{method}");
    }
    node.produce_block().await.unwrap();
    assert_eq!(height(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_is_in_its_block_and_one_that_cannot_pay_is_not() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    // Sudo without being root fails in the block; its fee and nonce are spent.
    let sudo = [&[12, 0], remark(b"not mine").as_slice()].concat();
    let fails = signed(&api, &dev::bob(), &sudo, 0).await;
    get(&client, "author_submitExtrinsic", json!([fails])).await;
    let poor = subxt_signer::sr25519::Keypair::from_uri(&"//Nobody".parse().unwrap()).unwrap();
    let cannot_pay = signed(&api, &poor, &remark(b"x"), 0).await;
    assert_eq!(refusal(&client, "author_submitExtrinsic", json!([cannot_pay])).await, 1010);
    node.produce_block().await.unwrap();
    let block = get(&client, "chain_getBlock", json!([])).await;
    assert_eq!(block["block"]["extrinsics"].as_array().unwrap()[1..], [json!(fails)]);
}
