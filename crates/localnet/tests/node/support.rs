//! What the tests share: nodes, raw clients, signed extrinsics.

use std::{sync::Arc, time::Duration};

use jsonrpsee::{
    core::client::{ClientT, Subscription},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::{Value, json};
use starling_localnet::{Localnet, LocalnetConfig};
use subxt::{OnlineClient, PolkadotConfig, backend::LegacyBackend, rpcs::RpcClient};
use subxt_signer::sr25519::Keypair;

/// More than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Api = OnlineClient<PolkadotConfig>;

/// Blocks only when a test asks for one, with nothing in them but what the test puts there.
pub fn on_demand() -> LocalnetConfig {
    LocalnetConfig { block_time: None, beacon: None, ..LocalnetConfig::default() }
}

pub async fn node() -> Localnet {
    Localnet::start(on_demand()).await.unwrap()
}

pub async fn client(url: &str) -> WsClient {
    WsClientBuilder::default().build(url).await.unwrap()
}

pub async fn legacy(url: &str) -> Api {
    let rpc = RpcClient::from_insecure_url(url).await.unwrap();
    Api::from_backend(Arc::new(LegacyBackend::builder().build(rpc))).await.unwrap()
}

pub async fn get(client: &WsClient, method: &str, params: Value) -> Value {
    request(client, method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
}

pub async fn request(client: &WsClient, method: &str, params: Value) -> Result<Value, jsonrpsee::core::client::Error> {
    let mut builder = jsonrpsee::core::params::ArrayParams::new();
    for param in params.as_array().expect("parameters come in a list") {
        builder.insert(param).unwrap();
    }
    tokio::time::timeout(PATIENCE, client.request(method, builder)).await.expect("an answer in time")
}

/// The code of the error that a request must end with.
pub async fn refusal(client: &WsClient, method: &str, params: Value) -> i32 {
    match request(client, method, params).await {
        Err(jsonrpsee::core::client::Error::Call(error)) => error.code(),
        other => panic!("{method}: {other:?}"),
    }
}

pub async fn height(client: &WsClient) -> u64 {
    let header: Value = client.request("chain_getHeader", rpc_params![]).await.unwrap();
    number(&header)
}

pub fn number(header: &Value) -> u64 {
    u64::from_str_radix(header["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub async fn next(subscription: &mut Subscription<Value>) -> Value {
    let item = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("an event in time");
    item.expect("the subscription goes on").unwrap()
}

/// A signed extrinsic with this call data and nonce, as hex.
pub async fn signed(api: &Api, signer: &Keypair, call: &[u8], nonce: u64) -> String {
    let mut transactions = api.tx().await.unwrap();
    let call = transactions.from_call_data_bytes(call).unwrap();
    let params = subxt::config::DefaultExtrinsicParamsBuilder::new().nonce(nonce).build();
    let transaction = transactions.create_signed(&call, signer, params).await.unwrap();
    format!("0x{}", hex::encode(transaction.encoded()))
}

/// Call data of `System.remark`.
pub fn remark(text: &[u8]) -> Vec<u8> {
    assert!(text.len() < 64, "a one-byte length");
    [&[0, 0, (text.len() as u8) << 2], text].concat()
}

/// `Utility.batch_all` around `System.remark`, this many times.
pub fn nested(depth: usize) -> Vec<u8> {
    [[11, 2, 4].repeat(depth), remark(b"x")].concat()
}

pub async fn nonce(client: &WsClient, ss58: &str) -> u64 {
    get(client, "system_accountNextIndex", json!([ss58])).await.as_u64().unwrap()
}

pub const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
pub const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
