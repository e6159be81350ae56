//! What the client promises when the node misbehaves: deadlines, no gaps, no double submissions, new metadata after an upgrade.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use futures::StreamExt as _;
use starling_chain::{ChainError, Client, Endpoints, Options, value::Value};
use starling_wallet::Keypair;
use support::{
    node::{Answer, Node, hash, metadata},
    proxy::{Fault, Proxy},
};
use tokio::time::timeout;

const FILE: &str = "devnet-381.v16.scale";
/// Far longer than anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options { timeout: Duration::from_secs(5), inclusion_timeout: Duration::from_secs(20) }
}

fn short() -> Options {
    Options { timeout: Duration::from_millis(300), inclusion_timeout: Duration::from_millis(600) }
}

async fn node_at(head: u32) -> Node {
    // Metadata is not needed by what only counts blocks.
    Node::start(381, metadata(FILE).unwrap_or_default(), head).await
}

fn alice() -> Keypair {
    Keypair::from_uri("//Alice").unwrap()
}

const NETUID: &[(&str, Value)] = &[("netuid", Value::Uint(1))];

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_said_to_be_unreachable() {
    let proxy = Proxy::before(([127, 0, 0, 1], 1).into()).await;
    proxy.now(Fault::Dead);
    let error = Client::connect(&proxy.url(), options()).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains(&proxy.url()), "{error}");
    // Nobody listens on port 1 of this machine.
    let error = Client::connect("ws://127.0.0.1:1", options()).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("refused"), "{error}");
    // TLS asked of a node that speaks none; a name that is not one; an IPv6 address.
    let node = node_at(5).await;
    let error = Client::connect(&node.url().replace("ws:", "wss:"), options()).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let error = Client::connect("ws://no-such-host.invalid:9944", options()).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("no-such-host.invalid"), "{error}");
    let error = Client::connect("ws://[::1]:1", options()).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    for nonsense in ["ws://", "ws://:9944", "ws://a b", "wss://host:99999"] {
        let error = Client::connect(nonsense, options()).await.unwrap_err();
        assert!(matches!(error, ChainError::Invalid(_)) && error.to_string().contains(nonsense), "{error}");
    }
    let error = Client::connect("127.0.0.1:9944", options()).await.unwrap_err();
    assert!(matches!(error, ChainError::Invalid(_)) && error.to_string().contains("ws://"), "{error}");
}

#[tokio::test]
async fn a_node_that_takes_connections_but_never_answers_runs_into_the_deadline() {
    let proxy = Proxy::before(([127, 0, 0, 1], 1).into()).await;
    proxy.now(Fault::Mute);
    let error = timeout(PATIENCE, Client::connect(&proxy.url(), short())).await.expect("it hangs").unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("no answer within 0.3 s"), "{error}");

    let node = node_at(5).await;
    let client = Client::connect(&node.url(), short()).await.unwrap();
    node.state().silent.push("chain_getFinalizedHead");
    let error = timeout(PATIENCE, client.head()).await.expect("it hangs").unwrap_err();
    let ChainError::Deadline { waited_for, .. } = &error else { panic!("{error}") };
    assert!(waited_for.contains("chain_getFinalizedHead"), "{error}");
}

#[tokio::test]
async fn blocks_come_one_by_one_however_the_node_announces_them() {
    let node = node_at(5).await;
    let client = Client::connect(&node.url(), options()).await.unwrap();
    let mut blocks = client.blocks().await.unwrap();
    let mut next = async || timeout(PATIENCE, blocks.next()).await.expect("it hangs").unwrap().unwrap();
    assert_eq!(next().await.number, 5);
    node.finalize(9);
    for number in 6..=9 {
        let block = next().await;
        assert_eq!((block.number, block.hash), (number, hash(number)));
    }
}

#[tokio::test]
async fn blocks_go_on_without_a_gap_after_the_connection_was_lost() {
    let node = node_at(5).await;
    let proxy = Proxy::before(node.address).await;
    let client = Client::connect(&proxy.url(), options()).await.unwrap();
    let mut blocks = client.blocks().await.unwrap();
    let mut numbers = Vec::new();
    for round in 0..4 {
        proxy.now(Fault::Dead);
        node.finalize(8 + 3 * round);
        proxy.heal();
        while numbers.last() != Some(&(8 + 3 * round)) {
            // An outage may show as errors in between; it never shows as a missing number.
            if let Ok(block) = timeout(PATIENCE, blocks.next()).await.expect("it hangs").unwrap() {
                numbers.push(block.number);
            }
        }
    }
    assert_eq!(numbers, (5..=17).collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_find_their_way_to_a_node_that_came_back() {
    let node = node_at(5).await;
    let proxy = Proxy::before(node.address).await;
    let client = Client::connect(&proxy.url(), options()).await.unwrap();
    for _ in 0..3 {
        proxy.cut();
        assert_eq!(client.head().await.unwrap().number, 5);
    }
    // Away while the request is made, back before its deadline.
    proxy.now(Fault::Dead);
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.head().await }
    });
    tokio::task::yield_now().await;
    proxy.heal();
    assert_eq!(asking.await.unwrap().unwrap().number, 5);
}

