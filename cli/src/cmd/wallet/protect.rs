//! Passwords: put on, changed, taken off, and told to the official tools.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use starling_wallet::{Part, Passwords, Wallet as Keys, password};

use super::Which;
use crate::{Global, output};

#[derive(Debug, Args)]
pub struct Encrypt {
    /// Which key.
    #[arg(value_enum, default_value = "coldkey")]
    which: Which,
    /// File with the new password, where the key is encrypted already.
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Decrypt {
    /// Which key.
    #[arg(value_enum, default_value = "coldkey")]
    which: Which,
}

#[derive(Debug, Args)]
pub struct Obfuscate {
    /// Which key's password.
    #[arg(value_enum, default_value = "coldkey")]
    which: Which,
}

impl Encrypt {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let (wallet, part) = (Keys::open(&location)?, Part::from(self.which));
        let path = part.path(&location);
        let encrypted = wallet.standing(part).encryption.is_some();
        let new = match &self.new_password_file {
            Some(file) => {
                let source = Passwords { file: Some(file.clone()), ..Passwords::default() };
                source.given(&path, |_| None)?
            }
            None if encrypted => Some(super::super::ask_twice("the new password: ")?),
            None => Some(global.new_password(&path)?),
        };
        let account = wallet.reseal(part, &global.passwords(), new.as_ref())?;
        told(global, part, &account.to_string(), "encrypted", &path)
    }
}

impl Decrypt {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let part = Part::from(self.which);
        let account = Keys::open(&location)?.reseal(part, &global.passwords(), None)?;
        told(global, part, &account.to_string(), "not encrypted: whoever reads it owns it", &part.path(&location))
    }
}

fn told(global: &Global, part: Part, account: &str, how: &str, path: &std::path::Path) -> anyhow::Result<()> {
    if global.json {
        return output::json(&json!({ "key": part.name(), "account": account, "path": path, "kept": how }));
    }
    output::line(&format!("{} {account} in {}: {how}", part.name(), path.display()));
    Ok(())
}

impl Obfuscate {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        let part = Part::from(self.which);
        let path = part.path(&location);
        let variable = password::variable(&path);
        // The key itself is opened with it: a wrong password is found here and not at three in the morning.
        let given = global.new_password(&path)?;
        Keys::open(&location)?.key(part, &Passwords { known: Some(given.clone()), ..Passwords::default() })?;
        let value = given.obfuscated(&variable);
        if global.json {
            return output::json(&json!({ "variable": variable, "value": value }));
        }
        output::line(&format!("{variable}={value}"));
        Ok(())
    }
}
