//! The client across runtime upgrades of a real chain: it is told nothing, and everything goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use jsonrpsee::{core::client::ClientT as _, rpc_params, ws_client::WsClientBuilder};
use serde_json::Value as Json;
use starling_chain::{Client, Options, value::Value};
use starling_localnet::{Localnet, LocalnetConfig, Presentation};
use starling_wallet::Keypair;
use tokio::{sync::watch, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

fn options() -> Options {
    Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE }
}

async fn chain(spec: u32, block_time: u64) -> (Localnet, Client) {
    let config = LocalnetConfig {
        block_time: Some(Duration::from_millis(block_time)),
        runtime: Presentation::of(spec),
        ..LocalnetConfig::default()
    };
    let net = Localnet::start(config).await.unwrap();
    let client = Client::connect(&net.url(), options()).await.unwrap();
    (net, client)
}

async fn upgrade(net: &Localnet, client: &Client, spec: u32) {
    let block = net.upgrade(Presentation::of(spec), None).await.unwrap();
    client.wait_for_block(block, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_oldest_runtime_to_the_newest_queries_and_submissions_go_on() {
    let (net, client) = chain(240, 100).await;
    let (netuid, _) = client.register_network(&key("//Bob"), &key("//Bob//hot").account()).await.unwrap();
    client.start_call(&key("//Bob"), netuid).await.unwrap();
    for (uid, (spec, cold)) in (1u16..).zip([(240, "//Charlie"), (365, "//Dave"), (425, "//Eve"), (466, "//Ferdie")]) {
        if spec > 240 {
            upgrade(&net, &client, spec).await;
        }
        // With what it remembers of the runtime before, and at once.
        let hotkey = key(&format!("{cold}//hot")).account();
        let (given, _) = client.burned_register(&key(cold), netuid, &hotkey).await.unwrap();
        assert_eq!(given, uid, "{spec}");
        let graph = client.metagraph(netuid, None).await.unwrap();
        assert_eq!(graph.neurons.len(), usize::from(uid) + 1, "{spec}");
        assert_eq!(graph.by_hotkey(&hotkey).unwrap().uid, uid);
        let hyper = client.hyperparameters(netuid).await.unwrap();
        assert_eq!(hyper.tempo, 10);
        // What only newer forms carry says which form was read.
        assert_eq!(hyper.number("yuma_version").is_some(), spec >= 365, "{spec}");
        assert_eq!(hyper.number("burn_half_life").is_some(), spec >= 425, "{spec}");
        assert_eq!(client.uid(netuid, &hotkey).await.unwrap(), Some(uid));
        assert_eq!(client.spec_version().await.unwrap(), spec);
    }
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submissions_in_flight_during_upgrades_are_neither_lost_nor_doubled() {
    const EACH: usize = 12;
    let (net, client) = chain(425, 50).await;
    let (done, _) = watch::channel([0usize; 4]);
    let senders = ["//Bob", "//Charlie", "//Dave", "//Eve"].into_iter().enumerate().map(|(place, uri)| {
        let (client, done) = (client.clone(), done.clone());
        async move {
            for number in 0..EACH {
                let remark = format!("{uri} {number}");
                let args = [("remark", Value::Bytes(remark.clone().into_bytes()))];
                client.submit(&key(uri), "System", "remark", &args).await.unwrap_or_else(|e| panic!("{remark}: {e}"));
                done.send_modify(|done| done[place] = number + 1);
            }
        }
    });
    // An upgrade whenever everybody got one through since the last: the public chain upgrades once a week.
    let upgrades = async {
        let mut heard = done.subscribe();
        let mut made = 0;
        for spec in 426.. {
            let before = *heard.borrow_and_update();
            if before.iter().all(|count| *count == EACH) {
                break;
            }
            net.upgrade(Presentation::of(spec), None).await.unwrap();
            made += 1;
            let moved = |now: &[usize; 4]| now.iter().zip(&before).all(|(now, before)| now > before || *now == EACH);
            timeout(PATIENCE, heard.wait_for(moved)).await.expect("submissions go on").unwrap();
        }
        made
    };
    let (_, made) = futures::join!(join_all(senders), upgrades);
    assert!(made >= 3, "{made} upgrades");

    // Every remark, counted in the chain itself.
    let last = client.head().await.unwrap().number;
    let rpc = WsClientBuilder::default().build(net.url()).await.unwrap();
    let mut counted: HashMap<String, usize> = HashMap::new();
    for number in 0..=last {
        let hash: String = rpc.request("chain_getBlockHash", rpc_params![number]).await.unwrap();
        let block: Json = rpc.request("chain_getBlock", rpc_params![hash]).await.unwrap();
        for extrinsic in block["block"]["extrinsics"].as_array().unwrap() {
            let bytes = hex::decode(extrinsic.as_str().unwrap().trim_start_matches("0x")).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            if let Some(start) = text.rfind("//") {
                *counted.entry(text[start..].to_owned()).or_default() += 1;
            }
        }
    }
    assert_eq!(counted.len(), 4 * EACH, "{counted:?}");
    assert!(counted.values().all(|times| *times == 1), "{counted:?}");
    net.shutdown().await;
}
