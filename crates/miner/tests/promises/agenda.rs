//! Whoever follows the agenda does what counts, once, and can open everything it committed to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use starling_keys::Account;
use starling_miner::agenda::{Delivery, Duty, Key, Start, agenda, keep};
use starling_protocol::{
    Digest,
    ledger::{Event, StageWeights},
    message::Ready,
    receipt::{Receipt, Work},
    signed::Signed,
    state::{Phase, Standing},
    wire::Submission,
};

use crate::world::Ledger;

/// A miner whose computations are hashes.
#[derive(Default)]
struct Peer {
    /// Signed, not handed in.
    pending: Vec<Signed<Receipt>>,
    done: BTreeSet<Key>,
    /// What its store holds, and for which epoch it was last stored.
    blobs: BTreeMap<Digest, u32>,
    tidied: Option<u32>,
}

fn made(parts: &[&str], digests: &[Digest]) -> Digest {
    let mut bytes = parts.join("/").into_bytes();
    digests.iter().for_each(|d| bytes.extend_from_slice(&d.0));
    Digest::of(&bytes)
}

struct World {
    ledger: Ledger,
    peers: Vec<Peer>,
    void: usize,
    seen: BTreeMap<Account, usize>,
}

impl World {
    fn new(stages: usize, miners: u16, rounds: u32, epochs: u32) -> Self {
        let ledger = Ledger::new(stages, miners, rounds, epochs);
        let peers = ledger.keys.iter().map(|_| Peer::default()).collect();
        Self { ledger, peers, void: 0, seen: BTreeMap::new() }
    }

    fn stored(&self, miner: usize, digest: &Digest) -> bool {
        self.peers[miner].blobs.contains_key(digest)
    }

    fn index(&self, account: &Account) -> usize {
        self.ledger.keys.iter().position(|k| k.account() == *account).unwrap()
    }

    /// The peer named on the agenda has the blob named: then it is in the own store, too.
    fn fetch(&mut self, miner: usize, what: &Delivery, keep: bool) {
        let from = self.index(&what.from);
        assert!(self.stored(from, &what.digest), "{:?} is to be had from miner {from}", what.digest);
        if keep {
            self.store(miner, what.digest);
        }
    }

    fn store(&mut self, miner: usize, digest: Digest) {
        let epoch = self.ledger.state.epoch();
        self.peers[miner].blobs.insert(digest, epoch);
    }

