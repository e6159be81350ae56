//! The methods that answer at once, heads, and the pool as clients see it.

use jsonrpsee::core::client::{Subscription, SubscriptionClientT};
use jsonrpsee::rpc_params;
use parity_scale_codec::Decode;
use serde_json::{Value, json};
use starling_localnet::{Localnet, LocalnetConfig, Presentation};
use subxt_signer::sr25519::dev;

use crate::support::{
    ALICE, BOB, client, get, height, legacy, next, node, nonce, number, on_demand, refusal, remark, signed,
};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_come_one_by_one_and_hashes_stay() {
    let node = node().await;
    let client = client(&node.url()).await;
    let mut heads: Subscription<Value> = client
        .subscribe("chain_subscribeFinalizedHeads", rpc_params![], "chain_unsubscribeFinalizedHeads")
        .await
        .unwrap();
    assert_eq!(number(&next(&mut heads).await), 0);
    for expected in 1..=3 {
        node.produce_block().await.unwrap();
        assert_eq!(number(&next(&mut heads).await), expected);
    }
    let two = get(&client, "chain_getBlockHash", json!([2])).await;
    let block = get(&client, "chain_getBlock", json!([two])).await;
    assert_eq!(number(&block["block"]["header"]), 2);
    assert_eq!(block["block"]["extrinsics"].as_array().unwrap().len(), 1, "the timestamp");
    let many = get(&client, "chain_getBlockHash", json!([[2, "0x2", 99]])).await;
    assert_eq!(many, json!([two, two, null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_up_even_when_blocks_come_quicker_than_milliseconds() {
    let node = node().await;
    let client = client(&node.url()).await;
    let key = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";
    let mut last = 0;
    for _ in 0..20 {
        node.produce_block().await.unwrap();
        let now = bytes(&get(&client, "state_getStorage", json!([key])).await);
        let now = u64::decode(&mut &now[..]).unwrap();
        assert!(now > last);
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_count_what_waits_and_blocks_take_it_in_their_order() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let mut sent = Vec::new();
    for nonce in [0, 1, 2, 3] {
        sent.push(signed(&api, &dev::alice(), &remark(&[nonce as u8]), nonce).await);
    }
    // 0 and 1 in order; 3 before 2.
    for index in [0, 1, 3] {
        get(&client, "author_submitExtrinsic", json!([sent[index]])).await;
    }
    assert_eq!(nonce(&client, ALICE).await, 2, "3 does not follow 1");
    get(&client, "author_submitExtrinsic", json!([sent[2]])).await;
    assert_eq!(nonce(&client, ALICE).await, 4);
    assert_eq!(get(&client, "account_nextIndex", json!([ALICE])).await, 4);
    assert_eq!(nonce(&client, BOB).await, 0);
    assert_eq!(get(&client, "author_pendingExtrinsics", json!([])).await, json!(sent));
    assert_eq!(refusal(&client, "author_submitExtrinsic", json!([sent[2]])).await, 1013, "twice the same");
    let other = signed(&api, &dev::alice(), &remark(b"other"), 2).await;
    assert_eq!(refusal(&client, "author_submitExtrinsic", json!([other])).await, 1014, "another of that nonce");

    node.produce_block().await.unwrap();
    let block = get(&client, "chain_getBlock", json!([])).await;
    assert_eq!(block["block"]["extrinsics"].as_array().unwrap()[1..], sent);
    assert_eq!(nonce(&client, ALICE).await, 4);
    assert_eq!(get(&client, "author_pendingExtrinsics", json!([])).await, json!([]));
    assert_eq!(refusal(&client, "author_submitExtrinsic", json!([sent[0]])).await, 1010, "it is spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_hear_how_it_ends_in_both_families() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let watch = async |family: &str, extrinsic: &str| -> Subscription<Value> {
        let (subscribe, unsubscribe) = match family {
            "author" => ("author_submitAndWatchExtrinsic", "author_unwatchExtrinsic"),
            _ => ("transactionWatch_v1_submitAndWatch", "transactionWatch_v1_unwatch"),
        };
        client.subscribe(subscribe, rpc_params![extrinsic], unsubscribe).await.unwrap()
    };
    let extrinsics = [
        signed(&api, &dev::alice(), &remark(b"a"), 0).await,
        signed(&api, &dev::bob(), &remark(b"b"), 1).await,
        signed(&api, &dev::bob(), &remark(b"b"), 0).await,
    ];
    let mut old = watch("author", &extrinsics[0]).await;
    let mut early = watch("author", &extrinsics[1]).await;
    assert_eq!(next(&mut old).await, "ready");
    assert_eq!(next(&mut early).await, "future");
    let mut new = watch("transactionWatch", &extrinsics[2]).await;
    assert_eq!(next(&mut new).await["event"], "validated");
    assert_eq!(next(&mut early).await, "ready", "what it waited for is there");
    node.produce_block().await.unwrap();
    let hash = get(&client, "chain_getBlockHash", json!([1])).await;
    for old in [&mut old, &mut early] {
        assert_eq!(next(old).await, json!({ "inBlock": hash }));
        assert_eq!(next(old).await, json!({ "finalized": hash }));
    }
    let included = next(&mut new).await;
    assert_eq!(included["event"], "bestChainBlockIncluded");
    assert_eq!(included["block"]["hash"], hash);
    let index = included["block"]["index"].as_u64().unwrap() as usize;
    let block = get(&client, "chain_getBlock", json!([hash])).await;
    assert_eq!(block["block"]["extrinsics"][index], extrinsics[2]);
    assert_eq!(next(&mut new).await["event"], "finalized");
    // The new family tells of a refusal by an event.
    let mut refused = watch("transactionWatch", &extrinsics[2]).await;
    let event = next(&mut refused).await;
    assert_eq!(event["event"], "invalid");
    assert!(event["error"].as_str().unwrap().contains("outdated"), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_watchers_hear_of_their_keys_only() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    // System.Number changes with every block; nothing ever writes the other key.
    let changing = "0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac";
    let mut watched: Subscription<Value> = client
        .subscribe("state_subscribeStorage", rpc_params![[changing, "0x1234"]], "state_unsubscribeStorage")
        .await
        .unwrap();
    let first = next(&mut watched).await;
    assert_eq!(first["changes"].as_array().unwrap().len(), 2);
    assert_eq!(first["changes"][1], json!(["0x1234", null]));
    for number in 1..=2u32 {
        let extrinsic = signed(&api, &dev::alice(), &remark(b"x"), u64::from(number) - 1).await;
        get(&client, "author_submitExtrinsic", json!([extrinsic])).await;
        node.produce_block().await.unwrap();
        let change = next(&mut watched).await;
        assert_eq!(change["changes"].as_array().unwrap().len(), 1);
        assert_eq!(change["changes"][0][0], changing);
        assert_eq!(bytes(&change["changes"][0][1]), number.to_le_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_in_pages_and_old_states_are_still_there() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let prefix = "0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9";
    let genesis = get(&client, "chain_getBlockHash", json!([0])).await;
    let all = get(&client, "state_getKeysPaged", json!([prefix, 1000, null, genesis])).await;
    let all = all.as_array().unwrap().clone();
    let mut paged = Vec::new();
    loop {
        let page = get(&client, "state_getKeysPaged", json!([prefix, 3, paged.last(), genesis])).await;
        let page = page.as_array().unwrap().clone();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let before = get(&client, "state_queryStorageAt", json!([all])).await;
    let extrinsic = signed(&api, &dev::alice(), &remark(b"costs a fee"), 0).await;
    get(&client, "author_submitExtrinsic", json!([extrinsic])).await;
    node.produce_block().await.unwrap();
    let now = get(&client, "state_queryStorageAt", json!([all])).await;
    assert_ne!(now[0]["changes"], before[0]["changes"], "the fee was paid");
    assert_eq!(get(&client, "state_queryStorageAt", json!([all, genesis])).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subtensors_own_names_answer_as_the_runtime_apis_do() {
    let node = node().await;
    let client = client(&node.url()).await;
    for (name, params, function, data) in [
        ("neuronInfo_getNeuronsLite", json!([1]), "NeuronInfoRuntimeApi_get_neurons_lite", "0x0100"),
        ("subnetInfo_getMetagraph", json!([1, null]), "SubnetInfoRuntimeApi_get_metagraph", "0x0100"),
        (
            "subnetInfo_getSelectiveMetagraph",
            json!([1, [0, 5]]),
            "SubnetInfoRuntimeApi_get_selective_metagraph",
            "0x01000800000500",
        ),
    ] {
        let answer: Vec<u8> = serde_json::from_value(get(&client, name, params).await).unwrap();
        assert_eq!(answer, bytes(&get(&client, "state_call", json!([function, data])).await), "{name}");
        assert!(answer.len() > 1, "{name}");
    }
    assert!(get(&client, "subnetInfo_getLockCost", json!([])).await.as_u64().unwrap() > 0);
    get(&client, "delegateInfo_getDelegate", json!([ALICE])).await;
    assert_eq!(refusal(&client, "delegateInfo_getDelegate", json!(["nobody"])).await, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_and_dry_runs_are_told_and_change_nothing() {
    let node = node().await;
    let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let extrinsic = signed(&api, &dev::alice(), &remark(b"x"), 0).await;
    let info = get(&client, "payment_queryInfo", json!([extrinsic])).await;
    let fee: u64 = info["partialFee"].as_str().unwrap().parse().unwrap();
    assert!(fee > 0);
    assert_eq!(get(&client, "system_dryRun", json!([extrinsic])).await, "0x0000", "Ok(Ok(()))");
    assert_eq!(nonce(&client, ALICE).await, 0);
    assert_eq!(height(&client).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_is_listed_is_there() {
    let node = node().await;
    let client = client(&node.url()).await;
    let methods = get(&client, "rpc_methods", json!([])).await;
    let methods: Vec<&str> = methods["methods"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    for wanted in [
        "chain_getHead",
        "account_nextIndex",
        "chain_subscribeNewHead",
        "chain_getFinalisedHead",
        "state_getStorageAt",
        "state_subscribeStorage",
        "state_subscribeRuntimeVersion",
        "chainHead_v1_follow",
        "chainSpec_v1_genesisHash",
        "transactionWatch_v1_submitAndWatch",
        "transaction_v1_broadcast",
        "rpc_methods",
    ] {
        assert!(methods.contains(&wanted), "{wanted}");
    }
    assert_eq!(
        get(&client, "chainSpec_v1_genesisHash", json!([])).await,
        get(&client, "chain_getBlockHash", json!([0])).await
    );
    let name = get(&client, "transaction_v1_broadcast", json!(["0x00"])).await;
    assert_eq!(get(&client, "transaction_v1_stop", json!([name])).await, Value::Null);
    assert_eq!(refusal(&client, "transaction_v1_stop", json!([name])).await, -32602);
}

/// Refresh with `STARLING_WRITE_METADATA=1 cargo test -p starling-localnet snapshot` when the interface was changed on purpose.
#[tokio::test(flavor = "multi_thread")]
async fn the_interface_is_the_one_in_the_snapshot_of_every_presentation() {
    for kind in Presentation::KINDS {
        let name = format!("../../metadata/localnet-{}.v15.scale", kind.spec_version);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let node = Localnet::start(LocalnetConfig { runtime: kind, ..on_demand() }).await.unwrap();
        let client = client(&node.url()).await;
        let answer = get(&client, "state_call", json!(["Metadata_metadata_at_version", "0x0f000000"])).await;
        let metadata = Option::<Vec<u8>>::decode(&mut &bytes(&answer)[..]).unwrap().expect("V15");
        if std::env::var_os("STARLING_WRITE_METADATA").is_some() {
            std::fs::write(&path, &metadata).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == metadata,
            "the runtime's metadata is no longer {}: if that is meant, write it anew with \
             STARLING_WRITE_METADATA=1 cargo test -p starling-localnet snapshot",
            path.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_proof_proves_against_the_state_root_and_ranges_hold_all_keys() {
    let node = node().await;
    let client = client(&node.url()).await;
    let prefix = format!(
        "0x{}",
        hex::encode(
            [sp_crypto_hashing::twox_128(b"SubtensorModule"), sp_crypto_hashing::twox_128(b"NetworksAdded")].concat()
        )
    );
    let keys = get(&client, "state_getKeys", json!([prefix])).await;
    assert_eq!(keys.as_array().unwrap().len(), 2, "root and subnet 1");
    assert_eq!(keys, get(&client, "state_getKeysPaged", json!([prefix, 100])).await);
    let answer = get(&client, "state_getReadProof", json!([keys])).await;
    let header = get(&client, "chain_getHeader", json!([answer["at"]])).await;
    let nodes: Vec<Vec<u8>> = answer["proof"].as_array().unwrap().iter().map(bytes).collect();
    let mut root = sp_core::H256::from_slice(&bytes(&header["stateRoot"]));
    let wanted: Vec<Vec<u8>> = keys.as_array().unwrap().iter().map(bytes).collect();
    let read = |root, nodes: Vec<Vec<u8>>| {
        sp_state_machine::read_proof_check::<sp_runtime::traits::BlakeTwo256, _>(
            root,
            sp_trie::StorageProof::new(nodes),
            wanted.iter(),
        )
    };
    let values = read(root, nodes.clone()).unwrap();
    assert!(wanted.iter().all(|key| values[key] == Some(vec![1])), "both are there: {values:?}");
    root.0[0] ^= 1;
    assert!(read(root, nodes).is_err(), "a proof is for one root");
}
