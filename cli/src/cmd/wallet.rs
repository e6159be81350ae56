//! `starling wallet`: keys on disk, in the layout and the encryption of the official tools. One file per group of subcommands.

mod import;
mod inspect;
mod make;
mod protect;
mod sign;

use clap::{Args, Subcommand, ValueEnum};
use starling_wallet::Part;

use crate::Global;

/// Make, restore, list, protect and use keys (readable by the official tools, and theirs here).
#[derive(Debug, Args)]
pub struct Wallet {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a coldkey and a hotkey. The coldkey is encrypted with a password.
    New(make::New),
    /// Make one more hotkey in a wallet (on a machine that needs no coldkey, in a new one).
    NewHotkey(make::NewHotkey),
    /// Restore a key from its words, its seed or its private key.
    Regen(make::Regen),
    /// Take over a key that polkadot-js, Talisman or SubWallet exported as JSON.
    Import(import::Import),
    /// Write the public coldkey file alone: all that a machine needs that only reads or mines.
    RegenColdkeypub(make::RegenColdkeypub),
    /// All wallets and their hotkeys.
    List,
    /// The chosen wallet's files: addresses, encryption, permissions.
    Show,
    /// Sign a message with a key of the chosen wallet.
    Sign(sign::Sign),
    /// Check a signature.
    Verify(sign::Verify),
    /// Encrypt a key, or change its password.
    Encrypt(protect::Encrypt),
    /// Keep a key unencrypted: whoever reads the file owns it.
    Decrypt(protect::Decrypt),
    /// The value of the official variable BT_PW_… for a key's password.
    Obfuscate(protect::Obfuscate),
}

/// Which key of the wallet.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Owns and pays.
    Coldkey,
    /// Works.
    Hotkey,
}

impl From<Which> for Part {
    fn from(which: Which) -> Self {
        match which {
            Which::Coldkey => Self::Coldkey,
            Which::Hotkey => Self::Hotkey,
        }
    }
}

impl Wallet {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::New(c) => c.run(global),
            Action::NewHotkey(c) => c.run(global),
            Action::Regen(c) => c.run(global),
            Action::Import(c) => c.run(global),
            Action::RegenColdkeypub(c) => c.run(global),
            Action::List => inspect::list(global),
            Action::Show => inspect::show(global),
            Action::Sign(c) => c.run(global),
            Action::Verify(c) => c.run(global),
            Action::Encrypt(c) => c.run(global),
            Action::Decrypt(c) => c.run(global),
            Action::Obfuscate(c) => c.run(global),
        }
    }
}
