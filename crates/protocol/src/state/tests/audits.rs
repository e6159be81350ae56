//! Verdicts and anchors, and what they do to a miner.

use super::{
    peers,
    sim::{Sim, config},
};
use starling_keys::Account;

use crate::{
    Digest,
    ledger::{Event, StageMerge},
    message::{MAX_VERDICTS, Outcome, Report, Verdict},
    receipt::Work,
    signed::Signed,
    state::{MAX_EPOCH_VERDICTS, Phase, Refusal},
    wire::Submission,
};

fn differs() -> Outcome {
    Outcome::Differs { what: "output".into(), claimed: Digest::of(b"a"), computed: Digest::of(b"b") }
}

/// The merge plan that made an epoch's weights.
fn plan(sim: &Sim, of: u32) -> Vec<StageMerge> {
    let found = sim.ledger.iter().find_map(|e| match &e.event {
        Event::MergePlanned { epoch, stages } if *epoch == of => Some(stages.clone()),
        _ => None,
    });
    found.unwrap()
}

fn contributes(sim: &Sim, of: u32, stage: usize, who: &Account) -> bool {
    let uid = sim.uid(who);
    plan(sim, of)[stage].contributions.iter().any(|(c, _)| *c == uid)
}

#[test]
fn a_miner_failed_by_the_majority_is_benched_left_out_of_merge_and_roster_and_comes_back() {
    // bench_epochs is 1.
    let mut sim = Sim::new(config(2, 4, 1, 4), 2, 3);
    let cheat = sim.stage(1)[0];
    let uid = sim.uid(&cheat);
    let blind = *sim.state.auditors().keys().next().unwrap();
    sim.blind.insert(blind);
    sim.failing.insert(cheat, differs());
    sim.run_until(2_000, |s| s.state.epoch() == 1);
    assert_eq!(sim.state.closed().unwrap().benched, vec![cheat]);
    sim.failing.clear();
    sim.finish();
    assert!(!contributes(&sim, 1, 1, &cheat));
    assert_eq!(plan(&sim, 1)[1].shards.len(), 1, "its colleague merges alone");
    let enlisted: Vec<bool> = sim.rosters().iter().map(|(_, roster)| roster[1].contains(&uid)).collect();
    assert_eq!(enlisted, [true, false, true, true, true]);
    sim.assert_follower_agrees();
}

#[test]
fn a_miner_failed_by_half_or_fewer_stays() {
    let mut sim = Sim::new(config(2, 2, 1, 4), 2, 2);
    let accused = sim.stage(1)[0];
    sim.blind.insert(*sim.state.auditors().keys().next().unwrap());
    sim.failing.insert(accused, differs());
    sim.finish();
    assert!(contributes(&sim, 1, 1, &accused));
}

#[test]
fn verdicts_on_receipts_that_are_not_in_the_ledger_bench_nobody() {
    let mut sim = Sim::new(config(1, 2, 1, 2), 2, 1);
    let victim = sim.stage(0)[0];
    let liar = *sim.state.auditors().keys().next().unwrap();
    sim.kill(&liar);
    sim.run_until(500, |s| matches!(s.state.phase(), Phase::Auditing { .. }));
    let invented = Verdict { miner: victim, sequence: 0, receipt: Digest::of(b"never filed"), outcome: differs() };
    let report = Report { run: sim.state.run(), epoch: 0, verdicts: vec![invented], complete: true };
    let said = Submission::Report(Signed::new(report, &sim.key(&liar)));
    assert_eq!(sim.submit(&liar, said), Ok(true));
    sim.run_until(500, |s| s.state.closed().is_some());
    assert!(sim.state.closed().unwrap().benched.is_empty());
}

#[test]
fn anchors_that_do_not_match_are_excluded_from_the_merge() {
    let mut sim = Sim::new(config(2, 2, 1, 4), 2, 1);
    let liar = sim.stage(0)[1];
    sim.misanchoring.insert(liar);
    sim.run_until(2_000, |s| s.state.epoch() == 1);
    assert!(sim.state.members()[&liar].anchor.is_some_and(|a| !a.matches));
    sim.misanchoring.clear();
    sim.finish();
    assert!(!contributes(&sim, 1, 0, &liar));
    assert!(contributes(&sim, 2, 0, &liar));
    sim.assert_follower_agrees();
}

#[test]
fn a_miner_that_does_not_anchor_is_waited_for_until_the_deadline_and_excluded() {
    let mut sim = Sim::new(config(2, 2, 1, 4), 2, 1);
    sim.run_to_round(0, 0);
    let mute = sim.stage(0)[0];
    sim.unanchored.insert(mute);
    sim.run_until(2_000, |s| matches!(s.state.phase(), Phase::Anchoring { .. }));
    let uid = sim.uid(&mute);
    sim.turn();
    assert!(sim.state.waiting_for().contains(&format!("uid {uid}")), "{}", sim.state.waiting_for());
    sim.run_until(2_000, |s| s.state.epoch() == 1 && s.training());
    assert!(!contributes(&sim, 1, 0, &mute));
}

