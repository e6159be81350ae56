//! The runtime's shapes against the public chain's: every call, event, error, storage item, runtime API function and API struct that
//! this chain has is the public one, or stands in a list below with its reason.
//!
//! `public-381.txt` was written from the metadata of spec 381 (June 2026), the newest there is (chain.md 12). What came later is known
//! from the reference only and is in the lists too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod render;

use std::collections::{BTreeMap, BTreeSet};

use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed, v16::RuntimeMetadataV16};
use parity_scale_codec::Decode;
use render::{Names, StorageLine};

const PALLETS: [&str; 4] = ["SubtensorModule", "Commitments", "AdminUtils", "Drand"];

/// Storage whose default is the production chain's where the snapshot was made from a fast one.
const FAST_DEFAULTS: [&str; 4] = ["Tempo", "NetworkRateLimit", "PendingChildKeyCooldown", "TxChildkeyTakeRateLimit"];
/// Storage that is newer than the snapshot (chain.md 3), and this chain's own `NewSubnetParams`.
const NEWER_STORAGE: [&str; 14] = [
    "CollateralDrainRatio",
    "SubnetEmissionEnabled",
    "HotkeySwapOnSubnetInterval",
    "LastPowRegistrationBlock",
    "LastEpochBlock",
    "PendingEpochAt",
    "SubnetEpochIndex",
    "MaxEpochsPerBlock",
    "ActivityCutoffFactorMilli",
    "BurnHalfLife",
    "BurnIncreaseMult",
    "SubnetEpochConsensus",
    "CollateralLockShare",
    "NewSubnetParams",
];
/// Storage whose other differences are meant.
const OTHER_STORAGE: [(&str, &str); 3] = [
    ("RootClaimType", "Keep by default: nothing else ever happens to root dividends here"),
    ("NetworkPowRegistrationAllowed", "off by default, as newer runtimes have it: owners switch it on"),
    ("LastRateLimitedBlock", "the key's type has fewer variants"),
];
/// Calls that are newer than the snapshot (chain.md 1).
const NEWER_CALLS: [&str; 9] = [
    "swap_hotkey_v2",
    "pow_register",
    "set_activity_cutoff_factor",
    "trigger_epoch",
    "register_limit",
    "set_tempo",
    "sudo_set_activity_cutoff_factor",
    "sudo_set_burn_half_life",
    "sudo_set_burn_increase_mult",
];
/// Events that are newer than the snapshot, or changed since (chain.md 1.3, 1.5).
const NEWER_EVENTS: [&str; 7] = [
    "EpochTriggered",
    "ActivityCutoffFactorMilliSet",
    "BurnHalfLifeSet",
    "BurnIncreaseMultSet",
    "EpochDeferred",
    "EpochSkipped",
    "BatchWeightItemFailed",
];
const NEWER_ERRORS: [&str; 24] = [
    "StakeUnavailable",
    "InsufficientTaoBalance",
    "InvalidRevealRound",
    "EvmKeyAssociationLimitExceeded",
    "SubnetBuybackRateLimitExceeded",
    "NetworkDissolveAlreadyQueued",
    "ColdkeySwapAnnounced",
    "ColdkeySwapDisputed",
    "ColdkeySwapClearTooEarly",
    "DisabledTemporarily",
    "LockHotkeyMismatch",
    "InsufficientStakeForLock",
    "NoExistingLock",
    "ActiveLockExists",
    "CannotUseSystemAccount",
    "UnlockAmountTooHigh",
    "WaitingForDissolvedSubnetCleanup",
    "NewHotKeyNotCleanForRootSwap",
    "RegistrationPriceLimitExceeded",
    "TempoOutOfBounds",
    "ActivityCutoffFactorMilliOutOfBounds",
    "EpochTriggerAlreadyPending",
    "AutoEpochAlreadyImminent",
    "DynamicTempoBlockedByCommitReveal",
];
/// Runtime API functions that are newer than the snapshot (chain.md 2).
const NEWER_APIS: [&str; 4] = [
    "get_subnet_hyperparams_v3",
    "get_subnet_account_id",
    "get_next_epoch_start_block",
    "get_stake_availability_for_coldkeys",
];

