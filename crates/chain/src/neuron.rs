//! One neuron in depth: what the metagraph has of it, and what storage has beside (chain.md 3).
//!
//! Invariant: everything is read at one block.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use serde::Serialize;

use crate::{
    ChainError, Client, Mechanism, Metagraph, Neuron,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";

/// Where a neuron serves its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Prometheus {
    /// Block in which it said so.
    pub block: u64,
    /// Address and port.
    pub address: SocketAddr,
    /// The software's version.
    pub version: u32,
}

/// The public key with which a neuron's axon is to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The algorithm's number, of the neuron's choice.
    pub algorithm: u8,
    /// The key, hex.
    pub public_key: String,
}

/// A weight or a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// On whom.
    pub uid: u16,
    /// As the chain stores it.
    pub value: u16,
}

/// One neuron in depth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeuronDetail {
    /// Number of the block read at.
    pub block: u32,
    /// The subnet.
    pub netuid: u16,
    /// The mechanism whose incentive, updates, weights and bonds these are.
    pub mechanism: u8,
    /// What the metagraph has of it.
    #[serde(flatten)]
    pub neuron: Neuron,
    /// Whether it is the subnet owner's, whose incentive is burned and which is not pruned.
    pub is_subnet_owner: bool,
    /// Blocks until it may be pruned; 0 when it may be now.
    pub immunity_left: u64,
    /// Blocks since its last weights.
    pub weights_age: u64,
    /// Blocks until it counts as inactive unless it sets weights; 0 when it does already.
    pub activity_left: u64,
    /// Where it serves metrics, if it says so.
    pub prometheus: Option<Prometheus>,
    /// Its certificate, if it has one.
    pub certificate: Option<Certificate>,
    /// What it has set.
    pub weights: Vec<Entry>,
    /// What it holds of others.
    pub bonds: Vec<Entry>,
    /// What its coldkey says of itself; empty for nothing.
    pub identity: BTreeMap<String, String>,
}

impl Client {
    /// Neurons of a metagraph in depth, by uid, at its block. Uids that it does not have are left out.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn neurons(&self, graph: &Metagraph, uids: &[u16]) -> Result<Vec<NeuronDetail>, ChainError> {
        let wanted = uids.iter().filter_map(|uid| graph.neurons.get(usize::from(*uid)));
        futures::future::try_join_all(wanted.map(|neuron| self.neuron(graph, neuron))).await
    }

    async fn neuron(&self, graph: &Metagraph, neuron: &Neuron) -> Result<NeuronDetail, ChainError> {
        let of = Mechanism { netuid: graph.netuid, id: graph.mechanism };
        let at = Some(graph.block_hash);
        let (prometheus, certificate, weights, bonds, identity) = futures::try_join!(
            self.under_name(graph, "Prometheus", neuron),
            self.under_name(graph, "NeuronCertificates", neuron),
            self.row("Weights", of.index(), neuron.uid, at),
            self.row("Bonds", of.index(), neuron.uid, at),
            self.identity(&neuron.coldkey, at),
        )?;
        let prometheus = prometheus.as_ref().map_or(Ok(None), read_prometheus);
        let certificate = certificate.as_ref().map(read_certificate).transpose();
        let now = u64::from(graph.block);
        let entries = |row: Vec<(u16, u16)>| row.into_iter().map(|(uid, value)| Entry { uid, value }).collect();
        Ok(NeuronDetail {
            block: graph.block,
            netuid: graph.netuid,
            mechanism: graph.mechanism,
            neuron: neuron.clone(),
            is_subnet_owner: neuron.hotkey == graph.owner_hotkey,
            immunity_left: neuron
                .block_at_registration
                .saturating_add(graph.immunity_period.into())
                .saturating_sub(now),
            weights_age: now.saturating_sub(neuron.last_update),
            activity_left: neuron.last_update.saturating_add(graph.activity_cutoff).saturating_sub(now),
            prometheus: prometheus.map_err(ChainError::decode("SubtensorModule.Prometheus", 0))?,
            certificate: certificate.map_err(ChainError::decode("SubtensorModule.NeuronCertificates", 0))?,
            weights: entries(weights),
            bonds: entries(bonds),
            identity: identity.unwrap_or_default(),
        })
    }

    /// What a hotkey has put under its name; `None` too where the runtime has no such storage.
    async fn under_name(&self, graph: &Metagraph, entry: &str, neuron: &Neuron) -> Result<Option<Value>, ChainError> {
        let at = Some(graph.block_hash);
        if !self.runtime(at).await?.has_storage(SUBTENSOR, entry) {
            return Ok(None);
        }
        self.stored(SUBTENSOR, entry, &[graph.netuid.into(), (&neuron.hotkey).into()], at).await
    }
}

/// The address in an axon or a prometheus; `None` for the zeros of who never served.
pub(crate) fn read_address(value: &Value) -> Result<Option<SocketAddr>, ShapeError> {
    let (ip, port): (u128, u16) = (value.get("ip")?.number()?, value.get("port")?.number()?);
    if port == 0 {
        return Ok(None);
    }
    let ip = match value.get("ip_type")?.number::<u8>()? {
        6 => IpAddr::V6(Ipv6Addr::from(ip)),
        _ => match u32::try_from(ip) {
            Ok(ip) => IpAddr::V4(Ipv4Addr::from(ip)),
            Err(_) => IpAddr::V6(Ipv6Addr::from(ip)),
        },
    };
    Ok(Some(SocketAddr::new(ip, port)))
}

pub(crate) fn read_prometheus(value: &Value) -> Result<Option<Prometheus>, ShapeError> {
    let Some(address) = read_address(value)? else { return Ok(None) };
    Ok(Some(Prometheus { block: value.get("block")?.number()?, address, version: value.get("version")?.number()? }))
}

pub(crate) fn read_certificate(value: &Value) -> Result<Certificate, ShapeError> {
    Ok(Certificate {
        algorithm: value.get("algorithm")?.number()?,
        public_key: format!("0x{}", hex::encode(value.get("public_key")?.bytes()?)),
    })
}
