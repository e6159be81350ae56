//! Encrypted keyfiles: what a password turns into the JSON of a key, and back (chain.md 7).
//!
//! Pure: bytes to bytes; the nonce is an argument. Written is `$NACL` only, as the official tools write it today: nonce,
//! Poly1305 tag, XSalsa20 of the JSON, under a key that Argon2i makes from the password with libsodium's "sensitive" cost
//! (512 MiB, 8 passes: about a second on a present machine, and the memory must be there). Read are also ansible-vault 1.1
//! and Fernet, which older tools wrote.
//!
//! Invariant: no length of a foreign file leads to a panic or to more than the file's own size in memory (but for Argon2's),
//! and nothing is decrypted before its authenticator has been checked.

use aes::cipher::{BlockDecryptMut, KeyIvInit, StreamCipher, block_padding::Pkcs7};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use crypto_secretbox::{
    XSalsa20Poly1305,
    aead::{Aead, KeyInit},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Encryption;

/// What every `$NACL` file begins with.
const NACL: &[u8] = b"$NACL";
/// Bytes of a `$NACL` file's nonce.
pub const NONCE: usize = 24;
/// libsodium's argon2i13 "sensitive": passes, KiB, and the one salt that all Bittensor wallets share.
const PASSES: u32 = 8;
const KIB: u32 = 512 * 1024;
const SALT: [u8; 16] = [0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc, 0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1];
/// Rounds and salt of the Fernet files.
const FERNET_ROUNDS: u32 = 10_000_000;
const FERNET_SALT: &[u8] = b"Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins";
/// Rounds of ansible-vault.
const ANSIBLE_ROUNDS: u32 = 10_000;

/// Why a keyfile could not be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The authenticator does not fit: almost always the password, else the file is damaged.
    #[error("the password is wrong, or the file is damaged")]
    WrongPassword,
    /// Not laid out as its first bytes promise.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// Argon2 did not get its memory.
    #[error("no 512 MiB of memory to turn the password into a key")]
    Memory,
}

/// Turn an encrypted keyfile into the JSON inside.
///
/// # Errors
/// [`VaultError`].
pub fn decrypt(bytes: &[u8], encryption: Encryption, password: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    match encryption {
        Encryption::Nacl => nacl(bytes, &*nacl_key(password)?),
        Encryption::AnsibleVault => ansible(bytes, password),
        Encryption::Fernet => fernet(bytes, &fernet_key(password)),
    }
}

/// Encrypt a keyfile's JSON as `$NACL`. A nonce must never be used twice with one password.
///
/// # Errors
/// [`VaultError::Memory`].
pub fn encrypt(json: &[u8], password: &str, nonce: [u8; NONCE]) -> Result<Vec<u8>, VaultError> {
    let cipher = XSalsa20Poly1305::new(nacl_key(password)?.as_slice().into());
    let sealed = cipher.encrypt(&nonce.into(), json).map_err(|_| VaultError::Damaged("it is too long"))?;
    Ok([NACL, &nonce, &sealed].concat())
}

fn nacl_key(password: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(KIB, PASSES, 1, Some(32)).map_err(|_| VaultError::Memory)?;
    // Reserved by hand, so that a machine without the memory gets an error and not an abort.
    let mut blocks = Zeroizing::new(Vec::new());
    blocks.try_reserve_exact(params.block_count()).map_err(|_| VaultError::Memory)?;
    blocks.resize(params.block_count(), argon2::Block::default());
    let argon = Argon2::new(Algorithm::Argon2i, Version::V0x13, params);
    argon
        .hash_password_into_with_memory(password.as_bytes(), &SALT, key.as_mut_slice(), &mut blocks)
        .map_err(|_| VaultError::Memory)?;
    Ok(key)
}

fn nacl(bytes: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let rest = bytes.strip_prefix(NACL).ok_or(VaultError::Damaged("it does not begin with $NACL"))?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(VaultError::Damaged("it ends within the nonce"))?;
    let cipher = XSalsa20Poly1305::new(key.into());
    cipher.decrypt(nonce.into(), sealed).map(Zeroizing::new).map_err(|_| VaultError::WrongPassword)
}

