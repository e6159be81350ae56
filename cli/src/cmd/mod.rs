//! One file per subcommand.

pub mod axon;
pub mod balance;
pub mod children;
pub mod commitment;
pub mod config;
pub mod cost;
pub mod delegates;
pub mod doctor;
pub mod extrinsic;
pub mod hyperparameters;
pub mod identity;
#[cfg(feature = "localnet")]
pub mod localnet;
pub mod metagraph;
pub mod neuron;
pub mod register;
pub mod stake;
pub mod subnet;
pub mod swap;
pub mod take;
pub mod transfer;
pub mod wallet;
pub mod weights;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use starling_chain::{BlockRef, Client, Endpoints, Options};
use starling_keys::{Account, Signature, Signer};
use starling_wallet::{Keypair, Part, Password, Passwords, Wallet, WalletLocation};
use zeroize::Zeroizing;

use crate::{Global, settings::is_here};

/// The block that a person named by its number, or the newest final one: what is read at it fits together.
pub async fn block(chain: &Client, number: Option<u32>) -> anyhow::Result<BlockRef> {
    match (number, at(chain, number).await?) {
        (Some(number), Some(hash)) => Ok(BlockRef { number, hash }),
        _ => Ok(chain.head().await?),
    }
}

/// The hash of a block that a person named by its number; `None` for the newest.
pub async fn at(chain: &Client, block: Option<u32>) -> anyhow::Result<Option<[u8; 32]>> {
    let Some(number) = block else { return Ok(None) };
    let head = chain.head().await?.number;
    if number > head {
        return Err(
            crate::exit::Refused(format!("block {number} is not there yet: the newest final one is {head}")).into()
        );
    }
    match chain.block_hash(number).await? {
        Some(hash) => Ok(Some(hash)),
        None => Err(crate::exit::Refused(format!("the node does not know block {number}")).into()),
    }
}

/// Who signs.
pub enum Hand {
    /// With this key.
    Key(Box<Keypair>),
    /// Nobody yet: a dry run ends before the signature.
    Named(Account),
}

impl Signer for Hand {
    fn account(&self) -> Account {
        match self {
            Self::Key(key) => key.account(),
            Self::Named(account) => *account,
        }
    }

    fn sign(&self, message: &[u8]) -> Signature {
        match self {
            Self::Key(key) => key.sign(message),
            // A rehearsing client never asks; no chain takes this for a signature.
            Self::Named(_) => Signature([0; 64]),
        }
    }
}

fn ask(prompt: &str) -> std::io::Result<Zeroizing<String>> {
    rpassword::prompt_password(prompt).map(Zeroizing::new)
}

/// A new password, typed twice.
pub fn ask_twice(prompt: &str) -> anyhow::Result<Password> {
    ensure!(std::io::stdin().is_terminal(), "no terminal to ask for the new password at: give --new-password-file");
    let first = ask(prompt)?;
    ensure!(*first == *ask("again: ")?, "the two passwords differ: nothing was changed");
    Ok(Password::new(&first))
}

/// `starling/metadata` in the XDG cache folder.
fn cache_folder() -> Option<PathBuf> {
    let variable = |key: &str| std::env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(folder.join("starling/metadata"))
}

impl Global {
    /// How the chain is reached.
    pub fn endpoints(&self) -> Endpoints {
        // A chain on this machine answers as fast as the disk, and its runtime may be rebuilt under the same version.
        let elsewhere = !self.endpoints.iter().all(|url| is_here(url));
        let cache = if elsewhere { cache_folder() } else { None };
        Endpoints { urls: self.endpoints.clone(), genesis: self.genesis, cache, ..Endpoints::default() }
    }

    /// Connect to the chain within the timeout.
    pub async fn chain(&self) -> anyhow::Result<Client> {
        let options = Options {
            timeout: Duration::from_secs(self.timeout),
            inclusion_timeout: Duration::from_secs(self.inclusion_timeout),
        };
        let chain = Client::connect_to(&self.endpoints(), options).await?;
        Ok(if self.dry_run { chain.rehearsing() } else { chain })
    }

