#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

/// chain.md 14 F3, made by the official core.
const NACL_FILE: &str = "JE5BQ0y5vIs2+EMePy//GhxlORyGrQ9ZI/2ajqmG1+1fjkajiyC18mqrEulpMWMYv6dJ+O5gxikGEHePZKmjXNteb4g3wg3/qKwxvu74KJ2l0ix+qFJgfnSWmnko04oBbGCUKT1khLp5DCyXc0yNnR5E9G6tfCOscSJnXqh0aA+iqt6FbJm8nj614JS1juWgQ6uOH+0ukUfcEcxf3SdQaSqDs5c9VVAw0B1ygwMg8GRDDXafCSH+yb4KVyBOUCgF";
const PASSWORD: &str = "correct horse 9!";
const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

#[test]
fn the_official_nacl_file_opens_with_its_password_and_no_other_key() {
    let file = base64::engine::general_purpose::STANDARD.decode(NACL_FILE).unwrap();
    let key = nacl_key(PASSWORD).unwrap();
    assert_eq!(hex::encode(*key), "e17cc85d03f6ad73d8cebea5d54bd11ee626d699df84aff80fe4916b7a74438b");
    let json: serde_json::Value = serde_json::from_slice(&nacl(&file, &key).unwrap()).unwrap();
    assert_eq!(json["ss58Address"], ALICE);
    // What is written has the same layout, and comes back.
    let nonce: [u8; NONCE] = file[5..29].try_into().unwrap();
    let plain = nacl(&file, &key).unwrap();
    let cipher = XSalsa20Poly1305::new(key.as_slice().into());
    assert_eq!([NACL, &nonce, &cipher.encrypt(&nonce.into(), plain.as_slice()).unwrap()].concat(), file);
    assert_eq!(nacl(&file, &[7; 32]), Err(VaultError::WrongPassword));
    for cut in 0..file.len() {
        assert!(nacl(&file[..cut], &key).is_err(), "{cut} bytes of it");
    }
    for at in 5..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        assert_eq!(nacl(&damaged, &key), Err(VaultError::WrongPassword), "byte {at}");
    }
}

/// Made by `ansible-vault encrypt` of ansible-core (password `correct horse 9!`).
const ANSIBLE_FILE: &str = include_str!("../tests/data/ansible-vault.txt");
const ANSIBLE_PLAIN: &str = "{\"ss58Address\": \"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\"}";

#[test]
fn an_ansible_vault_opens_with_its_password_only() {
    let open = |bytes: &[u8], password| decrypt(bytes, Encryption::AnsibleVault, password);
    assert_eq!(open(ANSIBLE_FILE.as_bytes(), PASSWORD).unwrap().as_slice(), ANSIBLE_PLAIN.as_bytes());
    assert_eq!(open(ANSIBLE_FILE.as_bytes(), "wrong"), Err(VaultError::WrongPassword));
    for cut in (0..ANSIBLE_FILE.len()).step_by(7) {
        assert!(open(&ANSIBLE_FILE.as_bytes()[..cut], PASSWORD).is_err());
    }
}

/// Made by Python's `cryptography.fernet` with the key that [`FERNET_FILE_KEY`] is in base64.
const FERNET_FILE: &str = include_str!("../tests/data/fernet.txt");
/// PBKDF2 of `correct horse 9!` by Python's hashlib, ten million rounds.
const FERNET_FILE_KEY: &str = include_str!("../tests/data/fernet-key.txt");

#[test]
fn a_fernet_file_opens_and_its_key_is_made_as_the_old_tools_made_it() {
    let key = fernet_key(PASSWORD);
    assert_eq!(hex::encode(*key), FERNET_FILE_KEY.trim());
    assert_eq!(fernet(FERNET_FILE.as_bytes(), &key).unwrap().as_slice(), ANSIBLE_PLAIN.as_bytes());
    assert_eq!(fernet(FERNET_FILE.as_bytes(), &[1; 32]), Err(VaultError::WrongPassword));
    for cut in 0..FERNET_FILE.trim_end().len() - 2 {
        assert!(fernet(&FERNET_FILE.as_bytes()[..cut], &key).is_err(), "{cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a file holds, decrypting it is an error, never a panic.
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[0-9a-f\n]{0,300}") {
        prop_assert!(nacl(&bytes, &[1; 32]).is_err());
        prop_assert!(nacl(&[NACL, &bytes].concat(), &[1; 32]).is_err());
        prop_assert!(fernet(&bytes, &[1; 32]).is_err());
        prop_assert!(ansible(&bytes, "x").is_err());
        let vault = format!("$ANSIBLE_VAULT;1.1;AES256\n{}", text);
        prop_assert!(ansible(vault.as_bytes(), "x").is_err());
        let tagged = base64::engine::general_purpose::URL_SAFE.encode([&[0x80][..], &bytes].concat());
        prop_assert!(fernet(tagged.as_bytes(), &[1; 32]).is_err());
    }
}
