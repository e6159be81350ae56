//! `starling weights process`: what the official clients would make of weights, without a chain.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use starling_yuma::process::Limits;

use super::vector::{Fit, Who, fit_to, read};
use crate::{Global, output};

/// Fit weights to limits and scale them, as the official clients do it: what would be sent. Asks no chain.
#[derive(Debug, Args)]
pub struct Process {
    /// The weights: JSON or CSV, by uid.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// As which generation of the official clients.
    #[arg(long, value_enum, default_value_t = Fit::V11)]
    fit: Fit,
    /// Neurons on the subnet (v10 fills up for all of them); the largest uid and one if left out.
    #[arg(long)]
    neurons: Option<u16>,
    /// Fewest weights that the subnet takes.
    #[arg(long, default_value_t = 0)]
    min_allowed: u16,
    /// Largest share of one weight, of 65535.
    #[arg(long, default_value_t = u16::MAX)]
    max_weight: u16,
    /// With v10: leave out this part of them, from below, of 65535.
    #[arg(long, default_value_t = 0)]
    exclude_quantile: u16,
}

impl Process {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let mut weights = Vec::new();
        for (who, weight) in read(&self.file)? {
            let Who::Uid(uid) = who else { bail!("{who:?}: without a chain nobody knows a hotkey's uid; give uids") };
            weights.push((uid, weight));
        }
        weights.sort_unstable_by_key(|(uid, _)| *uid);
        let last = weights.last().map_or(0, |(uid, _)| *uid);
        let (uids, values): (Vec<u16>, Vec<f64>) = weights.into_iter().unzip();
        let limits = Limits {
            min_allowed: self.min_allowed.into(),
            max: f64::from(self.max_weight) / f64::from(u16::MAX),
            exclude_quantile: self.exclude_quantile,
        };
        let neurons = self.neurons.unwrap_or(last.saturating_add(1));
        let (uids, values) = fit_to(self.fit, &uids, &values, neurons, &limits)?;
        let (uids, values) =
            starling_chain::weights::quantise(&uids, &values).context("these weights cannot be set")?;
        if global.json {
            return output::json(&json!({ "uids": uids, "values": values }));
        }
        let mut table = output::table(&["uid", "weight"]);
        for (uid, value) in uids.iter().zip(&values) {
            table.add_row([uid.to_string(), value.to_string()]);
        }
        output::line(&table.to_string());
        Ok(())
    }
}
