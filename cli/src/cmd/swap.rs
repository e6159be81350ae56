//! `starling swap-hotkey`

use clap::Args;
use serde_json::json;
use starling_wallet::Part;

use crate::{Global, output};

/// Put another hotkey in the place of the wallet's: its uids, its stake, its children.
#[derive(Debug, Args)]
pub struct SwapHotkey {
    /// The hotkey that takes over, by its address or its name in the wallet; owned by the same coldkey, or by nobody.
    new: String,
    /// On this subnet alone (cheaper); everywhere if left out.
    #[arg(long)]
    netuid: Option<u16>,
}

impl SwapHotkey {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
        let new = global.hotkey_named(&self.new)?;
        let sent = global.writer().await?.swap_hotkey(&coldkey, &hotkey, &new, self.netuid).await?;
        if global.json {
            return output::json(
                &json!({ "old": hotkey, "new": new, "netuid": self.netuid, "block": sent.block.number }),
            );
        }
        let place = self.netuid.map_or_else(|| "everywhere".to_owned(), |netuid| format!("on subnet {netuid}"));
        output::line(&format!("{new} stands {place} where {hotkey} stood, block {}", sent.block.number));
        Ok(())
    }
}
