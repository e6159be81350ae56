//! `starling localnet`

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use crate::{Global, output};

/// A local Substrate chain with the subtensor interface, until Ctrl-C.
#[derive(Debug, Args)]
pub struct Localnet {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9944")]
    listen: SocketAddr,
    /// Milliseconds between blocks.
    #[arg(long, default_value_t = 250, value_name = "MS")]
    block_time: u64,
    /// Keep the chain in this folder and continue it after a restart.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Localnet {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let config = starling_localnet::LocalnetConfig {
            listen: self.listen,
            block_time: Some(Duration::from_millis(self.block_time.max(10))),
            state: self.state,
            ..Default::default()
        };
        let node = starling_localnet::Localnet::start(config).await?;
        if global.json {
            let accounts: Vec<_> = node
                .accounts()
                .iter()
                .map(|a| json!({ "name": a.name, "ss58": a.ss58, "uri": a.uri, "rao": a.balance }))
                .collect();
            output::json_line(
                &json!({ "url": node.url(), "block_time_ms": self.block_time, "sudo": "//Alice", "accounts": accounts }),
            )?;
        } else {
            let mut table = output::table(&["account", "address", "secret", "TAO"]);
            for a in node.accounts() {
                table.add_row([a.name.clone(), a.ss58.clone(), a.uri.clone(), output::tao(a.balance)]);
            }
            output::line(&table.to_string());
            output::line("These keys are public knowledge: for development only. //Alice may use sudo.");
            output::line(&format!("listening on {}, a block every {} ms", node.url(), self.block_time));
        }
        node.stopped().await;
        match node.failure() {
            Some(failure) => Err(anyhow::anyhow!("the chain stopped: {failure}")),
            None => Ok(()),
        }
    }
}
