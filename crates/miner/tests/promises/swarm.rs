//! Miners and an orchestrator in one process, over real QUIC, with a real model: what the swarm learns is, bit for bit, what one
//! machine computes by the same rules.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use starling_commitment::Canonical;
use starling_miner::{
    Adversary, Miner, MinerConfig, MinerError,
    agenda::{Duty, agenda},
};
use starling_model::{
    Device, Stage, Tokenizer,
    data::{Corpus, Manifest, batch, sample},
    execute::{self, StepSample},
    merge::outer_shard,
};
use starling_network::{Link, NetworkConfig, NoRequests, Node, PeerAddress, Roll};
use starling_orchestrator::{Orchestrator, OrchestratorConfig};
use starling_protocol::{
    Account, Digest, Signer, Uid,
    config::RunConfig,
    ledger::Event,
    message::{Ready, Role},
    receipt::{Receipt, Work},
    routing,
    signed::Signed,
    state::{Phase, Standing, State},
    wire::Submission,
};

use crate::world::{config, key};

/// What the two actors need of a chain, and nothing else: heights by the clock, commitments in memory.
struct Chain {
    started: Instant,
    uids: BTreeMap<Account, Uid>,
    commitments: Mutex<BTreeMap<Account, (u32, Vec<u8>)>>,
}

