//! The promises of scoring, as properties.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

fn account(n: u8) -> Account {
    Account([n; 32])
}

fn window(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn work(miner: u8, forward: u128, failed: bool) -> MinerWork {
    MinerWork { miner: account(miner), flops: Flops { forward, ..Flops::default() }, failed, withheld: false }
}

#[test]
fn a_failure_costs_the_window_and_is_forgotten_with_it() {
    let history: Vec<EpochWork> =
        (0..6).map(|epoch| EpochWork { epoch, miners: vec![work(1, 10, epoch == 2), work(2, 10, false)] }).collect();
    let of = |miner: u8, newest: Epoch| scores(&history, newest, window(3))[&account(miner)];
    assert_eq!([0, 1, 2, 3, 4, 5].map(|newest| of(1, newest)), [10, 20, 0, 0, 0, 30]);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|newest| of(2, newest)), [10, 20, 30, 30, 30, 30]);
}

#[test]
fn withholding_is_as_bad_as_failing() {
    let mut withheld = work(1, 10, false);
    withheld.withheld = true;
    let history = [EpochWork { epoch: 0, miners: vec![withheld] }];
    assert_eq!(scores(&history, 0, window(1))[&account(1)], 0);
}

#[test]
fn weights_go_to_the_uids_that_the_miners_hold_now() {
    let scores = BTreeMap::from([(account(1), 400), (account(2), 200), (account(3), 0), (account(4), 900)]);
    let holders = BTreeMap::from([(7, account(1)), (3, account(2)), (5, account(3)), (9, account(8))]);
    assert_eq!(weights(&scores, &holders), [(3, 32_768), (7, 65_535)]);
    assert_eq!(weights(&scores, &BTreeMap::new()), []);
    assert_eq!(weights(&BTreeMap::from([(account(3), 0)]), &holders), []);
}

#[test]
fn halves_round_to_even_and_huge_scores_do_not_overflow() {
    // 65 535 · 1/2 = 32 767.5 goes up to the even 32 768; 65 535 · 1/6 = 10 922.5 goes down to the even 10 922.
    assert_eq!(proportion(1, 2), 32_768);
    assert_eq!(proportion(1, 6), 10_922);
    assert_eq!(proportion(u128::MAX, u128::MAX), 65_535);
    assert_eq!(proportion(u128::MAX / 2, u128::MAX), 32_767);
    assert_eq!(proportion(1, u128::MAX), 0);
    let whole = Flops { forward: u128::MAX, backward: 1, ..Flops::default() };
    assert_eq!(whole.total(), u128::MAX);
}

fn miner_work() -> impl Strategy<Value = MinerWork> {
    (0_u8..5, prop::array::uniform4(0_u128..1_000), prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(miner, [forward, backward, step, merge], failed, withheld)| MinerWork {
            miner: account(miner),
            flops: Flops { forward, backward, step, merge },
            failed,
            withheld,
        },
    )
}

fn history() -> impl Strategy<Value = Vec<EpochWork>> {
    let epoch = (0_u32..6, prop::collection::vec(miner_work(), 0..5));
    prop::collection::vec(epoch.prop_map(|(epoch, miners)| EpochWork { epoch, miners }), 1..6)
}

/// The history with one record added to one of its epochs.
fn with(history: &[EpochWork], epoch: usize, record: MinerWork) -> Vec<EpochWork> {
    let mut more = history.to_vec();
    more[epoch % history.len()].miners.push(record);
    more
}

proptest! {
    #[test]
    fn the_order_of_the_evidence_does_not_matter(history in history(), newest in 0_u32..7, span in 1_u32..5, turn in 0_usize..6) {
        let mut turned = history.clone();
        let by = turn % turned.len();
        turned.rotate_left(by);
        turned.iter_mut().for_each(|epoch| epoch.miners.reverse());
        prop_assert_eq!(scores(&history, newest, window(span)), scores(&turned, newest, window(span)));
    }

    #[test]
    fn a_failure_raises_nobodys_score(history in history(), newest in 0_u32..7, span in 1_u32..5, epoch in 0_usize..6, miner in 0_u8..5, withheld: bool) {
        let mut failure = work(miner, 0, !withheld);
        failure.withheld = withheld;
        let before = scores(&history, newest, window(span));
        let after = scores(&with(&history, epoch, failure), newest, window(span));
        for (account, score) in &after {
            prop_assert!(*score <= before.get(account).copied().unwrap_or(0));
        }
    }

    #[test]
    fn more_counted_work_never_lowers_a_score(history in history(), newest in 0_u32..7, span in 1_u32..5, epoch in 0_usize..6, miner in 0_u8..5, flops in 0_u128..1_000) {
        let before = scores(&history, newest, window(span));
        let after = scores(&with(&history, epoch, work(miner, flops, false)), newest, window(span));
        for (account, score) in &before {
            prop_assert!(after[account] >= *score);
        }
    }

    #[test]
    fn no_more_is_scored_than_was_done_in_the_window(history in history(), newest in 0_u32..7, span in 1_u32..5) {
        let inside = history.iter().filter(|e| e.epoch <= newest && e.epoch + span > newest);
        let done: u128 = inside.clone().flat_map(|e| &e.miners).map(|w| w.flops.total()).sum();
        let scored = scores(&history, newest, window(span));
        prop_assert!(scored.values().sum::<u128>() <= done);
        if inside.flat_map(|e| &e.miners).all(|w| !w.failed && !w.withheld) {
            prop_assert_eq!(scored.values().sum::<u128>(), done, "without a failure everything is paid");
        }
    }

    #[test]
    fn equal_operations_are_equal_pay_whatever_their_kind(parts in prop::array::uniform4(0_u128..1_000)) {
        let [forward, backward, step, merge] = parts;
        let mixed = MinerWork { flops: Flops { forward, backward, step, merge }, ..work(1, 0, false) };
        let plain = work(2, parts.iter().sum(), false);
        let scores = scores(&[EpochWork { epoch: 0, miners: vec![mixed, plain] }], 0, window(1));
        prop_assert_eq!(scores[&account(1)], scores[&account(2)]);
    }

    #[test]
    fn weights_follow_scores(scores in prop::collection::vec(prop_oneof![0_u128..10, any::<u128>()], 1..20)) {
        let of: BTreeMap<Account, u128> = (0..).zip(&scores).map(|(n, score)| (account(n), *score)).collect();
        let holders: BTreeMap<Uid, Account> = (0..scores.len() as u8).map(|n| (Uid::from(n), account(n))).collect();
        let weights: BTreeMap<Uid, u16> = weights(&of, &holders).into_iter().collect();
        let weight = |n: usize| weights.get(&(n as Uid)).copied().unwrap_or(0);
        let max = scores.iter().copied().max().unwrap();
        prop_assert!(weights.values().all(|value| *value > 0));
        prop_assert!(max == 0 || weights.values().max() == Some(&65_535));
        for (a, score_a) in scores.iter().enumerate() {
            let exact = *score_a as f64 / (max.max(1)) as f64 * 65_535.0;
            prop_assert!((f64::from(weight(a)) - exact).abs() <= 0.5 + 1e-6);
            for (b, score_b) in scores.iter().enumerate() {
                prop_assert!(score_a < score_b || weight(a) >= weight(b));
            }
        }
    }
}
