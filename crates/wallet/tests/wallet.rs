//! The promises of the wallet: official layout and vectors, nothing overwritten, no secret shown, no panic from a bad file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use proptest::prelude::*;
use starling_keys::Account;
use starling_wallet::{
    Encryption, KeyError, Keyfile, Keypair, MAX_KEYFILE_BYTES, Wallet, WalletError, WalletLocation, list,
};

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const SEED: &str = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";
const SS58: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";
const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const NACL: &str = "JE5BQ0y5vIs2";

fn place(home: &Path) -> WalletLocation {
    WalletLocation::new(home, "owner", "miner")
}

#[test]
fn phrase_seed_and_address_are_the_published_vector() {
    let pair = Keypair::from_phrase(PHRASE).unwrap();
    assert_eq!(pair.account().to_string(), SS58);
    assert_eq!(hex::encode(pair.seed().unwrap()), SEED);
    assert_eq!(Keypair::from_hex_seed(&format!("0x{SEED}")).unwrap().account(), pair.account());
    assert_eq!(Keypair::from_hex_seed(SEED).unwrap().account(), pair.account());
    assert_eq!(Keypair::from_uri("//Alice").unwrap().account().to_string(), ALICE);
    let private: [u8; 64] = pair.private_key().as_slice().try_into().unwrap();
    assert_eq!(Keypair::from_private_key(&private).unwrap().account(), pair.account());
}

#[test]
fn a_wrong_phrase_says_where_but_not_what() {
    let misspelt = PHRASE.replace("obey", "obez");
    let error = Keypair::from_phrase(&misspelt).unwrap_err();
    assert_eq!(error, KeyError::UnknownWord(3));
    assert!(!error.to_string().contains("obez"));
    assert_eq!(Keypair::from_phrase("bottom drive").unwrap_err(), KeyError::WordCount(2));
    assert_eq!(Keypair::from_phrase(&PHRASE.replace("obey", "lake")).unwrap_err(), KeyError::Checksum);
    assert_eq!(Keypair::from_hex_seed("0x1234").unwrap_err(), KeyError::Seed);
    assert_eq!(Keypair::from_uri("//").unwrap_err(), KeyError::Uri);
}

#[test]
fn twelve_words_are_generated_and_give_the_key_back() {
    let pair = Keypair::generate();
    let words = pair.phrase().unwrap();
    assert_eq!(words.split(' ').count(), 12);
    assert_eq!(Keypair::from_phrase(words).unwrap().account(), pair.account());
    assert_ne!(Keypair::generate().account(), pair.account());
}

#[test]
fn debug_shows_the_account_and_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let pair = Keypair::from_phrase(PHRASE).unwrap();
    let wallet = Wallet::create(&place(home.path()), &pair, &pair).unwrap();
    let shown = format!("{pair:?} {:?} {wallet:?}", Keyfile::Secret(Box::new(pair.clone())));
    assert!(shown.contains(SS58));
    for secret in [PHRASE, "bottom", SEED, &SEED[..8], &hex::encode(pair.private_key())[..8]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_wallet_is_written_in_the_official_layout_and_read_back() {
    let home = tempfile::tempdir().unwrap();
    let (cold, hot) = (Keypair::from_phrase(PHRASE).unwrap(), Keypair::from_uri("//Alice").unwrap());
    let wallet = Wallet::create(&place(home.path()), &cold, &hot).unwrap();
    assert_eq!(wallet.coldkey().unwrap().account(), cold.account());
    assert_eq!(wallet.hotkey().unwrap().account(), hot.account());
    assert_eq!(wallet.coldkey_account().unwrap(), cold.account());
    assert_eq!(wallet.hotkey_account().unwrap(), hot.account());

    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(home.path().join("owner/coldkey")).unwrap()).unwrap();
    assert_eq!(json["ss58Address"], SS58);
    assert_eq!(json["secretPhrase"], PHRASE);
    assert_eq!(json["secretSeed"], format!("0x{SEED}"));
    assert_eq!(json["accountId"], json["publicKey"]);
    assert_eq!(json["privateKey"].as_str().unwrap().len(), 2 + 128);
    assert!(json.get("cryptoType").is_none(), "wallet 4.0.0 cannot read a file that has it");
    let public: serde_json::Value =
        serde_json::from_slice(&fs::read(home.path().join("owner/coldkeypub.txt")).unwrap()).unwrap();
    assert_eq!(public.as_object().unwrap().keys().collect::<Vec<_>>(), ["accountId", "publicKey", "ss58Address"]);
    assert!(home.path().join("owner/hotkeys/miner").is_file());
}

