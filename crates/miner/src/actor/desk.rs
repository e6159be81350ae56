//! Handing in what is signed or said, and showing what goes on.

use super::*;

impl Actor {
    pub(super) fn submit(&mut self, pending: &[Receipt]) {
        if self.submitting {
            return;
        }
        let receipts: Vec<_> = if pending.last().is_some_and(|r| r.sequence >= self.sent) {
            self.outbox.pending().into_iter().filter(|s| s.body.sequence >= self.sent).take(BATCH).collect()
        } else {
            Vec::new()
        };
        let (sent, batch) = match (receipts.last(), self.messages.front()) {
            (Some(last), _) => {
                (Sent::Receipts(last.body.sequence + 1), receipts.into_iter().map(Submission::Receipt).collect())
            }
            (None, Some(message)) => (Sent::Message, vec![message.clone()]),
            (None, None) => return,
        };
        self.submitting = true;
        let link = self.link.clone();
        let pause = self.pause.get("handing in").copied().unwrap_or_default();
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Submitted(sent, link.submit(batch).await)
        });
    }

    pub(super) fn submitted(&mut self, sent: Sent, result: Result<(), LinkError>) -> Result<(), MinerError> {
        self.submitting = false;
        match (result, sent) {
            (Ok(()), sent) => {
                self.fine("handing in");
                match sent {
                    Sent::Receipts(upto) => self.sent = self.sent.max(upto),
                    Sent::Message => drop(self.messages.pop_front()),
                }
            }
            (Err(LinkError::Refused(why)), Sent::Message) if why.code.reaction() == Reaction::Reconsider => {
                tracing::debug!(%why, "a message was refused");
                // Readiness for an epoch that has begun, say. The agenda knows better by the next page.
                if let Some(Submission::Ready(_)) = self.messages.pop_front() {
                    let keys: Vec<Key> = self.work.keys().filter(|k| matches!(k, Key::Hold { .. })).copied().collect();
                    keys.into_iter().for_each(|key| self.postpone(key));
                }
            }
            (Err(error), _) => {
                let reaction = error.reaction();
                self.rejoin |= reaction == Reaction::Rejoin;
                if matches!(reaction, Reaction::Reconsider | Reaction::Rejoin) {
                    // The ledger may hold them already: it says so with the next page. Until then from the start.
                    self.sent = self.standing().map_or(0, |s| s.count);
                }
                self.orchestrator_trouble("handing in", error)?;
            }
        }
        Ok(())
    }

    /// TEST ONLY: the adversary that serves its peers and leaves the auditors with nothing.
    pub(super) fn withhold(&mut self) {
        let epoch = self.state.epoch();
        let anchored = matches!(self.state.phase(), Phase::Anchoring { .. } | Phase::Auditing { .. });
        if self.config.adversary != Some(Adversary::WithholdOpening) || !anchored || self.withheld == Some(epoch) {
            return;
        }
        let (Some(bench), Some(member)) = (&self.bench, self.state.members().get(&self.me)) else { return };
        self.withheld = Some(epoch);
        let base = self.state.base().get(usize::from(member.stage));
        let needed =
            |d: &Digest| member.weights == Some(*d) || base.is_some_and(|b| b.weights == *d || b.momentum == *d);
        let filed = self.state.filed().get(&self.me).into_iter().flatten();
        let digests: Vec<Digest> = filed.flat_map(|f| f.signed.body.work.openings()).filter(|d| !needed(d)).collect();
        let spare = member.optimiser.map(|digest| (digest, bench.kit.forms.optimiser.clone()));
        let library = self.library.clone();
        self.errands
            .spawn(async move { Errand::Tidied(library.withhold(&digests, spare).await.map(|()| digests.len())) });
    }

    pub(super) fn show(&self, waiting: &str) {
        let busy = self.bench.as_ref().and_then(|b| b.busy);
        let errand = || self.work.iter().find(|(_, p)| matches!(p, Progress::Errand(_))).map(|(key, _)| key);
        let activity = match (busy, errand()) {
            (Some(key), _) => format!("computing {}", describe(&key)),
            (None, Some(key @ Key::Anchor { .. })) => describe(key),
            (None, Some(key)) => format!("moving the data of {}", describe(key)),
            (None, None) => format!("waiting: {waiting}"),
        };
        let member = self.state.members().get(&self.me);
        let phase = self.state.phase();
        self.board.change(|s| {
            (s.uid, s.stage) = (member.map(|m| m.uid), member.map(|m| m.stage));
            (s.epoch, s.phase) = (self.state.epoch(), phase.name());
            s.round = self.state.training().round.filter(|_| *phase == Phase::Training);
            s.activity = activity;
            s.unfiled = self.outbox.len();
            s.links = self.library.links();
        });
    }
}
