//! Where the kept weights come from: a file, or a program run once per epoch.
//!
//! Invariant: what cannot be read is an error and changes nothing; a program that hangs or prints without end is ended.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use starling_chain::Client;
use starling_keeper::Target;
use tokio::{io::AsyncReadExt, process::Command, time::Instant};

use super::super::vector::{Fit, MAX_FILE, Who, fitted, on_subnet, parse, text};

/// Blocks after which hotkeys are looked up and limits are read again.
const RESOLVE: u32 = 20;

/// Rests after failures: a scorer may be costly, a file is about to be written.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum From {
    File(PathBuf),
    Scorer { command: String, lead: Option<u32>, timeout: Duration },
}

/// See the module.
#[derive(Debug)]
pub struct Source {
    from: From,
    netuid: u16,
    fit: Fit,
    /// What was read last, as text.
    text: Option<String>,
    /// Block at which it was made weights.
    resolved_at: u32,
    /// The epoch that the scorer has scored for.
    scored: Option<u64>,
    /// After a failure: not before this, and how long the next rest is.
    rest: Option<(Instant, Duration)>,
}

impl Source {
    pub fn new(keep: &super::Keep) -> anyhow::Result<Self> {
        let from = match (&keep.file, &keep.scorer) {
            (Some(file), _) => From::File(file.clone()),
            (None, Some(command)) => From::Scorer {
                command: command.clone(),
                lead: keep.scorer_lead,
                timeout: Duration::from_secs(keep.scorer_timeout),
            },
            (None, None) => bail!("no weights: give --file or --scorer"),
        };
        Ok(Self { from, netuid: keep.netuid, fit: keep.fit, text: None, resolved_at: 0, scored: None, rest: None })
    }

    /// The weights if they may be others than before. What failed is left alone for a while, longer each time.
    pub async fn next(&mut self, chain: &Client) -> anyhow::Result<Option<Target>> {
        if self.rest.is_some_and(|(until, _)| Instant::now() < until) {
            return Ok(None);
        }
        let got = self.look(chain).await;
        self.rest = match (&got, self.rest) {
            (Ok(_), _) => None,
            (Err(_), None) => Some((Instant::now() + FIRST_REST, FIRST_REST * 2)),
            (Err(_), Some((_, rest))) => Some((Instant::now() + rest, (rest * 2).min(LONGEST_REST))),
        };
        got
    }

    /// True after a failure, until something could be read again.
    pub fn resting(&self) -> bool {
        self.rest.is_some()
    }

    async fn look(&mut self, chain: &Client) -> anyhow::Result<Option<Target>> {
        let read = match &self.from {
            From::File(path) => text(path)?,
            From::Scorer { command, lead, timeout } => {
                let clock = chain.epoch_clock(self.netuid).await?;
                let lead = lead.unwrap_or(u32::from(clock.tempo) / 10);
                let near = clock.next_epoch_block().is_some_and(|next| next.saturating_sub(clock.block) <= lead);
                let epoch = clock.index.saturating_add(u64::from(near));
                if self.scored.is_some_and(|scored| scored >= epoch) {
                    self.text.clone().unwrap_or_default()
                } else {
                    let env =
                        [("STARLING_NETUID", self.netuid.to_string()), ("STARLING_BLOCK", clock.block.to_string())];
                    let printed = run(command, &env, *timeout).await?;
                    self.scored = Some(epoch);
                    printed
                }
            }
        };
        let weights = parse(&read).context("these are no weights")?;
        let by_uid = weights.iter().all(|(who, _)| matches!(who, Who::Uid(_)));
        if self.text.as_ref() == Some(&read) && by_uid && self.fit == Fit::AsGiven {
            return Ok(None);
        }
        let head = chain.head().await?.number;
        if self.text.as_ref() == Some(&read) && head < self.resolved_at.saturating_add(RESOLVE) {
            return Ok(None);
        }
        let (weights, missing) = on_subnet(chain, self.netuid, weights).await?;
        if !missing.is_empty() {
            tracing::warn!("not registered on subnet {} and left out: {missing:?}", self.netuid);
        }
        let (uids, values) = fitted(chain, self.netuid, weights, self.fit, 0).await?;
        ensure!(!uids.is_empty(), "nobody of the weighed neurons is on subnet {}", self.netuid);
        self.text = Some(read);
        self.resolved_at = head;
        Ok(Some(Target { weights: uids.into_iter().zip(values).collect() }))
    }
}

/// Run a shell command within its time and answer what it printed; its stderr is ours.
async fn run(command: &str, env: &[(&str, String)], timeout: Duration) -> anyhow::Result<String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the scorer")?;
    let out = child.stdout.take().context("the scorer has no stdout")?;
    let work = async {
        let mut text = String::new();
        out.take(MAX_FILE + 1).read_to_string(&mut text).await.context("the scorer's output is no text")?;
        ensure!(text.len() as u64 <= MAX_FILE, "the scorer printed more than {MAX_FILE} bytes");
        let status = child.wait().await?;
        ensure!(status.success(), "the scorer ended with {status}");
        Ok(text)
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => bail!("the scorer took longer than {} s and was ended", timeout.as_secs()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scorer_is_read_bounded_and_ended_in_time() {
        let long = Duration::from_secs(60);
        let env = [("STARLING_NETUID", "7".to_owned())];
        assert_eq!(run("echo $STARLING_NETUID,1", &env, long).await.unwrap(), "7,1\n");
        let failed = run("echo 1,1; exit 3", &env, long).await.unwrap_err().to_string();
        assert!(failed.contains("exit status: 3"), "{failed}");
        let endless = run("yes 1,1", &env, long).await.unwrap_err().to_string();
        assert!(endless.contains("more than"), "{endless}");
        let slow = run("read line < /dev/zero", &env, Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(slow.contains("took longer"), "{slow}");
    }
}
