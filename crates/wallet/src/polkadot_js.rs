//! Keys exported by polkadot-js, Talisman, SubWallet and the browser extension: "encrypted JSON", version 3 (read only).
//!
//! Base64 of: salt 32, then N, p and r of scrypt (u32 LE each), nonce 24, and an XSalsa20-Poly1305 box; inside it PKCS#8 as those tools
//! write it: a fixed head, the 64-byte secret in Ed25519 form, a fixed divider, the public key. Without a password the PKCS#8 stands
//! there as it is.
//!
//! Invariants: only scrypt's parameters that polkadot-js itself allows are computed, so a file cannot ask for more than 128 MiB; the secret
//! must give the public key in the box and the address on the outside.

use base64::Engine as _;
use crypto_secretbox::{
    XSalsa20Poly1305,
    aead::{Aead as _, KeyInit as _},
};
use schnorrkel::SecretKey;
use serde::Deserialize;
use starling_keys::Account;
use zeroize::Zeroizing;

use crate::{Keypair, VaultError};

/// Longest export read; real ones have 600 bytes.
pub const MAX_EXPORT_BYTES: u64 = 64 * 1024;
/// log2 N, p: what polkadot-js allows; r is always 8.
const ALLOWED: [(u8, u32); 6] = [(13, 10), (14, 5), (15, 3), (15, 1), (16, 2), (17, 1)];
const HEAD: [u8; 16] = [0x30, 0x53, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const DIVIDER: [u8; 5] = [0xa1, 0x23, 3, 0x21, 0];

/// Why an export gives no key. No variant carries a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Not what polkadot-js exports.
    #[error("it is no key exported by polkadot-js: {0}")]
    Malformed(String),
    /// Another kind of key or an older form.
    #[error("{0}")]
    Unsupported(String),
    /// It does not decrypt.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The secret is not that of the address.
    #[error("it says it is {stated}, but its secret belongs to {derived}")]
    Mismatch {
        /// The address in the JSON.
        stated: Account,
        /// What its secret gives.
        derived: Account,
    },
}

#[derive(Deserialize)]
struct Json {
    encoded: String,
    encoding: Encoding,
    address: String,
}

#[derive(Deserialize)]
struct Encoding {
    content: Texts,
    #[serde(rename = "type")]
    how: Texts,
    version: String,
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(text) => text == wanted,
            Self::Many(texts) => texts.iter().any(|text| text == wanted),
        }
    }
}

/// An export that was read and not yet opened.
pub struct Export {
    bytes: Zeroizing<Vec<u8>>,
    encrypted: bool,
    account: Account,
}

impl Export {
    /// Reads the JSON.
    ///
    /// # Errors
    /// [`ExportError::Malformed`], [`ExportError::Unsupported`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ExportError> {
        let malformed = |reason: &str| ExportError::Malformed(reason.to_owned());
        if bytes.len() as u64 > MAX_EXPORT_BYTES {
            return Err(malformed("it is far too long"));
        }
        // serde's own message may quote what it dislikes.
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| ExportError::Malformed(format!("line {}, column {}", error.line(), error.column())))?;
        let encoding = json.encoding;
        if encoding.content.has("batch-pkcs8") {
            return Err(ExportError::Unsupported("it holds all accounts of a browser: export the one account".into()));
        }
        if !encoding.content.has("pkcs8") || !encoding.content.has("sr25519") {
            return Err(ExportError::Unsupported(
                "it is no sr25519 key: neurons and coldkeys here sign with sr25519".into(),
            ));
        }
        if encoding.version != "3" {
            let version: String = encoding.version.chars().take(20).collect();
            return Err(ExportError::Unsupported(format!(
                "it is of version {version}, and version 3 is read: import it into a present polkadot-js and export it again"
            )));
        }
        let encrypted =
            match (encoding.how.has("scrypt") && encoding.how.has("xsalsa20-poly1305"), encoding.how.has("none")) {
                (true, _) => true,
                (false, true) => false,
                (false, false) => {
                    return Err(ExportError::Unsupported(
                        "it is encrypted otherwise than by scrypt and xsalsa20-poly1305".into(),
                    ));
                }
            };
        let account = json.address.parse().map_err(|error| ExportError::Malformed(format!("its address: {error}")))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(json.encoded.trim());
        let bytes = Zeroizing::new(bytes.map_err(|_| malformed("`encoded` is not base64"))?);
        Ok(Self { bytes, encrypted, account })
    }

    /// True if a password is needed.
    #[must_use]
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whose key it claims to be.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// Opens it; the password does not matter where none is needed.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn open(&self, password: &str) -> Result<Keypair, ExportError> {
        if !self.encrypted {
            return self.read(&self.bytes);
        }
        let damaged = |what| ExportError::Vault(VaultError::Damaged(what));
        let (salt, rest) = self.bytes.split_first_chunk::<32>().ok_or(damaged("it ends within the salt"))?;
        let (cost, rest) = rest.split_first_chunk::<12>().ok_or(damaged("it ends within scrypt's parameters"))?;
        let (nonce, sealed) = rest.split_first_chunk::<24>().ok_or(damaged("it ends within the nonce"))?;
        let cipher = XSalsa20Poly1305::new(scrypt_key(password, salt, cost)?.as_slice().into());
        let plain = cipher.decrypt(nonce.into(), sealed).map_err(|_| VaultError::WrongPassword)?;
        self.read(&Zeroizing::new(plain))
    }

    /// PKCS#8.
    fn read(&self, bytes: &[u8]) -> Result<Keypair, ExportError> {
        let inner = || -> Option<(Zeroizing<[u8; 64]>, [u8; 32])> {
            let rest = bytes.strip_prefix(&HEAD)?;
            let (secret, rest) = rest.split_first_chunk::<64>()?;
            let public = rest.strip_prefix(&DIVIDER)?;
            Some((Zeroizing::new(*secret), public.try_into().ok()?))
        };
        let (secret, public) = inner().ok_or(VaultError::Damaged("what is inside is no PKCS#8 of an sr25519 key"))?;
        // Those tools keep the scalar multiplied by the cofactor, as Ed25519 does; keyfiles here keep it as it is.
        let secret = SecretKey::from_ed25519_bytes(secret.as_slice())
            .map_err(|_| VaultError::Damaged("its secret is no sr25519 secret"))?;
        let key = Keypair::from_private_key(&Zeroizing::new(secret.to_bytes()))
            .map_err(|_| VaultError::Damaged("its secret is no sr25519 secret"))?;
        for stated in [Account(public), self.account] {
            if stated != key.account() {
                return Err(ExportError::Mismatch { stated, derived: key.account() });
            }
        }
        Ok(key)
    }
}

