//! The bodies of the fuzz targets on random bytes and on damaged real ones: whatever a node sends, the client returns.
//!
//! `cargo fuzz` (see fuzz/README.md) goes deeper; this runs everywhere, every time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::PathBuf, sync::OnceLock};

use jsonrpsee::{core::client::ClientT as _, ws_client::WsClientBuilder};
use parity_scale_codec::{Compact, Decode as _, Encode as _};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value as Json, json};
use starling_chain::{Client, Options, fuzzing, runtime::Runtime};
use starling_localnet::{Localnet, LocalnetConfig};
use starling_wallet::Keypair;

fn snapshot() -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../metadata/localnet-425.v15.scale")).unwrap()
}

/// Answers and storage of a real chain, taken once.
struct Real {
    runtime: Runtime,
    answers: Vec<Vec<u8>>,
    storage: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
    metagraph: Vec<u8>,
}

fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| tokio::runtime::Runtime::new().unwrap().block_on(record()))
}

async fn record() -> Real {
    let config = LocalnetConfig { block_time: Some(std::time::Duration::from_millis(50)), ..Default::default() };
    let net = Localnet::start(config).await.unwrap();
    let chain = Client::connect(&net.url(), Options::default()).await.unwrap();
    let hot = Keypair::from_uri("//Bob//hot").unwrap();
    let bob = Keypair::from_uri("//Bob").unwrap();
    let (_, done) = chain.burned_register(&bob, 1, &hot.account()).await.unwrap();
    chain.set_commitment(&hot, 1, b"hello").await.unwrap();
    let raw = WsClientBuilder::new().build(net.url()).await.unwrap();
    let bytes = |text: Json| text.as_str().map(|t| hex::decode(&t[2..]).unwrap()).unwrap_or_default();
    let ask = async |method: &str, params: Vec<Json>| bytes(raw.request(method, params).await.unwrap());
    let metadata = ask("state_getMetadata", vec![]).await;
    let at = json!(format!("0x{}", hex::encode(done.block.hash)));
    let runtime = Runtime::new(&metadata, 425, 1, chain.genesis_hash()).unwrap();
    let mut answers = Vec::new();
    for (which, method) in
        ["get_metagraph", "get_subnet_hyperparams_v3", "get_subnet_hyperparams_v2"].iter().enumerate()
    {
        let answer = ask("state_call", vec![json!(format!("SubnetInfoRuntimeApi_{method}")), json!("0x0100")]).await;
        answers.push([&[which as u8][..], &answer].concat());
    }
    // Of everything one, so that what is read of parts has parts to read.
    let parts: Vec<u16> = (0..=73).collect();
    let asked = format!("0x{}", hex::encode((1_u16, parts).encode()));
    let answer = ask("state_call", vec![json!("SubnetInfoRuntimeApi_get_selective_metagraph"), json!(asked)]).await;
    answers.push([&[6][..], &answer].concat());
    let events = runtime.storage("System", "Events", &[]).unwrap().key;
    let events = ask("state_getStorage", vec![json!(format!("0x{}", hex::encode(events))), at]).await;
    let keys = [1_u16.into(), (&hot.account()).into()];
    let commitment = runtime.storage("Commitments", "CommitmentOf", &keys).unwrap().key;
    let commitment = ask("state_getStorage", vec![json!(format!("0x{}", hex::encode(commitment)))]).await;
    assert!(!events.is_empty() && !commitment.is_empty());
    let metagraph = serde_json::to_vec(&chain.metagraph(1, None).await.unwrap()).unwrap();
    // V15 describes runtime APIs; what was asked above is V14, in which every name of storage is.
    let runtime = Runtime::new(&snapshot(), 425, 1, chain.genesis_hash()).unwrap();
    Real { runtime, answers, storage: vec![[&[3][..], &commitment].concat()], events: vec![events], metagraph }
}

#[test]
fn undamaged_bytes_reach_the_end_of_every_decoder() {
    let real = real();
    assert!(real.answers.iter().all(|answer| fuzzing::answer(&real.runtime, answer)));
    assert!(real.storage.iter().all(|value| fuzzing::storage(&real.runtime, value)));
    assert!(real.events.iter().all(|events| fuzzing::events(&real.runtime, events)));
    assert!(fuzzing::metadata(&snapshot()));
    assert!(starling_localnet::parse_snapshot(&real.metagraph).is_ok());
}

#[test]
fn bytes_that_begin_with_their_own_length_are_no_metadata() {
    // subxt-metadata 0.51.1 looks for ever at bytes whose first ones, as a compact number, are the length of all of them.
    for length in [1_usize, 20, 63, 100, 6491, 20_000] {
        let mut bytes = Compact(length as u32).encode();
        bytes.resize(length, 0xff);
        assert!(!fuzzing::metadata(&bytes));
    }
    // `meta` itself reads as 6491.
    let mut bytes = b"meta\x0f".to_vec();
    bytes.resize(6491, 0xff);
    assert!(!fuzzing::metadata(&bytes));
}

