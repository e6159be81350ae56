//! Whatever order peers' messages come in, however often, whoever dies: nothing panics, the rules never contradict
//! themselves, and once everything is delivered the run finishes.

use proptest::prelude::*;

use super::{
    peers,
    sim::{Sim, config},
};
use starling_keys::Account;

use crate::{
    Digest,
    ledger::Event,
    message::{Complaint, Ready, Report, Role, Verdict},
    receipt::Work,
    signed::Signed,
    state::{Phase, State},
    wire::Submission,
};

/// One thing that happens. Peers and past messages are picked by number, modulo how many there are.
#[derive(Clone, Debug)]
enum Happening {
    /// A peer does what is right by a ledger that may be `behind` snapshots old; the message may be lost on the way.
    Acts {
        peer: usize,
        behind: usize,
        lost: bool,
    },
    /// A message comes again.
    Again {
        message: usize,
    },
    /// The rules act.
    Decide,
    /// Everyone present does what is right, in order.
    Turn,
    /// Time passes.
    Wait {
        turns: u8,
    },
    Dies {
        peer: usize,
    },
    Returns {
        peer: usize,
    },
    Garbage {
        peer: usize,
        kind: u8,
        numbers: [u8; 4],
    },
    Newcomer {
        seed: u8,
        validator: bool,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let peer = 0usize..8;
    prop_oneof![
        12 => (peer.clone(), 0usize..4, prop::bool::weighted(0.1)).prop_map(|(peer, behind, lost)| Happening::Acts { peer, behind, lost }),
        2 => (0usize..1000).prop_map(|message| Happening::Again { message }),
        6 => Just(Happening::Decide),
        2 => Just(Happening::Turn),
        2 => (1u8..12).prop_map(|turns| Happening::Wait { turns }),
        1 => peer.clone().prop_map(|peer| Happening::Dies { peer }),
        1 => peer.clone().prop_map(|peer| Happening::Returns { peer }),
        2 => (peer, 0u8..8, any::<[u8; 4]>()).prop_map(|(peer, kind, numbers)| Happening::Garbage { peer, kind, numbers }),
        1 => (60u8..64, any::<bool>()).prop_map(|(seed, validator)| Happening::Newcomer { seed, validator }),
    ]
}

/// Signed, decodable, and made up.
fn garbage(sim: &Sim, who: &Account, kind: u8, numbers: [u8; 4]) -> Submission {
    let key = sim.key(who);
    let [a, b, c, d] = numbers;
    let (run, known) = (sim.state.run(), sim.state.members().contains_key(who));
    let digest = |n: u8| {
        if n < 128 { Digest::of(&[n % 4]) } else { sim.state.base().first().map_or(Digest::ZERO, |w| w.weights) }
    };
    let (round, sample, attempt) = (u32::from(a % 3), u32::from(b % 6), u16::from(c % 3));
    let accounts: Vec<Account> = sim.keys.keys().copied().collect();
    let about = accounts[usize::from(d) % accounts.len()];
    let some = |n: u8| n.is_multiple_of(2).then(|| digest(n));
    let work = match kind {
        0 => {
            let (weights, input, output, loss) = (digest(a), digest(b), digest(c), some(d).map(|_| f32::NAN.to_bits()));
            Work::Forward { round, sample, attempt, weights, input, output, loss }
        }
        1 => {
            let (weights, input) = (digest(a), digest(b));
            Work::Backward { round, sample, attempt, weights, input, output_gradient: some(c), input_gradient: some(d) }
        }
        2 => {
            let (weights_before, optimiser_before, weights_after) = (digest(a), digest(b), digest(c));
            let samples = vec![(sample, attempt); usize::from(d % 3)];
            Work::Step { round, samples, weights_before, optimiser_before, weights_after, optimiser_after: digest(d) }
        }
        3 => Work::Merge { shard: u16::from(a % 3), output: digest(b) },
        4 => {
            // Of a sample's own miners, so that many are heard.
            let reason = "x".repeat(usize::from(a) * 3);
            let mut samples = sim.state.training().samples.iter();
            let (sample, attempt, about) = match samples.find(|(_, s)| s.pathway.contains(who)) {
                Some((index, s)) if d % 4 > 0 => (*index, s.attempt, s.pathway[usize::from(d) % s.pathway.len()]),
                _ => (sample, attempt, about),
            };
            return Submission::Complaint(Signed::new(Complaint { run, sample, attempt, about, reason }, &key));
        }
        5 => {
            let ready = Ready { run, epoch: u32::from(a % 4), weights: digest(b), momentum: digest(c) };
            return Submission::Ready(Signed::new(ready, &key));
        }
        _ => {
            let outcome = crate::message::Outcome::Passed;
            let verdict = Verdict { miner: about, sequence: u64::from(a), receipt: digest(b), outcome };
            let report =
                Report { run, epoch: u32::from(c % 4), verdicts: vec![verdict; usize::from(d % 4)], complete: d > 200 };
            return Submission::Report(Signed::new(report, &key));
        }
    };
    if !known {
        let receipt = crate::receipt::Receipt { run, epoch: 0, stage: 0, sequence: 0, previous: Digest::ZERO, work };
        return Submission::Receipt(Signed::new(receipt, &key));
    }
    let mut body = peers::receipt(&key, &sim.state, work).body;
    if d % 5 == 0 {
        body.sequence += u64::from(c % 2);
        body.stage += u16::from(b % 2);
        body.epoch += u32::from(a % 2);
    }
    Submission::Receipt(Signed::new(body, &key))
}

struct Chaos {
    sim: Sim,
    views: Vec<State>,
    sent: Vec<(Account, Submission)>,
}

impl Chaos {
    fn peer(&self, number: usize) -> Account {
        let all: Vec<Account> = self.sim.keys.keys().copied().collect();
        all[number % all.len()]
    }

