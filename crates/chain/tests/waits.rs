//! Rate limits that are read before a call is sent: what is foretold is what the chain then says, and it heals when it was foretold to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use starling_chain::{ChainError, Check, Child, Client};
use starling_localnet::{Localnet, LocalnetConfig};
use support::world::{PATIENCE, TAO, key, name, options};

/// Quick blocks: 150 of them have to pass.
async fn chain() -> (Localnet, Client) {
    let config = LocalnetConfig { block_time: Some(Duration::from_millis(40)), ..LocalnetConfig::default() };
    let net = Localnet::start(config).await.unwrap();
    let chain = Client::connect(&net.url(), options()).await.unwrap();
    (net, chain)
}

/// The one rule that is broken.
fn only<T: std::fmt::Debug>(result: Result<T, ChainError>) -> Check {
    let error = result.unwrap_err();
    let text = error.to_string();
    let ChainError::Refused { broken, .. } = error else { panic!("{error:?}") };
    assert_eq!(broken.len(), 1, "{broken:?}");
    let check = broken[0].clone();
    let (blocks, seconds) = (check.heals_in_blocks.unwrap(), check.heals_in_seconds.unwrap());
    assert!(text.contains(&format!("wait {blocks} blocks, about {seconds} s")), "{text}");
    assert!(check.read.contains("last in block"), "{check:?}");
    check
}

async fn wait(chain: &Client, check: &Check) {
    let now = chain.head().await.unwrap().number;
    chain.wait_for_block(now + u32::try_from(check.heals_in_blocks.unwrap()).unwrap(), PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_between_two_settings_of_children_is_foretold() {
    let (_net, chain) = chain().await;
    let (bob, hotkey) = (key("//Bob"), key("//Bob//hot").account());
    let (netuid, _) = chain.register_network(&bob, &hotkey).await.unwrap();
    chain.start_call(&bob, netuid).await.unwrap();
    chain.add_stake(&bob, &hotkey, netuid, 2_000 * TAO).await.unwrap();
    let child = |uri: &str| [Child { hotkey: key(uri).account(), share: u64::MAX / 4 }];
    let careful = chain.clone().careful();
    let first = careful.set_children(&bob, netuid, &hotkey, &child("//Dave//hot")).await.unwrap();
    let check = only(careful.set_children(&bob, netuid, &hotkey, &child("//Eve//hot")).await);
    assert_eq!((check.rule, check.needed.as_str()), ("TxRateLimitExceeded", "150 blocks between"));
    assert!(check.read.contains(&format!("last in block {}", first.block.number)), "{check:?}");
    // A client that does not look hears it from the chain.
    assert_eq!(name(chain.set_children(&bob, netuid, &hotkey, &child("//Eve//hot")).await), "TxRateLimitExceeded");
    wait(&chain, &check).await;
    careful.set_children(&bob, netuid, &hotkey, &child("//Eve//hot")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_between_two_new_subnets_is_foretold() {
    let (_net, chain) = chain().await;
    let limit = [("rate_limit", 60_u64.into())];
    chain.sudo_set(&key("//Alice"), "sudo_set_network_rate_limit", &limit).await.unwrap();
    let (_, first) = chain.register_network(&key("//Bob"), &key("//Bob//hot").account()).await.unwrap();
    let (alice, hotkey) = (key("//Alice"), key("//Alice//hot").account());
    let careful = chain.clone().careful();
    let check = only(careful.register_network(&alice, &hotkey).await);
    assert_eq!((check.rule, check.needed.as_str()), ("NetworkTxRateLimitExceeded", "60 blocks between"));
    assert!(check.read.contains(&format!("last in block {}", first.block.number)), "{check:?}");
    // The pool has a name of its own for it.
    assert_eq!(name(chain.register_network(&alice, &hotkey).await), "RateLimitExceeded");
    wait(&chain, &check).await;
    careful.register_network(&alice, &hotkey).await.unwrap();
}
