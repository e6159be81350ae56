//! `starling weights keep`: a daemon that has a file's weights on chain in every epoch.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use starling_chain::Client;
use starling_keeper::{FileStore, Hook, Keeper, Refresh, Target, WeightStatus};
use tokio::sync::watch;

use crate::{Global, output};

/// Longest weights file, bytes.
const MAX_FILE: u64 = 4 << 20;
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Keep a file's weights on chain: set or committed and revealed anew in every epoch, read back, over crashes and for months.
///
/// The file is JSON, `{"3": 0.5, "7": 1}`: uid to weight, any non-negative numbers. It is read again when it changes; while it cannot be
/// read, the weights read last stay. Ends with Ctrl-C; started again with the same state folder, it goes on where it stood.
#[derive(Debug, Args)]
pub struct Keep {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// The weights.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Folder for the commit that is not revealed yet; keep it over restarts. One keeper per hotkey and subnet.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Weights version key.
    #[arg(long, default_value_t = 0)]
    version_key: u64,
    /// TEST ONLY: end the process at this step (before-store, before-commit, after-commit, before-reveal, after-reveal).
    #[arg(long, value_name = "STEP")]
    test_only_abort_at: Option<String>,
}

impl Keep {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        global.no_dry_run("weights keep")?;
        let hotkey = Arc::new(global.hotkey()?);
        let store = Arc::new(FileStore::open(&self.state)?);
        let first = self.read()?;
        let chain: Client = global.chain().await?;
        let (target, targets) = watch::channel(first);
        let (status, mut statuses) = watch::channel(WeightStatus::default());
        let keeper = Keeper::new(chain, hotkey, self.netuid, store, targets, status)
            .with(Refresh::EveryEpoch, self.version_key)
            .with_hook(self.hook());
        let mut keeper = std::pin::pin!(keeper.run());
        let mut look = tokio::time::interval(LOOK);
        let mut told = None;
        loop {
            tokio::select! {
                ended = &mut keeper => return Ok(ended?),
                changed = statuses.changed() => {
                    if changed.is_err() {
                        continue;
                    }
                    let now = statuses.borrow_and_update().clone();
                    let said = (now.doing.clone(), now.confirmed_at);
                    if told.as_ref() != Some(&said) {
                        told = Some(said);
                        tell(global, &now)?;
                    }
                }
                _ = look.tick() => match self.read() {
                    Ok(read) => {
                        target.send_if_modified(|t| std::mem::replace(t, read.clone()) != read);
                    }
                    Err(error) => tracing::warn!("{error:#}; the weights read before stay"),
                },
            }
        }
    }

    /// Ends the process at the named step as `kill -9` would.
    fn hook(&self) -> Hook {
        let wanted = self.test_only_abort_at.clone();
        Arc::new(move |step| {
            if wanted.as_deref() == Some(step) {
                std::process::abort();
            }
        })
    }

    fn read(&self) -> anyhow::Result<Target> {
        let path = self.file.display();
        let length = std::fs::metadata(&self.file).with_context(|| format!("cannot read {path}"))?.len();
        ensure!(length <= MAX_FILE, "{path} has {length} bytes, at most {MAX_FILE} are read");
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("cannot read {path}"))?;
        let parsed: BTreeMap<u16, f64> = serde_json::from_str(&text)
            .with_context(|| format!("{path} is not JSON of the form {{\"uid\": weight, …}}"))?;
        let (uids, values): (Vec<u16>, Vec<f64>) = parsed.into_iter().unzip();
        let (uids, values) = starling_chain::weights::quantise(&uids, &values).with_context(|| format!("{path}"))?;
        ensure!(!uids.is_empty(), "{path} weighs nobody: at least one weight must be above zero");
        Ok(Target { weights: uids.into_iter().zip(values).collect() })
    }
}

/// One line per change: the result of a daemon is what it does.
fn tell(global: &Global, now: &WeightStatus) -> anyhow::Result<()> {
    if global.json {
        return output::json_line(&json!({
            "doing": now.doing, "confirmed": now.confirmed, "confirmed_at": now.confirmed_at, "commits": now.commits, "reveals": now.reveals,
        }));
    }
    output::line(&now.doing);
    Ok(())
}
