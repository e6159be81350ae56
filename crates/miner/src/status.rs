//! What a miner is doing or waiting for, since when and why: for the person whose machine it is.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use starling_keys::Account;
use starling_network::Links;
use starling_protocol::{Epoch, Round, Stage, Uid};
use tokio::sync::watch;

/// Work that stands in the ledger or was handed in by this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Forward receipts signed.
    pub forwards: u64,
    /// Backward receipts signed.
    pub backwards: u64,
    /// Step receipts signed.
    pub steps: u64,
    /// Merge receipts signed.
    pub merges: u64,
    /// Complaints made.
    pub complaints: u64,
    /// Results thrown away because they came too late.
    pub discarded: u64,
}

/// A miner at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Hotkey.
    pub account: Account,
    /// Slot on the subnet, once joined.
    pub uid: Option<Uid>,
    /// Stage that it computes, once joined.
    pub stage: Option<Stage>,
    /// Epoch of the run.
    pub epoch: Epoch,
    /// Phase of the run.
    pub phase: &'static str,
    /// Round, while training.
    pub round: Option<Round>,
    /// What it is doing, or what it waits for.
    pub activity: String,
    /// Milliseconds since 1970 at which that began.
    pub since_ms: u64,
    /// What is wrong at the moment, by what it concerns.
    pub troubles: BTreeMap<&'static str, String>,
    /// Work done by this process.
    pub done: Counts,
    /// Receipts signed that the ledger does not show yet.
    pub unfiled: usize,
    /// How the peers that it talks to are reached.
    pub links: Links,
}

impl Status {
    fn new(account: Account) -> Self {
        Self {
            account,
            uid: None,
            stage: None,
            epoch: 0,
            phase: "starting",
            round: None,
            activity: "starting".into(),
            since_ms: crate::now_ms(),
            troubles: BTreeMap::new(),
            done: Counts::default(),
            unfiled: 0,
            links: Links::default(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.uid, self.stage) {
            (Some(uid), Some(stage)) => write!(f, "uid {uid} stage {stage}")?,
            _ => write!(f, "{}", self.account.short())?,
        }
        write!(f, " | epoch {}", self.epoch)?;
        if let Some(round) = self.round {
            write!(f, " round {round}")?;
        }
        write!(f, " {} | {}", self.phase, self.activity)?;
        let d = &self.done;
        write!(f, " | {} forward, {} backward, {} steps, {} shards", d.forwards, d.backwards, d.steps, d.merges)?;
        write!(f, " | peers: {}", self.links)?;
        for (what, trouble) in &self.troubles {
            write!(f, " | {what}: {trouble}")?;
        }
        Ok(())
    }
}

/// Where the status is kept; anybody may write to it.
#[derive(Debug)]
pub struct Board(watch::Sender<Status>);

impl Board {
    /// A board for a hotkey.
    #[must_use]
    pub fn new(account: Account) -> Self {
        Self(watch::Sender::new(Status::new(account)))
    }

    /// Follow it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }

    /// Change it; watchers wake only if something but the clock did change.
    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            if status.activity != before.activity {
                status.since_ms = crate::now_ms();
            }
            *status != before
        });
    }

    /// Note that something is wrong, and say so once.
    pub fn trouble(&self, what: &'static str, trouble: impl Into<String>) {
        let trouble = trouble.into();
        self.change(|s| {
            if s.troubles.get(what) != Some(&trouble) {
                tracing::warn!(%trouble, "{what}");
                s.troubles.insert(what, trouble);
            }
        });
    }

    /// It is right again.
    pub fn fine(&self, what: &'static str) {
        self.change(|s| {
            if s.troubles.remove(what).is_some() {
                tracing::info!("{what}: fine again");
            }
        });
    }
}
