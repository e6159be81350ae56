//! `starling relay` as a process: peers that know nothing of each other but the relay, its death by `kill -9`, its return.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/schema.rs"]
mod schema;

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use process::Process;
use schema::{Validator, closed, schemas};
use serde_json::Value;
use starling_keys::Account;
use starling_network::{Admission, NetworkConfig, Node, Peer, PeerAddress, Relays};
use starling_protocol::{Digest, Refused};
use starling_wallet::Keypair;

const PATIENCE: Duration = Duration::from_secs(20);

struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Account) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async { Ok(()) })
    }
}

struct Echo;

impl starling_network::Handler for Echo {
    fn handle(&self, _: Peer, request: bytes::Bytes) -> BoxFuture<'_, Result<bytes::Bytes, Refused>> {
        Box::pin(async move { Ok(request) })
    }
}

async fn node(folder: &Path, name: &str, bind: &str, relay: &str) -> Node {
    let local = NetworkConfig::local(folder.join(name), Digest::of(b"run"));
    let relays = Relays { urls: vec![relay.to_owned()], roots: Vec::new() };
    let config = NetworkConfig { bind: bind.parse().unwrap(), relays, ..local };
    let hotkey = Arc::new(Keypair::from_uri(&format!("//{name}")).unwrap());
    Node::start(config, hotkey, Arc::new(Everybody), Arc::new(Echo)).await.unwrap()
}

/// The relay's process, and what it says of itself.
fn relay(bind: &str) -> (Process, Value) {
    let mut process = Process::start(&["relay", "--bind", bind]);
    let said = process.until(|line| line["event"] == "listening");
    (process, said)
}

async fn ask(
    one: &Node,
    two: &PeerAddress,
    patience: Duration,
) -> Result<bytes::Bytes, starling_network::NetworkError> {
    one.request(two, None, bytes::Bytes::from_static(b"hi"), patience).await
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_meet_at_the_relay_and_meet_again_after_it_was_killed_and_started_anew() {
    let (mut process, said) = relay("127.0.0.1:0");
    let schema = Validator::new(&closed(&schemas()["relay"])).unwrap();
    assert_eq!(schema.errors(&said), None);
    let url = said["url"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    // IPv6 here and IPv4 there: no direct way exists.
    let one = node(folder.path(), "Alice", "[::1]:0", &url).await;
    let two = node(folder.path(), "Bob", "127.0.0.1:0", &url).await;
    let at = PeerAddress { addresses: Vec::new(), ..two.address() };
    ask(&one, &at, PATIENCE).await.unwrap();
    assert_eq!(one.links().to_string(), "0 direct, 1 by relay");
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    ask(&one, &at, Duration::from_secs(2)).await.expect_err("nobody is between them");
    let bind = url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let (_process, said) = relay(&bind);
    assert_eq!(said["url"].as_str(), Some(url.as_str()));
    let since = Instant::now();
    while let Err(error) = ask(&one, &at, Duration::from_secs(3)).await {
        assert!(since.elapsed() < Duration::from_secs(60), "{error}");
    }
}

#[test]
fn what_it_cannot_do_is_said_in_a_sentence() {
    for (arguments, words) in [
        (&["--bind", "0.0.0.0:0"][..], "give a certificate"),
        (&["--certificate", "/nowhere.pem", "--key", "/nowhere.key", "--https", "127.0.0.1:0"], "/nowhere.pem"),
        (&["--certificate", "/nowhere.pem"], "--key"),
        (&["--https", "127.0.0.1:0"], "--certificate"),
        (&["--rate", "0"], "--rate"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_starling")).arg("relay").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}
