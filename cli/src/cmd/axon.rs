//! `starling axon`

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::keys::Signer as _;
use starling_wallet::Part;

use crate::{Global, output};

/// The hotkey's address on chain.
#[derive(Debug, Args)]
pub struct Axon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Announce where the hotkey serves.
    Serve {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Public address, such as 203.0.113.7:8091. The chain refuses loopback addresses.
        address: SocketAddr,
    },
}

impl Axon {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Action::Serve { netuid, address } = self.action;
        let hotkey = global.signer(Part::Hotkey)?;
        let submitted = global.writer().await?.serve_axon(&hotkey, netuid, address).await?;
        if global.json {
            return output::json(
                &json!({ "netuid": netuid, "hotkey": hotkey.account(), "address": address, "block": submitted.block.number }),
            );
        }
        output::line(&format!("{} serves at {address}, block {}", hotkey.account(), submitted.block.number));
        Ok(())
    }
}
