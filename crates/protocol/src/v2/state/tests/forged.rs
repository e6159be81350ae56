//! What an orchestrator may not do: each forged decision is refused by whoever follows, and the state stays as it was.

use super::swarm::{Swarm, key};
use crate::{
    Digest,
    v2::{
        code::Refusal,
        ledger::{Event, Page, SignedHead},
        message::{Leave, Role},
        sim::orchestrator,
        state::{Broken, Distrust, Rule, State, Status, Submission, Witness},
    },
};

fn refused(swarm: &mut Swarm, event: Event) -> Rule {
    let before = swarm.state.bytes();
    let Err(Broken::Rule { rule, .. }) = swarm.apply(event) else { panic!("allowed") };
    assert_eq!(swarm.state.bytes(), before);
    rule
}

#[test]
fn decisions_that_the_rules_do_not_demand_are_refused() {
    let mut swarm = Swarm::new(2, 2, &[10, 10]);
    swarm.wait(100);
    swarm.must(Event::Block { number: 50, hash: Digest::ZERO });
    for event in [
        Event::EpochEnded,
        Event::Silent { uid: 100 },
        Event::Excluded { uid: 100 },
        Event::Planned,
        Event::Merged,
        Event::Moved { uid: 100, stage: 1 },
        Event::Corrected { epoch: 0, uid: 100 },
        Event::Table,
        Event::Snapshot { digest: Digest::ZERO },
        Event::Finished,
        Event::Genesis(vec![]),
        Event::Block { number: 0, hash: Digest::ZERO },
        Event::Stakes { block: 1, permits: vec![] },
        Event::Tallies { height: 60, all: vec![] },
    ] {
        refused(&mut swarm, event);
    }
}

#[test]
fn a_word_that_should_be_refused_is_refused_in_the_ledger_too() {
    let mut swarm = Swarm::new(2, 2, &[10, 10]);
    swarm.wait(1_000);
    let good = swarm.tally(100, 10, false);
    let mut wrong = good.body.clone();
    wrong.counts.backwards = 999;
    let wrong = swarm.signed(100, wrong);
    assert_eq!(swarm.say(Submission::Tally(wrong.clone())), Err(Refusal::Shrinks));
    assert_eq!(refused(&mut swarm, Event::Tallies { height: 60, all: vec![wrong] }), Rule::Word(Refusal::Shrinks));
    let other = crate::v2::signed::Signed { by: 101, ..good.clone() };
    assert_eq!(swarm.say(Submission::Tally(other.clone())), Err(Refusal::NotYours));
    assert!(matches!(swarm.apply(Event::Tallies { height: 60, all: vec![other] }), Err(Broken::Signature(_))));
    swarm.say(Submission::Tally(good.clone())).unwrap();
    // The same again is no new entry, an older one is refused.
    let length = swarm.state.head().length;
    swarm.say(Submission::Tally(good)).unwrap();
    assert_eq!(swarm.state.head().length, length);
}

#[test]
fn tallies_only_extend() {
    let mut swarm = Swarm::new(2, 1, &[10]);
    swarm.wait(1_000);
    let tally = swarm.tally(100, 10, false);
    swarm.say(Submission::Tally(tally.clone())).unwrap();
    swarm.wait(1_000);
    let next = swarm.tally(100, 5, false).body;
    let mut cases = Vec::new();
    for change in 0..7 {
        let mut t = next.clone();
        match change {
            0 => t.number = 1,
            1 => t.leaves = 19,
            2 => t.counts.forwards = 9,
            3 => t.counts.backwards = 9,
            4 => t.counts.busy_ms = 0,
            5 => (t.leaves, t.counts) = (tally.body.leaves, tally.body.counts),
            _ => (t.leaves, t.counts.forwards, t.counts.backwards) = (1_000_000, 500_000, 500_000),
        }
        cases.push(swarm.signed(100, t));
    }
    let codes: Vec<_> = cases.into_iter().map(|t| swarm.say(Submission::Tally(t)).unwrap_err()).collect();
    use Refusal::{Shrinks, TooFast, WrongNumber};
    assert_eq!(codes, [WrongNumber, Shrinks, Shrinks, Shrinks, Shrinks, Shrinks, TooFast]);
}

