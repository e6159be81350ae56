//! `starling weights`

mod check;
mod keep;
mod simulate;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use starling_chain::weights::preflight::{self, Way};

use crate::{Global, output};

/// Weights that a validator sets.
#[derive(Debug, Args)]
pub struct Weights {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the weights that a uid has set.
    Show {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// The validator.
        uid: u16,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Set weights now, plainly: for subnets with commit-reveal off. `starling validator` commits and reveals by itself.
    Set(Vector),
    /// Would the chain take these weights now? Every rule, with the value read and the value needed.
    Check(check::Check),
    /// Keep a file's weights on chain in every epoch, over crashes and for months.
    Keep(keep::Keep),
    /// What would the next epoch give everybody: as things are, or with one validator's weights replaced?
    Simulate(simulate::Simulate),
}

/// Weights on a subnet.
#[derive(Debug, Args)]
struct Vector {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// `uid=weight` pairs; weights are any non-negative numbers and are scaled to the largest.
    #[arg(required = true, value_parser = pair)]
    weights: Vec<(u16, f64)>,
    /// Weights version key.
    #[arg(long, default_value_t = 0)]
    version_key: u64,
}

impl Vector {
    /// As they are sent: zeros dropped, the largest 65535.
    fn quantised(&self) -> anyhow::Result<(Vec<u16>, Vec<u16>)> {
        let (uids, values): (Vec<u16>, Vec<f64>) = self.weights.iter().copied().unzip();
        starling_chain::weights::quantise(&uids, &values).context("these weights cannot be set")
    }
}

fn pair(text: &str) -> Result<(u16, f64), String> {
    let (uid, weight) = text.split_once('=').ok_or("write uid=weight, such as 3=0.5")?;
    let uid = uid.parse().map_err(|_| format!("`{uid}` is not a uid (0 to 65535)"))?;
    let weight: f64 = weight.parse().map_err(|_| format!("`{weight}` is not a number"))?;
    if weight.is_finite() && weight >= 0.0 {
        Ok((uid, weight))
    } else {
        Err(format!("weight {weight} must be finite and not negative"))
    }
}

impl Weights {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::Show { netuid, uid, at } => {
                let chain = global.chain().await?;
                let weights = chain.weights(netuid, uid, super::at(&chain, at).await?).await?;
                if global.json {
                    let rows: Vec<_> =
                        weights.iter().map(|(uid, weight)| json!({ "uid": uid, "weight": weight })).collect();
                    return output::json(&json!({ "netuid": netuid, "uid": uid, "weights": rows }));
                }
                let mut table = output::table(&["uid", "weight", "share"]);
                let total: f64 = weights.iter().map(|(_, w)| f64::from(*w)).sum();
                for (uid, weight) in weights {
                    table.add_row([
                        uid.to_string(),
                        weight.to_string(),
                        format!("{:.2} %", 100.0 * f64::from(weight) / total.max(1.0)),
                    ]);
                }
                output::line(&table.to_string());
            }
            Action::Check(c) => c.run(global).await?,
            Action::Keep(c) => c.run(global).await?,
            Action::Simulate(c) => c.run(global).await?,
            Action::Set(vector) => {
                let Vector { netuid, version_key, .. } = vector;
                let hotkey = global.hotkey()?;
                let chain = global.chain().await?;
                let (uids, values) = vector.quantised()?;
                let facts = chain.weight_facts(netuid, &hotkey.account()).await?;
                let rules = preflight::check(&facts, Way::Plain, &uids, &values, version_key);
                let broken: Vec<&preflight::Check> = rules.iter().filter(|r| !r.holds).collect();
                check::refuse(&broken, chain.block_seconds().await?)?;
                let submitted = chain.set_weights(&hotkey, netuid, &uids, &values, version_key).await?;
                if global.json {
                    return output::json(
                        &json!({ "netuid": netuid, "hotkey": hotkey.account(), "uids": uids, "values": values, "block": submitted.block.number }),
                    );
                }
                output::line(&format!("{} weights are on chain, block {}", uids.len(), submitted.block.number));
            }
        }
        Ok(())
    }
}
