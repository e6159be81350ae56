//! `starling stake`: put stake in, take it out, move it, show it.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use starling_chain::{Client, Limit, Place, Submitted, value::Value};
use starling_keys::Account;
use starling_wallet::Part;

use crate::{Global, output};

/// Stake on hotkeys.
#[derive(Debug, Args)]
pub struct Stake {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Buy a subnet's alpha with the coldkey's TAO and stake it on a hotkey.
    Add {
        /// The subnet; 0 is the root network.
        #[arg(long)]
        netuid: u16,
        /// How much, in TAO.
        #[arg(value_parser = output::to_rao)]
        amount: u64,
        /// Hotkey to stake on; the wallet's own if left out.
        #[arg(long)]
        on: Option<Account>,
        #[command(flatten)]
        limit: Limits,
    },
    /// Sell stake for TAO.
    Remove {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// How much, in alpha.
        #[arg(value_parser = output::to_rao, required_unless_present = "all", conflicts_with = "all")]
        amount: Option<u64>,
        /// All that the coldkey has at the hotkey on this subnet.
        #[arg(long, conflicts_with = "allow_partial")]
        all: bool,
        /// Hotkey to take it from; the wallet's own if left out.
        #[arg(long)]
        from: Option<Account>,
        #[command(flatten)]
        limit: Limits,
    },
    /// Sell all that the coldkey has at a hotkey on every subnet, at whatever price.
    RemoveAll {
        /// Hotkey to take it from; the wallet's own if left out.
        #[arg(long)]
        from: Option<Account>,
        /// Stake what it yields on the root network, at the same hotkey.
        #[arg(long)]
        into_root: bool,
    },
    /// Move stake to another hotkey, also on another subnet.
    Move {
        /// How much, in alpha.
        #[arg(value_parser = output::to_rao)]
        amount: u64,
        /// Hotkey to take it from; the wallet's own if left out.
        #[arg(long)]
        from: Option<Account>,
        /// Hotkey that gets it.
        #[arg(long)]
        to: Account,
        #[command(flatten)]
        subnets: Subnets,
    },
    /// Give stake to another coldkey, at the same hotkey.
    Transfer {
        /// How much, in alpha.
        #[arg(value_parser = output::to_rao)]
        amount: u64,
        /// Hotkey where it lies; the wallet's own if left out.
        #[arg(long)]
        at_hotkey: Option<Account>,
        /// Coldkey that gets it.
        #[arg(long)]
        to: Account,
        #[command(flatten)]
        subnets: Subnets,
    },
    /// Move stake to another subnet, at the same hotkey.
    Swap {
        /// How much, in alpha.
        #[arg(value_parser = output::to_rao)]
        amount: u64,
        /// Hotkey where it lies; the wallet's own if left out.
        #[arg(long)]
        at_hotkey: Option<Account>,
        #[command(flatten)]
        subnets: Subnets,
        #[command(flatten)]
        limit: Limits,
    },
    /// All that a coldkey has staked.
    Show {
        /// Whose; the wallet's if left out.
        coldkey: Option<Account>,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
}

#[derive(Debug, Args)]
struct Subnets {
    /// The subnet that it leaves.
    #[arg(long)]
    netuid: u16,
    /// The subnet that it enters; the same if left out.
    #[arg(long)]
    to_netuid: Option<u16>,
}

#[derive(Debug, Args)]
struct Limits {
    /// The worst price, in TAO per alpha: at most that when buying, at least that when selling.
    #[arg(long, value_parser = output::to_rao, value_name = "TAO")]
    limit_price: Option<u64>,
    /// Do what the limit allows instead of all or nothing.
    #[arg(long, requires = "limit_price")]
    allow_partial: bool,
}

impl Limits {
    fn get(&self) -> Option<Limit> {
        self.limit_price.map(|price| Limit { price, partial: self.allow_partial })
    }
}

impl Stake {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let own = |given: Option<Account>| given.map_or_else(|| global.hotkey_account(), Ok);
        if let Action::Show { coldkey, at } = self.action {
            return show(global, coldkey, at).await;
        }
        let coldkey = global.signer(Part::Coldkey)?;
        let chain = global.writer().await?;
        let (said, sent) = match self.action {
            Action::Show { .. } => return Ok(()),
            Action::Add { netuid, amount, on, limit } => {
                let to = Place { hotkey: own(on)?, netuid };
                let sent = match limit.get() {
                    None => chain.add_stake(&coldkey, &to.hotkey, netuid, amount).await?,
                    Some(limit) => chain.add_stake_limit(&coldkey, to, amount, limit).await?,
                };
                (json!({ "netuid": netuid, "hotkey": to.hotkey }), sent)
            }
            Action::Remove { netuid, amount, all: _, from, limit } => {
                let from = Place { hotkey: own(from)?, netuid };
                let sent = match amount {
                    Some(alpha) => chain.remove_stake(&coldkey, from, alpha, limit.get()).await?,
                    None => chain.remove_stake_full(&coldkey, from, limit.limit_price).await?,
                };
                (json!({ "netuid": netuid, "hotkey": from.hotkey }), sent)
            }
            Action::RemoveAll { from, into_root } => {
                let hotkey = own(from)?;
                let sent = chain.unstake_all(&coldkey, &hotkey, into_root).await?;
                (json!({ "hotkey": hotkey }), sent)
            }
            Action::Move { amount, from, to, subnets } => {
                let from = Place { hotkey: own(from)?, netuid: subnets.netuid };
                let to = Place { hotkey: to, netuid: subnets.to_netuid.unwrap_or(subnets.netuid) };
                let sent = chain.move_stake(&coldkey, from, to, amount).await?;
                (
                    json!({ "netuid": from.netuid, "hotkey": from.hotkey, "to_netuid": to.netuid, "to": to.hotkey, "asked_rao": amount }),
                    sent,
                )
            }
            Action::Transfer { amount, at_hotkey, to, subnets } => {
                let from = Place { hotkey: own(at_hotkey)?, netuid: subnets.netuid };
                let to_netuid = subnets.to_netuid.unwrap_or(subnets.netuid);
                let sent = chain.transfer_stake(&coldkey, from, &to, to_netuid, amount).await?;
                (
                    json!({ "netuid": from.netuid, "hotkey": from.hotkey, "to_netuid": to_netuid, "to": to, "asked_rao": amount }),
                    sent,
                )
            }
            Action::Swap { amount, at_hotkey, subnets, limit } => {
                let from = Place { hotkey: own(at_hotkey)?, netuid: subnets.netuid };
                let to_netuid = subnets.to_netuid.unwrap_or(subnets.netuid);
                let sent = chain.swap_stake(&coldkey, from, to_netuid, amount, limit.get()).await?;
                (
                    json!({ "netuid": from.netuid, "hotkey": from.hotkey, "to_netuid": to_netuid, "asked_rao": amount }),
                    sent,
                )
            }
        };
        tell(global, said, &sent)
    }
}