fn metadata() -> RuntimeMetadataV16 {
    let opaque = starling_runtime::Runtime::metadata_at_version(16).unwrap();
    match RuntimeMetadataPrefixed::decode(&mut &opaque[..]).unwrap().1 {
        RuntimeMetadata::V16(metadata) => metadata,
        other => panic!("version {}", other.version()),
    }
}

/// Lines of one kind, split at `|`, the kind itself cut off.
fn public(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = include_str!("public-381.txt").lines();
    let parts = lines.map(|line| line.split('|').collect::<Vec<_>>());
    parts.filter(|parts| parts[0] == kind).map(|parts| parts[1..].to_vec()).collect()
}

/// Compares what we have, by pallet and name, with what is public; what is missing there must be in `newer`, and nothing in `newer`
/// may be there.
fn compare(kind: &str, ours: &BTreeMap<(String, String), Vec<String>>, newer: &[&str], skip: &[&str]) {
    let theirs: BTreeMap<(&str, &str), Vec<&str>> =
        public(kind).into_iter().map(|parts| ((parts[0], parts[1]), parts[2..].to_vec())).collect();
    assert!(ours.len() > 3 && theirs.len() > 3, "something was read");
    for ((pallet, name), mine) in ours {
        if skip.contains(&name.as_str()) {
            continue;
        }
        match theirs.get(&(pallet.as_str(), name.as_str())) {
            Some(public) => assert_eq!(mine, public, "{kind} {pallet}.{name}: ours, then public"),
            None => assert!(newer.contains(&name.as_str()), "{kind} {pallet}.{name} is not public"),
        }
    }
    let names: BTreeSet<&str> = ours.keys().map(|(_, name)| name.as_str()).collect();
    for name in newer {
        assert!(names.contains(name), "{kind} {name} is excused but not there");
    }
}

fn key(pallet: &str, name: &str) -> (String, String) {
    (pallet.to_owned(), name.to_owned())
}

#[test]
fn calls_have_the_public_indices_names_arguments_and_types() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let mut ours = BTreeMap::new();
    for pallet in metadata.pallets.iter().filter(|pallet| PALLETS.contains(&pallet.name.as_str())) {
        let Some(calls) = &pallet.calls else { continue };
        for variant in names.variants(calls.ty.id) {
            let index = variant.index.to_string();
            ours.insert(key(&pallet.name, &variant.name), vec![index, names.fields(&variant.fields)]);
        }
    }
    compare("call", &ours, &NEWER_CALLS, &[]);
    let index = |name| ours[&key("SubtensorModule", name)][0].clone();
    assert_eq!((index("register_limit"), index("set_tempo")), ("134".into(), "139".into()), "chain.md 1");
}

#[test]
fn events_have_the_public_names_and_fields() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let mut ours = BTreeMap::new();
    for pallet in metadata.pallets.iter().filter(|pallet| PALLETS.contains(&pallet.name.as_str())) {
        let Some(events) = &pallet.event else { continue };
        for variant in names.variants(events.ty.id) {
            ours.insert(key(&pallet.name, &variant.name), vec![names.fields(&variant.fields)]);
        }
    }
    // Indices of events are not promised: clients go by name, and the chain itself shifts them.
    let theirs: BTreeMap<(&str, &str), &str> =
        public("event").into_iter().map(|parts| ((parts[0], parts[1]), parts[3])).collect();
    for ((pallet, name), mine) in &ours {
        if NEWER_EVENTS.contains(&name.as_str()) {
            continue;
        }
        let public = theirs.get(&(pallet.as_str(), name.as_str()));
        assert_eq!(public, Some(&mine[0].as_str()), "event {pallet}.{name}");
    }
}

