//! `starling metagraph`

use clap::Args;

use crate::{Global, output};

/// A subnet's neurons at the newest final block, or at another: everything is read at that one block.
#[derive(Debug, Args)]
pub struct Metagraph {
    /// The subnet.
    netuid: u16,
    /// Read at this block. Nodes keep old state for a while only (archive nodes for ever).
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

impl Metagraph {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let graph = chain.metagraph(self.netuid, super::at(&chain, self.at).await?).await?;
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
