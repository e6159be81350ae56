//! Weights of several subnets in one transaction: set, committed by hash, revealed, or committed under a timelock (chain.md 1.3, 5).
//!
//! The chain's calls succeed whatever becomes of their items, and tell of those that failed by events alone. Here each item has its
//! result, and one that is said to have landed was read back.

use serde::Serialize;
use starling_keys::{Account, Signer};

use super::{
    Mechanism,
    proofs::{sorted, stored},
    send::same_length,
};
use crate::{
    ChainError, Client, Submitted,
    commit_reveal::commit_hash,
    outcome::dispatch_name,
    proofs::{expect, unconfirmed},
    submit::{Call, Event},
    timelock::{TIMELOCK_VERSION, sealed_hash},
    value::Value,
};

const SUBTENSOR: &str = "SubtensorModule";
const UTILITY: &str = "Utility";

/// One subnet's weights in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// The subnet.
    pub netuid: u16,
    /// Weighted neurons.
    pub uids: Vec<u16>,
    /// Their weights, the largest 65535.
    pub values: Vec<u16>,
    /// Weights version key.
    pub version_key: u64,
}

/// One subnet's weights, encrypted to a round of the beacon by [`Client::seal_weights`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedItem {
    /// The subnet.
    pub netuid: u16,
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The round.
    pub round: u64,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchResult {
    /// The subnet.
    pub netuid: u16,
    /// The chain's name for what stood in the way, and what it means; none: the weights, or the commit, are on chain.
    pub failure: Option<(String, String)>,
}

/// A salt for a commit by hash, from the system's randomness: whoever guesses it can try out weights before the reveal.
///
/// # Errors
/// [`ChainError::Invalid`] if the system has no randomness.
pub fn fresh_salt() -> Result<Vec<u16>, ChainError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| ChainError::Invalid(format!("no randomness from the system: {e}")))?;
    Ok(bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |salt, byte| salt << 8 | u16::from(*byte))).collect())
}

type Failure = Option<(String, String)>;

