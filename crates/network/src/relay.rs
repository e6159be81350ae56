//! A relay: where peers behind a NAT meet. This is iroh's own server; nothing of a run is known here.
//!
//! Invariant: a relay carries what is encrypted between its users and cannot be read, changed or forged by it; what it can do is
//! drop it, delay it, and see which endpoint talks to which. Plain HTTP is served on loopback and private addresses only.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use iroh_relay::{
    server::{
        self, CertConfig, ClientRateLimit, DEFAULT_CERT_RELOAD_INTERVAL, QuicConfig, Server, ServerConfig, TlsConfig,
        reloading_resolver,
    },
    tls::default_provider,
};

/// How a relay is set up.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where plain HTTP is served: the relay itself, or, where there is TLS, only what clients need to notice a captive portal.
    pub http: SocketAddr,
    /// The certificate; without one the relay is plain HTTP.
    pub tls: Option<RelayTls>,
    /// Most bytes per second that one peer may send through the relay.
    pub rate: Option<NonZeroU32>,
}

/// How a relay on the internet shows who it is.
#[derive(Clone, Debug)]
pub struct RelayTls {
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Where peers learn their public address (UDP); they look for it at port 7842.
    pub quic: SocketAddr,
    /// The certificate and its chain, PEM; read again every day.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why a relay did not start, or stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RelayError {
    /// Plain HTTP where strangers are.
    #[error(
        "{0} can be reached from elsewhere, and plain HTTP shows everybody on the way who talks to whom: give a certificate and its key, or listen on a loopback or private address"
    )]
    Plain(SocketAddr),
    /// The certificate or the key.
    #[error("cannot use the certificate {certificate} with the key {key}: {reason}")]
    Certificate {
        /// Of the certificate.
        certificate: PathBuf,
        /// Of the key.
        key: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// It cannot listen.
    #[error("the relay cannot start: {0}. Is a port in use? Ports below 1024 need a permission")]
    Start(String),
    /// It ended by itself.
    #[error("the relay stopped: {0}")]
    Stopped(String),
}

/// A relay that runs. Dropped, it stops listening; [`Relay::shutdown`] ends what is open, too.
pub struct Relay(Server);

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Relay").field(&self.url()).finish()
    }
}

impl Relay {
    /// Listen.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn start(config: RelayConfig) -> Result<Self, RelayError> {
        if config.tls.is_none() && !private(config.http.ip()) {
            return Err(RelayError::Plain(config.http));
        }
        let mut relay = server::RelayConfig::new(config.http);
        relay.limits.client_rx = config.rate.map(ClientRateLimit::new);
        let mut whole = ServerConfig::default();
        if let Some(tls) = &config.tls {
            relay.tls = Some(TlsConfig::new(tls.https, certified(&tls.certificate, &tls.key).await?));
            whole.quic = Some(QuicConfig::new(tls.quic));
        }
        whole.relay = Some(relay);
        Server::spawn(whole).await.map(Self).map_err(|e| RelayError::Start(format!("{e:#}")))
    }

    /// Where it is, by number. Where there is TLS, peers must use a name that the certificate holds.
    #[must_use]
    pub fn url(&self) -> String {
        let (scheme, address) = match (self.0.https_addr(), self.0.http_addr()) {
            (Some(address), _) => ("https", Some(address)),
            (None, address) => ("http", address),
        };
        address.map_or_else(String::new, |address| format!("{scheme}://{address}/"))
    }

    /// Where peers learn their public address, if it has TLS.
    #[must_use]
    pub fn quic(&self) -> Option<SocketAddr> {
        self.0.quic_addr()
    }

    /// Returns when the relay has stopped by itself.
    pub async fn stopped(&mut self) -> RelayError {
        RelayError::Stopped(match self.0.join().await {
            Ok(Ok(())) => "its tasks ended".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        })
    }

    /// Stop, and say so to its users.
    ///
    /// # Errors
    /// [`RelayError::Stopped`] where its tasks failed before.
    pub async fn shutdown(self) -> Result<(), RelayError> {
        self.0.shutdown().await.map_err(|e| RelayError::Stopped(format!("{e:#}")))
    }
}

/// Loopback, or of a network of one's own.
fn private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

async fn certified(certificate: &Path, key: &Path) -> Result<CertConfig, RelayError> {
    let failed =
        |reason: String| RelayError::Certificate { certificate: certificate.to_owned(), key: key.to_owned(), reason };
    let provider = default_provider();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_no_client_auth();
    let (chain, secret) = (certificate.to_owned(), key.to_owned());
    let resolver = reloading_resolver(&provider, chain, secret, DEFAULT_CERT_RELOAD_INTERVAL).await;
    let resolver = resolver.map_err(|e| failed(format!("{e:#}")))?;
    Ok(CertConfig::Manual { server_config: server.with_cert_resolver(resolver) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_networks_count_as_private() {
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"] {
            assert!(private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["0.0.0.0", "8.8.8.8", "172.32.0.1", "::", "2001:db8::1"] {
            assert!(!private(ip.parse().unwrap()), "{ip}");
        }
    }
}
