//! The JSON of one keyfile (chain.md 7): what is written, and how tolerantly it is read.
//!
//! Written without `cryptoType`, which wallet 4.0.0 cannot read; read with or without it, with fields missing or null.
//! Secrets come first to last from `secretPhrase`, `secretSeed`, `privateKey`, as btwallet takes them.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use starling_keys::Account;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Keypair, Passwords, WalletError, keypair::hex_array, vault};

/// Longest keyfile read; real ones have under 600 bytes, encrypted ones under 1000.
pub const MAX_KEYFILE_BYTES: u64 = 64 * 1024;

/// How a keyfile is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `$NACL`: Argon2i and XSalsa20-Poly1305; what the official tools write today.
    Nacl,
    /// `$ANSIBLE_VAULT`.
    AnsibleVault,
    /// `gAAAAA`: Fernet, the oldest.
    Fernet,
}

impl Encryption {
    /// By the file's first bytes.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"$NACL") {
            Some(Self::Nacl)
        } else if bytes.starts_with(b"$ANSIBLE_VAULT") {
            Some(Self::AnsibleVault)
        } else if bytes.starts_with(b"gAAAAA") {
            Some(Self::Fernet)
        } else {
            None
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nacl => "$NACL",
            Self::AnsibleVault => "ansible-vault",
            Self::Fernet => "Fernet",
        })
    }
}

#[derive(Serialize, Deserialize, Default, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_phrase: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_seed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ss58_address: Option<String>,
    /// 1 = sr25519, 0 = ed25519; newer official tools write it.
    #[serde(default, skip_serializing)]
    crypto_type: Option<u64>,
}

/// What one keyfile holds.
#[derive(Debug, Clone)]
pub enum Keyfile {
    /// A key that can sign.
    Secret(Box<Keypair>),
    /// An account only, as in `coldkeypub.txt`.
    Public(Account),
}

impl Keyfile {
    /// Whose key it is.
    #[must_use]
    pub fn account(&self) -> Account {
        match self {
            Self::Secret(pair) => pair.account(),
            Self::Public(account) => *account,
        }
    }

    /// Reads a keyfile's bytes, encrypted or not; a password is looked for only if it is. `path` is for messages and for the
    /// password's variable.
    ///
    /// # Errors
    /// As [`Keyfile::parse`] and [`Passwords::of`], and [`WalletError::Vault`].
    pub fn open(bytes: &[u8], path: &Path, passwords: &Passwords) -> Result<Self, WalletError> {
        let Some(encryption) = Encryption::detect(bytes).filter(|_| bytes.len() as u64 <= MAX_KEYFILE_BYTES) else {
            return Self::parse(bytes, path);
        };
        let password = passwords.of(path, encryption)?;
        let json = vault::decrypt(bytes, encryption, password.text())
            .map_err(|source| WalletError::Vault { path: path.to_owned(), source })?;
        Self::parse(&json, path)
    }

    /// Reads a keyfile's bytes that are not encrypted; `path` is only for messages.
    ///
    /// # Errors
    /// [`WalletError::Encrypted`], [`WalletError::TooLarge`], [`WalletError::Malformed`], [`WalletError::Mismatch`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, WalletError> {
        let length = bytes.len() as u64;
        if length > MAX_KEYFILE_BYTES {
            return Err(WalletError::TooLarge { path: path.to_owned(), length, limit: MAX_KEYFILE_BYTES });
        }
        if let Some(encryption) = Encryption::detect(bytes) {
            return Err(WalletError::Encrypted { path: path.to_owned(), encryption });
        }
        let malformed = |reason: String| WalletError::Malformed { path: path.to_owned(), reason };
        // serde's own message quotes the value it dislikes, which may be the secret: only the place is told.
        let fields: Fields = serde_json::from_slice(bytes).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Data => "a field has the wrong type",
                _ => "it is not JSON",
            };
            malformed(format!("{kind} (line {}, column {})", error.line(), error.column()))
        })?;
        if let Some(other) = fields.crypto_type.filter(|kind| *kind != 1) {
            return Err(malformed(format!("cryptoType is {other}, the chain's neurons sign with sr25519 (1)")));
        }
        let stated = fields.stated().map_err(malformed)?;
        let Some(pair) = fields.secret().map_err(|error| malformed(error.to_string()))? else {
            return stated
                .map(Self::Public)
                .ok_or_else(|| malformed("it holds neither a secret nor an account".into()));
        };
        match stated {
            Some(stated) if stated != pair.account() => {
                Err(WalletError::Mismatch { path: path.to_owned(), stated, derived: pair.account() })
            }
            _ => Ok(Self::Secret(Box::new(pair))),
        }
    }

    /// The JSON of a file that holds the secret.
    #[must_use]
    pub fn secret_json(pair: &Keypair) -> Zeroizing<String> {
        let mut fields = Fields::public(&pair.account());
        fields.private_key = Some(hex0x(&pair.private_key()));
        fields.secret_phrase = pair.phrase().map(str::to_owned);
        fields.secret_seed = pair.seed().map(|seed| hex0x(seed));
        fields.json()
    }

    /// The JSON of a public file (`coldkeypub.txt`).
    #[must_use]
    pub fn public_json(account: &Account) -> Zeroizing<String> {
        Fields::public(account).json()
    }
}

impl Fields {
    // `Fields` wipes itself when dropped, so struct update syntax cannot move out of a default one.
    #[allow(clippy::field_reassign_with_default)]
    fn public(account: &Account) -> Self {
        let id = hex0x(&account.0);
        let mut fields = Self::default();
        fields.account_id = Some(id.clone());
        fields.public_key = Some(id);
        fields.ss58_address = Some(account.to_string());
        fields
    }

    fn json(&self) -> Zeroizing<String> {
        // Six optional strings always serialise; an empty text would be refused when read back.
        Zeroizing::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// The account that the file claims to hold, from whichever field says so.
    fn stated(&self) -> Result<Option<Account>, String> {
        if let Some(text) = filled(&self.ss58_address) {
            return text.parse().map(Some).map_err(|error| format!("ss58Address: {error}"));
        }
        for (name, field) in [("publicKey", &self.public_key), ("accountId", &self.account_id)] {
            if let Some(text) = filled(field) {
                let bytes = hex_array::<32>(text).ok_or_else(|| format!("{name} is not 64 hex digits"))?;
                return Ok(Some(Account(*bytes)));
            }
        }
        Ok(None)
    }

    fn secret(&self) -> Result<Option<Keypair>, crate::KeyError> {
        if let Some(phrase) = filled(&self.secret_phrase) {
            return Keypair::from_phrase(phrase).map(Some);
        }
        if let Some(seed) = filled(&self.secret_seed) {
            return Keypair::from_hex_seed(seed).map(Some);
        }
        if let Some(key) = filled(&self.private_key) {
            let bytes = hex_array::<64>(key).ok_or(crate::KeyError::PrivateKey)?;
            return Keypair::from_private_key(&bytes).map(Some);
        }
        Ok(None)
    }
}

fn filled(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.trim().is_empty())
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
