//! The directory layout: `<path>/<name>/{coldkey, coldkeypub.txt, hotkeys/<hotkey>}`.
//!
//! Invariant: names never lead out of the wallet directory, and no existing key is replaced.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use starling_keys::Account;

use crate::{Encryption, Keyfile, Keypair, Password, Passwords, WalletError, disk};

/// Most entries listed in one directory.
const MAX_LISTED: usize = 10_000;

/// Where a wallet is: directory of all wallets, wallet name, hotkey name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletLocation {
    /// The directory of all wallets, by default `~/.bittensor/wallets`.
    pub path: PathBuf,
    /// The wallet (coldkey) name, by default `default`.
    pub name: String,
    /// The hotkey name, by default `default`.
    pub hotkey: String,
}

impl WalletLocation {
    /// A location from its three parts.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>, hotkey: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into(), hotkey: hotkey.into() }
    }

    /// `BT_WALLET_PATH`, `BT_WALLET_NAME` (or `BT_WALLET`) and `BT_WALLET_HOTKEY`, else the official defaults. A leading `~`
    /// is the home directory.
    ///
    /// # Errors
    /// [`WalletError::NoHome`] if the home directory is needed and `HOME` is not set.
    pub fn from_env() -> Result<Self, WalletError> {
        Self::resolve(None, None, None, |key| std::env::var(key).ok())
    }

    /// As [`WalletLocation::from_env`], with what the person gave first, and the environment as an argument.
    ///
    /// # Errors
    /// As [`WalletLocation::from_env`].
    pub fn resolve(
        path: Option<&str>,
        name: Option<&str>,
        hotkey: Option<&str>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, WalletError> {
        let env = |key: &str| env(key).filter(|value| !value.is_empty());
        let pick = |given: Option<&str>, keys: &[&str], default: &str| {
            given.map(str::to_owned).or_else(|| keys.iter().find_map(|key| env(key))).unwrap_or(default.to_owned())
        };
        let path = pick(path, &["BT_WALLET_PATH"], "~/.bittensor/wallets");
        let path = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                PathBuf::from(env("HOME").ok_or(WalletError::NoHome)?).join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(path),
        };
        let name = pick(name, &["BT_WALLET_NAME", "BT_WALLET"], "default");
        Ok(Self { path, name, hotkey: pick(hotkey, &["BT_WALLET_HOTKEY"], "default") })
    }

    /// The wallet's own directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// The coldkey file.
    #[must_use]
    pub fn coldkey_path(&self) -> PathBuf {
        self.directory().join("coldkey")
    }

    /// The coldkey's public file.
    #[must_use]
    pub fn coldkeypub_path(&self) -> PathBuf {
        self.directory().join("coldkeypub.txt")
    }

    /// The hotkey file.
    #[must_use]
    pub fn hotkey_path(&self) -> PathBuf {
        self.directory().join("hotkeys").join(&self.hotkey)
    }

    /// The hotkey's public file, which stands beside an encrypted hotkey.
    #[must_use]
    pub fn hotkeypub_path(&self) -> PathBuf {
        self.directory().join("hotkeys").join(format!("{}pub.txt", self.hotkey))
    }

    /// The coldkey of the wallet here, ready to sign.
    ///
    /// # Errors
    /// As [`Wallet::open`] and [`Wallet::coldkey`].
    pub fn coldkey(&self) -> Result<Keypair, WalletError> {
        Wallet::open(self)?.coldkey()
    }

    /// The hotkey of the wallet here, ready to sign.
    ///
    /// # Errors
    /// As [`Wallet::open`] and [`Wallet::hotkey`].
    pub fn hotkey(&self) -> Result<Keypair, WalletError> {
        Wallet::open(self)?.hotkey()
    }

    /// The coldkey's account of the wallet here.
    ///
    /// # Errors
    /// As [`Wallet::open`] and [`Wallet::coldkey_account`].
    pub fn coldkey_account(&self) -> Result<Account, WalletError> {
        Wallet::open(self)?.coldkey_account()
    }

    fn check(&self) -> Result<(), WalletError> {
        check_name("wallet", &self.name)?;
        check_name("hotkey", &self.hotkey)
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), WalletError> {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
    let good = !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && !name.contains(bad);
    if good { Ok(()) } else { Err(WalletError::Name { what, name: name.chars().take(100).collect() }) }
}

