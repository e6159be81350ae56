//! What is seen while the demo runs: one line of progress on a terminal, a plain log elsewhere. All of it on stderr.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use anyhow::bail;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use starling_protocol::config::RunConfig;

use super::{
    Fault,
    children::{Children, Said},
    faults,
    stage::Cast,
};

/// A line of the demo's own.
pub fn say(text: &str) {
    eprintln!("demo: {text}");
}

/// One round's loss.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub loss: f64,
    pub tokens: u64,
    pub at_ms: u64,
}

/// What was seen of one miner.
#[derive(Clone, Debug, Default)]
pub struct MinerSeen {
    pub stage: Option<u64>,
    /// Forwards, backwards, steps, merges that it did, by its own word.
    pub samples: u64,
    pub passed: u32,
    pub failed: u32,
    /// The first failure found.
    pub finding: Option<String>,
    /// What it is doing, by its own word.
    pub doing: String,
}

/// Everything that the report needs.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub points: Vec<Point>,
    pub miners: BTreeMap<u16, MinerSeen>,
    /// Per validator, the weights it read back from the chain.
    pub weights: BTreeMap<String, Vec<(u16, u16)>>,
    /// Digests of the last epoch's weights, by stage.
    pub last_weights: Vec<String>,
    pub epochs_audited: u32,
    pub benched: Vec<u16>,
    /// Where the orchestrator is.
    pub address: String,
    /// Killed by a fault for good.
    pub killed: Option<u16>,
    /// Whose blobs a fault has cut short.
    pub damaged: Option<String>,
    /// What processes that failed said last.
    pub last_words: BTreeMap<String, String>,
}

/// On a terminal a bar and a line per miner that are redrawn, elsewhere a log.
pub struct Show {
    live: Option<Live>,
}

struct Live {
    all: MultiProgress,
    bar: ProgressBar,
    miners: BTreeMap<u16, ProgressBar>,
}

impl Live {
    fn new(rounds: u64, miners: impl Iterator<Item = u16>) -> Self {
        let all = MultiProgress::new();
        let line = || {
            let bar = all.add(ProgressBar::new(rounds));
            if let Ok(style) = ProgressStyle::with_template("  {wide_msg}") {
                bar.set_style(style);
            }
            bar
        };
        let bar = line();
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:30} round {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let miners = miners.map(|uid| (uid, line())).collect();
        Self { all, bar, miners }
    }
}

impl Show {
    fn new(rounds: u64, miners: impl Iterator<Item = u16>) -> Self {
        Self { live: std::io::stderr().is_terminal().then(|| Live::new(rounds, miners)) }
    }

    pub fn line(&self, text: &str) {
        match &self.live {
            Some(live) => drop(live.all.println(format!("demo: {text}"))),
            None => say(text),
        }
    }

    fn round(&self, done: u64, text: &str) {
        match &self.live {
            Some(live) => {
                live.bar.set_position(done);
                live.bar.set_message(text.to_owned());
            }
            None => say(text),
        }
    }

    /// A miner's state has changed.
    fn miner(&self, uid: u16, seen: &MinerSeen) {
        if let Some(bar) = self.live.as_ref().and_then(|l| l.miners.get(&uid)) {
            bar.set_message(seen.line(uid));
        }
    }

    /// All miners' states, where they are not on view all the time.
    fn miners(&self, seen: &Seen) {
        if self.live.is_none() {
            for (uid, miner) in &seen.miners {
                say(&format!("  {}", miner.line(*uid)));
            }
        }
    }

    fn clear(&self) {
        if let Some(live) = &self.live {
            let _ = live.all.clear();
        }
    }
}

impl MinerSeen {
    fn line(&self, uid: u16) -> String {
        let stage = self.stage.map_or_else(|| "-".to_owned(), |s| s.to_string());
        format!(
            "uid {uid:>2} stage {stage}: {:>3} samples, audits {}/{}: {}",
            self.samples, self.passed, self.failed, self.doing
        )
    }
}