/// Types that contain themselves have no end: bytes for them cannot be written, and whoever tries never comes back.
#[test]
fn metadata_whose_types_contain_themselves_is_refused() {
    use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
    use scale_info::TypeDef;
    let RuntimeMetadataPrefixed(magic, RuntimeMetadata::V15(whole)) =
        RuntimeMetadataPrefixed::decode(&mut &snapshot()[..]).unwrap()
    else {
        panic!("V15")
    };
    let mut tried = 0;
    for at in 0..whole.types.types.len() {
        let mut cyclic = whole.clone();
        let ty = &mut cyclic.types.types[at];
        let id = ty.id;
        match &mut ty.ty.type_def {
            TypeDef::Composite(def) if !def.fields.is_empty() => def.fields[0].ty = id.into(),
            TypeDef::Tuple(def) if !def.fields.is_empty() => def.fields[0] = id.into(),
            TypeDef::Array(def) => def.type_param = id.into(),
            TypeDef::Compact(def) => def.type_param = id.into(),
            _ => continue,
        }
        tried += 1;
        let bytes = RuntimeMetadataPrefixed(magic, RuntimeMetadata::V15(cyclic)).encode();
        assert!(!fuzzing::metadata(&bytes), "type {at} contains itself");
    }
    assert!(tried > 50, "{tried}");
    // Nor may they nest as deep as somebody likes: a chain of composites, each of which holds the next.
    for (depth, good) in [(40, true), (100_000, false)] {
        let mut deep = whole.clone();
        let composite = deep
            .types
            .types
            .iter()
            .find(|ty| matches!(&ty.ty.type_def, TypeDef::Composite(def) if def.fields.len() == 1));
        let mut link = composite.unwrap().clone();
        let first = deep.types.types.len() as u32;
        for id in first..first + depth {
            link.id = id;
            if let TypeDef::Composite(def) = &mut link.ty.type_def {
                def.fields[0].ty = if id + 1 == first + depth { 0.into() } else { (id + 1).into() };
            }
            deep.types.types.push(link.clone());
        }
        let bytes = RuntimeMetadataPrefixed(magic, RuntimeMetadata::V15(deep)).encode();
        assert_eq!(fuzzing::metadata(&bytes), good, "{depth}");
    }
}

/// How real bytes are damaged.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    /// Four bytes that claim much.
    Claim(usize),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<usize>();
    let one = prop_oneof![
        6 => (place, any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => place.prop_map(Damage::Cut),
        1 => (place, vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (place, 1..64usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        1 => place.prop_map(Damage::Claim),
    ];
    vec(one, 1..6)
}

fn damaged(bytes: &[u8], how: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in how {
        let length = bytes.len().max(1);
        match damage {
            Damage::Set(at, byte) => bytes.iter_mut().skip(at % length).take(1).for_each(|b| *b = *byte),
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Insert(at, more) => drop(bytes.splice(at % length..at % length, more.iter().copied())),
            Damage::Repeat(at, count) => {
                let start = at % length;
                let piece = bytes[start..bytes.len().min(start + count)].to_vec();
                bytes.splice(start..start, piece);
            }
            Damage::Claim(at) => bytes.iter_mut().skip(at % length).take(4).for_each(|b| *b = 0xfe),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_reason_to_stop(bytes in vec(any::<u8>(), 0..300)) {
        let runtime = &real().runtime;
        fuzzing::metadata(&bytes);
        fuzzing::metadata(&[b"meta\x0f", &bytes[..]].concat());
        fuzzing::metadata(&[b"meta\x10", &bytes[..]].concat());
        fuzzing::metadata_envelope(&bytes);
        fuzzing::answer(runtime, &bytes);
        fuzzing::storage(runtime, &bytes);
        fuzzing::events(runtime, &bytes);
        fuzzing::words(&bytes);
        fuzzing::words(&[b"HTTP/1.1 429 ", &bytes[..]].concat());
        let _ = starling_localnet::parse_snapshot(&bytes);
    }

    #[test]
    fn damaged_answers_and_events_are_no_reason_to_stop(how in damage(), which in any::<u8>()) {
        let real = real();
        for answer in &real.answers {
            fuzzing::answer(&real.runtime, &damaged(answer, &how));
            // The bytes of one answer in the place of another's.
            fuzzing::answer(&real.runtime, &[&[which][..], &answer[1..]].concat());
        }
        for value in &real.storage {
            fuzzing::storage(&real.runtime, &damaged(value, &how));
            fuzzing::storage(&real.runtime, &[&[which][..], &value[1..]].concat());
        }
        for events in &real.events {
            fuzzing::events(&real.runtime, &damaged(events, &how));
        }
        let _ = starling_localnet::parse_snapshot(&damaged(&real.metagraph, &how));
    }
}

proptest! {
    // Metadata has 100 kB and more: a case takes tens of milliseconds.
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn damaged_metadata_is_no_reason_to_stop(how in damage()) {
        fuzzing::metadata(&damaged(&snapshot(), &how));
    }
}
