//! `starling weights check`: every rule of the chain, before it is asked.

use clap::Args;
use serde_json::json;
use starling_chain::weights::preflight::{Check as Rule, check, in_seconds};

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
        let mut rules = check(&facts, way, &uids, &values, self.vector.version_key);
        let seconds = chain.block_seconds().await?;
        in_seconds(&mut rules, seconds);
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
                    rule.remedy().unwrap_or_default(),
                ]);
            }
            output::line(&table.to_string());
        }
        refuse(&broken)
    }
}

/// The refusal that names every broken rule; nothing if there is none.
pub fn refuse(broken: &[&Rule]) -> anyhow::Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
    Err(Refused(format!("the chain would refuse these weights:\n  {}", lines.join("\n  "))).into())
}
