//! Several endpoints, each with every fault there is, before a real chain: nothing is lost, nothing is sent twice, the person is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use starling_chain::{ChainError, Client, Endpoints, Options, value::Value};
use starling_localnet::Localnet;
use support::{
    node::{Answer, Node, metadata},
    proxy::{Fault, Proxy},
    world::{PATIENCE, TAO, key, localnet},
};
use tokio::time::timeout;

fn options() -> Options {
    Options { timeout: Duration::from_secs(4), inclusion_timeout: PATIENCE }
}

fn both(first: &str, second: &str) -> Endpoints {
    Endpoints { urls: vec![first.to_owned(), second.to_owned()], ..Endpoints::default() }
}

/// A chain, a proxy before it, and a client that knows both ways to it and uses the proxy.
async fn world() -> (Localnet, Proxy, Client, String) {
    let (net, _) = localnet().await;
    let proxy = Proxy::before_url(&net.url()).await;
    let client = Client::connect_to(&both(&proxy.url(), &net.url()), options()).await.unwrap();
    assert_eq!(client.url().await, proxy.url(), "the first is preferred");
    let direct = net.url();
    (net, proxy, client, direct)
}

async fn nonce(chain: &Client, uri: &str) -> u64 {
    let account = Value::Bytes(key(uri).account().0.to_vec());
    let info = chain.storage_value("System", "Account", &[account], None).await.unwrap();
    info.get("nonce").unwrap().number().unwrap()
}

#[tokio::test]
async fn whatever_befalls_the_first_endpoint_reads_go_on_at_the_second() {
    for fault in [
        Fault::Hang,
        Fault::CloseMidAnswer,
        Fault::Garbage,
        Fault::Nonsense,
        Fault::TooMany { retry_after: 30 },
        Fault::Dead,
    ] {
        let (_net, proxy, client, direct) = world().await;
        let graph = client.metagraph(1, None).await.unwrap();
        // The third answer from now on, which is in the middle of what follows.
        proxy.after(2, fault);
        let block = graph.block;
        for _ in 0..4 {
            let head =
                timeout(PATIENCE, client.head()).await.expect("it hangs").unwrap_or_else(|e| panic!("{fault:?}: {e}"));
            let again = timeout(PATIENCE, client.metagraph(1, Some(head.hash))).await.expect("it hangs");
            assert!(again.unwrap_or_else(|e| panic!("{fault:?}: {e}")).block >= block);
        }
        assert_eq!(client.url().await, direct, "{fault:?}");
        assert!(proxy.stats().answers >= 2, "the fault came in the middle");
    }
}

#[tokio::test]
async fn blocks_come_one_by_one_while_the_endpoints_break_in_turn() {
    let (net, _) = localnet().await;
    let (a, b) = (Proxy::before_url(&net.url()).await, Proxy::before_url(&net.url()).await);
    let client = Client::connect_to(&both(&a.url(), &b.url()), options()).await.unwrap();
    let mut blocks = client.blocks_from(1);
    let mut numbers: Vec<u32> = Vec::new();
    for (proxy, other, fault) in [
        (&a, &b, Fault::CloseMidAnswer),
        (&b, &a, Fault::Garbage),
        (&a, &b, Fault::Dead),
        (&b, &a, Fault::Nonsense),
        (&a, &b, Fault::CloseMidAnswer),
    ] {
        other.heal();
        proxy.after(3, fault);
        let until = numbers.len() + 10;
        while numbers.len() < until {
            // Trouble may show as errors in between; it never shows as a missing number.
            if let Ok(block) = timeout(PATIENCE, blocks.next()).await.expect("it hangs").unwrap() {
                numbers.push(block.number);
            }
        }
    }
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{numbers:?}");
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_found_through_the_other_endpoint_and_happens_once() {
    for fault in [Fault::CutAfterSubmission, Fault::HangAfterSubmission] {
        let (_net, proxy, client, direct) = world().await;
        let before = nonce(&client, "//Bob").await;
        proxy.now(fault);
        let hotkey = key("//Bob//hot").account();
        let bob = key("//Bob");
        let registered = client.burned_register(&bob, 1, &hotkey);
        let (uid, submitted) =
            timeout(PATIENCE, registered).await.expect("it hangs").unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert_eq!((proxy.stats().faults, proxy.stats().submissions), (1, 1), "{fault:?}");
        assert_eq!(client.url().await, direct);
        // Once: one nonce is used, and one neuron is there.
        assert_eq!(nonce(&client, "//Bob").await, before + 1, "{fault:?}");
        let graph = client.metagraph(1, None).await.unwrap();
        assert_eq!(graph.by_hotkey(&hotkey).unwrap().uid, uid);
        assert!(submitted.block.number > 0);
    }
}

#[tokio::test]
async fn a_node_that_dies_while_a_transaction_waits_for_its_block_is_replaced() {
    let (_net, proxy, client, direct) = world().await;
    let before = nonce(&client, "//Bob").await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.burned_register(&key("//Bob"), 1, &key("//Bob//hot").account()).await }
    });
    proxy.until(|stats| stats.submissions == 1).await;
    proxy.now(Fault::Dead);
    timeout(PATIENCE, waiting).await.expect("it hangs").unwrap().unwrap();
    assert_eq!((nonce(&client, "//Bob").await, client.url().await), (before + 1, direct));
}

