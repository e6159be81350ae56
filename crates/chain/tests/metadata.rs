//! Every name this client uses, against the metadata of six public runtimes (spec 240 to 381): it resolves and its arguments
//! encode, or it is reported as absent in exactly the versions listed here (left out where `../shared/metadata` is not there); and
//! against the presentations of the local chain, kept in `metadata/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use starling_chain::{ChainError, runtime::Runtime, value::Value};
use starling_keys::Account;
use subxt::Metadata;

const SUBTENSOR: &str = "SubtensorModule";
const FILES: [(&str, u32); 6] = [
    ("devnet-240.v15.scale", 240),
    ("finney-343.v14.scale", 343),
    ("finney-343.v15.scale", 343),
    ("devnet-346.v16.scale", 346),
    ("finney-365.v16.scale", 365),
    ("devnet-381.v16.scale", 381),
];

/// Written by `STARLING_WRITE_METADATA=1 cargo test -p starling-localnet snapshot`.
const LOCAL: [(&str, u32); 4] = [
    ("localnet-240.v15.scale", 240),
    ("localnet-365.v15.scale", 365),
    ("localnet-425.v15.scale", 425),
    ("localnet-466.v15.scale", 466),
];

fn is_local(file: &str) -> bool {
    file.starts_with("localnet-")
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/metadata")
}

/// The bytes of each file with its name and spec version.
fn snapshots() -> Vec<(&'static str, u32, Vec<u8>)> {
    let mut found = Vec::new();
    if folder().is_dir() {
        found.extend(FILES.iter().map(|(name, spec)| (*name, *spec, fs::read(folder().join(name)).unwrap())));
    } else {
        println!("left out: {} is not there", folder().display());
    }
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../metadata");
    found.extend(LOCAL.iter().map(|(name, spec)| (*name, *spec, fs::read(own.join(name)).unwrap())));
    found
}

fn runtime(bytes: &[u8], spec: u32) -> Runtime {
    Runtime::new(bytes, spec, 1, [7; 32]).unwrap()
}

