//! `starling weights check`: every rule of the chain, before it is asked.

use clap::Args;
use serde_json::json;
use starling_chain::weights::preflight::{Check as Rule, check};

use super::vector::Vector;
use crate::{Global, exit::Refused, output};

/// Would the chain take these weights now?
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    vector: Vector,
}

impl Check {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let account = global.hotkey_account()?;
        let chain = global.chain().await?;
        let netuid = self.vector.netuid;
        let facts = chain.weight_facts(self.vector.of(), &account).await?;
        let (uids, values) = self.vector.quantised(&chain).await?;
        let way = facts.way();
        let rules = check(&facts, way, &uids, &values, self.vector.version_key);
        let seconds = chain.block_seconds().await?;
        let broken: Vec<&Rule> = rules.iter().filter(|r| !r.holds).collect();
        if global.json {
            output::json(&json!({
                "netuid": netuid, "hotkey": account, "block": facts.block, "way": way, "seconds_per_block": seconds,
                "ready": broken.is_empty(), "rules": rules, "facts": facts,
            }))?;
        } else {
            let mut table = output::table(&["", "rule", "read", "needed", "what to do"]);
            for rule in &rules {
                table.add_row([
                    if rule.holds { "✓" } else { "✗" }.to_owned(),
                    rule.rule.to_owned(),
                    rule.read.clone(),
                    rule.needed.clone(),
                    remedy(rule, seconds),
                ]);
            }
            output::line(&table.to_string());
        }
        refuse(&broken, seconds)
    }
}

/// What heals a broken rule.
fn remedy(rule: &Rule, seconds: Option<f64>) -> String {
    match (rule.holds, rule.heals_in_blocks, rule.advice) {
        (false, Some(blocks), _) => {
            let time = seconds.map(|s| format!(", about {:.0} s", blocks as f64 * s)).unwrap_or_default();
            format!("wait {blocks} blocks{time}")
        }
        (false, None, Some(advice)) => advice.to_owned(),
        _ => String::new(),
    }
}

/// The refusal that names every broken rule; nothing if there is none.
pub fn refuse(broken: &[&Rule], seconds: Option<f64>) -> anyhow::Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = broken
        .iter()
        .map(|r| {
            format!("{}: {}, needed is {}. {}", r.rule, r.read, r.needed, remedy(r, seconds)).trim_end().to_owned()
        })
        .collect();
    Err(Refused(format!("the chain would refuse these weights:\n  {}", lines.join("\n  "))).into())
}
