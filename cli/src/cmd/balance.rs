//! `starling balance`

use clap::Args;
use serde_json::json;

use crate::{Global, output};

/// Balance of an account.
#[derive(Debug, Args)]
pub struct Balance {
    /// SS58 address; the wallet's coldkey if left out.
    account: Option<String>,
}

impl Balance {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let account = global.account_or_coldkey(self.account.as_deref())?;
        let rao = global.chain().await?.balance(&account).await?;
        if global.json {
            return output::json(&json!({ "account": account, "free_rao": rao }));
        }
        output::line(&format!("{account} {} TAO", output::tao(rao)));
        Ok(())
    }
}
