//! What lies on disk; no password is needed.

use serde_json::json;
use starling_wallet::{Part, Wallet as Keys};

use crate::{Global, output};

pub fn list(global: &Global) -> anyhow::Result<()> {
    let wallets = starling_wallet::list(&global.location()?.path)?;
    if global.json {
        return output::json(&wallets);
    }
    let mut table = output::table(&["wallet", "hotkey", "address"]);
    let shown = |account: Option<starling_keys::Account>, problem: Option<String>| {
        account.map(|a| a.to_string()).or(problem).unwrap_or_default()
    };
    for w in wallets {
        table.add_row([w.name.clone(), String::new(), shown(w.coldkey, w.problem)]);
        for h in w.hotkeys {
            table.add_row([String::new(), h.name, shown(h.account, h.problem)]);
        }
    }
    output::line(&table.to_string());
    Ok(())
}

pub fn show(global: &Global) -> anyhow::Result<()> {
    let location = global.location()?;
    let wallet = Keys::open(&location)?;
    let (coldkey, hotkey) = (wallet.standing(Part::Coldkey), wallet.standing(Part::Hotkey));
    if global.json {
        return output::json(
            &json!({ "wallet": location.name, "hotkey_name": location.hotkey, "coldkey": coldkey, "hotkey": hotkey }),
        );
    }
    let mut table = output::table(&["key", "address", "encryption", "mode", "file"]);
    for (name, key) in [("coldkey", coldkey), ("hotkey", hotkey)] {
        let file = key.path.display().to_string();
        table.add_row([
            name.to_owned(),
            key.account.map(|a| a.to_string()).or(key.problem).unwrap_or_default(),
            key.encryption.unwrap_or_else(|| if key.exists { "none" } else { "" }.to_owned()),
            key.mode.map(|m| format!("{m:04o}")).unwrap_or_default(),
            if key.exists { file } else { format!("{file} (not there)") },
        ]);
    }
    output::line(&table.to_string());
    Ok(())
}
