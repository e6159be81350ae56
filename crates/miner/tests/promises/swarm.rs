//! What the swarm learns is, bit for bit, what one machine computes by the same rules; and it survives what happens to peers.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use starling_commitment::Canonical;
use starling_keys::Account;
use starling_miner::{Adversary, Miner, MinerError};
use starling_model::{
    Device, Stage,
    data::{Corpus, Manifest, batch, sample},
    execute::{self, StepSample},
    merge::outer_shard,
};
use starling_network::PeerAddress;
use starling_orchestrator::Orchestrator;
use starling_protocol::{
    Digest, Uid,
    config::RunConfig,
    receipt::Work,
    routing,
    state::{Phase, Standing, State},
};

use crate::{
    hive::{PATIENCE, swarm, swarm_with, visitor},
    world::key,
};

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
                    let before = optimiser
                        .get(uid)
                        .cloned()
                        .unwrap_or_else(|| stages[s].first_state_bytes(&t.optimiser).unwrap());
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
async fn an_orchestrator_that_restarts_is_found_again_and_the_epoch_goes_on() {
    let mut swarm = swarm(2, 1, 3, 1).await;
    let miners = [swarm.miner(1, None).await, swarm.miner(2, None).await];
    swarm.until("round 1", |s| s.training().round == Some(1)).await;
    let address = swarm.orchestrator.address();
    let mut config = swarm.orchestrator_config();
    config.bind = address.addresses[0];
    swarm.orchestrator.shutdown().await.unwrap();
    let mut status = miners[0].status();
    let told = status.wait_for(|s| s.troubles.keys().any(|what| ["orchestrator", "handing in"].contains(what)));
    tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap();
    swarm.orchestrator = Orchestrator::start(config, Arc::new(key(200)), swarm.chain.clone()).await.unwrap();
    assert_eq!(swarm.orchestrator.address(), address);
    swarm.until("the end", |s| *s.phase() == Phase::Finished).await;
    for miner in &miners {
        tokio::time::timeout(PATIENCE, miner.finished()).await.unwrap().unwrap();
        let status = miner.status().borrow().clone();
        assert!(!status.troubles.contains_key("orchestrator"), "{status}");
        assert_eq!(status.done.steps, 3, "nothing was done twice or left out");
    }
}