    /// As [`Global::chain`], for a command that writes once: the chain's rules are read before it is asked. With `--dry-run` every write
    /// ends as `ChainError::Rehearsed`, which [`extrinsic::show`] prints.
    pub async fn writer(&self) -> anyhow::Result<Client> {
        let chain = self.chain().await?;
        Ok(if self.dry_run { chain } else { chain.careful() })
    }

    /// Who signs as one of the chosen wallet's keys. With `--dry-run` its account is enough: no password is asked for.
    pub fn signer(&self, part: Part) -> anyhow::Result<Hand> {
        if self.dry_run {
            return Ok(Hand::Named(match part {
                Part::Hotkey => self.hotkey_account()?,
                _ => self.location()?.coldkey_account()?,
            }));
        }
        Ok(Hand::Key(Box::new(Wallet::open(&self.location()?)?.key(part, &self.passwords())?)))
    }

    /// A command that sends many transactions, or one that is signed already, has nothing to rehearse.
    pub fn no_dry_run(&self, command: &str) -> anyhow::Result<()> {
        if self.dry_run {
            let text = format!(
                "--dry-run shows one transaction before it is signed; it has no meaning with `starling {command}`"
            );
            return Err(crate::exit::Usage(text).into());
        }
        Ok(())
    }

    /// Where the chosen wallet lies.
    pub fn location(&self) -> anyhow::Result<WalletLocation> {
        let env = |key: &str| std::env::var(key).ok();
        Ok(WalletLocation::resolve(Some(&self.wallet_path), Some(&self.wallet), Some(&self.hotkey), env)?)
    }

    /// Where passwords of encrypted keys come from.
    pub fn passwords(&self) -> Passwords {
        Passwords {
            known: None,
            file: self.password_file.clone(),
            descriptor: self.password_fd,
            prompt: std::io::stdin().is_terminal().then_some(ask),
        }
    }

    /// A password for a key that is to be encrypted: given, or asked for twice.
    pub fn new_password(&self, path: &Path) -> anyhow::Result<Password> {
        let given = self.passwords().given(path, |key| std::env::var(key).ok())?;
        let password = match given {
            Some(password) => password,
            None if std::io::stdin().is_terminal() => ask_twice(&format!("a password for {}: ", path.display()))?,
            None => bail!(
                "no password to encrypt {} with: give --password-file or --password-fd, set BT_WALLET_PASSWORD, or keep it plain with --no-password",
                path.display()
            ),
        };
        ensure!(!password.is_empty(), "the password is empty: to keep a key plain say --no-password");
        Ok(password)
    }

    /// The chosen hotkey's pair.
    pub fn hotkey(&self) -> anyhow::Result<Keypair> {
        Ok(Wallet::open(&self.location()?)?.key(Part::Hotkey, &self.passwords())?)
    }

    /// The chosen hotkey's account, for which no password is needed.
    pub fn hotkey_account(&self) -> anyhow::Result<Account> {
        Ok(Wallet::open(&self.location()?)?.hotkey_account()?)
    }

    /// A hotkey given by its address, or by its name in the chosen wallet.
    pub fn hotkey_named(&self, given: &str) -> anyhow::Result<Account> {
        let unread = match given.parse::<Account>() {
            Ok(account) => return Ok(account),
            Err(unread) => unread,
        };
        let location = WalletLocation { hotkey: given.to_owned(), ..self.location()? };
        let known = Wallet::open(&location).and_then(|wallet| wallet.hotkey_account());
        known.with_context(|| format!("`{given}` is no address ({unread}), and no hotkey of the wallet"))
    }

    /// The chosen coldkey's pair.
    pub fn coldkey(&self) -> anyhow::Result<Keypair> {
        Ok(Wallet::open(&self.location()?)?.key(Part::Coldkey, &self.passwords())?)
    }

    /// An account given as SS58 text, or the wallet's coldkey.
    pub fn account_or_coldkey(&self, given: Option<&str>) -> anyhow::Result<Account> {
        match given {
            Some(text) => text.parse().with_context(|| "not an account"),
            None => Ok(self.location()?.coldkey_account()?),
        }
    }
}
