//! `starling commitment`

use clap::{Args, Subcommand};
use serde_json::json;
use starling_commitment::anchor::Anchor;
use starling_keys::{Account, Signer as _};
use starling_wallet::Part;

use crate::{Global, exit::Refused, output};

/// Data that a hotkey has written on chain: anchors of receipt chains, for one.
#[derive(Debug, Args)]
pub struct Commitment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read a hotkey's commitment.
    Get {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Whose; the wallet's own if left out.
        account: Option<Account>,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Everybody's commitments on a subnet.
    List {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Write text (at most 128 bytes) as the wallet's hotkey.
    Set {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// The text.
        text: String,
    },
}

impl Commitment {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::Get { netuid, account, at } => {
                let account = match account {
                    Some(account) => account,
                    None => global.hotkey_account()?,
                };
                let chain = global.chain().await?;
                let found = chain.commitment(netuid, &account, super::at(&chain, at).await?).await?;
                let Some(found) = found else {
                    return Err(Refused(format!("{account} has no commitment on subnet {netuid}")).into());
                };
                let anchor = Anchor::from_commitment(&found.data);
                if global.json {
                    let anchor = anchor.map(|a| json!({ "epoch": a.epoch, "receipts": a.count, "head": a.head }));
                    return output::json(
                        &json!({ "account": account, "netuid": netuid, "block": found.block, "data": hex::encode(&found.data), "anchor": anchor }),
                    );
                }
                match (anchor, std::str::from_utf8(&found.data)) {
                    (Some(a), _) => output::line(&format!(
                        "block {}: anchor of epoch {}, {} receipts, head {}",
                        found.block, a.epoch, a.count, a.head
                    )),
                    (None, Ok(text)) => output::line(&format!("block {}: {text}", found.block)),
                    (None, Err(_)) => output::line(&format!("block {}: 0x{}", found.block, hex::encode(&found.data))),
                }
            }
            Action::List { netuid, at } => {
                let chain = global.chain().await?;
                let all = chain.commitments(netuid, super::at(&chain, at).await?).await?;
                if global.json {
                    let rows = all.iter().map(|(account, found)| {
                        json!({ "account": account, "block": found.block, "data": hex::encode(&found.data) })
                    });
                    return output::json(&rows.collect::<Vec<_>>());
                }
                let mut table = output::table(&["block", "account", "data"]);
                for (account, found) in all {
                    // What strangers wrote: only what cannot move the terminal's cursor is shown as text.
                    let text = std::str::from_utf8(&found.data).ok().filter(|text| !text.chars().any(char::is_control));
                    let data = text.map_or_else(|| format!("0x{}", hex::encode(&found.data)), str::to_owned);
                    table.add_row([found.block.to_string(), account.to_string(), data]);
                }
                output::line(&table.to_string());
            }
            Action::Set { netuid, text } => {
                if text.len() > 128 {
                    return Err(Refused(format!("the text has {} bytes, a commitment takes 128", text.len())).into());
                }
                let hotkey = global.signer(Part::Hotkey)?;
                let submitted = global.writer().await?.set_commitment(&hotkey, netuid, text.as_bytes()).await?;
                if global.json {
                    return output::json(
                        &json!({ "account": hotkey.account(), "netuid": netuid, "block": submitted.block.number }),
                    );
                }
                output::line(&format!("committed {} bytes, block {}", text.len(), submitted.block.number));
            }
        }
        Ok(())
    }
}
