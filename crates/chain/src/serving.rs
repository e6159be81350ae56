//! Where a neuron serves: the axon with a certificate, and metrics (chain.md 8.8).

use std::net::SocketAddr;

use starling_keys::Signer;

use crate::{ChainError, Client, Submitted, submit::Call, value::Value};

const SUBTENSOR: &str = "SubtensorModule";
/// Longest certificate: an algorithm's number and a public key.
pub const MAX_CERTIFICATE: usize = 65;

/// The chain's numbers for an address: the address itself, and 4 or 6.
pub(crate) fn ip_of(address: SocketAddr) -> (u128, u8) {
    match address.ip() {
        std::net::IpAddr::V4(ip) => (u128::from(u32::from(ip)), 4_u8),
        std::net::IpAddr::V6(ip) => (u128::from(ip), 6),
    }
}

/// The arguments of every axon.
pub(crate) fn axon_args(netuid: u16, address: SocketAddr) -> Vec<(&'static str, Value)> {
    let (ip, ip_type) = ip_of(address);
    vec![
        ("netuid", netuid.into()),
        ("version", 1_u32.into()),
        ("ip", ip.into()),
        ("port", address.port().into()),
        ("ip_type", ip_type.into()),
        // 4 is what the official tools send; placeholders are unused.
        ("protocol", 4_u8.into()),
        ("placeholder1", 0_u8.into()),
        ("placeholder2", 0_u8.into()),
    ]
}

impl Client {
    /// As [`Client::serve_axon`], with a public key beside it: the algorithm's number, then at most 64 bytes.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] for a certificate of another length, which the chain would pass over without a word.
    pub async fn serve_axon_tls(
        &self,
        hotkey: &dyn Signer,
        netuid: u16,
        address: SocketAddr,
        certificate: &[u8],
    ) -> Result<Submitted, ChainError> {
        if !(2..=MAX_CERTIFICATE).contains(&certificate.len()) {
            return Err(ChainError::Invalid(format!(
                "a certificate has 2 to {MAX_CERTIFICATE} bytes (the algorithm's number, then the public key), not {}",
                certificate.len()
            )));
        }
        let mut args = axon_args(netuid, address);
        args.push(("certificate", Value::Bytes(certificate.to_vec())));
        self.write(hotkey, &Call { pallet: SUBTENSOR, name: "serve_axon_tls", args }).await
    }

    /// Says where a hotkey serves metrics.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn serve_prometheus(
        &self,
        hotkey: &dyn Signer,
        netuid: u16,
        address: SocketAddr,
    ) -> Result<Submitted, ChainError> {
        let (ip, ip_type) = ip_of(address);
        let args = vec![
            ("netuid", netuid.into()),
            ("version", 1_u32.into()),
            ("ip", ip.into()),
            ("port", address.port().into()),
            ("ip_type", ip_type.into()),
        ];
        self.write(hotkey, &Call { pallet: SUBTENSOR, name: "serve_prometheus", args }).await
    }
}
