//! `chainHead_v1`, event by event.

use jsonrpsee::{
    core::client::{Subscription, SubscriptionClientT, SubscriptionKind},
    rpc_params,
    types::SubscriptionId,
    ws_client::WsClient,
};
use serde_json::{Value, json};
use starling_localnet::{Localnet, LocalnetConfig};

use crate::support::{client, get, next, node, on_demand, refusal};

const ACCOUNTS: &str = "0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9";

async fn follow(client: &WsClient) -> (Subscription<Value>, String) {
    let subscription: Subscription<Value> =
        client.subscribe("chainHead_v1_follow", rpc_params![true], "chainHead_v1_unfollow").await.unwrap();
    let SubscriptionKind::Subscription(SubscriptionId::Str(name)) = subscription.kind() else {
        panic!("the name is a text: {:?}", subscription.kind());
    };
    let name = name.clone().into_owned();
    (subscription, name)
}

/// Events of one operation up to its last.
async fn events(subscription: &mut Subscription<Value>, started: &Value) -> Vec<Value> {
    assert_eq!(started["result"], "started");
    let mut events = Vec::new();
    loop {
        let event = next(subscription).await;
        assert_eq!(event["operationId"], started["operationId"], "{event}");
        let last = event["event"] != "operationStorageItems";
        events.push(event);
        if last {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_announced_best_and_final_in_this_order() {
    let node = node().await;
    let client = client(&node.url()).await;
    let (mut follow, name) = follow(&client).await;
    let genesis = get(&client, "chain_getBlockHash", json!([0])).await;
    let first = next(&mut follow).await;
    assert_eq!((&first["event"], &first["finalizedBlockHashes"]), (&json!("initialized"), &json!([genesis])));
    let spec = &first["finalizedBlockRuntime"]["spec"];
    assert_eq!((&spec["specName"], &spec["specVersion"]), (&json!("node-subtensor"), &json!(425)));
    assert_eq!(spec["apis"]["0xdf6acb689907609b"], 5, "Core");

    node.produce_block().await.unwrap();
    let hash = get(&client, "chain_getBlockHash", json!([1])).await;
    let new = next(&mut follow).await;
    assert_eq!(new, json!({ "event": "newBlock", "blockHash": hash, "parentBlockHash": genesis, "newRuntime": null }));
    assert_eq!(next(&mut follow).await, json!({ "event": "bestBlockChanged", "bestBlockHash": hash }));
    let done = json!({ "event": "finalized", "finalizedBlockHashes": [hash], "prunedBlockHashes": [] });
    assert_eq!(next(&mut follow).await, done);

    assert!(get(&client, "chainHead_v1_header", json!([name, hash])).await.is_string());
    assert_eq!(get(&client, "chainHead_v1_unpin", json!([name, [genesis, hash]])).await, Value::Null);
    for method in ["chainHead_v1_header", "chainHead_v1_body", "chainHead_v1_unpin"] {
        assert_eq!(refusal(&client, method, json!([name, hash])).await, -32801, "{method}: it is not pinned");
    }
    let gone = get(&client, "chainHead_v1_body", json!(["no such subscription", hash])).await;
    assert_eq!(gone, json!({ "result": "limitReached" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_answer_by_events() {
    let node = node().await;
    let client = client(&node.url()).await;
    node.produce_block().await.unwrap();
    let (mut follow, name) = follow(&client).await;
    let hash = next(&mut follow).await["finalizedBlockHashes"][0].clone();

    let started = get(&client, "chainHead_v1_body", json!([name, hash])).await;
    let body = events(&mut follow, &started).await;
    let block = get(&client, "chain_getBlock", json!([hash])).await;
    assert_eq!(body[0]["event"], "operationBodyDone");
    assert_eq!(body[0]["value"], block["block"]["extrinsics"]);

    let version = ["Core_version", "0x"];
    let started = get(&client, "chainHead_v1_call", json!([name, hash, version[0], version[1]])).await;
    let call = events(&mut follow, &started).await;
    assert_eq!(call[0]["event"], "operationCallDone");
    assert_eq!(call[0]["output"], get(&client, "state_call", json!(version)).await);

    for bad in ["Core_nothing", "Core_execute_block"] {
        let started = get(&client, "chainHead_v1_call", json!([name, hash, bad, "0xff"])).await;
        assert_eq!(events(&mut follow, &started).await[0]["event"], "operationError", "{bad}");
    }

    let keys = get(&client, "state_getKeysPaged", json!([ACCOUNTS, 1000])).await;
    let query = |key: &Value, kind: &str| json!({ "key": key, "type": kind });
    let accounts = json!(ACCOUNTS);
    let items = json!([
        query(&keys[0], "value"),
        query(&keys[0], "hash"),
        query(&json!("0x1234"), "value"),
        query(&accounts, "closestDescendantMerkleValue"),
        query(&accounts, "descendantsHashes"),
        query(&accounts, "descendantsValues"),
    ]);
    let started = get(&client, "chainHead_v1_storage", json!([name, hash, items, null])).await;
    assert_eq!(started["discardedItems"], 0);
    let answer = events(&mut follow, &started).await;
    assert_eq!(answer.last().unwrap()["event"], "operationStorageDone");
    let found: Vec<&Value> = answer.iter().flat_map(|e| e["items"].as_array().into_iter().flatten()).collect();
    let count = keys.as_array().unwrap().len();
    assert_eq!(found.len(), 3 + 2 * count, "nothing for the key that is not there");
    assert_eq!(found[0]["value"], get(&client, "state_getStorage", json!([keys[0]])).await);
    assert_eq!(found[1]["hash"], get(&client, "state_getStorageHash", json!([keys[0]])).await);
    assert_eq!(found[2]["closestDescendantMerkleValue"].as_str().unwrap().len(), 66);
    assert_eq!((&found[3]["key"], &found[3]["hash"]), (&keys[0], &found[1]["hash"]));
    for (index, item) in found[3 + count..].iter().enumerate() {
        assert_eq!(item["key"], keys[index]);
        assert!(item["value"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_every_block_is_told_to_stop() {
    // 16 states are kept, so that a block may stay pinned for 12.
    let node = Localnet::start(LocalnetConfig { states: 16, ..on_demand() }).await.unwrap();
    let client = client(&node.url()).await;
    let (mut greedy, _) = follow(&client).await;
    let (mut tidy, name) = follow(&client).await;
    let mut kept = next(&mut tidy).await["finalizedBlockHashes"][0].clone();
    for _ in 0..14 {
        node.produce_block().await.unwrap();
        let new = next(&mut tidy).await;
        assert_eq!(new["event"], "newBlock");
        assert_eq!(next(&mut tidy).await["event"], "bestBlockChanged");
        assert_eq!(next(&mut tidy).await["event"], "finalized");
        get(&client, "chainHead_v1_unpin", json!([name, kept])).await;
        kept = new["blockHash"].clone();
    }
    let mut last = Value::Null;
    while let Some(event) = greedy.next().await {
        last = event.unwrap();
        if last["event"] == "stop" {
            break;
        }
    }
    assert_eq!(last, json!({ "event": "stop" }));
    assert!(get(&client, "chainHead_v1_header", json!([name, kept])).await.is_string(), "the other goes on");
}
