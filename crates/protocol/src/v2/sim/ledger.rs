//! The simulated orchestrator, chain and validators.

use super::{Conduct, EPOCH_MS, Happening, Key, Note, Sim, orchestrator, plan::first_shards};
use starling_keys::{Account, Signer};

use crate::{
    Digest, Uid,
    v2::{
        audit::{self, Quota, Range},
        code::Refusal as R,
        ledger::{Entry, Event, Stake},
        merge::Reason,
        message::{Assurance, Fault as Failing, Finding, Join, Part, Role, SignedJoin},
        proof::Proof,
        signed::Signed,
        state::{State, Status, Submission, View},
    },
};
use parity_scale_codec::Encode;

/// A simulated validator.
pub struct Validator {
    pub uid: Uid,
    pub signer: Box<dyn Signer>,
    /// Looked at: number of verdicts.
    pub verdicts: u64,
    /// Miners that it failed.
    pub failed: std::collections::BTreeSet<Account>,
}

impl Sim {
    fn now_ms(&self) -> u64 {
        EPOCH_MS + self.now
    }

    /// First entry, validators, stakes.
    pub(super) fn open(&mut self) {
        let shards = self.plan.config.merge.shards;
        let genesis = (0..self.plan.config.stages()).map(|s| first_shards(s, shards)).collect();
        self.append(Event::Genesis(genesis));
        for index in 0..self.plan.validators.len() {
            let signer: Box<dyn Signer> =
                if self.plan.strict { Box::new(Key::new(1 + index as u64)) } else { self.signer(1 + index as u64) };
            let at_ms = self.now_ms();
            let join = Join { role: Role::Validator, address: vec![0; 32], class: Digest::ZERO, at_ms };
            let join = SignedJoin::new(join, self.state.run(), &*signer);
            let uid = 1 + index as Uid;
            self.append(Event::Joined { join, uid, stage: 0 });
            self.validators.push(Validator { uid, signer, verdicts: 0, failed: Default::default() });
        }
    }

    pub(super) fn take_join(&mut self, join: SignedJoin, uid: Uid) {
        let (from, now_ms) = (join.account, self.now_ms());
        let answer = if self.plan.strict {
            self.state.admit_join(&from, join, uid, now_ms)
        } else {
            self.state.admit_verified_join(join, uid, now_ms)
        };
        if let Ok(Some(event)) = answer {
            self.append(event);
        }
    }

    /// The orchestrator's turn: what came in, then what the rules demand.
    pub(super) fn orchestrate(&mut self) {
        let now_ms = self.now_ms();
        if self.stakes_due {
            self.stakes_due = false;
            let permits = self
                .validators
                .iter()
                .zip(&self.plan.validators)
                .map(|(v, rao)| Stake { uid: v.uid, account: v.signer.account(), rao: *rao })
                .collect();
            self.append(Event::Stakes { block: self.block, permits });
        }
        let mut tallies = Vec::new();
        for (from, said) in std::mem::take(&mut self.inbox) {
            let again = (from, said.clone());
            let answer = if self.plan.strict {
                self.state.admit(&from, said, now_ms)
            } else {
                self.state.admit_verified(said, now_ms)
            };
            match answer {
                Ok(Some(Event::Tallies { mut all, .. })) => tallies.append(&mut all),
                Ok(Some(event)) => self.append(event),
                Ok(None) => {}
                Err(code) => {
                    self.refused(&again.0, &again.1, code);
                    // What it signed is the proof: nobody has to vote.
                    if let (Submission::Ready(ready), R::WrongRoot, true) = (again.1, code, self.plan.strict) {
                        self.append(Event::Offence(Proof::Base(Box::new(ready))));
                    }
                }
            }
        }
        let (event, rest) = State::batch(tallies, self.block);
        for tally in rest {
            if let Some(account) = self.state.account(tally.by) {
                self.inbox.push((account, Submission::Tally(tally)));
            }
        }
        if let Some(event) = event {
            self.append(event);
        }
        for _ in 0..100_000 {
            let hash = Digest::of(&(self.plan.seed, self.block).encode());
            let view = View { now_ms, block: Some((self.block, hash)) };
            let Some(event) = self.state.decide(&view) else { return };
            self.append(event);
        }
        panic!("the rules demand without end");
    }

