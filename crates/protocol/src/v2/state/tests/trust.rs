//! Whose word counts.

use super::swarm::{Swarm, key};
use starling_keys::Signer;

use crate::{
    Digest, Uid,
    v2::{
        code::{ComplaintCode, Refusal},
        message::{Complaint, Fault, Finding, Part, Refutation},
        proof::Proof,
        receipt::{Receipt, Work},
        sample::Sample,
        signed::Signed,
        state::{Status, Submission},
    },
};

fn finding(swarm: &Swarm, by: Uid, miner: Uid, leaf: u64) -> Signed<Finding> {
    let fault = Fault::Differs { part: Part::Output, claimed: Digest::ZERO, computed: Digest::of(b"x") };
    let account = key(miner).account();
    swarm.signed(by, Finding { miner, account, tally: 1, leaf, receipt: Digest::ZERO, fault })
}

fn barred(swarm: &mut Swarm, miner: Uid) -> bool {
    swarm.settle();
    swarm.state.members()[&miner].status == Status::Barred
}

#[test]
fn hotkeys_without_a_permit_have_no_voice_however_many() {
    let mut swarm = Swarm::new(2, 2, &[10, 10, 0, 0, 0, 0, 0]);
    for sybil in 3..=7 {
        let word = finding(&swarm, sybil, 100, 0);
        assert_eq!(swarm.say(Submission::Finding(word)), Err(Refusal::NoPermit));
    }
    assert!(!barred(&mut swarm, 100));
}

#[test]
fn half_of_the_stake_excludes_nobody_and_more_does_at_once() {
    let mut swarm = Swarm::new(2, 2, &[10, 6, 4]);
    let word = finding(&swarm, 1, 100, 0);
    swarm.say(Submission::Finding(word)).unwrap();
    assert!(!barred(&mut swarm, 100), "ten of twenty");
    // The same validator again is not more stake.
    let word = finding(&swarm, 1, 100, 1);
    swarm.say(Submission::Finding(word)).unwrap();
    assert!(!barred(&mut swarm, 100));
    let word = finding(&swarm, 3, 100, 0);
    swarm.say(Submission::Finding(word)).unwrap();
    assert!(barred(&mut swarm, 100), "fourteen of twenty");
    swarm.wait(1_000);
    swarm.settle();
    let table = swarm.state.table().unwrap();
    assert!((0..2).all(|stage| table.miners(stage).all(|m| m != 100)));
}

#[test]
fn a_refuted_finding_costs_its_author_its_voice_and_frees_the_miner() {
    let mut swarm = Swarm::new(2, 2, &[10, 6, 7]);
    let word = finding(&swarm, 1, 100, 0);
    let id = word.body.id(&key(1).account());
    swarm.say(Submission::Finding(word)).unwrap();
    let own = swarm.signed(1, Refutation { finding: id });
    assert_eq!(swarm.say(Submission::Refutation(own)), Err(Refusal::NotNow));
    for by in [2, 3] {
        let word = swarm.signed(by, Refutation { finding: id });
        swarm.say(Submission::Refutation(word)).unwrap();
    }
    let again = finding(&swarm, 1, 101, 0);
    assert_eq!(swarm.say(Submission::Finding(again)), Err(Refusal::Barred));
    let word = finding(&swarm, 2, 100, 5);
    swarm.say(Submission::Finding(word)).unwrap();
    assert!(!barred(&mut swarm, 100), "six of thirteen: the liar's stake counts on neither side");
}

#[test]
fn an_excluded_miner_is_left_out_of_its_merge_and_a_late_one_is_subtracted() {
    for late in [false, true] {
        let mut swarm = Swarm::new(2, 3, &[10]);
        swarm.close_all();
        swarm.settle();
        swarm.block += 1;
        swarm.wait(100);
        swarm.settle();
        let cheat = swarm.miners(0)[0];
        if !late {
            let word = finding(&swarm, 1, cheat, 0);
            swarm.say(Submission::Finding(word)).unwrap();
        }
        swarm.block += 2;
        swarm.wait(100);
        swarm.settle();
        let contributors: Vec<Uid> =
            swarm.state.merging().unwrap().stages[0].contributions.iter().map(|(u, ..)| *u).collect();
        assert_eq!(contributors.contains(&cheat), late);
        if late {
            let word = finding(&swarm, 1, cheat, 0);
            swarm.say(Submission::Finding(word)).unwrap();
            assert!(barred(&mut swarm, cheat));
            // The merge ends (by time: nobody reduces here), then what the cheat brought in is subtracted.
            let mut names = Vec::new();
            let more = swarm.state.config().merge.timeout_ms / 900 + 2;
            for _ in 0..more {
                swarm.wait(900);
                for uid in swarm.state.members().iter().filter(|(_, m)| m.works()).map(|(u, _)| *u).collect::<Vec<_>>()
                {
                    let tally = swarm.tally(uid, 1, false);
                    swarm.say(Submission::Tally(tally)).unwrap();
                }
                names.extend(swarm.settle());
            }
            assert!(names.contains(&"merged") && names.contains(&"corrected"), "{names:?}");
        }
    }
}

