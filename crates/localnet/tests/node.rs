//! Promises of the local chain, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use jsonrpsee::{
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::Value;
use starling_localnet::{Localnet, LocalnetConfig, LocalnetError};
use subxt::{OnlineClient, PolkadotConfig, ext::scale_value::value, rpcs::RpcClient};

const PATIENCE: Duration = Duration::from_secs(30);

async fn client(node: &Localnet) -> WsClient {
    WsClientBuilder::default().build(node.url()).await.unwrap()
}

fn on_demand() -> LocalnetConfig {
    LocalnetConfig { block_time: None, ..LocalnetConfig::default() }
}

async fn height(client: &WsClient) -> u64 {
    let header: Value = client.request("chain_getHeader", rpc_params![]).await.unwrap();
    u64::from_str_radix(header["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn subxt_transfers_and_sees_inclusion_finality_and_events() {
    let node = Localnet::start(LocalnetConfig { block_time: Some(Duration::from_millis(100)), ..Default::default() })
        .await
        .unwrap();
    let rpc = RpcClient::from_insecure_url(node.url()).await.unwrap();
    let backend = subxt::backend::LegacyBackend::builder().build(rpc);
    let api = OnlineClient::<PolkadotConfig>::from_backend(std::sync::Arc::new(backend)).await.unwrap();
    let bob: sp_core_free::Account = sp_core_free::bob();
    let tx = subxt::dynamic::tx(
        "Balances",
        "transfer_allow_death",
        vec![value!(Id(subxt::ext::scale_value::Value::from_bytes(bob))), value!(1_000_000_000u64)],
    );
    let events = tokio::time::timeout(PATIENCE, async {
        api.tx()
            .await
            .unwrap()
            .sign_and_submit_then_watch_default(&tx, &subxt_signer::sr25519::dev::alice())
            .await
            .unwrap()
            .wait_for_finalized_success()
            .await
            .unwrap()
    })
    .await
    .unwrap();
    assert!(events.iter().any(|e| e.unwrap().event_name() == "Transfer"));
    node.shutdown().await;
}

mod sp_core_free {
    pub type Account = [u8; 32];
    pub fn bob() -> Account {
        subxt_signer::sr25519::dev::bob().public_key().0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_come_one_by_one_and_hashes_stay() {
    let node = Localnet::start(on_demand()).await.unwrap();
    let client = client(&node).await;
    let mut heads: Subscription<Value> = client
        .subscribe("chain_subscribeFinalizedHeads", rpc_params![], "chain_unsubscribeFinalizedHeads")
        .await
        .unwrap();
    let first = heads.next().await.unwrap().unwrap();
    assert_eq!(first["number"], "0x0");
    for expected in ["0x1", "0x2", "0x3"] {
        node.produce_block().await.unwrap();
        let head = tokio::time::timeout(PATIENCE, heads.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(head["number"], expected);
    }
    let two: String = client.request("chain_getBlockHash", rpc_params![2]).await.unwrap();
    let block: Value = client.request("chain_getBlock", rpc_params![two]).await.unwrap();
    assert_eq!(block["block"]["header"]["number"], "0x2");
    assert_eq!(block["block"]["extrinsics"].as_array().unwrap().len(), 1, "the timestamp");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_on_after_a_restart_and_keeps_its_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let config = LocalnetConfig { state: Some(dir.path().to_owned()), ..on_demand() };
    let node = Localnet::start(config.clone()).await.unwrap();
    for _ in 0..5 {
        node.produce_block().await.unwrap();
    }
    let first = client(&node).await;
    let genesis: String = first.request("chain_getBlockHash", rpc_params![0]).await.unwrap();
    let best: String = first.request("chain_getBlockHash", rpc_params![5]).await.unwrap();
    node.shutdown().await;
    let node = Localnet::start(config).await.unwrap();
    let second = client(&node).await;
    assert_eq!(second.request::<String, _>("chain_getBlockHash", rpc_params![0]).await.unwrap(), genesis);
    assert_eq!(second.request::<String, _>("chain_getBlockHash", rpc_params![5]).await.unwrap(), best);
    node.produce_block().await.unwrap();
    assert_eq!(height(&second).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_folder_in_use_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let node = Localnet::start(LocalnetConfig { state: Some(dir.path().to_owned()), ..on_demand() }).await.unwrap();
    let listen = node.url().trim_start_matches("ws://").parse().unwrap();
    let error = Localnet::start(LocalnetConfig { listen, ..on_demand() }).await.unwrap_err();
    assert!(matches!(&error, LocalnetError::Bind { .. }) && error.to_string().contains("--listen"), "{error}");
    let error =
        Localnet::start(LocalnetConfig { state: Some(dir.path().to_owned()), ..on_demand() }).await.unwrap_err();
    assert!(matches!(error, LocalnetError::Store { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_blocks_go_on() {
    let node = Localnet::start(on_demand()).await.unwrap();
    let client = client(&node).await;
    for junk in ["0x", "0x00", "0xffffffffffffffff", "0x280403000b"] {
        assert!(client.request::<Value, _>("author_submitExtrinsic", rpc_params![junk]).await.is_err(), "{junk}");
    }
    for method in ["Nonsense_method", "Core_execute_block", "BlockBuilder_apply_extrinsic"] {
        assert!(client.request::<Value, _>("state_call", rpc_params![method, "0xdeadbeef"]).await.is_err(), "{method}");
    }
    assert!(client.request::<Value, _>("state_getStorage", rpc_params!["0x00", "0x11"]).await.is_err());
    node.produce_block().await.unwrap();
    assert_eq!(height(&client).await, 1);
}

/// Refresh with `STARLING_WRITE_METADATA=1 cargo test -p starling-localnet metadata` when the runtime's interface was changed on purpose.
#[tokio::test(flavor = "multi_thread")]
async fn the_interface_is_the_one_in_the_snapshot() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../metadata/localnet-425.v14.scale");
    let node = Localnet::start(on_demand()).await.unwrap();
    let text: String = client(&node).await.request("state_getMetadata", rpc_params![]).await.unwrap();
    let bytes = hex::decode(text.trim_start_matches("0x")).unwrap();
    if std::env::var_os("STARLING_WRITE_METADATA").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == bytes, "the runtime's metadata differs from {}", path.display());
}
