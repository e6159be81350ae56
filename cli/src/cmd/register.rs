//! `starling register`

use clap::Args;
use serde_json::json;

use crate::{Global, exit::Refused, output};

/// Register the hotkey on a subnet by burning TAO.
#[derive(Debug, Args)]
pub struct Register {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// Give up if the burn costs more, in TAO.
    #[arg(long, value_parser = output::to_rao, value_name = "TAO")]
    max_burn: Option<u64>,
}

impl Register {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (coldkey, hotkey) = (global.coldkey()?, global.hotkey()?);
        let chain = global.chain().await?;
        if let Some(uid) = chain.uid(self.netuid, &hotkey.account()).await? {
            return Err(Refused(format!(
                "hotkey {} is registered on subnet {} already, as uid {uid}",
                hotkey.account(),
                self.netuid
            ))
            .into());
        }
        let burn = chain.registration_cost(self.netuid).await?;
        if let Some(limit) = self.max_burn.filter(|limit| burn > *limit) {
            return Err(Refused(format!(
                "registering burns {} TAO now, --max-burn is {}: wait for the price to fall or raise it",
                output::tao(burn),
                output::tao(limit)
            ))
            .into());
        }
        let balance = chain.balance(&coldkey.account()).await?;
        if balance < burn {
            return Err(Refused(format!(
                "registering burns {} TAO, coldkey {} has {}",
                output::tao(burn),
                coldkey.account(),
                output::tao(balance)
            ))
            .into());
        }
        let (uid, submitted) = chain.burned_register(&coldkey, self.netuid, &hotkey.account()).await?;
        if global.json {
            return output::json(
                &json!({ "netuid": self.netuid, "hotkey": hotkey.account(), "uid": uid, "burn_rao": burn, "block": submitted.block.number }),
            );
        }
        output::line(&format!(
            "registered {} on subnet {} as uid {uid} for {} TAO, block {}",
            hotkey.account(),
            self.netuid,
            output::tao(burn),
            submitted.block.number
        ));
        Ok(())
    }
}
