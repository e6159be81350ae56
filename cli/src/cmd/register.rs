//! `starling register`

use clap::Args;
use serde_json::json;
use starling_wallet::Part;

use crate::{Global, output};

/// Register the hotkey on a subnet by burning TAO.
#[derive(Debug, Args)]
pub struct Register {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// Pay at most this much, in TAO: the chain itself refuses if the price is higher when its turn comes.
    #[arg(long, alias = "max-burn", value_parser = output::to_rao, value_name = "TAO")]
    limit_price: Option<u64>,
}

impl Register {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
        let chain = global.writer().await?;
        let burn = chain.registration_cost(self.netuid).await?;
        let (uid, submitted) = match self.limit_price {
            Some(limit) => chain.register_limit(&coldkey, self.netuid, &hotkey, limit).await?,
            None => chain.burned_register(&coldkey, self.netuid, &hotkey).await?,
        };
        if global.json {
            return output::json(
                &json!({ "netuid": self.netuid, "hotkey": hotkey, "uid": uid, "burn_rao": burn, "block": submitted.block.number }),
            );
        }
        output::line(&format!(
            "registered {hotkey} on subnet {} as uid {uid} for {} TAO, block {}",
            self.netuid,
            output::tao(burn),
            submitted.block.number
        ));
        Ok(())
    }
}
