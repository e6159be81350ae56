//! Who signs: account ids and the one trait by which every room signs. The ground floor of the chain half and of the swarm.
//!
//! PURE: no I/O, no clock, no threads, and no other room. Owns the 32-byte sr25519 account id, its SS58 text (prefix 42), and
//! signature verification under Substrate's context. Secrets never enter this crate: a wallet implements [`Signer`].

use std::{fmt, str::FromStr};

use blake2::{Blake2b512, Digest as _};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The signing context every Substrate chain uses for sr25519.
const CONTEXT: &[u8] = b"substrate";
/// Bittensor's SS58 network prefix.
pub const SS58_PREFIX: u8 = 42;

/// An sr25519 public key, which is also the account id on chain (32 bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct Account(pub [u8; 32]);

/// An sr25519 signature (64 bytes).
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct Signature(pub [u8; 64]);

/// Something that can sign as an account; implemented by `starling-wallet`.
pub trait Signer: Send + Sync {
    /// The account whose signatures [`Signer::sign`] makes.
    fn account(&self) -> Account;
    /// sr25519 over `message` under the context `substrate`.
    fn sign(&self, message: &[u8]) -> Signature;
}

impl<T: Signer + ?Sized> Signer for std::sync::Arc<T> {
    fn account(&self) -> Account {
        (**self).account()
    }
    fn sign(&self, message: &[u8]) -> Signature {
        (**self).sign(message)
    }
}

/// Why a text is not an account.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccountError {
    /// Not base58 at all.
    #[error("`{0}` is not base58: an account is 48 characters such as 5GrwvaEF…")]
    NotBase58(String),
    /// Decodes to a length that no 32-byte account has.
    #[error("`{text}` decodes to {length} bytes, an SS58 account has 35")]
    Length {
        /// What was given.
        text: String,
        /// Bytes it decodes to.
        length: usize,
    },
    /// Another chain's prefix.
    #[error("`{text}` has the SS58 prefix {prefix}, Bittensor's is 42: is it an address of another chain?")]
    Prefix {
        /// What was given.
        text: String,
        /// Prefix found.
        prefix: u8,
    },
    /// A typing error, most likely.
    #[error("`{0}` fails its checksum: a character was mistyped or lost")]
    Checksum(String),
}

impl Account {
    /// True if `signature` is this account's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let Ok(key) = schnorrkel::PublicKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = schnorrkel::Signature::from_bytes(&signature.0) else { return false };
        key.verify_simple(CONTEXT, message, &signature).is_ok()
    }

    fn checksum(payload: &[u8]) -> [u8; 2] {
        let mut hasher = Blake2b512::new();
        hasher.update(b"SS58PRE");
        hasher.update(payload);
        let sum = hasher.finalize();
        [sum[0], sum[1]]
    }

    /// First six characters of the SS58 text: enough to tell peers apart in a log.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(6).collect()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(35);
        bytes.push(SS58_PREFIX);
        bytes.extend_from_slice(&self.0);
        let sum = Self::checksum(&bytes);
        bytes.extend_from_slice(&sum);
        f.write_str(&base58(&bytes))
    }
}

/// Base58 of bytes that do not begin with zero, five digits at each division. (`bs58` divides once per digit, and a metagraph's thousands of
/// accounts are most of the work of printing it.)
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const FIVE_DIGITS: u64 = 58 * 58 * 58 * 58 * 58;
    // The number in base 2^32, the highest limb first.
    let mut limbs: Vec<u64> =
        bytes.rchunks(4).rev().map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte))).collect();
    // From the last digit on.
    let mut digits = Vec::with_capacity(bytes.len() * 7 / 5 + 5);
    while limbs.iter().any(|limb| *limb > 0) {
        let mut rest = limbs.iter_mut().fold(0, |rest, limb| {
            let number = rest << 32 | *limb;
            *limb = number / FIVE_DIGITS;
            number % FIVE_DIGITS
        });
        for _ in 0..5 {
            digits.push(usize::try_from(rest % 58).unwrap_or(0));
            rest /= 58;
        }
    }
    let digits = digits.into_iter().rev().skip_while(|digit| *digit == 0);
    digits.filter_map(|digit| ALPHABET.get(digit).copied().map(char::from)).collect()
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}…)", hex::encode(&self.0[..4]))
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        // The longest SS58 text of a 35-byte payload is 48 characters; anything far longer is not worth decoding.
        if text.len() > 64 {
            return Err(AccountError::NotBase58(text.chars().take(64).collect()));
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| AccountError::NotBase58(text.to_owned()))?;
        let (Some((payload, sum)), 35) = (bytes.split_last_chunk::<2>(), bytes.len()) else {
            return Err(AccountError::Length { text: text.to_owned(), length: bytes.len() });
        };
        if payload[0] != SS58_PREFIX {
            return Err(AccountError::Prefix { text: text.to_owned(), prefix: payload[0] });
        }
        if Self::checksum(payload) != *sum {
            return Err(AccountError::Checksum(text.to_owned()));
        }
        let mut account = [0; 32];
        account.copy_from_slice(&payload[1..]);
        Ok(Account(account))
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // The public key and address of the well-known development phrase.
    const BYTES: &str = "46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a";
    const TEXT: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";

    proptest::proptest! {
        #[test]
        fn addresses_are_base58_as_others_write_it(key: [u8; 32], zeros in 0..32_usize) {
            let mut key = key;
            key[..zeros].fill(0);
            let account = Account(key);
            let bytes = bs58::decode(account.to_string()).into_vec().unwrap();
            proptest::prop_assert_eq!(bs58::encode(&bytes).into_string(), account.to_string());
            proptest::prop_assert_eq!(&bytes[1..33], &key[..]);
            proptest::prop_assert_eq!(account.to_string().parse::<Account>().unwrap(), account);
        }

        #[test]
        fn a_text_that_is_no_account_never_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<Account>();
        }

        #[test]
        fn accounts_survive_their_text(bytes: [u8; 32]) {
            let account = Account(bytes);
            proptest::prop_assert_eq!(account.to_string().parse::<Account>(), Ok(account));
        }
    }

    #[test]
    fn ss58_matches_the_published_vector() {
        let account = Account(hex::decode(BYTES).unwrap().try_into().unwrap());
        assert_eq!(account.to_string(), TEXT);
        assert_eq!(TEXT.parse::<Account>().unwrap(), account);
    }

    #[test]
    fn a_mistyped_address_is_refused_and_said_so() {
        let typo = TEXT.replace("QdF", "QeF");
        assert_eq!(typo.parse::<Account>(), Err(AccountError::Checksum(typo.clone())));
    }
}