fn scrypt_key(password: &str, salt: &[u8; 32], cost: &[u8; 12]) -> Result<Zeroizing<[u8; 32]>, ExportError> {
    let number = |at: usize| cost.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    let (n, p, r) = (number(0), number(4), number(8));
    let allowed = ALLOWED.iter().find(|(log, lanes)| n == 1 << log && p == *lanes && r == 8);
    let (log, _) = allowed.ok_or_else(|| {
        ExportError::Unsupported(format!(
            "it asks for scrypt with N {n}, p {p}, r {r}, which polkadot-js does not allow"
        ))
    })?;
    let params = scrypt::Params::new(*log, r, p, 32).map_err(|_| VaultError::Memory)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.as_bytes(), salt, &params, key.as_mut_slice()).map_err(|_| VaultError::Memory)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    // Made by the npm package @polkadot/keyring 14.0.3 on Node: `new Keyring({ type, ss58Format: 42 })`,
    // `addFromUri(uri, { name }).toJson(password)`, password `correct horse 9!` (none for the plain one, `x` for ed25519).
    const SEALED: &str = include_str!("../tests/data/polkadot-js.json");
    const PLAIN: &str = include_str!("../tests/data/polkadot-js-plain.json");
    const SOFT: &str = include_str!("../tests/data/polkadot-js-soft.json");
    const ED25519: &str = include_str!("../tests/data/polkadot-js-ed25519.json");
    const PASSWORD: &str = "correct horse 9!";
    const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    fn open(json: &str, password: &str) -> Result<Keypair, ExportError> {
        Export::parse(json.as_bytes())?.open(password)
    }

    #[test]
    fn what_polkadot_js_exports_opens_with_its_password_and_signs_as_the_same_key() {
        let same = Keypair::from_phrase(WORDS).unwrap();
        let key = open(SEALED, PASSWORD).unwrap();
        assert_eq!(key.account(), same.account());
        assert_eq!(*key.private_key(), *same.private_key(), "the very secret that the words give");
        assert!(same.account().verify(b"message", &key.sign(b"message")));
        assert_eq!(open(PLAIN, "").unwrap().account(), same.account());
        assert!(!Export::parse(PLAIN.as_bytes()).unwrap().encrypted());
        // A soft derivation has no seed at all: the private key is everything.
        let soft = open(SOFT, PASSWORD).unwrap();
        assert_eq!(soft.account(), Keypair::from_uri("//Alice/soft").unwrap().account());
        assert_eq!(open(SEALED, "another").unwrap_err(), ExportError::Vault(VaultError::WrongPassword));
    }

    #[test]
    fn what_is_not_supported_or_not_whole_is_said() {
        let error = open(ED25519, "x").unwrap_err();
        assert!(matches!(&error, ExportError::Unsupported(text) if text.contains("sr25519")), "{error}");
        for (from, to, word) in [
            ("\"version\":\"3\"", "\"version\":\"2\"", "version 2"),
            ("\"pkcs8\"", "\"batch-pkcs8\"", "all accounts"),
            ("\"scrypt\"", "\"bcrypt\"", "otherwise"),
            ("5DfhGyQd", "5DfhGyQe", "address"),
            ("\"encoded\":\"", "\"encoded\":\"!", "base64"),
            ("{", "[", "line 1"),
        ] {
            let changed = SEALED.replacen(from, to, 1);
            assert_ne!(changed, SEALED);
            let error = open(&changed, PASSWORD).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        // Another's address on the outside.
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let swapped = PLAIN.replace("5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV", alice);
        assert!(matches!(open(&swapped, ""), Err(ExportError::Mismatch { .. })));
    }

    #[test]
    fn a_file_cannot_ask_for_more_work_than_polkadot_js_does() {
        let whole = Export::parse(SEALED.as_bytes()).unwrap();
        for (n, p, r) in [(1 << 20, 1, 8), (1 << 17, 2, 8), (1 << 17, 1, 16), (0, 0, 0), (u32::MAX, u32::MAX, u32::MAX)]
        {
            let mut bytes = whole.bytes.clone();
            bytes[32..44].copy_from_slice(&[n, p, r].map(u32::to_le_bytes).concat());
            let asked = Export { bytes, encrypted: true, account: whole.account };
            assert!(matches!(asked.open(PASSWORD), Err(ExportError::Unsupported(_))), "{n} {p} {r}");
        }
        for cut in 0..68 {
            let cut =
                Export { bytes: Zeroizing::new(whole.bytes[..cut].to_vec()), encrypted: true, account: whole.account };
            assert!(matches!(cut.open(PASSWORD), Err(ExportError::Vault(VaultError::Damaged(_)))));
        }
    }
}
