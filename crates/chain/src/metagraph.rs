//! A subnet's neurons at one block, in one call.
//!
//! Invariant: everything is read at the same block hash. `SubnetInfoRuntimeApi_get_metagraph` has all but the validator trust,
//! which comes from storage (chain.md 2). Only fields used here are looked up, by name; others may come and go.

use std::net::SocketAddr;

use serde::Serialize;
use starling_keys::Account;

use crate::{
    BlockRef, ChainError, Client, Mechanism,
    neuron::read_address,
    value::{ShapeError, Value},
};

/// A subnet and its neurons at a block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metagraph {
    /// Number of the block read at.
    pub block: u32,
    /// Its hash.
    #[serde(serialize_with = "hex_bytes")]
    pub block_hash: [u8; 32],
    /// The subnet.
    pub netuid: u16,
    /// The mechanism whose incentives and updates these are; 0 is the main one.
    pub mechanism: u8,
    /// Its name.
    pub name: String,
    /// Its token's symbol.
    pub symbol: String,
    /// The owner's coldkey.
    pub owner_coldkey: Account,
    /// The owner's hotkey, whose incentive is burned.
    pub owner_hotkey: Account,
    /// Blocks between epochs.
    pub tempo: u16,
    /// Block of the last step.
    pub last_step: u64,
    /// Blocks since then.
    pub blocks_since_last_step: u64,
    /// Neurons that fit.
    pub max_uids: u16,
    /// Majority that consensus needs, of 65535.
    pub kappa: u16,
    /// Fewest weights a validator may set.
    pub min_allowed_weights: u16,
    /// Lowest version key taken with weights.
    pub weights_version: u64,
    /// Blocks between two settings of weights.
    pub weights_rate_limit: u64,
    /// Blocks without an update after which a validator counts as inactive.
    pub activity_cutoff: u64,
    /// Validators with a permit.
    pub max_validators: u16,
    /// Blocks during which a new neuron cannot be pruned.
    pub immunity_period: u16,
    /// Price of a registration in rao.
    pub burn: u64,
    /// Whether registrations are taken.
    pub registration_allowed: bool,
    /// Whether weights are committed and revealed.
    pub commit_reveal_enabled: bool,
    /// Epochs between commit and reveal.
    pub commit_reveal_period: u64,
    /// By uid, without gaps.
    pub neurons: Vec<Neuron>,
}

/// One neuron. Shares are of 65535, amounts in rao.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Neuron {
    /// Its slot.
    pub uid: u16,
    /// Its hotkey.
    pub hotkey: Account,
    /// Who owns that.
    pub coldkey: Account,
    /// False for a validator that has not set weights for `activity_cutoff` blocks.
    pub active: bool,
    /// May set weights on others.
    pub validator_permit: bool,
    /// Block of the last weights (of the commit, under commit-reveal).
    pub last_update: u64,
    /// Alpha paid in the last epoch, in rao.
    pub emission: u64,
    /// Share of the validators' pay.
    pub dividends: u16,
    /// Share of the miners' pay.
    pub incentive: u16,
    /// Stake-weighted median of the weights on it.
    pub consensus: u16,
    /// How much of a validator's weights consensus kept.
    pub validator_trust: u16,
    /// Alpha staked, in rao.
    pub alpha_stake: u64,
    /// TAO staked on the root network, in rao.
    pub tao_stake: u64,
    /// Both, TAO weighted by the chain's TaoWeight, in rao.
    pub total_stake: u64,
    /// Where it serves, if it says so.
    pub axon: Option<Axon>,
    /// Block of its registration.
    pub block_at_registration: u64,
    /// Its part of the weights; like the next two gone from runtimes since June 2026.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u16>,
    /// The stake that trusts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<u16>,
    /// Who has least leaves first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruning_score: Option<u16>,
}

/// Where a neuron serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Axon {
    /// Block in which it said so.
    pub block: u64,
    /// Address and port.
    pub address: SocketAddr,
    /// The subnet's own protocol number.
    pub protocol: u8,
    /// The software's version.
    pub version: u32,
}