    /// One duty of one miner, if it has any; false if not.
    fn act(&mut self, miner: usize, choose: usize) -> bool {
        let me = self.ledger.account(miner);
        let pending: Vec<Receipt> = self.peers[miner].pending.iter().map(|s| s.body.clone()).collect();
        let duties = agenda(&self.ledger.state, &me, &pending).duties;
        let open: Vec<(Key, Duty)> = duties.into_iter().filter(|(k, _)| !self.peers[miner].done.contains(k)).collect();
        if open.is_empty() {
            return false;
        }
        let (key, duty) = open[choose % open.len()].clone();
        let Some(member) = self.ledger.state.members().get(&me).cloned() else { return false };
        let stage = format!("stage {}", member.stage);
        let name = format!("{me}");
        let work = match duty {
            Duty::Forward { pass, input } => {
                assert!(self.stored(miner, &pass.weights), "weights of a forward are at hand");
                let digest = match input {
                    Some(from) => {
                        self.fetch(miner, &from, true);
                        from.digest
                    }
                    None => made(&["tokens", &pass.sample.to_string()], &[]),
                };
                let last = usize::from(member.stage) + 1 == usize::from(self.ledger.state.config().stages());
                let output = made(&["forward"], &[pass.weights, digest]);
                self.store(miner, digest);
                self.store(miner, output);
                let (round, sample, attempt, weights) = (pass.round, pass.sample, pass.attempt, pass.weights);
                Work::Forward {
                    round,
                    sample,
                    attempt,
                    weights,
                    input: digest,
                    output,
                    loss: last.then(|| 2f32.to_bits()),
                }
            }
            Duty::Backward { pass, input, gradient } => {
                assert!(
                    self.stored(miner, &pass.weights) && self.stored(miner, &input),
                    "a backward can be done again from disk"
                );
                if let Some(from) = &gradient {
                    self.fetch(miner, from, true);
                }
                let output_gradient = gradient.map(|g| g.digest);
                let input_gradient = (member.stage > 0).then(|| made(&["gradient"], &[pass.weights, input]));
                input_gradient.into_iter().for_each(|g| self.store(miner, g));
                let (round, sample, attempt, weights) = (pass.round, pass.sample, pass.attempt, pass.weights);
                Work::Backward { round, sample, attempt, weights, input, output_gradient, input_gradient }
            }
            Duty::Step { round, samples, passed, weights, optimiser } => {
                assert_eq!(samples, passed.iter().map(|p| (p.sample, p.attempt)).collect::<Vec<_>>());
                for p in &passed {
                    assert!(self.stored(miner, &p.input) && p.output_gradient.is_none_or(|g| self.stored(miner, &g)));
                }
                assert!(
                    self.stored(miner, &weights) && optimiser.is_none_or(|o| self.stored(miner, &o)),
                    "state before a step is at hand"
                );
                let before = optimiser.unwrap_or(made(&["zero", &stage], &[]));
                let after = [made(&["weights", &name], &[weights]), made(&["optimiser", &name], &[before])];
                [before, after[0], after[1]].into_iter().for_each(|d| self.store(miner, d));
                let [weights_after, optimiser_after] = after;
                Work::Step {
                    round,
                    samples,
                    weights_before: weights,
                    optimiser_before: before,
                    weights_after,
                    optimiser_after,
                }
            }
            Duty::Merge { shard, contributions, old, .. } => {
                assert!(
                    self.stored(miner, &old.weights) && self.stored(miner, &old.momentum),
                    "the base of a merge is at hand"
                );
                contributions.iter().for_each(|c| self.fetch(miner, c, false));
                let parts: Vec<Digest> = contributions.iter().map(|c| c.digest).collect();
                let output = made(&["shard", &stage, &shard.to_string()], &parts);
                self.store(miner, output);
                Work::Merge { shard, output }
            }
            Duty::Hold(start) => {
                let held = self.hold(miner, &stage, &start);
                self.store(miner, held.weights);
                self.store(miner, held.momentum);
                let ready = Ready {
                    run: self.ledger.state.run(),
                    epoch: self.ledger.state.epoch(),
                    weights: held.weights,
                    momentum: held.momentum,
                };
                let signed = Signed::new(ready, &self.ledger.keys[miner]);
                self.ledger.submit(miner, Submission::Ready(signed));
                return true;
            }
            Duty::Anchor { count, head } => {
                self.ledger.block += 1;
                let block = self.ledger.block;
                self.ledger.push(Event::Anchored { account: me, block, count, head });
                return true;
            }
        };
        self.peers[miner].done.insert(key);
        let (sequence, previous) = match self.peers[miner].pending.last() {
            Some(last) => (last.body.sequence + 1, last.body.link(&me)),
            None => (member.count, member.link),
        };
        let (run, epoch) = (self.ledger.state.run(), self.ledger.state.epoch());
        let receipt = Receipt { run, epoch, stage: member.stage, sequence, previous, work };
        let signed = Signed::new(receipt, &self.ledger.keys[miner]);
        self.peers[miner].pending.push(signed);
        true
    }

    fn hold(&mut self, miner: usize, stage: &str, start: &Start) -> StageWeights {
        match start {
            Start::Seed => {
                StageWeights { weights: made(&["seed", stage], &[]), momentum: made(&["momentum", stage], &[]) }
            }
            Start::Known { weights, colleagues } => {
                let held =
                    |w: &World, d: &Digest| w.stored(miner, d) || colleagues.iter().any(|c| w.stored(w.index(c), d));
                assert!(
                    held(self, &weights.weights) && held(self, &weights.momentum),
                    "somebody of the stage holds the epoch's weights"
                );
                *weights
            }
            Start::Assemble { old, shards, .. } => {
                let mut parts = vec![old.weights, old.momentum];
                for shard in shards.iter().flatten() {
                    assert!(
                        shard.holders.iter().any(|h| self.stored(self.index(h), &shard.output)),
                        "a holder has the shard"
                    );
                    parts.push(shard.output);
                }
                StageWeights { weights: made(&["merged", stage], &parts), momentum: made(&["momentum", stage], &parts) }
            }
        }
    }