#[test]
fn an_absent_orchestrator_makes_nobody_late() {
    let mut swarm = Swarm::new(2, 2, &[10]);
    swarm.wait(3_600_000);
    swarm.settle();
    assert!(swarm.state.members().values().all(|m| m.status == Status::Working));
    // While it is there, silence is noticed.
    for _ in 0..10 {
        swarm.wait(1_000);
        swarm.settle();
    }
    assert!(swarm.state.members().values().all(|m| m.status == Status::Gone));
}

#[test]
fn an_epoch_is_merged_after_its_window_and_not_before() {
    let mut swarm = Swarm::new(2, 3, &[10, 10]);
    swarm.close_all();
    assert!(swarm.settle().contains(&"epoch-ended"));
    assert_eq!(swarm.state.epoch(), 1);
    // Closing tallies were entered before this block: it is their beacon.
    swarm.block += 1;
    swarm.wait(100);
    assert!(!swarm.settle().contains(&"planned"));
    let beacon = swarm.state.epochs()[&0].beacon;
    assert_eq!(beacon, swarm.state.block().unwrap().number);
    refused(&mut swarm, Event::Planned);
    swarm.block += swarm.state.config().audit.window_blocks;
    swarm.wait(100);
    assert!(swarm.settle().contains(&"planned"));
    let plan = swarm.state.merging().unwrap().clone();
    assert!(plan.stages.iter().all(|s| s.contributions.len() == 3 && s.reducers.len() == 3));
    refused(&mut swarm, Event::Merged);
    let old = swarm.state.base().unwrap().clone();
    for (stage, part) in (0u16..).zip(&plan.stages) {
        for uid in part.reducers.iter().take(2) {
            let own = part.shards_of(*uid).len();
            assert_eq!(own, 8);
            let outputs =
                (0..own as u16).map(|s| Digest::of(&[stage.to_le_bytes(), s.to_le_bytes()].concat())).collect();
            let shards = swarm.signed(*uid, crate::v2::message::Shards { base: 1, outputs });
            swarm.say(Submission::Shards(shards.clone())).unwrap();
            assert_eq!(swarm.say(Submission::Shards(shards)), Err(Refusal::NotNow));
        }
    }
    // Two of three agree everywhere: nobody waits for the third.
    assert!(swarm.settle().contains(&"merged"));
    let base = swarm.state.base().unwrap();
    assert_eq!(base.number, 1);
    assert!(base.stages.iter().zip(&old.stages).all(|(a, b)| a != b));
}

#[test]
fn a_ready_with_another_root_is_refused_and_proves_an_offence() {
    let mut swarm = Swarm::new(2, 2, &[10]);
    swarm.join(200, Role::Miner).unwrap();
    let mut lie = swarm.ready(200).body;
    lie.root = Digest::of(b"mine");
    let lie = swarm.signed(200, lie);
    assert_eq!(swarm.say(Submission::Ready(lie.clone())), Err(Refusal::WrongRoot));
    assert_eq!(refused(&mut swarm, Event::Ready(lie.clone())), Rule::Word(Refusal::WrongRoot));
    swarm.say(Submission::Offence(crate::v2::proof::Proof::Base(Box::new(lie)))).unwrap();
    assert_eq!(swarm.state.members()[&200].status, Status::Barred);
    assert_eq!(swarm.join(200, Role::Miner), Err(Refusal::Barred));
}

