//! Public endpoints are `wss://`: the certificate must be one that this machine trusts, and be for that host.
//!
//! The fixtures are an authority made for this test (its key was thrown away), and a certificate and key for `localhost`, valid for a
//! hundred years: `openssl req -x509 …` and `openssl x509 -req -CA …` with `subjectAltName=DNS:localhost`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{path::PathBuf, process::Stdio, sync::Arc};

use process::Process;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

/// Speaks TLS to clients and plain TCP to the chain; answers its port.
async fn secured(chain: String) -> u16 {
    let certificates = vec![CertificateDer::from_pem_file(fixture("tls-localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture("tls-localhost.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, chain) = (acceptor.clone(), chain.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let mut node = TcpStream::connect(chain).await?;
                copy_bidirectional(&mut client, &mut node).await
            });
        }
    });
    port
}

async fn metagraph(endpoint: &str, trusted: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.args(["metagraph", "1", "--json", "--timeout", "10", "--endpoint", endpoint]).stdin(Stdio::null());
    command.env("STARLING_CONFIG", "/dev/null");
    if let Some(trusted) = trusted {
        command.env("SSL_CERT_FILE", fixture(trusted));
    }
    let output = command.output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_trusted_certificate_for_the_host_is_needed_and_is_enough() {
    let (_chain, url) = Process::chain(&[]);
    let port = secured(url.trim_start_matches("ws://").to_owned()).await;
    let endpoint = format!("wss://localhost:{port}");
    let (code, said) = metagraph(&endpoint, Some("tls-ca.pem")).await;
    assert_eq!(code, Some(0), "{said}");
    // An authority that nobody here knows; a name that the certificate is not for.
    let (code, said) = metagraph(&endpoint, None).await;
    assert!(code == Some(3) && said.contains("certificate"), "{said}");
    let (code, said) = metagraph(&format!("wss://127.0.0.1:{port}"), Some("tls-ca.pem")).await;
    assert!(code == Some(3) && said.contains("certificate"), "{said}");
}
