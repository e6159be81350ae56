//! A miner killed at any instruction neither loses nor repeats a signature.

use starling_keys::Account;
use starling_miner::outbox::{Outbox, OutboxError, Standing};
use starling_protocol::{Digest, receipt::Work};
use tempfile::TempDir;

use crate::world::key;

const START: Standing = Standing { count: 0, link: Digest::ZERO };

fn work(n: u8) -> Work {
    Work::Merge { shard: u16::from(n), output: Digest::of(&[n]) }
}

fn open(dir: &TempDir) -> Outbox {
    Outbox::open(dir.path(), Digest::of(b"run"), key(1).account()).unwrap()
}

fn after(receipt: &starling_protocol::signed::Signed<starling_protocol::receipt::Receipt>) -> Standing {
    Standing { count: receipt.body.sequence + 1, link: receipt.body.link(&me()) }
}

fn me() -> Account {
    key(1).account()
}

#[test]
fn what_was_signed_and_not_sent_is_sent_again_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let signed: Vec<_> = {
        let outbox = open(&dir);
        outbox.reconcile(START).unwrap();
        (0..3).map(|n| outbox.sign(&key(1), START, 0, 1, work(n)).unwrap()).collect()
        // Killed here, before anything was sent.
    };
    let outbox = open(&dir);
    assert_eq!(outbox.pending(), signed);
    for pair in signed.windows(2) {
        assert_eq!(pair[1].body.sequence, pair[0].body.sequence + 1);
        assert_eq!(pair[1].body.previous, pair[0].body.link(&me()));
    }
    outbox.reconcile(START).unwrap();
    let next = outbox.sign(&key(1), START, 0, 1, work(9)).unwrap();
    assert_eq!((next.body.sequence, next.body.previous), (3, signed[2].body.link(&me())));
}

#[test]
fn what_was_sent_and_accepted_before_the_crash_is_forgotten_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let signed: Vec<_> = {
        let outbox = open(&dir);
        (0..3).map(|n| outbox.sign(&key(1), START, 0, 1, work(n)).unwrap()).collect()
        // Two of them reached the ledger; killed before the answer came.
    };
    let outbox = open(&dir);
    outbox.reconcile(after(&signed[1])).unwrap();
    assert_eq!(outbox.pending(), signed[2..]);
    drop(outbox);
    let outbox = open(&dir);
    assert_eq!(outbox.pending(), signed[2..], "forgetting is durable");
    outbox.reconcile(after(&signed[2])).unwrap();
    assert!(outbox.is_empty());
    let next = outbox.sign(&key(1), after(&signed[2]), 1, 1, work(7)).unwrap();
    assert_eq!(next.body.sequence, 3);
}

#[test]
fn a_ledger_that_lost_receipts_is_noticed_and_nothing_is_signed_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir);
    let signed: Vec<_> = (0..3).map(|n| outbox.sign(&key(1), START, 0, 1, work(n)).unwrap()).collect();
    outbox.reconcile(after(&signed[2])).unwrap();
    // All three were seen there; now the ledger ends after one.
    let lost = after(&signed[0]);
    assert!(matches!(outbox.reconcile(lost), Err(OutboxError::Lost { ledger: 1, signed: 3 })));
    assert!(matches!(outbox.sign(&key(1), lost, 0, 1, work(8)), Err(OutboxError::Lost { .. })));
    drop(outbox);
    assert!(
        matches!(open(&dir).sign(&key(1), lost, 0, 1, work(8)), Err(OutboxError::Lost { .. })),
        "nor after a restart"
    );
}

#[test]
fn a_second_miner_with_the_same_hotkey_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir);
    outbox.sign(&key(1), START, 0, 1, work(0)).unwrap();
    let other = Standing { count: 1, link: Digest::of(b"somebody else's receipt 0") };
    assert!(matches!(outbox.reconcile(other), Err(OutboxError::Twin(0))));
}

#[test]
fn a_state_directory_belongs_to_one_run_one_hotkey_and_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir);
    let again = Outbox::open(dir.path(), Digest::of(b"run"), me());
    assert!(matches!(again, Err(OutboxError::Open { .. })));
    drop(outbox);
    let foreign = |run: &[u8], who| match Outbox::open(dir.path(), Digest::of(run), who) {
        Err(OutboxError::Foreign { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(foreign(b"another", me()), "run");
    assert_eq!(foreign(b"run", key(2).account()), "hotkey");
}

#[test]
fn blobs_are_noted_for_the_newest_epoch_that_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir);
    let [a, b, c] = [b"a", b"b", b"c"].map(|x| Digest::of(x));
    outbox.track(0, &[a, b]).unwrap();
    outbox.track(2, &[b]).unwrap();
    outbox.track(1, &[b, c]).unwrap();
    let sorted = |mut v: Vec<Digest>| {
        v.sort();
        v
    };
    assert_eq!(outbox.tracked(0).unwrap(), [a]);
    assert_eq!(sorted(outbox.tracked(1).unwrap()), sorted(vec![a, c]));
    outbox.untrack(&[a]).unwrap();
    assert_eq!(sorted(outbox.tracked(2).unwrap()), sorted(vec![b, c]));
}