#[tokio::test]
async fn after_a_change_of_endpoint_the_next_transaction_does_not_take_the_nonce_of_one_under_way() {
    // Two nodes that know nothing of each other's pools, as public ones do for a moment.
    let Some(bytes) = metadata("devnet-381.v16.scale") else { return };
    let (a, b) = (Node::start(381, bytes.clone(), 5).await, Node::start(381, bytes, 5).await);
    let proxy = Proxy::before(a.address).await;
    let short = Options { timeout: Duration::from_secs(4), inclusion_timeout: Duration::from_millis(500) };
    let client = Client::connect_to(&both(&proxy.url(), &b.url()), short).await.unwrap();
    let args: &[(&str, Value)] = &[("netuid", Value::Uint(1))];
    let alice = key("//Alice");
    let late = client.submit(&alice, "SubtensorModule", "start_call", args).await.unwrap_err();
    assert!(matches!(late, ChainError::Deadline { .. }), "{late}");
    proxy.now(Fault::Dead);
    let late = client.submit(&alice, "SubtensorModule", "start_call", args).await.unwrap_err();
    assert!(matches!(late, ChainError::Deadline { .. }), "{late}");
    let (first, second) = (a.state().submitted.clone(), b.state().submitted.clone());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "the same bytes would be the same nonce");
}

#[tokio::test]
async fn a_bad_signature_after_bytes_that_may_have_arrived_makes_nobody_sign_again() {
    let Some(bytes) = metadata("devnet-381.v16.scale") else { return };
    let node = Node::start(381, bytes, 5).await;
    // The runtime was upgraded in the block that took the first: to the second sending it is a bad signature.
    node.state().answers = vec![Answer::Take, Answer::Refuse("Invalid Transaction", "Transaction has a bad signature")];
    let proxy = Proxy::before(node.address).await;
    let client = Client::connect(&proxy.url(), options()).await.unwrap();
    proxy.now(Fault::CutAfterSubmission);
    let sending = tokio::spawn(async move {
        client.submit(&key("//Alice"), "SubtensorModule", "start_call", &[("netuid", Value::Uint(1))]).await
    });
    proxy.until(|stats| stats.submissions == 2).await;
    node.finalize(5 + 128);
    let error = timeout(PATIENCE, sending).await.expect("it hangs").unwrap().unwrap_err();
    assert!(matches!(error, ChainError::Expired { .. }), "it was looked for: {error}");
    let submitted = node.state().submitted.clone();
    assert_eq!((submitted.len(), submitted[0] == submitted[1]), (2, true));
}

#[tokio::test]
async fn one_that_limits_its_users_is_left_alone_as_long_as_it_asked() {
    let (net, _) = localnet().await;
    let proxy = Proxy::before_url(&net.url()).await;
    let client = Client::connect(&proxy.url(), options()).await.unwrap();
    client.head().await.unwrap();
    proxy.now(Fault::TooMany { retry_after: 1 });
    let began = Instant::now();
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.head().await }
    });
    proxy.until(|stats| stats.turned_away == 1).await;
    proxy.heal();
    reading.await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "asked again after {:?}", began.elapsed());
    assert_eq!(proxy.stats().turned_away, 1, "it was asked once in that time");
    // Told, if it asks for more patience than there is.
    proxy.now(Fault::TooMany { retry_after: 30 });
    let error = client.head().await.unwrap_err().to_string();
    assert!(error.contains("429") && error.contains("again in"), "{error}");
    assert_eq!(proxy.stats().turned_away, 2);
}

