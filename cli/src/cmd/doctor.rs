//! `starling doctor`: is everything as it must be to earn, and if not, what to do.

#[path = "doctor/endpoints.rs"]
mod endpoints;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use starling_chain::{Client, names::Name};
use starling_wallet::{Part, Standing, Wallet};

use crate::{Global, exit::Refused, output};

/// Clocks that differ by more than this and two blocks make reveals and signatures late, seconds.
const CLOCK: f64 = 30.0;

/// Check endpoint, clock, metadata, wallet, and, with a subnet, registration, stake, permit and weights; say what to do.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The subnet that the hotkey works on.
    #[arg(long)]
    netuid: Option<u16>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Works, and may not for long.
    Warn,
    Fail,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    advice: String,
}

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, check: &'static str, verdict: Verdict, found: impl Into<String>, advice: impl Into<String>) {
        let advice = if verdict == Verdict::Ok { String::new() } else { advice.into() };
        self.0.push(Finding { check, verdict, found: found.into(), advice });
    }
}

fn when(good: bool, otherwise: Verdict) -> Verdict {
    if good { Verdict::Ok } else { otherwise }
}

impl Doctor {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let mut report = Report::default();
        wallet(global, &mut report);
        if endpoints::check(global, &mut report).await {
            let checked = match global.chain().await {
                Ok(chain) => self.chain(global, &chain, &mut report).await,
                Err(error) => Err(error),
            };
            if let Err(error) = checked {
                let advice = "is the node in sync? Try another --endpoint";
                report.add("chain", Verdict::Fail, format!("{error:#}"), advice);
            }
        }
        self.show(global, &report)
    }

    fn show(&self, global: &Global, report: &Report) -> anyhow::Result<()> {
        let failed = report.0.iter().filter(|f| f.verdict == Verdict::Fail).count();
        if global.json {
            output::json(&json!({ "healthy": failed == 0, "checks": report.0 }))?;
        } else {
            let mut table = output::table(&["", "check", "found", "what to do"]);
            for f in &report.0 {
                let mark = match f.verdict {
                    Verdict::Ok => "✓",
                    Verdict::Warn => "!",
                    Verdict::Fail => "✗",
                };
                table.add_row([mark, f.check, &f.found, &f.advice]);
            }
            output::line(&table.to_string());
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Refused(format!("{failed} of {} checks failed", report.0.len())).into())
    }

    async fn chain(&self, global: &Global, chain: &Client, report: &mut Report) -> anyhow::Result<()> {
        let (now, seconds) = (chain.now_ms().await?, chain.block_seconds().await?);
        let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let apart = here - now as f64 / 1000.0;
        let young = now == 0;
        report.add(
            "clock",
            when(young || apart.abs() <= CLOCK + 2.0 * seconds.unwrap_or(0.0), Verdict::Fail),
            if young {
                "the chain has not made its first block yet".to_owned()
            } else {
                let pace = seconds.map(|s| format!("; a block takes {s:.2} s")).unwrap_or_default();
                format!("the newest final block is {apart:.1} s old by this machine's clock{pace}")
            },
            "set this machine's clock (chrony, ntpd); if it is right, the node is behind: try another --endpoint",
        );
        let (spec, names) = (chain.spec_version().await?, chain.names().await?);
        let missing: Vec<String> =
            names.iter().filter(|n| n.needed && !n.present).map(|n| format!("{}.{}", n.of, n.name)).collect();
        let (needed, others): (Vec<&Name>, Vec<&Name>) = names.iter().partition(|name| name.needed);
        let there = others.iter().filter(|name| name.present).count();
        report.add(
            "metadata",
            when(missing.is_empty(), Verdict::Fail),
            if missing.is_empty() {
                format!("runtime {spec} has all {} names needed, and {there} of {} others", needed.len(), others.len())
            } else {
                format!("runtime {spec} lacks {}", missing.join(", "))
            },
            "what needs these names does not work on this chain; is it the right one? Look for a newer starling",
        );
        match self.netuid {
            Some(netuid) => neuron(global, chain, netuid, seconds, report).await,
            None => Ok(()),
        }
    }
}

