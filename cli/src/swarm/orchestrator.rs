//! `starling orchestrator`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::{Value, json};
use starling_orchestrator::{Orchestrator as Actor, OrchestratorConfig, Subnet};
use starling_protocol::{
    ledger::{Entry, Event},
    state::State,
};

use super::relay::RelayFlags;
use crate::{Global, output};

/// Lead a run.
#[derive(Debug, Args)]
pub struct Orchestrator {
    /// The run's TOML.
    #[arg(long)]
    run: PathBuf,
    /// Folder with the token shards; `shards` beside the TOML if left out.
    #[arg(long)]
    shards: Option<PathBuf>,
    /// Folder for ledger and identity; keep it over restarts.
    #[arg(long)]
    state: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    #[command(flatten)]
    relays: RelayFlags,
}

impl Orchestrator {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let run = super::run::load(&self.run)?;
        let netuid = run.netuid;
        let shards = self.shards.or_else(|| self.run.parent().map(|p| p.join("shards")));
        let hotkey = Arc::new(global.hotkey()?);
        let chain = Arc::new(Subnet { client: global.chain().await?, netuid });
        let relays = self.relays.resolve(global);
        let config = OrchestratorConfig { run, state_dir: self.state, bind: self.bind, relays, shards };
        let mut actor = Actor::start(config, hotkey, chain).await?;
        if global.json {
            output::json_line(&json!({ "event": "listening", "address": actor.address() }))?;
        } else {
            output::line(&format!("miners and validators reach this run with --orchestrator {}", actor.address()));
        }
        let mut entries = actor.entries();
        loop {
            tokio::select! {
                result = actor.finished() => {
                    while let Ok(progress) = entries.try_recv() {
                        show(global, &actor, &progress.entry);
                    }
                    result?;
                    return Ok(());
                }
                progress = entries.recv() => match progress {
                    Ok(progress) => show(global, &actor, &progress.entry),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => {}
                },
            }
        }
    }
}

fn show(global: &Global, actor: &Actor, entry: &Entry) {
    let described = actor.look(|state| describe(state, entry));
    if let Some((value, text)) = described {
        if global.json {
            let _ = output::json_line(&value);
        } else {
            output::line(&text);
        }
    }
}

/// What a person wants to know of an entry; the many receipts of a round are told as one loss.
fn describe(state: &State, entry: &Entry) -> Option<(Value, String)> {
    let uid =
        |account| state.members().get(account).map(|m| m.uid).or_else(|| state.auditors().get(account).map(|a| a.uid));
    let epoch = state.epoch();
    match &entry.event {
        Event::Joined { join, uid, stage } => {
            let role = if state.auditors().contains_key(&join.signer) { "validator" } else { "miner" };
            Some((
                json!({ "event": "joined", "role": role, "uid": uid, "stage": stage, "hotkey": join.signer }),
                format!("{role} uid {uid} joined, stage {stage}"),
            ))
        }
        Event::Gone { account } => {
            let uid = uid(account);
            Some((json!({ "event": "gone", "uid": uid }), format!("uid {} fell silent", uid.unwrap_or_default())))
        }
        Event::Begun { epoch, roster, weights } => {
            let weights: Vec<String> = weights.iter().map(|w| w.weights.to_string()).collect();
            Some((
                json!({ "event": "begun", "epoch": epoch, "roster": roster, "weights": weights }),
                format!("epoch {epoch} begins with {roster:?}"),
            ))
        }
        Event::Step { round, .. } => {
            let last = state.losses().last()?;
            let t = &state.config().training;
            let tokens =
                u64::from(t.samples_per_round) * u64::from(t.sequences_per_sample) * u64::from(t.sequence_length);
            Some((
                json!({ "event": "round", "epoch": epoch, "round": round, "loss": last.loss, "tokens": tokens, "at_ms": entry.at_ms }),
                format!("epoch {epoch} round {round}: loss {:.4}", last.loss),
            ))
        }
        Event::Rerouted { sample, attempt, because, .. } => {
            let uid = uid(because);
            Some((
                json!({ "event": "rerouted", "sample": sample, "attempt": attempt, "because": uid }),
                format!("sample {sample} starts again (attempt {attempt}) because of uid {}", uid.unwrap_or_default()),
            ))
        }
        Event::Complaint(c) => Some((
            json!({ "event": "complaint", "from": uid(&c.signer), "about": uid(&c.body.about), "reason": c.body.reason }),
            format!(
                "uid {} complains about uid {}: {}",
                uid(&c.signer).unwrap_or_default(),
                uid(&c.body.about).unwrap_or_default(),
                c.body.reason
            ),
        )),
        Event::Receipt(_) => None,
        Event::Closed { block } => Some((
            json!({ "event": "closed", "epoch": epoch, "block": block }),
            format!("epoch {epoch}: training closed at block {block}, miners anchor"),
        )),
        Event::Anchored { account, block, count, .. } => {
            let matches = state.members().get(account).and_then(|m| m.anchor).is_some_and(|a| a.matches);
            let uid = uid(account);
            Some((
                json!({ "event": "anchored", "uid": uid, "block": block, "receipts": count, "matches": matches }),
                format!("uid {} anchored {count} receipts in block {block}", uid.unwrap_or_default()),
            ))
        }
        Event::AuditOpened { block } => Some((
            json!({ "event": "audit-opened", "epoch": epoch, "block": block }),
            format!("epoch {epoch}: the audit opens at block {block}"),
        )),
        Event::Report(r) => {
            let failed = r.body.verdicts.iter().filter(|v| !v.outcome.passed()).count();
            let verdicts: Vec<Value> =
                r.body.verdicts.iter().map(|v| json!({ "uid": uid(&v.miner), "passed": v.outcome.passed() })).collect();
            Some((
                json!({ "event": "report", "epoch": r.body.epoch, "validator": uid(&r.signer), "verdicts": verdicts }),
                format!(
                    "validator uid {} reports {} verdicts, {failed} failed",
                    uid(&r.signer).unwrap_or_default(),
                    r.body.verdicts.len()
                ),
            ))
        }
        Event::AuditClosed { benched } => {
            let uids: Vec<_> = benched.iter().filter_map(uid).collect();
            let closed = state.closed().map(|c| c.epoch);
            Some((
                json!({ "event": "audit-closed", "epoch": closed, "benched": uids }),
                format!("epoch {}: the audit closes, benched {uids:?}", closed.unwrap_or_default()),
            ))
        }
        Event::Merged { stages } => {
            let lost = stages.iter().flatten().filter(|s| s.is_none()).count();
            Some((
                json!({ "event": "merged", "epoch": epoch, "lost": lost }),
                format!("merged into epoch {epoch}, {lost} shards lost"),
            ))
        }
        Event::Ready(_) | Event::Enlisted { .. } | Event::Round { .. } | Event::MergePlanned { .. } => None,
    }
}
