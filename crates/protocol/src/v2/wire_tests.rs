//! Whatever bytes come, decoding answers and does not panic; what was encoded decodes to itself; sizes are those of `docs/protocol-2.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use parity_scale_codec::{Decode, DecodeAll, Encode};
use proptest::prelude::*;
use starling_keys::{Signature, Signer};

use super::{
    config::RunConfig,
    ledger::{Entry, Page},
    message::{Assurance, Finding, Ready, Shards},
    push::{Header, Note},
    receipt::Receipt,
    signed::Signed,
    sim::{orchestrator, plan},
    snapshot::Snapshot,
    state::Submission,
    tally::{Close, Counts, Tally},
};
use crate::Digest;

fn tally(close: bool) -> Signed<Tally> {
    let counts = Counts {
        turns: 1 << 20,
        forwards: 1 << 20,
        backwards: 1 << 20,
        steps: 1 << 17,
        dropped: 900,
        detours: 900,
        busy_ms: 1 << 29,
    };
    let close =
        close.then_some(Close { epoch: 300, contribution: Digest::ZERO, samples: 1 << 17, flows: Digest::ZERO });
    let body = Tally { number: 10_000, leaves: 1 << 22, root: Digest::ZERO, counts, close };
    Signed { by: 9, signature: Signature([0; 64]), body }
}

#[test]
fn a_tally_after_a_week_is_as_small_as_the_budget_of_the_ledger_needs() {
    assert!(tally(false).encoded_size() <= 130, "{}", tally(false).encoded_size());
    assert!(tally(true).encoded_size() <= 202, "{}", tally(true).encoded_size());
    assert_eq!(Signed::<Tally>::decode_all(&mut &tally(true).encode()[..]).unwrap(), tally(true));
}

#[test]
fn a_configuration_survives_its_text_and_a_misspelt_key_is_refused() {
    let config = plan::config(3, 2_000, orchestrator().account());
    config.validate().unwrap();
    let text = config.to_toml().unwrap();
    let again = RunConfig::from_toml(&text).unwrap();
    assert_eq!(again, config);
    assert_eq!(again.id(), config.id());
    assert!(RunConfig::from_toml(&text.replace("detour_ms", "detuor_ms")).is_err());
    let mut other = config.clone();
    other.lanes.max_stale = 1;
    assert_ne!(other.id(), config.id());
    other.epoch.silence_ms = other.tally.interval_ms;
    assert!(other.validate().unwrap_err().to_string().contains("epoch.silence_ms"));
}

#[test]
fn the_learning_rate_follows_the_place_of_the_step_and_not_a_private_count() {
    let config = plan::config(3, 2_000, orchestrator().account());
    let whole = u64::from(config.lanes.steps_per_epoch);
    assert_eq!(config.schedule_step(0, 0), 0);
    assert_eq!(config.schedule_step(7, 0), 7 * whole, "a newcomer in epoch 7 does not warm up");
    assert_eq!(config.schedule_step(7, u32::MAX), 8 * whole, "a fast lane does not run ahead");
}

proptest! {
    #[test]
    fn hostile_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Signed::<Receipt>::decode(&mut &bytes[..]);
        let _ = Signed::<Tally>::decode(&mut &bytes[..]);
        let _ = Signed::<Shards>::decode(&mut &bytes[..]);
        let _ = Signed::<Finding>::decode(&mut &bytes[..]);
        let _ = Signed::<Assurance>::decode(&mut &bytes[..]);
        let _ = Signed::<Ready>::decode(&mut &bytes[..]);
        let _ = Header::decode(&mut &bytes[..]);
        let _ = Note::decode(&mut &bytes[..]);
        let _ = Entry::decode(&mut &bytes[..]);
        let _ = Page::decode(&mut &bytes[..]);
        let _ = Snapshot::decode(&mut &bytes[..]);
        let _ = Submission::decode(&mut &bytes[..]);
    }
}