#[test]
fn a_pair_that_disagrees_loses_its_shard() {
    let mut sim = Sim::new(config(1, 2, 1, 3), 3, 1);
    let liar = sim.stage(0)[0];
    let key = sim.key(&liar);
    sim.tampering.insert(
        liar,
        Box::new(move |state, said| match said {
            Submission::Receipt(r) => match r.body.work {
                Work::Merge { shard, .. } => {
                    let work = Work::Merge { shard, output: Digest::of(b"a lie") };
                    Some(Submission::Receipt(peers::receipt(&key, state, work)))
                }
                _ => Some(Submission::Receipt(r)),
            },
            other => Some(other),
        }),
    );
    sim.finish();
    let merged = sim.ledger.iter().find_map(|e| match &e.event {
        Event::Merged { stages } => Some(stages[0].clone()),
        _ => None,
    });
    // Pairs are (liar, b), (liar, c), (b, c).
    let kept: Vec<bool> = merged.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(kept, [false, false, true]);
    sim.assert_follower_agrees();
}

#[test]
fn an_audit_waits_for_validators_until_its_window_is_over_and_no_longer() {
    let mut sim = Sim::new(config(1, 1, 1, 2), 1, 2);
    sim.run_to_round(0, 0);
    let slow = *sim.state.auditors().keys().next().unwrap();
    sim.mute.insert(slow);
    sim.run_until(500, |s| matches!(s.state.phase(), Phase::Auditing { .. }));
    let Phase::Auditing { block } = *sim.state.phase() else { panic!() };
    for _ in 0..5 {
        sim.turn();
    }
    assert!(sim.state.waiting_for().contains("validator uid 10"), "{}", sim.state.waiting_for());
    sim.run_until(500, |s| s.state.closed().is_some());
    assert_eq!(sim.block, block + 1 + 8);
}

#[test]
fn reports_too_late_too_long_or_of_strangers_are_refused() {
    let mut sim = Sim::new(config(1, 1, 1, 2), 1, 1);
    let validator = *sim.state.auditors().keys().next().unwrap();
    let miner = sim.stage(0)[0];
    let report = |sim: &Sim, from: &Account, verdicts: Vec<Verdict>, complete| {
        let report = Report { run: sim.state.run(), epoch: 0, verdicts, complete };
        Submission::Report(Signed::new(report, &sim.key(from)))
    };
    let early = report(&sim, &validator, vec![], true);
    assert!(matches!(sim.submit(&validator, early), Err(Refusal::NotNow(_))));
    sim.mute.insert(validator);
    sim.run_until(500, |s| matches!(s.state.phase(), Phase::Auditing { .. }));
    let of_a_miner = report(&sim, &miner, vec![], true);
    assert_eq!(sim.submit(&miner, of_a_miner), Err(Refusal::NotJoined(miner)));

    let passed = Verdict { miner, sequence: 0, receipt: Digest::ZERO, outcome: Outcome::Passed };
    let long = report(&sim, &validator, vec![passed.clone(); MAX_VERDICTS + 1], false);
    assert!(matches!(sim.submit(&validator, long), Err(Refusal::TooLong { .. })));
    let wordy = Verdict { outcome: Outcome::Unsound { reason: "x".repeat(600) }, ..passed.clone() };
    let wordy = report(&sim, &validator, vec![wordy], false);
    assert!(matches!(sim.submit(&validator, wordy), Err(Refusal::TooLong { .. })));
    for _ in 0..MAX_EPOCH_VERDICTS / MAX_VERDICTS {
        let full = report(&sim, &validator, vec![passed.clone(); MAX_VERDICTS], false);
        assert_eq!(sim.submit(&validator, full), Ok(true));
    }
    let more = report(&sim, &validator, vec![passed], false);
    assert!(matches!(sim.submit(&validator, more), Err(Refusal::TooLong { .. })));
    let last = report(&sim, &validator, vec![], true);
    assert_eq!(sim.submit(&validator, last.clone()), Ok(true));
    assert_eq!(sim.submit(&validator, last), Ok(false), "nothing follows a complete report");
}

#[test]
fn everything_is_refused_when_the_run_is_finished() {
    let mut sim = Sim::new(config(1, 1, 1, 1), 1, 1);
    let miner = sim.stage(0)[0];
    sim.finish();
    let work = Work::Merge { shard: 0, output: Digest::ZERO };
    let receipt = peers::receipt(&sim.key(&miner), &sim.state, work);
    assert!(matches!(sim.submit(&miner, Submission::Receipt(receipt)), Err(Refusal::NotNow(_))));
    let ready = crate::message::Ready { run: sim.state.run(), epoch: 1, weights: Digest::ZERO, momentum: Digest::ZERO };
    let ready = Submission::Ready(Signed::new(ready, &sim.key(&miner)));
    assert!(matches!(sim.submit(&miner, ready), Err(Refusal::NotNow(_))));
}
