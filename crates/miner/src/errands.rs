//! What happens off the main loop: fetching what a duty needs, storing what it made, anchoring. Nothing here decides or signs
//! receipts; the main loop asks whether a result is still wanted when it comes back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use starling_commitment::{Canonical, Form};
use starling_keys::{Account, Signer};
use starling_protocol::{Epoch, Round, config::RunConfig, ledger::StageWeights, merge::shard_range, receipt::Work};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Chain, MinerError,
    agenda::{Delivery, Duty, PassDuty, Passed, ShardAt, Start},
    compute::{Forms, Job, Pass, Product},
    library::{Library, Unavailable, Undelivered},
    status::Board,
    tokens::Tokens,
};

/// Longest answer of the chain to a question, and to a submission with its finality.
pub(crate) const CHAIN_READ: Duration = Duration::from_secs(30);
const CHAIN_WRITE: Duration = Duration::from_secs(240);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What errands share.
#[derive(Debug)]
pub(crate) struct Kit {
    pub run: RunConfig,
    pub me: Account,
    pub forms: Forms,
    pub library: Arc<Library>,
    pub tokens: Arc<Tokens>,
    pub board: Arc<Board>,
}

/// What a receipt will say besides what is computed.
#[derive(Debug)]
pub(crate) enum Draft {
    /// `tokens` is the input where it is of this miner's own making.
    Forward {
        pass: PassDuty,
        input: starling_protocol::Digest,
        tokens: Option<Canonical>,
    },
    Backward {
        pass: PassDuty,
        input: starling_protocol::Digest,
        output_gradient: Option<starling_protocol::Digest>,
    },
    Step {
        round: Round,
        samples: Vec<(u32, u16)>,
        weights: starling_protocol::Digest,
        first: bool,
    },
    Merge {
        shard: u16,
    },
    Start,
}

/// A duty with all its inputs at hand.
#[derive(Debug)]
pub(crate) enum Prepared {
    Job(Box<(Job, Draft)>),
    /// Nothing to compute.
    Ready(StageWeights),
}

/// A duty done and stored; to be signed.
#[derive(Debug)]
pub(crate) enum Outcome {
    Work(Work),
    Ready(StageWeights),
}

