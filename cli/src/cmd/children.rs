//! `starling children`: whom a hotkey lends its weight to.

use clap::{Args, Subcommand};
use serde_json::json;
use starling_chain::Child;
use starling_keys::Account;
use starling_wallet::Part;

use crate::{Global, output};

/// Whom a hotkey lends shares of its stake's weight to.
#[derive(Debug, Args)]
pub struct Children {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Children and parents of a hotkey.
    Show {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Whose; the wallet's own hotkey if left out.
        #[arg(value_name = "HOTKEY")]
        whose: Option<Account>,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Lend to these instead of those before. The chain makes it hold after a cooldown.
    Set {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// `HOTKEY=SHARE`, such as 5Grw…=25%; at most five, together at most 100 %.
        #[arg(required = true, value_parser = child)]
        children: Vec<Child>,
    },
    /// Lend to nobody any more.
    Clear {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
    },
}

fn child(text: &str) -> Result<Child, String> {
    let (hotkey, share) = text.split_once('=').ok_or("write HOTKEY=SHARE, such as 5Grw…=25%")?;
    let hotkey = hotkey.parse().map_err(|error| format!("{error}"))?;
    Ok(Child { hotkey, share: output::share(share, u64::MAX)? })
}

impl Children {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (netuid, children) = match self.action {
            Action::Show { netuid, whose, at } => return show(global, netuid, whose, at).await,
            Action::Set { netuid, children } => (netuid, children),
            Action::Clear { netuid } => (netuid, Vec::new()),
        };
        let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
        let chain = global.writer().await?;
        let sent = chain.set_children(&coldkey, netuid, &hotkey, &children).await?;
        let family = chain.family(netuid, &hotkey, Some(sent.block.hash)).await?;
        if global.json {
            return output::json(&json!({
                "netuid": netuid, "hotkey": hotkey, "children": children, "holds_after": family.pending_from, "block": sent.block.number,
            }));
        }
        let when = family.pending_from.map(|block| format!("; it holds after block {block}")).unwrap_or_default();
        output::line(&format!("{hotkey} lends to {} hotkeys, block {}{when}", children.len(), sent.block.number));
        Ok(())
    }
}

async fn show(global: &Global, netuid: u16, hotkey: Option<Account>, at: Option<u32>) -> anyhow::Result<()> {
    let hotkey = hotkey.map_or_else(|| global.hotkey_account(), Ok)?;
    let chain = global.chain().await?;
    let family = chain.family(netuid, &hotkey, super::at(&chain, at).await?).await?;
    if global.json {
        return output::json(&json!({ "netuid": netuid, "hotkey": hotkey, "family": family }));
    }
    let mut table = output::table(&["", "hotkey", "share"]);
    let pending = family.pending.as_deref().unwrap_or(&[]);
    for (word, list) in [("child", &family.children[..]), ("parent", &family.parents), ("child to be", pending)] {
        for one in list {
            let percent = one.share as f64 / u64::MAX as f64 * 100.0;
            table.add_row([word.to_owned(), one.hotkey.to_string(), format!("{percent:.2} %")]);
        }
    }
    output::line(&format!("{hotkey} on subnet {netuid} at block {}", family.block));
    output::line(&table.to_string());
    if let Some(from) = family.pending_from {
        output::line(&format!("what is to be holds after block {from}"));
    }
    Ok(())
}
