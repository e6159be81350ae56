//! The chain's side of a run: its height, the miners' anchors, the ledger's own anchor. Nothing in training waits for it.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use starling_commitment::anchor::{Anchor, LedgerAnchor};
use starling_keys::{Account, Signer};
use starling_protocol::state::{Phase, State};
use tokio::{sync::mpsc, time::sleep};

use crate::{Chain, Ledger};

/// Longest wait for any one answer, beyond the chain's own deadlines.
const DEADLINE: Duration = Duration::from_secs(300);
/// First and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// Commitments read at once.
const PARALLEL: usize = 16;

/// What the chain showed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    /// A newer final block; anchors seen with it come before it.
    Block(u32),
    /// A miner's anchor of the current epoch.
    Anchor { account: Account, block: u32, anchor: Anchor },
}

/// A pause that doubles while things fail, and says so once.
struct Trouble {
    what: &'static str,
    pause: Duration,
}

impl Trouble {
    fn new(what: &'static str) -> Self {
        Self { what, pause: PAUSES.0 }
    }

    async fn wait(&mut self, error: &str) {
        if self.pause == PAUSES.0 {
            tracing::warn!(error, "{}", self.what);
        } else {
            tracing::debug!(error, "{}", self.what);
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn over(&mut self) {
        if self.pause != PAUSES.0 {
            tracing::info!("the chain answers again");
        }
        self.pause = PAUSES.0;
    }
}

async fn within<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", DEADLINE.as_secs())))
}

/// Follow the chain for ever: a chain that is away is waited for.
pub(crate) async fn follow(ledger: Arc<Ledger>, chain: Arc<dyn Chain>, seen: mpsc::Sender<Seen>) {
    let mut last = None;
    let mut trouble = Trouble::new("the chain is away; training goes on, anchors and audits wait for it");
    loop {
        let block = match within(chain.block_after(last)).await {
            Ok(block) if last.is_none_or(|l| block > l) => block,
            // A node that stands behind one asked before: it will catch up.
            Ok(_) => {
                sleep(PAUSES.0).await;
                continue;
            }
            Err(error) => {
                trouble.wait(&error).await;
                continue;
            }
        };
        trouble.over();
        last = Some(block);
        for seen_anchor in anchors(&ledger, &chain).await {
            if seen.send(seen_anchor).await.is_err() {
                return;
            }
        }
        if seen.send(Seen::Block(block)).await.is_err() {
            return;
        }
    }
}

/// Anchors of this epoch that the ledger does not have yet.
async fn anchors(ledger: &Ledger, chain: &Arc<dyn Chain>) -> Vec<Seen> {
    let (run, epoch, awaited) = ledger.look(|s| {
        let awaited: Vec<Account> = match s.phase() {
            Phase::Anchoring { .. } => {
                let awaited = |(a, m): (&Account, &starling_protocol::state::Member)| {
                    (m.live && m.enlisted && m.anchor.is_none()).then_some(*a)
                };
                s.members().iter().filter_map(awaited).collect()
            }
            _ => Vec::new(),
        };
        (s.run(), s.epoch(), awaited)
    });
    let read = stream::iter(awaited).map(|account| async move {
        match within(chain.commitment(account)).await {
            Ok(Some((block, data))) => {
                let anchor = Anchor::from_commitment(&data).filter(|a| a.run[..] == run.0[..8] && a.epoch == epoch)?;
                Some(Seen::Anchor { account, block, anchor })
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%account, error, "a commitment could not be read; the next block gives another chance");
                None
            }
        }
    });
    read.buffer_unordered(PARALLEL).filter_map(std::future::ready).collect().await
}

/// Write the ledger's head to the chain after every audit, until the run is finished. It is tried until it is there.
pub(crate) async fn anchor_ledger(ledger: Arc<Ledger>, chain: Arc<dyn Chain>, hotkey: Arc<dyn Signer>) {
    let mut length = ledger.length();
    let mut anchored = None;
    let mut trouble = Trouble::new("the ledger's head is not on chain yet");
    loop {
        let (closed, finished) = ledger.look(|s| (s.closed().map(|c| c.epoch), *s.phase() == Phase::Finished));
        if let Some(epoch) = closed.filter(|e| anchored.is_none_or(|a| a < *e)) {
            let head = ledger.look(State::head);
            let mut run = [0; 8];
            run.copy_from_slice(&head.run.0[..8]);
            let data = LedgerAnchor { run, epoch, length: head.length, link: head.link }.to_commitment();
            match within(chain.commit(hotkey.as_ref(), data)).await {
                Ok(()) => {
                    trouble.over();
                    anchored = Some(epoch);
                }
                Err(error) => trouble.wait(&error).await,
            }
            continue;
        }
        if finished || length.changed().await.is_err() {
            return;
        }
    }
}
