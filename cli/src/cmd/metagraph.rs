//! `starling metagraph`

use clap::Args;

use crate::{Global, output};

/// A subnet's neurons at the newest final block.
#[derive(Debug, Args)]
pub struct Metagraph {
    /// The subnet.
    netuid: u16,
}

impl Metagraph {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let graph = global.chain().await?.metagraph(self.netuid, None).await?;
        if global.json {
            return output::json(&graph);
        }
        let share = |v: u16| format!("{:.4}", f64::from(v) / 65_535.0);
        let mut table = output::table(&[
            "uid",
            "hotkey",
            "stake",
            "permit",
            "active",
            "vtrust",
            "consensus",
            "incentive",
            "dividends",
            "emission",
            "updated",
        ]);
        for n in &graph.neurons {
            table.add_row([
                n.uid.to_string(),
                n.hotkey.short(),
                output::tao(n.total_stake),
                if n.validator_permit { "yes" } else { "" }.to_owned(),
                if n.active { "yes" } else { "" }.to_owned(),
                share(n.validator_trust),
                share(n.consensus),
                share(n.incentive),
                share(n.dividends),
                output::tao(n.emission),
                n.last_update.to_string(),
            ]);
        }
        output::line(&format!(
            "subnet {} at block {}: {} neurons, tempo {}",
            graph.netuid,
            graph.block,
            graph.neurons.len(),
            graph.tempo
        ));
        output::line(&table.to_string());
        Ok(())
    }
}