impl Chain {
    fn height(&self) -> u32 {
        10 + (self.started.elapsed().as_millis() / 50) as u32
    }
    fn write(&self, who: Account, data: Vec<u8>) {
        self.commitments.lock().unwrap().insert(who, (self.height(), data));
    }
    fn read(&self, who: &Account) -> Option<(u32, Vec<u8>)> {
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

struct Swarm {
    dir: tempfile::TempDir,
    run: RunConfig,
    corpus: Corpus,
    chain: Arc<Chain>,
    orchestrator: Orchestrator,
}

const PATIENCE: Duration = Duration::from_secs(120);

async fn swarm(stages: usize, miners: u16, rounds: u32, epochs: u32) -> Swarm {
    swarm_with(stages, miners, rounds, epochs, |_| {}).await
}

async fn swarm_with(
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
    let orchestrator = OrchestratorConfig {
        run: run.clone(),
        state_dir: dir.path().join("orchestrator"),
        bind: "127.0.0.1:0".parse().unwrap(),
        shards: Some(shards),
    };
    let orchestrator = Orchestrator::start(orchestrator, Arc::new(leader), chain.clone()).await.unwrap();
    Swarm { dir, run, corpus, chain, orchestrator }
}

impl Swarm {
    fn config(&self, n: u8, adversary: Option<Adversary>) -> MinerConfig {
        MinerConfig {
            run: self.run.clone(),
            orchestrator: self.orchestrator.address(),
            state_dir: self.dir.path().join(format!("miner-{n}")),
            bind: "127.0.0.1:0".parse().unwrap(),
            device: "cpu".into(),
            adversary,
        }
    }

    async fn miner(&self, n: u8, adversary: Option<Adversary>) -> Miner {
        Miner::start_on(self.config(n, adversary), Arc::new(key(n)), self.chain.clone()).await.unwrap()
    }

    /// Wait until the state is so.
    async fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) {
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

/// What one machine computes, given who worked where: per stage the weights after the last merge.
fn by_hand(run: &RunConfig, shards: &Path, corpus: &Corpus, roster: &[Vec<Uid>]) -> Vec<Digest> {
    let manifest: &Manifest = &corpus.manifest;
    let blobs: Vec<Canonical> = manifest
        .shards
        .iter()
        .map(|s| {
            Canonical::decode(std::fs::read(shards.join(s.digest.to_string())).unwrap().into(), Default::default())
                .unwrap()
        })
        .collect();
    let stages: Vec<Stage> = (0..roster.len()).map(|s| Stage::new(&run.model, s, &Device::CPU).unwrap()).collect();
    let t = &run.training;
    let mut base: Vec<Canonical> = stages.iter().map(|s| s.initial_weights(run.seed).unwrap()).collect();
    let mut momentum: Vec<Vec<f32>> = stages.iter().map(|s| vec![0.0; s.parameter_count()]).collect();
    let mut optimiser: BTreeMap<Uid, Canonical> = BTreeMap::new();
    for epoch in 0..t.epochs {
        let mut weights: BTreeMap<Uid, Canonical> = BTreeMap::new();
        for (s, uids) in roster.iter().enumerate() {
            uids.iter().for_each(|uid| drop(weights.insert(*uid, base[s].clone())));
        }
        for round in 0..t.rounds_per_epoch {
            let mut passed: BTreeMap<Uid, Vec<StepSample>> = BTreeMap::new();
            let paths = routing::pathways(run.seed, epoch, round, t.samples_per_round, roster);
            for (i, path) in (0u32..).zip(&paths) {
                let index = run.first_sample(epoch, round) + i;
                let windows = sample(manifest, run.seed, index, t.sequences_per_sample, t.sequence_length).unwrap();
                let (tokens, targets) = batch(manifest, &blobs, &windows, t.sequence_length).unwrap();
                let targets = |s: usize| (s + 1 == stages.len()).then(|| targets.clone());
                let mut inputs = vec![tokens];
                for (s, uid) in path.iter().enumerate() {
                    let out = execute::forward(&stages[s], &weights[uid], &inputs[s], targets(s).as_ref()).unwrap();
                    inputs.push(out.output);
                }
                let mut gradient = None;
                for (s, uid) in path.iter().enumerate().rev() {
                    let back = execute::backward(
                        &stages[s],
                        &weights[uid],
                        &inputs[s],
                        targets(s).as_ref(),
                        gradient.as_ref(),
                    )
                    .unwrap();
                    let used = StepSample { input: inputs[s].clone(), targets: targets(s), output_gradient: gradient };
                    passed.entry(*uid).or_default().push(used);
                    gradient = back.input_gradient;
                }
            }
            for (s, uids) in roster.iter().enumerate() {
                for uid in uids {
                    let before =
                        optimiser.get(uid).cloned().unwrap_or_else(|| stages[s].zero_optimiser_state().unwrap());
                    let (w, o) = execute::step(
                        &stages[s],
                        &weights[uid],
                        &before,
                        &passed[uid],
                        &t.optimiser,
                        run.total_steps(),
                    )
                    .unwrap();
                    weights.insert(*uid, w);
                    optimiser.insert(*uid, o);
                }
            }
        }
        for (s, uids) in roster.iter().enumerate() {
            let parts: Vec<Vec<f32>> = uids.iter().map(|uid| weights[uid].to_f32().unwrap()).collect();
            let parts: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
            let (new, velocity) = outer_shard(&base[s].to_f32().unwrap(), &momentum[s], &parts, &t.outer);
            base[s] = Canonical::from_f32(&[new.len() as u64], &new).unwrap();
            momentum[s] = velocity;
        }
    }
    base.iter().map(Canonical::digest).collect()
}

/// Nobody is void or unsound in the newest closed epoch.
fn all_count(state: &State) {
    for (account, filed) in &state.closed().unwrap().filed {
        for f in filed {
            assert_eq!(f.standing, Standing::Counted, "{account}: {:?}", f.signed.body.work);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_learns_bit_for_bit_what_one_machine_would() {
    let mut swarm = swarm(2, 2, 2, 2).await;
    let mut miners = Vec::new();
    for n in 1..=4 {
        miners.push(swarm.miner(n, None).await);
    }
    swarm.until("the audit of epoch 0", |s| s.closed().is_some_and(|c| c.epoch == 0)).await;
    swarm.orchestrator.look(all_count);
    let roster = swarm.orchestrator.look(State::working);
    let passes: Vec<Digest> = swarm.orchestrator.look(|s| {
        let filed = s.closed().unwrap().filed[&key(1).account()].iter();
        let output = |f: &starling_protocol::state::Filed| match f.signed.body.work {
            Work::Forward { input, output, .. } => vec![input, output],
            _ => Vec::new(),
        };
        filed.flat_map(output).collect()
    });
    assert_eq!(roster.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    swarm.until("the end", |s| *s.phase() == Phase::Finished).await;
    swarm.orchestrator.look(all_count);
    let learnt: Vec<Digest> = swarm.orchestrator.look(|s| s.base().iter().map(|w| w.weights).collect());
    for miner in &miners {
        tokio::time::timeout(PATIENCE, miner.finished()).await.unwrap().unwrap();
        let status = miner.status().borrow().clone();
        assert!(status.done.forwards >= 4 && status.done.steps == 4 && status.unfiled == 0, "{status}");
    }
    tokio::time::timeout(PATIENCE, swarm.orchestrator.finished()).await.unwrap().unwrap();
    let held = |digest: &Digest| {
        let name = digest.to_string();
        swarm.dir.path().join("miner-1/network/blobs").join(&name[..2]).join(&name).exists()
    };
    assert!(passes.len() >= 4 && !passes.iter().any(held), "blobs of an epoch whose audit is closed are gone");
    assert!(learnt.iter().any(held), "the last weights are kept");
    let expected = by_hand(&swarm.run, &swarm.dir.path().join("shards"), &swarm.corpus, &roster);
    assert_eq!(learnt, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_that_stops_in_mid_epoch_comes_back_as_itself_and_the_run_is_finished() {
    let swarm = swarm(2, 2, 3, 2).await;
    let mut miners = Vec::new();
    for n in 1..=4 {
        miners.push(swarm.miner(n, None).await);
    }
    let who = key(1).account();
    swarm.until("round 1", |s| s.training().round == Some(1) && s.filed().contains_key(&who)).await;
    let endpoint = miners[0].address().endpoint;
    let (stage, before) = swarm.orchestrator.look(|s| (s.members()[&who].stage, s.members()[&who].count));
    miners.remove(0).shutdown().await;
    let back = swarm.miner(1, None).await;
    assert_eq!(back.address().endpoint, endpoint, "the same endpoint");
    swarm.until("the second epoch with everybody", |s| s.epoch() == 1 && s.members()[&who].enlisted).await;
    swarm.orchestrator.look(|s| {
        let member = &s.members()[&who];
        assert_eq!(member.stage, stage, "the same stage");
        assert!(member.count >= before, "the same chain of receipts");
    });
    swarm.until("the end", |s| *s.phase() == Phase::Finished).await;
    swarm.orchestrator.look(|s| {
        let unsound = |f: &&starling_protocol::state::Filed| matches!(f.standing, Standing::Unsound(_));
        assert_eq!(s.closed().unwrap().filed.values().flatten().filter(unsound).count(), 0);
    });
    tokio::time::timeout(PATIENCE, back.finished()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_at_the_start_is_said_in_one_sentence() {
    let swarm = swarm(1, 1, 1, 1).await;
    // Not registered.
    let stranger = Miner::start_on(swarm.config(77, None), Arc::new(key(77)), swarm.chain.clone()).await;
    let error = stranger.unwrap_err();
    assert!(matches!(error, MinerError::NotRegistered { netuid: 3, .. }), "{error}");
    assert!(error.to_string().contains("register it first"));
    // A device that is not there.
    let mut config = swarm.config(1, None);
    config.device = "abacus".into();
    let error = Miner::start_on(config, Arc::new(key(1)), swarm.chain.clone()).await.unwrap_err();
    assert!(error.to_string().contains("abacus"), "{error}");
    // Another run than the orchestrator's.
    let mut config = swarm.config(2, None);
    config.run.seed += 1;
    let miner = Miner::start_on(config, Arc::new(key(2)), swarm.chain.clone()).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, miner.finished()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("run.toml"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orchestrator_that_is_away_is_waited_for_and_the_status_says_so() {
    let swarm = swarm(1, 1, 1, 1).await;
    let mut config = swarm.config(3, None);
    // Nobody listens there: the endpoint id is right, the port is that of a socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let orchestrator: PeerAddress = swarm.orchestrator.address();
    config.orchestrator = PeerAddress { addresses: vec![silent.local_addr().unwrap()], ..orchestrator };
    let miner = Miner::start_on(config, Arc::new(key(3)), swarm.chain.clone()).await.unwrap();
    let mut status = miner.status();
    let told = status.wait_for(|s| s.troubles.contains_key("orchestrator"));
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().to_string();
    assert!(told.contains("trying again"), "{told}");
    miner.shutdown().await;
}

/// A node of somebody who is registered and only asks.
async fn visitor(swarm: &Swarm, n: u8) -> Arc<Node> {
    let chain = swarm.chain.clone();
    let lookup = Box::new(move |who: Account| -> BoxFuture<'static, _> {
        let uid = chain.uids.get(&who).copied();
        Box::pin(async move { Ok(uid) })
    });
    let roll = Arc::new(Roll::new(3, Duration::from_secs(60), lookup));
    let network = NetworkConfig::local(swarm.dir.path().join(format!("visitor-{n}")), swarm.run.id());
    Arc::new(Node::start(network, Arc::new(key(n)), roll, Arc::new(NoRequests)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_audited_an_honest_miner_opens_everything_and_a_withholding_one_does_not() {
    let swarm = swarm_with(2, 1, 2, 1, |run| run.audit.window_blocks = 100_000).await;
    let honest = swarm.miner(1, None).await;
    let withholding = swarm.miner(2, Some(Adversary::WithholdOpening)).await;
    swarm.until("the audit", |s| matches!(s.phase(), Phase::Auditing { .. })).await;
    let node = visitor(&swarm, 5).await;
    let openings = |who: Account| {
        let filed = swarm.orchestrator.look(|s| s.filed()[&who].clone());
        assert!(filed.len() >= 18, "two rounds of four samples, both ways, and two steps");
        filed.iter().flat_map(|f| f.signed.body.work.openings()).collect::<std::collections::BTreeSet<Digest>>()
    };
    let open = async |miner: &Miner, who: Account, digest: &Digest| {
        node.fetch(&miner.address(), Some(&who), digest, 1 << 24, Duration::from_secs(10)).await
    };
    for digest in openings(key(1).account()) {
        open(&honest, key(1).account(), &digest).await.unwrap();
    }
    // Everything but the epoch's first weights, which newcomers need, and the last, which the merge needs.
    let kept: Vec<Digest> = swarm.orchestrator.look(|s| {
        let member = &s.members()[&key(2).account()];
        [member.weights, s.base().get(usize::from(member.stage)).map(|w| w.weights)].into_iter().flatten().collect()
    });
    let mut gone = 0;
    for digest in openings(key(2).account()) {
        // What the honest neighbour served is in this node's own store by now.
        node.remove(&[digest]).await.unwrap();
        let opened = open(&withholding, key(2).account(), &digest).await;
        assert_eq!(opened.is_ok(), kept.contains(&digest), "{opened:?}");
        gone += usize::from(opened.is_err());
    }
    assert!(gone > 10, "only {gone} blobs are withheld");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_a_peer_becomes_a_complaint_and_the_miner_lives_on() {
    let swarm = swarm_with(2, 1, 1, 1, |run| run.epoch.sample_timeout_ms = 2_000).await;
    let mut entries = swarm.orchestrator.entries();
    let villain = tokio::spawn(villain(visitor(&swarm, 6).await, swarm.orchestrator.address(), swarm.run.clone()));
    swarm.until("the villain at stage 0", |s| s.members().contains_key(&key(6).account())).await;
    let honest = swarm.miner(1, None).await;
    let mut awaited = vec!["not a number", "the shape is", "not a tensor", "does not serve", "at most"];
    let collect = async {
        while !awaited.is_empty() {
            let event = entries.recv().await.unwrap().entry.event.clone();
            if let Event::Complaint(complaint) = event {
                assert_eq!((complaint.signer, complaint.body.about), (key(1).account(), key(6).account()));
                awaited.retain(|reason| !complaint.body.reason.contains(reason));
            }
        }
    };
    let all = tokio::time::timeout(PATIENCE, collect).await;
    assert!(all.is_ok(), "no complaint about {awaited:?}");
    villain.abort();
    let status = honest.status().borrow().clone();
    assert!(status.done.complaints >= 5 && status.troubles.contains_key("peers"), "{status}");
    let ended = honest.finished().now_or_never();
    assert!(ended.is_none(), "the honest miner ended: {ended:?}");
}

/// A stage 0 that commits to five kinds of garbage in turn.
async fn villain(node: Arc<Node>, orchestrator: PeerAddress, run: RunConfig) {
    let hotkey = key(6);
    let me = hotkey.account();
    let link = Link::new(node.clone(), orchestrator, run.orchestrator);
    let mut state = State::new(run.clone());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    link.join(&hotkey, run.id(), Role::Miner, now).await.unwrap();
    let stage = Stage::new(&run.model, 0, &Device::CPU).unwrap();
    let (weights, zeros) = (stage.initial_weights(run.seed).unwrap(), vec![0.0; stage.parameter_count()]);
    let momentum = Canonical::from_f32(&[zeros.len() as u64], &zeros).unwrap();
    let mut turn = 0usize;
    loop {
        let page = link.page(state.head().length, Duration::from_secs(1)).await.unwrap();
        state.absorb(&page).unwrap();
        let Some(member) = state.members().get(&me) else { continue };
        let (mut sequence, mut previous) = (member.count, member.link);
        for duty in agenda(&state, &me, &[]).duties.into_values() {
            let said = match duty {
                Duty::Hold(_) => {
                    let ready = Ready {
                        run: run.id(),
                        epoch: state.epoch(),
                        weights: weights.digest(),
                        momentum: momentum.digest(),
                    };
                    Submission::Ready(Signed::new(ready, &hotkey))
                }
                Duty::Forward { pass, .. } => {
                    let noise = vec![turn as u8; 5_000];
                    let blob: bytes::Bytes = match turn % 5 {
                        0 => Canonical::from_f32(&[2, 16, 32], &[f32::NAN; 1024]).unwrap().bytes().clone(),
                        1 => Canonical::from_f32(&[4, 8, 32], &[1.0; 1024]).unwrap().bytes().clone(),
                        2 => noise[..1_000].to_vec().into(),
                        3 => vec![turn as u8; 77].into(),
                        _ => noise.into(),
                    };
                    if turn % 5 != 3 {
                        node.put(blob.clone()).await.unwrap();
                    }
                    turn += 1;
                    let output = Digest::of(&blob);
                    let (round, sample, attempt) = (pass.round, pass.sample, pass.attempt);
                    let work = Work::Forward {
                        round,
                        sample,
                        attempt,
                        weights: pass.weights,
                        input: Digest::ZERO,
                        output,
                        loss: None,
                    };
                    let receipt = Receipt { run: run.id(), epoch: state.epoch(), stage: 0, sequence, previous, work };
                    (sequence, previous) = (sequence + 1, receipt.link(&me));
                    Submission::Receipt(Signed::new(receipt, &hotkey))
                }
                _ => continue,
            };
            link.submit(vec![said]).await.unwrap();
        }
    }
}
