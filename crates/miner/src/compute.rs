//! The one thread that computes: it owns the stage, the loaded weights, the tapes and the gradients of the round.
//!
//! Invariant: what it gives back depends on the bytes of a job alone. Tapes and gradients are a memory of work done; a job carries
//! everything to do that work again, so a restart loses time and nothing else.

use std::{collections::BTreeMap, thread};

use starling_commitment::{Canonical, Form};
use starling_model::{
    Device, Gradient, ModelError, OptimiserState, Stage as ModelStage, Tape, Weights, merge::outer_shard,
    optimiser::optimiser,
};
use starling_protocol::{Digest, Epoch, Round, Stage, config::RunConfig};
use tokio::sync::mpsc;

use crate::{
    Adversary, MinerError,
    adversary::{Part, Saboteur},
    agenda::Key,
    assemble::{Shard, assemble},
};

/// One sample on its way through the stage.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Epoch.
    pub epoch: Epoch,
    /// Round.
    pub round: Round,
    /// Index in the run.
    pub sample: u32,
    /// Attempt.
    pub attempt: u16,
    /// Flat weights.
    pub weights: Canonical,
    /// Tokens or boundary tensor.
    pub input: Canonical,
    /// Tokens, at the last stage.
    pub targets: Option<Canonical>,
    /// Gradient from the next stage: for a backward, at every stage but the last.
    pub gradient: Option<Canonical>,
}

/// Something to compute, with everything it needs.
#[derive(Debug)]
pub enum Job {
    /// Forward.
    Forward(Pass),
    /// Backward.
    Backward(Pass),
    /// Optimiser step over passes in this order; no optimiser state before the first.
    Step {
        /// In order of summation.
        passes: Vec<Pass>,
        /// Flat weights.
        weights: Canonical,
        /// Optimiser state.
        optimiser: Option<Canonical>,
    },
    /// One shard of the merge.
    Merge {
        /// Weights before.
        previous: Vec<f32>,
        /// Momentum before.
        momentum: Vec<f32>,
        /// Weights of the contributors, by uid.
        contributions: Vec<Vec<f32>>,
    },
    /// First weights of the run.
    Seed,
    /// First weights of an epoch.
    Assemble {
        /// Shards `[2, n]`; `None` for a lost one.
        shards: Vec<Option<Canonical>>,
        /// Weights and momentum before; needed if a shard was lost.
        old: Option<(Canonical, Canonical)>,
    },
}

/// What a job gives.
#[derive(Debug)]
pub enum Product {
    /// Of a forward.
    Forward {
        /// Boundary tensor or loss.
        output: Canonical,
        /// At the last stage.
        loss: Option<f32>,
    },
    /// Of a backward.
    Backward {
        /// For the stage before; none at stage 0.
        input_gradient: Option<Canonical>,
    },
    /// Of a step.
    Step {
        /// Optimiser state before.
        before: Canonical,
        /// Weights after.
        weights: Canonical,
        /// Optimiser state after.
        optimiser: Canonical,
    },
    /// Of a merge: `[2, n]`.
    Merge(Canonical),
    /// Of a seed or an assembly.
    Start {
        /// Flat weights.
        weights: Canonical,
        /// Outer momentum.
        momentum: Canonical,
    },
}

/// Forms of a stage's tensors.
#[derive(Clone, Debug)]
pub struct Forms {
    /// True for the stage that reads tokens.
    pub first: bool,
    /// True for the stage that has the loss.
    pub last: bool,
    /// Elements of the flat vector.
    pub parameters: u64,
    /// What crosses to the next stage.
    pub crossing: Form,
    /// What comes back from it.
    pub gradient: Form,
    /// Of the inner optimiser.
    pub optimiser: Form,
    /// Parameters, for adversaries.
    pub(crate) parts: Vec<Part>,
}

impl Forms {
    /// Flat weights or momentum.
    #[must_use]
    pub fn weights(&self) -> Form {
        Form::flat(self.parameters)
    }
}

/// What the thread owns.
pub struct Engine {
    run: RunConfig,
    stage: ModelStage,
    forms: Forms,
    saboteur: Saboteur,
    round: Option<(Epoch, Round)>,
    /// Digest of the weights that receipts name, and what is computed with.
    loaded: Option<(Digest, Weights)>,
    /// The optimiser's state after the newest step, with its digest: it stays on the device from one step to the next.
    state: Option<(Digest, OptimiserState)>,
    tapes: BTreeMap<(u32, u16), Tape>,
    gradients: BTreeMap<(u32, u16), Gradient>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("stage", &self.stage).field("tapes", &self.tapes.len()).finish_non_exhaustive()
    }
}

