//! A peer that commits to garbage.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use starling_commitment::Canonical;
use starling_miner::agenda::{Duty, agenda};
use starling_model::{Device, Stage};
use starling_network::{Link, Node, PeerAddress};
use starling_protocol::{
    Digest,
    config::RunConfig,
    ledger::Event,
    message::{Ready, Role},
    receipt::{Receipt, Work},
    signed::Signed,
    state::State,
    wire::Submission,
};

use crate::{
    hive::{PATIENCE, swarm_with, visitor},
    world::key,
};

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