#[test]
fn two_receipts_with_one_number_need_no_vote() {
    let mut swarm = Swarm::new(2, 2, &[10, 10]);
    let receipt = |turn: u32| {
        let sample = Sample { table: 0, head: 100, turn };
        let work = Work::Drop { sample, forward: Digest::ZERO, code: crate::v2::code::DropCode::Suspect };
        Box::new(swarm.signed(100, Receipt { sequence: 5, work }))
    };
    let (a, b) = (receipt(1), receipt(2));
    let same = Proof::Receipts(a.clone(), a.clone());
    let framed = Proof::Receipts(a.clone(), Box::new(Signed { by: 101, ..*b.clone() }));
    let proof = Proof::Receipts(a, b);
    assert_eq!(swarm.say(Submission::Offence(same)), Err(Refusal::NoProof));
    assert_eq!(swarm.say(Submission::Offence(framed)), Err(Refusal::NoProof));
    swarm.say(Submission::Offence(proof.clone())).unwrap();
    assert!(barred(&mut swarm, 100));
    assert_eq!(swarm.say(Submission::Offence(proof)), Err(Refusal::NotNow));
}

#[test]
fn two_tallies_that_no_log_can_have_prove_an_offence_and_those_of_one_log_do_not() {
    let mut swarm = Swarm::new(2, 2, &[10, 10]);
    let tally = |number, leaves: u64, root: u8| {
        let t = crate::v2::tally::Tally { number, leaves, root: Digest([root; 32]), ..Default::default() };
        Box::new(swarm.signed(100, t))
    };
    let innocent = [
        (tally(1, 10, 1), tally(2, 20, 2)),
        // Nothing was done between two tallies.
        (tally(1, 10, 1), tally(2, 10, 1)),
    ];
    let guilty =
        [(tally(1, 10, 1), tally(1, 12, 2)), (tally(1, 10, 1), tally(2, 10, 2)), (tally(1, 10, 1), tally(2, 9, 2))];
    for (a, b) in innocent {
        for proof in [Proof::Tallies(a.clone(), b.clone()), Proof::Tallies(b, a)] {
            assert_eq!(swarm.say(Submission::Offence(proof)), Err(Refusal::NoProof));
        }
    }
    let before = swarm.state.clone();
    for (a, b) in guilty {
        swarm.state = before.clone();
        swarm.say(Submission::Offence(Proof::Tallies(b, a))).unwrap();
        assert!(barred(&mut swarm, 100));
    }
}

#[test]
fn one_complaint_changes_no_weight_two_halve_it_and_progress_restores_it() {
    let mut swarm = Swarm::new(2, 3, &[10]);
    let (authors, accused) = (swarm.miners(0), swarm.miners(1)[0]);
    let weight = |swarm: &Swarm| {
        let lines = swarm.state.table().unwrap().lines().stages[1].clone();
        let of = |uid| lines.iter().find(|l| l.uid == uid).unwrap().weight;
        f64::from(of(accused)) / f64::from(lines.iter().map(|l| l.weight).max().unwrap())
    };
    let complain = |swarm: &mut Swarm, by: Uid| {
        let sample = Sample { table: 0, head: authors[0], turn: 0 };
        let word = swarm.signed(by, Complaint { about: accused, sample, code: ComplaintCode::Silent });
        swarm.say(Submission::Complaint(word))
    };
    complain(&mut swarm, authors[0]).unwrap();
    assert_eq!(complain(&mut swarm, authors[0]), Err(Refusal::NotNow), "once each");
    swarm.wait(1_000);
    swarm.settle();
    assert!(weight(&swarm) > 0.9);
    complain(&mut swarm, authors[1]).unwrap();
    swarm.wait(1_000);
    swarm.settle();
    assert!(weight(&swarm) < 0.6);
    let tally = swarm.tally(accused, 5, false);
    swarm.say(Submission::Tally(tally)).unwrap();
    assert!(!swarm.state.members()[&accused].doubted());
    assert_eq!(swarm.state.epochs()[&0].complaints.values().sum::<u32>(), 2, "each costs its author");
}
