//! Weights of several subnets in one transaction (chain.md 1.3).
//!
//! The chain's call succeeds whatever becomes of its items, and tells of those that failed by events alone. Here each item has its result,
//! and one that is said to have landed was read back.

use serde::Serialize;
use starling_protocol::keys::Signer;

use crate::{ChainError, Client, Submitted, outcome::dispatch_name, proofs::unconfirmed, submit::Call, value::Value};

const SUBTENSOR: &str = "SubtensorModule";

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

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchResult {
    /// The subnet.
    pub netuid: u16,
    /// The chain's name for what stood in the way, and what it means; none: the weights are on chain.
    pub failure: Option<(String, String)>,
}

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
        let mut netuids: Vec<u16> = items.iter().map(|item| item.netuid).collect();
        netuids.sort_unstable();
        if let Some(pair) = netuids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ChainError::Invalid(format!("two items of a batch are for subnet {}", pair[0])));
        }
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
        let account = hotkey.account();
        let sent = self.send_and_follow(hotkey, &call).await?;
        if sent.events(SUBTENSOR, "BatchWeightsCompleted").next().is_none() {
            return Err(unconfirmed(&sent, &call, "there is no BatchWeightsCompleted event for it".into()));
        }
        let runtime = self.runtime(Some(sent.block.hash)).await?;
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let failed = sent
                .events(SUBTENSOR, "BatchWeightItemFailed")
                .find(|event| event.fields.at(0).and_then(Value::number) == Ok(item.netuid));
            let failure = match failed {
                Some(event) => {
                    let error =
                        event.fields.at(1).map_err(ChainError::decode("BatchWeightItemFailed", runtime.spec))?;
                    let (_, name, explanation) = dispatch_name(&runtime, error);
                    Some((name, explanation))
                }
                None => {
                    let uid = self.uid_at(item.netuid, &account, Some(sent.block.hash)).await?;
                    let stored = match uid {
                        Some(uid) => self.weights(item.netuid, uid, Some(sent.block.hash)).await?,
                        None => Vec::new(),
                    };
                    let wanted = starling_incentive::upscale::upscale(&item.values);
                    let same = stored.len() == wanted.len()
                        && item.uids.iter().copied().zip(wanted).all(|pair| stored.contains(&pair));
                    (!same).then(|| {
                        (
                            "Unconfirmed".to_owned(),
                            format!("its weights read {stored:?} in block {}", sent.block.number),
                        )
                    })
                }
            };
            results.push(BatchResult { netuid: item.netuid, failure });
        }
        Ok((results, sent))
    }
}
