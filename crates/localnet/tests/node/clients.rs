//! subxt, by each of its backends, without any special case.

use std::{sync::Arc, time::Duration};

use starling_localnet::{Localnet, LocalnetConfig};
use subxt::{
    backend::ChainHeadBackend,
    dynamic,
    ext::scale_value::{At as _, Value},
    rpcs::RpcClient,
};
use subxt_signer::sr25519::dev;

use crate::support::{Api, PATIENCE, legacy};

async fn free(api: &Api, account: [u8; 32]) -> u128 {
    let address = dynamic::storage::<([u8; 32],), Value>("System", "Account");
    let at = api.at_current_block().await.unwrap();
    let info = at.storage().fetch(address, (account,)).await.unwrap().decode().unwrap();
    info.at("data").at("free").unwrap().as_u128().unwrap()
}

/// Metadata, storage, iteration, runtime APIs, and a transfer with its inclusion, finality and events.
async fn works(api: &Api) {
    let (alice, bob) = (dev::alice(), dev::bob());
    let at = api.at_current_block().await.unwrap();
    assert!(at.metadata().pallet_by_name("SubtensorModule").is_some());
    assert_eq!(at.spec_version(), 425);

    let accounts = dynamic::storage::<([u8; 32],), Value>("System", "Account");
    let mut accounts = at.storage().entry(accounts).unwrap().iter(()).await.unwrap();
    let mut seen = 0;
    while let Some(account) = accounts.next().await {
        account.unwrap();
        seen += 1;
    }
    assert!(seen >= 9, "the funded accounts and more, not {seen}");
    let call = dynamic::runtime_api_call::<_, u64>("SubnetRegistrationRuntimeApi", "get_network_registration_cost", ());
    assert!(at.runtime_apis().call(call).await.unwrap() > 0);

    let before = free(api, bob.public_key().0).await;
    let amount = 1_000_000_007u128;
    let transfer =
        dynamic::transaction("Balances", "transfer_allow_death", (bob.public_key().to_address::<()>(), amount));
    let events = api
        .tx()
        .await
        .unwrap()
        .sign_and_submit_then_watch_default(&transfer, &alice)
        .await
        .unwrap()
        .wait_for_finalized_success()
        .await
        .unwrap();
    assert!(events.iter().any(|event| event.unwrap().event_name() == "Transfer"));
    assert_eq!(free(api, bob.public_key().0).await, before + amount);

    let mut blocks = api.stream_blocks().await.unwrap();
    let first = blocks.next().await.unwrap().unwrap().number();
    let second = blocks.next().await.unwrap().unwrap().number();
    assert_eq!(second, first + 1);
}

async fn running() -> Localnet {
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(100)), ..LocalnetConfig::default() };
    Localnet::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn subxt_as_it_comes_works() {
    let node = running().await;
    let api = Api::from_insecure_url(node.url()).await.unwrap();
    tokio::time::timeout(PATIENCE, works(&api)).await.unwrap();
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subxt_with_its_legacy_backend_works() {
    let node = running().await;
    let api = legacy(&node.url()).await;
    tokio::time::timeout(PATIENCE, works(&api)).await.unwrap();
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subxt_with_nothing_but_chain_head_works() {
    let node = running().await;
    let rpc = RpcClient::from_insecure_url(node.url()).await.unwrap();
    let backend = ChainHeadBackend::builder().build_with_background_driver(rpc);
    let api = Api::from_backend(Arc::new(backend)).await.unwrap();
    tokio::time::timeout(PATIENCE, works(&api)).await.unwrap();
    node.shutdown().await;
}