#[cfg(unix)]
#[test]
fn key_files_are_for_their_owner_only_and_no_temporary_file_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let pair = Keypair::generate();
    Wallet::create(&place(home.path()), &pair, &pair).unwrap();
    let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    for (path, expected) in [
        ("owner", 0o700),
        ("owner/hotkeys", 0o700),
        ("owner/coldkey", 0o600),
        ("owner/coldkeypub.txt", 0o600),
        ("owner/hotkeys/miner", 0o600),
    ] {
        assert_eq!(mode(path), expected, "{path}");
    }
    assert_eq!(fs::read_dir(home.path().join("owner/hotkeys")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(home.path().join("owner")).unwrap().count(), 3);
}

#[test]
fn nothing_is_ever_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (Keypair::generate(), Keypair::generate());
    let wallet = Wallet::create(&place(home.path()), &first, &first).unwrap();
    assert!(matches!(Wallet::create(&place(home.path()), &second, &second), Err(WalletError::Exists { .. })));
    assert!(matches!(Wallet::create_hotkey(&place(home.path()), &second), Err(WalletError::Exists { .. })));
    assert_eq!(wallet.hotkey().unwrap().account(), first.account());
    // A second wallet name that shares nothing, and a second hotkey, are fine.
    Wallet::create_hotkey(&WalletLocation::new(home.path(), "owner", "other"), &second).unwrap();
    assert_eq!(wallet.hotkey().unwrap().account(), first.account());
}

#[test]
fn a_create_that_would_overwrite_one_file_writes_none() {
    let home = tempfile::tempdir().unwrap();
    let pair = Keypair::generate();
    Wallet::create_hotkey(&place(home.path()), &pair).unwrap();
    assert!(matches!(Wallet::create(&place(home.path()), &pair, &pair), Err(WalletError::Exists { .. })));
    assert!(!home.path().join("owner/coldkey").exists());
}