impl Client {
    /// Sets weights on several subnets at once, where commit-reveal is off. One result per item, in their order.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] for two items of one subnet (the chain's events could not tell them apart), and those of the transaction
    /// itself; an item's failure is in its result.
    pub async fn batch_set_weights(
        &self,
        hotkey: &dyn Signer,
        items: &[BatchItem],
    ) -> Result<(Vec<BatchResult>, Submitted), ChainError> {
        one_of_each(items.iter().map(|item| item.netuid))?;
        let list = |of: &dyn Fn(&BatchItem) -> Value| Value::List(items.iter().map(of).collect());
        let rows = |item: &BatchItem| {
            let pairs = item.uids.iter().zip(&item.values);
            Value::List(pairs.map(|(uid, value)| Value::List(vec![(*uid).into(), (*value).into()])).collect())
        };
        let args = vec![
            ("netuids", list(&|item| item.netuid.into())),
            ("weights", list(&rows)),
            ("version_keys", list(&|item| item.version_key.into())),
        ];
        let call = Call { pallet: SUBTENSOR, name: "batch_set_weights", args };
        let sent = self.send_batch(hotkey, &call).await?;
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let failure = match self.item_failed(&sent, item.netuid).await? {
                Some(failure) => Some(failure),
                None => self.row_reads(&sent, &hotkey.account(), item).await?,
            };
            results.push(BatchResult { netuid: item.netuid, failure });
        }
        Ok((results, sent))
    }

    /// Commits to weights on several subnets by hash; each has its own salt, which the reveal needs again. One result per item.
    ///
    /// # Errors
    /// As [`Client::batch_set_weights`].
    pub async fn batch_commit_weights(
        &self,
        hotkey: &dyn Signer,
        items: &[(BatchItem, Vec<u16>)],
    ) -> Result<(Vec<BatchResult>, Submitted), ChainError> {
        one_of_each(items.iter().map(|(item, _)| item.netuid))?;
        let account = hotkey.account();
        let mut hashes = Vec::with_capacity(items.len());
        for (item, salt) in items {
            same_length(&item.uids, &item.values)?;
            hashes.push(commit_hash(&account, item.netuid, &item.uids, &item.values, salt, item.version_key));
        }
        let args = vec![
            ("netuids", Value::List(items.iter().map(|(item, _)| item.netuid.into()).collect())),
            ("commit_hashes", Value::List(hashes.iter().map(|hash| (*hash).into()).collect())),
        ];
        let call = Call { pallet: SUBTENSOR, name: "batch_commit_weights", args };
        let sent = self.send_batch(hotkey, &call).await?;
        let mut results = Vec::with_capacity(items.len());
        for ((item, _), hash) in items.iter().zip(hashes) {
            let failure = match self.item_failed(&sent, item.netuid).await? {
                Some(failure) => Some(failure),
                None => unproven(self.commit_landed(&sent, &call, item.netuid.into(), &account, hash).await)?,
            };
            results.push(BatchResult { netuid: item.netuid, failure });
        }
        Ok((results, sent))
    }

    /// Reveals several commits of one subnet, oldest first, in one transaction. The chain takes all or none; the last one's weights stay.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn batch_reveal_weights(
        &self,
        hotkey: &dyn Signer,
        netuid: u16,
        reveals: &[(BatchItem, Vec<u16>)],
    ) -> Result<Submitted, ChainError> {
        let Some((last, _)) = reveals.last() else {
            return Err(ChainError::Invalid("there is nothing to reveal".into()));
        };
        if let Some((other, _)) = reveals.iter().find(|(item, _)| item.netuid != netuid) {
            return Err(ChainError::Invalid(format!("a commit of subnet {} is not one of {netuid}", other.netuid)));
        }
        let account = hotkey.account();
        let list = |of: &dyn Fn(&BatchItem, &[u16]) -> Value| {
            Value::List(reveals.iter().map(|(item, salt)| of(item, salt)).collect())
        };
        let args = vec![
            ("netuid", netuid.into()),
            ("uids_list", list(&|item, _| item.uids.as_slice().into())),
            ("values_list", list(&|item, _| item.values.as_slice().into())),
            ("salts_list", list(&|_, salt| salt.into())),
            ("version_keys", list(&|item, _| item.version_key.into())),
        ];
        let call = Call { pallet: SUBTENSOR, name: "batch_reveal_weights", args };
        let sent = self.send_and_follow(hotkey, &call).await?;
        expect(&sent, &call, "WeightsBatchRevealed", |fields| {
            Ok(fields.at(0)?.account()? == account && fields.at(1)?.number::<u16>()? == netuid)
        })?;
        match self.row_reads(&sent, &account, last).await? {
            None => Ok(sent),
            Some((_, why)) => Err(unconfirmed(&sent, &call, why)),
        }
    }

    /// Commits to weights on several subnets under a timelock. The chain has no call of its own for that: it is `Utility.force_batch`, which
    /// goes on after an item that failed. One result per item.
    ///
    /// # Errors
    /// As [`Client::batch_set_weights`].
    pub async fn batch_commit_timelocked(
        &self,
        hotkey: &dyn Signer,
        items: &[SealedItem],
    ) -> Result<(Vec<BatchResult>, Submitted), ChainError> {
        one_of_each(items.iter().map(|item| item.netuid))?;
        let account = hotkey.account();
        let name = "commit_timelocked_weights";
        let calls = items.iter().map(|item| {
            let fields = [
                ("netuid", item.netuid.into()),
                ("commit", Value::Bytes(item.sealed.clone())),
                ("reveal_round", item.round.into()),
                ("commit_reveal_version", TIMELOCK_VERSION.into()),
            ];
            Value::variant(SUBTENSOR, Value::variant(name, Value::record(fields)))
        });
        let args = vec![("calls", Value::List(calls.collect()))];
        let call = Call { pallet: UTILITY, name: "force_batch", args };
        let sent = self.send_and_follow(hotkey, &call).await?;
        // One of these per item, in their order.
        let told: Vec<&Event> = sent
            .events
            .iter()
            .filter(|e| e.pallet == UTILITY && matches!(e.name.as_str(), "ItemCompleted" | "ItemFailed"))
            .collect();
        if told.len() != items.len() {
            return Err(unconfirmed(&sent, &call, format!("it tells of {} items, not of {}", told.len(), items.len())));
        }
        let runtime = self.runtime(Some(sent.block.hash)).await?;
        let mut results = Vec::with_capacity(items.len());
        for (item, event) in items.iter().zip(told) {
            let failure = if event.name == "ItemFailed" {
                let (_, name, explanation) = dispatch_name(&runtime, event.fields.field_or_self("error"));
                Some((name, explanation))
            } else {
                let hash = sealed_hash(&item.sealed);
                unproven(self.timelocked_landed(&sent, &call, item.netuid.into(), &account, hash).await)?
            };
            results.push(BatchResult { netuid: item.netuid, failure });
        }
        Ok((results, sent))
    }

    async fn send_batch(&self, hotkey: &dyn Signer, call: &Call<'_>) -> Result<Submitted, ChainError> {
        let sent = self.send_and_follow(hotkey, call).await?;
        expect(&sent, call, "BatchWeightsCompleted", |_| Ok(true))?;
        Ok(sent)
    }

    /// The chain's event that an item failed.
    async fn item_failed(&self, sent: &Submitted, netuid: u16) -> Result<Failure, ChainError> {
        let failed = sent
            .events(SUBTENSOR, "BatchWeightItemFailed")
            .find(|event| event.fields.at(0).and_then(Value::number) == Ok(netuid));
        let Some(event) = failed else { return Ok(None) };
        let runtime = self.runtime(Some(sent.block.hash)).await?;
        let error = event.fields.at(1).map_err(ChainError::decode("BatchWeightItemFailed", runtime.spec))?;
        let (_, name, explanation) = dispatch_name(&runtime, error);
        Ok(Some((name, explanation)))
    }

    /// What is wrong with the row on chain, if anything.
    async fn row_reads(&self, sent: &Submitted, hotkey: &Account, item: &BatchItem) -> Result<Failure, ChainError> {
        let at = Some(sent.block.hash);
        let row = match self.uid_at(item.netuid, hotkey, at).await? {
            Some(uid) => self.weights(Mechanism::from(item.netuid), uid, at).await?,
            None => Vec::new(),
        };
        let same = sorted(&row) == stored(&item.uids, &item.values);
        let why = || format!("its weights read {row:?} in block {}", sent.block.number);
        Ok((!same).then(|| ("Unconfirmed".to_owned(), why())))
    }
}

/// An effect that is not there fails its item; any other error is the whole call's.
fn unproven<T>(proof: Result<T, ChainError>) -> Result<Failure, ChainError> {
    match proof {
        Ok(_) => Ok(None),
        Err(ChainError::Unconfirmed { missing, .. }) => Ok(Some(("Unconfirmed".to_owned(), missing))),
        Err(error) => Err(error),
    }
}

fn one_of_each(netuids: impl Iterator<Item = u16>) -> Result<(), ChainError> {
    let mut netuids: Vec<u16> = netuids.collect();
    netuids.sort_unstable();
    match netuids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ChainError::Invalid(format!("two items of a batch are for subnet {}", pair[0]))),
        None => Ok(()),
    }
}
