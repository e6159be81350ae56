//! The workbench of protocol 2: what the scheduler's tasks mean in tensors, and the receipts that say so.
//!
//! Owns a miner's lanes, the samples under way in them, and its receipt log. It knows no network, no disk and no clock: tensors come in by
//! [`Workbench::arrived`] and [`Workbench::returned`], go out of [`Workbench::push`] and [`Workbench::backward`], and whoever calls runs
//! one task at a time. The rules are [`starling_protocol::v2`]; this file decides nothing.
//!
//! Invariants: every receipt names the weights that were used, by the name that follows from the lane's receipts; a receipt is a leaf of the
//! log as soon as it is signed; no sequence is signed that [`Workbench::reserve`] did not allow, so a caller that writes a
//! reservation down before it makes it never signs one twice; memory is bounded by lanes and by samples in flight, whatever the
//! number of samples.

mod replica;

use std::{collections::BTreeMap, sync::Arc};

use parity_scale_codec::Encode;
use starling_commitment::{Canonical, log::Log};
use starling_keys::Signer;
use starling_model::{Deferred, Device, ModelError, Stage as ModelStage, Tape};
use starling_protocol::{
    Digest, Epoch, Stage, Uid,
    v2::{
        config::RunConfig,
        receipt::{At, Content, Receipt, Work},
        sample::Sample,
        signed::Signed,
    },
};

pub use replica::Base;
use replica::Replica;

/// Why a task cannot be done. The scheduler and its workbench agree, so most of these mean a mistake in whoever connects them.
#[derive(Debug, thiserror::Error)]
pub enum WorkbenchError {
    /// libtorch, or a tensor that does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A task for a lane that this miner does not have.
    #[error("lane {lane} is asked for, there are {lanes}")]
    NoLane {
        /// Asked for.
        lane: u8,
        /// There are.
        lanes: usize,
    },
    /// A sample whose tensor is not here.
    #[error("sample {0:?} is not here: its {1} never arrived, or it was given up")]
    NotHere(Sample, &'static str),
    /// All sequence numbers that may be signed are used.
    #[error("sequence {0} is not reserved: write the reservation down, then make it")]
    NotReserved(u64),
}

/// A tensor that a peer pushed, with the link of the receipt that came with it.
#[derive(Clone, Debug)]
struct Arrived {
    tensor: Canonical,
    link: Digest,
    /// Of an input: as what this miner takes the sample.
    rank: u8,
}

/// A sample between its forward and the end of its backward.
#[derive(Debug)]
struct Kept {
    lane: u8,
    at: At,
    tape: Tape,
    /// What goes to the next stage, whoever takes it.
    push: Push,
    /// Link of its receipt.
    forward: Digest,
}

/// A receipt with the tensor that it names, for a peer.
#[derive(Clone, Debug)]
pub struct Push {
    /// Signed, and a leaf of the log.
    pub receipt: Signed<Receipt>,
    /// Boundary tensor or its gradient.
    pub tensor: Canonical,
}

/// A miner's lanes and what is under way in them.
pub struct Workbench {
    run: Arc<RunConfig>,
    id: Digest,
    uid: Uid,
    signer: Arc<dyn Signer>,
    number: Stage,
    stage: ModelStage,
    lanes: Vec<Replica>,
    inputs: BTreeMap<Sample, Arrived>,
    gradients: BTreeMap<Sample, Arrived>,
    kept: BTreeMap<Sample, Kept>,
    /// The half of a backward that nobody waits for: done before anything else is.
    owed: Option<(u8, Deferred)>,
    log: Log,
    /// Bytes of the leaves, for proofs.
    leaves: Vec<Vec<u8>>,
    sequence: u64,
    reserved: u64,
}

impl std::fmt::Debug for Workbench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbench")
            .field("uid", &self.uid)
            .field("stage", &self.number)
            .field("lanes", &self.lanes.len())
            .field("under_way", &self.kept.len())
            .field("leaves", &self.leaves.len())
            .finish_non_exhaustive()
    }
}

