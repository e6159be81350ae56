#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use starling_keys::Signer;

use super::{outbox::Outbox, *};
use crate::v2::{
    config::LanesConfig,
    sim::{orchestrator, plan},
    table::{Candidate, Lines},
};

fn table(heads: usize, others: usize) -> Arc<Table> {
    let stage = |first: Uid, n: usize| -> Vec<Candidate> {
        (first..first + n as Uid).map(|uid| Candidate { uid, rate: 1, doubted: false, turns: 0 }).collect()
    };
    Arc::new(Table::new(1, Lines::new(1, 0, 0, &[stage(1, heads), stage(100, others), stage(200, 1)]).unwrap()))
}

fn middle(per_step: u32, lanes: u8) -> Scheduler {
    let config = plan::config(3, 2_000, orchestrator().account());
    let choice = Choice { samples_per_step: per_step, lanes };
    Scheduler::new(Arc::new(config), 100, 1, choice, 0, 0, Counts::default())
}

fn sample(turn: u32) -> Sample {
    Sample { table: 0, head: 1, turn }
}

proptest! {
    #[test]
    fn the_choice_is_within_bounds_and_memory_and_hides_the_loop_where_they_allow(
        least in 1u32..16, more in 0u32..32, lanes in 1u8..8, loop_ms in 1u64..5_000, own in 1u64..500, free in 1u64..64
    ) {
        let bounds = LanesConfig { samples_per_step: (least, least + more), lanes: (1, lanes), ..LanesConfig::default() };
        let memory = Memory { free: free << 30, lane: 1 << 30, sample: 1 << 10 };
        let choice = choose(&bounds, memory, Some(loop_ms), Some(own));
        prop_assert!((least..=least + more).contains(&choice.samples_per_step));
        prop_assert!((1..=lanes).contains(&choice.lanes));
        prop_assert!(choice.lanes == 1 || u64::from(choice.lanes) <= free);
        let (n, a, k) = (f64::from(choice.lanes), f64::from(choice.samples_per_step), loop_ms as f64 / own as f64);
        prop_assert!(n * a / (a + k) >= 1.0 || choice.lanes == lanes || u64::from(choice.lanes) + 2 > free);
    }

    #[test]
    fn a_lane_never_holds_more_than_a_step_and_steps_with_exactly_that(
        per_step in 1u32..6, lanes in 1u8..4, order in prop::collection::vec((0usize..3, any::<prop::sample::Index>()), 1..300)
    ) {
        let mut s = middle(per_step, lanes);
        let (mut turn, mut forwarded, mut now) = (0, Vec::new(), 0u64);
        let mut held: BTreeMap<u8, u32> = BTreeMap::new();
        for (what, which) in order {
            now += 1;
            match what {
                0 => {
                    prop_assert_eq!(s.input(sample(turn), 1), PushCode::Taken);
                    prop_assert_eq!(s.input(sample(turn), 2), PushCode::Duplicate);
                    turn += 1;
                }
                1 if !forwarded.is_empty() => {
                    let sample: Sample = forwarded.swap_remove(which.index(forwarded.len()));
                    prop_assert_eq!(s.gradient(sample, now), PushCode::Taken);
                }
                _ => {
                    if let Some(task) = s.next(now, 0) {
                        match task {
                            Task::Forward { sample, lane } => {
                                *held.entry(lane).or_default() += 1;
                                prop_assert!(held[&lane] <= per_step);
                                forwarded.push(sample);
                            }
                            Task::Step { lane } => {
                                prop_assert_eq!(s.summed(lane).len() as u32, per_step);
                                prop_assert_eq!(held.insert(lane, 0), Some(per_step));
                            }
                            _ => {}
                        }
                        s.done(task, now);
                    }
                }
            }
            prop_assert!(s.in_flight() as u32 <= s.capacity());
        }
    }

    #[test]
    fn no_more_is_pushed_than_was_granted_and_nothing_is_lost_while_peers_answer(
        peers in 1usize..5, answers in prop::collection::vec((any::<bool>(), 0u64..3_000), 1..200)
    ) {
        let table = table(3, peers);
        let mut out = Outbox::new(1, 1_000);
        let (mut now, mut turn, mut settled) = (0, 0, 0);
        let mut sent: BTreeMap<Uid, u64> = BTreeMap::new();
        let mut granted: BTreeMap<Uid, u64> = BTreeMap::new();
        for (offer, ms) in answers {
            now += ms;
            if offer {
                prop_assert!(out.offer(sample(turn), table.clone(), now));
                turn += 1;
            }
            out.tick(now);
            while let Some(push) = out.next(now) {
                let n = sent.entry(push.to).or_default();
                *n += 1;
                prop_assert!(*n <= granted.get(&push.to).copied().unwrap_or(2));
                prop_assert!(table.leads_to(push.sample, 1, push.rank, push.to));
                prop_assert!(out.answer(push.sample, push.to, PushCode::Taken, now));
                out.returned(push.to);
                settled += 1;
                let total = *sent.get(&push.to).unwrap() + 2;
                granted.insert(push.to, total);
                out.granted(push.to, total);
            }
        }
        prop_assert_eq!(settled, turn);
        prop_assert_eq!(out.unsent(), 0);
    }
}

