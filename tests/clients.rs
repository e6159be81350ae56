//! The official Python packages as independent clients of the local chain: what they read, sign and submit, and that they read what
//! `starling` reads. The scripts in tests/clients/ assert; here they get a chain of their own each, as a process, and are run.
//!
//! What these clients cannot do on this chain is a table in the script that would do it: each entry names the reason and the error,
//! and fails once it is no longer true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use process::Process;

/// One chain and its clients at a time: keys are stretched with 512 MiB, and every interpreter wants a core.
static TURN: Mutex<()> = Mutex::new(());

/// The python that `scripts/clients` made, or one of the person's own with the same packages.
fn python() -> PathBuf {
    let python = std::env::var_os("STARLING_CLIENTS_PYTHON").expect(
        "STARLING_CLIENTS_PYTHON is not set. `scripts/test` sets it; by hand: STARLING_CLIENTS_PYTHON=$(scripts/clients), \
         which fetches the official packages (64 MB) once",
    );
    PathBuf::from(python)
}

/// Runs a script of tests/clients/ against a fresh chain; what it says when it fails is the test's failure.
fn client(script: &str) {
    print!("{}", client_with(script, &[]));
}

/// The same with more in its environment; what it printed.
fn client_with(script: &str, environment: &[(&str, String)]) -> String {
    let python = python();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_chain, url) = Process::chain(&[]);
    let home = tempfile::tempdir().unwrap();
    // The older CLI lives beside the SDK's venv (scripts/clients).
    let older = python.ancestors().nth(3).map(|clients| clients.join("cli/bin")).unwrap_or_default();
    let output = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients").join(script))
        .env("STARLING_URL", &url)
        .env("STARLING_BINARY", env!("CARGO_BIN_EXE_starling"))
        .env("STARLING_CLI_BIN", older)
        // Caches, wallets, configuration: nothing of this machine's, nothing left on it.
        .env("HOME", home.path())
        .env_remove("BT_CHAIN_ENDPOINT")
        .env_remove("BT_NETWORK")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{} cannot be run: {e}. scripts/clients makes it", python.display()));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "tests/clients/{script} failed with {}:\n{}\n{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    said(&output.stdout)
}

/// Ours opens there, theirs opens here: the same plaintext goes around once with each package, by the public signature of quicknet's round
/// 1000. And a commit is encrypted to the round that bittensor-drand would have chosen, wherever in an epoch the chain stands.
#[test]
fn timelock_ciphertexts_and_rounds_are_the_official_ones() {
    use starling_chain::{EpochClock, commit_reveal::reveal_round};
    use starling_timelock::{Entropy, Payload, PublicKey, Rounds, Signature};
    const ROUND_1000: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
    let quicknet = PublicKey::from_bytes(&hex::decode(PublicKey::QUICKNET).unwrap()).unwrap();
    let signature = Signature::from_bytes(&hex::decode(ROUND_1000).unwrap()).unwrap();
    let payload = Payload {
        hotkey: vec![7; 32],
        uids: (0..300).collect(),
        values: (0..300).map(|n| n * 200).collect(),
        version_key: 9,
    };
    let entropy = Entropy { key: [11; 32], sigma: [22; 32], nonce: [33; 12] };
    let sealed = hex::encode(payload.seal(&quicknet, 1000, entropy).unwrap());
    // Early and late in an epoch, in its last blocks, with an epoch asked for, with a long reveal period, and on a subnet of another tempo.
    let clock = |block: u32, pending_epoch_at, reveal_period, tempo| EpochClock {
        block,
        index: 7,
        last_epoch_block: 1000,
        pending_epoch_at,
        tempo,
        blocks_since_last_step: u64::from(block) - 1000,
        reveal_period,
    };
    let clocks: Vec<EpochClock> = [1000, 1001, 1100, 1355, 1357, 1358, 1359]
        .into_iter()
        .flat_map(|block| [1, 2, 3].map(|period| clock(block, 0, period, 360)))
        .chain([
            clock(1100, 1150, 1, 360),
            clock(1100, 1150, 2, 360),
            clock(1359, 1362, 1, 360),
            clock(1300, 0, 1, 720),
        ])
        .collect();
    let environment = [
        ("STARLING_CIPHERTEXT", sealed),
        ("STARLING_SIGNATURE", ROUND_1000.to_owned()),
        ("STARLING_CLOCKS", serde_json::to_string(&clocks).unwrap()),
    ];
    let said = client_with("timelock.py", &environment);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    for package in ["core", "drand"] {
        let bytes = |name: &str| hex::decode(said[package][name].as_str().unwrap()).unwrap();
        assert_eq!(Payload::read(&bytes("opened")).unwrap(), payload, "{package}");
        // Their envelope: the ciphertext as SCALE bytes, then the round.
        let theirs = bytes("sealed");
        let (_, ciphertext) = theirs.split_at(2);
        let (ciphertext, round) = ciphertext.split_at(ciphertext.len() - 8);
        assert_eq!(round, 1000_u64.to_le_bytes(), "{package}");
        assert_eq!(Payload::open(&signature, ciphertext).unwrap(), payload, "{package}");
    }
    let theirs = said["rounds"].as_array().unwrap();
    assert_eq!(theirs.len(), clocks.len());
    for (clock, theirs) in clocks.iter().zip(theirs) {
        let ahead = clock.next_commit_window().unwrap().timelock_target() - clock.block;
        let ours = |at: &str| reveal_round(&Rounds::QUICKNET, theirs[at].as_u64().unwrap(), ahead, 12.0);
        let round = theirs["round"].as_u64().unwrap();
        // Their clock ticks while they encrypt.
        assert!(
            (ours("before")..=ours("after")).contains(&round),
            "{clock:?}: theirs {round}, ours {}",
            ours("before")
        );
    }
}

#[test]
fn every_read_of_the_official_sdk_answers_or_is_named_as_absent() {
    client("sdk_reads.py");
}

#[test]
fn the_official_sdk_registers_stakes_serves_sets_commits_and_reveals_and_reads_our_metagraph() {
    client("sdk_writes.py");
}

#[test]
fn the_older_substrate_client_connects_queries_and_transfers() {
    client("substrate.py");
}

#[test]
fn names_and_arguments_are_those_the_official_sdk_was_generated_from() {
    client("descriptors.py");
}

#[test]
fn both_official_command_lines_work_with_wallets_of_their_own() {
    client("btcli.py");
}

#[test]
fn key_files_passwords_and_signatures_cross_both_ways_with_the_official_wallet() {
    client("wallet.py");
}