/// Which key of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The one that owns and pays.
    Coldkey,
    /// The one that works.
    Hotkey,
}

impl Part {
    /// `coldkey` or `hotkey`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Coldkey => "coldkey",
            Self::Hotkey => "hotkey",
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(self, location: &WalletLocation) -> PathBuf {
        match self {
            Self::Coldkey => location.coldkey_path(),
            Self::Hotkey => location.hotkey_path(),
        }
    }

    fn public_path(self, location: &WalletLocation) -> PathBuf {
        match self {
            Self::Coldkey => location.coldkeypub_path(),
            Self::Hotkey => location.hotkeypub_path(),
        }
    }
}

/// How a key lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its file.
    pub path: PathBuf,
    /// True if the file is there.
    pub exists: bool,
    /// Whose it is, as far as it can be told without a password.
    pub account: Option<Account>,
    /// The encryption's name, or `None` for a plain file.
    pub encryption: Option<String>,
    /// The file's permission bits, where there are such.
    pub mode: Option<u32>,
    /// Why the account cannot be told.
    pub problem: Option<String>,
}

/// A wallet on disk. Keys are read when asked for, not before.
#[derive(Debug, Clone)]
pub struct Wallet {
    location: WalletLocation,
}

impl Wallet {
    /// Writes one key of a wallet, whose directory may be new: encrypted if there is a password, the public file beside it.
    /// An existing key is replaced only if `overwrite` says so.
    ///
    /// # Errors
    /// [`WalletError::Exists`], [`WalletError::Name`], [`WalletError::Vault`], [`WalletError::Io`].
    pub fn write(
        location: &WalletLocation,
        part: Part,
        key: &Keypair,
        password: Option<&Password>,
        overwrite: bool,
    ) -> Result<Self, WalletError> {
        location.check()?;
        let path = part.path(location);
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(WalletError::Exists { path });
        }
        // An address that another key left here may be all that its owner has of it.
        let public = part.public_path(location);
        if !overwrite && public.symlink_metadata().is_ok() {
            let same = load(&public, part.name()).is_ok_and(|file| file.account() == key.account());
            if !same {
                return Err(WalletError::Exists { path: public });
            }
        }
        let json = Keyfile::secret_json(key);
        let sealed = password.map(|p| p.seal(json.as_bytes(), &path)).transpose()?;
        disk::create_dir(path.parent().unwrap_or(&path))?;
        let put = if overwrite { disk::replace } else { disk::write_new };
        put(&path, sealed.as_deref().unwrap_or(json.as_bytes()))?;
        if part == Part::Coldkey || sealed.is_some() || public.exists() {
            disk::replace(&public, Keyfile::public_json(&key.account()).as_bytes())?;
        }
        Ok(Self { location: location.clone() })
    }

    /// Writes `coldkeypub.txt` alone: a machine that only reads, or where hotkeys live, needs no coldkey.
    ///
    /// # Errors
    /// As [`Wallet::write`].
    pub fn write_coldkeypub(
        location: &WalletLocation,
        coldkey: &Account,
        overwrite: bool,
    ) -> Result<Self, WalletError> {
        location.check()?;
        let path = location.coldkeypub_path();
        disk::create_dir(&location.directory())?;
        let put = if overwrite { disk::replace } else { disk::write_new };
        put(&path, Keyfile::public_json(coldkey).as_bytes())?;
        Ok(Self { location: location.clone() })
    }

    /// Changes how a key is kept: encrypted with a new password, or not encrypted at all. The file is replaced at once.
    ///
    /// # Errors
    /// As [`Wallet::key`] and [`Wallet::write`].
    pub fn reseal(&self, part: Part, old: &Passwords, new: Option<&Password>) -> Result<Account, WalletError> {
        let key = self.key(part, old)?;
        Self::write(&self.location, part, &key, new, true)?;
        Ok(key.account())
    }

    /// A key, ready to sign; `passwords` are asked only if its file is encrypted.
    ///
    /// # Errors
    /// [`WalletError`], of which [`WalletError::NoPassword`], [`WalletError::Vault`] and [`WalletError::PublicOnly`] are the
    /// usual ones.
    pub fn key(&self, part: Part, passwords: &Passwords) -> Result<Keypair, WalletError> {
        let path = part.path(&self.location);
        match Keyfile::open(&disk::read(&path, part.name())?, &path, passwords)? {
            Keyfile::Secret(pair) => Ok(*pair),
            Keyfile::Public(account) => Err(WalletError::PublicOnly { path, account }),
        }
    }

    /// How a key lies on disk, without its password.
    #[must_use]
    pub fn standing(&self, part: Part) -> Standing {
        let path = part.path(&self.location);
        let account = match part {
            Part::Coldkey => self.coldkey_account(),
            Part::Hotkey => self.hotkey_account(),
        };
        #[cfg(unix)]
        let mode = fs::metadata(&path).ok().map(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o777);
        #[cfg(not(unix))]
        let mode = None;
        let encryption = disk::read(&path, part.name()).ok().and_then(|bytes| Encryption::detect(&bytes));
        let (account, problem) = match account {
            Ok(account) => (Some(account), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Standing { exists: path.exists(), path, account, encryption: encryption.map(|e| e.to_string()), mode, problem }
    }

    /// Writes a new wallet: coldkey, its public file, and one hotkey, unencrypted.
    ///
    /// # Errors
    /// [`WalletError::Exists`] if any of the three is there already (then nothing is written), [`WalletError::Name`],
    /// [`WalletError::Io`].
    pub fn create(location: &WalletLocation, coldkey: &Keypair, hotkey: &Keypair) -> Result<Self, WalletError> {
        location.check()?;
        for path in [location.coldkey_path(), location.coldkeypub_path(), location.hotkey_path()] {
            if path.symlink_metadata().is_ok() {
                return Err(WalletError::Exists { path });
            }
        }
        Self::write(location, Part::Coldkey, coldkey, None, false)?;
        Self::create_hotkey(location, hotkey)
    }

    /// Adds a hotkey to a wallet (whose directory may be new: a miner's machine needs no coldkey).
    ///
    /// # Errors
    /// [`WalletError::Exists`], [`WalletError::Name`], [`WalletError::Io`].
    pub fn create_hotkey(location: &WalletLocation, hotkey: &Keypair) -> Result<Self, WalletError> {
        Self::write(location, Part::Hotkey, hotkey, None, false)
    }

    /// Opens a wallet that exists; reads no key yet.
    ///
    /// # Errors
    /// [`WalletError::Missing`], [`WalletError::Name`].
    pub fn open(location: &WalletLocation) -> Result<Self, WalletError> {
        location.check()?;
        let path = location.directory();
        if !path.is_dir() {
            return Err(WalletError::Missing { what: "wallet", path });
        }
        Ok(Self { location: location.clone() })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &WalletLocation {
        &self.location
    }

    /// The hotkey, ready to sign; if it is encrypted, the environment has the password.
    ///
    /// # Errors
    /// As [`Wallet::key`].
    pub fn hotkey(&self) -> Result<Keypair, WalletError> {
        self.key(Part::Hotkey, &Passwords::default())
    }

    /// The coldkey, ready to sign; if it is encrypted, the environment has the password.
    ///
    /// # Errors
    /// As [`Wallet::key`].
    pub fn coldkey(&self) -> Result<Keypair, WalletError> {
        self.key(Part::Coldkey, &Passwords::default())
    }

    /// The hotkey's account.
    ///
    /// # Errors
    /// [`WalletError`]; of an encrypted hotkey that older tools wrote it cannot be told: they left no public file.
    pub fn hotkey_account(&self) -> Result<Account, WalletError> {
        hotkey_account(&self.location)
    }

    /// The coldkey's account, from `coldkeypub.txt`, or from the coldkey if that is missing.
    ///
    /// # Errors
    /// [`WalletError`] of whichever file was read last.
    pub fn coldkey_account(&self) -> Result<Account, WalletError> {
        match load(&self.location.coldkeypub_path(), "coldkey") {
            Ok(file) => Ok(file.account()),
            Err(WalletError::Missing { .. }) => {
                load(&self.location.coldkey_path(), "coldkey").map(|file| file.account())
            }
            Err(error) => Err(error),
        }
    }
}

/// All wallets under `path`, by name; unreadable keys are listed with their reason. No directory means no wallets.
///
/// # Errors
/// [`WalletError::Io`] if the directory cannot be listed.
pub fn list(path: &Path) -> Result<Vec<WalletEntry>, WalletError> {
    let mut wallets = Vec::new();
    for name in names(path, true)? {
        let location = WalletLocation::new(path, &name, "default");
        let wallet = Wallet { location };
        let mut hotkeys = Vec::new();
        for hotkey in names(&wallet.location.directory().join("hotkeys"), false)? {
            // Newer tools write `<hotkey>pub.txt` beside the hotkey: it is not another one.
            if hotkey.ends_with("pub.txt") {
                continue;
            }
            let account = hotkey_account(&WalletLocation::new(path, &wallet.location.name, &hotkey));
            hotkeys.push(HotkeyEntry::new(hotkey, account));
        }
        let coldkey = HotkeyEntry::new(name, wallet.coldkey_account());
        wallets.push(WalletEntry { name: coldkey.name, coldkey: coldkey.account, problem: coldkey.problem, hotkeys });
    }
    Ok(wallets)
}

/// One wallet as [`list`] found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WalletEntry {
    /// Its directory's name.
    pub name: String,
    /// Its coldkey's account, if readable.
    pub coldkey: Option<Account>,
    /// Why it is not.
    pub problem: Option<String>,
    /// Its hotkeys, by name.
    pub hotkeys: Vec<HotkeyEntry>,
}

/// One hotkey of a [`WalletEntry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HotkeyEntry {
    /// Its file's name.
    pub name: String,
    /// Its account, if readable.
    pub account: Option<Account>,
    /// Why it is not.
    pub problem: Option<String>,
}

