//! `starling hyperparameters`

use clap::Args;

use crate::{Global, output};

/// A subnet's hyperparameters.
#[derive(Debug, Args)]
pub struct Hyperparameters {
    /// The subnet.
    netuid: u16,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

impl Hyperparameters {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let parameters = chain.hyperparameters_at(self.netuid, super::at(&chain, self.at).await?).await?;
        let value = serde_json::to_value(&parameters)?;
        if global.json {
            return output::json(&value);
        }
        let mut table = output::table(&["hyperparameter", "value"]);
        for (name, value) in value.as_object().into_iter().flatten() {
            table.add_row([name.clone(), value.to_string()]);
        }
        output::line(&table.to_string());
        Ok(())
    }
}
