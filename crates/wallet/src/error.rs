//! What can go wrong with a wallet on disk, said to the person who has to mend it.

use std::{io, path::PathBuf};

use starling_keys::Account;

use crate::{Encryption, KeyError, VaultError};

/// Why a wallet could not be read or written. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// No such key on disk.
    #[error("no {what} at {}: make one with `starling wallet new`, or name another with --wallet-path, --wallet and --hotkey", path.display())]
    Missing {
        /// `coldkey`, `hotkey` or `wallet`.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A key is already there; it is left untouched.
    #[error("{} exists and is left as it is: a key is never overwritten unless --overwrite asks for it; choose another name or move the file away", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The file is encrypted.
    #[error("{} is encrypted ({encryption}): a password is needed to read it", path.display())]
    Encrypted {
        /// The keyfile.
        path: PathBuf,
        /// By which scheme.
        encryption: Encryption,
    },
    /// The file is encrypted and nobody gives a password.
    #[error("{} is encrypted ({encryption}) and there is no password: give --password-file or --password-fd, set BT_WALLET_PASSWORD, BT_WALLET_PASSWORD_FILE or {variable} (`starling wallet obfuscate` makes its value), or run this at a terminal", path.display())]
    NoPassword {
        /// The keyfile.
        path: PathBuf,
        /// By which scheme.
        encryption: Encryption,
        /// The official variable for this file.
        variable: String,
    },
    /// `BT_PW_…` does not hold what the official tools put there.
    #[error(
        "{variable} does not hold an obfuscated password: its value is base64 of the password XOR the variable's name (`starling wallet obfuscate` makes it); for a plain password use BT_WALLET_PASSWORD"
    )]
    Obfuscation {
        /// The variable.
        variable: String,
    },
    /// A password that anybody guesses.
    #[error("the password for {} is empty: nothing was encrypted; give one, or keep the key plain on purpose", path.display())]
    EmptyPassword {
        /// The keyfile.
        path: PathBuf,
    },
    /// Decrypting or encrypting failed.
    #[error("{}: {source}", path.display())]
    Vault {
        /// The keyfile.
        path: PathBuf,
        /// Why.
        source: VaultError,
    },
    /// A key exported by another tool cannot be read.
    #[error("{}: {source}", path.display())]
    Export {
        /// The file.
        path: PathBuf,
        /// Why.
        source: crate::polkadot_js::ExportError,
    },
    /// Far larger than any keyfile.
    #[error("{} has {length} bytes, a keyfile has at most {limit}: is it the right file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        length: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Not a keyfile, or a damaged one.
    #[error("{} is no readable keyfile: {reason}; restore it from a backup or from the 12 words", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its content.
        reason: String,
    },
    /// The secret and the public key in one file do not belong together.
    #[error("{} says it is {stated}, but its secret belongs to {derived}: the file was edited or made with a password", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The account written in it.
        stated: Account,
        /// The account that its secret gives.
        derived: Account,
    },
    /// A public-only file where a secret is needed.
    #[error("{} holds only the public key of {account}: signing needs the secret", path.display())]
    PublicOnly {
        /// The file.
        path: PathBuf,
        /// Whose.
        account: Account,
    },
    /// A name that would leave the wallet directory or hide in it.
    #[error("`{name}` cannot name a {what}: at most 100 bytes, no slash, not starting with a dot")]
    Name {
        /// `wallet` or `hotkey`.
        what: &'static str,
        /// What was given.
        name: String,
    },
    /// Nowhere to look.
    #[error("no wallet directory: HOME is not set; give --wallet-path or BT_WALLET_PATH")]
    NoHome,
    /// A key in a file, or given by a person, is not one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl WalletError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
