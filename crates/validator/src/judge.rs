//! Re-execution of one receipt, from openings to an outcome (design D3, D4, D5).
//!
//! Invariant: a miner is failed only by what it signed: its own openings are missing, or the bytes it committed to are not those
//! that its own inputs give. What this validator cannot find out is no verdict.

use std::sync::Arc;

use starling_commitment::{Canonical, Tolerance, difference};
use starling_keys::Account;
use starling_model::{ModelError, Stage, execute, merge};
use starling_protocol::{
    Digest, Uid, config::RunConfig, merge::shard_range, message::Outcome, receipt::Work, state::State,
};
use tokio::time::Instant;

use crate::{
    docket::Case,
    openings::{Openings, Withheld},
    tokens::Tokens,
};

/// Re-executes receipts.
#[derive(Debug)]
pub struct Judge {
    pub(crate) run: RunConfig,
    /// One per stage of the run, made once.
    pub(crate) stages: Vec<Arc<Stage>>,
    pub(crate) openings: Openings,
    pub(crate) tokens: Tokens,
    /// One computation at a time: processes share the machine.
    pub(crate) computing: Arc<tokio::sync::Semaphore>,
}

/// A verdict's content, or why there is none.
enum Finding {
    Outcome(Outcome),
    Unknown(String),
}

impl From<Withheld> for Finding {
    fn from(withheld: Withheld) -> Self {
        tracing::warn!(miner = %withheld.miner, digest = ?withheld.digest, reason = %withheld.reason, "an opening is withheld");
        Self::Outcome(Outcome::Withheld { opening: withheld.digest })
    }
}

impl Judge {
    /// Judge a case with the ledger at `state`; `None` if it cannot be judged through no fault of the miner.
    pub async fn judge(&self, state: &State, case: &Case, until: Instant) -> Option<Outcome> {
        let result = match &case.receipt.work {
            Work::Forward { .. } => self.forward(case, until).await,
            Work::Backward { .. } => self.backward(case, until).await,
            Work::Step { .. } => self.step(case, until).await,
            Work::Merge { shard, output } => self.merge(state, case, *shard, output, until).await,
        };
        match result {
            Ok(outcome) | Err(Finding::Outcome(outcome)) => Some(outcome),
            Err(Finding::Unknown(reason)) => {
                tracing::warn!(miner = %case.miner, sequence = case.receipt.sequence, %reason, "cannot be judged");
                None
            }
        }
    }

    async fn open(&self, case: &Case, digest: &Digest, until: Instant) -> Result<Canonical, Finding> {
        Ok(self.openings.tensor(&case.miner, &case.address, digest, until).await?)
    }

    fn is_last(&self, case: &Case) -> bool {
        case.receipt.stage + 1 == self.run.stages()
    }

    /// The sample's input (tokens are known to everybody) and its targets, where the stage has them.
    async fn data(
        &self,
        case: &Case,
        sample: u32,
        input: &Digest,
        until: Instant,
    ) -> Result<(Canonical, Option<Canonical>), Finding> {
        let last = self.is_last(case);
        let tokens = if case.receipt.stage == 0 || last {
            Some(self.tokens.of(sample).await.map_err(Finding::Unknown)?)
        } else {
            None
        };
        let input = match &tokens {
            Some((tokens, _)) if case.receipt.stage == 0 => {
                if tokens.digest() != *input {
                    return Err(Finding::Outcome(Outcome::Unsound {
                        reason: "reads other tokens than the sample's".into(),
                    }));
                }
                tokens.clone()
            }
            _ => self.open(case, input, until).await?,
        };
        Ok((input, tokens.filter(|_| last).map(|(_, targets)| targets)))
    }

    async fn compute<T: Send + 'static>(
        &self,
        case: &Case,
        run: impl FnOnce(&Stage) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<Result<T, ModelError>, Finding> {
        let unknown = |e: &dyn std::fmt::Display| Finding::Unknown(e.to_string());
        let _turn = self.computing.clone().acquire_owned().await.map_err(|e| unknown(&e))?;
        let number = case.receipt.stage;
        let stage = self.stages.get(usize::from(number)).cloned();
        let stage = stage.ok_or_else(|| Finding::Unknown(format!("the run has no stage {number}")))?;
        tokio::task::spawn_blocking(move || run(&stage)).await.map_err(|e| unknown(&e))
    }