#[test]
fn names_cannot_lead_out_of_the_wallet_directory() {
    let home = tempfile::tempdir().unwrap();
    let pair = Keypair::generate();
    for name in ["", "..", "../x", "a/b", ".hidden", "a\0b", &"x".repeat(101)] {
        let as_wallet = WalletLocation::new(home.path(), name, "hot");
        let as_hotkey = WalletLocation::new(home.path(), "cold", name);
        for location in [as_wallet, as_hotkey] {
            assert!(matches!(Wallet::create(&location, &pair, &pair), Err(WalletError::Name { .. })), "{name:?}");
            assert!(matches!(Wallet::open(&location), Err(WalletError::Name { .. })), "{name:?}");
        }
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_key_is_named_with_its_path() {
    let home = tempfile::tempdir().unwrap();
    let error = Wallet::open(&place(home.path())).unwrap_err();
    assert!(error.to_string().contains(&home.path().join("owner").display().to_string()), "{error}");
    let wallet = Wallet::create_hotkey(&place(home.path()), &Keypair::generate()).unwrap();
    let error = wallet.coldkey().unwrap_err();
    assert!(matches!(error, WalletError::Missing { what: "coldkey", .. }), "{error}");
}

#[test]
fn encrypted_keyfiles_are_recognised_and_refused() {
    let path = Path::new("/w/coldkey");
    let nacl = [b"$NACL".as_slice(), NACL.as_bytes()].concat();
    for (bytes, kind) in [
        (nacl.as_slice(), Encryption::Nacl),
        (b"$ANSIBLE_VAULT;1.1;AES256\n3163".as_slice(), Encryption::AnsibleVault),
        (b"gAAAAABmTest".as_slice(), Encryption::Fernet),
    ] {
        let error = Keyfile::parse(bytes, path).unwrap_err();
        assert!(matches!(error, WalletError::Encrypted { encryption, .. } if encryption == kind), "{error}");
        assert!(error.to_string().contains("/w/coldkey"));
    }
}

#[test]
fn official_variants_are_read() {
    let path = Path::new("k");
    let with_type = format!(r#"{{"secretSeed":"0x{SEED}","ss58Address":"{SS58}","cryptoType":1,"future":[1]}}"#);
    assert_eq!(Keyfile::parse(with_type.as_bytes(), path).unwrap().account().to_string(), SS58);
    let nulls = format!(r#"{{"accountId":null,"secretPhrase":"{PHRASE}","secretSeed":null,"privateKey":""}}"#);
    assert!(matches!(Keyfile::parse(nulls.as_bytes(), path).unwrap(), Keyfile::Secret(_)));
    let private = hex::encode(Keypair::from_phrase(PHRASE).unwrap().private_key());
    let only_private = format!(r#"{{"privateKey":"0x{private}"}}"#);
    assert_eq!(Keyfile::parse(only_private.as_bytes(), path).unwrap().account().to_string(), SS58);
    let public = format!(r#"{{"ss58Address":"{SS58}"}}"#);
    assert!(matches!(Keyfile::parse(public.as_bytes(), path).unwrap(), Keyfile::Public(_)));
    // The phrase comes first, as in btwallet: the other secrets are not looked at.
    let order = format!(r#"{{"secretPhrase":"{PHRASE}","secretSeed":"0x{}","ss58Address":"{SS58}"}}"#, "11".repeat(32));
    assert_eq!(Keyfile::parse(order.as_bytes(), path).unwrap().account().to_string(), SS58);
}

/// Written by the official bittensor-wallet 4.1.1 for a throw-away key.
const OFFICIAL: &str = r#"{"secretPhrase":"flat manage funny naive forest coach embark tuna shrimp must network volume","ss58Address":"5DjwQKaSy9pvB91FZLPYnkJr1RoZnG7RHemz2WpatzQJqPqa","cryptoType":1,"publicKey":"0x4a28673925844268a745fb1d1d07b27a2a4818c227ff1ec66bf58eeb40c41a0d","secretSeed":"0x7c565d5a0e51f0b9f2be76bd0284e1048be34cf96e66e9a2ea7b0198edf2b3b2","privateKey":"0x5d7a155f864f9dca0f8ffd735e8295b3e64e9aca9ef8bd5a1bcbdd097b61480d882307681e9683f00a1c2c96558f0f148e8b8d0f605b1f624befc44f5603118c","accountId":"0x4a28673925844268a745fb1d1d07b27a2a4818c227ff1ec66bf58eeb40c41a0d"}"#;

#[test]
fn an_official_keyfile_is_read_and_written_back_field_by_field() {
    let Keyfile::Secret(pair) = Keyfile::parse(OFFICIAL.as_bytes(), Path::new("k")).unwrap() else {
        panic!("no secret")
    };
    let mut theirs: serde_json::Value = serde_json::from_str(OFFICIAL).unwrap();
    theirs.as_object_mut().unwrap().remove("cryptoType");
    let ours: serde_json::Value = serde_json::from_str(&Keyfile::secret_json(&pair)).unwrap();
    assert_eq!(ours, theirs);
}

#[test]
fn a_file_whose_parts_disagree_is_refused() {
    let text = format!(r#"{{"secretPhrase":"{PHRASE}","ss58Address":"{ALICE}"}}"#);
    let error = Keyfile::parse(text.as_bytes(), Path::new("k")).unwrap_err();
    assert!(matches!(error, WalletError::Mismatch { .. }), "{error}");
    let ed25519 = format!(r#"{{"secretSeed":"0x{SEED}","cryptoType":0}}"#);
    assert!(matches!(Keyfile::parse(ed25519.as_bytes(), Path::new("k")), Err(WalletError::Malformed { .. })));
}

#[test]
fn an_oversized_keyfile_is_refused_before_it_is_read() {
    let home = tempfile::tempdir().unwrap();
    let wallet = Wallet::create_hotkey(&place(home.path()), &Keypair::generate()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(home.path().join("owner/hotkeys/miner")).unwrap();
    file.set_len(MAX_KEYFILE_BYTES + 1).unwrap();
    assert!(matches!(wallet.hotkey(), Err(WalletError::TooLarge { .. })));
}

#[test]
fn a_parse_error_never_quotes_the_file() {
    // The secret where a number belongs, and the whole file as one JSON string: serde would quote both.
    for text in [format!(r#"{{"cryptoType":"{PHRASE}"}}"#), format!(r#""{PHRASE}""#)] {
        let error = Keyfile::parse(text.as_bytes(), Path::new("k")).unwrap_err().to_string();
        assert!(!error.contains("bottom"), "{error}");
    }
}

#[test]
fn wallets_are_listed_with_what_is_wrong_with_them() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(list(&home.path().join("none")).unwrap(), []);
    let pair = Keypair::from_phrase(PHRASE).unwrap();
    Wallet::create(&place(home.path()), &pair, &pair).unwrap();
    fs::write(home.path().join("owner/hotkeys/broken"), b"{").unwrap();
    fs::write(home.path().join("owner/hotkeys/minerpub.txt"), b"{}").unwrap();
    let listed = list(home.path()).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].coldkey.unwrap().to_string(), SS58);
    let names: Vec<_> = listed[0].hotkeys.iter().map(|key| (key.name.as_str(), key.account.is_some())).collect();
    assert_eq!(names, [("broken", false), ("miner", true)]);
}

#[test]
fn the_environment_names_the_wallet_unless_the_command_line_does() {
    let env = |key: &str| match key {
        "HOME" => Some("/home/u".to_owned()),
        "BT_WALLET_PATH" => Some("~/keys".to_owned()),
        "BT_WALLET_NAME" => Some("cold".to_owned()),
        "BT_WALLET_HOTKEY" => Some("hot".to_owned()),
        _ => None,
    };
    let location = WalletLocation::resolve(None, None, None, env).unwrap();
    assert_eq!(location, WalletLocation::new("/home/u/keys", "cold", "hot"));
    let location = WalletLocation::resolve(Some("/w"), Some("a"), Some("b"), env).unwrap();
    assert_eq!(location, WalletLocation::new("/w", "a", "b"));
    let only_home = |key: &str| (key == "HOME").then(|| "/home/u".to_owned());
    let location = WalletLocation::resolve(None, None, None, only_home).unwrap();
    assert_eq!(location, WalletLocation::new("/home/u/.bittensor/wallets", "default", "default"));
    assert!(matches!(WalletLocation::resolve(None, None, None, |_| None), Err(WalletError::NoHome)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_key_survives_its_file_and_signs_the_same(seed: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..300)) {
        let pair = Keypair::from_seed(&seed);
        let json = Keyfile::secret_json(&pair);
        let Keyfile::Secret(read) = Keyfile::parse(json.as_bytes(), Path::new("k")).unwrap() else { panic!("no secret") };
        prop_assert_eq!(read.account(), pair.account());
        let signature = read.sign(&message);
        prop_assert!(pair.verify(&message, &signature));
        let mut other = message.clone();
        other.push(0);
        prop_assert!(!pair.verify(&other, &signature));
        let Keyfile::Public(account) = Keyfile::parse(Keyfile::public_json(&pair.account()).as_bytes(), Path::new("k")).unwrap()
            else { panic!("secret in a public file") };
        prop_assert_eq!(account, pair.account());
    }

    #[test]
    fn a_truncated_keyfile_is_an_error_and_no_other_key(seed: [u8; 32], cut in 0.0..1.0_f64) {
        let json = Keyfile::secret_json(&Keypair::from_seed(&seed));
        let cut = (cut * json.len() as f64) as usize;
        let refused = matches!(
            Keyfile::parse(&json.as_bytes()[..cut], Path::new("k")),
            Err(WalletError::Malformed { .. })
        );
        prop_assert!(refused);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Keyfile::parse(&bytes, Path::new("k")).is_err());
    }

    #[test]
    fn garbage_in_a_field_is_an_error_and_never_a_panic(text in ".{0,80}", which in 0..5_usize) {
        let field = ["secretPhrase", "secretSeed", "privateKey", "ss58Address", "publicKey"][which];
        let json = serde_json::json!({ field: text }).to_string();
        prop_assert!(Keyfile::parse(json.as_bytes(), Path::new("k")).is_err());
    }
}

#[test]
fn another_key_does_not_verify() {
    let (alice, bob) = (Keypair::from_uri("//Alice").unwrap(), Keypair::from_uri("//Bob").unwrap());
    let signature = alice.sign(b"m");
    assert!(alice.verify(b"m", &signature) && !bob.verify(b"m", &signature));
    assert_eq!(alice.account(), ALICE.parse::<Account>().unwrap());
}
