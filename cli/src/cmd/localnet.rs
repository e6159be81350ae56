//! `starling localnet`

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use starling_localnet::Presentation;

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
    /// Chain time that each block adds, seconds, however quickly it is made; the time of day if left out.
    #[arg(long, value_name = "SECONDS")]
    step: Option<u32>,
    /// Seconds between rounds of the local randomness beacon, which opens timelocked weights; 0 for none: then nothing opens.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    beacon: u32,
    /// Keep the chain in this folder and continue it after a restart.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begin with the subnet of this metagraph, as `starling metagraph NETUID --json` prints it, in place of subnet 1.
    #[arg(long, value_name = "METAGRAPH.json")]
    fork: Option<PathBuf>,
    /// Begin as the public runtime of this spec version was: 240 and 365 are older, 425 is June 2026, 466 newer.
    #[arg(long, value_name = "SPEC", default_value_t = Presentation::CURRENT.spec_version)]
    runtime: u32,
    /// The block that upgrades the runtime, to the one after --to; may be given several times.
    #[arg(long, value_name = "BLOCK", requires = "to")]
    upgrade_at: Vec<u32>,
    /// Spec version after the upgrade, one for each --upgrade-at.
    #[arg(long, value_name = "SPEC", requires = "upgrade_at")]
    to: Vec<u32>,
}

impl Localnet {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.upgrade_at.len() == self.to.len(),
            "{} --upgrade-at and {} --to: each upgrade needs its block and its spec version",
            self.upgrade_at.len(),
            self.to.len()
        );
        let upgrades = self.upgrade_at.into_iter().zip(self.to.into_iter().map(Presentation::of)).collect();
        let config = starling_localnet::LocalnetConfig {
            listen: self.listen,
            block_time: Some(Duration::from_millis(self.block_time.max(10))),
            step: self.step.filter(|step| *step > 0).map(|step| Duration::from_secs(step.into())),
            beacon: Some(self.beacon).filter(|period| *period > 0),
            state: self.state,
            fork: self.fork.as_deref().map(starling_localnet::read_snapshot).transpose()?,
            runtime: Presentation::of(self.runtime),
            upgrades,
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
