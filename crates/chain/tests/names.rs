//! `names::NAMES` is every name of a runtime's that this client uses: found by reading its sources, and looked up in each snapshot of metadata.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use starling_chain::{
    names::{self, Kind},
    runtime::Runtime,
};
use subxt::Metadata;

/// Words that are names of a runtime's too, and are not used as such: the kind and place that is not meant, and what is.
const OTHERS: [(Kind, &str, &str, &str); 9] = [
    (Kind::Call, "Balances", "burn", "a field of answers"),
    (Kind::Call, "SubtensorModule", "sudo", "Sudo's"),
    (Kind::Call, "System", "remark", "a call that the fuzz body of refusals names"),
    (Kind::Storage, "Balances", "Account", "System's"),
    (Kind::Storage, "SubtensorModule", "NetworkLastRegistered", "a key of LastRateLimitedBlock"),
    (Kind::Event, "SubtensorModule", "ColdkeySwapDisputed", "the pool's refusal"),
    (Kind::Event, "SubtensorModule", "CommitRevealEnabled", "the error"),
    (Kind::Event, "SubtensorModule", "Sudid", "Sudo's"),
    (Kind::Event, "SubtensorModule", "TransferToggle", "the storage"),
];

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The public snapshots where they are, and the local chain's own; by file name.
fn snapshots() -> BTreeMap<String, Vec<u8>> {
    let folders = [here().join("../../../shared/metadata"), here().join("../../metadata")];
    let files =
        folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "scale"));
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// Texts of the sources that are one word, tests and comments left out.
fn words(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            words(&path, found);
            continue;
        }
        if ["fuzzing.rs", "names.rs"].iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let quoted = line.split('"').skip(1).step_by(2);
            found.extend(
                quoted
                    .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_'))
                    .map(str::to_owned),
            );
        }
    }
}

/// What a runtime has of the pallets and APIs that these words name.
fn offered(metadata: &Metadata, words: &BTreeSet<String>) -> Vec<(Kind, String, String)> {
    let mut all = Vec::new();
    for pallet in metadata.pallets().filter(|pallet| words.contains(pallet.name())) {
        let mut add = |kind, name: &str| all.push((kind, pallet.name().to_owned(), name.to_owned()));
        pallet.call_variants().unwrap_or(&[]).iter().for_each(|call| add(Kind::Call, &call.name));
        pallet.event_variants().unwrap_or(&[]).iter().for_each(|event| add(Kind::Event, &event.name));
        pallet
            .storage()
            .iter()
            .flat_map(|storage| storage.entries())
            .for_each(|entry| add(Kind::Storage, entry.name()));
    }
    for api in metadata.runtime_api_traits().filter(|api| words.contains(api.name())) {
        all.extend(api.methods().map(|method| (Kind::Api, api.name().to_owned(), method.name().to_owned())));
    }
    all
}

#[test]
fn every_name_that_the_sources_use_is_listed() {
    let mut words_used = BTreeSet::new();
    words(&here().join("src"), &mut words_used);
    assert!(words_used.len() > 300, "the sources were not read: {words_used:?}");
    let listed: BTreeSet<(Kind, &str, &str)> =
        names::NAMES.iter().map(|(kind, of, name, _)| (*kind, *of, *name)).collect();
    let mut missing = BTreeSet::new();
    for bytes in snapshots().values() {
        let metadata = Metadata::decode_from(bytes).unwrap();
        for (kind, of, name) in offered(&metadata, &words_used) {
            let other = OTHERS.iter().any(|(k, o, n, _)| (*k, *o, *n) == (kind, of.as_str(), name.as_str()));
            if words_used.contains(&name) && !other && !listed.contains(&(kind, of.as_str(), name.as_str())) {
                missing.insert((kind, of, name));
            }
        }
    }
    assert!(missing.is_empty(), "names.rs does not list {missing:#?}");
    // And nothing that is used no more.
    let idle: Vec<_> = listed.iter().filter(|(_, _, name)| !words_used.contains(*name)).collect();
    assert!(idle.is_empty(), "names.rs lists what no source names: {idle:#?}");
}

/// Which names each runtime does not have: as it is written down, and none that no runtime has ever had.
#[test]
fn every_name_resolves_or_is_written_down_as_absent() {
    let mut absent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut nowhere: BTreeSet<String> = names::NAMES.iter().map(|(_, of, name, _)| format!("{of}.{name}")).collect();
    for (file, bytes) in snapshots() {
        let runtime = Runtime::new(&bytes, 1, 1, [7; 32]).unwrap();
        let has_apis = runtime.has_api("SubnetInfoRuntimeApi", "get_subnet_info");
        for name in names::of(&runtime) {
            let title = format!("{}.{}", name.of, name.name);
            if name.present {
                nowhere.remove(&title);
            } else if name.kind != Kind::Api || has_apis {
                absent.entry(file.clone()).or_default().push(title.clone());
                // Older ones are kept to be read, not to be worked with.
                let current = file.starts_with("localnet-425") || file.starts_with("localnet-466");
                assert!(!name.needed || !current, "{file}: {title} is needed");
            }
        }
    }
    assert!(nowhere.is_empty(), "no runtime has {nowhere:?}");
    let written = here().join("tests/data/absent.txt");
    let seen: String =
        absent.iter().flat_map(|(file, names)| names.iter().map(move |name| format!("{file} {name}\n"))).collect();
    if std::env::var_os("STARLING_WRITE_ABSENT").is_some() {
        fs::write(&written, &seen).unwrap();
    }
    let expected = fs::read_to_string(&written).unwrap();
    let wanted: String = expected
        .lines()
        .filter(|line| absent.keys().any(|file| line.starts_with(file.as_str())))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(seen, wanted, "STARLING_WRITE_ABSENT=1 writes it anew");
}