impl Kit {
    /// Fetch what a duty needs.
    pub async fn prepare(&self, epoch: Epoch, duty: Duty) -> Result<Prepared, Unavailable> {
        let job = |job, draft| Prepared::Job(Box::new((job, draft)));
        match duty {
            Duty::Forward { pass, input } => {
                let (tokens, targets) = self.data(pass.sample).await?;
                // Half the time that the run gives: whoever does not deliver by then is named before this miner is overdue.
                let until = self.until(self.run.epoch.sample_timeout_ms / 2);
                let (input, tokens) = match (input, tokens) {
                    (Some(from), _) => (self.library.delivered(epoch, from, &self.forms.crossing, until).await?, None),
                    (None, Some(tokens)) => (tokens.clone(), Some(tokens)),
                    (None, None) => return Err(MinerError::Data("stage 0 has no tokens".into()).into()),
                };
                let weights = self.library.at_hand(&pass.weights, &self.forms.weights()).await?;
                let digest = input.digest();
                let ready = self.pass(epoch, &pass, weights, input, targets, None);
                Ok(job(Job::Forward(ready), Draft::Forward { pass, input: digest, tokens }))
            }
            Duty::Backward { pass, input, gradient } => {
                let until = self.until(self.run.epoch.sample_timeout_ms / 2);
                let output_gradient = gradient.map(|g| g.digest);
                let gradient = match gradient {
                    Some(from) => Some(self.library.delivered(epoch, from, &self.forms.gradient, until).await?),
                    None => None,
                };
                let (tokens, targets) = self.data(pass.sample).await?;
                let held = self.input(&input, tokens).await?;
                let weights = self.library.at_hand(&pass.weights, &self.forms.weights()).await?;
                let ready = self.pass(epoch, &pass, weights, held, targets, gradient);
                Ok(job(Job::Backward(ready), Draft::Backward { pass, input, output_gradient }))
            }
            Duty::Step { round, samples, passed, weights, optimiser } => {
                let held = self.library.at_hand(&weights, &self.forms.weights()).await?;
                let mut passes = Vec::with_capacity(passed.len());
                for sample in passed {
                    passes.push(self.again(epoch, round, held.clone(), sample).await?);
                }
                let state = match &optimiser {
                    Some(digest) => Some(self.library.own(digest, &self.forms.optimiser).await?),
                    None => None,
                };
                let draft = Draft::Step { round, samples, weights, first: optimiser.is_none() };
                Ok(job(Job::Step { passes, weights: held, optimiser: state }, draft))
            }
            Duty::Merge { shard, shards, contributions, old } => {
                let until = self.until(self.run.epoch.merge_timeout_ms / 2);
                let range = shard_range(self.forms.parameters, u64::from(shard), shards);
                let own = |digest| Delivery { from: self.me, digest };
                let previous = self.library.slice(own(old.weights), range.clone(), until).await?;
                let momentum = self.library.slice(own(old.momentum), range.clone(), until).await?;
                let mut parts = Vec::with_capacity(contributions.len());
                for contribution in contributions {
                    parts.push(self.library.slice(contribution, range.clone(), until).await?);
                }
                Ok(job(Job::Merge { previous, momentum, contributions: parts }, Draft::Merge { shard }))
            }
            Duty::Hold(Start::Seed) => Ok(job(Job::Seed, Draft::Start)),
            Duty::Hold(Start::Known { weights, colleagues }) => {
                self.held_by_colleagues(epoch, weights, &colleagues).await?;
                Ok(Prepared::Ready(weights))
            }
            Duty::Hold(Start::Assemble { old, shards, colleagues }) => {
                // The run waits for the merge's time-out, no longer: half of it for shards, the rest for the old values.
                let until = self.until(self.run.epoch.merge_timeout_ms / 2);
                let mut silent = BTreeSet::new();
                let mut found = Vec::with_capacity(shards.len());
                let count = shards.len() as u64;
                for (index, shard) in (0u64..).zip(shards) {
                    let range = shard_range(self.forms.parameters, index, count);
                    found.push(match shard {
                        Some(at) => self.shard(epoch, index, range.end - range.start, &at, until, &mut silent).await?,
                        None => None,
                    });
                }
                let lost = found.is_empty() || found.iter().any(Option::is_none);
                let old = if lost { Some(self.held_by_colleagues(epoch, old, &colleagues).await?) } else { None };
                Ok(job(Job::Assemble { shards: found, old }, Draft::Start))
            }
            Duty::Anchor { .. } => Err(MinerError::Data("an anchor has nothing to compute".into()).into()),
        }
    }

