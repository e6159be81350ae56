//! `starling register`: by price, by work, on the root network.

use std::{
    io::IsTerminal,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use starling_chain::{ChainError, Client, Search, Submitted, Work};
use starling_keys::{Account, Signer};
use starling_wallet::Part;

use crate::{Global, cmd::Hand, exit::Usage, output};

/// Between two lines of progress where there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Proofs that may be overtaken by the chain before it is said to be too fast for this machine.
const LATE: u32 = 8;

/// Register the hotkey on a subnet: by burning TAO, by proof of work where the subnet takes it, or on the root network.
#[derive(Debug, Args)]
pub struct Register {
    /// The subnet.
    #[arg(long, required_unless_present = "root")]
    netuid: Option<u16>,
    /// Pay at most this much, in TAO: the chain itself refuses if the price is higher when its turn comes.
    #[arg(long, alias = "max-burn", value_parser = output::to_rao, value_name = "TAO")]
    limit_price: Option<u64>,
    /// Work instead of paying; the subnet's owner must have allowed it.
    #[arg(long, conflicts_with = "limit_price")]
    pow: bool,
    /// Threads that work; as many as there are cores if left out.
    #[arg(long, requires = "pow", value_name = "N")]
    threads: Option<usize>,
    /// On the root network, among its validators.
    #[arg(long, conflicts_with_all = ["netuid", "limit_price", "pow"])]
    root: bool,
}

impl Register {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (coldkey, hotkey) = (global.signer(Part::Coldkey)?, global.hotkey_account()?);
        let chain = global.writer().await?;
        if self.root {
            let (uid, submitted) = chain.root_register(&coldkey, &hotkey).await?;
            return done(global, 0, &hotkey, uid, 0, &submitted);
        }
        let netuid = self.netuid.ok_or_else(|| Usage("say which subnet: --netuid N".into()))?;
        if self.pow {
            let threads = self.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into));
            let (uid, submitted) = work(&chain, netuid, &coldkey, &hotkey, threads.unwrap_or(1)).await?;
            return done(global, netuid, &hotkey, uid, 0, &submitted);
        }
        let burn = chain.registration_cost(netuid).await?;
        let (uid, submitted) = match self.limit_price {
            Some(limit) => chain.register_limit(&coldkey, netuid, &hotkey, limit).await?,
            None => chain.burned_register(&coldkey, netuid, &hotkey).await?,
        };
        done(global, netuid, &hotkey, uid, burn, &submitted)
    }
}

fn done(
    global: &Global,
    netuid: u16,
    hotkey: &Account,
    uid: u16,
    burn: u64,
    submitted: &Submitted,
) -> anyhow::Result<()> {
    if global.json {
        return output::json(
            &json!({ "netuid": netuid, "hotkey": hotkey, "uid": uid, "burn_rao": burn, "block": submitted.block.number }),
        );
    }
    output::line(&format!(
        "registered {hotkey} on subnet {netuid} as uid {uid} for {} TAO, block {}",
        output::tao(burn),
        submitted.block.number
    ));
    Ok(())
}

/// Works on the newest block until a proof is in a block. A search knows nothing of what it has tried, so that beginning anew with every
/// block loses nothing and keeps the proof young.
async fn work(
    chain: &Client,
    netuid: u16,
    coldkey: &Hand,
    hotkey: &Account,
    threads: usize,
) -> anyhow::Result<(u16, Submitted)> {
    let tried = Arc::new(AtomicU64::new(0));
    // Hours of work are not begun for a proof that would be refused.
    let first = chain.pow_work(netuid, hotkey, &coldkey.account()).await?;
    match chain.clone().rehearsing().pow_register(coldkey, &first, 0).await {
        Err(ChainError::Rehearsed(rehearsal)) if rehearsal.ready() => {}
        Err(ChainError::Rehearsed(rehearsal)) => {
            let broken = rehearsal.checks.into_iter().filter(|check| !check.holds).collect();
            return Err(ChainError::Refused { call: rehearsal.unsigned.call, broken }.into());
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    let mut shown = Progress::new();
    let mut blocks = chain.blocks().await?;
    let mut late = 0;
    loop {
        let task = chain.pow_work(netuid, hotkey, &coldkey.account()).await?;
        let mut search = Search::start(task, threads, Arc::clone(&tried))?;
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let nonce = loop {
            tokio::select! {
                nonce = search.nonce() => break Some(nonce?),
                block = blocks.next() => match block {
                    Some(Ok(_)) => break None,
                    Some(Err(error)) => tracing::warn!("{error}; the work goes on with the block known"),
                    None => break None,
                },
                _ = tick.tick() => shown.say(&task, search.tried()),
            }
        };
        drop(search);
        let Some(nonce) = nonce else { continue };
        match chain.pow_register(coldkey, &task, nonce).await {
            Ok(done) => return Ok(done),
            Err(error @ ChainError::Rehearsed(_)) => return Err(error.into()),
            Err(error) => {
                // Only what was refused by name was certainly not taken.
                let refused = error.name().is_some() && late < LATE;
                let Some(why) = (if refused { chain.pow_stale(&task, nonce).await? } else { None }) else {
                    return Err(error).with_context(|| format!("the proof for block {} was found", task.block.number));
                };
                late += 1;
                tracing::info!("the proof was refused: {why}; working on");
            }
        }
    }
}

/// Hash rate and expected time: a bar on a terminal, a line now and then in a log.
///
/// What was tried brings the end no nearer, so the bar shows something else: how many of such searches are over by now.
struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    said: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            if let Ok(style) =
                ProgressStyle::with_template("{elapsed_precise} [{bar:20}] {percent} % of searches end by now; {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar, began: Instant::now(), said: None }
    }

    fn say(&mut self, work: &Work, tried: u64) {
        let rate = tried as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        if rate <= 0.0 {
            return;
        }
        let text = told(work, tried, rate);
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.set_position(over_by_now(work.difficulty, tried));
                bar.tick();
            }
            None if self.said.is_none_or(|said| said.elapsed() >= LOG_EVERY) => {
                self.said = Some(Instant::now());
                tracing::info!("{text}");
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn told(work: &Work, tried: u64, rate: f64) -> String {
    format!(
        "block {}, difficulty {}: {:.3} MH/s, {:.1} million tried, {} expected from any moment on",
        work.block.number,
        work.difficulty,
        rate / 1e6,
        tried as f64 / 1e6,
        // What has been tried does not count: each hash is as likely as the one before.
        duration(work.difficulty as f64 / rate),
    )
}

/// Of a hundred searches, how many have found something after so many hashes.
fn over_by_now(difficulty: u64, tried: u64) -> u64 {
    (100.0 * (1.0 - (-(tried as f64) / difficulty.max(1) as f64).exp())) as u64
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, over_by_now};

    #[test]
    fn the_bar_is_the_share_of_searches_that_are_over() {
        // 1 - 1/e after as many hashes as it takes on average, a half after 0.69 of them.
        for (tried, percent) in [(0, 0), (693_148, 50), (1_000_000, 63), (3_000_000, 95), (u64::MAX, 100)] {
            assert_eq!(over_by_now(1_000_000, tried), percent, "{tried}");
        }
        assert_eq!(over_by_now(0, 1), 63);
    }

    #[test]
    fn long_times_are_said_in_long_units() {
        assert_eq!([59.4, 600.0, 36_000.0, 864_000.0].map(duration), ["59 s", "10 min", "10.0 h", "10.0 days"]);
    }
}
