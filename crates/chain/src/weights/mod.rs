//! Weights before they are sent: scores to the two lists ([`quantise`]), whether the chain would take them ([`preflight`]), and what
//! they would earn ([`simulate`]). The arithmetic itself is [`starling_yuma`]'s.

mod batch;
pub mod preflight;
pub(crate) mod proofs;
mod rows;
mod send;
pub mod simulate;

pub use batch::{BatchItem, BatchResult, SealedItem, fresh_salt};
pub use proofs::Landed;
pub use rows::{Mechanism, WeightCommit};
use starling_keys::Account;
pub use starling_yuma::quantise::QuantiseError;

use crate::{ChainError, Client};
use preflight::Facts;

/// The uids with a weight above zero, and their weights scaled so that the largest is 65535 (chain.md 4.5). Two empty lists if all
/// are zero.
///
/// # Errors
/// [`QuantiseError`] if the lists differ in length, or a weight is negative or not finite.
pub fn quantise(uids: &[u16], weights: &[f64]) -> Result<(Vec<u16>, Vec<u16>), QuantiseError> {
    Ok(starling_yuma::quantise::quantise(uids, weights)?.into_iter().unzip())
}

impl Client {
    /// What the rules for weights look at, for a hotkey on a subnet (or one mechanism of it), all at one block.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is no such subnet, and those of the connection.
    pub async fn weight_facts(&self, of: impl Into<Mechanism>, hotkey: &Account) -> Result<Facts, ChainError> {
        let of = of.into();
        let block = self.head().await?;
        let at = Some(block.hash);
        let (graph, stake_threshold, commits, mechanisms) = futures::try_join!(
            self.metagraph(of.netuid, at),
            self.number("StakeThreshold", &[], at),
            self.weight_commits_at(of, hotkey, at),
            self.mechanisms(of.netuid, at),
        )?;
        let neuron = graph.by_hotkey(hotkey);
        let commit_reveal = graph.commit_reveal_enabled;
        let takes_timelocked = self.runtime(at).await?.has_call("SubtensorModule", "commit_timelocked_weights");
        let (version, timelocked) = if commit_reveal && takes_timelocked {
            let clock = self.epoch_clock_at(of.netuid, at).await?;
            let version: u16 = self.number("CommitRevealWeightsVersion", &[], at).await?;
            let epoch = self.timelocked_of_epoch(of, clock.commit_epoch(), at).await?;
            (version, epoch.iter().filter(|(who, _)| who == hotkey).count())
        } else {
            (0, 0)
        };
        Ok(Facts {
            block: block.number,
            netuid: of.netuid,
            mechanism: of.id,
            mechanisms,
            neurons: u16::try_from(graph.neurons.len()).unwrap_or(u16::MAX),
            uid: neuron.map(|n| n.uid),
            owner: graph.owner_hotkey == *hotkey,
            stake: neuron.map_or(0, |n| n.total_stake),
            stake_threshold,
            permit: neuron.is_some_and(|n| n.validator_permit),
            last_update: match neuron {
                Some(neuron) if of.id > 0 => self.last_update(of, neuron.uid, at).await?,
                neuron => neuron.map_or(0, |n| n.last_update),
            },
            activity_cutoff: graph.activity_cutoff,
            rate_limit: graph.weights_rate_limit,
            weights_version: graph.weights_version,
            min_allowed_weights: graph.min_allowed_weights,
            commit_reveal,
            commits: commits.len(),
            takes_timelocked,
            commit_reveal_version: version,
            timelocked,
        })
    }

    /// A subnet's limits on weights: the fewest, and the largest share of the sum that one may be (1 where the runtime has no such limit).
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn weight_limits(&self, netuid: u16) -> Result<(u16, f64), ChainError> {
        let least = self.number("MinAllowedWeights", &[netuid.into()], None).await?;
        let most: u16 = match self.number("MaxWeightsLimit", &[netuid.into()], None).await {
            Err(ChainError::Absent { .. }) => u16::MAX,
            most => most?,
        };
        Ok((least, f64::from(most.max(1)) / f64::from(u16::MAX)))
    }

    /// How many mechanisms a subnet has; 1 on runtimes that know none.
    pub(crate) async fn mechanisms(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<u8, ChainError> {
        match self.number("MechanismCountCurrent", &[netuid.into()], at).await {
            Err(ChainError::Absent { .. }) => Ok(1),
            count => count,
        }
    }

    /// The block of a uid's last weights or commit on a mechanism.
    async fn last_update(&self, of: Mechanism, uid: u16, at: Option<[u8; 32]>) -> Result<u64, ChainError> {
        let list = self.storage_value("SubtensorModule", "LastUpdate", &[of.index().into()], at).await?;
        let wrong = ChainError::decode("SubtensorModule.LastUpdate", 0);
        let all = list.list().map_err(wrong)?;
        let wrong = ChainError::decode("SubtensorModule.LastUpdate", 0);
        all.get(usize::from(uid)).map_or(Ok(0), |block| block.number().map_err(wrong))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_65535_and_zeros_are_dropped() {
        assert_eq!(quantise(&[3, 1, 7], &[0.5, 0.0, 1.0]).unwrap(), (vec![3, 7], vec![32768, 65535]));
        assert_eq!(quantise(&[1, 2], &[0.0, 0.0]).unwrap(), (vec![], vec![]));
    }
}
