//! `starling weights batch`: several subnets' weights in one transaction, each judged by the chain's own events.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use starling_chain::weights::BatchItem;

use super::vector::{Fit, fitted, on_subnet, read};
use crate::{Global, exit::Refused, output};

/// Set weights on several subnets in one transaction. The chain says yes to a batch whose items fail: here a failed item is a failure.
#[derive(Debug, Args)]
pub struct Batch {
    /// A subnet and its weights file, such as `3=weights.json`; may be given several times.
    #[arg(required = true, value_parser = item, value_name = "NETUID=FILE")]
    items: Vec<(u16, PathBuf)>,
    /// Weights version key, for all of them.
    #[arg(long, default_value_t = 0)]
    version_key: u64,
}

fn item(text: &str) -> Result<(u16, PathBuf), String> {
    let (netuid, file) = text.split_once('=').ok_or("write NETUID=FILE, such as 3=weights.json")?;
    Ok((netuid.parse().map_err(|_| format!("`{netuid}` is not a subnet's number"))?, file.into()))
}

impl Batch {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let hotkey = global.hotkey()?;
        let chain = global.chain().await?;
        let mut items = Vec::new();
        for (netuid, file) in &self.items {
            let (weights, missing) = on_subnet(&chain, *netuid, read(file)?).await?;
            ensure!(missing.is_empty(), "{}: {missing:?} are not registered on subnet {netuid}", file.display());
            let (uids, values) = fitted(&chain, *netuid, weights, Fit::AsGiven, 0).await?;
            items.push(BatchItem { netuid: *netuid, uids, values, version_key: self.version_key });
        }
        let (results, submitted) = chain.batch_set_weights(&hotkey, &items).await?;
        let failed = results.iter().filter(|r| r.failure.is_some()).count();
        if global.json {
            output::json(
                &json!({ "hotkey": hotkey.account(), "block": submitted.block.number, "items": results, "failed": failed }),
            )?;
        } else {
            let mut table = output::table(&["subnet", "weights"]);
            for result in &results {
                let told = match &result.failure {
                    Some((name, why)) => format!("refused: {name}: {why}"),
                    None => "on chain".to_owned(),
                };
                table.add_row([result.netuid.to_string(), told]);
            }
            output::line(&table.to_string());
        }
        if failed > 0 {
            return Err(Refused(format!(
                "{failed} of {} items failed in block {}",
                results.len(),
                submitted.block.number
            ))
            .into());
        }
        Ok(())
    }
}
