//! The validator's loop: read the ledger, audit when the audit is open, score when it closes, end when the weights are on chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, stream};
use starling_chain::Client;
use starling_commitment::{Form, Limits, anchor::Anchor};
use starling_incentive::score;
use starling_keeper::{Target, WeightStatus};
use starling_keys::{Account, Signer};
use starling_model::{Device, Stage, costs, optimiser::optimiser};
use starling_network::{Link, Node};
use starling_protocol::{
    Epoch, Reaction, Uid,
    config::RunConfig,
    message::{Report, Role, Verdict},
    signed::Signed,
    state::{Phase, State},
    wire::Submission,
};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::Instant,
};

use crate::{
    Judge, Summary, ValidatorError, ValidatorEvent,
    docket::{self, Case, Segment},
    openings::Openings,
    store::Store,
    tokens::Tokens,
};

/// Epochs whose work is paid for and whose failures forfeit.
const WINDOW: NonZeroU32 = NonZeroU32::new(16).unwrap();
/// Cases judged side by side: their openings are fetched while one computes.
const SIDE_BY_SIDE: usize = 8;
/// Longest wait for the last weights after the run.
const LAST_WEIGHTS: Duration = Duration::from_secs(120);

pub(crate) struct Follower {
    pub run: RunConfig,
    pub hotkey: Arc<dyn Signer>,
    pub chain: Client,
    pub node: Arc<Node>,
    pub link: Link,
    pub device: Device,
    pub store: Arc<Store>,
    pub events: broadcast::Sender<ValidatorEvent>,
    pub target: watch::Sender<Target>,
    pub statuses: watch::Receiver<WeightStatus>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Shared {
    fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl Follower {
    pub async fn run(self) -> Result<Summary, ValidatorError> {
        let judge = Arc::new(self.judge()?);
        let shared =
            Arc::new(Shared { state: Mutex::new(State::new(self.run.clone())), changed: watch::Sender::new(0) });
        let me = self.hotkey.account();
        let wait = Duration::from_millis(self.run.epoch.liveness_timeout_ms / 3);
        let mut audited: Option<Epoch> = None;
        let mut scored: Option<Epoch> = None;
        let mut audit: Option<tokio::task::JoinHandle<()>> = None;
        let mut statuses = self.statuses.clone();
        let forward = {
            let events = self.events.clone();
            tokio::spawn(async move {
                // The status changes with every block; what it does is news only when it is something else.
                let mut told = None;
                while statuses.changed().await.is_ok() {
                    let s = statuses.borrow_and_update().clone();
                    let now = (s.doing.clone(), s.confirmed_at);
                    if told.as_ref() == Some(&now) {
                        continue;
                    }
                    told = Some(now);
                    let _ = events.send(ValidatorEvent::Weights { confirmed: s.confirmed.is_some(), doing: s.doing });
                }
            })
        };
        if let Some((epoch, _)) = self.store.scores()?.last() {
            self.aim(*epoch).await?;
        }
        let mut pause = Duration::from_millis(200);
        loop {
            let (length, joined, finished) = shared.look(|s| {
                (s.head().length, s.auditors().get(&me).is_some_and(|a| a.live), *s.phase() == Phase::Finished)
            });
            if finished {
                break;
            }
            // A whole ledger is read before the first join, so that nothing that is over is audited again.
            let page = match self.link.page(length, if joined { wait } else { Duration::ZERO }).await {
                Ok(page) => page,
                Err(error) if error.reaction() == Reaction::End => return Err(ValidatorError::Refused(error)),
                Err(error) => {
                    tracing::warn!(%error, "the orchestrator is away; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                    continue;
                }
            };
            pause = Duration::from_millis(200);
            let read = {
                let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.absorb(&page)?
            };
            if read > 0 {
                shared.changed.send_modify(|n| *n += 1);
            } else if !joined
                && let Err(error) = self.link.join(self.hotkey.as_ref(), self.run.id(), Role::Validator, now_ms()).await
            {
                tracing::warn!(%error, "not let in yet; trying again");
                tokio::time::sleep(pause).await;
            }
            let (phase, epoch) = shared.look(|s| (s.phase().clone(), s.epoch()));
            if matches!(phase, Phase::Auditing { .. }) && joined && audited.is_none_or(|a| a < epoch) {
                audited = Some(epoch);
                let work = Audit {
                    run: self.run.clone(),
                    hotkey: self.hotkey.clone(),
                    chain: self.chain.clone(),
                    link: self.link.clone(),
                    judge: judge.clone(),
                    shared: shared.clone(),
                    events: self.events.clone(),
                    epoch,
                };
                audit = Some(tokio::spawn(work.run()));
            }
            let closed = shared.look(|s| s.closed().map(|c| c.epoch));
            if let Some(epoch) = closed.filter(|e| scored.is_none_or(|s| s < *e)) {
                scored = Some(epoch);
                if let Some(audit) = audit.take() {
                    audit.abort();
                }
                judge.openings.forget().await;
                self.score(&shared, epoch).await?;
            }
        }
        let summary = self.last_weights().await;
        forward.abort();
        Ok(summary)
    }

    fn judge(&self) -> Result<Judge, ValidatorError> {
        // The largest tensor of the run is an optimiser state or a boundary tensor.
        let t = &self.run.training;
        let (batch, length) = (u64::from(t.sequences_per_sample), u64::from(t.sequence_length));
        let kind = optimiser(&t.optimiser);
        let (mut max_bytes, mut stages) = (1 << 20, Vec::new());
        for stage in 0..self.run.model.stages.len() {
            let stage = Stage::new(&self.run.model, stage, &self.device)?;
            let boundary = stage.boundary();
            let forms = [
                kind.form(stage.parameter_count() as u64),
                boundary.output(batch, length),
                boundary.gradient(batch, length),
            ];
            max_bytes = forms.iter().map(Form::length).fold(max_bytes, u64::max);
            stages.push(Arc::new(stage));
        }
        let per_try = Duration::from_millis(self.run.audit.opening_timeout_ms);
        Ok(Judge {
            run: self.run.clone(),
            stages,
            openings: Openings::new(self.node.clone(), per_try, Limits { max_bytes, ..Limits::default() }),
            tokens: Tokens::new(self.node.clone(), self.link.clone(), self.run.clone()),
            computing: Arc::new(Semaphore::new(1)),
        })
    }

    async fn score(&self, shared: &Shared, epoch: Epoch) -> Result<(), ValidatorError> {
        let me = self.hotkey.account();
        let work = shared.look(|s| {
            let anchored = |a: &Account| s.members().get(a).is_some_and(|m| m.anchor.is_some_and(|x| x.matches));
            s.closed().map(|closed| score::gather(&costs(&self.run), closed, &me, anchored))
        });
        if let Some(work) = work {
            self.store.set_scores(epoch, &work)?;
            self.aim(epoch).await?;
        }
        Ok(())
    }

    /// Compute the weights after `epoch` and tell the keeper.
    async fn aim(&self, epoch: Epoch) -> Result<(), ValidatorError> {
        let history: Vec<_> = self.store.scores()?.into_iter().map(|(_, work)| work).collect();
        let scores = score::scores(&history, epoch, WINDOW);
        let mut holders: BTreeMap<Uid, Account> = BTreeMap::new();
        for account in scores.keys() {
            match self.chain.uid(self.run.netuid, account).await {
                Ok(Some(uid)) => {
                    holders.insert(uid, *account);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the chain is away; weights stay as they are");
                    return Ok(());
                }
            }
        }
        let weights = score::weights(&scores, &holders);
        let _ = self.events.send(ValidatorEvent::Scored { epoch, weights: weights.clone() });
        if !weights.is_empty() {
            self.target.send_replace(Target { weights });
        }
        Ok(())
    }

    async fn last_weights(&self) -> Summary {
        let wanted = self.target.borrow().weights.clone();
        let mut statuses = self.statuses.clone();
        if !wanted.is_empty() {
            let landed = statuses.wait_for(|s| s.confirmed.as_ref() == Some(&wanted));
            if tokio::time::timeout(LAST_WEIGHTS, landed).await.is_err() {
                tracing::error!("the last weights did not reach the chain within {} s", LAST_WEIGHTS.as_secs());
            }
        }
        let status = self.statuses.borrow().clone();
        Summary { weights: status.confirmed.unwrap_or_default(), block: status.confirmed_at }
    }
}

struct Audit {
    run: RunConfig,
    hotkey: Arc<dyn Signer>,
    chain: Client,
    link: Link,
    judge: Arc<Judge>,
    shared: Arc<Shared>,
    events: broadcast::Sender<ValidatorEvent>,
    epoch: Epoch,
}

impl Audit {
    async fn run(self) {
        let me = self.hotkey.account();
        let snapshot = Arc::new(self.shared.look(State::clone));
        let segments = docket::segments(&snapshot);
        let until = Instant::now() + Duration::from_millis(self.run.audit.opening_timeout_ms);
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut cases: Vec<Case> = Vec::new();
        for segment in &segments {
            verdicts.extend(docket::unsound(segment));
            let Some((on_chain, beacon)) = self.beacon(segment).await else { continue };
            verdicts.extend(docket::anchor_fault(&self.run.id(), self.epoch, segment, on_chain));
            cases.extend(docket::draw(&self.run, segment, &beacon, &me));
        }
        for verdict in &verdicts {
            self.tell(&segments, verdict, "receipt");
        }
        let mut seen: BTreeSet<(Account, u64)> = cases.iter().map(|c| (c.miner, c.receipt.sequence)).collect();
        verdicts.extend(self.judge_all(&snapshot, &segments, cases, until).await);
        let mut complete = verdicts.is_empty();
        self.report(verdicts, complete).await;

        // Others' failures are replayed before they are believed; then nothing more is said about this epoch.
        let mut changed = self.shared.changed.subscribe();
        while !complete {
            let (others_done, replay, over) = self.shared.look(|s| {
                let mut others = s.auditors().iter().filter(|(a, x)| **a != me && x.live);
                let over = !matches!(s.phase(), Phase::Auditing { .. }) || s.epoch() != self.epoch;
                (others.all(|(_, x)| x.complete || !x.verdicts.is_empty()), docket::to_replay(s, &me, &seen), over)
            });
            if over {
                return;
            }
            let cases: Vec<Case> = replay
                .iter()
                .filter_map(|(miner, sequence)| {
                    seen.insert((*miner, *sequence));
                    let segment = segments.iter().find(|s| s.miner == *miner)?;
                    let filed = segment.filed.iter().find(|f| f.signed.body.sequence == *sequence)?;
                    Some(docket::case(segment, filed))
                })
                .collect();
            let until = Instant::now() + Duration::from_millis(self.run.audit.opening_timeout_ms);
            let replayed = self.judge_all(&snapshot, &segments, cases, until).await;
            complete = others_done;
            if complete || !replayed.is_empty() {
                self.report(replayed, complete).await;
            } else if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The anchor that the chain holds now, and the block hash that draws the audit; `None` without an anchor to draw for.
    async fn beacon(&self, segment: &Segment) -> Option<(Option<(Anchor, u32)>, [u8; 32])> {
        let anchor = segment.anchor.filter(|a| a.matches)?;
        let number = anchor.block.checked_add(self.run.audit.beacon_delay_blocks)?;
        let patience = Duration::from_secs(120);
        let block = self
            .chain
            .wait_for_block(number, patience)
            .await
            .map_err(|error| tracing::warn!(%error, "no beacon"))
            .ok()?;
        let hash = if block.number == number { block.hash } else { self.chain.block_hash(number).await.ok()?? };
        let found = match self.chain.commitment(self.run.netuid, &segment.miner, None).await {
            Ok(found) => found.and_then(|c| Some((Anchor::from_commitment(&c.data)?, c.block))),
            Err(error) => {
                tracing::warn!(%error, miner = %segment.miner, "its anchor cannot be read; the ledger's record stands");
                None
            }
        };
        Some((found, hash))
    }

    async fn judge_all(
        &self,
        state: &Arc<State>,
        segments: &[Segment],
        cases: Vec<Case>,
        until: Instant,
    ) -> Vec<Verdict> {
        let judged = stream::iter(cases.into_iter().map(|case| {
            let (judge, state) = (self.judge.clone(), state.clone());
            async move {
                let outcome = judge.judge(&state, &case, until).await?;
                Some((docket::verdict(case.miner, &case.receipt, case.link, outcome), case.receipt.work.name()))
            }
        }))
        .buffer_unordered(SIDE_BY_SIDE);
        let mut verdicts = Vec::new();
        let mut judged = std::pin::pin!(judged);
        while let Some(done) = judged.next().await {
            if let Some((verdict, work)) = done {
                self.tell(segments, &verdict, work);
                verdicts.push(verdict);
            }
        }
        verdicts.sort_by_key(|v| (v.miner, v.sequence));
        verdicts
    }

    fn tell(&self, segments: &[Segment], verdict: &Verdict, work: &'static str) {
        use starling_protocol::message::Outcome;
        let finding = match &verdict.outcome {
            Outcome::Passed => "re-executed, equal".to_owned(),
            Outcome::Differs { what, claimed, computed } => {
                format!("{what} committed as {claimed:?}, re-execution gives {computed:?}")
            }
            Outcome::Unsound { reason } => reason.clone(),
            Outcome::Withheld { opening } => format!("did not open {opening:?}"),
        };
        let uid = self.shared.look(|s| s.members().get(&verdict.miner).map_or(0, |m| m.uid));
        let stage = segments.iter().find(|s| s.miner == verdict.miner).map_or(0, |s| s.stage);
        let event = ValidatorEvent::Audited {
            epoch: self.epoch,
            uid,
            stage,
            work,
            sequence: verdict.sequence,
            passed: verdict.outcome.passed(),
            finding,
        };
        let _ = self.events.send(event);
    }

    async fn report(&self, verdicts: Vec<Verdict>, complete: bool) {
        let report = Report { run: self.run.id(), epoch: self.epoch, verdicts, complete };
        let signed = Signed::new(report, self.hotkey.as_ref());
        for _ in 0..20 {
            match self.link.submit(vec![Submission::Report(signed.clone())]).await {
                Ok(()) => return,
                Err(error) if error.reaction() != Reaction::Again => {
                    tracing::warn!(%error, "the report was refused");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the report did not arrive; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }
}