    fn refused(&mut self, from: &Account, said: &Submission, code: R) {
        let honest =
            |sim: &Self, uid: Uid| sim.peer_of(uid).is_some_and(|p| sim.peers[p].plan.conduct == Conduct::Honest);
        // What honest peers say may come too late; it is never wrong in itself.
        if let Some(uid) = self.state.slot(from)
            && honest(self, uid)
        {
            let late = matches!(
                code,
                R::NotNow | R::NotJoined | R::WrongNumber | R::TooMany | R::Finished | R::Barred | R::TooLong
            );
            assert!(late, "an honest peer was refused: {code} for {said:?} at {} ms", self.now);
        }
    }

    /// Write an entry; whoever reads it hears of it.
    pub(super) fn append(&mut self, event: Event) {
        let entry = Entry { at_ms: self.now_ms(), event };
        self.before(&entry.event);
        let result = if self.plan.strict { self.state.apply(&entry) } else { self.state.apply_trusted(&entry) };
        if let Err(broken) = result {
            panic!("what was admitted or demanded is not allowed: {broken} at {} ms", self.now);
        }
        self.report.entries += 1;
        self.report.ledger_bytes += entry.encoded_size() as u64;
        self.after(&entry.event);
        if self.plan.strict {
            self.entries.push(entry);
        }
    }

    /// What a validator notes before an entry is applied.
    fn before(&mut self, event: &Event) {
        if let Event::Tallies { all, .. } = event {
            for signed in all {
                let Some(m) = self.state.members().get(&signed.by) else { continue };
                self.docket.tallied(Range {
                    miner: signed.by,
                    account: m.account,
                    tally: signed.body.number,
                    from: m.tally.leaves,
                    to: signed.body.leaves,
                    root: signed.body.root,
                    before: m.tally.root,
                });
            }
        }
    }

    fn after(&mut self, event: &Event) {
        match event {
            Event::Joined { join, uid, stage } if join.join.role == Role::Miner => {
                self.tell(*uid, Note::Joined(*stage))
            }
            Event::Ready(ready) => self.tell(ready.by, Note::Started),
            Event::Silent { uid } | Event::Excluded { uid } => {
                if self.state.members().get(uid).is_some_and(|m| m.status == Status::Barred)
                    && let Some(p) = self.peer_of(*uid)
                {
                    self.report.barred.push((p, self.now));
                }
                self.tell(*uid, Note::Gone);
            }
            Event::Offence(_) => {
                let barred: Vec<Uid> =
                    self.state.members().iter().filter(|(_, m)| m.status == Status::Barred).map(|(u, _)| *u).collect();
                for uid in barred {
                    let Some(p) = self.peer_of(uid) else { continue };
                    if self.report.barred.iter().all(|(b, _)| *b != p) {
                        self.report.barred.push((p, self.now));
                        self.tell(uid, Note::Gone);
                    }
                }
            }
            Event::Table => {
                let table = self.state.table().expect("just made").clone();
                if self.plan.strict {
                    self.tables.push(table.clone());
                }
                self.tell_all(&Note::Table(table));
            }
            Event::EpochEnded => {
                self.report.ended += 1;
                self.report.state_bytes = self.report.state_bytes.max(self.state.bytes().len());
                self.report.backlog = self.report.backlog.max(self.state.epoch() - self.state.next_merge());
                self.stakes_due = true;
                self.tell_all(&Note::Epoch(self.state.epoch()));
                self.assure();
                self.churn();
            }
            Event::Planned | Event::Corrected { .. } => {
                let plan = self.state.merging().expect("just planned");
                let epoch = if let Reason::Epoch(e) = plan.reason { Some(e) } else { None };
                self.tell_all(&Note::Planned { base: plan.base, epoch });
            }
            Event::Merged => {
                self.report.merged = self.state.next_merge();
                let base = self.state.base().expect("just merged").number;
                let epoch = self.state.next_merge().checked_sub(1);
                self.tell_all(&Note::Merged { base, epoch });
            }
            Event::Moved { uid, .. } => self.tell(*uid, Note::Moved),
            Event::Block { hash, .. } => self.draw(hash),
            Event::Finding(f) => {
                let f = f.clone();
                self.replay(&f);
            }
            _ => {}
        }
    }

