//! `starling weights set`: send weights once, the way that the subnet wants them.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use starling_chain::{
    ChainError, Client, Fate, Mechanism, Submitted,
    timelock::{TimelockPlan, TimelockedCommit},
    weights::preflight::{self, Way},
};
use starling_keys::Signer;

use super::{check, sealing::seal, vector::Vector};
use crate::{Global, exit::Refused, output};

/// How often a commit is made whose round is out before it lands.
const TRIES: u32 = 3;

/// Set weights now: at once where commit-reveal is off, else by a timelocked commit that the chain reveals by itself.
#[derive(Debug, Args)]
pub struct Set {
    #[command(flatten)]
    vector: Vector,
    /// After a timelocked commit: wait until the chain has revealed it, which takes an epoch and more.
    #[arg(long)]
    wait_reveal: bool,
}

impl Set {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Vector { netuid, mechanism, version_key, .. } = self.vector;
        let of = self.vector.of();
        let hotkey = global.hotkey()?;
        let account = hotkey.account();
        let chain = global.chain().await?;
        let (uids, values) = self.vector.quantised(&chain).await?;
        let facts = chain.weight_facts(of, &account).await?;
        let way = facts.way();
        if way == Way::Commit {
            return Err(Refused(format!(
                "subnet {netuid} wants weights committed by hash and revealed an epoch later, for which a program must be there: use \
                 `starling weights keep`"
            ))
            .into());
        }
        let mut rules = preflight::check(&facts, way, &uids, &values, version_key);
        preflight::in_seconds(&mut rules, chain.block_seconds().await?);
        let broken: Vec<&preflight::Check> = rules.iter().filter(|r| !r.holds).collect();
        check::refuse(&broken)?;
        let sent =
            json!({ "netuid": netuid, "mechanism": mechanism, "hotkey": account, "uids": uids, "values": values });
        if way == Way::Plain {
            let submitted = chain.set_weights(&hotkey, of, &uids, &values, version_key).await?;
            if global.json {
                return output::json(&with(sent, json!({ "way": way, "block": submitted.block.number })));
            }
            output::line(&format!("{} weights are on chain, block {}", uids.len(), submitted.block.number));
            return Ok(());
        }
        let mut tries = 1;
        let (plan, commit, submitted) = loop {
            match self.commit(&chain, &hotkey, &uids, &values).await {
                // The round came out before the commit was in a block, as happens where epochs last seconds: another block, another round.
                Err(error) if tries < TRIES && is_late(&error) => tries += 1,
                done => break done?,
            }
        };
        let window = chain.epoch_clock(netuid).await?.reveal_window(commit.epoch);
        let fate = if self.wait_reveal { Some(decided(&chain, of, &hotkey, &commit).await?) } else { None };
        if global.json {
            let rest = json!({
                "way": way, "block": submitted.block.number, "epoch": commit.epoch, "round": commit.round, "round_ms": plan.round_ms,
                "reveal_window": window, "fate": fate,
            });
            output::json(&with(sent, rest))?;
        } else {
            output::line(&format!(
                "{} weights are committed in block {}, encrypted to the beacon's round {}",
                uids.len(),
                submitted.block.number,
                commit.round
            ));
            match (&fate, window) {
                (Some(Fate::Revealed { block }), _) => output::line(&format!("revealed by the chain in block {block}")),
                (None, Some(window)) => output::line(&format!(
                    "the chain reveals them from block {} on, by block {} at the latest; see `starling weights commits --netuid {netuid}`",
                    window.first, window.last
                )),
                _ => {}
            }
        }
        match fate {
            Some(Fate::Refused { block }) => Err(Refused(format!(
                "the chain dropped the commit in block {block} without revealing it; `starling weights check` tells which rule is broken now"
            ))
            .into()),
            Some(Fate::Unknown) => Err(Refused("the node has forgotten the blocks of the reveal; `starling weights show` tells what is on chain".into()).into()),
            _ => Ok(()),
        }
    }
}

impl Set {
    /// Commit, timelocked for the reveal that is due from now.
    async fn commit(
        &self,
        chain: &Client,
        hotkey: &dyn Signer,
        uids: &[u16],
        values: &[u16],
    ) -> anyhow::Result<(TimelockPlan, TimelockedCommit, Submitted)> {
        let Vector { netuid, version_key, .. } = self.vector;
        let (plan, sealed) = seal(chain, &hotkey.account(), netuid, (uids, values), version_key).await?;
        let (commit, submitted) =
            chain.commit_timelocked_weights(hotkey, self.vector.of(), &sealed, plan.round).await?;
        Ok((plan, commit, submitted))
    }
}

/// Refused by the chain for certain, because the round was out already.
fn is_late(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ChainError>().and_then(ChainError::name) == Some("InvalidRevealRound")
}

fn with(mut object: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(object), serde_json::Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// Wait, block by block, until the chain has decided.
async fn decided(
    chain: &Client,
    of: Mechanism,
    hotkey: &dyn Signer,
    commit: &TimelockedCommit,
) -> anyhow::Result<Fate> {
    loop {
        let fate = chain.timelocked_fate(of, &hotkey.account(), commit).await?;
        if fate != Fate::Waiting {
            return Ok(fate);
        }
        let clock = chain.epoch_clock(of.netuid).await?;
        let Some(window) = clock.reveal_window(commit.epoch) else { return Ok(Fate::Unknown) };
        let next = window.first.max(clock.block.saturating_add(1));
        tracing::info!("waiting for block {next}, now is {}", clock.block);
        let seconds = chain.block_seconds().await?.unwrap_or(12.0) * f64::from(next.saturating_sub(clock.block));
        chain.wait_for_block(next, Duration::from_secs_f64((seconds * 2.0 + 120.0).min(1e7))).await?;
    }
}