    fn until(&self, ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    /// Tokens at the first stage, targets at the last.
    async fn data(&self, sample: u32) -> Result<(Option<Canonical>, Option<Canonical>), MinerError> {
        if !self.forms.first && !self.forms.last {
            return Ok((None, None));
        }
        let (tokens, targets) = self.tokens.of(sample, &self.board).await?;
        Ok((self.forms.first.then_some(tokens), self.forms.last.then_some(targets)))
    }

    fn pass(
        &self,
        epoch: Epoch,
        duty: &PassDuty,
        weights: Canonical,
        input: Canonical,
        targets: Option<Canonical>,
        gradient: Option<Canonical>,
    ) -> Pass {
        Pass { epoch, round: duty.round, sample: duty.sample, attempt: duty.attempt, weights, input, targets, gradient }
    }

    /// The input of an earlier forward.
    async fn input(
        &self,
        digest: &starling_protocol::Digest,
        tokens: Option<Canonical>,
    ) -> Result<Canonical, MinerError> {
        match tokens {
            Some(tokens) => Ok(tokens),
            None => self.library.own(digest, &self.forms.crossing).await,
        }
    }

    /// Everything to do a pass again that this miner has receipts for.
    async fn again(&self, epoch: Epoch, round: Round, weights: Canonical, passed: Passed) -> Result<Pass, MinerError> {
        let duty = PassDuty { round, sample: passed.sample, attempt: passed.attempt, weights: weights.digest() };
        let (tokens, targets) = self.data(passed.sample).await?;
        let input = self.input(&passed.input, tokens).await?;
        let gradient = match &passed.output_gradient {
            Some(digest) => Some(self.library.own(digest, &self.forms.gradient).await?),
            None => None,
        };
        Ok(self.pass(epoch, &duty, weights, input, targets, gradient))
    }

    /// Weights and momentum that the stage's miners hold, from here or from any of them.
    async fn held_by_colleagues(
        &self,
        epoch: Epoch,
        wanted: StageWeights,
        colleagues: &[Account],
    ) -> Result<(Canonical, Canonical), Unavailable> {
        let form = self.forms.weights();
        let mut found = Vec::with_capacity(2);
        for digest in [wanted.weights, wanted.momentum] {
            found.push(self.anywhere(epoch, digest, colleagues, &form).await?);
        }
        match (found.pop(), found.pop()) {
            (Some(momentum), Some(weights)) => Ok((weights, momentum)),
            _ => Err(MinerError::Gone { digest: wanted.weights }.into()),
        }
    }

    async fn anywhere(
        &self,
        epoch: Epoch,
        digest: starling_protocol::Digest,
        holders: &[Account],
        form: &Form,
    ) -> Result<Canonical, Unavailable> {
        match self.library.own(&digest, form).await {
            Err(MinerError::Gone { .. }) => {}
            other => return Ok(other?),
        }
        let mut last = Unavailable::Own(MinerError::Gone { digest });
        for from in holders {
            match self
                .library
                .fetched(
                    epoch,
                    Delivery { from: *from, digest },
                    form.length(),
                    self.until(self.run.epoch.merge_timeout_ms),
                )
                .await
            {
                Ok(bytes) => {
                    return form.read(bytes).map_err(|unfit| {
                        Unavailable::Undelivered(Undelivered { peer: *from, reason: unfit.to_string() })
                    });
                }
                Err(own @ Unavailable::Own(_)) => return Err(own),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// A merged shard, from here or from any of its holders; `None` if it is no shard, or nobody delivers until `until`: then
    /// the old values stay.
    async fn shard(
        &self,
        epoch: Epoch,
        index: u64,
        elements: u64,
        at: &ShardAt,
        until: Instant,
        silent: &mut BTreeSet<Account>,
    ) -> Result<Option<Canonical>, Unavailable> {
        let form = Form { dtype: starling_commitment::DType::F32, shape: vec![2, elements] };
        if self.library.has(&at.output).await?
            && let Ok(own) = self.library.own(&at.output, &form).await
        {
            return Ok(Some(own).filter(Canonical::is_finite));
        }
        loop {
            // Those who did not deliver another shard come last.
            let mut holders: Vec<Account> = at.holders.iter().copied().filter(|a| *a != self.me).collect();
            holders.sort_by_key(|a| silent.contains(a));
            for from in holders {
                let what = Delivery { from, digest: at.output };
                let patience = until.min(self.until(self.run.epoch.merge_timeout_ms / 4));
                match self.library.fetched(epoch, what, form.length(), patience).await {
                    // The same bytes for everybody: what is no shard here is no shard anywhere.
                    Ok(bytes) => {
                        let shard = form.read(bytes);
                        if let Err(reason) = &shard {
                            tracing::warn!(index, %reason, "a merged shard cannot be used; the old values stay");
                        }
                        return Ok(shard.ok());
                    }
                    Err(own @ Unavailable::Own(_)) => return Err(own),
                    Err(Unavailable::Undelivered(fault)) => {
                        silent.insert(fault.peer);
                        self.board.trouble(
                            "merge",
                            format!("shard {index} is not to be had from {}: {}", fault.peer, fault.reason),
                        );
                    }
                }
            }
            if Instant::now() >= until || at.holders.is_empty() {
                tracing::warn!(index, "nobody delivers a merged shard; the old values stay");
                self.board.fine("merge");
                return Ok(None);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Store what was made, before anybody is told of it.
    pub async fn publish(&self, epoch: Epoch, draft: Draft, product: Product) -> Result<Outcome, MinerError> {
        let library = &self.library;
        match (draft, product) {
            (Draft::Forward { pass, input, tokens }, Product::Forward { output, loss }) => {
                if let Some(tokens) = tokens {
                    library.publish(epoch, &tokens).await?;
                }
                library.publish(epoch, &output).await?;
                let PassDuty { round, sample, attempt, weights } = pass;
                let (output, loss) = (output.digest(), loss.map(f32::to_bits));
                Ok(Outcome::Work(Work::Forward { round, sample, attempt, weights, input, output, loss }))
            }
            (Draft::Backward { pass, input, output_gradient }, Product::Backward { input_gradient }) => {
                if let Some(gradient) = &input_gradient {
                    library.publish(epoch, gradient).await?;
                }
                let PassDuty { round, sample, attempt, weights } = pass;
                let input_gradient = input_gradient.map(|g| g.digest());
                Ok(Outcome::Work(Work::Backward {
                    round,
                    sample,
                    attempt,
                    weights,
                    input,
                    output_gradient,
                    input_gradient,
                }))
            }
            (
                Draft::Step { round, samples, weights: weights_before, first },
                Product::Step { before, weights, optimiser },
            ) => {
                if first {
                    library.publish(epoch, &before).await?;
                }
                for made in [&weights, &optimiser] {
                    library.publish(epoch, made).await?;
                    library.shelve(made);
                }
                let (weights_after, optimiser_after) = (weights.digest(), optimiser.digest());
                let optimiser_before = before.digest();
                Ok(Outcome::Work(Work::Step {
                    round,
                    samples,
                    weights_before,
                    optimiser_before,
                    weights_after,
                    optimiser_after,
                }))
            }
            (Draft::Merge { shard }, Product::Merge(output)) => {
                library.publish(epoch, &output).await?;
                Ok(Outcome::Work(Work::Merge { shard, output: output.digest() }))
            }
            (Draft::Start, Product::Start { weights, momentum }) => {
                library.publish(epoch, &weights).await?;
                library.publish(epoch, &momentum).await?;
                library.shelve(&weights);
                Ok(Outcome::Ready(StageWeights { weights: weights.digest(), momentum: momentum.digest() }))
            }
            _ => Err(MinerError::Compute("the result belongs to another job".into())),
        }
    }
}

/// Write an anchor to the chain and see it there. A chain that is away is waited for. What is there already is not written again:
/// a second write would carry a later block, and look like an anchor chosen after the draw.
pub(crate) async fn anchor(chain: Arc<dyn Chain>, hotkey: Arc<dyn Signer>, data: Vec<u8>, board: Arc<Board>) {
    let mut pause = Duration::from_millis(250);
    loop {
        let read = timeout(CHAIN_READ, chain.commitment(hotkey.account())).await;
        let trouble = match read {
            Ok(Ok(Some(there))) if there == data => {
                board.fine("chain");
                return;
            }
            Ok(Ok(_)) => match timeout(CHAIN_WRITE, chain.commit(hotkey.as_ref(), data.clone())).await {
                Ok(Ok(())) => {
                    board.fine("chain");
                    return;
                }
                Ok(Err(error)) => error,
                Err(_) => format!("no answer within {} s", CHAIN_WRITE.as_secs()),
            },
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", CHAIN_READ.as_secs()),
        };
        board.trouble("chain", format!("the anchor is not on chain yet: {trouble}"));
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
