//! `starling hyperparameters`

use clap::Args;

use crate::{Global, output};

/// A subnet's hyperparameters.
#[derive(Debug, Args)]
pub struct Hyperparameters {
    /// The subnet.
    netuid: u16,
}

impl Hyperparameters {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let parameters = global.chain().await?.hyperparameters(self.netuid).await?;
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