#[test]
fn errors_have_public_names_and_the_stable_indices() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let mut by_name = BTreeMap::new();
    for pallet in metadata.pallets.iter().filter(|pallet| PALLETS.contains(&pallet.name.as_str())) {
        let Some(errors) = &pallet.error else { continue };
        for variant in names.variants(errors.ty.id) {
            by_name.insert(key(&pallet.name, &variant.name), u32::from(variant.index));
        }
    }
    let theirs: BTreeMap<(String, String), u32> =
        public("error").into_iter().map(|parts| (key(parts[0], parts[1]), parts[2].parse().unwrap())).collect();
    for ((pallet, name), index) in &by_name {
        if NEWER_ERRORS.contains(&name.as_str()) {
            continue;
        }
        let public = *theirs.get(&key(pallet, name)).unwrap_or_else(|| panic!("error {pallet}.{name} is not public"));
        // Since the snapshot one error came in after index 22, and from 96 on the chain keeps shifting (chain.md 1.4).
        let expected = if pallet == "SubtensorModule" && public > 22 { public + 1 } else { public };
        if expected < 96 {
            assert_eq!(*index, expected, "error {pallet}.{name}");
        }
    }
    // Clients that look names up by position see no gaps.
    for pallet in PALLETS {
        let mut indices: Vec<u32> = by_name.iter().filter(|((p, _), _)| p == pallet).map(|(_, i)| *i).collect();
        indices.sort_unstable();
        assert!(indices.iter().zip(0..).all(|(index, position)| *index == position), "errors of {pallet}: {indices:?}");
    }
    // The list of chain.md 1.4, literally.
    for (name, index) in [
        ("HotKeyNotRegisteredInSubNet", 4),
        ("NonAssociatedColdKey", 7),
        ("NotEnoughStakeToSetWeights", 10),
        ("NotEnoughBalanceToStake", 12),
        ("NeuronNoValidatorPermit", 15),
        ("HotKeyAlreadyRegisteredInSubNet", 21),
        ("SettingWeightsTooFast", 29),
        ("ServingRateLimitExceeded", 31),
        ("SubNetRegistrationDisabled", 37),
        ("NoNeuronIdAvailable", 48),
        ("NoWeightsCommitFound", 51),
        ("InvalidRevealCommitHashNotMatch", 52),
        ("CommitRevealEnabled", 53),
        ("MechanismDoesNotExist", 74),
        ("SubnetNotExists", 76),
        ("ExpiredWeightCommit", 78),
        ("RevealTooEarly", 79),
        ("CommittingWeightsTooFast", 81),
    ] {
        assert_eq!(by_name[&key("SubtensorModule", name)], index, "{name}");
    }
}

#[test]
fn storage_has_the_public_names_hashers_keys_values_and_defaults() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let mut shapes = BTreeMap::new();
    let mut defaults = BTreeMap::new();
    for pallet in metadata.pallets.iter().filter(|pallet| PALLETS.contains(&pallet.name.as_str())) {
        let Some(storage) = &pallet.storage else { continue };
        assert_eq!(storage.prefix, pallet.name);
        for entry in &storage.entries {
            let StorageLine { modifier, shape, default } = names.storage(entry);
            shapes.insert(key(&pallet.name, &entry.name), vec![modifier, shape]);
            defaults.insert(key(&pallet.name, &entry.name), default);
        }
    }
    let theirs: BTreeMap<(String, String), Vec<&str>> =
        public("storage").into_iter().map(|parts| (key(parts[0], parts[1]), parts[2..].to_vec())).collect();
    for (item, shape) in &shapes {
        let Some(public) = theirs.get(item) else {
            assert!(NEWER_STORAGE.contains(&item.1.as_str()), "{item:?} is not public");
            continue;
        };
        assert_eq!(shape[..], public[..2], "{item:?}");
        let meant = OTHER_STORAGE.iter().any(|(name, _)| *name == item.1) || FAST_DEFAULTS.contains(&item.1.as_str());
        if !meant {
            assert_eq!(defaults[item], public[2], "default of {item:?}");
        }
    }
    // chain.md 3 on what the snapshot is too old or too fast for.
    let default = |name| defaults[&key("SubtensorModule", name)].clone();
    assert_eq!(default("Tempo"), "6801", "360");
    assert_eq!(default("NetworkRateLimit"), "201c000000000000", "7200");
    assert_eq!(default("MaxEpochsPerBlock"), "02");
    assert_eq!(default("ActivityCutoffFactorMilli"), "41360000", "13889");
    assert_eq!(default("BurnHalfLife"), "6801", "360");
}