    fn send(&mut self, from: Account, said: Submission) {
        // A refusal is an answer; `append` inside panics if what was admitted is then not allowed.
        let _ = self.sim.submit(&from, said.clone());
        self.sent.push((from, said));
    }

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Acts { peer, behind, lost } => {
                let who = self.peer(peer);
                if self.sim.dead.contains_key(&who) {
                    return;
                }
                let key = self.sim.key(&who);
                let view = &self.views[self.views.len().saturating_sub(1 + behind)];
                let said = peers::miner(&key, view).or_else(|| peers::validator(&key, view, &Default::default()));
                match said {
                    Some(said) if !lost => self.send(who, said),
                    Some(_) => {}
                    None => {
                        self.sim.acts(&who);
                    }
                }
            }
            Happening::Again { message } if !self.sent.is_empty() => {
                let (from, said) = self.sent[message % self.sent.len()].clone();
                self.send(from, said);
            }
            Happening::Again { .. } => {}
            Happening::Decide => self.sim.decide(),
            Happening::Turn => self.sim.turn(),
            Happening::Wait { turns } => (0..turns).for_each(|_| self.sim.tick()),
            Happening::Dies { peer } => {
                let who = self.peer(peer);
                self.sim.kill(&who);
            }
            Happening::Returns { peer } => {
                let who = self.peer(peer);
                self.sim.dead.remove(&who);
                self.sim.now += 1;
                let _ = self.sim.join(&who);
            }
            Happening::Garbage { peer, kind, numbers } => {
                let who = self.peer(peer);
                let said = garbage(&self.sim, &who, kind, numbers);
                self.send(who, said);
            }
            Happening::Newcomer { seed, validator } => {
                let role = if validator { Role::Validator } else { Role::Miner };
                let who = starling_keys::Signer::account(&peers::Key::new(seed));
                if !self.sim.keys.contains_key(&who) {
                    let _ = self.sim.add(seed, u16::from(seed), role);
                }
            }
        }
        self.views.push(self.sim.state.clone());
        if self.views.len() > 4 {
            self.views.remove(0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_keeps_the_rules_and_fair_delivery_finishes_the_run(
        quiet in 0usize..22, script in prop::collection::vec(happening(), 0..300)
    ) {
        let mut sim = Sim::new(config(2, 2, 2, 2), 2, 2);
        // So that the trouble begins in any phase.
        for _ in 0..quiet {
            sim.turn();
        }
        let mut chaos = Chaos { views: vec![sim.state.clone()], sim, sent: Vec::new() };
        for happening in &script {
            if *chaos.sim.state.phase() == Phase::Finished {
                break;
            }
            chaos.happen(happening);
        }
        let mut sim = chaos.sim;
        // From here on everybody is there and everything arrives.
        sim.dead.clear();
        sim.finish();
        sim.assert_follower_agrees();
        prop_assert!(sim.ledger.windows(2).all(|w| w[0].at_ms <= w[1].at_ms));
        let rounds = sim.ledger.iter().filter(|e| matches!(e.event, Event::Round { .. })).count();
        prop_assert_eq!(rounds, 4);
    }
}
