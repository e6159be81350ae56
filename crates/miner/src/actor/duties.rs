//! From a duty on the agenda to a signed receipt: errand, computation, errand, signature.

use super::*;

impl Actor {
    /// Send errands for duties that nobody has begun.
    pub(super) fn begin(&mut self, agenda: &Agenda) {
        let Some(bench) = &self.bench else { return };
        let mut ahead = self.work.values().filter(|p| matches!(p, Progress::Errand(_) | Progress::Waiting(_))).count();
        let now = Instant::now();
        for (key, duty) in &agenda.duties {
            if self.work.contains_key(key) || self.signed.contains(key) || self.later.get(key).is_some_and(|t| *t > now)
            {
                continue;
            }
            // Backwards and steps free memory and hold up others: they never queue behind forwards.
            let patient = matches!(key, Key::Forward { .. } | Key::Merge { .. });
            if patient && ahead >= AHEAD {
                continue;
            }
            ahead += 1;
            let (key, epoch) = (*key, self.state.epoch());
            let handle = if let Duty::Anchor { count, head } = duty {
                let mut run = [0; 8];
                run.copy_from_slice(&self.state.run().0[..8]);
                let data = Anchor { run, epoch, count: *count, head: *head }.to_commitment();
                let (chain, hotkey, board) = (self.chain.clone(), self.hotkey.clone(), self.board.clone());
                self.errands.spawn(async move {
                    anchor(chain, hotkey, data, board).await;
                    Errand::Anchored(key)
                })
            } else {
                let (kit, duty) = (bench.kit.clone(), duty.clone());
                self.errands.spawn(async move { Errand::Prepared(key, kit.prepare(epoch, duty).await) })
            };
            self.work.insert(key, Progress::Errand(handle));
        }
    }

    pub(super) fn said(&mut self, key: Key) {
        if let Some(progress) = self.work.get_mut(&key) {
            *progress = Progress::Said;
        }
    }

    /// Try a duty again in a while, if it is still wanted then.
    pub(super) fn postpone(&mut self, key: Key) {
        self.work.remove(&key);
        self.later.insert(key, Instant::now() + AGAIN);
    }

    pub(super) fn prepared(&mut self, key: Key, result: Result<Prepared, Unavailable>) -> Result<(), MinerError> {
        if !self.work.contains_key(&key) {
            return Ok(());
        }
        match result {
            Ok(Prepared::Job(job)) => {
                self.board.fine("peers");
                self.work.insert(key, Progress::Waiting(job));
            }
            Ok(Prepared::Ready(weights)) => self.published(key, Outcome::Ready(weights))?,
            Err(Unavailable::Undelivered(fault)) => {
                self.board.trouble("peers", format!("{} does not deliver: {}", fault.peer, fault.reason));
                self.complain(key, fault);
                self.postpone(key);
            }
            // A blob of its own that is gone costs the work that needs it, not the run.
            Err(Unavailable::Own(error @ (MinerError::Gone { .. } | MinerError::Damaged { .. }))) => {
                self.board.trouble("store", error.to_string());
                self.postpone(key);
            }
            Err(Unavailable::Own(error)) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn complain(&mut self, key: Key, fault: Undelivered) {
        let (Key::Forward { sample, attempt } | Key::Backward { sample, attempt }) = key else { return };
        let said = self
            .state
            .training()
            .samples
            .get(&sample)
            .is_none_or(|s| s.attempt != attempt || s.complaints.contains(&fault.peer));
        let waiting = self.messages.iter().any(|m| matches!(m, Submission::Complaint(c) if (c.body.sample, c.body.attempt, c.body.about) == (sample, attempt, fault.peer)));
        if said || waiting {
            return;
        }
        let mut reason = fault.reason;
        let end = reason.floor_char_boundary(MAX_TEXT);
        reason.truncate(end);
        let complaint = Complaint { run: self.state.run(), sample, attempt, about: fault.peer, reason };
        self.messages.push_back(Submission::Complaint(Signed::new(complaint, self.hotkey.as_ref())));
        self.board.change(|s| s.done.complaints += 1);
    }

    // Computing.

    /// Give the thread the most urgent job.
    pub(super) fn compute(&mut self) {
        let Some(bench) = self.bench.as_mut().filter(|b| b.busy.is_none()) else { return };
        let Some(key) = self.work.iter().find(|(_, p)| matches!(p, Progress::Waiting(_))).map(|(key, _)| *key) else {
            return;
        };
        if let Some(Progress::Waiting(job)) = self.work.remove(&key) {
            let (job, draft) = *job;
            self.work.insert(key, Progress::Computing(draft));
            if bench.compute.give(key, job) {
                bench.busy = Some(key);
            }
        }
    }

    pub(super) fn computed(&mut self, (key, result): Finished) -> Result<(), MinerError> {
        let Some(bench) = &mut self.bench else { return Ok(()) };
        bench.busy = None;
        let product = match result {
            Ok(product) => product,
            Err(error) => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    return Err(MinerError::Compute(error.to_string()));
                }
                self.board.trouble("compute", format!("{}: {error}; trying again", describe(&key)));
                self.postpone(key);
                return Ok(());
            }
        };
        if self.failures > 0 {
            self.failures = 0;
            self.board.fine("compute");
        }
        match self.work.remove(&key) {
            Some(Progress::Computing(draft)) => {
                let (kit, epoch) = (bench.kit.clone(), self.state.epoch());
                let handle =
                    self.errands.spawn(async move { Errand::Published(key, kit.publish(epoch, draft, product).await) });
                self.work.insert(key, Progress::Errand(handle));
            }
            _ => self.board.change(|s| s.done.discarded += 1),
        }
        Ok(())
    }

    /// Sign, if it is still wanted: the last plan would have dropped it otherwise.
    pub(super) fn published(&mut self, key: Key, outcome: Outcome) -> Result<(), MinerError> {
        if !self.work.contains_key(&key) {
            self.board.change(|s| s.done.discarded += 1);
            return Ok(());
        }
        match outcome {
            Outcome::Ready(held) => {
                let ready = Ready {
                    run: self.state.run(),
                    epoch: self.state.epoch(),
                    weights: held.weights,
                    momentum: held.momentum,
                };
                self.messages.push_back(Submission::Ready(Signed::new(ready, self.hotkey.as_ref())));
                self.said(key);
            }
            Outcome::Work(work) => {
                let (Some(standing), Some(member)) = (self.standing(), self.state.members().get(&self.me)) else {
                    return Ok(());
                };
                let (epoch, stage) = (self.state.epoch(), member.stage);
                self.board.change(|s| match &work {
                    Work::Forward { .. } => s.done.forwards += 1,
                    Work::Backward { .. } => s.done.backwards += 1,
                    Work::Step { .. } => s.done.steps += 1,
                    Work::Merge { .. } => s.done.merges += 1,
                });
                let forger = Forger(self.hotkey.as_ref());
                let signer: &dyn Signer = match self.config.adversary {
                    Some(Adversary::BadSignature) => &forger,
                    _ => self.hotkey.as_ref(),
                };
                self.outbox.sign(signer, standing, epoch, stage, work)?;
                self.signed.insert(key);
                self.work.remove(&key);
            }
        }
        Ok(())
    }
}
