//! What the next epoch would decide, with one validator's weights replaced or none (chain.md 6).
//!
//! Everything is read at one block; the arithmetic is [`starling_yuma::epoch`], which is the chain's bit for bit. What cannot be
//! known: others may set weights before the epoch runs, and what it pays; that is taken to be the last epoch's emission.
//!
//! Cost: one metagraph, and weights, bonds and commits of the validators with a permit only, since no other row counts. So 4,096
//! neurons with 64 validators are about 200 small reads, sent side by side.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use starling_yuma::{
    epoch::{EpochInput, EpochOutput, LiquidAlpha, Mode, epoch},
    upscale::upscale,
};

use crate::{
    ChainError, Client, Metagraph,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";
/// Reads that are under way at once.
const AT_ONCE: usize = 32;

/// The state that the next epoch will start from, were it to run now.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The subnet at the block.
    pub metagraph: Metagraph,
    /// What Yuma takes.
    pub input: EpochInput,
}

/// What an epoch would give one neuron. Shares are of 65535, amounts alpha rao.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Its slot.
    pub uid: u16,
    /// Share of the miners' pay.
    pub incentive: u16,
    /// Stake-weighted median of the weights on it.
    pub consensus: u16,
    /// Share of the validators' pay.
    pub dividends: u16,
    /// How much of a validator's weights consensus keeps.
    pub validator_trust: u16,
    /// Paid to it in all.
    pub emission: u64,
    /// Whether it would hold a permit.
    pub permit: bool,
}

