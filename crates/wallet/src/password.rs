//! Where the password of an encrypted keyfile comes from, in this order: a file, a descriptor, the environment, a prompt.
//!
//! Invariant: a password is asked for only once a file turned out to be encrypted, is wiped when dropped, and never printed.
//! Official names (chain.md 7): `BT_PW_<PATH>` holds it obfuscated ([`unobfuscate`]), `BT_WALLET_PASSWORD` plain,
//! `BT_WALLET_PASSWORD_FILE` the path of a file.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{Encryption, WalletError, vault};

/// Longest password read from a file or a descriptor, bytes.
const MAX_PASSWORD: u64 = 4096;

/// A password; wiped when dropped, never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// From text; surrounding white space is dropped, as the official tools do.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// True if there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the official variable [`variable`] holds it. Not a protection: whoever knows the variable's name reads it.
    #[must_use]
    pub fn obfuscated(&self, variable: &str) -> String {
        obfuscate(variable, self.text())
    }

    /// Encrypt a keyfile's JSON as `$NACL` with a fresh nonce.
    ///
    /// # Errors
    /// [`WalletError::Vault`].
    pub(crate) fn seal(&self, json: &[u8], path: &Path) -> Result<Vec<u8>, WalletError> {
        if self.is_empty() {
            return Err(WalletError::EmptyPassword { path: path.to_owned() });
        }
        let mut nonce = [0; vault::NONCE];
        fill_random(&mut nonce, path)?;
        vault::encrypt(json, self.text(), nonce).map_err(|source| WalletError::Vault { path: path.to_owned(), source })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

fn fill_random(bytes: &mut [u8], path: &Path) -> Result<(), WalletError> {
    getrandom::fill(bytes)
        .map_err(|e| WalletError::io("draw randomness for", path)(std::io::Error::other(e.to_string())))
}

/// Asks a person; the argument is what to show.
pub type Prompt = fn(&str) -> std::io::Result<Zeroizing<String>>;

/// Where to look for a password.
#[derive(Clone, Debug, Default)]
pub struct Passwords {
    /// Known already.
    pub known: Option<Password>,
    /// A file whose first line it is.
    pub file: Option<PathBuf>,
    /// An open descriptor whose first line it is.
    pub descriptor: Option<u32>,
    /// Whom to ask; `None` where nobody sits at a terminal.
    pub prompt: Option<Prompt>,
}

impl Passwords {
    /// The password of the keyfile at `path`, which is encrypted.
    ///
    /// # Errors
    /// [`WalletError::NoPassword`] if there is none anywhere, [`WalletError::Io`] if a given source cannot be read.
    pub fn of(&self, path: &Path, encryption: Encryption) -> Result<Password, WalletError> {
        if let Some(given) = self.given(path, |key| std::env::var(key).ok())? {
            return Ok(given);
        }
        let Some(prompt) = self.prompt else {
            return Err(WalletError::NoPassword { path: path.to_owned(), encryption, variable: variable(path) });
        };
        let text = prompt(&format!("password of {}: ", path.display())).map_err(WalletError::io("ask about", path))?;
        Ok(Password::new(&text))
    }

    /// As [`Passwords::of`], without asking anybody; `env` is the environment.
    ///
    /// # Errors
    /// [`WalletError::Io`], [`WalletError::Obfuscation`].
    pub fn given(&self, path: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Option<Password>, WalletError> {
        if let Some(known) = &self.known {
            return Ok(Some(known.clone()));
        }
        if let Some(file) = &self.file {
            return first_line(file).map(Some);
        }
        if let Some(descriptor) = self.descriptor {
            return first_line(Path::new(&format!("/proc/self/fd/{descriptor}"))).map(Some);
        }
        let name = variable(path);
        if let Some(value) = env(&name).map(Zeroizing::new).filter(|v| !v.is_empty()) {
            let text = unobfuscate(&name, &value).ok_or(WalletError::Obfuscation { variable: name })?;
            return Ok(Some(Password::new(&text)));
        }
        if let Some(value) = env("BT_WALLET_PASSWORD").map(Zeroizing::new).filter(|v| !v.is_empty()) {
            return Ok(Some(Password::new(&value)));
        }
        match env("BT_WALLET_PASSWORD_FILE").filter(|v| !v.is_empty()) {
            Some(file) => first_line(Path::new(&file)).map(Some),
            None => Ok(None),
        }
    }
}

fn first_line(path: &Path) -> Result<Password, WalletError> {
    let failed = |e| WalletError::io("read the password from", path)(e);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD as usize));
    fs::File::open(path).and_then(|f| f.take(MAX_PASSWORD).read_to_end(&mut bytes)).map_err(failed)?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(line).map_err(|_| failed(std::io::Error::other("it is not UTF-8")))?;
    Ok(Password::new(text))
}

/// The official variable for a keyfile: `BT_PW_` and its full path in capitals, `/` and `.` as `_`.
#[must_use]
pub fn variable(path: &Path) -> String {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("BT_PW_{}", full.display().to_string().replace(['/', '.'], "_").to_uppercase())
}

/// A password as the official tools keep it in a variable: XOR with the variable's name, in base64.
#[must_use]
pub fn obfuscate(variable: &str, password: &str) -> String {
    STANDARD.encode(Zeroizing::new(mask(variable, password.as_bytes())))
}

/// The reverse of [`obfuscate`]; `None` if the value is not base64 or the result no text.
#[must_use]
pub fn unobfuscate(variable: &str, value: &str) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(STANDARD.decode(value.trim()).ok()?);
    let text = Zeroizing::new(mask(variable, &bytes));
    std::str::from_utf8(&text).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn mask(variable: &str, bytes: &[u8]) -> Vec<u8> {
    bytes.iter().zip(variable.bytes().cycle()).map(|(a, b)| a ^ b).collect()
}
