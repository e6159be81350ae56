//! `starling subnet`

mod set;

use clap::{Args, Subcommand};
use serde_json::json;
use starling_chain::SubnetDetail;
use starling_keys::Signer as _;
use starling_wallet::Part;

use crate::{Global, output};

/// Found a subnet, start it, set its hyperparameters.
#[derive(Debug, Args)]
pub struct Subnet {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List subnets.
    List {
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// One subnet in depth: owner, pool, emission, identity.
    Info {
        /// The subnet.
        netuid: u16,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Found a subnet; the wallet's coldkey owns it, its hotkey is uid 0.
    Create,
    /// Start emissions.
    Start {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
    },
    /// Change a setting of the subnet, as its owner; or list them.
    Set(set::Set),
}

impl Subnet {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let action = match self.action {
            Action::Set(set) => return set.run(global).await,
            action => action,
        };
        let chain = global.writer().await?;
        match action {
            Action::Set(_) => {}
            Action::List { at } => {
                let subnets = chain.subnets_at(super::at(&chain, at).await?).await?;
                if global.json {
                    return output::json(&subnets);
                }
                let mut table = output::table(&["netuid", "neurons", "tempo", "burn (TAO)"]);
                for s in subnets {
                    table.add_row([
                        s.netuid.to_string(),
                        s.neurons.to_string(),
                        s.tempo.to_string(),
                        output::tao(s.burn),
                    ]);
                }
                output::line(&table.to_string());
            }
            Action::Info { netuid, at } => {
                let detail = chain.subnet(netuid, super::at(&chain, at).await?).await?;
                if global.json {
                    return output::json(&detail);
                }
                output::line(&sheet(&detail));
            }
            Action::Create => {
                let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
                let (netuid, submitted) = chain.register_network(&coldkey, &hotkey).await?;
                if global.json {
                    return output::json(
                        &json!({ "netuid": netuid, "owner": coldkey.account(), "block": submitted.block.number }),
                    );
                }
                output::line(&format!("founded subnet {netuid}, block {}", submitted.block.number));
            }
            Action::Start { netuid } => {
                let submitted = chain.start_call(&global.signer(Part::Coldkey)?, netuid).await?;
                if global.json {
                    return output::json(&json!({ "netuid": netuid, "block": submitted.block.number }));
                }
                output::line(&format!("subnet {netuid} emits from block {} on", submitted.block.number));
            }
        }
        Ok(())
    }
}

/// A subnet as a person reads it. What strangers wrote may not move the terminal's cursor.
fn sheet(detail: &SubnetDetail) -> String {
    let title = output::clean(&format!("{} {}", detail.name, detail.symbol));
    let mut table = output::table(&[&format!("subnet {}", detail.netuid), title.trim()]);
    let per_block = |tao: u64, alpha: u64| format!("{} TAO and {} α", output::tao(tao), output::tao(alpha));
    let step = format!("block {}, {} blocks ago", detail.last_step, detail.blocks_since_last_step);
    for (name, value) in [
        ("owner's coldkey", detail.owner_coldkey.to_string()),
        ("owner's hotkey", detail.owner_hotkey.to_string()),
        ("founded", format!("in block {}", detail.registered_at)),
        ("tempo", format!("{} blocks", detail.tempo)),
        ("last epoch", if detail.last_step == 0 { "none yet".into() } else { step }),
        ("in the pool", per_block(detail.tao_in, detail.alpha_in)),
        ("into the pool, per block", per_block(detail.tao_in_emission, detail.alpha_in_emission)),
        ("outside of the pool", format!("{} α", output::tao(detail.alpha_out))),
        ("paid out, per block", format!("{} α", output::tao(detail.alpha_out_emission))),
        ("price, moving average", format!("{:.6} TAO", detail.moving_price)),
        ("traded so far", format!("{} TAO", output::tao(u64::try_from(detail.volume).unwrap_or(u64::MAX)))),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    for (name, value) in &detail.identity {
        table.add_row([output::clean(name), output::clean(value)]);
    }
    table.to_string()
}
