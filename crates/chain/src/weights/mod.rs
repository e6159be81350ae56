//! Weights before they are sent: scores to the two lists ([`quantise`]), whether the chain would take them ([`preflight`]), and what
//! they would earn ([`simulate`]). The arithmetic itself is [`starling_incentive`]'s.

pub mod preflight;
pub mod simulate;

pub use starling_incentive::quantise::QuantiseError;
use starling_protocol::keys::Account;

use crate::{ChainError, Client};
use preflight::Facts;

/// The uids with a weight above zero, and their weights scaled so that the largest is 65535 (chain.md 4.5). Two empty lists if all
/// are zero.
///
/// # Errors
/// [`QuantiseError`] if the lists differ in length, or a weight is negative or not finite.
pub fn quantise(uids: &[u16], weights: &[f64]) -> Result<(Vec<u16>, Vec<u16>), QuantiseError> {
    Ok(starling_incentive::quantise::quantise(uids, weights)?.into_iter().unzip())
}

impl Client {
    /// What the rules for weights look at, for a hotkey on a subnet, all at one block.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is no such subnet, and those of the connection.
    pub async fn weight_facts(&self, netuid: u16, hotkey: &Account) -> Result<Facts, ChainError> {
        let block = self.head().await?;
        let at = Some(block.hash);
        let (graph, stake_threshold, commits) = futures::try_join!(
            self.metagraph(netuid, at),
            self.number("StakeThreshold", &[], at),
            self.weight_commits_at(netuid, hotkey, at),
        )?;
        let neuron = graph.by_hotkey(hotkey);
        Ok(Facts {
            block: block.number,
            netuid,
            neurons: u16::try_from(graph.neurons.len()).unwrap_or(u16::MAX),
            uid: neuron.map(|n| n.uid),
            owner: graph.owner_hotkey == *hotkey,
            stake: neuron.map_or(0, |n| n.total_stake),
            stake_threshold,
            permit: neuron.is_some_and(|n| n.validator_permit),
            last_update: neuron.map_or(0, |n| n.last_update),
            activity_cutoff: graph.activity_cutoff,
            rate_limit: graph.weights_rate_limit,
            weights_version: graph.weights_version,
            min_allowed_weights: graph.min_allowed_weights,
            commit_reveal: graph.commit_reveal_enabled,
            commits: commits.len(),
        })
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
