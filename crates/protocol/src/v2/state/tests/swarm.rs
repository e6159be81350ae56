//! A state with a few members, moved by hand.

use starling_keys::{Account, Signer};

use crate::{
    Digest, Stage, Uid,
    v2::{
        code::Refusal,
        ledger::{Entry, Event, Stake},
        message::{Join, Ready, Role, SignedJoin},
        signed::{Body, Signed},
        sim::{Key, orchestrator, plan},
        state::{Broken, State, Submission, View},
        tally::{Close, Counts, Tally},
    },
};

pub struct Swarm {
    pub state: State,
    pub now: u64,
    pub block: u32,
}

pub fn key(uid: Uid) -> Key {
    Key::new(u64::from(uid) + 7)
}

impl Swarm {
    /// `per_stage` working miners in each stage (slots 100, 101, …: stage = slot mod stages), validators 1, 2, … with these stakes (0: no permit).
    pub fn new(stages: u16, per_stage: u16, stakes: &[u64]) -> Self {
        Self::with_epochs(stages, per_stage, stakes, 100_000)
    }

    /// The same, of a run with so many epochs.
    pub fn with_epochs(stages: u16, per_stage: u16, stakes: &[u64], epochs: u32) -> Self {
        let mut config = plan::config(stages, 2_000, orchestrator().account());
        config.training.epochs = epochs;
        config.epoch.gather_ms = 0;
        config.audit.window_blocks = 2;
        let mut swarm = Self { state: State::new(config), now: 1_000_000, block: 50 };
        let shards = swarm.state.config().merge.shards;
        swarm.must(Event::Genesis((0..stages).map(|s| plan::first_shards(s, shards)).collect()));
        for uid in 1..=stakes.len() as Uid {
            swarm.join(uid, Role::Validator).unwrap();
        }
        let permits: Vec<Stake> = (1..)
            .zip(stakes)
            .filter(|(_, rao)| **rao > 0)
            .map(|(uid, rao)| Stake { uid, account: key(uid).account(), rao: *rao })
            .collect();
        swarm.must(Event::Stakes { block: 40, permits });
        for uid in 100..100 + stages * per_stage {
            swarm.join(uid, Role::Miner).unwrap();
            swarm.say(Submission::Ready(swarm.ready(uid))).unwrap();
        }
        swarm.wait(10_000);
        swarm.settle();
        assert!(swarm.state.table().is_some());
        swarm
    }

    pub fn signed<T: Body>(&self, uid: Uid, body: T) -> Signed<T> {
        Signed::new(body, uid, self.state.run(), &key(uid))
    }

    pub fn ready(&self, uid: Uid) -> Signed<Ready> {
        let m = &self.state.members()[&uid];
        let base = self.state.base().unwrap();
        let root = base.root(m.moving.unwrap_or(m.stage)).unwrap();
        self.signed(uid, Ready { base: base.number, root, challenge: Digest::ZERO })
    }

    pub fn join(&mut self, uid: Uid, role: Role) -> Result<(), Refusal> {
        self.now += 1;
        let join = Join { role, address: vec![1], class: Digest::ZERO, at_ms: self.now };
        let join = SignedJoin::new(join, self.state.run(), &key(uid));
        let event = self.state.admit_join(&key(uid).account(), join, uid, self.now)?;
        self.must(event.unwrap());
        Ok(())
    }

    pub fn apply(&mut self, event: Event) -> Result<(), Broken> {
        self.state.apply(&Entry { at_ms: self.now, event })
    }

    pub fn must(&mut self, event: Event) {
        self.apply(event).unwrap();
    }

    pub fn say(&mut self, said: Submission) -> Result<(), Refusal> {
        let by = match &said {
            Submission::Tally(s) => s.by,
            Submission::Ready(s) => s.by,
            Submission::Leave(s) => s.by,
            Submission::Shards(s) => s.by,
            Submission::Finding(s) => s.by,
            Submission::Refutation(s) => s.by,
            Submission::Assurance(s) => s.by,
            Submission::Complaint(s) => s.by,
            Submission::Offence(_) => 0,
        };
        let from = self.state.account(by).unwrap_or(Account([0; 32]));
        if let Some(mut event) = self.state.admit(&from, said, self.now)? {
            if let Event::Tallies { height, .. } = &mut event {
                *height = self.block;
            }
            self.must(event);
        }
        Ok(())
    }

    pub fn view(&self) -> View {
        View { now_ms: self.now, block: Some((self.block, Digest::of(&self.block.to_le_bytes()))) }
    }

    /// All that the rules demand now.
    pub fn settle(&mut self) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some(event) = self.state.decide(&self.view()) {
            names.push(event.name());
            assert!(names.len() < 1_000, "without end: {names:?}");
            self.must(event);
        }
        names
    }

    pub fn wait(&mut self, ms: u64) {
        self.now += ms;
    }

    /// The next tally of a miner that did `samples` more.
    pub fn tally(&self, uid: Uid, samples: u64, close: bool) -> Signed<Tally> {
        let m = &self.state.members()[&uid];
        let mut counts: Counts = m.tally.counts;
        counts.forwards += samples;
        counts.backwards += samples;
        counts.busy_ms += 100 * samples;
        let leaves = m.tally.leaves + 2 * samples;
        let root = Digest::of(&leaves.to_le_bytes());
        let close = close.then(|| Close {
            epoch: m.next_close,
            contribution: Digest::of(&uid.to_le_bytes()),
            samples: counts.backwards - m.closed_samples,
            flows: Digest::ZERO,
        });
        self.signed(uid, Tally { number: m.tally.number + 1, leaves, root, counts, close })
    }

    pub fn miners(&self, stage: Stage) -> Vec<Uid> {
        self.state.members().iter().filter(|(_, m)| m.stage == stage).map(|(u, _)| *u).collect()
    }

    /// Everybody tallies and closes; the epoch ends.
    pub fn close_all(&mut self) {
        self.wait(1_000);
        let all: Vec<Uid> = self.state.members().iter().filter(|(_, m)| m.works()).map(|(u, _)| *u).collect();
        for uid in all {
            let tally = self.tally(uid, 10, true);
            self.say(Submission::Tally(tally)).unwrap();
        }
    }
}