impl HotkeyEntry {
    fn new(name: String, account: Result<Account, WalletError>) -> Self {
        match account {
            Ok(account) => Self { name, account: Some(account), problem: None },
            Err(error) => Self { name, account: None, problem: Some(error.to_string()) },
        }
    }
}

fn load(path: &Path, what: &'static str) -> Result<Keyfile, WalletError> {
    Keyfile::parse(&disk::read(path, what)?, path)
}

/// From the hotkey's file, or, if that is encrypted, from the public file beside it.
fn hotkey_account(location: &WalletLocation) -> Result<Account, WalletError> {
    match load(&location.hotkey_path(), "hotkey") {
        Err(WalletError::Encrypted { path, encryption }) => match load(&location.hotkeypub_path(), "hotkey") {
            Ok(file) => Ok(file.account()),
            Err(_) => Err(WalletError::Encrypted { path, encryption }),
        },
        other => other.map(|file| file.account()),
    }
}

/// Sorted names in a directory that may not exist; hidden ones and names this crate would refuse are left out.
fn names(path: &Path, directories: bool) -> Result<Vec<String>, WalletError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(WalletError::io("list", path)(error)),
    };
    let mut names: Vec<String> = entries
        .take(MAX_LISTED)
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir() == directories)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| check_name("wallet", name).is_ok())
        .collect();
    names.sort();
    Ok(names)
}