/// `Some(name)` if absent; any error but that fails.
fn absent<T>(result: Result<T, ChainError>, name: &str) -> Option<String> {
    match result {
        Ok(_) => None,
        Err(ChainError::Absent { .. }) => Some(name.to_owned()),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Pallet, call, arguments.
type Call = (&'static str, &'static str, Vec<(&'static str, Value)>);

fn calls() -> Vec<Call> {
    let account = Account([1; 32]);
    let netuid = || ("netuid", Value::from(9_u16));
    let hotkey = || ("hotkey", Value::from(&account));
    let list = || Value::from([1_u16, 2].as_slice());
    let one = || Value::from([5_u16].as_slice());
    let raw = |length: usize| {
        let field = Value::variant(&format!("Raw{length}"), Value::Bytes(vec![3; length]));
        Value::record([("fields", Value::List(vec![field]))])
    };
    let tempo = Value::record([netuid(), ("tempo", 10_u16.into())]);
    let sudo = Value::variant("AdminUtils", Value::variant("sudo_set_tempo", tempo));
    let axon = [("ip", 1_u128.into()), ("port", 8091_u16.into()), ("version", 1_u32.into()), ("ip_type", 4_u8.into())];
    let rest = [("protocol", 4_u8.into()), ("placeholder1", 0_u8.into()), ("placeholder2", 0_u8.into())];
    vec![
        (SUBTENSOR, "register_network", vec![hotkey()]),
        (SUBTENSOR, "start_call", vec![netuid()]),
        (SUBTENSOR, "burned_register", vec![netuid(), hotkey()]),
        (SUBTENSOR, "add_stake", vec![hotkey(), netuid(), ("amount_staked", 1_u64.into())]),
        (SUBTENSOR, "serve_axon", [vec![netuid()], axon.to_vec(), rest.to_vec()].concat()),
        (
            SUBTENSOR,
            "set_weights",
            vec![netuid(), ("dests", list()), ("weights", list()), ("version_key", 0_u64.into())],
        ),
        (SUBTENSOR, "commit_weights", vec![netuid(), ("commit_hash", [2; 32].into())]),
        (
            SUBTENSOR,
            "reveal_weights",
            vec![netuid(), ("uids", one()), ("values", one()), ("salt", one()), ("version_key", 0_u64.into())],
        ),
        ("Commitments", "set_commitment", vec![netuid(), ("info", raw(1))]),
        ("Commitments", "set_commitment", vec![netuid(), ("info", raw(128))]),
        (
            "Balances",
            "transfer_keep_alive",
            vec![("dest", Value::variant("Id", (&account).into())), ("value", 1_u64.into())],
        ),
        ("Sudo", "sudo", vec![("call", sudo)]),
        ("AdminUtils", "sudo_set_tempo", vec![netuid(), ("tempo", 10_u16.into())]),
    ]
}

#[test]
fn every_call_encodes_or_is_reported_absent() {
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let missing: Vec<_> =
            calls().iter().filter_map(|(pallet, call, args)| absent(runtime.call(pallet, call, args), call)).collect();
        let expected: &[&str] = if spec == 240 && !is_local(file) { &["start_call"] } else { &[] };
        assert_eq!(missing, expected, "{file}");
    }
}

#[test]
fn a_signed_transaction_can_be_built_for_every_runtime() {
    use subxt::config::{DefaultExtrinsicParamsBuilder, substrate::H256};
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let args = [("netuid", Value::from(9_u16)), ("commit_hash", Value::from([2; 32]))];
        let payload =
            subxt::tx::dynamic(SUBTENSOR, "commit_weights", runtime.call(SUBTENSOR, "commit_weights", &args).unwrap());
        let params = DefaultExtrinsicParamsBuilder::<subxt::SubstrateConfig>::new()
            .nonce(3)
            .mortal_from_unchecked(128, 1000, H256([5; 32]))
            .build();
        let mut signable = runtime.transactions().transactions().create_signable_offline(&payload, params).unwrap();
        let payload = signable.signer_payload().unwrap();
        let signature = subxt::utils::MultiSignature::Sr25519([4; 64]);
        let signed = signable.sign_with_account_and_signature(&subxt::utils::AccountId32([1; 32]), &signature).unwrap();
        // chain.md 8.1: the call, era, compact nonce, compact tip, metadata-hash mode; then spec, transaction version, genesis, birth hash
        // and no metadata hash. Everything else in the list of extensions is empty.
        let call = [&payload[..2], &9_u16.to_le_bytes(), &[2; 32]].concat();
        let era = 6 | ((1000_u16 % 128) << 4);
        let signed_extra = [era.to_le_bytes().as_slice(), &[3 << 2, 0, 0]].concat();
        let implicit = [spec.to_le_bytes().as_slice(), &1_u32.to_le_bytes(), &[7; 32], &[5; 32], &[0]].concat();
        assert_eq!(payload, [call.as_slice(), &signed_extra, &implicit].concat(), "{file}");
        let body = [&[0x84, 0][..], &[1; 32], &[1], &[4; 64], &signed_extra, &call].concat();
        assert!(signed.encoded().ends_with(&body), "{file}");
    }
}

#[test]
fn every_storage_entry_resolves_or_is_reported_absent() {
    let (netuid, uid, account) = (Value::from(9_u16), Value::from(3_u16), Value::from(&Account([1; 32])));
    let subtensor: Vec<(&str, Vec<&Value>)> = vec![
        ("Uids", vec![&netuid, &account]),
        ("Burn", vec![&netuid]),
        ("Weights", vec![&netuid, &uid]),
        ("WeightCommits", vec![&netuid, &account]),
        ("SubnetEpochIndex", vec![&netuid]),
        ("LastEpochBlock", vec![&netuid]),
        ("PendingEpochAt", vec![&netuid]),
        ("Tempo", vec![&netuid]),
        ("BlocksSinceLastStep", vec![&netuid]),
        ("RevealPeriodEpochs", vec![&netuid]),
        ("ValidatorTrust", vec![&netuid]),
        ("SubnetOwner", vec![&netuid]),
        ("FirstEmissionBlockNumber", vec![&netuid]),
        ("TotalHotkeyAlpha", vec![&account, &netuid]),
        ("Axons", vec![&netuid, &account]),
        ("StakeThreshold", vec![]),
        ("WeightsVersionKey", vec![&netuid]),
        ("MinAllowedWeights", vec![&netuid]),
        ("SubnetworkN", vec![&netuid]),
        ("ServingRateLimit", vec![&netuid]),
        ("WeightsSetRateLimit", vec![&netuid]),
        ("LastUpdate", vec![&netuid]),
    ];
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let mut missing: Vec<String> = Vec::new();
        for (entry, keys) in &subtensor {
            let keys: Vec<Value> = keys.iter().map(|key| (*key).clone()).collect();
            missing.extend(absent(runtime.storage(SUBTENSOR, entry, &keys), entry));
        }
        for (pallet, entry, keys) in [
            ("System", "Account", vec![account.clone()]),
            ("System", "Events", vec![]),
            ("Sudo", "Key", vec![]),
            ("Commitments", "CommitmentOf", vec![netuid.clone(), account.clone()]),
        ] {
            missing.extend(absent(runtime.storage(pallet, entry, &keys), entry));
        }
        // The epoch clock came with dynamic tempo in June 2026; before that, epochs were on a grid.
        let mut expected = vec!["SubnetEpochIndex", "LastEpochBlock", "PendingEpochAt"];
        if spec == 240 {
            expected.push("FirstEmissionBlockNumber");
        }
        if is_local(file) {
            expected.clear();
        }
        assert_eq!(missing, expected, "{file}");
    }
}

#[test]
fn storage_keys_are_those_of_the_hashers_in_the_reference() {
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let account = Account([1; 32]);
        let prefix = |entry: &str| {
            [sp_crypto_hashing::twox_128(SUBTENSOR.as_bytes()), sp_crypto_hashing::twox_128(entry.as_bytes())].concat()
        };
        // chain.md 3: Uids is (Identity, Blake2_128Concat), WeightCommits (Twox64Concat, Twox64Concat).
        let uids = runtime.storage(SUBTENSOR, "Uids", &[9_u16.into(), (&account).into()]).unwrap();
        let blake = sp_crypto_hashing::blake2_128(&account.0);
        assert_eq!(uids.key, [&prefix("Uids")[..], &[9, 0], &blake, &account.0].concat(), "{file}");
        let commits = runtime.storage(SUBTENSOR, "WeightCommits", &[9_u16.into(), (&account).into()]).unwrap();
        let (first, second) = (sp_crypto_hashing::twox_64(&[9, 0]), sp_crypto_hashing::twox_64(&account.0));
        let expected = [&prefix("WeightCommits")[..], &first, &[9, 0], &second, &account.0].concat();
        assert_eq!(commits.key, expected, "{file}");
    }
}

