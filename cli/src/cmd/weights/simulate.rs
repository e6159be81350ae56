//! `starling weights simulate`: what the next epoch would pay, as it is and with one row replaced.

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::vector::{Fit, Who, fitted, on_subnet, pair};
use crate::{Global, cmd, output};

/// What would the next epoch give everybody, on the live metagraph?
///
/// Without weights: as things are. With weights: had the validator set them, and did they count already. The emission is taken to be
/// the last epoch's; others may still change their weights before the epoch runs.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// The validator whose weights are replaced; the wallet's hotkey if left out.
    #[arg(long)]
    uid: Option<u16>,
    /// `uid=weight` or `hotkey=weight` pairs to put in place of its row.
    #[arg(value_parser = pair)]
    weights: Vec<(Who, f64)>,
    /// Read at this block: as things were, with nobody's weights replaced.
    #[arg(long, value_name = "BLOCK", conflicts_with = "weights")]
    at: Option<u32>,
    /// Show this many of the neurons that are paid most, 0 for all.
    #[arg(long, default_value_t = 20)]
    top: usize,
}

impl Simulate {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let at = cmd::at(&chain, self.at).await?;
        let snapshot = chain.epoch_snapshot(self.netuid, at).await?;
        let now = snapshot.as_it_is().map_err(|why| anyhow!("the metagraph contradicts itself: {why}"))?;
        let uid = match (self.uid, self.weights.is_empty()) {
            (Some(uid), _) => Some(uid),
            (None, true) => None,
            (None, false) => {
                let account = global.hotkey_account()?;
                let neuron = snapshot.metagraph.by_hotkey(&account);
                Some(neuron.map(|n| n.uid).ok_or_else(|| {
                    anyhow!("{account} is not registered on subnet {}: name a validator with --uid", self.netuid)
                })?)
            }
        };
        let then = match (uid, self.weights.is_empty()) {
            (Some(uid), false) => {
                let (weights, missing) = on_subnet(&chain, self.netuid, self.weights).await?;
                anyhow::ensure!(missing.is_empty(), "{missing:?} are not registered on subnet {}", self.netuid);
                let (uids, values) = fitted(&chain, self.netuid, weights, Fit::AsGiven, 0).await?;
                let row: Vec<(u16, u16)> = uids.into_iter().zip(values).collect();
                Some(
                    snapshot
                        .with_weights(uid, &row)
                        .map_err(|why| anyhow!("these weights cannot be simulated: {why}"))?,
                )
            }
            _ => None,
        };
        let graph = &snapshot.metagraph;
        if global.json {
            return output::json(&json!({
                "netuid": self.netuid, "block": graph.block, "epoch_block": snapshot.input.block,
                "emission_rao": snapshot.input.emission, "uid": uid, "as_it_is": now, "with_weights": then,
            }));
        }
        let shown = then.as_ref().unwrap_or(&now);
        let mut order: Vec<usize> = (0..shown.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(shown.get(*i).map_or(0, |o| o.emission)));
        let share = |value: u16| format!("{:.4}", f64::from(value) / 65_535.0);
        let mut table =
            output::table(&["uid", "consensus", "incentive", "dividends", "v. trust", "emission (α)", "change (α)"]);
        let count = if self.top == 0 { order.len() } else { self.top };
        for (outcome, before) in order.into_iter().take(count).filter_map(|i| Some((shown.get(i)?, now.get(i)?))) {
            let change = outcome.emission as f64 - before.emission as f64;
            table.add_row([
                format!("{}{}", outcome.uid, if uid == Some(outcome.uid) { " ←" } else { "" }),
                share(outcome.consensus),
                share(outcome.incentive),
                share(outcome.dividends),
                share(outcome.validator_trust),
                output::tao(outcome.emission),
                if then.is_some() { format!("{:+.4}", change / 1e9) } else { String::new() },
            ]);
        }
        output::line(&table.to_string());
        output::line(&format!(
            "read at block {}; the epoch runs in block {} and is taken to pay {} α, as the last one did",
            graph.block,
            snapshot.input.block,
            output::tao(snapshot.input.emission)
        ));
        Ok(())
    }
}
