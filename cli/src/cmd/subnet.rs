//! `starling subnet`

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::keys::Signer as _;
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
}

impl Subnet {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.writer().await?;
        match self.action {
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
                let value = serde_json::to_value(&detail)?;
                if global.json {
                    return output::json(&value);
                }
                let mut table = output::table(&["", ""]);
                for (name, value) in value.as_object().into_iter().flatten() {
                    table.add_row([name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
                }
                output::line(&table.to_string());
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