#[test]
fn runtime_apis_resolve_or_are_reported_absent() {
    let info = "SubnetInfoRuntimeApi";
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let netuid = [Value::from(9_u16)];
        let missing: Vec<_> = [
            absent(runtime.api(info, "get_metagraph", &netuid), "get_metagraph"),
            absent(runtime.api(info, "get_subnet_hyperparams", &netuid), "get_subnet_hyperparams"),
            absent(runtime.api(info, "get_subnet_hyperparams_v2", &netuid), "get_subnet_hyperparams_v2"),
            absent(runtime.api(info, "get_subnet_hyperparams_v3", &netuid), "get_subnet_hyperparams_v3"),
            absent(runtime.api(info, "get_subnets_info_v2", &[]), "get_subnets_info_v2"),
            absent(runtime.api("SubnetRegistrationRuntimeApi", "get_network_registration_cost", &[]), "lock cost"),
        ]
        .into_iter()
        .flatten()
        .collect();
        println!("{file}: absent {missing:?}");
        match (file, spec) {
            // Metadata V14 describes no runtime APIs.
            ("finney-343.v14.scale", _) => assert_eq!(missing.len(), 6),
            (_, 425..) => assert!(missing.is_empty(), "{file}: {missing:?}"),
            (_, 240) => assert_eq!(missing, ["get_subnet_hyperparams_v2", "get_subnet_hyperparams_v3"]),
            _ => assert_eq!(missing, ["get_subnet_hyperparams_v3"], "{file}"),
        }
    }
}

#[test]
fn the_events_waited_for_exist() {
    for (file, spec, bytes) in snapshots() {
        let metadata = Metadata::decode_from(&bytes).unwrap();
        let has = |pallet: &str, event: &str| {
            let pallet = metadata.pallet_by_name(pallet).unwrap();
            pallet.event_variants().unwrap().iter().any(|variant| variant.name == event)
        };
        let mut missing = Vec::new();
        for (pallet, event) in [
            (SUBTENSOR, "NetworkAdded"),
            (SUBTENSOR, "NeuronRegistered"),
            (SUBTENSOR, "FirstEmissionBlockNumberSet"),
            (SUBTENSOR, "StakeAdded"),
            (SUBTENSOR, "AxonServed"),
            (SUBTENSOR, "WeightsSet"),
            (SUBTENSOR, "WeightsCommitted"),
            (SUBTENSOR, "WeightsRevealed"),
            ("Commitments", "Commitment"),
            ("Balances", "Transfer"),
            ("Sudo", "Sudid"),
            ("System", "ExtrinsicSuccess"),
            ("System", "ExtrinsicFailed"),
            ("TransactionPayment", "TransactionFeePaid"),
        ] {
            if !has(pallet, event) {
                missing.push(event);
            }
        }
        let expected: &[&str] = if spec == 240 && !is_local(file) { &["FirstEmissionBlockNumberSet"] } else { &[] };
        assert_eq!(missing, expected, "{file}");
    }
}

