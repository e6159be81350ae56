//! `starling relay`, and the options of those who use one.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use clap::Args;
use serde_json::json;
use starling_network::{
    Relays,
    relay::{self, RelayConfig, RelayTls},
};

use crate::{Global, output};

/// The relays that an actor uses.
#[derive(Debug, Args)]
pub struct RelayFlags {
    /// A relay through which peers behind a NAT are reached; again for each further one. Without it: $STARLING_RELAY (separated by
    /// commas), then `relays` of the configuration.
    #[arg(long, value_name = "URL")]
    relay: Vec<String>,
    /// A file with certificates (PEM) that relays may show besides those of the public authorities.
    #[arg(long, value_name = "FILE")]
    relay_root: Vec<PathBuf>,
}

impl RelayFlags {
    /// What counts: the options, or what is configured.
    pub fn resolve(self, global: &Global) -> Relays {
        let urls = if self.relay.is_empty() { global.relays.clone() } else { self.relay };
        Relays { urls, roots: self.relay_root }
    }
}

/// Run a relay through which peers behind a NAT are reached.
#[derive(Debug, Args)]
pub struct Relay {
    /// Address of plain HTTP: of the relay itself in a network of one's own; beside a certificate, for the check for captive portals.
    #[arg(long, default_value = "127.0.0.1:3340")]
    bind: SocketAddr,
    /// The certificate and its chain, PEM: the relay is HTTPS then.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Address of HTTPS.
    #[arg(long, default_value = "0.0.0.0:443", requires = "certificate")]
    https: SocketAddr,
    /// Address where peers learn their public one (UDP); they ask at port 7842.
    #[arg(long, default_value = "0.0.0.0:7842", requires = "certificate")]
    quic: SocketAddr,
    /// Most bytes per second that one peer may send through the relay.
    #[arg(long, value_name = "BYTES")]
    rate: Option<NonZeroU32>,
}

impl Relay {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let tls = self.certificate.zip(self.key).map(|(certificate, key)| RelayTls {
            https: self.https,
            quic: self.quic,
            certificate,
            key,
        });
        let mut relay = relay::Relay::start(RelayConfig { http: self.bind, tls, rate: self.rate }).await?;
        let (url, quic) = (relay.url(), relay.quic());
        if global.json {
            output::json_line(&json!({ "event": "listening", "url": url, "quic": quic }))?;
        } else {
            output::line(&format!("peers reach this relay with --relay {url}"));
            if quic.is_some() {
                output::line("give a name that the certificate holds in place of the number");
            }
        }
        Err(relay.stopped().await.into())
    }
}
