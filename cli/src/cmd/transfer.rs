//! `starling transfer`

use clap::Args;
use serde_json::json;
use starling_keys::{Account, Signer as _};
use starling_wallet::Part;

use crate::{Global, output};

/// Send TAO from the coldkey to another account.
#[derive(Debug, Args)]
pub struct Transfer {
    /// How much, in TAO.
    #[arg(value_parser = output::to_rao)]
    amount: u64,
    /// Who gets it.
    #[arg(long)]
    to: Account,
}

impl Transfer {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let coldkey = global.signer(Part::Coldkey)?;
        let sent = global.writer().await?.transfer(&coldkey, &self.to, self.amount).await?;
        if global.json {
            return output::json(&json!({
                "from": coldkey.account(), "to": self.to, "rao": self.amount, "fee_rao": sent.fee, "block": sent.block.number,
            }));
        }
        output::line(&format!("sent {} TAO to {}, block {}", output::tao(self.amount), self.to, sent.block.number));
        Ok(())
    }
}