#[test]
fn errors_are_found_by_the_indices_of_their_own_runtime() {
    let mut at_four = Vec::new();
    for (file, spec, bytes) in snapshots() {
        let runtime = runtime(&bytes, spec);
        let metadata = Metadata::decode_from(&bytes).unwrap();
        let pallet = metadata.pallet_by_name(SUBTENSOR).unwrap();
        for name in
            ["HotKeyNotRegisteredInSubNet", "NotEnoughStakeToSetWeights", "RevealTooEarly", "NeuronNoValidatorPermit"]
        {
            let index = pallet.error_variants().unwrap().iter().find(|variant| variant.name == name).unwrap().index;
            let found = runtime.module_error(pallet.error_index(), index).unwrap();
            assert_eq!((found.pallet.as_str(), found.name.as_str()), (SUBTENSOR, name), "{file}");
        }
        at_four.push(runtime.module_error(pallet.error_index(), 4).unwrap().name);
        assert_eq!(runtime.module_error(pallet.error_index(), 255), None);
        assert_eq!(runtime.module_error(255, 0), None);
    }
    // Why names: one number, two meanings, within a year of the same chain.
    if let ([first, .., last], true) = (at_four.as_slice(), folder().is_dir()) {
        assert_eq!((first.as_str(), last.as_str()), ("InvalidPort", "HotKeyNotRegisteredInSubNet"));
    }
}

#[test]
fn an_unknown_name_or_argument_is_named_with_the_spec_version() {
    let Some((_, spec, bytes)) = snapshots().pop() else { return };
    let runtime = runtime(&bytes, spec);
    let error = runtime.call(SUBTENSOR, "no_such_call", &[]).unwrap_err();
    assert!(
        error.to_string().contains("SubtensorModule.no_such_call") && error.to_string().contains(&spec.to_string()),
        "{error}"
    );
    let error = runtime.call(SUBTENSOR, "start_call", &[]).unwrap_err();
    assert!(error.to_string().contains("wants an argument `netuid`"), "{error}");
    let args = [("netuid", Value::from(1_u16)), ("colour", Value::Bool(true))];
    let error = runtime.call(SUBTENSOR, "start_call", &args).unwrap_err();
    assert!(error.to_string().contains("no argument `colour`"), "{error}");
    let error = runtime.call(SUBTENSOR, "start_call", &[("netuid", Value::from(70_000_u32))]).unwrap_err();
    assert!(error.to_string().contains("argument `netuid`"), "{error}");
    assert!(matches!(runtime.storage("Nowhere", "Nothing", &[]), Err(ChainError::Absent { .. })));
    assert!(matches!(runtime.storage(SUBTENSOR, "Uids", &[]), Err(ChainError::Arguments { .. })));
}

#[test]
fn truncated_or_garbled_metadata_is_an_error() {
    for (_, spec, bytes) in snapshots() {
        for cut in [0, 1, 4, 5, 1000, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(Runtime::new(&bytes[..cut], spec, 1, [0; 32]), Err(ChainError::Decode { .. })), "{cut}");
        }
    }
}

/// Types that a node sends: events, the metagraph, neurons, hyperparameters, commitments.
fn hostile_types(metadata: &Metadata) -> Vec<u32> {
    let storage = |pallet: &str, entry: &str| {
        metadata.pallet_by_name(pallet).unwrap().storage().unwrap().entry_by_name(entry).unwrap().value_ty()
    };
    let mut types = vec![
        storage("System", "Events"),
        storage("Commitments", "CommitmentOf"),
        storage(SUBTENSOR, "WeightCommits"),
        storage(SUBTENSOR, "Axons"),
    ];
    let api = metadata.runtime_api_trait_by_name("SubnetInfoRuntimeApi").unwrap();
    types.extend(api.methods().map(|method| method.output_ty()));
    types
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_from_a_node_make_the_decoder_panic_or_swell(
        bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0), any::<u8>()], 0..200),
    ) {
        thread_local! {
            static METADATA: Option<Metadata> =
                fs::read(folder().join("finney-365.v16.scale")).ok().map(|bytes| Metadata::decode_from(&bytes).unwrap());
        }
        METADATA.with(|metadata| {
            let Some(metadata) = metadata else { return };
            for ty in hostile_types(metadata) {
                // Most are errors; what decodes must not be larger than what came in could say.
                if let Ok(value) = Value::decode(&bytes, ty, metadata.types()) {
                    assert!(format!("{value:?}").len() < 1_000_000);
                }
            }
        });
    }
}
