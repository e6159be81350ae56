//! What the ledger pays and what it condemns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use starling_keys::Signature;
use starling_protocol::{Digest, flops::StageCosts, message::Verdict, receipt::Receipt, signed::Signed};

use super::*;

const MINER: Account = Account([1; 32]);
const OTHER: Account = Account([2; 32]);
const JUDGE: Account = Account([10; 32]);
const STRANGER: Account = Account([11; 32]);

fn costs() -> Costs {
    Costs(vec![StageCosts { forward: 1, step: 2, merge: 3 }, StageCosts { forward: 1000, step: 30, merge: 7 }])
}

fn forward() -> Work {
    let z = Digest::ZERO;
    Work::Forward { round: 0, sample: 0, attempt: 0, weights: z, input: z, output: z, loss: None }
}

fn every_kind() -> Vec<Work> {
    let z = Digest::ZERO;
    vec![
        forward(),
        Work::Backward {
            round: 0,
            sample: 0,
            attempt: 0,
            weights: z,
            input: z,
            output_gradient: None,
            input_gradient: None,
        },
        Work::Step {
            round: 0,
            samples: vec![],
            weights_before: z,
            optimiser_before: z,
            weights_after: z,
            optimiser_after: z,
        },
        Work::Merge { shard: 0, output: z },
    ]
}

fn filed(work: Work, standing: Standing) -> Filed {
    let body = Receipt { run: Digest::ZERO, epoch: 4, stage: 1, sequence: 0, previous: Digest::ZERO, work };
    let signed = Signed { body, signer: MINER, signature: Signature([0; 64]) };
    Filed { signed, link: Digest::ZERO, standing, first_step: false }
}

fn closed(filed: Vec<Filed>) -> ClosedEpoch {
    ClosedEpoch {
        epoch: 4,
        filed: BTreeMap::from([(MINER, filed)]),
        verdicts: BTreeMap::new(),
        merge: None,
        benched: Vec::new(),
    }
}

fn only(work: &EpochWork) -> &MinerWork {
    assert_eq!((work.epoch, work.miners.len()), (4, 1));
    &work.miners[0]
}

#[test]
fn receipts_that_count_are_paid_their_operations_by_kind() {
    let all = every_kind();
    let mut receipts: Vec<Filed> = all.iter().map(|work| filed(work.clone(), Standing::Counted)).collect();
    receipts.push(filed(forward(), Standing::Counted));
    let work = gather(&costs(), &closed(receipts), &JUDGE, |_| true);
    // Two forwards; a backward costs two forwards.
    let expected = Flops { forward: 2000, backward: 2000, step: 30, merge: 7 };
    assert_eq!(only(&work), &MinerWork { miner: MINER, flops: expected, failed: false, withheld: false });
}

#[test]
fn what_is_late_or_unassigned_earns_nothing_and_is_no_offence() {
    let work = gather(&costs(), &closed(vec![filed(forward(), Standing::Void("late"))]), &JUDGE, |_| true);
    assert_eq!(only(&work), &MinerWork { miner: MINER, flops: Flops::default(), failed: false, withheld: false });
}

#[test]
fn without_an_anchor_work_earns_nothing_and_is_no_offence() {
    let work = gather(&costs(), &closed(vec![filed(forward(), Standing::Counted)]), &JUDGE, |who| *who != MINER);
    assert_eq!(only(&work), &MinerWork { miner: MINER, flops: Flops::default(), failed: false, withheld: false });
}

#[test]
fn a_receipt_that_contradicts_the_ledger_is_a_failure_without_any_verdict() {
    let receipts = vec![filed(forward(), Standing::Counted), filed(forward(), Standing::Unsound("another stage"))];
    assert!(only(&gather(&costs(), &closed(receipts), &JUDGE, |_| true)).failed);
}

#[test]
fn only_the_judges_own_verdict_on_this_miner_condemns() {
    let z = Digest::ZERO;
    let differs = Outcome::Differs { what: "output".into(), claimed: z, computed: z };
    let unsound = Outcome::Unsound { reason: "no such sample".into() };
    let withheld = Outcome::Withheld { opening: z };
    // Whose verdict, about whom, what; then failed and withheld.
    let table = [
        (JUDGE, MINER, Outcome::Passed, (false, false)),
        (JUDGE, MINER, differs.clone(), (true, false)),
        (JUDGE, MINER, unsound, (true, false)),
        (JUDGE, MINER, withheld.clone(), (false, true)),
        (JUDGE, OTHER, differs.clone(), (false, false)),
        (STRANGER, MINER, differs, (false, false)),
        (STRANGER, MINER, withheld, (false, false)),
    ];
    for (whose, miner, outcome, expected) in table {
        let mut epoch = closed(vec![filed(forward(), Standing::Counted)]);
        let passed = Verdict { miner: MINER, sequence: 0, receipt: z, outcome: Outcome::Passed };
        let verdict = Verdict { miner, sequence: 1, receipt: z, outcome: outcome.clone() };
        epoch.verdicts.insert(whose, vec![verdict, passed]);
        let work = gather(&costs(), &epoch, &JUDGE, |_| true);
        let only = only(&work);
        assert_eq!((only.failed, only.withheld), expected, "{outcome:?} of {whose:?} about {miner:?}");
    }
}

#[test]
fn whom_the_majority_benched_has_failed_for_everyone() {
    let mut epoch = closed(vec![filed(forward(), Standing::Counted)]);
    epoch.benched.push(MINER);
    assert!(only(&gather(&costs(), &epoch, &JUDGE, |_| true)).failed);
}