impl Client {
    /// What the next epoch of a subnet would start from, at a block hash or now. Of several mechanisms the first is taken.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is no such subnet, and those of the connection.
    pub async fn epoch_snapshot(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<Snapshot, ChainError> {
        let hash = match at {
            Some(hash) => hash,
            None => self.head().await?.hash,
        };
        let at = Some(hash);
        let key = [Value::from(netuid)];
        let flag = async |name: &str| match self.storage_value(SUBTENSOR, name, &key, at).await {
            Ok(value) => value.truth().map_err(ChainError::decode(name, 0)),
            Err(ChainError::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        let (metagraph, clock, stake_threshold, last_mechanism_step, bonds_penalty, bonds_moving_average) = futures::try_join!(
            self.metagraph(netuid, at),
            self.epoch_clock_at(netuid, at),
            self.number("StakeThreshold", &[], at),
            self.number("LastMechansimStepBlock", &key, at),
            self.number("BondsPenalty", &key, at),
            self.number("BondsMovingAverage", &key, at),
        )?;
        let mode = if flag("Yuma3On").await? {
            let liquid = if flag("LiquidAlphaOn").await? { Some(self.liquid_alpha(&key, at).await?) } else { None };
            Mode::Yuma3 { liquid }
        } else {
            Mode::Yuma2
        };
        let neurons = &metagraph.neurons;
        let permitted: Vec<u16> = neurons.iter().filter(|n| n.validator_permit).map(|n| n.uid).collect();
        let owner_uid = metagraph.by_hotkey(&metagraph.owner_hotkey).map(|n| n.uid);
        let rows = |entry: &'static str| {
            let (permitted, count) = (permitted.clone(), neurons.len());
            async move {
                let read: Vec<(u16, Vec<(u16, u16)>)> = stream::iter(permitted.into_iter().chain(owner_uid))
                    .map(|uid| async move { Ok::<_, ChainError>((uid, self.row(entry, netuid, uid, at).await?)) })
                    .buffer_unordered(AT_ONCE)
                    .try_collect()
                    .await?;
                let mut rows = vec![Vec::new(); count];
                for (uid, row) in read {
                    if let Some(slot) = rows.get_mut(usize::from(uid)) {
                        *slot = row;
                    }
                }
                Ok::<_, ChainError>(rows)
            }
        };
        let (weights, bonds) = futures::try_join!(rows("Weights"), rows("Bonds"))?;
        let earliest_commit = if metagraph.commit_reveal_enabled {
            let mut earliest = vec![u64::MAX; neurons.len()];
            // The epoch counts itself before it asks which commits are too old.
            let oldest = (clock.index + 1).saturating_sub(clock.reveal_period);
            let commits: Vec<(u16, u64)> = stream::iter(permitted)
                .map(|uid| async move {
                    let Some(neuron) = neurons.get(usize::from(uid)) else { return Ok((uid, u64::MAX)) };
                    let commits = self.weight_commits_at(netuid.into(), &neuron.hotkey, at).await?;
                    let live = commits.iter().filter(|c| c.epoch >= oldest).map(|c| c.block).min();
                    Ok::<_, ChainError>((uid, live.unwrap_or(u64::MAX)))
                })
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            for (uid, block) in commits {
                if let Some(slot) = earliest.get_mut(usize::from(uid)) {
                    *slot = block;
                }
            }
            for epoch in oldest..=clock.index.saturating_add(1) {
                for (who, commit) in self.timelocked_of_epoch(netuid.into(), epoch, at).await? {
                    if let Some(slot) = metagraph.by_hotkey(&who).and_then(|n| earliest.get_mut(usize::from(n.uid))) {
                        *slot = (*slot).min(commit.block);
                    }
                }
            }
            Some(earliest)
        } else {
            None
        };
        let input = EpochInput {
            block: clock.next_epoch_block().unwrap_or(clock.block).into(),
            tempo: metagraph.tempo.into(),
            last_update: neurons.iter().map(|n| n.last_update).collect(),
            block_at_registration: neurons.iter().map(|n| n.block_at_registration).collect(),
            activity_cutoff: metagraph.activity_cutoff,
            kappa: metagraph.kappa,
            permits: neurons.iter().map(|n| n.validator_permit).collect(),
            owner_uid,
            stake: neurons.iter().map(|n| n.total_stake).collect(),
            stake_threshold,
            max_validators: metagraph.max_validators,
            weights,
            bonds,
            last_mechanism_step,
            bonds_penalty,
            bonds_moving_average,
            earliest_commit,
            mode,
            emission: neurons.iter().map(|n| n.emission).fold(0, u64::saturating_add),
        };
        Ok(Snapshot { metagraph, input })
    }

    async fn liquid_alpha(&self, key: &[Value], at: Option<[u8; 32]>) -> Result<LiquidAlpha, ChainError> {
        let (values, steepness) = futures::try_join!(
            self.storage_value(SUBTENSOR, "AlphaValues", key, at),
            self.storage_value(SUBTENSOR, "AlphaSigmoidSteepness", key, at),
        )?;
        let read = || -> Result<LiquidAlpha, ShapeError> {
            let steepness = i16::try_from(steepness.signed()?).map_err(|e| ShapeError(e.to_string()))?;
            Ok(LiquidAlpha { low: values.at(0)?.number()?, high: values.at(1)?.number()?, steepness })
        };
        read().map_err(ChainError::decode("liquid alpha", 0))
    }
}

impl Snapshot {
    /// What the epoch would decide on the weights as they are.
    ///
    /// # Errors
    /// In words, if what was read contradicts itself.
    pub fn as_it_is(&self) -> Result<Vec<Outcome>, String> {
        outcomes(&self.input)
    }

    /// What it would decide had the validator `uid` set these weights, and they counted already.
    ///
    /// # Errors
    /// In words: a uid that is not there, or a contradiction in what was read.
    pub fn with_weights(&self, uid: u16, weights: &[(u16, u16)]) -> Result<Vec<Outcome>, String> {
        let mut input = self.input.clone();
        let at = usize::from(uid);
        let count = input.weights.len();
        let row = input
            .weights
            .get_mut(at)
            .ok_or_else(|| format!("uid {uid} is not there: the subnet has {count} neurons"))?;
        let (uids, values): (Vec<u16>, Vec<u16>) = weights.iter().copied().unzip();
        *row = uids.into_iter().zip(upscale(&values)).collect();
        if let Some(updated) = input.last_update.get_mut(at) {
            *updated = input.block;
        }
        outcomes(&input)
    }
}

fn outcomes(input: &EpochInput) -> Result<Vec<Outcome>, String> {
    let out: EpochOutput = epoch(input).map_err(|e| e.to_string())?;
    let nth = |list: &[u16], i: usize| list.get(i).copied().unwrap_or_default();
    Ok((0..input.stake.len())
        .map(|i| Outcome {
            uid: i as u16,
            incentive: nth(&out.incentive, i),
            consensus: nth(&out.consensus, i),
            dividends: nth(&out.dividends, i),
            validator_trust: nth(&out.validator_trust, i),
            emission: out.combined_emission.get(i).copied().unwrap_or_default(),
            permit: out.permits.get(i).copied().unwrap_or_default(),
        })
        .collect())
}
