//! An orchestrator and miners in one process, over real QUIC; only the chain is scripted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use starling_keys::{Account, Signer};
use starling_miner::{Adversary, Miner, MinerConfig};
use starling_model::{Tokenizer, data::Corpus};
use starling_network::{NetworkConfig, NoRequests, Node, Relays, Roll};
use starling_orchestrator::{Orchestrator, OrchestratorConfig};
use starling_protocol::{Uid, config::RunConfig, state::State};

use crate::world::{config, key};

/// What the two actors need of a chain, and nothing else: heights by the clock, commitments in memory.
pub struct Chain {
    pub started: Instant,
    pub uids: BTreeMap<Account, Uid>,
    pub commitments: Mutex<BTreeMap<Account, (u32, Vec<u8>)>>,
}

impl Chain {
    pub fn height(&self) -> u32 {
        10 + (self.started.elapsed().as_millis() / 50) as u32
    }
    pub fn write(&self, who: Account, data: Vec<u8>) {
        self.commitments.lock().unwrap().insert(who, (self.height(), data));
    }
    pub fn read(&self, who: &Account) -> Option<(u32, Vec<u8>)> {
        self.commitments.lock().unwrap().get(who).cloned()
    }
}

impl starling_miner::Chain for Chain {
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>> {
        Box::pin(async move { Ok(self.uids.get(&hotkey).copied()) })
    }
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move { Ok(self.read(&hotkey).map(|(_, data)| data)) })
    }
    fn commit<'a>(&'a self, hotkey: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.write(hotkey.account(), data);
            Ok(())
        })
    }
}

impl starling_orchestrator::Chain for Chain {
    fn block_after(&self, last: Option<u32>) -> BoxFuture<'_, Result<u32, String>> {
        Box::pin(async move {
            while last.is_some_and(|last| self.height() <= last) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(self.height())
        })
    }
    fn uid(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<Uid>, String>> {
        Box::pin(async move { Ok(self.uids.get(&hotkey).copied()) })
    }
    fn commitment(&self, hotkey: Account) -> BoxFuture<'_, Result<Option<(u32, Vec<u8>)>, String>> {
        Box::pin(async move { Ok(self.read(&hotkey)) })
    }
    fn commit<'a>(&'a self, hotkey: &'a dyn Signer, data: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.write(hotkey.account(), data);
            Ok(())
        })
    }
}

pub struct Swarm {
    pub dir: tempfile::TempDir,
    pub run: RunConfig,
    pub corpus: Corpus,
    pub chain: Arc<Chain>,
    pub orchestrator: Orchestrator,
}

pub const PATIENCE: Duration = Duration::from_secs(120);

pub async fn swarm(stages: usize, miners: u16, rounds: u32, epochs: u32) -> Swarm {
    swarm_with(stages, miners, rounds, epochs, |_| {}).await
}

pub async fn swarm_with(
    stages: usize,
    miners: u16,
    rounds: u32,
    epochs: u32,
    change: impl FnOnce(&mut RunConfig),
) -> Swarm {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.txt");
    std::fs::write(&text, include_str!("swarm.rs")).unwrap();
    let shards = dir.path().join("shards");
    let corpus = Corpus::write(&text, &Tokenizer::bytes(), &shards).unwrap();
    let leader = key(200);
    let mut run = config(stages, miners, rounds, epochs, 4, leader.account(), corpus.digest);
    change(&mut run);
    run.validate().unwrap();
    let mut uids: BTreeMap<Account, Uid> = (1..=9).map(|n| (key(n).account(), Uid::from(n) + 20)).collect();
    uids.insert(leader.account(), 1);
    let chain = Arc::new(Chain { started: Instant::now(), uids, commitments: Mutex::default() });
    let setup = leading(&run, dir.path());
    let orchestrator = Orchestrator::start(setup, Arc::new(leader), chain.clone()).await.unwrap();
    Swarm { dir, run, corpus, chain, orchestrator }
}

fn leading(run: &RunConfig, dir: &std::path::Path) -> OrchestratorConfig {
    OrchestratorConfig {
        run: run.clone(),
        state_dir: dir.join("orchestrator"),
        bind: "127.0.0.1:0".parse().unwrap(),
        relays: Relays::default(),
        shards: Some(dir.join("shards")),
    }
}

impl Swarm {
    pub fn orchestrator_config(&self) -> OrchestratorConfig {
        leading(&self.run, self.dir.path())
    }

    pub fn config(&self, n: u8, adversary: Option<Adversary>) -> MinerConfig {
        MinerConfig {
            run: self.run.clone(),
            orchestrator: self.orchestrator.address(),
            state_dir: self.dir.path().join(format!("miner-{n}")),
            bind: "127.0.0.1:0".parse().unwrap(),
            relays: Relays::default(),
            device: "cpu".into(),
            threads: 1,
            adversary,
            protocol_version: starling_protocol::wire::PROTOCOL_VERSION,
        }
    }

    pub async fn miner(&self, n: u8, adversary: Option<Adversary>) -> Miner {
        Miner::start_on(self.config(n, adversary), Arc::new(key(n)), self.chain.clone()).await.unwrap()
    }

    /// Wait until the state is so.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) {
        let mut length = self.orchestrator.length();
        let wait = async {
            while !self.orchestrator.look(&mut holds) {
                length.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{what} does not come about: {}", self.orchestrator.look(State::waiting_for));
        }
    }
}

/// A node of somebody who is registered and only asks.
pub async fn visitor(swarm: &Swarm, n: u8) -> Arc<Node> {
    let chain = swarm.chain.clone();
    let lookup = Box::new(move |who: Account| -> BoxFuture<'static, _> {
        let uid = chain.uids.get(&who).copied();
        Box::pin(async move { Ok(uid) })
    });
    let roll = Arc::new(Roll::new(3, Duration::from_secs(60), lookup));
    let network = NetworkConfig::local(swarm.dir.path().join(format!("visitor-{n}")), swarm.run.id());
    Arc::new(Node::start(network, Arc::new(key(n)), roll, Arc::new(NoRequests)).await.unwrap())
}
