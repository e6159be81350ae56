//! Following the ledger and taking part: pages, joining, trouble with the orchestrator, tidying after an audit.

use super::*;

impl Actor {
    pub(super) fn ask_for_page(&mut self, pause: Duration) {
        let (link, from) = (self.link.clone(), self.state.head().length);
        let wait = if self.caught_up { LONG_POLL } else { Duration::ZERO };
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Page(link.page(from, wait).await)
        });
    }

    pub(super) fn absorb(&mut self, page: &Page) -> Result<(), MinerError> {
        self.fine("orchestrator");
        let entries = self.state.absorb(page).map_err(|e| MinerError::Distrust(e.to_string()))?;
        self.library.book().update(&self.state);
        // A full page may have more behind it; an empty one has not.
        self.caught_up |= entries == 0;
        if self.caught_up {
            if let Some(standing) = self.standing() {
                self.outbox.reconcile(standing)?;
                self.sent = self.sent.max(standing.count);
            }
            self.tidy();
        }
        let round = Some((self.state.epoch(), self.state.training().round));
        if self.round != round {
            self.round = round;
            self.signed.clear();
            self.later.clear();
        }
        // Waiting for news is the orchestrator's part; one that does not wait is not asked all the time.
        self.ask_for_page(if entries == 0 { FIRST_PAUSE / 4 } else { Duration::ZERO });
        Ok(())
    }

    /// Where this miner's chain stands in the ledger.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.state.members().get(&self.me).map(|m| Standing { count: m.count, link: m.link })
    }

    pub(super) fn pending(&self) -> Vec<Receipt> {
        self.outbox.pending().into_iter().map(|s| s.body).collect()
    }

    /// After an audit closed: drop what only it needed.
    pub(super) fn tidy(&mut self) {
        let Some(closed) = self.state.closed().map(|c| c.epoch).filter(|e| self.tidied.is_none_or(|t| t < *e)) else {
            return;
        };
        self.tidied = Some(closed);
        let kept = keep(&self.state, &self.me, &self.pending());
        let library = self.library.clone();
        self.errands.spawn(async move { Errand::Tidied(library.tidy(closed, |digest| kept.contains(digest)).await) });
    }

    // Trouble with the orchestrator.

    pub(super) fn fine(&mut self, what: &'static str) {
        self.pause.remove(what);
        self.board.fine(what);
    }

    /// How long to wait before asking again; an error if asking again is of no use.
    pub(super) fn orchestrator_trouble(
        &mut self,
        what: &'static str,
        error: LinkError,
    ) -> Result<Duration, MinerError> {
        if error.reaction() == Reaction::End {
            return Err(MinerError::Refused(error.to_string()));
        }
        self.board.trouble(what, format!("{error}; trying again"));
        let pause = self.pause.entry(what).or_insert(FIRST_PAUSE);
        let now = *pause;
        *pause = (now * 2).min(LONGEST_PAUSE);
        Ok(now)
    }

    pub(super) fn join(&mut self, pause: Duration) {
        self.joining = true;
        let known = self.state.members().get(&self.me).map_or(0, |m| m.joined_ms);
        // The clock may have been set back since the last join.
        let at_ms = now_ms().max(known + 1);
        let (link, hotkey, run) = (self.link.clone(), self.hotkey.clone(), self.state.run());
        self.errands.spawn(async move {
            sleep(pause).await;
            Errand::Joined(at_ms, link.join(hotkey.as_ref(), run, Role::Miner, at_ms).await)
        });
    }

    pub(super) fn joined(&mut self, at_ms: u64, result: Result<(), LinkError>) -> Result<(), MinerError> {
        match result {
            Ok(()) => {
                self.joining = false;
                self.joined_ms = Some(at_ms);
                self.rejoin = false;
                self.refused_since = None;
                self.fine("joining");
            }
            Err(error) => {
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                let no = matches!(error.reaction(), Reaction::Reconsider | Reaction::Rejoin);
                if no && self.joined_ms.is_none() && since.elapsed() > REFUSED {
                    return Err(MinerError::Refused(error.to_string()));
                }
                let pause = self.orchestrator_trouble("joining", error)?;
                self.join(pause.max(AGAIN / 2));
            }
        }
        Ok(())
    }
}
