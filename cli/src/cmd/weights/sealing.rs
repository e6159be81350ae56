//! Weights under a timelock, made ready to be sent: for `set` and `batch` alike.

use starling_chain::{Client, timelock::TimelockPlan};
use starling_keys::Account;

use crate::exit::Refused;

/// Weights of a subnet, encrypted to the round that its reveal epoch will have, and when that is.
pub async fn seal(
    chain: &Client,
    hotkey: &Account,
    netuid: u16,
    (uids, values): (&[u16], &[u16]),
    version_key: u64,
) -> anyhow::Result<(TimelockPlan, Vec<u8>)> {
    let plan = chain.timelock_plan(netuid).await?;
    let plan =
        plan.ok_or_else(|| Refused(format!("subnet {netuid} has tempo 0: it runs no epochs and reveals nothing")))?;
    let beacon = chain.beacon().await?;
    if !beacon.runs(chain.now_ms().await?) {
        return Err(Refused(format!(
            "the chain gets no rounds of its beacon (the newest is {}): a timelocked commit would not be revealed. `starling weights keep \
             --by hash` and `weights batch --by hash` commit without it",
            beacon.last_stored
        ))
        .into());
    }
    let sealed = chain.seal_weights(&beacon, plan.round, hotkey, uids, values, version_key)?;
    Ok((plan, sealed))
}
