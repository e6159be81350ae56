//! `starling demo`: the whole loop on this machine, every part a process of its own.
//!
//! This file is the plan; `demo/` has the processes ([`children`]), the chain's set-up ([`stage`]), what is seen while it runs
//! ([`watch`]) and what is shown and checked at the end ([`report`]).

#[path = "demo/children.rs"]
mod children;
#[path = "demo/faults.rs"]
mod faults;
#[path = "demo/report.rs"]
mod report;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/watch.rs"]
mod watch;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use starling_miner::Adversary;

use crate::Global;
use children::Children;

/// Chain, orchestrator, six miners (one cheats) and two validators; a model is trained, audited and paid for.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Folder for everything that the demo makes; one that an earlier demo made is replaced.
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// Text to train on: a file or a folder. This checkout's own text if left out.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Epochs.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Rounds (optimiser steps) per epoch.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Miners per stage.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    miners_per_stage: u16,
    /// How the cheating miner cheats (random-output, skip-layers, stale-weights, replay, withhold-opening, lazy-step, wrong-shape,
    /// bad-signature), or `none`.
    #[arg(long, default_value = "random-output")]
    adversary: String,
    /// Where miners and validators compute: cpu or cuda:N, which they share.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Seed of weights, data order and routing.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nats per token by which the loss must fall for the demo to succeed.
    #[arg(long, default_value_t = 1.5)]
    margin: f64,
    /// TEST ONLY: what befalls a process in the middle of the first epoch. `full-disk-*` must run as `unshare -rm starling demo`.
    #[arg(long, value_enum, value_name = "FAULT")]
    test_only_fault: Option<Fault>,
    /// Seconds after which the demo has failed.
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

/// What happens to a process in the middle of the first epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// `kill -9`: the first miner dies and stays away.
    KillMiner,
    /// `kill -9`: the first miner dies and comes back at once.
    RestartMiner,
    /// `kill -9`: the orchestrator dies and comes back at once.
    RestartOrchestrator,
    /// A miner of the first stage is killed, every blob that it holds loses its second half, and it comes back.
    TruncateBlobs,
    /// The first miner's disk fills up; it ends by itself, gets space again and is started again.
    FullDiskMiner,
    /// The orchestrator's disk fills up; it ends by itself, gets space again and is started again.
    FullDiskOrchestrator,
}

impl Fault {
    /// Whom it befalls.
    fn victim(self, cast: &stage::Cast, seen: &watch::Seen) -> stage::Key {
        let miner = match self {
            Self::RestartOrchestrator | Self::FullDiskOrchestrator => None,
            // It needs token shards again when it comes back.
            Self::TruncateBlobs => {
                cast.miners.iter().find(|m| seen.miners.get(&m.uid).is_some_and(|s| s.stage == Some(0)))
            }
            _ => cast.miners.first(),
        };
        miner.unwrap_or(&cast.owner).clone()
    }

    /// True if a disk of its own is to be filled.
    fn fills_disk(self) -> bool {
        matches!(self, Self::FullDiskMiner | Self::FullDiskOrchestrator)
    }
}

/// Marks a folder that a demo may replace.
const MARK: &str = ".starling-demo";

impl Demo {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let limit = Duration::from_secs(self.limit);
        tokio::time::timeout(limit, self.whole(global))
            .await
            .with_context(|| format!("the demo did not end within {} s", limit.as_secs()))?
    }

    fn adversary(&self) -> anyhow::Result<Option<Adversary>> {
        if self.adversary == "none" {
            return Ok(None);
        }
        Ok(Some(self.adversary.parse().map_err(|e| anyhow::anyhow!("{e}"))?))
    }

    async fn whole(self, global: &Global) -> anyhow::Result<()> {
        let began = std::time::Instant::now();
        let adversary = self.adversary()?;
        self.fresh_folder()?;
        let mut children = Children::new(&self.out)?;

        watch::say("starting a local chain");
        let chain = children.chain().await?;
        watch::say(&format!("chain at {chain}; founding a subnet and registering everybody"));
        let cast = stage::set(&self, &chain).await?;
        watch::say(&format!(
            "subnet {}: {} miners, 2 validators; making token shards of {}",
            cast.netuid,
            cast.miners.len(),
            self.data.display()
        ));
        let prepared = stage::prepare(&self, &cast)?;
        watch::say(&format!("run {} on {} tokens", prepared.config.id().short(), prepared.tokens));

        if let Some(fault) = self.test_only_fault.filter(|f| f.fills_disk()) {
            faults::small_disk(&self.out.join(&fault.victim(&cast, &watch::Seen::default()).name)).await?;
        }
        let orchestrator = children.orchestrator(&chain, &prepared.file, &cast).await?;
        for (i, miner) in cast.miners.iter().enumerate() {
            let cheats = adversary.filter(|_| i == cast.cheat);
            children.miner(&chain, &prepared.file, &orchestrator, miner, &self.device, cheats)?;
        }
        for validator in &cast.validators {
            children.validator(&chain, &prepared.file, &orchestrator, validator, &self.device)?;
        }
        let seen =
            watch::until_finished(&mut children, &prepared.config, &cast, self.test_only_fault, &orchestrator).await?;
        watch::say("the run is finished; waiting for the chain to pay");
        let graph = stage::paid(&chain, &cast).await?;
        children.stop().await;
        report::show(&self, global, &prepared, &cast, &seen, &graph, adversary, began.elapsed())
    }

    fn fresh_folder(&self) -> anyhow::Result<()> {
        let mark = self.out.join(MARK);
        if self.out.exists() {
            anyhow::ensure!(
                mark.exists() || self.out.read_dir().is_ok_and(|mut d| d.next().is_none()),
                "{} holds something that no demo made: choose another --out",
                self.out.display()
            );
            std::fs::remove_dir_all(&self.out).with_context(|| format!("cannot replace {}", self.out.display()))?;
        }
        std::fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        std::fs::write(&mark, "").with_context(|| format!("cannot write into {}", self.out.display()))
    }
}
