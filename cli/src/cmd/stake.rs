//! `starling stake`

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::keys::Account;
use starling_wallet::Part;

use crate::{Global, output};

/// Stake TAO on a hotkey.
#[derive(Debug, Args)]
pub struct Stake {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add stake from the coldkey's balance.
    Add {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// How much, in TAO.
        #[arg(value_parser = output::to_rao)]
        amount: u64,
        /// Hotkey to stake on; the wallet's own if left out.
        #[arg(long)]
        on: Option<Account>,
    },
}

impl Stake {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Action::Add { netuid, amount, on } = self.action;
        let coldkey = global.signer(Part::Coldkey)?;
        let hotkey = match on {
            Some(account) => account,
            None => global.hotkey_account()?,
        };
        let submitted = global.writer().await?.add_stake(&coldkey, &hotkey, netuid, amount).await?;
        if global.json {
            return output::json(
                &json!({ "netuid": netuid, "hotkey": hotkey, "staked_rao": amount, "block": submitted.block.number }),
            );
        }
        output::line(&format!(
            "staked {} TAO on {hotkey}, subnet {netuid}, block {}",
            output::tao(amount),
            submitted.block.number
        ));
        Ok(())
    }
}
