//! `starling delegates`

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use starling_chain::Delegate;
use starling_keys::Account;

use crate::{Global, exit::Refused, output};

/// Hotkeys that others stake to: what they hold, what they keep, who they are.
#[derive(Debug, Args)]
pub struct Delegates {
    /// Only this hotkey.
    #[arg(value_name = "HOTKEY")]
    one: Option<Account>,
    /// Order by the stake on this subnet; 0 is the root network, where stake is TAO.
    // Not called netuid within: a profile's subnet is not meant here.
    #[arg(long = "netuid", value_name = "NETUID", default_value_t = 0)]
    subnet: u16,
    /// Only the first N.
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    delegate: Delegate,
    /// What its owner says of itself; empty for nothing.
    identity: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct All {
    block: u32,
    delegates: Vec<Shown>,
}

impl Delegates {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let block = super::block(&chain, self.at).await?;
        let mut found = chain.delegates(self.one.as_ref(), Some(block.hash)).await?;
        if let (Some(hotkey), []) = (self.one, &found[..]) {
            return Err(Refused(format!("{hotkey} is no delegate: nobody can stake to what is no hotkey")).into());
        }
        let stake = |delegate: &Delegate| delegate.stake.get(&self.subnet).copied().unwrap_or(0);
        found.sort_by_key(|delegate| (std::cmp::Reverse(stake(delegate)), delegate.hotkey));
        found.truncate(self.top.unwrap_or(usize::MAX));
        let mut owners: Vec<Account> = found.iter().map(|delegate| delegate.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let identities = chain.identities(&owners, block.hash).await?;
        let with = |delegate: Delegate| {
            let identity = identities.get(&delegate.owner).cloned().unwrap_or_default();
            Shown { delegate, identity }
        };
        let all = All { block: block.number, delegates: found.into_iter().map(with).collect() };
        if global.json {
            return output::json(&all);
        }
        let unit = if self.subnet == 0 { "stake (TAO)".to_owned() } else { format!("stake (alpha {})", self.subnet) };
        let mut table = output::table(&["hotkey", "name", &unit, "take", "nominators", "subnets", "permits"]);
        for Shown { delegate, identity } in &all.delegates {
            table.add_row([
                delegate.hotkey.to_string(),
                identity.get("name").map(|name| output::clean(name)).unwrap_or_default(),
                output::tao(stake(delegate)),
                format!("{:.2} %", 100.0 * f64::from(delegate.take) / 65_535.0),
                delegate.nominators.to_string(),
                numbers(&delegate.registrations),
                numbers(&delegate.permits),
            ]);
        }
        output::line(&format!("{} at block {}", output::counted(all.delegates.len(), "delegate"), all.block));
        output::line(&table.to_string());
        Ok(())
    }
}

fn numbers(list: &[u16]) -> String {
    list.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}