#[test]
fn a_silent_peer_is_left_after_one_wait_and_asked_again_after_ever_longer_ones() {
    let table = table(1, 2);
    let mut out = Outbox::new(1, 1_000);
    let silent = table.pathway(sample(0), 1).unwrap();
    let mut asked = Vec::new();
    let mut waited = 0;
    for turn in 0..400u32 {
        let now = u64::from(turn) * 250;
        out.tick(now);
        out.offer(sample(turn), table.clone(), now);
        while let Some(push) = out.next(now) {
            if push.to == silent {
                asked.push(now);
            } else {
                waited += u64::from(push.cancel.is_some());
                out.answer(push.sample, push.to, PushCode::Taken, now);
                out.returned(push.to);
                out.granted(push.to, u64::MAX);
            }
        }
    }
    // In a hundred seconds: a handful of times, each sample then went to the other.
    assert!((3..=16).contains(&asked.len()), "{asked:?}");
    assert_eq!(waited, asked.len() as u64);
    let told = out.silent();
    assert!(told.windows(2).all(|w| w[0].1 < w[1].1), "{told:?}");
}

#[test]
fn a_peer_gets_one_sample_until_it_has_shown_a_gradient_and_one_again_after_it_let_one_fall() {
    let table = table(1, 1);
    let mut out = Outbox::new(1, 1_000);
    let peer = table.pathway(sample(0), 1).unwrap();
    out.granted(peer, u64::MAX);
    for turn in 0..40 {
        out.offer(sample(turn), table.clone(), 0);
    }
    let take = |out: &mut Outbox| -> Vec<Sample> {
        let mut taken = Vec::new();
        while let Some(push) = out.next(1) {
            out.answer(push.sample, push.to, PushCode::Taken, 1);
            taken.push(push.sample);
        }
        taken
    };
    let mut flying = take(&mut out);
    assert_eq!(flying.len(), 1);
    for most in [2, 4, 8] {
        out.returned(peer);
        flying.pop();
        flying.extend(take(&mut out));
        assert_eq!(flying.len(), most);
    }
    // It said itself that others let one fall: its place is free, and nothing else changes.
    out.lost(flying.pop().unwrap(), peer, true, 1);
    flying.extend(take(&mut out));
    assert_eq!(flying.len(), 8);
    // It let one fall and said nothing: all the others must land before it gets one.
    out.lost(flying.pop().unwrap(), peer, false, 1);
    assert!(take(&mut out).is_empty());
    for _ in 0..6 {
        out.lost(flying.pop().unwrap(), peer, true, 1);
    }
    assert!(take(&mut out).is_empty());
    out.returned(peer);
    assert_eq!(take(&mut out).len(), 2);
}

#[test]
fn a_loop_that_is_longer_than_patience_is_waited_for_longer_each_time() {
    let mut s = middle(4, 1);
    let mut waits = Vec::new();
    let mut now = 0;
    for turn in 0..4 {
        s.input(sample(turn), 1);
        let task = s.next(now, 0).unwrap();
        s.done(task, now);
        let due = s.next_overdue().unwrap();
        waits.push(due - now);
        now = due;
        assert_eq!(s.overdue(now).len(), 1);
        assert_eq!(s.input(sample(turn), 2), PushCode::Stale, "what was given up is not taken again");
    }
    assert!(waits.windows(2).all(|w| w[1] == 2 * w[0]), "{waits:?}");
}

#[test]
fn a_gradient_that_is_too_many_steps_old_is_not_summed() {
    let mut config = plan::config(3, 2_000, orchestrator().account());
    config.lanes.max_stale = 1;
    let choice = Choice { samples_per_step: 1, lanes: 1 };
    let mut s = Scheduler::new(Arc::new(config), 100, 1, choice, 0, 0, Counts::default());
    for turn in 0..2 {
        s.input(sample(turn), 1);
        let task = s.next(0, 0).unwrap();
        s.done(task, 0);
    }
    // A third forward has to wait for a step; sample 0 stays behind while two others are summed.
    for turn in [1, 2] {
        s.gradient(sample(turn), 1);
        s.input(sample(turn + 1), 1);
        while let Some(task) = s.next(1, 0) {
            s.done(task, 1);
        }
    }
    let before = s.counts();
    s.gradient(sample(0), 2);
    while let Some(task) = s.next(2, 0) {
        assert!(!matches!(task, Task::Backward { sample: old, .. } if old == sample(0)));
        s.done(task, 2);
    }
    assert!(s.counts().backwards >= before.backwards);
}