    fn flush(&mut self, miner: usize) -> bool {
        if self.peers[miner].pending.is_empty() {
            return false;
        }
        let receipt = self.peers[miner].pending.remove(0);
        self.ledger.submit(miner, Submission::Receipt(receipt));
        true
    }

    /// What must hold after every entry.
    fn check(&mut self) {
        let state = &self.ledger.state;
        for (account, filed) in state.filed() {
            let seen = self.seen.entry(*account).or_default();
            *seen = (*seen).min(filed.len());
            for f in &filed[*seen..] {
                match &f.standing {
                    Standing::Counted => {}
                    Standing::Void(_) => self.void += 1,
                    Standing::Unsound(why) => panic!("an honest receipt is an offence: {why}"),
                }
            }
            *seen = filed.len();
        }
        let closed = state.closed().map(|c| c.epoch);
        for (i, peer) in self.peers.iter_mut().enumerate() {
            let me = self.ledger.keys[i].account();
            // Sooner or later: a miner reads the ledger in pages, the audit's end may be far back in one.
            let tidies = (self.ledger.now + 31 * i as u64).is_multiple_of(97);
            if let Some(closed) = closed.filter(|c| tidies && peer.tidied != Some(*c)) {
                peer.tidied = Some(closed);
                let pending: Vec<Receipt> = peer.pending.iter().map(|s| s.body.clone()).collect();
                let kept = keep(state, &me, &pending);
                peer.blobs.retain(|digest, epoch| *epoch > closed || kept.contains(digest));
            }
            if matches!(state.phase(), Phase::Auditing { .. }) {
                for f in state.filed().get(&me).into_iter().flatten() {
                    for opening in f.signed.body.work.openings() {
                        assert!(
                            peer.blobs.contains_key(&opening),
                            "an auditor can open {:?}",
                            f.signed.body.work.name()
                        );
                    }
                }
                let Some(member) = state.members().get(&me) else { continue };
                if let Some(plan) = state.merging().and_then(|m| m.stages.get(usize::from(member.stage))) {
                    for (_, digest) in plan.contributions.iter().filter(|(uid, _)| *uid == member.uid) {
                        assert!(peer.blobs.contains_key(digest), "an auditor of the merge can open the contribution");
                    }
                }
            }
        }
    }

