//! Who is told when weights are not kept: a command, an address, or both.
//!
//! Invariant: each trouble is told once when it begins and once when it is over, in order; telling never holds up the keeping.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use serde_json::{Value, json};
use starling_chain::Mechanism;
use starling_keeper::WeightStatus;
use starling_keys::Account;
use tokio::{io::AsyncWriteExt, process::Command, sync::mpsc};

/// How long the command and the address have to take it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Alerts that may wait to be told.
const QUEUE: usize = 64;
/// Failed tries after which a chain that does not answer is told.
const UNREACHABLE_AFTER: u32 = 5;

/// See the module.
#[derive(Debug)]
pub struct Alerts {
    tell: Option<mpsc::Sender<Value>>,
    common: Value,
    /// Troubles that are on, by kind, with what was said.
    on: BTreeMap<&'static str, String>,
    losses: u32,
    late_after: Option<u32>,
    /// The first block seen: nothing can be late before.
    since: Option<u32>,
}

impl Alerts {
    pub fn new(keep: &super::Keep, of: Mechanism, hotkey: Account) -> Self {
        let (command, webhook) = (keep.alert_command.clone(), keep.alert_webhook.clone());
        let tell = (command.is_some() || webhook.is_some()).then(|| {
            let (tell, mut told) = mpsc::channel::<Value>(QUEUE);
            tokio::spawn(async move {
                while let Some(alert) = told.recv().await {
                    if let Some(command) = &command
                        && let Err(error) = run(command, &alert).await
                    {
                        tracing::error!("the alert command failed: {error:#}");
                    }
                    if let Some(url) = &webhook
                        && let Err(error) = post(url, &alert).await
                    {
                        tracing::error!("the alert could not be posted: {error:#}");
                    }
                }
            });
            tell
        });
        let common = json!({ "netuid": of.netuid, "mechanism": of.id, "hotkey": hotkey });
        Self { tell, common, on: BTreeMap::new(), losses: 0, late_after: keep.alert_after, since: None }
    }

    /// Look at what the keeper says.
    pub fn see(&mut self, now: &WeightStatus) {
        let head = now.head.map(|head| head.number);
        if now.losses > self.losses {
            self.losses = now.losses;
            let why = now.last_loss.as_ref().map_or_else(String::new, |loss| loss.why.clone());
            self.send("lost", &why, head);
        }
        self.turn("refused", now.refused.clone().map(|rule| format!("the chain would refuse weights: {rule}")), head);
        let unreachable = now.trouble.as_ref().filter(|(_, tries)| *tries >= UNREACHABLE_AFTER);
        self.turn("chain", unreachable.map(|(error, tries)| format!("{tries} tries failed: {error}")), head);
        if let (Some(head), Some(after)) = (head, self.late_after.or(now.late_after)) {
            let last = now.confirmed_at.max(*self.since.get_or_insert(head));
            let age = head.saturating_sub(last);
            // Without its number of blocks, or each would be another trouble.
            self.turn("late", (age > after).then(|| format!("no weights landed since block {last}")), Some(head));
        }
    }

    /// The source of the weights could not be read, or can be again.
    pub fn source(&mut self, trouble: Option<String>) {
        self.turn("source", trouble, None);
    }

    /// A trouble begins, goes on, or is over.
    fn turn(&mut self, kind: &'static str, trouble: Option<String>, head: Option<u32>) {
        match trouble {
            Some(what) => {
                if !self.on.contains_key(kind) {
                    self.send(kind, &what, head);
                    self.on.insert(kind, what);
                }
            }
            None => {
                if let Some(what) = self.on.remove(kind) {
                    self.send(&format!("{kind}-over"), &format!("it is over: {what}"), head);
                }
            }
        }
    }

    fn send(&self, kind: &str, message: &str, head: Option<u32>) {
        tracing::warn!(kind, "{message}");
        let Some(tell) = &self.tell else { return };
        let mut alert = self.common.clone();
        if let Some(alert) = alert.as_object_mut() {
            alert.extend([
                ("kind".to_owned(), json!(kind)),
                ("message".to_owned(), json!(message)),
                ("block".to_owned(), json!(head)),
            ]);
        }
        if tell.try_send(alert).is_err() {
            tracing::error!(kind, "too many alerts wait: this one is only in the log");
        }
    }
}

async fn run(command: &str, alert: &Value) -> anyhow::Result<()> {
    let kind = alert.get("kind").and_then(Value::as_str).unwrap_or_default();
    let work = async {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .env("STARLING_ALERT", kind)
            .stdin(Stdio::piped())
            // stdout is the daemon's own result.
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing closes it.
            let _ = stdin.write_all(format!("{alert}\n").as_bytes()).await;
        }
        let status = child.wait().await?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    };
    tokio::time::timeout(PATIENCE, work).await?
}

async fn post(url: &str, alert: &Value) -> anyhow::Result<()> {
    let (url, body) = (url.to_owned(), alert.to_string());
    let work = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
        agent.post(&url).header("content-type", "application/json").send(&body)?;
        Ok(())
    });
    work.await?
}