#[tokio::test]
async fn waiting_for_a_block_ends_with_what_was_last_seen() {
    let node = node_at(5).await;
    let client = Client::connect(&node.url(), short()).await.unwrap();
    let error = client.wait_for_block(9, Duration::from_millis(200)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ChainError::Deadline { .. }), "{text}");
    assert!(text.contains("block 9") && text.contains("last finalized block seen is 5"), "{text}");
    node.finalize(12);
    let block = client.wait_for_block(9, PATIENCE).await.unwrap();
    assert_eq!((block.number, block.hash), (9, hash(9)));
}

#[tokio::test]
async fn a_node_that_dies_while_waited_on_gives_a_deadline_error_with_the_reason() {
    let node = node_at(5).await;
    let client = Client::connect(&node.url(), short()).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait_for_block(9, Duration::from_millis(1500)).await }
    });
    tokio::task::yield_now().await;
    node.stop().await;
    let error = timeout(PATIENCE, waiting).await.expect("it hangs").unwrap().unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ChainError::Deadline { .. }), "{text}");
    assert!(text.contains("block 9") && text.contains("cannot reach the chain"), "{text}");
}

#[tokio::test]
async fn the_beacon_is_never_a_block_that_could_still_change() {
    let node = node_at(5).await;
    node.state().unfinalized = 3;
    let client = Client::connect(&node.url(), options()).await.unwrap();
    assert_eq!(client.block_hash(7).await.unwrap(), None);
    assert_eq!(client.block_hash(5).await.unwrap(), Some(hash(5)));
    node.finalize(7);
    assert_eq!(client.block_hash(7).await.unwrap(), Some(hash(7)));
}

#[tokio::test]
async fn after_an_upgrade_new_names_work_at_once_and_metadata_is_fetched_once() {
    let (Some(old), Some(new)) = (metadata("devnet-240.v15.scale"), metadata(FILE)) else { return };
    let node = Node::start(240, old, 5).await;
    node.state().answers = vec![Answer::Refuse("Invalid Transaction", "Custom error: 3")];
    let client = Client::connect(&node.url(), options()).await.unwrap();
    assert_eq!(node.state().metadata_fetches, 0, "connecting fetches no metadata");
    // Runtime 240 has no start_call.
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    let expected = ChainError::Absent { what: "call SubtensorModule.start_call".into(), spec: 240 };
    assert_eq!(error, expected);
    assert_eq!(node.state().metadata_fetches, 1);
    {
        let mut state = node.state();
        state.spec = 381;
        state.metadata = new;
    }
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    assert_eq!(error.name(), Some("SubnetNotExists"), "{error}");
    assert_eq!(node.state().metadata_fetches, 2);
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    assert_eq!(error.name(), Some("SubnetNotExists"), "{error}");
    assert_eq!(node.state().metadata_fetches, 2, "known metadata is not fetched again");
}

#[tokio::test]
async fn what_waits_over_an_upgrade_is_signed_again_once_the_old_signature_is_void_for_good() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    node.state().answers = vec![Answer::Take, Answer::Refuse("Invalid Transaction", "Custom error: 3")];
    let client = Client::connect(&node.url(), options()).await.unwrap();
    let submission = {
        let client = client.clone();
        tokio::spawn(async move { client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await })
    };
    while node.state().submitted.is_empty() {
        tokio::task::yield_now().await;
    }
    // Blocks of the same runtime without it: it may still come, so nothing is signed.
    let mut seen = client.blocks_from(6);
    for number in [6, 7] {
        node.finalize(number);
        assert_eq!(timeout(PATIENCE, seen.next()).await.unwrap().unwrap().unwrap().number, number);
        assert_eq!(node.state().submitted.len(), 1);
    }
    node.state().spec = 382;
    node.finalize(8);
    let error = timeout(PATIENCE, submission).await.expect("it hangs").unwrap().unwrap_err();
    assert_eq!(error.name(), Some("SubnetNotExists"), "the second one was refused: {error}");
    let submitted = node.state().submitted.clone();
    assert_eq!(submitted.len(), 2);
    assert_ne!(submitted[0], submitted[1], "signed for the new runtime");
}