fn unfit(what: &'static str) -> impl Fn(starling_commitment::TensorError) -> ModelError {
    move |source| ModelError::Tensor { what, source }
}

impl Engine {
    /// An engine for a stage of a run.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn new(
        run: &RunConfig,
        stage: Stage,
        device: &Device,
        adversary: Option<Adversary>,
    ) -> Result<Self, ModelError> {
        let model = ModelStage::new(&run.model, usize::from(stage), device)?;
        let part =
            |p: &starling_model::shape::Parameter| Part { name: p.name.clone(), offset: p.offset, length: p.length() };
        let t = &run.training;
        let (batch, length) = (u64::from(t.sequences_per_sample), u64::from(t.sequence_length));
        let parameters = model.parameter_count() as u64;
        let forms = Forms {
            first: model.is_first(),
            last: model.is_last(),
            parameters,
            crossing: model.boundary().output(batch, length),
            gradient: model.boundary().gradient(batch, length),
            optimiser: optimiser(&t.optimiser).form(parameters),
            parts: model.layout().iter().map(part).collect(),
        };
        Ok(Self {
            run: run.clone(),
            stage: model,
            forms,
            saboteur: Saboteur::new(adversary),
            round: None,
            loaded: None,
            state: None,
            tapes: BTreeMap::new(),
            gradients: BTreeMap::new(),
        })
    }

    /// Forms of the stage's tensors.
    #[must_use]
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Do a job.
    ///
    /// # Errors
    /// [`ModelError`]; the engine can go on.
    pub fn run(&mut self, job: Job) -> Result<Product, ModelError> {
        match job {
            Job::Forward(pass) => {
                let output = self.forward(&pass)?;
                let output = self.saboteur.output(pass.sample, output).map_err(unfit("an output"))?;
                let loss =
                    if self.forms.last { output.to_f32().map_err(unfit("the loss"))?.first().copied() } else { None };
                Ok(Product::Forward { output, loss })
            }
            Job::Backward(pass) => Ok(Product::Backward { input_gradient: self.backward(&pass)? }),
            Job::Step { passes, weights, optimiser } => self.step(&passes, &weights, optimiser),
            Job::Merge { previous, momentum, contributions } => {
                let refs: Vec<&[f32]> = contributions.iter().map(Vec::as_slice).collect();
                let (mut weights, momentum) = outer_shard(&previous, &momentum, &refs, &self.run.training.outer);
                let length = weights.len() as u64;
                weights.extend(momentum);
                Canonical::from_f32(&[2, length], &weights).map(Product::Merge).map_err(unfit("a shard"))
            }
            Job::Seed => {
                let weights = self.stage.initial_weights(self.run.seed)?;
                let zeros = vec![0.0; self.stage.parameter_count()];
                let momentum = Canonical::from_f32(&[zeros.len() as u64], &zeros).map_err(unfit("momentum"))?;
                Ok(Product::Start { weights, momentum })
            }
            Job::Assemble { shards, old } => self.assemble(&shards, old.as_ref()),
        }
    }

    fn enter(&mut self, pass: &Pass) -> Result<(), ModelError> {
        if self.round != Some((pass.epoch, pass.round)) {
            if self.round.is_none_or(|(epoch, _)| epoch != pass.epoch) {
                self.loaded = None;
            }
            self.round = Some((pass.epoch, pass.round));
            self.tapes.clear();
            self.gradients.clear();
        }
        if self.loaded.as_ref().is_none_or(|(digest, _)| *digest != pass.weights.digest()) {
            // Tapes and gradients belong to the weights they were made with.
            self.tapes.clear();
            self.gradients.clear();
            self.loaded = None;
            let used = self.saboteur.weights(pass.epoch, &pass.weights, &self.forms.parts).map_err(unfit("weights"))?;
            self.loaded = Some((pass.weights.digest(), self.stage.load(&used)?));
        }
        Ok(())
    }

    fn forward(&mut self, pass: &Pass) -> Result<Canonical, ModelError> {
        self.enter(pass)?;
        let Some((_, weights)) = &self.loaded else { return Err(ModelError::Misuse("no weights are loaded")) };
        let forward = self.stage.forward(weights, &pass.input, pass.targets.as_ref())?;
        // An attempt that was given up is of no use to the next one.
        self.tapes.retain(|(sample, attempt), _| *sample != pass.sample || *attempt >= pass.attempt);
        self.tapes.insert((pass.sample, pass.attempt), forward.tape);
        Ok(forward.output)
    }

    fn backward(&mut self, pass: &Pass) -> Result<Option<Canonical>, ModelError> {
        self.enter(pass)?;
        let key = (pass.sample, pass.attempt);
        if !self.tapes.contains_key(&key) {
            self.forward(pass)?;
        }
        let tape = self.tapes.remove(&key).ok_or(ModelError::Misuse("a backward follows its forward"))?;
        let backward = self.stage.backward(tape, pass.gradient.as_ref())?;
        self.gradients.insert(key, backward.gradient);
        Ok(backward.input_gradient)
    }

    fn step(
        &mut self,
        passes: &[Pass],
        weights: &Canonical,
        optimiser: Option<Canonical>,
    ) -> Result<Product, ModelError> {
        let hyper = self.run.training.optimiser.clone();
        let before = match optimiser {
            Some(state) => state,
            None => self.stage.first_state_bytes(&hyper)?,
        };
        if let Some((weights, optimiser)) = self.saboteur.step(weights, &before).map_err(unfit("weights"))? {
            return Ok(Product::Step { before, weights, optimiser });
        }
        for pass in passes {
            self.enter(pass)?;
            if !self.gradients.contains_key(&(pass.sample, pass.attempt)) {
                self.backward(pass)?;
            }
        }
        let gradients: Vec<&Gradient> =
            passes.iter().filter_map(|p| self.gradients.get(&(p.sample, p.attempt))).collect();
        let total = self.stage.sum(&gradients)?;
        // Tapes and gradients belong to the weights that now change under them.
        self.tapes.clear();
        self.gradients.clear();
        let kept = self.loaded.take().filter(|(digest, _)| *digest == weights.digest() && self.saboteur.honest());
        let mut live = match kept {
            Some((_, live)) => live,
            None => self.stage.load(weights)?,
        };
        let mut state = match self.state.take().filter(|(digest, _)| *digest == before.digest()) {
            Some((_, state)) => state,
            None => self.stage.load_state(&before, &hyper)?,
        };
        self.stage.step(&mut live, &mut state, &total, &hyper, self.run.total_steps())?;
        let (weights, optimiser) = (live.to_canonical(&self.stage)?, state.to_canonical(&self.stage)?);
        self.loaded = self.saboteur.honest().then(|| (weights.digest(), live));
        self.state = Some((optimiser.digest(), state));
        Ok(Product::Step { before, weights, optimiser })
    }

    fn assemble(
        &self,
        shards: &[Option<Canonical>],
        old: Option<&(Canonical, Canonical)>,
    ) -> Result<Product, ModelError> {
        let floats = |t: &Canonical| t.to_f32().map_err(unfit("merged weights"));
        let halves = |shard: &Canonical| -> Result<Shard, ModelError> {
            let mut weights = floats(shard)?;
            let momentum = weights.split_off(weights.len() / 2);
            Ok((weights, momentum))
        };
        let shards = shards.iter().map(|s| s.as_ref().map(halves).transpose()).collect::<Result<Vec<_>, _>>()?;
        let old = old.map(|(w, m)| Ok::<_, ModelError>((floats(w)?, floats(m)?))).transpose()?;
        let old = old.as_ref().map(|(w, m)| (w.as_slice(), m.as_slice()));
        let (weights, momentum) = assemble(self.forms.parameters, &shards, old)
            .ok_or(ModelError::Misuse("the shards of the merge do not make up the stage's weights"))?;
        let flat = |v: &[f32]| Canonical::from_f32(&[v.len() as u64], v).map_err(unfit("merged weights"));
        Ok(Product::Start { weights: flat(&weights)?, momentum: flat(&momentum)? })
    }
}

/// A job's end.
pub type Finished = (Key, Result<Product, ModelError>);

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Compute {
    jobs: std::sync::mpsc::Sender<(Key, Job)>,
}

impl Compute {
    /// Start the thread. Ends of jobs come out of the receiver; it closes if the thread dies.
    ///
    /// # Errors
    /// [`MinerError::Thread`] if the system gives no thread.
    pub fn start(mut engine: Engine) -> Result<(Self, mpsc::UnboundedReceiver<Finished>), MinerError> {
        let (jobs, inbox) = std::sync::mpsc::channel::<(Key, Job)>();
        let (done, finished) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("compute".into())
            .spawn(move || {
                while let Ok((key, job)) = inbox.recv() {
                    if done.send((key, engine.run(job))).is_err() {
                        return;
                    }
                }
            })
            .map_err(|e| MinerError::Thread(e.to_string()))?;
        Ok((Self { jobs }, finished))
    }

    /// Hand in a job; false if the thread is dead.
    #[must_use]
    pub fn give(&self, key: Key, job: Job) -> bool {
        self.jobs.send((key, job)).is_ok()
    }
}
