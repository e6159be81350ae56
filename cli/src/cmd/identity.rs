//! `starling identity`

use clap::Args;
use serde_json::json;
use starling_keys::Account;

use crate::{Global, output};

/// What a coldkey, or a subnet's owner of the subnet, says of itself on chain. Nobody checks it.
#[derive(Debug, Args)]
pub struct Identity {
    /// Whose: a coldkey, or a hotkey, for its owner's; the wallet's coldkey if left out.
    account: Option<Account>,
    /// Of this subnet instead.
    // Not called netuid within: a profile's subnet is not meant here.
    #[arg(long = "netuid", value_name = "NETUID", conflicts_with = "account")]
    subnet: Option<u16>,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

impl Identity {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let account = match (self.subnet, self.account) {
            (Some(_), _) => None,
            (None, Some(account)) => Some(account),
            (None, None) => Some(global.account_or_coldkey(None)?),
        };
        let chain = global.chain().await?;
        let block = super::block(&chain, self.at).await?;
        let at = Some(block.hash);
        let (who, identity, mut value) = if let Some(account) = account {
            let mut coldkey = account;
            let mut identity = chain.identity(&coldkey, at).await?;
            if identity.is_none()
                && let Some(owner) = chain.owner(&account, at).await?
            {
                coldkey = owner;
                identity = chain.identity(&coldkey, at).await?;
            }
            (coldkey.to_string(), identity, json!({ "account": account, "coldkey": coldkey }))
        } else {
            let netuid = self.subnet.unwrap_or_default();
            // Whether there is such a subnet at all.
            chain.subnet(netuid, at).await?;
            (format!("subnet {netuid}"), chain.subnet_identity(netuid, at).await?, json!({ "netuid": netuid }))
        };
        if global.json {
            value["block"] = block.number.into();
            value["identity"] = json!(identity);
            return output::json(&value);
        }
        let Some(identity) = identity else {
            output::line(&format!("nothing is said of {who} at block {}", block.number));
            return Ok(());
        };
        let mut table = output::table(&["", &who]);
        for (name, text) in identity {
            table.add_row([name, output::clean(&text)]);
        }
        output::line(&table.to_string());
        Ok(())
    }
}
