//! Which entry the rules demand next. Time and block are arguments; nothing here waits.
//!
//! Invariant: the next entry is found in time that does not grow with the number of members, except where a table, a plan or a snapshot is made.

use super::{super::ledger::Event, State};
use crate::Digest;

/// What the orchestrator sees besides its ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The newest finalised block.
    pub block: Option<(u32, Digest)>,
}

impl State {
    /// The next entry that the rules demand, if any. Call until it returns `None`.
    #[must_use]
    pub fn decide(&self, view: &View) -> Option<Event> {
        let core = &self.core;
        if core.head.length == 0 || core.finished {
            return None;
        }
        if self.over() {
            return Some(Event::Finished);
        }
        let clock = self.clock_at(view.now_ms);
        if let Some((deadline, uid)) = core.deadlines.first()
            && *deadline <= clock
        {
            return Some(Event::Silent { uid: *uid });
        }
        if let Some(uid) = core.to_exclude.first() {
            return Some(Event::Excluded { uid: *uid });
        }
        if let Some((number, hash)) = view.block
            && number > core.height
            && core.block.is_none_or(|b| number > b.number)
            && (core.unbeaconed > 0 || self.waits_for_blocks())
        {
            return Some(Event::Block { number, hash });
        }
        if self.ending_allowed(clock) {
            return Some(Event::EpochEnded);
        }
        if let Some((uid, stage)) = self.to_move() {
            return Some(Event::Moved { uid, stage });
        }
        if self.merging_over(clock) {
            return Some(Event::Merged);
        }
        if core.merging.is_none()
            && core.block.is_some()
            && let Some((epoch, uid)) = core.corrections.iter().find(|(e, _)| *e < core.next_merge)
        {
            return Some(Event::Corrected { epoch: *epoch, uid: *uid });
        }
        if self.planning_allowed(clock) {
            return Some(Event::Planned);
        }
        if self.table_allowed(clock) {
            return Some(Event::Table);
        }
        if core.snapshot_due || core.head.length - core.snapshot_length >= self.config.snapshot.entries {
            return Some(Event::Snapshot { digest: self.digest() });
        }
        let quiet = view.now_ms.saturating_sub(core.at_ms);
        (quiet >= self.config.tally.beat_ms / 2).then_some(Event::Beat)
    }

    /// A merge waits for its audit window.
    fn waits_for_blocks(&self) -> bool {
        self.core.epochs.get(&self.core.next_merge).is_some_and(|r| r.ended.is_some() && !r.sealed)
    }

    /// Nothing is left to do.
    pub(super) fn over(&self) -> bool {
        let c = &self.core;
        c.next_merge >= self.config.training.epochs && c.merging.is_none() && c.corrections.is_empty()
    }
}
