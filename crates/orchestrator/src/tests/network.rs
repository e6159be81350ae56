//! The whole orchestrator over real QUIC on loopback.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use starling_keys::{Account, Signer};
use starling_network::{Admission, Link, LinkError, NetworkConfig, NetworkError, NoRequests, Node, Relays};
use starling_protocol::{
    Code, Digest, Refused,
    config::RunConfig,
    message::Role,
    state::{Phase, State},
    wire::Submission,
};
use tokio::time::timeout;

use super::{
    Key, config, key, leader,
    peer::{Line, Peer},
    script::Script,
};
use crate::{Orchestrator, OrchestratorConfig, OrchestratorError, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);

fn setup(folder: &Path, run: RunConfig) -> OrchestratorConfig {
    OrchestratorConfig {
        run,
        state_dir: folder.join("orchestrator"),
        bind: ([127, 0, 0, 1], 0).into(),
        relays: Relays::default(),
        shards: None,
    }
}

struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Account) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async { Ok(()) })
    }
}

async fn node(folder: &Path, run: &RunConfig, seed: u8) -> Arc<Node> {
    let network = NetworkConfig::local(folder.join(format!("node{seed}")), run.id());
    Arc::new(Node::start(network, Arc::new(key(seed)), Arc::new(Everybody), Arc::new(NoRequests)).await.unwrap())
}

/// Requests over the network.
struct Wire(Link, Arc<Node>);

impl Line for Wire {
    fn ask(&self, _: &Key, request: Bytes) -> BoxFuture<'_, Bytes> {
        Box::pin(async move {
            let (address, account) = (self.0.address(), self.0.account());
            self.1.request(address, Some(account), request, PATIENCE).await.unwrap()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_reaches_it_reads_the_run_works_to_its_end_and_fetches_the_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let run = config(1, 1);
    let shards = folder.path().join("shards");
    std::fs::create_dir(&shards).unwrap();
    std::fs::write(shards.join("0.bin"), b"tokens").unwrap();
    let chain = Script::new();
    let setup = OrchestratorConfig { shards: Some(shards), ..setup(folder.path(), run.clone()) };
    let mut orchestrator = Orchestrator::start(setup, leader(), chain.clone()).await.unwrap();
    let mut news = orchestrator.entries();

    let node = node(folder.path(), &run, 1).await;
    let link = Link::new(node.clone(), orchestrator.address(), leader().account());
    let text = link.config().await.unwrap();
    assert_eq!(RunConfig::from_toml(&text).unwrap().id(), run.id());
    let tokens = node.fetch(&orchestrator.address(), None, &Digest::of(b"tokens"), 1 << 20, PATIENCE).await.unwrap();
    assert_eq!(&tokens[..], b"tokens");

    link.join(&key(1), run.id(), Role::Miner, 1).await.unwrap();
    let wire = Wire(link, node);
    let mut peer = Peer::new(key(1), &run);
    let work = peer.work_until(&wire, &chain, |s| *s.phase() == Phase::Finished);
    timeout(PATIENCE, work).await.unwrap();
    timeout(PATIENCE, orchestrator.finished()).await.unwrap().unwrap();
    orchestrator.finished().await.unwrap();
    assert_eq!(orchestrator.look(State::head), peer.state.head());
    let first = news.recv().await.unwrap();
    assert_eq!((first.index, first.entry.event.name()), (0, "joined"));
    orchestrator.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_refuses_arrives_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let run = config(1, 1);
    let orchestrator = Orchestrator::start(setup(folder.path(), run.clone()), leader(), Script::new()).await.unwrap();
    let (known, stranger) = (node(folder.path(), &run, 1).await, node(folder.path(), &run, 77).await);
    let link = Link::new(known, orchestrator.address(), leader().account());
    let submission = {
        let ready = starling_protocol::message::Ready {
            run: run.id(),
            epoch: 0,
            weights: Digest::ZERO,
            momentum: Digest::ZERO,
        };
        Submission::Ready(starling_protocol::signed::Signed::new(ready, &key(1)))
    };
    let error = link.submit(vec![submission]).await.unwrap_err();
    assert!(matches!(&error, LinkError::Refused(why) if why.code == Code::NotJoined), "{error}");
    let link = Link::new(stranger, orchestrator.address(), leader().account());
    let error = link.config().await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Network(NetworkError::Refused { why, .. }) if why.code == Code::NotRegistered),
        "{error}"
    );
    orchestrator.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_orchestrator_another_run_another_key_and_a_taken_port_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run = config(1, 1);
    let chain = Script::new();
    let first = Orchestrator::start(setup(folder.path(), run.clone()), leader(), chain.clone()).await.unwrap();
    let second = Orchestrator::start(setup(folder.path(), run.clone()), leader(), chain.clone()).await;
    assert!(matches!(second, Err(OrchestratorError::Store(StoreError::InUse(_)))), "{second:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let taken = OrchestratorConfig { bind: first.address().addresses[0], ..setup(elsewhere.path(), run.clone()) };
    let second = Orchestrator::start(taken, leader(), chain.clone()).await;
    assert!(matches!(second, Err(OrchestratorError::Network(NetworkError::Bind { .. }))), "{second:?}");

    let other = Orchestrator::start(setup(elsewhere.path(), run.clone()), Arc::new(key(1)), chain.clone()).await;
    assert!(matches!(other, Err(OrchestratorError::NotTheLeader { .. })), "{other:?}");

    first.shutdown().await.unwrap();
    let other = Orchestrator::start(setup(folder.path(), config(1, 2)), leader(), chain.clone()).await;
    assert!(matches!(other, Err(OrchestratorError::Store(StoreError::OtherRun { .. }))), "{other:?}");
    Orchestrator::start(setup(folder.path(), run), leader(), chain).await.unwrap().shutdown().await.unwrap();
}