#[test]
fn who_leaves_and_comes_back_goes_on_where_its_log_stood() {
    let mut swarm = Swarm::new(2, 2, &[10]);
    swarm.wait(1_000);
    let tally = swarm.tally(100, 10, false);
    swarm.say(Submission::Tally(tally)).unwrap();
    let leave = swarm.signed(100, Leave { at_ms: swarm.now });
    swarm.say(Submission::Leave(leave)).unwrap();
    let left: Vec<_> = swarm.state.epochs()[&0].left.clone();
    assert_eq!(left, [(starling_keys::Signer::account(&key(100)), swarm.state.members()[&100].stage, 10)]);
    swarm.join(100, Role::Miner).unwrap();
    let m = &swarm.state.members()[&100];
    assert_eq!((m.tally.number, m.tally.leaves, m.closed_samples), (1, 20, 10));
}

struct Chain(u32);

impl Witness for Chain {
    fn newest(&self) -> Option<u32> {
        Some(self.0)
    }
    fn hash(&self, number: u32) -> Option<Digest> {
        (number <= self.0).then(|| Digest::of(&number.to_le_bytes()))
    }
    fn live(&self) -> bool {
        true
    }
}

#[test]
fn a_follower_believes_its_own_chain_and_notices_a_fork_a_gap_and_a_stale_block() {
    let swarm = Swarm::new(1, 1, &[10]);
    let entry = |number: u32, hash: Digest| crate::v2::ledger::Entry {
        at_ms: swarm.now + 1,
        event: Event::Block { number, hash },
    };
    let right = |n: u32| Digest::of(&n.to_le_bytes());
    let page = |entries: Vec<crate::v2::ledger::Entry>| {
        let mut state = swarm.state.clone();
        for e in &entries {
            state.apply(e).unwrap();
        }
        Page { from: swarm.state.head().length, entries, head: SignedHead::new(state.head(), &orchestrator()) }
    };
    let follow = |page: &Page, seen: u32| -> Result<usize, Distrust> {
        let mut state: State = swarm.state.clone();
        state.absorb(page, &Chain(seen), |_, _| {})
    };
    assert_eq!(follow(&page(vec![entry(70, right(70))]), 72), Ok(1));
    assert_eq!(follow(&page(vec![entry(70, right(71))]), 72), Err(Distrust::OtherChain { number: 70 }));
    assert_eq!(follow(&page(vec![entry(70, right(70))]), 81), Err(Distrust::Lag { noted: 70, seen: 81, limit: 10 }));
    let gap = Page { from: 0, ..page(vec![entry(70, right(70))]) };
    assert!(matches!(follow(&gap, 72), Err(Distrust::Gap { .. })));
    let fork = Page { head: SignedHead::new(swarm.state.head(), &orchestrator()), ..page(vec![entry(70, right(70))]) };
    assert!(matches!(follow(&fork, 72), Err(Distrust::Fork { .. })));
    let stranger = Page { head: SignedHead::new(swarm.state.head(), &key(3)), ..page(vec![]) };
    assert!(matches!(follow(&stranger, 72), Err(Distrust::Signature(_))));
}

#[test]
fn a_snapshot_that_does_not_match_is_not_believed() {
    let mut swarm = Swarm::new(2, 2, &[10]);
    let (length, bytes) = (swarm.state.head().length, swarm.state.bytes());
    let before = swarm.state.clone();
    swarm.must(Event::Snapshot { digest: before.digest() });
    let entry = crate::v2::ledger::Entry { at_ms: swarm.now, event: Event::Snapshot { digest: before.digest() } };
    let head = SignedHead::new(swarm.state.head(), &orchestrator());
    let tail = Page { from: length, entries: vec![entry], head };
    let open = |state: Vec<u8>, tail: Page| {
        crate::v2::snapshot::Snapshot { state, tail }.open(swarm.state.config().clone(), &())
    };
    assert_eq!(open(bytes.clone(), tail.clone()).unwrap().bytes(), swarm.state.bytes());
    for flipped in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[flipped] ^= 1;
        assert!(open(other, tail.clone()).is_err());
    }
    assert!(open(bytes, Page { entries: vec![], ..tail }).is_err());
}
