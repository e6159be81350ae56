//! Tallies and what follows from them: rates, contributions, beacons.
//!
//! Invariant: a miner's tallies only extend; a rate is bounded by twice what was really delivered, so boasting buys no work and an idle
//! miner can grow.

use super::{
    super::{code::Refusal, signed::Signed, tally::Tally},
    Contribution, Noted, State,
    apply::{Check, must},
};
use crate::Digest;

impl State {
    /// May this tally become an entry at this clock?
    pub(super) fn check_tally(&self, signed: &Signed<Tally>, clock: u64) -> Result<(), Refusal> {
        let m = self.core.members.get(&signed.by).filter(|m| m.works()).ok_or(Refusal::NotJoined)?;
        let tally = &signed.body;
        tally.extends(&m.tally, clock.saturating_sub(m.heard), self.config.tally.max_leaves_per_s)?;
        if let Some(close) = &tally.close {
            // Of its own epoch, which is under way or has ended not long ago and is not planned yet.
            let record = self.core.epochs.get(&close.epoch);
            let open = close.epoch == m.next_close
                && close.epoch <= self.core.epoch
                && close.epoch < self.config.training.epochs
                && record.is_none_or(|r| !r.sealed && !r.contributions.contains_key(&signed.by));
            if !open {
                return Err(Refusal::NotNow);
            }
            let samples = tally.counts.backwards.saturating_add(tally.counts.dropped);
            if close.samples > samples.saturating_sub(m.closed_samples) {
                return Err(Refusal::Shrinks);
            }
        }
        Ok(())
    }

    pub(super) fn tallies(&mut self, height: u32, all: &[Signed<Tally>]) -> Check {
        must(height >= self.core.height, "the chain's height does not go down")?;
        must(!all.is_empty() && all.len() <= 4096, "an entry holds 1 to 4096 tallies")?;
        must(all.windows(2).all(|w| w[0].by < w[1].by), "tallies stand by slot, each miner once")?;
        for signed in all {
            self.check_tally(signed, self.core.clock).map_err(super::Broken::said)?;
        }
        self.core.height = height;
        for signed in all {
            self.tally(signed);
        }
        Ok(())
    }

    fn tally(&mut self, signed: &Signed<Tally>) {
        let (uid, clock) = (signed.by, self.core.clock);
        let (silence_ms, interval_ms) = (self.config.epoch.silence_ms, self.config.tally.interval_ms);
        let Some(m) = self.core.members.get_mut(&uid) else { return };
        self.core.deadlines.remove(&(m.deadline, uid));
        let before = m.samples();
        m.tally = Tally { close: None, ..signed.body.clone() };
        m.heard = clock;
        m.deadline = clock.saturating_add(silence_ms);
        self.core.deadlines.insert((m.deadline, uid));
        self.core.unbeaconed = self.core.unbeaconed.saturating_add(1);
        if m.samples() > before {
            m.accused_by.clear();
        }
        if m.samples() > before {
            m.fruitless = 0;
        }
        let (since, samples, busy) = m.measured;
        let elapsed = clock.saturating_sub(since);
        if elapsed >= (interval_ms / 2).max(1) {
            let done = m.samples().saturating_sub(samples);
            let per = |ms: u64| done.saturating_mul(1_000_000_000).checked_div(ms).unwrap_or(u64::MAX);
            let observed = per(elapsed);
            let capacity = per(m.tally.counts.busy_ms.saturating_sub(busy));
            let measured = capacity.min(observed.saturating_mul(2));
            m.rate = (m.rate / 2).saturating_add(measured / 2).max(1);
            m.measured = (clock, m.samples(), m.tally.counts.busy_ms);
            if done == 0 {
                m.fruitless = m.fruitless.saturating_add(1);
                // Out of the tables, which are made anew for it.
                self.core.table_due |=
                    m.fruitless == super::FRUITLESS && m.shirks() || m.fruitless == super::BARREN && m.barren();
            }
        }
        let Some(close) = signed.body.close else { return };
        self.count(uid, false);
        let Some(m) = self.core.members.get_mut(&uid) else { return };
        m.next_close = close.epoch.saturating_add(1);
        m.closed_samples = m.samples();
        let contribution = Contribution {
            account: m.account,
            stage: m.stage,
            contribution: close.contribution,
            samples: close.samples,
            flows: close.flows,
            tally: m.tally.number,
            beacon: None,
            barred: false,
        };
        self.count(uid, true);
        let record = self.core.epochs.entry(close.epoch).or_default();
        record.contributions.insert(uid, contribution);
        record.awaiting = record.awaiting.saturating_add(1);
        self.core.awaiting.push((close.epoch, uid));
    }

    /// A block of the chain: the beacon of everything that waits.
    pub(super) fn noted(&mut self, number: u32, hash: Digest) -> Check {
        // Whoever tallied before could know the hashes up to that height.
        let later = number > self.core.height && self.core.block.is_none_or(|b| number > b.number);
        must(later, "a beacon is later than every tally that it is for")?;
        self.core.block = Some(Noted { number, hash });
        self.core.unbeaconed = 0;
        for (epoch, uid) in std::mem::take(&mut self.core.awaiting) {
            if let Some(record) = self.core.epochs.get_mut(&epoch)
                && let Some(c) = record.contributions.get_mut(&uid)
            {
                c.beacon = Some(number);
                record.beacon = record.beacon.max(number);
                record.awaiting = record.awaiting.saturating_sub(1);
            }
        }
        Ok(())
    }
}
