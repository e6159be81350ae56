//! `starling weights plan` and `starling weights commits`: when what is sent now is revealed, and what waits for its reveal.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use starling_chain::{Mechanism, RevealWindow};

use crate::{Global, output};

/// When would weights committed now be revealed? Blocks, the beacon's round, times.
#[derive(Debug, Args)]
pub struct Plan {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
}

impl Plan {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.chain().await?;
        let clock = chain.epoch_clock(self.netuid).await?;
        let (plan, beacon, now_ms) =
            futures::try_join!(chain.timelock_plan(self.netuid), chain.beacon(), chain.now_ms())?;
        let runs = beacon.runs(now_ms);
        if global.json {
            return output::json(&json!({
                "netuid": self.netuid, "clock": clock, "next_epoch_block": clock.next_epoch_block(), "plan": plan, "now_ms": now_ms,
                "beacon": {
                    "public_key": format!("0x{}", hex::encode(beacon.key.to_bytes())), "genesis": beacon.rounds.genesis,
                    "period": beacon.rounds.period, "last_stored": beacon.last_stored, "runs": runs,
                },
            }));
        }
        let Some(plan) = plan else {
            output::line(&format!("subnet {} has tempo 0: it runs no epochs and reveals nothing", self.netuid));
            return Ok(());
        };
        let soon = |block: u32| {
            let blocks = block.saturating_sub(clock.block);
            format!("{block} (in {blocks} blocks, about {})", duration(f64::from(blocks) * plan.block_seconds))
        };
        let mut table = output::table(&["", "now"]);
        table.add_row(["block".to_owned(), clock.block.to_string()]);
        table.add_row(["epoch of a commit in the next block".to_owned(), plan.commit_epoch.to_string()]);
        table.add_row(["next epoch".to_owned(), clock.next_epoch_block().map(soon).unwrap_or_default()]);
        table.add_row(["revealed from block".to_owned(), soon(plan.window.first)]);
        table.add_row(["revealed until block".to_owned(), soon(plan.window.last)]);
        table.add_row(["beacon's round".to_owned(), plan.round.to_string()]);
        let wait = plan.round_ms.saturating_sub(now_ms) as f64 / 1000.0;
        table.add_row(["the round appears".to_owned(), format!("in about {}", duration(wait))]);
        let state = if runs { "rounds arrive" } else { "no rounds arrive: timelocked commits would not be revealed" };
        table.add_row(["beacon".to_owned(), format!("{state}; the newest is {}", beacon.last_stored)]);
        output::line(&table.to_string());
        Ok(())
    }
}

/// Seconds for a person.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// One row of `commits`.
#[derive(Serialize)]
struct Waiting {
    epoch: u64,
    by: &'static str,
    hash: String,
    block: u64,
    round: Option<u64>,
    reveal_window: Option<RevealWindow>,
}

/// A hotkey's commits that wait for their reveal.
#[derive(Debug, Args)]
pub struct Commits {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// The mechanism of the subnet.
    #[arg(long, default_value_t = 0)]
    mechanism: u8,
    /// Whose; the wallet's hotkey if left out.
    #[arg(long, value_name = "SS58")]
    of: Option<starling_keys::Account>,
}

impl Commits {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let account = match self.of {
            Some(account) => account,
            None => global.hotkey_account()?,
        };
        let chain = global.chain().await?;
        let of = Mechanism { netuid: self.netuid, id: self.mechanism };
        let clock = chain.epoch_clock(self.netuid).await?;
        let (by_hash, timelocked) =
            futures::try_join!(chain.weight_commits(of, &account), chain.timelocked_commits(of, &account))?;
        let hex = |hash: &[u8; 32]| format!("0x{}", hex::encode(hash));
        let window = |epoch| clock.reveal_window(epoch);
        let row = |epoch, by, hash, block, round| Waiting {
            epoch,
            by,
            hash: hex(hash),
            block,
            round,
            reveal_window: window(epoch),
        };
        let mut rows: Vec<Waiting> = by_hash.iter().map(|c| row(c.epoch, "hash", &c.hash, c.block, None)).collect();
        rows.extend(timelocked.iter().map(|c| row(c.epoch, "timelock", &c.hash, c.block, Some(c.round))));
        rows.sort_by_key(|row| (row.epoch, row.block));
        if global.json {
            return output::json(&json!({
                "netuid": self.netuid, "mechanism": self.mechanism, "hotkey": account, "block": clock.block, "commits": rows,
            }));
        }
        if rows.is_empty() {
            output::line(&format!("no commit of {account} waits for its reveal on subnet {}", self.netuid));
            return Ok(());
        }
        let mut table = output::table(&["epoch", "by", "block", "revealed in blocks", "round", "hash"]);
        for Waiting { epoch, by, hash, block, round, reveal_window } in rows {
            let window = reveal_window.map_or_else(|| "over".to_owned(), |w| format!("{} to {}", w.first, w.last));
            let round = round.map(|r| r.to_string()).unwrap_or_default();
            table.add_row([epoch.to_string(), by.to_owned(), block.to_string(), window, round, hash]);
        }
        output::line(&table.to_string());
        Ok(())
    }
}
