//! Keys that are made or restored.

use std::{
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::json;
use starling_keys::Account;
use starling_wallet::{Keypair, Part, Password, Wallet as Keys, WalletError, WalletLocation};
use zeroize::Zeroizing;

use super::Which;
use crate::{Global, output};

/// Longest secret read, bytes.
const MAX_SECRET: u64 = 4096;

#[derive(Debug, Args)]
pub struct New {
    /// Derive the coldkey from a secret URI such as //Alice instead of drawing it (development only; not encrypted).
    #[arg(long, value_name = "URI")]
    coldkey_uri: Option<String>,
    /// Derive the hotkey from a secret URI (development only).
    #[arg(long, value_name = "URI")]
    hotkey_uri: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub struct NewHotkey {
    /// Derive it from a secret URI (development only).
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
    /// Encrypt it, as coldkeys are. A miner or validator must then be given the password at every start.
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Args)]
pub struct Regen {
    /// Which key.
    #[arg(value_enum)]
    which: Which,
    /// File with the 12 to 24 words; `-` is stdin. Without any of the three, the words are asked for.
    #[arg(long, value_name = "FILE", group = "secret")]
    mnemonic_file: Option<PathBuf>,
    /// File with the 32-byte seed in hex; `-` is stdin.
    #[arg(long, value_name = "FILE", group = "secret")]
    seed_file: Option<PathBuf>,
    /// File with the 64-byte private key in hex; `-` is stdin.
    #[arg(long, value_name = "FILE", group = "secret")]
    private_key_file: Option<PathBuf>,
    /// Encrypt a hotkey, too.
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub struct RegenColdkeypub {
    /// The coldkey's address.
    ss58: Account,
    /// Replace a file that is there.
    #[arg(long)]
    overwrite: bool,
}

/// How a key is kept.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Keep the coldkey unencrypted: whoever reads the file owns it.
    #[arg(long)]
    no_password: bool,
    /// Replace keys that are there. They are lost unless their words are kept.
    #[arg(long)]
    pub(super) overwrite: bool,
    #[command(flatten)]
    pub(super) show: Show,
}

/// What is printed of a secret.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Print the recovery words with the result. They are the key: for a screen that nobody else sees.
    #[arg(long)]
    show_mnemonic: bool,
}

fn from_uri(uri: Option<&String>) -> anyhow::Result<Keypair> {
    Ok(match uri {
        Some(uri) => Keypair::from_uri(uri)?,
        None => Keypair::generate(),
    })
}

impl How {
    /// The password for a key that is to be written, unless it is to be kept plain.
    pub(super) fn password(&self, global: &Global, plain: bool, path: &Path) -> anyhow::Result<Option<Password>> {
        if plain || self.no_password { Ok(None) } else { global.new_password(path).map(Some) }
    }
}

impl New {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let (coldkey, hotkey) = (from_uri(self.coldkey_uri.as_ref())?, from_uri(self.hotkey_uri.as_ref())?);
        if !self.how.overwrite {
            for path in [location.coldkey_path(), location.coldkeypub_path(), location.hotkey_path()] {
                if path.symlink_metadata().is_ok() {
                    return Err(WalletError::Exists { path }.into());
                }
            }
        }
        let password = self.how.password(global, self.coldkey_uri.is_some(), &location.coldkey_path())?;
        Keys::write(&location, Part::Coldkey, &coldkey, password.as_ref(), self.how.overwrite)?;
        Keys::write(&location, Part::Hotkey, &hotkey, None, self.how.overwrite)?;
        if password.is_none() {
            warn_plain(&location.coldkey_path());
        }
        told(global, &location, &[(Part::Coldkey, &coldkey), (Part::Hotkey, &hotkey)], &self.how.show)
    }
}

impl NewHotkey {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let path = location.hotkey_path();
        if path.symlink_metadata().is_ok() {
            return Err(WalletError::Exists { path }.into());
        }
        let hotkey = from_uri(self.uri.as_ref())?;
        let password = if self.encrypt { Some(global.new_password(&path)?) } else { None };
        Keys::write(&location, Part::Hotkey, &hotkey, password.as_ref(), false)?;
        told(global, &location, &[(Part::Hotkey, &hotkey)], &self.show)
    }
}

impl Regen {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let part = Part::from(self.which);
        let key = match (&self.mnemonic_file, &self.seed_file, &self.private_key_file) {
            (_, Some(file), _) => Keypair::from_hex_seed(secret(file)?.trim())?,
            (_, _, Some(file)) => {
                let text = secret(file)?;
                let mut bytes = Zeroizing::new([0; 64]);
                let digits = text.trim().trim_start_matches("0x");
                hex::decode_to_slice(digits, bytes.as_mut_slice())
                    .map_err(|_| starling_wallet::KeyError::PrivateKey)?;
                Keypair::from_private_key(&bytes)?
            }
            (Some(file), ..) => Keypair::from_phrase(&secret(file)?)?,
            _ => {
                ensure!(
                    std::io::stdin().is_terminal(),
                    "no secret: give --mnemonic-file, --seed-file or --private-key-file (`-` is stdin), or run this at a terminal"
                );
                let words = Zeroizing::new(rpassword::prompt_password("the words (not shown): ")?);
                Keypair::from_phrase(&words)?
            }
        };
        let path = part.path(&location);
        let password = self.how.password(global, part == Part::Hotkey && !self.encrypt, &path)?;
        Keys::write(&location, part, &key, password.as_ref(), self.how.overwrite)?;
        if password.is_none() && part == Part::Coldkey {
            warn_plain(&path);
        }
        told(global, &location, &[(part, &key)], &self.how.show)
    }
}

impl RegenColdkeypub {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        Keys::write_coldkeypub(&location, &self.ss58, self.overwrite)?;
        let path = location.coldkeypub_path();
        if global.json {
            return output::json(&json!({ "path": path, "coldkey": self.ss58 }));
        }
        output::line(&format!("{} {}", path.display(), self.ss58));
        Ok(())
    }
}

pub(super) fn secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET as usize));
    if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_SECRET).read_to_string(&mut text).context("reading stdin")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        opened.take(MAX_SECRET).read_to_string(&mut text).with_context(|| format!("cannot read {}", file.display()))?;
    }
    if text.trim().is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(text)
}

pub(super) fn warn_plain(path: &Path) {
    tracing::warn!("the coldkey is not encrypted: whoever reads {} owns it", output::path(path));
}

/// What was written; the words only if they were asked for.
pub(super) fn told(
    global: &Global,
    location: &WalletLocation,
    keys: &[(Part, &Keypair)],
    show: &Show,
) -> anyhow::Result<()> {
    let words = |key: &Keypair| key.phrase().filter(|_| show.show_mnemonic).map(str::to_owned);
    if global.json {
        let mut told = json!({ "path": location.path, "wallet": location.name, "hotkey_name": location.hotkey });
        for (part, key) in keys {
            told[part.name()] = json!(key.account());
            if let Some(words) = words(key) {
                told[format!("{}_mnemonic", part.name())] = json!(words);
            }
        }
        return output::json(&told);
    }
    for (part, key) in keys {
        let name = match part {
            Part::Coldkey => location.name.clone(),
            Part::Hotkey => format!("{}/{}", location.name, location.hotkey),
        };
        output::line(&format!("{:<8}{name} {}", part.name(), key.account()));
        if let Some(words) = words(key) {
            output::line(&format!("        {words}"));
        }
    }
    Ok(())
}
