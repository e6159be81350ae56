//! `starling miner`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::json;
use starling_miner::{Adversary, Miner as Actor, MinerConfig};
use starling_network::PeerAddress;

use super::relay::RelayFlags;
use crate::{Global, compute::Compute, output};

/// Compute a stage of a run.
#[derive(Debug, Args)]
pub struct Miner {
    /// The run's TOML.
    #[arg(long)]
    run: PathBuf,
    /// Where the orchestrator is: the token it prints at start.
    #[arg(long)]
    orchestrator: PeerAddress,
    /// Folder for blobs, identity and receipts; keep it over restarts.
    #[arg(long)]
    state: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    #[command(flatten)]
    relays: RelayFlags,
    #[command(flatten)]
    pub compute: Compute,
    /// TEST ONLY: cheat in this way, to see it caught (random-output, skip-layers, stale-weights, replay, withhold-opening, lazy-step, wrong-shape, bad-signature).
    #[arg(long, value_name = "HOW")]
    test_only_adversary: Option<Adversary>,
    /// TEST ONLY: claim to speak this version of the protocol, to see it refused.
    #[arg(long, value_name = "VERSION")]
    test_only_protocol_version: Option<u32>,
}

impl Miner {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let run = super::run::load(&self.run)?;
        let hotkey = Arc::new(global.hotkey()?);
        let chain = global.chain().await?;
        let config = MinerConfig {
            run,
            orchestrator: self.orchestrator,
            state_dir: self.state,
            bind: self.bind,
            relays: self.relays.resolve(global),
            device: self.compute.device,
            threads: self.compute.threads.into(),
            adversary: self.test_only_adversary,
            protocol_version: self.test_only_protocol_version.unwrap_or(starling_protocol::wire::PROTOCOL_VERSION),
        };
        let miner = Actor::start(config, hotkey, chain).await?;
        let mut status = miner.status();
        let json = global.json;
        let shown = tokio::spawn(async move {
            while status.changed().await.is_ok() {
                let now = status.borrow_and_update().clone();
                if json {
                    let _ = output::json_line(&json!({ "status": now }));
                } else {
                    tracing::info!("{now}");
                }
            }
        });
        let result = miner.finished().await;
        shown.abort();
        result?;
        Ok(())
    }
}
