//! Promises of what travels: exactly one message decodes, garbage never panics or allocates beyond its size, and no damaged
//! message keeps its signature.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use parity_scale_codec::{Compact, Encode};
use proptest::prelude::*;
use starling_keys::{Account, Signature, Signer};
use starling_protocol::{
    Code, Digest, Refused,
    ledger::{Entry, Event, Head},
    message::{Complaint, Join, Outcome, Ready, Report, Role, Verdict},
    receipt::{Receipt, Work},
    signed::Signed,
    wire::{self, Page, Request, Response, Submission},
};

struct Key(schnorrkel::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

fn key(seed: u8) -> Key {
    let mini = schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap();
    Key(mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519))
}

fn receipt() -> Receipt {
    let d = Digest::of;
    let work = Work::Forward {
        round: 1,
        sample: 2,
        attempt: 3,
        weights: d(b"w"),
        input: d(b"i"),
        output: d(b"o"),
        loss: Some(1.5f32.to_bits()),
    };
    Receipt { run: d(b"run"), epoch: 4, stage: 5, sequence: 6, previous: d(b"p"), work }
}

/// One of each kind of request.
fn requests() -> Vec<Request> {
    let (key, run) = (key(1), Digest::of(b"run"));
    let verdict = Verdict {
        miner: key.account(),
        sequence: 1,
        receipt: run,
        outcome: Outcome::Differs { what: "output".into(), claimed: run, computed: Digest::ZERO },
    };
    vec![
        Request::Config,
        Request::Join(Signed::new(Join { run, role: Role::Miner, address: vec![1, 2, 3], at_ms: 9 }, &key)),
        Request::Ledger { from: 7, wait_ms: 1000 },
        Request::Submit(vec![
            Submission::Receipt(Signed::new(receipt(), &key)),
            Submission::Ready(Signed::new(Ready { run, epoch: 1, weights: run, momentum: run }, &key)),
            Submission::Complaint(Signed::new(
                Complaint { run, sample: 1, attempt: 0, about: key.account(), reason: "no blob".into() },
                &key,
            )),
            Submission::Report(Signed::new(Report { run, epoch: 1, verdicts: vec![verdict], complete: true }, &key)),
        ]),
    ]
}

fn page() -> Response {
    let entries = vec![
        Entry { at_ms: 1, event: Event::Gone { account: key(2).account() } },
        Entry { at_ms: 2, event: Event::Round { round: 0, pathways: vec![vec![1, 2], vec![3, 4]] } },
    ];
    let head = entries.iter().fold(Head::empty(Digest::of(b"run")), |h, e| h.then(e));
    Response::Page(Page { from: 0, entries, head: Signed::new(head, &key(3)) })
}

#[test]
fn every_message_survives_the_round_trip() {
    for request in requests() {
        assert_eq!(wire::decode::<Request>(&request.encode(), "request"), Ok(request));
    }
    for response in [
        Response::Config("x = 1".into()),
        Response::Accepted,
        Response::Refused(Refused::new(Code::Full, "no")),
        page(),
    ] {
        assert_eq!(wire::decode::<Response>(&response.encode(), "response"), Ok(response));
    }
}

#[test]
fn what_is_cut_short_or_has_more_behind_it_is_refused_with_its_length() {
    for bytes in requests().iter().map(Encode::encode) {
        let mut longer = bytes.clone();
        longer.push(0);
        let error = wire::decode::<Request>(&longer, "request").unwrap_err();
        assert!(error.to_string().starts_with(&format!("{} bytes", longer.len())));
        for cut in 0..bytes.len() {
            assert!(wire::decode::<Request>(&bytes[..cut], "request").is_err());
        }
    }
}

/// A length prefix of a billion must not make anybody reserve a billion of anything.
#[test]
fn a_length_that_lies_is_refused_and_costs_nothing() {
    for tag in 0..8u8 {
        let mut bytes = vec![tag];
        Compact(u32::MAX >> 2).encode_to(&mut bytes);
        bytes.extend_from_slice(&[0; 64]);
        assert!(wire::decode::<Request>(&bytes, "request").is_err());
        assert!(wire::decode::<Response>(&bytes, "response").is_err());
    }
}

#[test]
fn the_largest_report_fits_a_request() {
    let verdict =
        Verdict { miner: key(1).account(), sequence: u64::MAX, receipt: Digest::ZERO, outcome: Outcome::Passed };
    let verdicts = vec![verdict; starling_protocol::message::MAX_VERDICTS];
    let report = Report { run: Digest::ZERO, epoch: 0, verdicts, complete: true };
    let request = Request::Submit(vec![Submission::Report(Signed::new(report, &key(1)))]);
    assert!(request.encoded_size() <= wire::MAX_REQUEST);
}

#[test]
fn a_signature_is_for_one_body_of_one_kind_by_one_account() {
    let key1 = key(1);
    let signed = Signed::new(receipt(), &key1);
    assert_eq!(signed.verify(), Ok(()));
    let mut other = signed.clone();
    other.body.epoch += 1;
    assert!(other.verify().is_err());
    let mut other = signed.clone();
    other.signer = key(2).account();
    assert!(other.verify().is_err());
    // The bytes of a head, signed as a head, shown as an anchor-like message of the same bytes: the domain differs.
    let head = Head { run: Digest::of(b"run"), length: 1, link: Digest::ZERO };
    let as_bytes = key1.sign(&head.encode());
    assert!(Signed { body: head, signer: key1.account(), signature: as_bytes }.verify().is_err());
}

#[test]
fn the_chain_of_entries_changes_with_every_entry_and_every_run() {
    let entry = Entry { at_ms: 1, event: Event::Gone { account: key(2).account() } };
    let later = Entry { at_ms: 2, ..entry.clone() };
    let head = Head::empty(Digest::of(b"run"));
    assert_ne!(head.then(&entry).link, head.then(&later).link);
    assert_ne!(head.then(&entry).link, Head::empty(Digest::of(b"other")).then(&entry).link);
    assert_ne!(head.then(&entry).then(&later).link, head.then(&later).then(&entry).link);
    assert_eq!(head.then(&entry).length, 1);
}

#[test]
fn the_link_of_a_receipt_names_its_miner() {
    assert_ne!(receipt().link(&key(1).account()), receipt().link(&key(2).account()));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = wire::decode::<Request>(&bytes, "request");
        let _ = wire::decode::<Response>(&bytes, "response");
        let _ = wire::decode::<Entry>(&bytes, "entry");
        let _ = wire::decode::<Submission>(&bytes, "submission");
    }

    #[test]
    fn a_damaged_message_never_panics_and_its_signature_never_holds(which in 0usize..4, at in 0usize..2000, flip in 1u8..=255) {
        let mut bytes = requests()[which].encode();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(Request::Join(join)) = wire::decode::<Request>(&bytes, "request") {
            prop_assert!(join.verify().is_err());
        }
    }
}
