//! Coldkeys and hotkeys, kept on disk as the official Bittensor wallets keep them.
//!
//! Owns sr25519 keypairs ([`Keypair`]), the JSON keyfile ([`Keyfile`]) and the directory layout ([`Wallet`]):
//! `<path>/<name>/{coldkey, coldkeypub.txt, hotkeys/<hotkey>}`, by default under `~/.bittensor/wallets`.
//!
//! Invariants: a key once written is never replaced; a file is either whole on disk or absent; secret files have mode
//! 0600 in directories of mode 0700; no secret reaches `Debug`, `Display` or an error, and memory that held one is wiped.
//!
//! Facts: `reference/chain.md`, section 7. Encrypted keyfiles ([`vault`]) are written as `$NACL` and read in all formats
//! that the official tools ever wrote; [`Passwords`] finds the password.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! use starling_keys::Signer;
//! use starling_wallet::{Keypair, Wallet, WalletLocation};
//!
//! let place = WalletLocation::new(home.path(), "owner", "validator");
//! let wallet = Wallet::create(&place, &Keypair::generate(), &Keypair::generate())?;
//! let hotkey = wallet.hotkey()?;
//! assert!(hotkey.account().verify(b"hello", &hotkey.sign(b"hello")));
//! # Ok(())
//! # }
//! ```

mod disk;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod keyfile;
mod keypair;
pub mod password;
pub mod polkadot_js;
pub mod vault;
mod wallet;

pub use error::WalletError;
pub use keyfile::{Encryption, Keyfile, MAX_KEYFILE_BYTES};
pub use keypair::{KeyError, Keypair};
pub use password::{Password, Passwords, Prompt};
pub use vault::VaultError;
pub use wallet::{HotkeyEntry, Part, Standing, Wallet, WalletEntry, WalletLocation, list};
