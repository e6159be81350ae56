//! `starling axon`

use std::net::SocketAddr;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use starling_keys::Signer as _;
use starling_wallet::Part;

use crate::{Global, output};

/// Where the hotkey serves, on chain.
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
        /// A public key to publish beside it, hex: the algorithm's number (one byte), then at most 64 bytes.
        #[arg(long, value_name = "HEX")]
        certificate: Option<String>,
    },
    /// Announce where the hotkey serves metrics.
    Prometheus {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// Public address, such as 203.0.113.7:9090.
        address: SocketAddr,
    },
}

impl Axon {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let hotkey = global.signer(Part::Hotkey)?;
        let chain = global.writer().await?;
        let (netuid, address, what, sent) = match self.action {
            Action::Serve { netuid, address, certificate: None } => {
                (netuid, address, "serves", chain.serve_axon(&hotkey, netuid, address).await?)
            }
            Action::Serve { netuid, address, certificate: Some(text) } => {
                let bytes =
                    hex::decode(text.strip_prefix("0x").unwrap_or(&text)).context("the certificate is not hex")?;
                (netuid, address, "serves", chain.serve_axon_tls(&hotkey, netuid, address, &bytes).await?)
            }
            Action::Prometheus { netuid, address } => {
                (netuid, address, "serves metrics", chain.serve_prometheus(&hotkey, netuid, address).await?)
            }
        };
        if global.json {
            return output::json(
                &json!({ "netuid": netuid, "hotkey": hotkey.account(), "address": address, "block": sent.block.number }),
            );
        }
        output::line(&format!("{} {what} at {address}, block {}", hotkey.account(), sent.block.number));
        Ok(())
    }
}
