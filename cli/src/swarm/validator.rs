//! `starling validator`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::json;
use starling_network::PeerAddress;
use starling_validator::{Validator as Actor, ValidatorConfig};

use super::relay::RelayFlags;
use crate::{Global, compute::Compute, output};

/// Audit a run's miners and set their weights on chain.
#[derive(Debug, Args)]
pub struct Validator {
    /// The run's TOML.
    #[arg(long)]
    run: PathBuf,
    /// Where the orchestrator is: the token it prints at start.
    #[arg(long)]
    orchestrator: PeerAddress,
    /// Folder for scores, commits and evidence; keep it over restarts.
    #[arg(long)]
    state: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    #[command(flatten)]
    relays: RelayFlags,
    #[command(flatten)]
    pub compute: Compute,
}

impl Validator {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let run = super::run::load(&self.run)?;
        let hotkey = Arc::new(global.hotkey()?);
        let chain = global.chain().await?;
        let config = ValidatorConfig {
            run,
            orchestrator: self.orchestrator,
            state_dir: self.state,
            bind: self.bind,
            relays: self.relays.resolve(global),
            device: self.compute.device,
            threads: self.compute.threads.into(),
        };
        let mut validator = Actor::start(config, hotkey, chain).await?;
        let mut events = validator.events();
        let json = global.json;
        let shown = tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
                if json {
                    let _ = output::json_line(&event);
                } else {
                    output::line(&event.to_string());
                }
            }
        });
        let result = validator.finished().await;
        shown.abort();
        let summary = result?;
        if json {
            output::json_line(&json!({ "finished": summary }))?;
        }
        Ok(())
    }
}