/// Files of the chosen wallet.
fn wallet(global: &Global, report: &mut Report) {
    let standings = global.location().and_then(|location| {
        let wallet = Wallet::open(&location)?;
        Ok((wallet.standing(Part::Coldkey), wallet.standing(Part::Hotkey)))
    });
    let (coldkey, hotkey) = match standings {
        Ok(both) => both,
        Err(error) => return report.add("wallet", Verdict::Fail, format!("{error:#}"), "`starling wallet new`"),
    };
    let readable = |key: &Standing| key.mode.is_some_and(|mode| mode & 0o077 != 0);
    let found = |key: &Standing| {
        let account = key.account.map(|a| a.to_string()).or(key.problem.clone()).unwrap_or_default();
        let kept = key.encryption.as_deref().unwrap_or("not encrypted");
        format!("{account}, {kept}, mode {:04o}", key.mode.unwrap_or(0))
    };
    if coldkey.exists {
        let verdict = match (readable(&coldkey), coldkey.encryption.is_some()) {
            (true, _) => Verdict::Fail,
            (false, false) => Verdict::Warn,
            (false, true) => when(coldkey.account.is_some(), Verdict::Warn),
        };
        let advice = if readable(&coldkey) {
            format!("`chmod 600 {}`", output::path(&coldkey.path))
        } else {
            "`starling wallet encrypt coldkey`".to_owned()
        };
        report.add("coldkey", verdict, found(&coldkey), advice);
    } else {
        report.add("coldkey", Verdict::Ok, "not on this machine, which is safest where it only works", "");
    }
    let verdict = when(hotkey.exists && hotkey.account.is_some() && !readable(&hotkey), Verdict::Fail);
    let advice = if hotkey.exists {
        format!("`chmod 600 {}`", output::path(&hotkey.path))
    } else {
        "`starling wallet new-hotkey`, or name another with --hotkey".to_owned()
    };
    report.add("hotkey", verdict, if hotkey.exists { found(&hotkey) } else { "not there".into() }, advice);
}

/// The hotkey on its subnet.
async fn neuron(
    global: &Global,
    chain: &Client,
    netuid: u16,
    seconds: Option<f64>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Ok(account) = global.hotkey_account() else { return Ok(()) };
    let facts = chain.weight_facts(netuid, &account).await?;
    let Some(uid) = facts.uid else {
        let found = format!("{account} is not on subnet {netuid}");
        report.add("registration", Verdict::Fail, found, "`starling register`");
        return Ok(());
    };
    report.add("registration", Verdict::Ok, format!("uid {uid} of {} on subnet {netuid}", facts.neurons), "");
    let enough = facts.owner || facts.stake >= facts.stake_threshold;
    report.add(
        "stake",
        when(enough, Verdict::Warn),
        format!(
            "{} τ of stake weight; {} τ are needed to set weights",
            output::tao(facts.stake),
            output::tao(facts.stake_threshold)
        ),
        "a validator needs more: `starling stake add`; a miner needs none",
    );
    report.add(
        "permit",
        when(facts.permit, Verdict::Warn),
        if facts.permit { "a validator permit" } else { "no validator permit" },
        "a miner needs none; permits go to the largest stakes at each epoch",
    );
    if facts.permit {
        let age = u64::from(facts.block).saturating_sub(facts.last_update);
        let active = facts.last_update > 0 && age <= facts.activity_cutoff;
        let found = match facts.last_update {
            0 => "never set".to_owned(),
            _ => {
                let time = seconds.map(|s| format!(", about {:.0} s", age as f64 * s)).unwrap_or_default();
                format!("set or committed {age} blocks ago{time}")
            }
        };
        let found = format!("{found}; inactive after {} blocks; {} commits wait", facts.activity_cutoff, facts.commits);
        report.add(
            "weights",
            when(active, Verdict::Fail),
            found,
            "`starling weights keep` or `starling validator` must run",
        );
    }
    Ok(())
}
