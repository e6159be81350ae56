//! `starling weights`

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{Global, exit::Refused, output};

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
    },
    /// Set weights now, plainly: for subnets with commit-reveal off. `starling validator` commits and reveals by itself.
    Set {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// `uid=weight` pairs; weights are any non-negative numbers and are scaled to the largest.
        #[arg(required = true, value_parser = pair)]
        weights: Vec<(u16, f64)>,
        /// Weights version key.
        #[arg(long, default_value_t = 0)]
        version_key: u64,
    },
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
            Action::Show { netuid, uid } => {
                let weights = global.chain().await?.weights(netuid, uid, None).await?;
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
            Action::Set { netuid, weights, version_key } => {
                let hotkey = global.hotkey()?;
                let chain = global.chain().await?;
                if chain.hyperparameters(netuid).await?.commit_reveal_enabled {
                    return Err(Refused(format!(
                        "subnet {netuid} has commit-reveal on: weights set plainly are refused. Run `starling validator`, which commits and reveals"
                    ))
                    .into());
                }
                let (uids, values): (Vec<u16>, Vec<f64>) = weights.into_iter().unzip();
                let (uids, values) =
                    starling_chain::weights::quantise(&uids, &values).context("these weights cannot be set")?;
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