/// Follow the processes until orchestrator and validators have ended well.
pub async fn until_finished(
    children: &mut Children,
    config: &RunConfig,
    cast: &Cast,
    fault: Option<Fault>,
    address: &str,
) -> anyhow::Result<Seen> {
    let mut seen = Seen { address: address.to_owned(), ..Seen::default() };
    for miner in &cast.miners {
        seen.miners.insert(miner.uid, MinerSeen::default());
    }
    let show = Show::new(u64::from(config.total_steps()), cast.miners.iter().map(|m| m.uid));
    let mut struck = false;
    let mut open: Vec<String> = cast.validators.iter().chain([&cast.owner]).map(|k| k.name.clone()).collect();
    while !open.is_empty() {
        let Some((who, said)) = children.heard.recv().await else { bail!("all processes are gone") };
        match said {
            Said::Line(value) if who == cast.owner.name => {
                orchestrator(&mut seen, &show, &value);
                if let Some(fault) = fault.filter(|_| value["event"] == "round" && seen.points.len() == 2) {
                    faults::strike(children, &mut seen, &show, cast, fault).await?;
                    struck = true;
                }
            }
            Said::Line(value) if who.starts_with("validator") => validator(&mut seen, &show, &who, &value),
            Said::Line(value) => miner(&mut seen, &show, cast, &who, &value),
            Said::Ended if children.was_killed(&who) => show.line(&format!("{who} was killed")),
            Said::Ended
                if fault.is_some_and(|f| struck && f.fills_disk() && f.victim(cast, &seen).name == who)
                    && !seen.last_words.contains_key(&who) =>
            {
                faults::relieve(children, &mut seen, &show, cast, &who).await?;
            }
            Said::Ended if open.contains(&who) => {
                open.retain(|name| *name != who);
                if !children.ended_well(&who).await {
                    bail!("{who} ended before its work was done; see its log in the logs folder");
                }
            }
            Said::Ended if who == "chain" => bail!("the chain ended"),
            Said::Ended if children.ended_well(&who).await => show.line(&format!("{who} ended")),
            Said::Ended => {
                let words = children.last_words(&who);
                show.line(&format!("{who} ended: {words}"));
                seen.last_words.insert(who, words);
            }
        }
    }
    show.clear();
    faults::noticed(children, &seen)?;
    Ok(seen)
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn orchestrator(seen: &mut Seen, show: &Show, value: &Value) {
    match value.get("event").and_then(Value::as_str).unwrap_or_default() {
        "joined" => {
            if value["role"] == "miner"
                && let Some(m) = seen.miners.get_mut(&(number(value, "uid") as u16))
            {
                m.stage = value["stage"].as_u64();
            }
            show.line(&format!("{} uid {} joined", value["role"].as_str().unwrap_or_default(), number(value, "uid")));
        }
        "begun" => {
            seen.last_weights = value["weights"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|w| w.as_str().map(str::to_owned))
                .collect();
            show.line(&format!("epoch {} begins with miners {}", number(value, "epoch"), value["roster"]));
        }
        "round" => {
            let point = Point {
                loss: value["loss"].as_f64().unwrap_or(f64::NAN),
                tokens: number(value, "tokens"),
                at_ms: number(value, "at_ms"),
            };
            let speed = seen
                .points
                .last()
                .map(|p| point.tokens as f64 * 1000.0 / (point.at_ms.saturating_sub(p.at_ms).max(1)) as f64);
            seen.points.push(point);
            let speed = speed.map(|s| format!(", {s:.0} tokens/s")).unwrap_or_default();
            show.round(
                seen.points.len() as u64,
                &format!(
                    "epoch {} round {}: loss {:.3}{speed}",
                    number(value, "epoch"),
                    number(value, "round"),
                    point.loss
                ),
            );
        }
        "gone" => show.line(&format!("uid {} fell silent", number(value, "uid"))),
        "rerouted" => show.line(&format!(
            "sample {} rerouted because of uid {}",
            number(value, "sample"),
            number(value, "because")
        )),
        "complaint" => show.line(&format!(
            "uid {} complains about uid {}: {}",
            number(value, "from"),
            number(value, "about"),
            value["reason"]
        )),
        "closed" => {
            show.line(&format!("epoch {}: miners anchor their receipt chains on chain", number(value, "epoch")));
            show.miners(seen);
        }
        "audit-opened" => {
            show.line(&format!("epoch {}: validators re-execute what the beacon draws", number(value, "epoch")))
        }
        "audit-closed" => {
            seen.epochs_audited += 1;
            let benched: Vec<u16> =
                value["benched"].as_array().into_iter().flatten().filter_map(Value::as_u64).map(|u| u as u16).collect();
            show.line(&format!("epoch {}: audit closed, failed by the majority: {benched:?}", number(value, "epoch")));
            show.miners(seen);
            seen.benched.extend(benched);
        }
        "merged" => show.line(&format!("weights merged, {} shards lost", number(value, "lost"))),
        _ => {}
    }
}

fn validator(seen: &mut Seen, show: &Show, who: &str, value: &Value) {
    match value.get("event").and_then(Value::as_str) {
        Some("audited") => {
            let uid = number(value, "uid") as u16;
            let m = seen.miners.entry(uid).or_default();
            if value["passed"] == true {
                m.passed += 1;
            } else {
                m.failed += 1;
                let finding = format!(
                    "{} #{}: {}",
                    value["work"].as_str().unwrap_or_default(),
                    number(value, "sequence"),
                    value["finding"].as_str().unwrap_or_default()
                );
                if m.finding.is_none() {
                    show.line(&format!("{who} catches uid {uid}: {finding}"));
                    m.finding = Some(finding);
                }
            }
        }
        Some("weights") => show.line(&format!("{who}: {}", value["doing"].as_str().unwrap_or_default())),
        _ => {}
    }
    if let Some(finished) = value.get("finished") {
        let weights = serde_json::from_value(finished["weights"].clone()).unwrap_or_default();
        seen.weights.insert(who.to_owned(), weights);
    }
}

fn miner(seen: &mut Seen, show: &Show, cast: &Cast, who: &str, value: &Value) {
    let Some(key) = cast.miners.iter().find(|k| k.name == who) else { return };
    let Some(status) = value.get("status") else { return };
    let entry = seen.miners.entry(key.uid).or_default();
    // A process that was started again counts from nothing.
    entry.samples = entry.samples.max(status.get("done").map_or(0, |done| number(done, "backwards")));
    entry.doing = status["activity"].as_str().unwrap_or_default().to_owned();
    if let Some((what, trouble)) = status["troubles"].as_object().and_then(|t| t.iter().next()) {
        entry.doing.push_str(&format!(" ({what}: {})", trouble.as_str().unwrap_or_default()));
    }
    show.miner(key.uid, entry);
}