    /// Compare a commitment with what re-execution gives; with a measured tolerance the committed bytes are opened too.
    async fn compare(
        &self,
        case: &Case,
        what: &str,
        claimed: &Digest,
        computed: Result<Canonical, ModelError>,
        until: Instant,
    ) -> Result<Outcome, Finding> {
        let differs = |computed: Digest| Outcome::Differs { what: what.to_owned(), claimed: *claimed, computed };
        let computed = match computed {
            Ok(computed) => computed,
            // It committed to a result where there is none.
            Err(error) => {
                tracing::warn!(miner = %case.miner, %error, "re-execution fails on the miner's own openings");
                return Ok(differs(Digest::ZERO));
            }
        };
        if computed.digest() == *claimed {
            return Ok(Outcome::Passed);
        }
        if let Some(t) = &self.run.audit.tolerance {
            let tolerance = Tolerance::Measured {
                relative_l2: t.relative_l2,
                one_minus_cosine: t.one_minus_cosine,
                max_abs: t.max_abs,
            };
            let opened = self.open(case, claimed, until).await?;
            if difference(&opened, &computed).is_ok_and(|d| tolerance.accepts(&d)) {
                return Ok(Outcome::Passed);
            }
        }
        Ok(differs(computed.digest()))
    }

    async fn forward(&self, case: &Case, until: Instant) -> Result<Outcome, Finding> {
        let Work::Forward { sample, weights, input, output, loss, .. } = &case.receipt.work else {
            return Err(Finding::Unknown("not a forward".into()));
        };
        let (input, targets) = self.data(case, *sample, input, until).await?;
        let weights = self.open(case, weights, until).await?;
        let forward = self
            .compute(case, move |stage| {
                execute::forward(stage, &weights, &input, targets.as_ref()).map(|f| (f.output, f.loss))
            })
            .await?;
        if let (Ok((computed, Some(value))), Some(bits)) = (&forward, loss)
            && value.to_bits() != *bits
            && self.run.audit.tolerance.is_none()
        {
            return Ok(Outcome::Differs { what: "loss".into(), claimed: *output, computed: computed.digest() });
        }
        self.compare(case, "output", output, forward.map(|f| f.0), until).await
    }

    async fn backward(&self, case: &Case, until: Instant) -> Result<Outcome, Finding> {
        let Work::Backward { sample, weights, input, output_gradient, input_gradient, .. } = &case.receipt.work else {
            return Err(Finding::Unknown("not a backward".into()));
        };
        let (input, targets) = self.data(case, *sample, input, until).await?;
        let weights = self.open(case, weights, until).await?;
        let gradient = match output_gradient {
            Some(digest) => Some(self.open(case, digest, until).await?),
            None => None,
        };
        // Stage 0 passes no gradient on: what it computed stands in its step, which commits to the weights after.
        let Some(claimed) = input_gradient else { return Ok(Outcome::Passed) };
        let computed = self
            .compute(case, move |stage| {
                let b = execute::backward(stage, &weights, &input, targets.as_ref(), gradient.as_ref())?;
                b.input_gradient.ok_or(ModelError::Misuse("every stage but the first has an input gradient"))
            })
            .await?;
        self.compare(case, "input gradient", claimed, computed, until).await
    }