/// What the events say was taken and given: with a limit that need not be what was asked for.
fn tell(global: &Global, mut said: Json, sent: &Submitted) -> anyhow::Result<()> {
    let mut moves = Vec::new();
    for (name, word) in [("StakeRemoved", "removed"), ("StakeAdded", "added")] {
        for event in sent.events("SubtensorModule", name) {
            let number = |index: usize| event.fields.at(index).and_then(Value::number::<u64>).unwrap_or(0);
            moves.push((word, number(4), number(2), number(3)));
        }
    }
    if global.json {
        let list: Vec<Json> = moves
            .iter()
            .map(|(word, netuid, tao, alpha)| json!({ "what": word, "netuid": netuid, "tao_rao": tao, "alpha_rao": alpha }))
            .collect();
        if let Json::Object(said) = &mut said {
            said.insert("moves".into(), list.into());
            said.insert("fee_rao".into(), sent.fee.into());
            said.insert("block".into(), sent.block.number.into());
        }
        return output::json(&said);
    }
    // Within one subnet nothing is sold or bought.
    if let (true, Some(alpha)) = (moves.is_empty(), said["asked_rao"].as_u64()) {
        output::line(&format!("moved {} alpha, block {}", output::tao(alpha), sent.block.number));
    }
    for (word, netuid, tao, alpha) in moves {
        output::line(&format!(
            "{word} {} alpha on subnet {netuid} for {} TAO, block {}",
            output::tao(alpha),
            output::tao(tao),
            sent.block.number
        ));
    }
    Ok(())
}

async fn show(global: &Global, coldkey: Option<Account>, at: Option<u32>) -> anyhow::Result<()> {
    let coldkey = match coldkey {
        Some(account) => account,
        None => global.account_or_coldkey(None)?,
    };
    let chain: Client = global.chain().await?;
    let block = super::block(&chain, at).await?;
    let stakes = chain.stakes(&coldkey, Some(block.hash)).await?;
    let prices = chain.alpha_prices(Some(block.hash)).await?;
    let worth = |netuid: u16, alpha: u64| {
        let price = prices.get(&netuid).copied().unwrap_or(if netuid == 0 { 1_000_000_000 } else { 0 });
        u64::try_from(u128::from(alpha) * u128::from(price) / 1_000_000_000).unwrap_or(u64::MAX)
    };
    let free = chain.balances(&[coldkey], Some(block.hash)).await?.first().copied().unwrap_or(0);
    let total = stakes.iter().map(|stake| worth(stake.netuid, stake.stake)).fold(0_u64, u64::saturating_add);
    if global.json {
        let rows: Vec<Json> = stakes
            .iter()
            .map(|s| {
                json!({ "netuid": s.netuid, "hotkey": s.hotkey, "alpha_rao": s.stake, "worth_rao": worth(s.netuid, s.stake),
                        "emission_rao": s.emission, "registered": s.registered })
            })
            .collect();
        return output::json(&json!({
            "coldkey": coldkey, "block": block.number, "free_rao": free, "worth_rao": total, "stakes": rows,
        }));
    }
    let mut table = output::table(&["subnet", "hotkey", "alpha", "worth now (TAO)", "last emission", "registered"]);
    for s in &stakes {
        table.add_row([
            s.netuid.to_string(),
            s.hotkey.to_string(),
            output::tao(s.stake),
            output::tao(worth(s.netuid, s.stake)),
            output::tao(s.emission),
            if s.registered { "yes" } else { "" }.to_owned(),
        ]);
    }
    output::line(&format!(
        "{coldkey} at block {}: {} TAO free, stake worth {} TAO at the present prices",
        block.number,
        output::tao(free),
        output::tao(total)
    ));
    output::line(&table.to_string());
    Ok(())
}