#[tokio::test]
async fn a_node_that_stands_still_is_left_for_one_that_goes_on() {
    let (net, _) = localnet().await;
    let proxy = Proxy::before_url(&net.url()).await;
    let endpoints = Endpoints { stall: Some(Duration::from_millis(500)), ..both(&proxy.url(), &net.url()) };
    let short = Options { timeout: Duration::from_secs(1), inclusion_timeout: PATIENCE };
    let client = Client::connect_to(&endpoints, short).await.unwrap();
    proxy.now(Fault::OldBlock);
    let frozen = client.head().await.unwrap().number;
    let block = client.wait_for_block(frozen + 30, PATIENCE).await.unwrap();
    assert_eq!((block.number, client.url().await), (frozen + 30, net.url()));
}

#[tokio::test]
async fn an_endpoint_far_behind_what_was_final_is_not_asked() {
    let (net, _) = localnet().await;
    let (a, b) = (Proxy::before_url(&net.url()).await, Proxy::before_url(&net.url()).await);
    b.now(Fault::OldBlock);
    // What b froze at.
    let old = Client::connect(&b.url(), options()).await.unwrap().head().await.unwrap().number;
    let client = Client::connect_to(&both(&a.url(), &b.url()), options()).await.unwrap();
    let last = client.wait_for_block(old + 12, PATIENCE).await.unwrap();
    client.head().await.unwrap();
    a.now(Fault::Dead);
    // b says it has the newest block but that another was final; the client believes what it saw.
    let read = timeout(PATIENCE, client.head()).await.expect("it hangs");
    assert!(!matches!(&read, Ok(head) if head.number < last.number), "{read:?}");
    a.heal();
    let head = client.wait_for_block(last.number + 5, PATIENCE).await.unwrap();
    assert!(head.number > last.number);
}

#[tokio::test]
async fn what_one_node_has_discarded_is_read_at_another_that_keeps_it() {
    let (net, pruned, client, _) = world().await;
    let archive = Proxy::before_url(&net.url()).await;
    let first = client.metagraph(1, None).await.unwrap();
    let both = Client::connect_to(&both(&pruned.url(), &archive.url()), options()).await.unwrap();
    pruned.now(Fault::Pruned);
    for _ in 0..3 {
        assert_eq!(both.metagraph(1, Some(first.block_hash)).await.unwrap(), first);
    }
    assert_eq!(both.url().await, pruned.url(), "which is well, and is asked for everything else");
    assert_eq!(archive.stats().connections, 1, "one connection serves all that is old");
    // Where nobody keeps it, the reason is said.
    archive.now(Fault::Pruned);
    let error = both.metagraph(1, Some(first.block_hash)).await.unwrap_err().to_string();
    assert!(error.contains("ask an archive node"), "{error}");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused_by_name() {
    let (net, _) = localnet().await;
    let stranger = Node::start(381, Vec::new(), 5).await;
    let proxy = Proxy::before_url(&net.url()).await;
    let client = Client::connect_to(&both(&proxy.url(), &stranger.url()), options()).await.unwrap();
    proxy.now(Fault::Dead);
    let error = client.head().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ChainError::Invalid(_)) && text.contains(&stranger.url()), "{text}");
    assert!(text.contains("another chain") && text.contains(&hex::encode(client.genesis_hash())), "{text}");
    // The first endpoint heals: the stranger was not believed for a moment.
    proxy.heal();
    assert!(client.head().await.is_ok());
    // A network whose genesis is known believes nobody else from the start.
    let known = Endpoints { genesis: Some([1; 32]), ..Endpoints::one(&net.url()) };
    let error = Client::connect_to(&known, options()).await.unwrap_err().to_string();
    assert!(error.contains("another chain") && error.contains(&net.url()), "{error}");
}

#[tokio::test]
async fn slow_answers_are_waited_for_and_all_dead_is_said_of_each() {
    let (_net, proxy, client, direct) = world().await;
    proxy.now(Fault::Slow(Duration::from_millis(150)));
    assert!(client.add_stake(&key("//Bob"), &key("//Bob//hot").account(), 1, TAO).await.is_err(), "not registered");
    assert_eq!(client.url().await, proxy.url(), "slow is not dead");
    let (other, dead) = (Proxy::before_url(&direct).await, Fault::Dead);
    other.now(dead);
    proxy.now(dead);
    let error = Client::connect_to(&both(&proxy.url(), &other.url()), options()).await.unwrap_err();
    let text = error.to_string();
    assert!(error.is_unreachable() && text.contains(&proxy.url()) && text.contains(&other.url()), "{text}");
}
