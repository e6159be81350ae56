//! `starling take`: what a hotkey keeps of others' dividends.

use clap::{Args, Subcommand};
use serde_json::json;
use starling_keys::Account;
use starling_wallet::Part;

use crate::{Global, output};

/// What the hotkey keeps of the dividends that others' stake earns.
#[derive(Debug, Args)]
pub struct Take {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A hotkey's takes and the chain's bounds.
    Show {
        /// The subnet, for the take as a child.
        #[arg(long)]
        netuid: u16,
        /// Whose; the wallet's own hotkey if left out.
        #[arg(value_name = "HOTKEY")]
        whose: Option<Account>,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Keep more of the nominators' dividends. The chain allows it seldom.
    Increase {
        /// Such as 12% or 0.12.
        #[arg(value_parser = take)]
        take: u16,
    },
    /// Keep less of the nominators' dividends.
    Decrease {
        /// Such as 9% or 0.09.
        #[arg(value_parser = take)]
        take: u16,
    },
    /// Set what the hotkey keeps as a child of others.
    Childkey {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Such as 9% or 0.09.
        #[arg(value_parser = take)]
        take: u16,
    },
}

fn take(text: &str) -> Result<u16, String> {
    let take = output::share(text, u64::from(u16::MAX))?;
    u16::try_from(take).map_err(|_| format!("{take} is above 65535"))
}

fn percent(take: u16) -> String {
    format!("{:.2} %", f64::from(take) / 655.35)
}

impl Take {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        if let Action::Show { netuid, whose, at } = self.action {
            let hotkey = whose.map_or_else(|| global.hotkey_account(), Ok)?;
            let chain = global.chain().await?;
            let takes = chain.takes(netuid, &hotkey, super::at(&chain, at).await?).await?;
            if global.json {
                return output::json(&json!({ "netuid": netuid, "hotkey": hotkey, "takes": takes }));
            }
            let mut table = output::table(&["take", "now", "at least", "at most"]);
            for (name, now, (least, most)) in [
                ("of nominators' dividends", takes.delegate, takes.delegate_bounds),
                ("as a child of others", takes.childkey, takes.childkey_bounds),
            ] {
                table.add_row([name.to_owned(), percent(now), percent(least), percent(most)]);
            }
            output::line(&table.to_string());
            return Ok(());
        }
        let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
        let chain = global.writer().await?;
        let (take, sent) = match self.action {
            Action::Show { .. } => return Ok(()),
            Action::Increase { take } => (take, chain.set_take(&coldkey, &hotkey, take, true).await?),
            Action::Decrease { take } => (take, chain.set_take(&coldkey, &hotkey, take, false).await?),
            Action::Childkey { netuid, take } => {
                (take, chain.set_childkey_take(&coldkey, netuid, &hotkey, take).await?)
            }
        };
        if global.json {
            return output::json(&json!({ "hotkey": hotkey, "take": take, "block": sent.block.number }));
        }
        output::line(&format!("{hotkey} keeps {}, block {}", percent(take), sent.block.number));
        Ok(())
    }
}