/// For the fuzzer: everything but the making of keys, with authenticators that fit.
pub(crate) fn read_sealed(bytes: &[u8]) {
    let _ = nacl(bytes, &[7; 32]);
    let _ = nacl(&[NACL, bytes].concat(), &[7; 32]);
    let _ = fernet(bytes, &[7; 32]);
    let token = |signed: &[u8]| {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&[7; 16]).ok()?;
        mac.update(signed);
        let token = [signed, &mac.finalize().into_bytes()].concat();
        Some(base64::engine::general_purpose::URL_SAFE.encode(token))
    };
    if let Some(token) = token(bytes) {
        let _ = fernet(token.as_bytes(), &[7; 32]);
    }
    if let Ok((_, _, content)) = ansible_parts(bytes) {
        let _ = unpad(content);
    }
    let _ = unpad(Zeroizing::new(bytes.to_vec()));
}

type AnsibleParts = (Vec<u8>, Vec<u8>, Zeroizing<Vec<u8>>);

/// ansible-vault 1.1: a header line, then hex of three hex lines: salt, HMAC, ciphertext.
fn ansible_parts(bytes: &[u8]) -> Result<AnsibleParts, VaultError> {
    let text = std::str::from_utf8(bytes).map_err(|_| VaultError::Damaged("it is not text"))?;
    let (header, body) = text.split_once('\n').ok_or(VaultError::Damaged("it has only one line"))?;
    if !header.trim_end().ends_with(";AES256") {
        return Err(VaultError::Damaged("its header does not say AES256"));
    }
    let digits: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = hex::decode(digits).map_err(|_| VaultError::Damaged("its lines are not hex"))?;
    let mut parts = inner.split(|b| *b == b'\n').map(hex::decode);
    let mut part = || parts.next().and_then(Result::ok).ok_or(VaultError::Damaged("it lacks salt, HMAC or content"));
    Ok((part()?, part()?, Zeroizing::new(part()?)))
}

fn ansible(bytes: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (salt, mac, mut content) = ansible_parts(bytes)?;
    let mut keys = Zeroizing::new([0; 80]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, ANSIBLE_ROUNDS, keys.as_mut_slice());
    let (cipher_key, rest) = keys.split_at(32);
    let (mac_key, iv) = rest.split_at(32);
    verify(mac_key, &content, &mac)?;
    ctr::Ctr128BE::<aes::Aes256>::new(cipher_key.into(), iv.into()).apply_keystream(&mut content);
    unpad(content)
}

/// PKCS#7 to 16 bytes.
fn unpad(mut content: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let padding = content.last().copied().map(usize::from).filter(|n| (1..=16).contains(n));
    let length = padding.and_then(|n| content.len().checked_sub(n)).ok_or(VaultError::Damaged("its padding"))?;
    content.truncate(length);
    Ok(content)
}

fn fernet_key(password: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), FERNET_SALT, FERNET_ROUNDS, key.as_mut_slice());
    key
}

/// Fernet: version 0x80, time 8, IV 16, AES-128-CBC, HMAC-SHA256 32; the first half of the key signs, the second encrypts.
fn fernet(bytes: &[u8], key: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let text: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let token =
        base64::engine::general_purpose::URL_SAFE.decode(text).map_err(|_| VaultError::Damaged("it is not base64"))?;
    let (signed, mac) = token.split_last_chunk::<32>().ok_or(VaultError::Damaged("it is too short"))?;
    let (mac_key, cipher_key) = key.split_at(16);
    verify(mac_key, signed, mac)?;
    let body = signed.strip_prefix(&[0x80]).and_then(|rest| rest.get(8..)).unwrap_or_default();
    let (iv, content) = body.split_first_chunk::<16>().ok_or(VaultError::Damaged("it is too short"))?;
    let mut content = Zeroizing::new(content.to_vec());
    let length = cbc::Decryptor::<aes::Aes128>::new(cipher_key.into(), iv.into())
        .decrypt_padded_mut::<Pkcs7>(&mut content)
        .map_err(|_| VaultError::Damaged("its padding"))?
        .len();
    content.truncate(length);
    Ok(content)
}

fn verify(key: &[u8], message: &[u8], tag: &[u8]) -> Result<(), VaultError> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).map_err(|_| VaultError::Damaged("its key"))?;
    mac.update(message);
    mac.verify_slice(tag).map_err(|_| VaultError::WrongPassword)
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
