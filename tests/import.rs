//! `starling wallet import`: a key exported by polkadot-js becomes one here, and nothing that is there is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Whose key the fixtures are (chain.md 7).
const ACCOUNT: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wallet/tests/data").join(name)
}

fn starling(wallets: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.args(arguments).arg("--wallet-path").arg(wallets).stdin(Stdio::null()).env("STARLING_CONFIG", "/dev/null");
    command.output().unwrap()
}

#[test]
fn an_exported_key_becomes_a_hotkey_once_and_only_with_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    std::fs::write(&good, "correct horse 9!\n").unwrap();
    std::fs::write(&bad, "correct horse 8!\n").unwrap();
    let (file, wallets) = (fixture("polkadot-js.json"), dir.path().join("wallets"));
    let import = |password: &Path| {
        let arguments = ["wallet", "import", "hotkey", file.to_str().unwrap(), "--export-password-file"];
        starling(&wallets, &[&arguments[..], &[password.to_str().unwrap(), "--json"]].concat())
    };
    let refused = import(&bad);
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("password is wrong"));
    assert!(!wallets.join("default/hotkeys/default").exists());
    let done = import(&good);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["hotkey"], ACCOUNT);
    let written = std::fs::read_to_string(wallets.join("default/hotkeys/default")).unwrap();
    assert!(written.contains(ACCOUNT) && written.contains("privateKey"), "{ACCOUNT}");
    let again = import(&good);
    assert_eq!(again.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&again.stderr).contains("never overwritten"));
    // The key signs, and anybody can check it against the address that was exported.
    let signed = starling(&wallets, &["wallet", "sign", "hello"]);
    let signature = String::from_utf8_lossy(&signed.stdout).trim().to_owned();
    let checked = starling(&wallets, &["wallet", "verify", "hello", "--signer", ACCOUNT, "--signature", &signature]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // An export without a password asks for none; one of another kind is told.
    let plain = fixture("polkadot-js-plain.json");
    let done = starling(&wallets, &["wallet", "import", "hotkey", plain.to_str().unwrap(), "--hotkey", "plain"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let other = fixture("polkadot-js-ed25519.json");
    let refused = starling(&wallets, &["wallet", "import", "hotkey", other.to_str().unwrap(), "--hotkey", "other"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("sr25519"));
}
