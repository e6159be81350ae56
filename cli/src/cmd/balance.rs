//! `starling balance`

use clap::Args;
use serde_json::json;
use starling_keys::Account;

use crate::{Global, output};

/// Free balances of accounts, at one block.
#[derive(Debug, Args)]
pub struct Balance {
    /// SS58 addresses; the wallet's coldkey if left out.
    accounts: Vec<Account>,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

impl Balance {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let accounts = if self.accounts.is_empty() { vec![global.account_or_coldkey(None)?] } else { self.accounts };
        let chain = global.chain().await?;
        let block = super::block(&chain, self.at).await?;
        let balances = chain.balances(&accounts, Some(block.hash)).await?;
        if global.json {
            // One account was always one object; several are a list of the same.
            let rows: Vec<_> = accounts
                .iter()
                .zip(&balances)
                .map(|(account, rao)| json!({ "account": account, "free_rao": rao, "block": block.number }))
                .collect();
            return match rows.as_slice() {
                [one] => output::json(one),
                rows => output::json(&rows),
            };
        }
        for (account, rao) in accounts.iter().zip(balances) {
            output::line(&format!("{account} {} TAO", output::tao(rao)));
        }
        Ok(())
    }
}
