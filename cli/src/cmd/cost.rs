//! `starling cost`: what a registration costs, now and later.

use clap::Args;
use serde_json::json;

use crate::{Global, output};

/// What registering on a subnet burns now, and will burn later if nobody else registers meanwhile.
#[derive(Debug, Args)]
pub struct Cost {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// Blocks from now for which it is predicted; several, comma-separated.
    #[arg(long = "in", value_name = "BLOCKS", value_delimiter = ',', default_values_t = [100, 360, 7200])]
    blocks: Vec<u32>,
    /// When will it be at most this, in TAO?
    #[arg(long, value_parser = output::to_rao, value_name = "TAO")]
    until: Option<u64>,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

impl Cost {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let curve = chain.burn_curve(self.netuid, super::at(&chain, self.at).await?).await?;
        let wait = self.until.map(|rao| curve.blocks_until(rao));
        if global.json {
            let later: Vec<_> = self
                .blocks
                .iter()
                .map(|blocks| json!({ "in_blocks": blocks, "burn_rao": curve.after(*blocks) }))
                .collect();
            return output::json(&json!({
                "netuid": self.netuid, "block": curve.block, "burn_rao": curve.burn, "min_rao": curve.min, "max_rao": curve.max,
                "half_life_blocks": curve.half_life, "predicted": later, "until_rao": self.until, "blocks_until": wait.flatten(),
            }));
        }
        let mut table = output::table(&["block", "registering burns (TAO)"]);
        for blocks in std::iter::once(0).chain(self.blocks) {
            table.add_row([curve.block.saturating_add(blocks).to_string(), output::tao(curve.after(blocks))]);
        }
        output::line(&table.to_string());
        output::line("each registration until then multiplies it");
        match (self.until, wait) {
            (Some(rao), Some(Some(blocks))) => {
                output::line(&format!("at most {} TAO in {blocks} blocks", output::tao(rao)));
            }
            (Some(rao), _) => output::line(&format!("it never falls to {} TAO by itself", output::tao(rao))),
            _ => {}
        }
        Ok(())
    }
}
