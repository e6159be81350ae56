//! An auditor: everything that a miner signed, checked by the pure rules and computed again from what the receipts name.

use std::collections::BTreeMap;

use parity_scale_codec::DecodeAll;
use starling_commitment::Canonical;
use starling_model::{Device, Gradient, OptimiserState, Stage, Tape, Weights, optimiser::learning_rate};
use starling_protocol::{
    Digest,
    v2::{
        receipt::{At, Content, Receipt, Work, first_version, next_version},
        sample::Sample,
        signed::Signed,
        sound::{self, Author},
    },
};

use crate::{
    swarm::{Peer, Swarm},
    tokens,
};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub forwards: u64,
    pub backwards: u64,
    pub steps: u64,
    pub closes: u64,
    pub carries: u64,
}

struct Lane {
    weights: Weights,
    state: OptimiserState,
    sum: Gradient,
    summed: Vec<Sample>,
    at: At,
    committed: Vec<Canonical>,
}

fn author(p: &Peer) -> Author<'_> {
    Author { uid: p.uid, account: &p.account, stage: p.stage }
}

/// All receipts, by link.
fn receipts(swarm: &Swarm) -> BTreeMap<Digest, (usize, Signed<Receipt>)> {
    let each = swarm.peers.iter().enumerate().flat_map(|(i, p)| {
        (0..p.bench.log().size()).map(move |leaf| {
            let receipt = Signed::<Receipt>::decode_all(&mut p.bench.leaf(leaf).unwrap()).unwrap();
            (receipt.link(&p.account), (i, receipt))
        })
    });
    each.collect()
}

pub fn replay(swarm: &Swarm, miner: usize) -> Seen {
    let (run, peer, id) = (swarm.run(), &swarm.peers[miner], swarm.run().id());
    let all = receipts(swarm);
    let stage = Stage::new(&run.model, usize::from(peer.stage), &Device::CPU).unwrap();
    let hyper = &run.training.optimiser;
    let root = peer.bench.log().root();
    let mut lanes: BTreeMap<u8, Lane> = BTreeMap::new();
    let mut tapes: BTreeMap<Sample, (Tape, Digest)> = BTreeMap::new();
    let mut seen = Seen::default();
    let begin = |lane: u8| {
        let base = &swarm.bases[0][usize::from(peer.stage)];
        Lane {
            weights: stage.load(&base.weights).unwrap(),
            state: stage.first_state(hyper).unwrap(),
            sum: stage.no_gradient().unwrap(),
            summed: Vec::new(),
            at: At { lane, epoch: 0, step: 0, version: first_version(lane, &base.root) },
            committed: Vec::new(),
        }
    };
    let content = |l: &Lane| {
        let (w, s) = (l.weights.to_canonical(&stage).unwrap(), l.state.to_canonical(&stage).unwrap());
        (Content { weights: w.digest(), optimiser: s.digest() }, w)
    };
    for index in 0..root.size {
        let bytes = peer.bench.leaf(index).unwrap();
        peer.bench.log().prove(root.size, &[index]).unwrap().verify(&root, &[(index, bytes)]).unwrap();
        let receipt = sound::leaf(bytes, index, author(peer), &id).unwrap();
        let (work, link) = (&receipt.body.work, receipt.link(&peer.account));
        sound::alone(run, author(peer), work, Some(&*swarm.table)).unwrap();
        match work {
            Work::Forward { sample, at, from, input, output, loss, .. } => {
                let lane = lanes.entry(at.lane).or_insert_with(|| begin(at.lane));
                assert_eq!(*at, lane.at, "the weights are named by where the lane stands");
                let data = tokens(swarm.table.number_of(*sample).unwrap());
                let given = match from {
                    None => data.0.clone(),
                    Some(source) => {
                        let (other, source) = &all[source];
                        let sender = author(&swarm.peers[*other]);
                        sound::forward_from(run, author(peer), work, source, sender, &id).unwrap();
                        swarm.blobs[input].clone()
                    }
                };
                assert_eq!(given.digest(), *input);
                let f = stage.forward(&lane.weights, &given, stage.is_last().then_some(&data.1)).unwrap();
                assert_eq!((f.output.digest(), f.loss.map(f32::to_bits)), (*output, *loss), "{sample:?}");
                tapes.insert(*sample, (f.tape, link));
                seen.forwards += 1;
            }
            Work::Backward { sample, at, forward, from, output_gradient, input_gradient } => {
                let lane = lanes.get_mut(&at.lane).unwrap();
                assert_eq!(*at, lane.at);
                let (tape, own) = tapes.remove(sample).unwrap();
                assert_eq!(own, *forward);
                let source = from.map(|link| &all[&link]).map(|(other, r)| (r, author(&swarm.peers[*other])));
                sound::backward_from(run, author(peer), work, &all[forward].1, source, &id).unwrap();
                let given = output_gradient.map(|g| stage.output_gradient(&tape, &swarm.blobs[&g]).unwrap());
                let (wire, rest) = stage.input_gradient(tape, given.as_ref()).unwrap();
                assert_eq!(wire.map(|w| w.to_canonical(&stage).unwrap().digest()), *input_gradient, "{sample:?}");
                stage.accumulate(rest, &mut lane.sum).unwrap();
                lane.summed.push(*sample);
                seen.backwards += 1;
            }
            Work::Step { at, samples, content: named } => {
                let lane = lanes.get_mut(&at.lane).unwrap();
                assert_eq!((*at, samples), (lane.at, &lane.summed));
                let place = run.schedule_step(at.epoch, at.step) as u32 + 1;
                let rate = learning_rate(hyper, place, run.total_steps() as u32);
                stage.step_at(&mut lane.weights, &mut lane.state, &lane.sum, hyper, rate).unwrap();
                lane.sum.clear().unwrap();
                lane.summed.clear();
                lane.at.step += 1;
                lane.at.version = next_version(&lane.at.version, &link);
                if let Some(named) = named {
                    assert_eq!(content(lane).0, *named);
                }
                seen.steps += 1;
            }
            Work::Close { at, content: named } => {
                // A lane that no sample reached closes what it began with.
                let lane = lanes.entry(at.lane).or_insert_with(|| begin(at.lane));
                assert_eq!(*at, lane.at);
                let (own, weights) = content(lane);
                assert_eq!(own, *named);
                lane.committed.push(weights);
                (lane.at.epoch, lane.at.step) = (lane.at.epoch + 1, 0);
                seen.closes += 1;
            }
            Work::Carry { at, base, root, committed, .. } => {
                let lane = lanes.get_mut(&at.lane).unwrap();
                let own = lane.committed.remove(0);
                let base = &swarm.bases[*base as usize][usize::from(peer.stage)];
                assert_eq!((*at, *root, *committed), (lane.at, base.root, own.digest()));
                stage.add_difference(&mut lane.weights, &base.weights, &own).unwrap();
                lane.at.version = next_version(&lane.at.version, &link);
                seen.carries += 1;
            }
            Work::Drop { .. } | Work::Merge { .. } => panic!("nobody drops or merges here: {work:?}"),
        }
    }
    seen
}