    fn tell(&mut self, uid: Uid, note: Note) {
        let Some(peer) = self.peer_of(uid) else { return };
        let p = &self.peers[peer];
        if p.up {
            let (generation, base) = (p.generation, p.plan.latency_ms);
            let delay = base + self.random(base + 20);
            self.at(self.now + delay, Happening::Hears { peer, generation, note });
        }
    }

    fn tell_all(&mut self, note: &Note) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].scheduler.is_some() {
                self.tell(self.peers[peer].uid, note.clone());
            }
        }
    }

    fn draw(&mut self, beacon: &Digest) {
        let a = &self.plan.config.audit;
        let quota = Quota { per_mille: a.per_mille, step_share: a.step_share };
        for range in self.docket.block() {
            let Some(peer) = self.peer_of(range.miner) else { continue };
            for index in 0..self.validators.len() {
                let account = self.validators[index].signer.account();
                let salt = Digest::of(&account.0).0;
                for drawn in audit::draw(beacon, &range, &account, &salt, quota) {
                    self.validators[index].verdicts += 1;
                    if self.peers[peer].wrong(drawn.leaf) {
                        let fault =
                            Failing::Differs { part: Part::Output, claimed: Digest::ZERO, computed: range.root };
                        let finding = Finding {
                            miner: range.miner,
                            account: range.account,
                            tally: range.tally,
                            leaf: drawn.leaf,
                            receipt: Digest::ZERO,
                            fault,
                        };
                        self.find(index, finding, 1_000);
                    }
                }
            }
        }
    }

    fn find(&mut self, index: usize, finding: Finding, delay: u64) {
        let v = &mut self.validators[index];
        if !v.failed.insert(finding.account) {
            return;
        }
        let signed = Signed::new(finding, v.uid, self.state.run(), &*v.signer);
        let (account, said) = (v.signer.account(), Box::new(Submission::Finding(signed)));
        self.at(self.now + delay, Happening::Submits { account, said });
    }

    /// Others' findings are replayed: who finds the same says so itself.
    fn replay(&mut self, finding: &Signed<Finding>) {
        let Some(peer) = self.peer_of(finding.body.miner) else { return };
        if self.peers[peer].wrong(finding.body.leaf) {
            for index in 0..self.validators.len() {
                if self.validators[index].uid != finding.by {
                    self.find(index, finding.body, 2_000);
                }
            }
        }
    }

    fn assure(&mut self) {
        let epoch = self.state.epoch() - 1;
        for index in 0..self.validators.len() {
            let v = &self.validators[index];
            let failed = v.failed.len() as u64;
            let word = Assurance { epoch, verdicts: v.verdicts, failed, root: Digest::ZERO, complete: false };
            let signed = Signed::new(word, v.uid, self.state.run(), &*v.signer);
            let (account, said) = (v.signer.account(), Box::new(Submission::Assurance(signed)));
            self.at(self.now + 500, Happening::Submits { account, said });
        }
    }

    /// Some leave for good, as many newcomers come.
    fn churn(&mut self) {
        let working: Vec<usize> = (0..self.peers.len()).filter(|p| self.peers[*p].scheduler.is_some()).collect();
        for peer in working {
            if self.chance(self.plan.churn) {
                let plan = self.peers[peer].plan;
                self.kill(peer);
                self.add(plan, 0);
            }
        }
    }

    /// The signed head of the whole ledger.
    #[must_use]
    pub fn head(&self) -> crate::v2::ledger::SignedHead {
        crate::v2::ledger::SignedHead::new(self.state.head(), &orchestrator())
    }
}
