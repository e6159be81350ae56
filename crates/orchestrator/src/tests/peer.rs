//! A miner that works through a run with made-up digests, for runs of a single stage. It reads the ledger as a real one does:
//! page by page, every signature and every rule checked.

use bytes::Bytes;
use futures::future::BoxFuture;
use parity_scale_codec::{DecodeAll, Encode};
use starling_commitment::anchor::Anchor;
use starling_keys::Signer;
use starling_protocol::{
    Digest,
    config::RunConfig,
    message::Ready,
    receipt::{Receipt, Work},
    signed::Signed,
    state::{Phase, State},
    wire::{Page, Request, Response, Submission},
};

use super::{Key, script::Script};

/// How a request reaches the orchestrator.
pub(crate) trait Line: Send + Sync {
    fn ask(&self, from: &Key, request: Bytes) -> BoxFuture<'_, Bytes>;
}

pub(crate) struct Peer {
    pub(crate) key: Key,
    pub(crate) state: State,
}

impl Peer {
    pub(crate) fn new(key: Key, config: &RunConfig) -> Self {
        Self { key, state: State::new(config.clone()) }
    }

    pub(crate) async fn ask(&self, line: &dyn Line, request: &Request) -> Response {
        let answer = line.ask(&self.key, Bytes::from(request.encode())).await;
        Response::decode_all(&mut &answer[..]).unwrap()
    }

    pub(crate) async fn join(&self, line: &dyn Line) -> Response {
        let known = self.state.members().get(&self.key.account()).map_or(0, |m| m.joined_ms);
        self.ask(line, &Request::Join(super::join(self.state.config(), &self.key, known + 1))).await
    }

    pub(crate) async fn submit(&self, line: &dyn Line, submissions: Vec<Submission>) -> Response {
        self.ask(line, &Request::Submit(submissions)).await
    }

    pub(crate) async fn page(&self, line: &dyn Line, wait_ms: u32) -> Page {
        match self.ask(line, &Request::Ledger { from: self.state.head().length, wait_ms }).await {
            Response::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    /// Read what is new; waits for something.
    pub(crate) async fn read(&mut self, line: &dyn Line) {
        let page = self.page(line, 20_000).await;
        self.state.absorb(&page).unwrap();
    }

    /// Read until nothing is left.
    pub(crate) async fn catch_up(&mut self, line: &dyn Line) {
        while self.state.absorb(&self.page(line, 0).await).unwrap() > 0 {}
    }

    pub(crate) fn ready(&self) -> Submission {
        let weights = match self.state.base().first() {
            Some(base) => Digest::of(&[&base.weights.0[..], b"merged"].concat()),
            None => Digest::of(b"first"),
        };
        let ready = Ready { run: self.state.run(), epoch: self.state.epoch(), weights, momentum: weights };
        Submission::Ready(Signed::new(ready, &self.key))
    }

    pub(crate) fn receipt(&self, work: Work) -> Submission {
        let me = &self.state.members()[&self.key.account()];
        let (sequence, previous) = (me.count, me.link);
        let receipt = Receipt { run: self.state.run(), epoch: self.state.epoch(), stage: 0, sequence, previous, work };
        Submission::Receipt(Signed::new(receipt, &self.key))
    }

    /// What to do next, if anything.
    pub(crate) fn next(&self) -> Option<Submission> {
        let account = self.key.account();
        let me = self.state.members().get(&account).filter(|m| m.live)?;
        match self.state.phase() {
            Phase::Gathering => me.ready.is_none_or(|(epoch, _)| epoch != self.state.epoch()).then(|| self.ready()),
            Phase::Training => self.training().map(|work| self.receipt(work)),
            Phase::Merging => {
                let plan = self.state.merging()?;
                let shard =
                    |i: usize| plan.stages[0].shards[i].contains(&me.uid) && !plan.outputs[0][i].contains_key(&me.uid);
                let mine = (0..plan.stages[0].shards.len()).find(|i| shard(*i))?;
                let output = Digest::of(&mine.to_le_bytes());
                Some(self.receipt(Work::Merge { shard: u16::try_from(mine).unwrap(), output }))
            }
            Phase::Anchoring { .. } | Phase::Auditing { .. } | Phase::Finished => None,
        }
    }

    fn training(&self) -> Option<Work> {
        let account = self.key.account();
        let me = &self.state.members()[&account];
        let (t, weights) = (self.state.training(), me.weights?);
        let round = t.round?;
        if let Some((sample, s)) = t.samples.iter().find(|(_, s)| !s.complete() && s.pathway[0] == account) {
            let (sample, attempt, input) = (*sample, s.attempt, Digest::of(&sample.to_le_bytes()));
            return Some(if s.outputs[0].is_none() {
                let output = Digest::of(b"loss");
                Work::Forward { round, sample, attempt, weights, input, output, loss: Some(1f32.to_bits()) }
            } else {
                Work::Backward { round, sample, attempt, weights, input, output_gradient: None, input_gradient: None }
            });
        }
        let samples = t.steps.as_ref()?.get(&account)?.clone();
        let optimiser_before = me.optimiser.unwrap_or_default();
        let weights_after = Digest::of(&[weights.0, optimiser_before.0].concat());
        let optimiser_after = Digest::of(&weights_after.0);
        (!t.stepped.contains(&account)).then_some(Work::Step {
            round,
            samples,
            weights_before: weights,
            optimiser_before,
            weights_after,
            optimiser_after,
        })
    }

    /// Read and work until `done`. The chain makes a block whenever the run waits for one.
    pub(crate) async fn work_until(&mut self, line: &dyn Line, chain: &Script, done: impl Fn(&State) -> bool) {
        self.catch_up(line).await;
        while !done(&self.state) {
            if let Some(submission) = self.next() {
                assert_eq!(self.submit(line, vec![submission]).await, Response::Accepted);
                self.catch_up(line).await;
                continue;
            }
            let me = &self.state.members()[&self.key.account()];
            match self.state.phase() {
                Phase::Anchoring { .. } if me.enlisted && me.anchor.is_none() => {
                    let mut run = [0; 8];
                    run.copy_from_slice(&self.state.run().0[..8]);
                    let anchor = Anchor { run, epoch: self.state.epoch(), count: me.count, head: me.link };
                    chain.put(self.key.account(), anchor.to_commitment());
                    self.read(line).await;
                }
                Phase::Auditing { block } => {
                    // Nobody audits here: the window passes.
                    if chain.block() < block + 3 {
                        chain.advance();
                    } else {
                        self.read(line).await;
                    }
                }
                _ => self.read(line).await,
            }
        }
    }
}
