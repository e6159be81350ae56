//! Passwords: where they come from, in which order, and that nothing of them is shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;
use starling_wallet::{
    Encryption, Keypair, Part, Password, Passwords, Wallet, WalletError, WalletLocation,
    password::{obfuscate, unobfuscate, variable},
};

/// The password that `passwords` find for a file, told apart by what it is obfuscated to.
fn found(passwords: &Passwords, env: &BTreeMap<String, String>) -> Option<String> {
    let path = Path::new("/w/coldkey");
    passwords.given(path, |key| env.get(key).cloned()).unwrap().map(|p| p.obfuscated("\0"))
}

fn shown(text: &str) -> Option<String> {
    Some(Password::new(text).obfuscated("\0"))
}

#[test]
fn the_official_variable_of_a_path_is_the_verified_one() {
    let path = Path::new("/root/.bittensor/wallets/t1/coldkey");
    assert_eq!(variable(path), "BT_PW__ROOT__BITTENSOR_WALLETS_T1_COLDKEY");
}

#[test]
fn a_file_wins_over_the_environment_and_the_files_own_variable_over_the_common_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pw");
    fs::write(&file, " from the file \nsecond line\n").unwrap();
    let own = variable(Path::new("/w/coldkey"));
    let mut env = BTreeMap::new();
    assert_eq!(found(&Passwords::default(), &env), None);
    env.insert("BT_WALLET_PASSWORD_FILE".to_owned(), file.display().to_string());
    assert_eq!(found(&Passwords::default(), &env), shown("from the file"));
    env.insert("BT_WALLET_PASSWORD".into(), "plain".into());
    assert_eq!(found(&Passwords::default(), &env), shown("plain"));
    env.insert(own.clone(), obfuscate(&own, "own"));
    assert_eq!(found(&Passwords::default(), &env), shown("own"));
    let given = Passwords { file: Some(file), ..Passwords::default() };
    assert_eq!(found(&given, &env), shown("from the file"));
    let descriptor = fs::File::open(dir.path().join("pw")).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    let given = Passwords { descriptor: u32::try_from(number).ok(), ..Passwords::default() };
    assert_eq!(found(&given, &BTreeMap::new()), shown("from the file"));
    env.insert(own.clone(), "not obfuscated!".into());
    let refused = Passwords::default().given(Path::new("/w/coldkey"), |key| env.get(key).cloned()).unwrap_err();
    assert!(matches!(&refused, WalletError::Obfuscation { variable } if *variable == own), "{refused}");
}

#[test]
fn an_encrypted_key_tells_its_account_and_opens_only_with_its_password() {
    let home = tempfile::tempdir().unwrap();
    let place = WalletLocation::new(home.path(), "w", "h");
    let (key, other) = (Keypair::generate(), Keypair::generate());
    let password = Password::new("correct horse 9!");
    let wallet = Wallet::write(&place, Part::Hotkey, &key, Some(&password), false).unwrap();
    assert_eq!(wallet.hotkey_account().unwrap(), key.account());
    let standing = wallet.standing(Part::Hotkey);
    assert_eq!((standing.encryption.as_deref(), standing.mode), (Some("$NACL"), Some(0o600)));
    assert!(matches!(Wallet::write(&place, Part::Hotkey, &other, None, false), Err(WalletError::Exists { .. })));
    let none = wallet.hotkey().unwrap_err();
    assert!(matches!(none, WalletError::NoPassword { encryption: Encryption::Nacl, .. }), "{none}");
    let wrong = Passwords { known: Some(Password::new("wrong")), ..Passwords::default() };
    assert!(wallet.key(Part::Hotkey, &wrong).unwrap_err().to_string().contains("the password is wrong"));
    let right = Passwords { known: Some(password), ..Passwords::default() };
    assert_eq!(wallet.reseal(Part::Hotkey, &right, None).unwrap(), key.account());
    assert_eq!(wallet.hotkey().unwrap().account(), key.account());
    // Listed once, whether or not its public file lies beside it.
    assert_eq!(starling_wallet::list(home.path()).unwrap()[0].hotkeys.len(), 1);
}

/// An address file may be all that somebody has of a key: it is not replaced by another key's unless that is asked for.
#[test]
fn another_keys_address_file_is_left_alone_and_an_empty_password_encrypts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let place = WalletLocation::new(home.path(), "w", "h");
    let (key, other) = (Keypair::generate(), Keypair::generate());
    Wallet::write_coldkeypub(&place, &key.account(), false).unwrap();
    let refused = Wallet::write(&place, Part::Coldkey, &other, None, false).unwrap_err();
    assert!(matches!(&refused, WalletError::Exists { path } if *path == place.coldkeypub_path()), "{refused}");
    assert!(!place.coldkey_path().exists());
    let empty = Wallet::write(&place, Part::Coldkey, &key, Some(&Password::new(" ")), false).unwrap_err();
    assert!(matches!(empty, WalletError::EmptyPassword { .. }) && !place.coldkey_path().exists(), "{empty}");
    let wallet = Wallet::write(&place, Part::Coldkey, &key, None, false).unwrap();
    assert!(wallet.reseal(Part::Coldkey, &Passwords::default(), Some(&Password::new(""))).is_err());
    assert_eq!(wallet.coldkey().unwrap().account(), key.account());
    Wallet::write(&place, Part::Coldkey, &other, None, true).unwrap();
    assert_eq!(wallet.coldkey_account().unwrap(), other.account());
}

#[test]
fn a_password_is_never_shown() {
    let passwords = Passwords { known: Some(Password::new("hunter2")), ..Passwords::default() };
    assert!(!format!("{passwords:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_password_survives_its_variable(name in "[A-Z_]{1,40}", password in "\\PC{0,60}") {
        let back = unobfuscate(&name, &obfuscate(&name, &password)).unwrap();
        prop_assert_eq!(back.as_str(), password.as_str());
    }

    #[test]
    fn any_value_is_a_password_or_none_and_never_a_panic(name in ".{0,10}", value in ".{0,80}") {
        let _ = unobfuscate(&name, &value);
    }
}
