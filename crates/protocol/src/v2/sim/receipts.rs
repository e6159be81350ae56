//! Receipts of a strict simulation: made where the work is done.

use super::{Sim, book::blob};
use crate::{
    Digest,
    v2::{
        receipt::{Receipt, Work},
        sample::Sample,
        schedule::Task,
        signed::Signed,
    },
};

impl Sim {
    pub(super) fn forward_receipt(&mut self, peer: usize, sample: Sample) -> Option<Box<Signed<Receipt>>> {
        self.peers[peer].book.as_ref()?.forward_of(sample).cloned().map(Box::new)
    }

    pub(super) fn sign_forward(&mut self, peer: usize, sample: Sample, lane: u8) -> Option<()> {
        let run = *self.state.run();
        let last = self.peers[peer].outbox.is_none();
        let p = &mut self.peers[peer];
        let (book, s) = (p.book.as_mut()?, p.scheduler.as_ref()?);
        let l = s.lanes().get(usize::from(lane))?;
        let at = book.at(lane, l.epoch, l.step);
        let source = book.inputs.get(&sample).cloned();
        let input = match source.as_ref().map(|r| &r.body.work) {
            Some(Work::Forward { output, .. }) => *output,
            _ => blob("tokens", sample, 0),
        };
        let from = source.as_ref().and_then(|r| Some(r.link(&self.state.account(r.by)?)));
        let output = blob("output", sample, p.uid);
        let loss = last.then_some(0);
        let rank = book.ranks.get(&sample).copied().unwrap_or(0);
        let work = Work::Forward { sample, at, from, input, output, loss, rank };
        book.sign(work, p.stage, p.uid, &run, &*p.signer);
        Some(())
    }

    pub(super) fn backward_receipt(&mut self, peer: usize, sample: Sample, lane: u8) -> Option<Box<Signed<Receipt>>> {
        let run = *self.state.run();
        let p = &mut self.peers[peer];
        let (book, s) = (p.book.as_mut()?, p.scheduler.as_ref()?);
        let l = s.lanes().get(usize::from(lane))?;
        let at = book.at(lane, l.epoch, l.step);
        let forward = book.forward_of(sample)?.link(&p.signer.account());
        let source = book.gradients.get(&sample).cloned();
        let output_gradient = source.as_ref().and_then(|r| match &r.body.work {
            Work::Backward { input_gradient, .. } => *input_gradient,
            _ => None,
        });
        let from = source.as_ref().and_then(|r| Some(r.link(&self.state.account(r.by)?)));
        let input_gradient = (p.stage > 0).then(|| blob("gradient", sample, p.uid));
        let work = Work::Backward { sample, at, forward, from, output_gradient, input_gradient };
        Some(Box::new(book.sign(work, p.stage, p.uid, &run, &*p.signer)))
    }

    pub(super) fn lane_receipt(&mut self, peer: usize, task: Task, lane: u8) {
        let run = *self.state.run();
        let every = self.plan.config.lanes.content_every;
        let root = self.state.base().and_then(|b| b.root(self.peers[peer].stage)).unwrap_or(Digest::ZERO);
        let p = &mut self.peers[peer];
        let (Some(book), Some(s)) = (p.book.as_mut(), p.scheduler.as_ref()) else { return };
        let Some(l) = s.lanes().get(usize::from(lane)) else { return };
        let at = book.at(lane, l.epoch, l.step);
        let content = book.content(lane);
        let work = match task {
            Task::Step { .. } => {
                let samples = s.summed(lane).to_vec();
                Work::Step { at, samples, content: (at.step + 1).is_multiple_of(every).then_some(content) }
            }
            Task::Close { .. } => Work::Close { at, content },
            Task::Carry { base, .. } => Work::Carry { at, base, root, committed: Digest::ZERO, content: None },
            Task::Restart { .. } => return book.restart(lane, &root),
            _ => return,
        };
        book.sign(work, p.stage, p.uid, &run, &*p.signer);
    }
}
