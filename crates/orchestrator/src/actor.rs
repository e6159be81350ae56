//! The one task that writes: takes what peers ask and what the chain shows, adds what the rules then demand, commits, answers.
//!
//! Invariant: nobody is told that something was accepted before it is on disk; everything that waited is written together.

use std::{sync::Arc, time::Duration};

use starling_commitment::anchor::Anchor;
use starling_keys::Account;
use starling_protocol::{
    ledger::Event,
    state::{Phase, State},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{OrchestratorError, ledger::Writer, peers::Peers, requests::Ask, watch::Seen};

/// How often deadlines are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(50);
/// Requests written together at most.
const BATCH: usize = 256;
/// After the end: time for the last answers to arrive, and the longest wait for slow readers and for the chain.
const FAREWELL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Time that passed while nobody could write is not held against peers: for a while after a start, deadlines are counted as if
/// the orchestrator had not been away.
#[derive(Clone, Copy, Debug)]
struct Grace {
    away_ms: u64,
    until: Instant,
}

impl Grace {
    fn after(writer: &Writer) -> Self {
        let epoch = &writer.state().config().epoch;
        let longest = Duration::from_millis(epoch.sample_timeout_ms.max(epoch.merge_timeout_ms));
        let newest = writer.state().at_ms();
        let away_ms = if newest == 0 { 0 } else { writer.now_ms().saturating_sub(newest) };
        // A deadline beyond what the clock can hold is for ever.
        let until = Instant::now().checked_add(longest).unwrap_or_else(Instant::now);
        Self { away_ms, until }
    }

    fn now_ms(&self, writer: &Writer) -> u64 {
        let now = writer.now_ms();
        if Instant::now() < self.until { now.saturating_sub(self.away_ms) } else { now }
    }
}

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) writer: Writer,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) sights: mpsc::Receiver<Seen>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) stop: watch::Receiver<bool>,
    /// Ends when the finished ledger's head is on chain.
    pub(crate) anchorer: AbortOnDropHandle<()>,
}

impl Actor {
    /// Until the run is finished, somebody says stop, or the disk fails.
    pub(crate) async fn run(&mut self) -> Result<(), OrchestratorError> {
        // None until the chain has been seen: a block that is not known decides nothing.
        let mut block = None;
        let grace = Grace::after(&self.writer);
        let mut finished = None;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (mut batch, mut sights) = (Vec::new(), Vec::new());
            tokio::select! {
                n = self.asks.recv_many(&mut batch, BATCH) => if n == 0 {
                    return Err(OrchestratorError::Stopped("nobody can ask any more".into()));
                },
                n = self.sights.recv_many(&mut sights, BATCH) => if n == 0 {
                    return Err(OrchestratorError::Stopped("the chain is no longer watched".into()));
                },
                _ = tick.tick() => {}
                _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
            }
            let mut answers = Vec::with_capacity(batch.len());
            for ask in batch {
                answers.push(ask.enter(&mut self.writer));
            }
            for seen in sights {
                match seen {
                    Seen::Block(number) => block = block.max(Some(number)),
                    Seen::Anchor { account, block, anchor } => self.anchored(account, block, anchor),
                }
            }
            self.demand(block, grace);
            self.writer.commit().await?;
            for (answer, result) in answers {
                // Whoever asked may have gone.
                let _ = answer.send(result);
            }
            if *self.writer.state().phase() == Phase::Finished {
                let since = finished.get_or_insert_with(Instant::now).elapsed();
                let told = self.peers.all_served(self.writer.state()) && self.anchorer.is_finished();
                if since >= FAREWELL.1 || told && since >= FAREWELL.0 {
                    return Ok(());
                }
            }
        }
    }

    fn anchored(&mut self, account: Account, block: u32, anchor: Anchor) {
        let state = self.writer.state();
        let closed = matches!(state.phase(), Phase::Anchoring { block: closed } if block >= *closed);
        let awaited = state.members().get(&account).is_some_and(|m| m.live && m.enlisted && m.anchor.is_none());
        if !closed || !awaited {
            return;
        }
        let event = Event::Anchored { account, block, count: anchor.count, head: anchor.head };
        if let Err(error) = self.writer.push(event) {
            tracing::error!(%account, %error, "an anchor that was awaited is not allowed: a defect of the rules");
        }
    }

    /// Draft all that the rules demand now.
    fn demand(&mut self, block: Option<u32>, grace: Grace) {
        if *self.writer.state().phase() == Phase::Finished {
            return;
        }
        for account in self.peers.silent(self.writer.state()) {
            tracing::warn!(peer = name(self.writer.state(), &account), "fell silent");
            if let Err(error) = self.writer.push(Event::Gone { account }) {
                tracing::error!(%account, %error, "a silent peer cannot leave: a defect of the rules");
            }
        }
        let now = grace.now_ms(&self.writer);
        while let Some(event) = self.writer.state().decide(now, block.unwrap_or_default()) {
            if block.is_none() && matches!(event, Event::Closed { .. } | Event::AuditOpened { .. }) {
                return;
            }
            let kind = event.name();
            if let Err(error) = self.writer.push(event) {
                // Time or a message will change the state; going round in circles will not.
                tracing::error!(kind, %error, "the rules demand what they do not allow: a defect of the rules");
                return;
            }
        }
    }
}

fn name(state: &State, account: &Account) -> String {
    match (state.members().get(account), state.auditors().get(account)) {
        (Some(m), _) => format!("miner uid {} (stage {})", m.uid, m.stage),
        (_, Some(a)) => format!("validator uid {}", a.uid),
        _ => account.short(),
    }
}
