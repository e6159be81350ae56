//! `starling wallet`

use clap::{Args, Subcommand};
use serde_json::json;
use starling_wallet::{Keypair, Wallet as Keys};

use crate::{Global, output};

/// Make and list wallets (official layout, readable by the official tools; unencrypted for now).
#[derive(Debug, Args)]
pub struct Wallet {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a coldkey and a hotkey. The recovery phrase stands in the key files.
    New {
        /// Derive the coldkey from a secret URI such as //Alice instead of drawing it (development only).
        #[arg(long, value_name = "URI")]
        coldkey_uri: Option<String>,
        /// Derive the hotkey from a secret URI.
        #[arg(long, value_name = "URI")]
        hotkey_uri: Option<String>,
    },
    /// List wallets and their hotkeys.
    List,
}

impl Wallet {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let location = global.location()?;
        match self.action {
            Action::New { coldkey_uri, hotkey_uri } => {
                let key =
                    |uri: Option<String>| uri.map_or_else(|| Ok(Keypair::generate()), |uri| Keypair::from_uri(&uri));
                let (coldkey, hotkey) = (key(coldkey_uri)?, key(hotkey_uri)?);
                Keys::create(&location, &coldkey, &hotkey)?;
                if global.json {
                    return output::json(
                        &json!({ "path": location.path, "wallet": location.name, "hotkey_name": location.hotkey, "coldkey": coldkey.account(), "hotkey": hotkey.account() }),
                    );
                }
                output::line(&format!("coldkey {} {}", location.name, coldkey.account()));
                output::line(&format!("hotkey  {}/{} {}", location.name, location.hotkey, hotkey.account()));
                tracing::warn!(
                    "the coldkey is not encrypted: whoever reads {} owns it",
                    location.coldkey_path().display()
                );
            }
            Action::List => {
                let wallets = starling_wallet::list(&location.path)?;
                if global.json {
                    return output::json(&wallets);
                }
                let mut table = output::table(&["wallet", "hotkey", "address"]);
                for w in wallets {
                    table.add_row([
                        w.name.clone(),
                        String::new(),
                        w.coldkey.map(|a| a.to_string()).unwrap_or_default(),
                    ]);
                    for h in w.hotkeys {
                        table.add_row([String::new(), h.name, h.account.map(|a| a.to_string()).unwrap_or_default()]);
                    }
                }
                output::line(&table.to_string());
            }
        }
        Ok(())
    }
}