#[tokio::test]
async fn a_refusal_of_the_pool_is_explained_and_not_repeated() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    node.state().answers = vec![Answer::Refuse("Invalid Transaction", "Custom error: 6")];
    let client = Client::connect(&node.url(), options()).await.unwrap();
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    assert!(matches!(&error, ChainError::Pool { custom: Some(6), .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("RateLimitExceeded, custom error 6"), "{error}");
    assert_eq!(node.state().submitted.len(), 1);
}

#[tokio::test]
async fn a_stale_nonce_is_signed_anew() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    node.state().answers = vec![
        Answer::Refuse("Invalid Transaction", "Transaction is outdated"),
        Answer::Refuse("Invalid Transaction", "Custom error: 3"),
    ];
    let client = Client::connect(&node.url(), options()).await.unwrap();
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    assert_eq!(error.name(), Some("SubnetNotExists"), "{error}");
    let submitted = node.state().submitted.clone();
    assert_eq!(submitted.len(), 2);
    assert_ne!(submitted[0], submitted[1], "a new nonce makes new bytes");
}

#[tokio::test]
async fn a_transaction_cut_off_while_sending_is_sent_again_byte_for_byte() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    // The second time the node has it already.
    node.state().answers = vec![Answer::Take, Answer::Refuse("Transaction is already imported", "")];
    let proxy = Proxy::before(node.address).await;
    proxy.now(Fault::CutAfterSubmission);
    let client = Client::connect(&proxy.url(), options()).await.unwrap();
    let sending = tokio::spawn(async move { client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await });
    while node.state().submitted.len() < 2 {
        assert!(!sending.is_finished(), "{:?}", sending.await);
        tokio::task::yield_now().await;
    }
    // It is looked for in the blocks from then on, and said to be certain not to have happened once its lifetime is over.
    node.finalize(5 + 128);
    let error = timeout(PATIENCE, sending).await.expect("it hangs").unwrap().unwrap_err();
    assert!(matches!(error, ChainError::Expired { last_valid: 133, .. }), "{error}");
    let submitted = node.state().submitted.clone();
    assert_eq!((submitted.len(), proxy.stats().faults), (2, 1));
    assert_eq!(submitted[0], submitted[1]);
}

#[tokio::test]
async fn waiting_for_inclusion_has_a_deadline_that_says_what_may_still_come() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    let options = Options { timeout: Duration::from_secs(5), inclusion_timeout: Duration::from_millis(500) };
    let client = Client::connect(&node.url(), options).await.unwrap();
    let error = client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ChainError::Deadline { .. }), "{text}");
    assert!(text.contains("start_call") && text.contains("may still be included until block 133"), "{text}");
}

#[tokio::test]
async fn submissions_of_one_account_stand_in_line_for_their_nonce() {
    let Some(bytes) = metadata(FILE) else { return };
    let node = Node::start(381, bytes, 5).await;
    let options = Options { timeout: Duration::from_secs(5), inclusion_timeout: Duration::from_millis(800) };
    let client = Client::connect(&node.url(), options).await.unwrap();
    let sends = (0..8).map(|_| {
        let client = client.clone();
        async move { client.submit(&alice(), "SubtensorModule", "start_call", NETUID).await }
    });
    for result in futures::future::join_all(sends).await {
        assert!(matches!(result, Err(ChainError::Deadline { .. })), "{result:?}");
    }
    // The node counts what it was given as the next nonce: had two asked before either sent, two would be equal.
    let mut submitted = node.state().submitted.clone();
    submitted.sort();
    submitted.dedup();
    assert_eq!(submitted.len(), 8);
}

#[tokio::test]
async fn metadata_is_fetched_once_per_runtime_even_by_later_processes_and_anew_when_the_kept_one_is_damaged() {
    let (Some(old), Some(new)) = (metadata("devnet-240.v15.scale"), metadata(FILE)) else { return };
    let (node, dir) = (Node::start(240, old, 5).await, tempfile::tempdir().unwrap());
    let endpoints = Endpoints { cache: Some(dir.path().join("cache")), ..Endpoints::one(&node.url()) };
    // Each is a process of its own, as far as the cache can tell.
    let fresh = async || {
        let client = Client::connect_to(&endpoints, options()).await.unwrap();
        client.storage("System", "Number", &[], None).await.unwrap();
        client
    };
    fresh().await;
    fresh().await;
    assert_eq!(node.state().metadata_fetches, 1);
    for file in std::fs::read_dir(dir.path().join("cache")).unwrap() {
        let path = file.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    fresh().await;
    assert_eq!(node.state().metadata_fetches, 2, "half a file is none");
    fresh().await;
    assert_eq!(node.state().metadata_fetches, 2, "and is replaced");
    // The code may change while the version stays, as on a chain of one's own.
    node.state().metadata = new;
    fresh().await;
    assert_eq!(node.state().metadata_fetches, 3);
    node.state().spec = 381;
    fresh().await;
    assert_eq!(node.state().metadata_fetches, 4);
}