    async fn step(&self, case: &Case, until: Instant) -> Result<Outcome, Finding> {
        let Work::Step { samples, weights_before, optimiser_before, weights_after, optimiser_after, .. } =
            &case.receipt.work
        else {
            return Err(Finding::Unknown("not a step".into()));
        };
        if case.passes.len() != samples.len() {
            return Ok(Outcome::Unsound { reason: "steps with samples whose backward it never committed".into() });
        }
        let weights = self.open(case, weights_before, until).await?;
        let optimiser = self.open(case, optimiser_before, until).await?;
        let mut inputs = Vec::with_capacity(case.passes.len());
        for pass in &case.passes {
            let (input, targets) = self.data(case, pass.sample, &pass.input, until).await?;
            let output_gradient = match &pass.output_gradient {
                Some(digest) => Some(self.open(case, digest, until).await?),
                None => None,
            };
            inputs.push(execute::StepSample { input, targets, output_gradient });
        }
        let (hyper, total, first) = (self.run.training.optimiser.clone(), self.run.total_steps(), case.first_step);
        let computed = self
            .compute(case, move |stage| {
                if first && stage.first_state_bytes(&hyper)?.digest() != optimiser.digest() {
                    return Ok(None);
                }
                execute::step(stage, &weights, &optimiser, &inputs, &hyper, total).map(Some)
            })
            .await?;
        match computed {
            Ok(None) => {
                Ok(Outcome::Unsound { reason: "begins with an optimiser state that is not the first one".into() })
            }
            Ok(Some((weights, optimiser))) => match self
                .compare(case, "weights after", weights_after, Ok(weights), until)
                .await?
            {
                Outcome::Passed => self.compare(case, "optimiser after", optimiser_after, Ok(optimiser), until).await,
                failed => Ok(failed),
            },
            Err(error) => self.compare(case, "weights after", weights_after, Err(error), until).await,
        }
    }

    async fn merge(
        &self,
        state: &State,
        case: &Case,
        shard: u16,
        output: &Digest,
        until: Instant,
    ) -> Result<Outcome, Finding> {
        let missing = |what: &str| Finding::Unknown(format!("the ledger has no {what} for this merge"));
        let stage = usize::from(case.receipt.stage);
        let plan = state.merging().and_then(|m| m.stages.get(stage)).ok_or_else(|| missing("plan"))?.clone();
        let base = *state.previous_base().get(stage).ok_or_else(|| missing("first weights"))?;
        let previous = self.open(case, &base.weights, until).await?;
        let momentum = self.open(case, &base.momentum, until).await?;
        let mut contributions = Vec::with_capacity(plan.contributions.len());
        for (uid, digest) in &plan.contributions {
            contributions.push(self.contribution(state, case, *uid, digest, until).await?);
        }
        let (outer, count) = (self.run.training.outer.clone(), plan.shards.len() as u64);
        let computed = self
            .compute(case, move |stage| {
                let bad = |source| ModelError::Tensor { what: "a merge's input", source };
                let (previous, momentum) = (previous.to_f32().map_err(bad)?, momentum.to_f32().map_err(bad)?);
                let length = stage.parameter_count();
                let range = shard_range(length as u64, u64::from(shard), count);
                let range = range.start as usize..range.end as usize;
                let vectors = contributions.iter().map(|c| c.to_f32().map_err(bad)).collect::<Result<Vec<_>, _>>()?;
                let cut = |v: &'_ [f32]| {
                    v.get(range.clone())
                        .map(<[f32]>::to_vec)
                        .ok_or(ModelError::Misuse("a contribution has another length"))
                };
                let slices = vectors.iter().map(|v| cut(v)).collect::<Result<Vec<_>, _>>()?;
                let views: Vec<&[f32]> = slices.iter().map(Vec::as_slice).collect();
                let (w, m) = merge::outer_shard(&cut(&previous)?, &cut(&momentum)?, &views, &outer);
                Canonical::from_f32(&[2, w.len() as u64], &[w, m].concat()).map_err(bad)
            })
            .await?;
        self.compare(case, "merged shard", output, computed, until).await
    }

    /// A contribution comes from whoever made it; if it is gone there, the merge cannot be judged, and its reducer is not to blame.
    async fn contribution(
        &self,
        state: &State,
        case: &Case,
        uid: Uid,
        digest: &Digest,
        until: Instant,
    ) -> Result<Canonical, Finding> {
        let mut holders: Vec<(Account, Vec<u8>)> = Vec::new();
        if let Some((account, member)) = state.miner(uid) {
            holders.push((*account, member.address.clone()));
        }
        holders.push((case.miner, case.address.clone()));
        let mut last = String::new();
        for (account, address) in holders {
            match self.openings.tensor(&account, &address, digest, until).await {
                Ok(tensor) => return Ok(tensor),
                Err(withheld) => last = withheld.to_string(),
            }
        }
        Err(Finding::Unknown(last))
    }
}