#[test]
fn runtime_apis_have_the_public_names_arguments_and_results() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let traits: BTreeSet<&str> = public("api").iter().map(|parts| parts[0]).collect();
    let mut ours = BTreeMap::new();
    for api in metadata.apis.iter().filter(|api| traits.contains(api.name.as_str())) {
        for method in &api.methods {
            let inputs: Vec<String> =
                method.inputs.iter().map(|input| format!("{}: {}", input.name, names.name(input.ty.id))).collect();
            ours.insert(key(&api.name, &method.name), vec![inputs.join(", "), names.name(method.output.id)]);
        }
    }
    compare("api", &ours, &NEWER_APIS, &[]);
    let version = |name: &str| metadata.apis.iter().find(|api| api.name == name).unwrap().version.0;
    assert_eq!(version("SubnetInfoRuntimeApi"), 2);
}

#[test]
fn structs_of_the_apis_are_the_public_ones_field_by_field() {
    let metadata = metadata();
    let names = Names(&metadata.types);
    let mut ours = BTreeMap::new();
    for ty in &metadata.types.types {
        if let Some((name, line)) = names.definition(ty.id) {
            ours.insert(name, line);
        }
    }
    let theirs = public("type");
    assert!(theirs.len() > 20);
    for parts in theirs {
        let (name, mut public) = (parts[0], parts[1].to_owned());
        // chain.md 2: the cutoff has been 64 bits wide since June 2026.
        if name.contains("Metagraph") || name.contains("Hyperparams") {
            public = public.replace("activity_cutoff: Compact<u16>", "activity_cutoff: Compact<u64>");
            public = public.replace("activity_cutoff: Option<Compact<u16>>", "activity_cutoff: Option<Compact<u64>>");
        }
        assert_eq!(ours.get(name), Some(&public), "{name}");
    }
}

#[test]
fn transaction_extensions_come_in_the_public_order() {
    let metadata = metadata();
    let ours: Vec<&str> =
        metadata.extrinsic.transaction_extensions.iter().map(|extension| extension.identifier.as_str()).collect();
    // chain.md 8.1 without SudoTransactionExtension, CheckShieldedTxValidity and DrandPriority, which would do nothing here.
    assert_eq!(
        ours,
        [
            "CheckNonZeroSender",
            "CheckSpecVersion",
            "CheckTxVersion",
            "CheckGenesis",
            "CheckMortality",
            "CheckNonce",
            "CheckWeight",
            "ChargeTransactionPayment",
            "SubtensorTransactionExtension",
            "CheckMetadataHash"
        ]
    );
    let index = |name: &str| metadata.pallets.iter().find(|pallet| pallet.name == name).map(|pallet| pallet.index);
    for (name, expected) in [
        ("System", 0),
        ("Timestamp", 2),
        ("Aura", 3),
        ("Balances", 5),
        ("TransactionPayment", 6),
        ("SubtensorModule", 7),
        ("Utility", 11),
        ("Sudo", 12),
        ("Commitments", 18),
        ("AdminUtils", 19),
        ("Drand", 26),
    ] {
        assert_eq!(index(name), Some(expected), "{name}");
    }
}