impl Metagraph {
    /// The neuron with this hotkey.
    #[must_use]
    pub fn by_hotkey(&self, hotkey: &Account) -> Option<&Neuron> {
        self.neurons.iter().find(|neuron| neuron.hotkey == *hotkey)
    }
}

impl Client {
    /// A subnet's neurons at a block hash, or at the newest finalized block.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is no such subnet, [`ChainError::Absent`], [`ChainError::Decode`], and those of the connection.
    pub async fn metagraph(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<Metagraph, ChainError> {
        self.mechagraph(netuid, at).await
    }

    /// The same of one mechanism, which has incentives and updates of its own; all else is the subnet's.
    ///
    /// # Errors
    /// As [`Client::metagraph`].
    pub async fn mechagraph(&self, of: impl Into<Mechanism>, at: Option<[u8; 32]>) -> Result<Metagraph, ChainError> {
        let (of, block) = (of.into(), self.block_at(at).await?);
        let at = Some(block.hash);
        let runtime = self.runtime(at).await?;
        let answer = async {
            match of.id {
                0 => self.api("SubnetInfoRuntimeApi", "get_metagraph", &[of.netuid.into()], at).await,
                id => self.api("SubnetInfoRuntimeApi", "get_mechagraph", &[of.netuid.into(), id.into()], at).await,
            }
        };
        let (answer, trust) = futures::try_join!(answer, self.validator_trust(of.netuid, block))?;
        let read = || -> Result<Option<Metagraph>, ShapeError> {
            let trust = trust.as_ref().map_or(Ok(Vec::new()), |trust| trust.map(Value::number::<u16>))?;
            answer.optional()?.map(|graph| read_metagraph(graph, of, block, &trust)).transpose()
        };
        match read().map_err(ChainError::decode("the metagraph", runtime.spec))? {
            Some(graph) => Ok(graph),
            None if of.id == 0 => Err(no_subnet(of.netuid)),
            None => {
                // Which of the two is not there?
                self.metagraph_exists(of.netuid, at).await?;
                let count = self.mechanisms(of.netuid, at).await?;
                let text =
                    format!("subnet {} has {count} mechanisms, counted from 0: there is no {}", of.netuid, of.id);
                Err(ChainError::NotFound(text))
            }
        }
    }

    async fn metagraph_exists(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<(), ChainError> {
        let answer = self.api("SubnetInfoRuntimeApi", "get_subnet_info", &[netuid.into()], at).await?;
        let there = answer.optional().map_err(ChainError::decode("get_subnet_info", 0))?.is_some();
        if there { Ok(()) } else { Err(no_subnet(netuid)) }
    }

    /// The block of a hash, or the newest finalized one.
    pub(crate) async fn block_at(&self, at: Option<[u8; 32]>) -> Result<BlockRef, ChainError> {
        match at {
            None => self.head().await,
            Some(hash) => Ok(BlockRef { number: self.block_number(hash).await?, hash }),
        }
    }

    /// The list of all validators' trust; `None` should the runtime lose it one day, as it has lost rank and trust.
    pub(crate) async fn validator_trust(&self, netuid: u16, block: BlockRef) -> Result<Option<Value>, ChainError> {
        const TRUST: &str = "ValidatorTrust";
        if !self.runtime(Some(block.hash)).await?.has_storage("SubtensorModule", TRUST) {
            return Ok(None);
        }
        self.storage("SubtensorModule", TRUST, &[netuid.into()], Some(block.hash)).await
    }
}

pub(crate) fn no_subnet(netuid: u16) -> ChainError {
    ChainError::NotFound(format!("there is no subnet {netuid}: `starling subnet list` shows those there are"))
}

pub(crate) fn read_metagraph(
    graph: &Value,
    of: Mechanism,
    block: BlockRef,
    trust: &[u16],
) -> Result<Metagraph, ShapeError> {
    let hotkeys = graph.get("hotkeys")?.map(Value::account)?;
    let coldkeys = graph.get("coldkeys")?.map(Value::account)?;
    if hotkeys.len() != coldkeys.len() || hotkeys.len() > usize::from(u16::MAX) {
        return Err(ShapeError(format!("{} hotkeys but {} coldkeys", hotkeys.len(), coldkeys.len())));
    }
    let u64s = |name: &str| graph.get(name)?.map(Value::number::<u64>);
    let u16s = |name: &str| graph.get(name)?.map(Value::number::<u16>);
    let bools = |name: &str| graph.get(name)?.map(Value::truth);
    let (active, permits) = (bools("active")?, bools("validator_permit")?);
    let (last_update, emission, registered) = (u64s("last_update")?, u64s("emission")?, u64s("block_at_registration")?);
    let (dividends, incentives, consensus) = (u16s("dividends")?, u16s("incentives")?, u16s("consensus")?);
    let (alpha, tao, total) = (u64s("alpha_stake")?, u64s("tao_stake")?, u64s("total_stake")?);
    let axons = graph.get("axons")?.map(read_axon)?;
    // Empty or not there at all since June 2026.
    let older = |name: &str| graph.get(name).map_or(Ok(Vec::new()), |list| list.map(Value::number::<u16>));
    let (rank, trusted, pruning) = (older("rank")?, older("trust")?, older("pruning_score")?);
    // A list may be shorter than the neurons, just after a registration: what is not there yet is zero.
    fn nth<T: Copy + Default>(list: &[T], index: usize) -> T {
        list.get(index).copied().unwrap_or_default()
    }
    let neurons = hotkeys.iter().zip(&coldkeys).enumerate().map(|(i, (hotkey, coldkey))| Neuron {
        uid: i as u16,
        hotkey: *hotkey,
        coldkey: *coldkey,
        active: nth(&active, i),
        validator_permit: nth(&permits, i),
        last_update: nth(&last_update, i),
        emission: nth(&emission, i),
        dividends: nth(&dividends, i),
        incentive: nth(&incentives, i),
        consensus: nth(&consensus, i),
        validator_trust: nth(trust, i),
        alpha_stake: nth(&alpha, i),
        tao_stake: nth(&tao, i),
        total_stake: nth(&total, i),
        axon: nth(&axons, i),
        block_at_registration: nth(&registered, i),
        rank: rank.get(i).copied(),
        trust: trusted.get(i).copied(),
        pruning_score: pruning.get(i).copied(),
    });
    Ok(Metagraph {
        block: block.number,
        block_hash: block.hash,
        netuid: of.netuid,
        mechanism: of.id,
        name: graph.get("name")?.text()?,
        symbol: graph.get("symbol")?.text()?,
        owner_coldkey: graph.get("owner_coldkey")?.account()?,
        owner_hotkey: graph.get("owner_hotkey")?.account()?,
        tempo: graph.get("tempo")?.number()?,
        last_step: graph.get("last_step")?.number()?,
        blocks_since_last_step: graph.get("blocks_since_last_step")?.number()?,
        max_uids: graph.get("max_uids")?.number()?,
        kappa: graph.get("kappa")?.number()?,
        min_allowed_weights: graph.get("min_allowed_weights")?.number()?,
        weights_version: graph.get("weights_version")?.number()?,
        weights_rate_limit: graph.get("weights_rate_limit")?.number()?,
        activity_cutoff: graph.get("activity_cutoff")?.number()?,
        max_validators: graph.get("max_validators")?.number()?,
        immunity_period: graph.get("immunity_period")?.number()?,
        burn: graph.get("burn")?.number()?,
        registration_allowed: graph.get("registration_allowed")?.truth()?,
        commit_reveal_enabled: graph.get("commit_reveal_weights_enabled")?.truth()?,
        commit_reveal_period: graph.get("commit_reveal_period")?.number()?,
        neurons: neurons.collect(),
    })
}

/// `None` for the all-zero axon of a neuron that never served.
pub(crate) fn read_axon(axon: &Value) -> Result<Option<Axon>, ShapeError> {
    let Some(address) = read_address(axon)? else { return Ok(None) };
    Ok(Some(Axon {
        block: axon.get("block")?.number()?,
        address,
        protocol: axon.get("protocol")?.number()?,
        version: axon.get("version")?.number()?,
    }))
}

fn hex_bytes<S: serde::Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{Column, hyperparameters, queries, runtime::Runtime};

    /// The shortest answer of zeros that is one: an empty subnet, as each public runtime's own types write it.
    fn empty_answer(runtime: &Runtime, method: &str, arguments: &[Value]) -> Value {
        let query = runtime.api("SubnetInfoRuntimeApi", method, arguments).unwrap();
        // Some(…), or a list of one: both begin with one non-zero byte.
        let start = if arguments.is_empty() { vec![4, 1] } else { vec![1] };
        (0..2000)
            .map(|length| [start.clone(), vec![0; length]].concat())
            .find_map(|bytes| runtime.read_api(&query, &bytes).ok())
            .unwrap()
    }

    #[test]
    fn every_field_read_is_in_the_types_of_public_runtimes() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/metadata");
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        let files = ["devnet-240.v15", "finney-343.v15", "devnet-346.v16", "finney-365.v16", "devnet-381.v16"];
        for file in files {
            let bytes = std::fs::read(folder.join(format!("{file}.scale"))).unwrap();
            let runtime = Runtime::new(&bytes, 1, 1, [0; 32]).unwrap();
            let netuid = [Value::from(9_u16)];
            let graph = empty_answer(&runtime, "get_metagraph", &netuid);
            let block = BlockRef { number: 7, hash: [1; 32] };
            let read = read_metagraph(graph.optional().unwrap().unwrap(), 9.into(), block, &[]).unwrap();
            assert_eq!((read.netuid, read.block, read.neurons.len()), (9, 7, 0), "{file}");
            for method in ["get_subnet_hyperparams", "get_subnet_hyperparams_v2"] {
                if runtime.has_api("SubnetInfoRuntimeApi", method) {
                    let answer = empty_answer(&runtime, method, &netuid);
                    let read = hyperparameters::read(answer.optional().unwrap().unwrap()).unwrap();
                    assert!(hyperparameters::Hyperparameters::new(read).unwrap().all.len() > 20, "{file} {method}");
                }
            }
            let parts = [netuid[0].clone(), Value::List(Vec::new())];
            let mech = [netuid[0].clone(), 1_u8.into(), Value::List(Vec::new())];
            for (method, arguments) in [("get_selective_metagraph", &parts[..]), ("get_selective_mechagraph", &mech)] {
                if !runtime.has_api("SubnetInfoRuntimeApi", method) {
                    assert!(file.starts_with("devnet-240") || file.starts_with("finney-343"), "{file} {method}");
                    continue;
                }
                let answer = empty_answer(&runtime, method, arguments);
                let graph = answer.optional().unwrap().unwrap();
                for (_, list) in Column::ALL.iter().filter_map(|column| column.part()) {
                    assert!(graph.get(list).unwrap().optional().unwrap().is_none(), "{file} {method} {list}");
                }
            }
            let subnets = empty_answer(&runtime, "get_subnets_info_v2", &[]);
            assert!(queries::read_subnet(subnets.at(0).unwrap()).unwrap().is_some(), "{file}");
            // A neuron's axon, as storage holds it.
            let query = runtime.storage("SubtensorModule", "Axons", &[9_u16.into(), [1; 32].into()]).unwrap();
            let mut axon = [0; 34];
            axon[12..16].copy_from_slice(&[7, 113, 0, 203]);
            axon[28..31].copy_from_slice(&[0x9b, 0x1f, 4]);
            let axon = read_axon(&runtime.read_storage(&query, Some(&axon)).unwrap().unwrap()).unwrap();
            assert_eq!(axon.unwrap().address, "203.0.113.7:8091".parse().unwrap(), "{file}");
        }
    }
}