impl Workbench {
    /// Of a miner that begins at `stage` with `base` in `epoch`, on `lanes` lanes.
    ///
    /// # Errors
    /// [`ModelError`] if the stage cannot be built or the base does not fit it.
    pub fn new(
        run: Arc<RunConfig>,
        (uid, signer): (Uid, Arc<dyn Signer>),
        stage: Stage,
        device: &Device,
        lanes: u8,
        epoch: Epoch,
        base: &Base,
    ) -> Result<Self, WorkbenchError> {
        let model = ModelStage::new(&run.model, usize::from(stage), device)?;
        let lanes =
            (0..lanes).map(|lane| Replica::begin(&model, &run, lane, epoch, base)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            id: run.id(),
            run,
            uid,
            signer,
            number: stage,
            stage: model,
            lanes,
            inputs: BTreeMap::new(),
            gradients: BTreeMap::new(),
            kept: BTreeMap::new(),
            owed: None,
            log: Log::new(),
            leaves: Vec::new(),
            sequence: 0,
            reserved: 0,
        })
    }

    /// Sequences below `until` may be signed.
    pub fn reserve(&mut self, until: u64) {
        self.reserved = self.reserved.max(until);
    }

    /// Sequences that may still be signed.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved.saturating_sub(self.sequence)
    }

    /// The receipt log, for tallies and proofs.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A leaf's bytes: a SCALE-encoded `Signed<Receipt>`.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<&[u8]> {
        usize::try_from(index).ok().and_then(|i| self.leaves.get(i)).map(Vec::as_slice)
    }

    /// The stage's shape, forms and place.
    #[must_use]
    pub fn stage(&self) -> &ModelStage {
        &self.stage
    }

    /// Where a lane stands.
    #[must_use]
    pub fn at(&self, lane: u8) -> Option<At> {
        self.lanes.get(usize::from(lane)).map(|l| l.at)
    }

    /// Samples between forward and backward, and tensors that wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inputs.len() + self.gradients.len() + self.kept.len()
    }

    /// An input that the scheduler took, with the link of the receipt that came with it. `rank` is 0 where this is the pathway's miner,
    /// else the rank of the detour that led here.
    pub fn arrived(&mut self, sample: Sample, tensor: Canonical, link: Digest, rank: u8) {
        self.inputs.insert(sample, Arrived { tensor, link, rank });
    }

    /// A gradient that the scheduler took.
    pub fn returned(&mut self, sample: Sample, tensor: Canonical, link: Digest) {
        self.gradients.insert(sample, Arrived { tensor, link, rank: 0 });
    }

    /// A sample was given up or cancelled: nothing of it is kept.
    pub fn forget(&mut self, sample: Sample) {
        self.inputs.remove(&sample);
        self.gradients.remove(&sample);
        self.kept.remove(&sample);
    }

    fn lane(&mut self, lane: u8) -> Result<&mut Replica, WorkbenchError> {
        let lanes = self.lanes.len();
        self.lanes.get_mut(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })
    }

    fn sign(&mut self, work: Work) -> Result<Signed<Receipt>, WorkbenchError> {
        if self.sequence >= self.reserved {
            return Err(WorkbenchError::NotReserved(self.sequence));
        }
        let receipt = Signed::new(Receipt { sequence: self.sequence, work }, self.uid, &self.id, &*self.signer);
        self.sequence += 1;
        let bytes = receipt.encode();
        self.log.append(&bytes);
        self.leaves.push(bytes);
        Ok(receipt)
    }

    fn link(&self, receipt: &Signed<Receipt>) -> Digest {
        receipt.link(&self.signer.account())
    }

    /// What is left of the last backward.
    ///
    /// # Errors
    /// [`WorkbenchError::Model`].
    pub fn finish(&mut self) -> Result<(), WorkbenchError> {
        let Some((lane, deferred)) = self.owed.take() else { return Ok(()) };
        let lanes = self.lanes.len();
        let replica = self.lanes.get_mut(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        Ok(self.stage.accumulate(deferred, &mut replica.sum)?)
    }

    /// The forward of a sample in a lane; `tokens` are its tokens and targets, needed at the first and the last stage. Its receipt is
    /// signed once, whoever takes the output. Gives the loss, where there is one.
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn forward(
        &mut self,
        sample: Sample,
        lane: u8,
        tokens: Option<&(Canonical, Canonical)>,
    ) -> Result<Option<f32>, WorkbenchError> {
        self.finish()?;
        let (input, from, rank) = if self.stage.is_first() {
            let (tokens, _) = tokens.ok_or(WorkbenchError::NotHere(sample, "tokens"))?;
            (tokens.clone(), None, 0)
        } else {
            let arrived = self.inputs.remove(&sample).ok_or(WorkbenchError::NotHere(sample, "input"))?;
            (arrived.tensor, Some(arrived.link), arrived.rank)
        };
        let targets = match (self.stage.is_last(), tokens) {
            (true, Some((_, targets))) => Some(targets),
            (true, None) => return Err(WorkbenchError::NotHere(sample, "targets")),
            (false, _) => None,
        };
        let lanes = self.lanes.len();
        let replica = self.lanes.get(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        let at = replica.at;
        let forward = self.stage.forward(&replica.weights, &input, targets)?;
        let (tensor, loss) = (forward.output, forward.loss);
        let (input, output) = (input.digest(), tensor.digest());
        let work = Work::Forward { sample, at, from, input, output, loss: loss.map(f32::to_bits), rank };
        let receipt = self.sign(work)?;
        let link = self.link(&receipt);
        let kept = Kept { lane, at, tape: forward.tape, push: Push { receipt, tensor }, forward: link };
        self.kept.insert(sample, kept);
        Ok(loss)
    }

    /// A sample's output with its receipt, for whomever the outbox chose.
    ///
    /// # Errors
    /// [`WorkbenchError::NotHere`] if the sample was given up.
    pub fn push(&self, sample: Sample) -> Result<Push, WorkbenchError> {
        self.kept.get(&sample).map(|k| k.push.clone()).ok_or(WorkbenchError::NotHere(sample, "forward"))
    }

    /// The backward of a sample: what goes to the stage before, at every stage but the first. The weights' own gradients are still owed
    /// when this returns; the next task pays them first, or [`Workbench::finish`].
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn backward(&mut self, sample: Sample) -> Result<Option<Push>, WorkbenchError> {
        self.finish()?;
        let kept = self.kept.remove(&sample).ok_or(WorkbenchError::NotHere(sample, "forward"))?;
        let arrived = match self.stage.is_last() {
            true => None,
            false => Some(self.gradients.remove(&sample).ok_or(WorkbenchError::NotHere(sample, "gradient"))?),
        };
        let given = arrived.as_ref().map(|a| self.stage.output_gradient(&kept.tape, &a.tensor)).transpose()?;
        let (wire, deferred) = self.stage.input_gradient(kept.tape, given.as_ref())?;
        let tensor = wire.map(|g| g.to_canonical(&self.stage)).transpose()?;
        self.owed = Some((kept.lane, deferred));
        let work = Work::Backward {
            sample,
            at: kept.at,
            forward: kept.forward,
            from: arrived.as_ref().map(|a| a.link),
            output_gradient: arrived.as_ref().map(|a| a.tensor.digest()),
            input_gradient: tensor.as_ref().map(Canonical::digest),
        };
        let receipt = self.sign(work)?;
        Ok(tensor.map(|tensor| Push { receipt, tensor }))
    }

    /// A lane's step over `samples`, those whose gradients it summed, in that order.
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn step(&mut self, lane: u8, samples: Vec<Sample>) -> Result<(), WorkbenchError> {
        self.finish()?;
        let run = self.run.clone();
        let lanes = self.lanes.len();
        let replica = self.lanes.get_mut(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        let at = replica.at;
        replica.step(&self.stage, &run)?;
        let due = (at.step + 1).is_multiple_of(run.lanes.content_every);
        let content = if due { Some(replica.content(&self.stage)?.0) } else { None };
        let receipt = self.sign(Work::Step { at, samples, content })?;
        let link = self.link(&receipt);
        self.lane(lane)?.stepped(&link);
        Ok(())
    }

    /// A lane is done with its epoch: it commits to its weights and goes on in the next epoch at once. What it committed to is kept until the
    /// merge's base is carried.
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn close(&mut self, lane: u8) -> Result<Content, WorkbenchError> {
        self.finish()?;
        let lanes = self.lanes.len();
        let replica = self.lanes.get_mut(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        let at = replica.at;
        let (content, weights) = replica.content(&self.stage)?;
        replica.closed(weights);
        self.sign(Work::Close { at, content })?;
        Ok(content)
    }

    /// A lane takes up a late base: weights += base − what the lane committed to when it closed the epoch that was merged.
    ///
    /// # Errors
    /// [`WorkbenchError`]; [`WorkbenchError::Model`] if the lane closed no epoch that waits for a base.
    pub fn carry(&mut self, lane: u8, base: &Base) -> Result<(), WorkbenchError> {
        self.finish()?;
        let lanes = self.lanes.len();
        let replica = self.lanes.get_mut(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        let at = replica.at;
        let committed = replica.carry(&self.stage, base)?;
        let receipt = self.sign(Work::Carry { at, base: base.number, root: base.root, committed, content: None })?;
        let link = self.link(&receipt);
        self.lane(lane)?.renamed(&link);
        Ok(())
    }

    /// A lane that missed an epoch's end begins again from a base, in `epoch`.
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn restart(&mut self, lane: u8, epoch: Epoch, base: &Base) -> Result<(), WorkbenchError> {
        self.finish()?;
        let fresh = Replica::begin(&self.stage, &self.run, lane, epoch, base)?;
        *self.lane(lane)? = fresh;
        Ok(())
    }

    /// A lane's weights as they are, for a merge or a test.
    ///
    /// # Errors
    /// [`WorkbenchError`].
    pub fn weights(&mut self, lane: u8) -> Result<Canonical, WorkbenchError> {
        self.finish()?;
        let lanes = self.lanes.len();
        let replica = self.lanes.get(usize::from(lane)).ok_or(WorkbenchError::NoLane { lane, lanes })?;
        Ok(replica.weights.to_canonical(&self.stage)?)
    }
}
