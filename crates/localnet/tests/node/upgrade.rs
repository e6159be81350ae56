//! Runtimes to be seen as, and the way from one to the next while clients are connected (chain.md 0; design D6).

use jsonrpsee::core::client::{Subscription, SubscriptionClientT};
use jsonrpsee::rpc_params;
use parity_scale_codec::Decode;
use serde_json::{Value, json};
use starling_localnet::{Hyperparams, Localnet, LocalnetConfig, LocalnetError, Presentation};
use subxt::{dynamic, ext::scale_value::Value as Scale};
use subxt_signer::sr25519::dev;

use crate::support::{ALICE, client, get, height, legacy, next, nonce, on_demand, refusal, remark, request, signed};

async fn starting_as(spec: u32) -> Localnet {
    Localnet::start(LocalnetConfig { runtime: Presentation::of(spec), ..on_demand() }).await.unwrap()
}

async fn spec(client: &jsonrpsee::ws_client::WsClient, at: &Value) -> Value {
    get(client, "state_getRuntimeVersion", json!([at])).await["specVersion"].clone()
}

/// Whether metadata at a block knows `NetUid`.
async fn composite(client: &jsonrpsee::ws_client::WsClient, at: &Value) -> bool {
    let answer = get(client, "state_call", json!(["Metadata_metadata_at_version", "0x0f000000", at])).await;
    let bytes = hex::decode(answer.as_str().unwrap().trim_start_matches("0x")).unwrap();
    let metadata = Option::<Vec<u8>>::decode(&mut &bytes[..]).unwrap().expect("V15");
    metadata.windows(24).any(|part| part == b"subtensor_runtime_common")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_announced_and_each_block_keeps_the_runtime_it_had() {
    let node = starting_as(425).await;
    let client = client(&node.url()).await;
    let mut versions: Subscription<Value> = client
        .subscribe("state_subscribeRuntimeVersion", rpc_params![], "state_unsubscribeRuntimeVersion")
        .await
        .unwrap();
    let mut follow: Subscription<Value> =
        client.subscribe("chainHead_v1_follow", rpc_params![true], "chainHead_v1_unfollow").await.unwrap();
    assert_eq!(next(&mut versions).await["specVersion"], 425);
    assert_eq!(next(&mut follow).await["finalizedBlockRuntime"]["spec"]["specVersion"], 425);

    node.produce_block().await.unwrap();
    assert_eq!(get(&client, "dev_upgrade", json!([466])).await, json!({ "block": 2, "specVersion": 466 }));
    node.produce_block().await.unwrap();
    node.produce_block().await.unwrap();
    assert_eq!(next(&mut versions).await["specVersion"], 466);
    let mut announced = Vec::new();
    while announced.len() < 3 {
        let event = next(&mut follow).await;
        if event["event"] == "newBlock" {
            announced.push(event["newRuntime"]["spec"]["specVersion"].clone());
        }
    }
    assert_eq!(announced, [Value::Null, json!(466), Value::Null], "the second block changed it");

    let hash = |number: u32| get(&client, "chain_getBlockHash", json!([number]));
    for (number, expected) in [(0, 425), (1, 425), (2, 466), (3, 466)] {
        let at = hash(number).await;
        assert_eq!(spec(&client, &at).await, expected, "block {number}");
        assert_eq!(composite(&client, &at).await, expected == 466, "block {number}");
    }
    let header = get(&client, "chain_getHeader", json!([hash(2).await])).await;
    assert_eq!(header["digest"]["logs"], json!(["0x08"]), "the runtime's environment was updated");
    assert_eq!(get(&client, "chain_getHeader", json!([hash(3).await])).await["digest"]["logs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_the_old_runtime_is_refused_before_and_after_it_waited() {
    let node = starting_as(425).await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let old = signed(&api, &dev::alice(), &remark(b"old"), 0).await;
    // Its nonce is ahead: it waits over the upgrade.
    let waiting = signed(&api, &dev::bob(), &remark(b"waits"), 1).await;
    let mut watch: Subscription<Value> = client
        .subscribe("author_submitAndWatchExtrinsic", rpc_params![waiting], "author_unwatchExtrinsic")
        .await
        .unwrap();
    assert_eq!(next(&mut watch).await, "future");
    // What is in the upgrading block itself still runs as before.
    let last = signed(&api, &dev::charlie(), &remark(b"last"), 0).await;
    get(&client, "author_submitExtrinsic", json!([last])).await;
    node.upgrade(Presentation::of(466), None).await.unwrap();
    node.produce_block().await.unwrap();
    let block = get(&client, "chain_getBlock", json!([])).await;
    assert_eq!(block["block"]["extrinsics"][1], json!(last));

    match request(&client, "author_submitExtrinsic", json!([old])).await {
        Err(jsonrpsee::core::client::Error::Call(error)) => {
            assert_eq!((error.code(), error.message()), (1010, "Invalid Transaction"));
            assert!(error.data().unwrap().get().contains("bad signature"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    node.produce_block().await.unwrap();
    assert_eq!(next(&mut watch).await, "invalid");
    assert_eq!(get(&client, "author_pendingExtrinsics", json!([])).await, json!([]));
    // Who asks anew signs for the new runtime.
    let api = legacy(&node.url()).await;
    let new = signed(&api, &dev::alice(), &remark(b"new"), nonce(&client, ALICE).await).await;
    get(&client, "author_submitExtrinsic", json!([new])).await;
    node.produce_block().await.unwrap();
    assert_eq!(get(&client, "chain_getBlock", json!([])).await["block"]["extrinsics"][1], json!(new));
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_upgrades_it_by_the_call_of_real_chains() {
    let node = starting_as(365).await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let code = Presentation::of(425).code();
    let set_code = Scale::named_variant("set_code_without_checks", [("code", Scale::from_bytes(code))]);
    let set_code = Scale::unnamed_variant("System", [set_code]);
    let weight = Scale::named_composite([("ref_time", Scale::u128(1)), ("proof_size", Scale::u128(1))]);
    let sudo = dynamic::transaction("Sudo", "sudo_unchecked_weight", vec![set_code, weight]);
    let mut transactions = api.tx().await.unwrap();
    let params = subxt::config::DefaultExtrinsicParamsBuilder::new().nonce(0).build();
    let transaction = transactions.create_signed(&sudo, &dev::alice(), params).await.unwrap();
    let hex = format!("0x{}", hex::encode(transaction.encoded()));
    get(&client, "author_submitExtrinsic", json!([hex])).await;
    node.produce_block().await.unwrap();
    assert_eq!(spec(&client, &Value::Null).await, 425);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_runtime_has_not_does_not_answer_and_what_was_removed_goes_with_the_upgrade() {
    const NET: &str = "0x0100";
    // twox128("SubtensorModule") and twox128("Rank"), netuid 1.
    let rank = format!(
        "0x{}{}0100",
        hex::encode(sp_crypto_hashing::twox_128(b"SubtensorModule")),
        hex::encode(sp_crypto_hashing::twox_128(b"Rank"))
    );
    let node = starting_as(240).await;
    let client = client(&node.url()).await;
    // Past the first epoch.
    for _ in 0..11 {
        node.produce_block().await.unwrap();
    }
    let call = |version: &str| {
        let method = format!("SubnetInfoRuntimeApi_get_subnet_hyperparams{version}");
        request(&client, "state_call", json!([method, NET]))
    };
    assert!(get(&client, "state_getStorage", json!([rank])).await.is_string(), "an epoch writes it");
    assert!(call("").await.is_ok() && call("_v2").await.is_err() && call("_v3").await.is_err());
    node.upgrade(Presentation::of(365), None).await.unwrap();
    node.produce_block().await.unwrap();
    assert!(call("_v2").await.is_ok() && call("_v3").await.is_err());
    assert!(get(&client, "state_getStorage", json!([rank])).await.is_string());
    node.upgrade(Presentation::of(425), None).await.unwrap();
    node.produce_block().await.unwrap();
    assert!(call("_v2").await.is_ok() && call("_v3").await.is_ok());
    // The new runtime's first block migrates.
    node.produce_block().await.unwrap();
    assert_eq!(get(&client, "state_getStorage", json!([rank])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_are_planned_by_block_go_up_only_and_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = LocalnetConfig {
        state: Some(directory.path().to_owned()),
        runtime: Presentation::of(365),
        upgrades: vec![(4, Presentation::of(466)), (2, Presentation::of(425))],
        ..on_demand()
    };
    let node = Localnet::start(config.clone()).await.unwrap();
    let rpc = client(&node.url()).await;
    assert_eq!(refusal(&rpc, "dev_upgrade", json!([365])).await, -32602);
    assert_eq!(refusal(&rpc, "dev_upgrade", json!([466, 0])).await, -32602);
    assert_eq!(refusal(&rpc, "dev_upgrade", json!([{ "specVersion": 500, "hyperparams": 4 }])).await, -32602);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(spec(&rpc, &Value::Null).await);
        node.produce_block().await.unwrap();
    }
    assert_eq!(seen, [365, 365, 425]);
    node.shutdown().await;

    let node = Localnet::start(config).await.unwrap();
    let rpc = client(&node.url()).await;
    assert_eq!((height(&rpc).await, spec(&rpc, &Value::Null).await), (3, json!(425)));
    node.produce_block().await.unwrap();
    assert_eq!(spec(&rpc, &Value::Null).await, 466);
    let detailed = json!([{ "specVersion": 500, "compositeIds": false, "hyperparams": 2, "removedStorage": true }]);
    assert_eq!(get(&rpc, "dev_upgrade", detailed).await["block"], 5);
    node.produce_block().await.unwrap();
    assert!(!composite(&rpc, &Value::Null).await);
    let v3 = request(&rpc, "state_call", json!(["SubnetInfoRuntimeApi_get_subnet_hyperparams_v3", "0x0100"])).await;
    assert!(v3.is_err());
    let same = node.upgrade(Presentation::of(500), None).await.unwrap_err();
    assert!(matches!(&same, LocalnetError::Upgrade(why) if why.contains("500")), "{same}");
    let odd = Presentation { hyperparams: Hyperparams::V1, ..Presentation::of(501) };
    assert_eq!(node.upgrade(odd, Some(9)).await.unwrap(), 9);
    node.shutdown().await;
}
