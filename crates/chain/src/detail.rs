//! The numbers behind a refusal: what was read, what is needed, how long to wait.
//!
//! Runs only after a failure, reads a few values, and stays silent if they cannot be read: the refusal itself is what counts.

use starling_keys::Account;

use crate::{ChainError, Client, metagraph::read_axon};

/// What a refused call was about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// Setting, committing or revealing weights.
    Weights { netuid: u16, hotkey: &'a Account, count: usize, version_key: u64 },
    /// Registering a neuron.
    Registration { netuid: u16, coldkey: &'a Account },
    /// Registering a subnet.
    Network { coldkey: &'a Account },
    /// Spending an amount.
    Spending { account: &'a Account, rao: u64 },
    /// Serving an axon.
    Serving { netuid: u16, hotkey: &'a Account },
}

impl Client {
    /// Adds the numbers to a refusal's explanation.
    pub(crate) async fn with_numbers<T>(
        &self,
        result: Result<T, ChainError>,
        about: About<'_>,
    ) -> Result<T, ChainError> {
        let mut error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(name) = error.name().map(str::to_owned) else { return Err(error) };
        if let Ok(Some(numbers)) = Box::pin(self.numbers(&name, about)).await
            && let ChainError::Pool { explanation, .. } | ChainError::Dispatch { explanation, .. } = &mut error
        {
            explanation.push_str("; ");
            explanation.push_str(&numbers);
        }
        Err(error)
    }

    async fn numbers(&self, name: &str, about: About<'_>) -> Result<Option<String>, ChainError> {
        Ok(match about {
            About::Weights { netuid, hotkey, count, version_key } => match name {
                "RateLimitExceeded" | "CommittingWeightsTooFast" | "SettingWeightsTooFast" => {
                    self.rate(netuid, hotkey).await?
                }
                "StakeAmountTooLow" | "NotEnoughStakeToSetWeights" => {
                    let needed: u64 = self.number("StakeThreshold", &[], None).await?;
                    let graph = self.metagraph(netuid, None).await?;
                    let stake = graph.by_hotkey(hotkey).map_or(0, |neuron| neuron.total_stake);
                    Some(format!("stake weight {stake} rao, needed {needed} rao"))
                }
                "NeuronNoValidatorPermit" => {
                    let clock = self.epoch_clock(netuid).await?;
                    let next = clock.next_epoch_block();
                    next.map(|next| {
                        format!("the next epoch runs in block {next}, in {} blocks", next.saturating_sub(clock.block))
                    })
                }
                "IncorrectWeightVersionKey" => {
                    let needed: u64 = self.number("WeightsVersionKey", &[netuid.into()], None).await?;
                    Some(format!("version key given {version_key}, needed at least {needed}"))
                }
                "WeightVecLengthIsLow" => {
                    let needed: u64 = self.number("MinAllowedWeights", &[netuid.into()], None).await?;
                    Some(format!("weights given {count}, needed at least {needed}"))
                }
                "UidsLengthExceedUidsInSubNet" => {
                    let neurons: u64 = self.number("SubnetworkN", &[netuid.into()], None).await?;
                    Some(format!("weights given {count}, neurons {neurons}"))
                }
                "RevealTooEarly" | "ExpiredWeightCommit" | "CommitBlockNotInRevealRange" => {
                    let clock = self.epoch_clock(netuid).await?;
                    let commits = self.weight_commits(netuid, hotkey).await?;
                    let windows = commits.iter().map(|commit| match clock.reveal_window(commit.epoch) {
                        Some(window) => format!(
                            "the commit of block {} can be revealed in blocks {} to {}",
                            commit.block, window.first, window.last
                        ),
                        None => format!("the commit of block {} has expired", commit.block),
                    });
                    Some(format!("now is block {}, {}", clock.block, windows.collect::<Vec<_>>().join(", ")))
                }
                _ => None,
            },
            About::Registration { netuid, coldkey } => match name {
                "NotEnoughBalanceToStake" | "BalanceTooLow" => {
                    let (balance, burn) = (self.balance(coldkey).await?, self.registration_cost(netuid).await?);
                    Some(format!("balance {balance} rao, registration {burn} rao"))
                }
                _ => None,
            },
            About::Network { coldkey } => match name {
                "CannotAffordLockCost"
                | "NotEnoughBalanceToStake"
                | "NotEnoughBalanceToPayLockCost"
                | "BalanceTooLow" => {
                    let (balance, cost) = (self.balance(coldkey).await?, self.network_registration_cost().await?);
                    Some(format!("balance {balance} rao, lock cost {cost} rao"))
                }
                _ => None,
            },
            About::Spending { account, rao } => match name {
                "NotEnoughBalanceToStake"
                | "BalanceTooLow"
                | "InsufficientBalance"
                | "FundsUnavailable"
                | "Payment" => Some(format!("balance {} rao, wanted {rao} rao", self.balance(account).await?)),
                _ => None,
            },
            About::Serving { netuid, hotkey } => match name {
                "ServingRateLimitExceeded" => {
                    let limit: u64 = self.number("ServingRateLimit", &[netuid.into()], None).await?;
                    let axon = self.storage("SubtensorModule", "Axons", &[netuid.into(), hotkey.into()], None).await?;
                    let last = axon.and_then(|axon| read_axon(&axon).ok().flatten()).map_or(0, |axon| axon.block);
                    let now = u64::from(self.head().await?.number);
                    let left = (last + limit).saturating_sub(now);
                    Some(format!("served in block {last}, now is {now}, limit {limit}: {left} blocks left"))
                }
                _ => None,
            },
        })
    }

    /// How many blocks are left of the limit between two settings of weights.
    async fn rate(&self, netuid: u16, hotkey: &Account) -> Result<Option<String>, ChainError> {
        let Some(uid) = self.uid(netuid, hotkey).await? else { return Ok(None) };
        let limit: u64 = self.number("WeightsSetRateLimit", &[netuid.into()], None).await?;
        let updates = self.storage_value("SubtensorModule", "LastUpdate", &[netuid.into()], None).await?;
        let last = updates.at(uid.into()).and_then(crate::value::Value::number::<u64>).unwrap_or(0);
        let now = u64::from(self.head().await?.number);
        let left = last.saturating_add(limit).saturating_sub(now);
        Ok(Some(format!("last in block {last}, now is {now}, limit {limit}: {left} blocks left")))
    }
}
