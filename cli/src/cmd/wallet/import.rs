//! Keys from other tools.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::Args;
use starling_wallet::{
    Part, Wallet as Keys, WalletError,
    polkadot_js::{Export, MAX_EXPORT_BYTES},
};
use zeroize::Zeroizing;

use super::{
    Which,
    make::{How, secret, told, warn_plain},
};
use crate::Global;

#[derive(Debug, Args)]
pub struct Import {
    /// What it becomes.
    #[arg(value_enum)]
    which: Which,
    /// The JSON that polkadot-js, Talisman or SubWallet exported.
    file: PathBuf,
    /// File whose first line is the password that the export was made with; asked for if left out.
    #[arg(long, value_name = "FILE")]
    export_password_file: Option<PathBuf>,
    /// Encrypt a hotkey, too.
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    how: How,
}

impl Import {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let (location, part) = (global.location()?, Part::from(self.which));
        let path = part.path(&location);
        if !self.how.overwrite && path.symlink_metadata().is_ok() {
            return Err(WalletError::Exists { path }.into());
        }
        let failed = |source| WalletError::Export { path: self.file.clone(), source };
        let mut bytes = Zeroizing::new(Vec::new());
        let file = std::fs::File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        file.take(MAX_EXPORT_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let export = Export::parse(&bytes).map_err(failed)?;
        let password = match &self.export_password_file {
            _ if !export.encrypted() => Zeroizing::default(),
            Some(file) => Zeroizing::new(secret(file)?.lines().next().unwrap_or_default().to_owned()),
            None if std::io::stdin().is_terminal() => {
                Zeroizing::new(rpassword::prompt_password(format!("the password of {}: ", self.file.display()))?)
            }
            None => {
                bail!("{} is encrypted: give --export-password-file, or run this at a terminal", self.file.display())
            }
        };
        let key = export.open(&password).map_err(failed)?;
        let password = self.how.password(global, part == Part::Hotkey && !self.encrypt, &path)?;
        Keys::write(&location, part, &key, password.as_ref(), self.how.overwrite)?;
        if password.is_none() && part == Part::Coldkey {
            warn_plain(&path);
        }
        told(global, &location, &[(part, &key)], &self.how.show)
    }
}