    /// Act in the order that `choices` give until the run is finished.
    fn run(&mut self, choices: &[u8], mut fault: impl FnMut(&mut Self, usize)) {
        for miner in 0..self.peers.len() {
            self.ledger.join(miner);
        }
        let mut stalled = 0;
        for step in 0..60_000 {
            fault(self, step);
            let mut c = usize::from(choices[step % choices.len()]) + step / choices.len();
            let miner = c % self.peers.len();
            c /= self.peers.len();
            let me = self.ledger.account(miner);
            let live = self.ledger.state.members().get(&me).is_some_and(|m| m.live);
            // One time in three what is signed goes out first.
            let first = live && c.is_multiple_of(3) && self.flush(miner);
            let moved = first || live && (self.act(miner, c / 3) || self.flush(miner));
            stalled = if moved { 0 } else { stalled + 1 };
            if stalled > 4 * self.peers.len() * choices.len().max(8) {
                // Nothing to do for anybody: time passes.
                self.ledger.now += 61_000;
                self.ledger.block += 300;
                stalled = 0;
            }
            self.ledger.now += 1;
            self.ledger.decide();
            self.check();
            if matches!(self.ledger.state.phase(), Phase::Auditing { .. }) {
                self.ledger.block += 1;
            }
            if self.ledger.finished() {
                return;
            }
        }
        panic!("the run does not end: {}", self.ledger.state.waiting_for());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In whatever order miners act and their receipts arrive, a run is finished, every receipt counts, and nothing that an
    /// auditor, a colleague or the next step needs was dropped.
    #[test]
    fn whoever_follows_the_agenda_is_paid_for_every_receipt(choices in prop::collection::vec(any::<u8>(), 8..64), stages in 1usize..4, miners in 1u16..4) {
        let mut world = World::new(stages, miners, 2, 3);
        world.run(&choices, |_, _| {});
        prop_assert_eq!(world.void, 0, "receipts that count for nothing");
        prop_assert_eq!(world.ledger.state.losses().len(), 6);
    }

    /// A miner that falls silent and comes back, at any moment, never signs anything that contradicts the ledger, and the run is
    /// finished.
    #[test]
    fn one_that_leaves_and_comes_back_commits_no_offence(choices in prop::collection::vec(any::<u8>(), 8..64), at in 20usize..800, away in 1usize..200, who in 0usize..4) {
        let mut world = World::new(2, 2, 2, 2);
        let mut left = false;
        world.run(&choices, |world, step| {
            let account = world.ledger.account(who);
            let live = world.ledger.state.members().get(&account).is_some_and(|m| m.live);
            if step == at && live {
                world.ledger.push(Event::Gone { account });
                left = true;
            }
            if step == at + away && left {
                world.ledger.join(who);
                world.peers[who].done.clear();
            }
        });
        prop_assert!(world.ledger.finished());
    }
}

#[test]
fn a_backward_comes_before_a_step_before_a_forward() {
    let backward = Key::Backward { sample: 9, attempt: 3 };
    let step = Key::Step { epoch: 0, round: 0 };
    let forward = Key::Forward { sample: 0, attempt: 0 };
    assert!(backward < step && step < forward);
}

#[test]
fn the_last_stage_goes_back_as_soon_as_its_forward_is_signed() {
    let mut world = World::new(1, 1, 1, 1);
    world.ledger.join(0);
    let me = world.ledger.account(0);
    assert!(world.act(0, 0), "gets ready");
    world.ledger.now += 200;
    world.ledger.decide();
    assert!(matches!(agenda(&world.ledger.state, &me, &[]).duties.keys().next(), Some(Key::Forward { sample: 0, .. })));
    assert!(world.act(0, 0));
    let pending: Vec<Receipt> = world.peers[0].pending.iter().map(|s| s.body.clone()).collect();
    let keys: Vec<Key> = agenda(&world.ledger.state, &me, &pending).duties.into_keys().collect();
    assert!(keys.contains(&Key::Backward { sample: 0, attempt: 0 }));
    assert!(!keys.contains(&Key::Forward { sample: 0, attempt: 0 }), "what is signed is not done again");
}

#[test]
fn a_benched_miner_has_nothing_to_do_and_is_told_why() {
    let mut world = World::new(1, 2, 1, 2);
    let auditor = crate::world::key(99);
    let join = starling_protocol::message::Join {
        run: world.ledger.state.run(),
        role: starling_protocol::message::Role::Validator,
        address: vec![1],
        at_ms: 1,
    };
    let event =
        world.ledger.state.admit_join(&auditor.account(), Signed::new(join, &auditor), 9, 2_000).unwrap().unwrap();
    world.ledger.push(event);
    let bad = world.ledger.account(0);
    let mut reported = false;
    // The validator fails miner 0 in the first audit; with min_miners 2 the run then cannot go on.
    for miner in 0..2 {
        world.ledger.join(miner);
    }
    for step in 0..4_000usize {
        let miner = step % 2;
        let _ = world.act(miner, 0) || world.flush(miner);
        world.ledger.now += 1;
        world.ledger.decide();
        if matches!(world.ledger.state.phase(), Phase::Auditing { .. }) && !reported {
            let filed = &world.ledger.state.filed()[&bad][0];
            let verdict = starling_protocol::message::Verdict {
                miner: bad,
                sequence: filed.signed.body.sequence,
                receipt: filed.link,
                outcome: starling_protocol::message::Outcome::Withheld { opening: Digest::ZERO },
            };
            let report = starling_protocol::message::Report {
                run: world.ledger.state.run(),
                epoch: 0,
                verdicts: vec![verdict],
                complete: true,
            };
            let event = world
                .ledger
                .state
                .admit(&auditor.account(), Submission::Report(Signed::new(report, &auditor)))
                .unwrap()
                .unwrap();
            world.ledger.push(event);
            reported = true;
        }
    }
    assert!(reported && world.ledger.state.closed().unwrap().benched == [bad]);
    let agenda = agenda(&world.ledger.state, &bad, &[]);
    assert!(agenda.duties.is_empty());
    assert!(agenda.waiting.contains("an audit found its work wrong"), "{}", agenda.waiting);
}
