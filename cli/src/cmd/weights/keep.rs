//! `starling weights keep`: a daemon that has a file's or a program's weights on chain in every epoch.

mod alert;
mod metrics;
mod source;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use serde_json::json;
use starling_chain::{Client, Mechanism};
use starling_keeper::{By, FileStore, Hook, Keeper, Refresh, Target, WeightStatus};
use starling_keys::Signer;
use tokio::sync::watch;

use super::vector::Fit;
use crate::{Global, output};
use alert::Alerts;
use source::Source;

/// How often the weights' source is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How to commit where commit-reveal is on.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Commits {
    /// Timelocked if the chain takes that and its beacon runs, else by hash.
    #[default]
    Best,
    /// By hash: this program must be there for the reveal.
    Hash,
    /// Timelocked: the chain reveals by itself.
    Timelock,
}

/// Keep weights on chain: set or committed and revealed anew in every epoch, read back, over crashes and for months.
///
/// They come from a file (`{"3": 0.5, "7": 1}` or CSV, by uid or by hotkey), read again when it changes, or from a program that prints the
/// same, run once per epoch. While neither can be read, the weights read last stay. Ends with Ctrl-C; started again with the same state
/// folder, it goes on where it stood.
#[derive(Debug, Args)]
pub struct Keep {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// The mechanism of the subnet.
    #[arg(long, default_value_t = 0)]
    mechanism: u8,
    /// The weights.
    #[arg(long, value_name = "FILE", required_unless_present = "scorer", conflicts_with = "scorer")]
    file: Option<PathBuf>,
    /// A program that prints the weights, run by the shell at the start and then shortly before each epoch.
    #[arg(long, value_name = "COMMAND")]
    scorer: Option<String>,
    /// Blocks before an epoch at which the scorer is run; a tenth of the tempo if left out.
    #[arg(long, value_name = "BLOCKS", requires = "scorer")]
    scorer_lead: Option<u32>,
    /// Seconds that the scorer may take.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    scorer_timeout: u64,
    /// Fit the weights to the subnet's limits first.
    #[arg(long, value_enum, default_value_t)]
    fit: Fit,
    /// Folder for the commits that are not revealed yet; keep it over restarts. One keeper per hotkey and subnet.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Weights version key.
    #[arg(long, default_value_t = 0)]
    version_key: u64,
    /// How to commit.
    #[arg(long, value_enum, default_value_t)]
    by: Commits,
    /// A command run by the shell when something is wrong, and when it is well again; JSON on its stdin, the kind in $STARLING_ALERT.
    #[arg(long, value_name = "COMMAND")]
    alert_command: Option<String>,
    /// An http(s) address that gets the same JSON by POST.
    #[arg(long, value_name = "URL")]
    alert_webhook: Option<String>,
    /// Alert when no weights of ours landed for this many blocks; the reveal period and two epochs if left out.
    #[arg(long, value_name = "BLOCKS")]
    alert_after: Option<u32>,
    /// Serve Prometheus metrics at this address, such as 127.0.0.1:9100.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// TEST ONLY: end the process at this step (before-store, before-commit, after-commit, before-reveal, after-reveal).
    #[arg(long, value_name = "STEP", hide = true)]
    test_only_abort_at: Option<String>,
}

impl Keep {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        global.no_dry_run("weights keep")?;
        let of = Mechanism { netuid: self.netuid, id: self.mechanism };
        let hotkey = Arc::new(global.hotkey()?);
        let store = Arc::new(FileStore::open(&self.state)?);
        let mut source = Source::new(&self)?;
        let chain: Client = global.chain().await?;
        // A file that is none ends this at once. A scorer may take minutes, in which a reveal may be due: it is first run by the loop.
        let first =
            if self.scorer.is_some() { Target::default() } else { source.next(&chain).await?.unwrap_or_default() };
        let (target, targets) = watch::channel(first);
        let (status, mut statuses) = watch::channel(WeightStatus::default());
        let mut serving = match self.metrics {
            Some(address) => Some(metrics::serve(address, of, statuses.clone()).await?),
            None => None,
        };
        let mut alerts = Alerts::new(&self, of, hotkey.account());
        let by = match self.by {
            Commits::Best => By::Best,
            Commits::Hash => By::Hash,
            Commits::Timelock => By::Timelock,
        };
        let keeper = Keeper::new(chain.clone(), hotkey, of, store, targets, status)
            .with(Refresh::EveryEpoch, self.version_key)
            .with_commits(by)
            .with_hook(self.hook());
        let mut keeper = std::pin::pin!(keeper.run());
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = None;
        // The source may take minutes; the keeper goes on meanwhile.
        let mut reading = std::pin::pin!(read(source, chain, look));
        loop {
            tokio::select! {
                ended = &mut keeper => return Ok(ended?),
                changed = statuses.changed() => {
                    if changed.is_err() {
                        continue;
                    }
                    let now = statuses.borrow_and_update().clone();
                    alerts.see(&now);
                    if !now.doing.is_empty() && told.as_ref().is_none_or(|before| is_news(before, &now)) {
                        tell(global, told.as_ref(), &now)?;
                        told = Some(now);
                    }
                }
                ((source, chain, look), got) = &mut reading => {
                    match got {
                        Ok(Some(read)) => {
                            alerts.source(None);
                            target.send_if_modified(|t| std::mem::replace(t, read.clone()) != read);
                        }
                        // The same as before; or at rest after a failure, which is no news.
                        Ok(None) if source.resting() => {}
                        Ok(None) => alerts.source(None),
                        Err(error) => {
                            tracing::warn!("{error:#}; the weights read before stay");
                            alerts.source(Some(format!("{error:#}")));
                        }
                    }
                    reading.set(read(source, chain, look));
                }
                ended = async {
                    match serving.as_mut() {
                        Some(server) => server.await,
                        None => std::future::pending().await,
                    }
                } => {
                    // Metrics are not worth the weights.
                    tracing::error!("the metrics are no longer served: {ended:?}");
                    serving = None;
                }
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
}

type Reading = (Source, Client, tokio::time::Interval);

async fn read(
    mut source: Source,
    chain: Client,
    mut look: tokio::time::Interval,
) -> (Reading, anyhow::Result<Option<Target>>) {
    look.tick().await;
    let got = source.next(&chain).await;
    ((source, chain, look), got)
}

fn is_news(before: &WeightStatus, now: &WeightStatus) -> bool {
    (&before.doing, before.confirmed_at, before.pending) != (&now.doing, now.confirmed_at, now.pending)
}

/// One line per change: the result of a daemon is what it does.
fn tell(global: &Global, before: Option<&WeightStatus>, now: &WeightStatus) -> anyhow::Result<()> {
    if global.json {
        let loss = now.last_loss.as_ref();
        return output::json_line(&json!({
            "doing": now.doing, "confirmed": now.confirmed, "confirmed_at": now.confirmed_at, "commits": now.commits, "reveals": now.reveals,
            "sets": now.sets, "pending": now.pending, "losses": now.losses,
            "last_loss": loss.map(|l| json!({ "epoch": l.epoch, "why": l.why, "noticed_at": l.noticed_at })),
            "head": now.head.map(|h| h.number),
        }));
    }
    // What was reached is said, though the next thing is being done already.
    let landed = WeightStatus::landed(now.confirmed_at);
    if now.confirmed_at != before.map_or(0, |before| before.confirmed_at) {
        output::line(&landed);
    }
    if now.doing != landed && before.is_none_or(|before| before.doing != now.doing) {
        output::line(&now.doing);
    }
    Ok(())
}
