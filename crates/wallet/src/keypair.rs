//! One sr25519 keypair and the forms in which its secret is written down.
//!
//! Invariant: what is kept beside the pair (words, seed) gives that same pair, and is wiped when dropped.

use std::fmt;

use sp_core::{Pair as _, sr25519};
use starling_keys::{Account, Signature, Signer};
use zeroize::Zeroizing;

/// Longest phrase or secret URI looked at: 24 words of 8 letters and a path fit many times over.
const MAX_SECRET_TEXT: usize = 1024;

/// Why a text is no secret key. The text itself is never repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not 12, 15, 18, 21 or 24 words.
    #[error("the phrase has {0} words, it needs 12, 15, 18, 21 or 24")]
    WordCount(usize),
    /// Not in the English BIP-39 list.
    #[error("word {0} of the phrase is not in the English word list: a typing error?")]
    UnknownWord(usize),
    /// All words known, but not a phrase.
    #[error("the phrase fails its checksum: a word is wrong or in the wrong place")]
    Checksum,
    /// Hex of another length or with other characters.
    #[error("a seed is 64 hex digits (32 bytes), with or without 0x")]
    Seed,
    /// The 64-byte private key of a keyfile is not one.
    #[error("a private key is 128 hex digits (64 bytes) of a valid sr25519 secret")]
    PrivateKey,
    /// `//Alice`, `phrase//path///password`.
    #[error("not a secret URI: give words or a 0x seed, then an optional //hard/soft path and ///password")]
    Uri,
    /// A public key only.
    #[error("no secret: neither secretPhrase, secretSeed nor privateKey is there")]
    NoSecret,
}

/// An sr25519 keypair that signs; its secret is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Keypair {
    pair: sr25519::Pair,
    /// The words it came from, if they alone give it.
    phrase: Option<Zeroizing<String>>,
    /// The mini secret, if it has one (soft derivation leaves none).
    seed: Option<Zeroizing<[u8; 32]>>,
}

impl Keypair {
    /// A new key from the system's randomness, with a phrase of 12 words.
    #[must_use]
    pub fn generate() -> Self {
        let (pair, phrase, seed) = sr25519::Pair::generate_with_phrase(None);
        Self { pair, phrase: Some(Zeroizing::new(phrase)), seed: Some(Zeroizing::new(seed)) }
    }

    /// From 12 to 24 English words, no password. Spaces around and between do not matter.
    ///
    /// # Errors
    /// [`KeyError`], naming the position of the first wrong word, never the word.
    pub fn from_phrase(phrase: &str) -> Result<Self, KeyError> {
        let words = phrase.split_whitespace().count();
        if phrase.len() > MAX_SECRET_TEXT {
            return Err(KeyError::WordCount(words));
        }
        let phrase = Zeroizing::new(phrase.split_whitespace().collect::<Vec<_>>().join(" "));
        bip39::Mnemonic::parse_in(bip39::Language::English, phrase.as_str()).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => KeyError::UnknownWord(index + 1),
            bip39::Error::InvalidChecksum => KeyError::Checksum,
            _ => KeyError::WordCount(words),
        })?;
        let (pair, seed) = sr25519::Pair::from_phrase(&phrase, None).map_err(|_| KeyError::Checksum)?;
        Ok(Self { pair, phrase: Some(phrase), seed: Some(Zeroizing::new(seed)) })
    }

    /// From the 32-byte mini secret.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { pair: sr25519::Pair::from_seed(seed), phrase: None, seed: Some(Zeroizing::new(*seed)) }
    }

    /// From the mini secret in hex, with or without `0x`.
    ///
    /// # Errors
    /// [`KeyError::Seed`].
    pub fn from_hex_seed(text: &str) -> Result<Self, KeyError> {
        Ok(Self::from_seed(&*hex_array::<32>(text).ok_or(KeyError::Seed)?))
    }

    /// From the 64-byte private key of a keyfile.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`].
    pub fn from_private_key(secret: &[u8; 64]) -> Result<Self, KeyError> {
        // schnorrkel takes any nonce half, so the scalar half is what is checked here.
        let pair = sr25519::Pair::from_seed_slice(secret).map_err(|_| KeyError::PrivateKey)?;
        Ok(Self { pair, phrase: None, seed: None })
    }

    /// From a secret URI as the Substrate tools write it: `//Alice`, `word … word//stash`, `0x…//hard/soft`.
    ///
    /// # Errors
    /// [`KeyError::Uri`].
    pub fn from_uri(uri: &str) -> Result<Self, KeyError> {
        if uri.len() > MAX_SECRET_TEXT {
            return Err(KeyError::Uri);
        }
        let (pair, seed) = sr25519::Pair::from_string_with_seed(uri, None).map_err(|_| KeyError::Uri)?;
        Ok(Self { pair, phrase: None, seed: seed.map(Zeroizing::new) })
    }

    /// The public key, which is the account id on chain.
    #[must_use]
    pub fn account(&self) -> Account {
        Account(self.pair.public().0)
    }

    /// sr25519 over `message` under the context `substrate`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.pair.sign(message).0)
    }

    /// True if `signature` is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        self.account().verify(message, signature)
    }

    /// The words to write on paper, if the key was made from words alone.
    #[must_use]
    pub fn phrase(&self) -> Option<&str> {
        self.phrase.as_deref().map(String::as_str)
    }

    /// The 32-byte mini secret, if there is one.
    #[must_use]
    pub fn seed(&self) -> Option<&[u8; 32]> {
        self.seed.as_deref()
    }

    /// The 64-byte private key as keyfiles hold it.
    #[must_use]
    pub fn private_key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pair.to_raw_vec())
    }
}

impl Signer for Keypair {
    fn account(&self) -> Account {
        Keypair::account(self)
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Keypair::sign(self, message)
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.account())
    }
}

/// `N` bytes from hex with or without `0x`; wiped when dropped.
pub(crate) fn hex_array<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    Some(bytes)
}
