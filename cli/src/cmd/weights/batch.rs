//! `starling weights batch`: several subnets' weights in one transaction, each judged by the chain's own events.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;
use starling_chain::{
    Client,
    weights::{BatchItem, BatchResult, SealedItem, fresh_salt},
};
use starling_keys::{Account, Signer};

use super::{
    sealing::seal,
    vector::{Fit, fitted, on_subnet, read, text},
};
use crate::{Global, exit::Refused, output};

/// Weights of several subnets in one transaction: set, or committed. The chain says yes to a batch whose items fail: here a failed item is
/// a failure.
#[derive(Debug, Args)]
pub struct Batch {
    /// A subnet and its weights file, such as `3=weights.json`; may be given several times.
    #[arg(required_unless_present = "reveal", value_parser = item, value_name = "NETUID=FILE")]
    items: Vec<(u16, PathBuf)>,
    /// How they get on chain.
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// With --by hash: what the reveal needs is written here, before anything is sent. The file must not exist, and nobody may read it.
    #[arg(long, value_name = "FILE", required_if_eq("by", "hash"))]
    secrets: Option<PathBuf>,
    /// Reveal what was committed by hash with this file: one transaction per subnet, in the subnet's reveal epoch.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["items", "secrets", "by", "version_key"])]
    reveal: Option<PathBuf>,
    /// Weights version key, for all of them.
    #[arg(long, default_value_t = 0)]
    version_key: u64,
}

/// How the weights of a batch get on chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum By {
    /// At once, where commit-reveal is off.
    #[default]
    Set,
    /// Committed by hash; `--reveal` opens them an epoch later.
    Hash,
    /// Committed under a timelock, which the chain opens by itself.
    Timelock,
}

/// A commit by hash with all that its reveal needs.
#[derive(Debug, Serialize, Deserialize)]
struct Secret {
    hotkey: Account,
    netuid: u16,
    uids: Vec<u16>,
    values: Vec<u16>,
    salt: Vec<u16>,
    version_key: u64,
}

fn item(text: &str) -> Result<(u16, PathBuf), String> {
    let (netuid, file) = text.split_once('=').ok_or("write NETUID=FILE, such as 3=weights.json")?;
    Ok((netuid.parse().map_err(|_| format!("`{netuid}` is not a subnet's number"))?, file.into()))
}

impl Batch {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let hotkey = global.hotkey()?;
        let chain = global.chain().await?;
        if let Some(file) = &self.reveal {
            global.no_dry_run("weights batch --reveal")?;
            let (results, block) = reveal(&chain, &hotkey, file).await?;
            return told(global, &hotkey.account(), &results, block, "revealed");
        }
        let mut items = Vec::new();
        for (netuid, file) in &self.items {
            let (weights, missing) = on_subnet(&chain, *netuid, read(file)?).await?;
            ensure!(missing.is_empty(), "{}: {missing:?} are not registered on subnet {netuid}", file.display());
            let (uids, values) = fitted(&chain, *netuid, weights, Fit::AsGiven, 0).await?;
            items.push(BatchItem { netuid: *netuid, uids, values, version_key: self.version_key });
        }
        let ((results, submitted), done) = match self.by {
            By::Set => (chain.batch_set_weights(&hotkey, &items).await?, "on chain"),
            By::Hash => {
                let salted: Vec<(BatchItem, Vec<u16>)> =
                    items.into_iter().map(|item| Ok((item, fresh_salt()?))).collect::<anyhow::Result<_>>()?;
                if let (Some(file), false) = (&self.secrets, chain.rehearses()) {
                    keep(file, &hotkey.account(), &salted)?;
                }
                (chain.batch_commit_weights(&hotkey, &salted).await?, "committed")
            }
            By::Timelock => {
                let mut sealed = Vec::with_capacity(items.len());
                for BatchItem { netuid, uids, values, version_key } in items {
                    let (plan, bytes) = seal(&chain, &hotkey.account(), netuid, (&uids, &values), version_key).await?;
                    sealed.push(SealedItem { netuid, sealed: bytes, round: plan.round });
                }
                (chain.batch_commit_timelocked(&hotkey, &sealed).await?, "committed, the chain will reveal it")
            }
        };
        told(global, &hotkey.account(), &results, Some(submitted.block.number), done)
    }
}

/// Prints the items' results; a failed one is the command's failure.
fn told(
    global: &Global,
    hotkey: &Account,
    results: &[BatchResult],
    block: Option<u32>,
    done: &str,
) -> anyhow::Result<()> {
    let failed: Vec<String> = results.iter().filter(|r| r.failure.is_some()).map(|r| r.netuid.to_string()).collect();
    if global.json {
        output::json(&json!({ "hotkey": hotkey, "block": block, "items": results, "failed": failed.len() }))?;
    } else {
        let mut table = output::table(&["subnet", "weights"]);
        for result in results {
            let told = match &result.failure {
                Some((name, why)) => format!("refused: {name}: {why}"),
                None => done.to_owned(),
            };
            table.add_row([result.netuid.to_string(), told]);
        }
        output::line(&table.to_string());
    }
    if failed.is_empty() {
        return Ok(());
    }
    let block = block.map(|block| format!(" in block {block}")).unwrap_or_default();
    Err(Refused(format!("{} of {} items failed{block}: subnet {}", failed.len(), results.len(), failed.join(", ")))
        .into())
}

/// On disk before the chain has the commits: a commit whose salt is lost can never be revealed.
fn keep(file: &Path, hotkey: &Account, items: &[(BatchItem, Vec<u16>)]) -> anyhow::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let secrets: Vec<Secret> = items
        .iter()
        .map(|(item, salt)| Secret {
            hotkey: *hotkey,
            netuid: item.netuid,
            uids: item.uids.clone(),
            values: item.values.clone(),
            salt: salt.clone(),
            version_key: item.version_key,
        })
        .collect();
    let text = serde_json::to_string_pretty(&secrets)?;
    let write = || -> std::io::Result<()> {
        let mut opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    };
    write().with_context(|| format!("cannot keep what the reveal needs in {}", file.display()))
}

/// One transaction per subnet; a subnet's refusal is its item's failure.
async fn reveal(chain: &Client, hotkey: &dyn Signer, file: &Path) -> anyhow::Result<(Vec<BatchResult>, Option<u32>)> {
    let secrets: Vec<Secret> = serde_json::from_str(&text(file)?)
        .with_context(|| format!("{} is not what `weights batch --by hash --secrets` wrote", file.display()))?;
    let mine = hotkey.account();
    let mut results = Vec::new();
    let mut block = None;
    for secret in secrets {
        if secret.hotkey != mine {
            return Err(
                Refused(format!("these are commits of {}, the wallet's hotkey is {mine}", secret.hotkey)).into()
            );
        }
        let Secret { netuid, uids, values, salt, version_key, .. } = secret;
        let item = BatchItem { netuid, uids, values, version_key };
        let failure = match chain.batch_reveal_weights(hotkey, netuid, &[(item, salt)]).await {
            Ok(submitted) => {
                block = Some(submitted.block.number);
                None
            }
            Err(error) => match error.name() {
                Some(name) => Some((name.to_owned(), error.to_string())),
                None => return Err(error).with_context(|| format!("revealing on subnet {netuid}")),
            },
        };
        results.push(BatchResult { netuid, failure });
    }
    Ok((results, block))
}
