//! Who takes part: coming, being ready, going, moving.
//!
//! Invariants: an account is a miner or a validator, never both; a slot belongs to one account at a time; an account's log goes on where it
//! stood, whatever slot it comes back under, so that no sequence is ever signed twice.

use super::{
    super::{
        code::Refusal,
        message::{MAX_ADDRESS, Ready, Role, SignedJoin},
        signed::Signed,
        tally::Tally,
    },
    Auditor, Former, Member, State, Status,
    apply::{Check, must},
};
use starling_keys::Account;

use crate::{Digest, Epoch, Stage, Uid};

/// How far a peer's clock may be ahead, milliseconds.
const CLOCK_AHEAD_MS: u64 = 600_000;
/// What a miner is taken for before anything is known: one sample in a second.
const FIRST_RATE: u64 = 1_000_000;

impl State {
    /// May this join become an entry? `uid` is the slot that the chain names for the account.
    pub(super) fn check_join(&self, signed: &SignedJoin, uid: Uid, now_ms: u64) -> Result<(), Refusal> {
        let (join, account) = (&signed.join, &signed.account);
        let ok = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
        ok(!self.core.finished, Refusal::Finished)?;
        ok(self.core.head.length > 0, Refusal::NotNow)?;
        ok(join.address.len() <= MAX_ADDRESS, Refusal::TooLong)?;
        ok(join.at_ms <= now_ms.saturating_add(CLOCK_AHEAD_MS), Refusal::Clock)?;
        let (member, auditor) = (self.core.members.get(&uid), self.core.auditors.get(&uid));
        ok(
            member.is_none_or(|m| m.account == *account || matches!(m.status, Status::Gone | Status::Barred)),
            Refusal::SlotTaken,
        )?;
        ok(auditor.is_none_or(|a| a.account == *account || !a.live), Refusal::SlotTaken)?;
        let old = self.core.slots.get(account).copied();
        let (old_member, old_auditor) =
            (old.and_then(|u| self.core.members.get(&u)), old.and_then(|u| self.core.auditors.get(&u)));
        match join.role {
            Role::Miner => ok(old_auditor.is_none(), Refusal::OtherRole)?,
            Role::Validator => ok(old_member.is_none(), Refusal::OtherRole)?,
        }
        let former = self.core.former.get(account);
        let known = [
            old_member.map(|m| (m.joined_ms, m.barred_until)),
            old_auditor.map(|a| (a.joined_ms, 0)),
            former.map(|f| (f.joined_ms, f.barred_until)),
        ];
        for (joined_ms, barred_until) in known.into_iter().flatten() {
            ok(join.at_ms > joined_ms, Refusal::Clock)?;
            ok(self.core.epoch >= barred_until, Refusal::Barred)?;
        }
        if join.role == Role::Miner {
            self.stage_for(account).map(|_| ()).ok_or(Refusal::Full)?;
        }
        Ok(())
    }

    /// Where a miner that joins computes: where it did before if there is room, else in the stage with the smallest sum of rates.
    #[must_use]
    pub fn stage_for(&self, account: &Account) -> Option<Stage> {
        let stages = usize::from(self.config.stages());
        let mut sums = vec![(0u64, 0u16); stages];
        let own = self.core.slots.get(account);
        for (uid, m) in &self.core.members {
            if matches!(m.status, Status::Ghost | Status::Working)
                && Some(uid) != own
                && let Some((sum, n)) = sums.get_mut(usize::from(m.moving.unwrap_or(m.stage)))
            {
                *sum = sum.saturating_add(m.rate);
                *n = n.saturating_add(1);
            }
        }
        let most = self.config.epoch.max_miners;
        let before = own.and_then(|u| self.core.members.get(u)).map(|m| m.stage);
        if let Some(stage) = before
            && sums.get(usize::from(stage)).is_some_and(|(_, n)| *n < most)
        {
            return Some(stage);
        }
        let (stage, _) =
            sums.iter().enumerate().filter(|(_, (_, n))| *n < most).min_by_key(|(_, (sum, n))| (*n > 0, *sum, *n))?;
        Stage::try_from(stage).ok()
    }

    pub(super) fn joined(&mut self, signed: &SignedJoin, uid: Uid, stage: Stage) -> Check {
        self.check_join(signed, uid, self.core.at_ms).map_err(super::Broken::said)?;
        let (join, account) = (&signed.join, signed.account);
        if join.role == Role::Miner {
            must(self.stage_for(&account) == Some(stage), "a miner goes where it was, or where rates are smallest")?;
        }
        // From here on nothing is refused.
        let elsewhere = self.core.slots.get(&account).copied().filter(|u| *u != uid);
        let other = self.core.members.get(&uid).is_some_and(|m| m.account != account);
        if other {
            self.forget(uid);
        }
        if self.core.auditors.get(&uid).is_some_and(|a| a.account != account)
            && let Some(a) = self.core.auditors.remove(&uid)
        {
            self.core.slots.remove(&a.account);
        }
        if let Some(old) = elsewhere {
            self.forget(old);
            self.core.auditors.remove(&old);
        }
        self.core.slots.insert(account, uid);
        match join.role {
            Role::Validator => {
                let known = self.core.auditors.get(&uid);
                let (assurance, words) = known.map_or((None, 0), |a| (a.assurance, a.words));
                let discredited_until = known.map_or(0, |a| a.discredited_until);
                let (address, joined_ms, seen) = (join.address.clone(), join.at_ms, self.core.epoch);
                let auditor =
                    Auditor { account, address, joined_ms, live: true, assurance, seen, words, discredited_until };
                self.core.auditors.insert(uid, auditor);
            }
            Role::Miner => {
                if self.core.members.contains_key(&uid) {
                    self.depart(uid, Status::Gone);
                } else {
                    let former = self.core.former.remove(&account);
                    self.core.members.insert(uid, self.newcomer(account, stage, former));
                }
                let deadline = self.core.clock.saturating_add(self.config.epoch.ghost_ms);
                let (clock, rate) = (self.core.clock, self.newcomers_rate(stage));
                if let Some(m) = self.core.members.get_mut(&uid) {
                    m.stage = stage;
                    m.moving = None;
                    m.status = Status::Ghost;
                    m.address.clone_from(&join.address);
                    m.class = join.class;
                    m.joined_ms = join.at_ms;
                    m.heard = clock;
                    m.deadline = deadline;
                    m.rate = rate;
                    m.accused_by.clear();
                }
                self.core.deadlines.insert((deadline, uid));
            }
        }
        Ok(())
    }

    fn newcomer(&self, account: Account, stage: Stage, former: Option<Former>) -> Member {
        let (tally, barred_until, closed_samples) =
            former.map_or((Tally::default(), 0, 0), |f| (f.tally, f.barred_until, f.closed_samples));
        Member {
            account,
            stage,
            moving: None,
            status: Status::Gone,
            address: Vec::new(),
            class: Digest::ZERO,
            challenge: Digest::ZERO,
            joined_ms: 0,
            heard: self.core.clock,
            deadline: 0,
            barred_until,
            tally,
            rate: 0,
            measured: (self.core.clock, 0, 0),
            next_close: self.core.epoch,
            closed_samples,
            complaints: 0,
            fruitless: 0,
            accused_by: Default::default(),
        }
    }

    /// Half of what the stage's miners do on average.
    fn newcomers_rate(&self, stage: Stage) -> u64 {
        if self.core.tables.is_empty() {
            return FIRST_RATE;
        }
        let (sum, n) = self
            .core
            .members
            .values()
            .filter(|m| m.works() && m.stage == stage)
            .fold((0u64, 0u64), |(sum, n), m| (sum.saturating_add(m.rate), n + 1));
        sum.checked_div(n * 2).unwrap_or(FIRST_RATE).max(1)
    }

    /// The slot changes hands: what is known of the account stays under its name.
    fn forget(&mut self, uid: Uid) {
        self.depart(uid, Status::Gone);
        if let Some(m) = self.core.members.remove(&uid) {
            self.core.slots.remove(&m.account);
            if m.tally.number > 0 || m.barred_until > 0 {
                let Member { tally, barred_until, closed_samples, joined_ms, account, .. } = m;
                self.core.former.insert(account, Former { tally, barred_until, closed_samples, joined_ms });
            }
        }
    }

    pub(super) fn check_ready(&self, signed: &Signed<Ready>) -> Result<(), Refusal> {
        let m = self.core.members.get(&signed.by).ok_or(Refusal::NotJoined)?;
        let waits = m.status == Status::Ghost || m.works() && m.moving.is_some();
        if !waits || self.core.finished {
            return Err(Refusal::NotNow);
        }
        let base = self.base_of(signed.body.base).ok_or(Refusal::NotNow)?;
        let right = base.root(m.moving.unwrap_or(m.stage)) == Some(signed.body.root);
        if right { Ok(()) } else { Err(Refusal::WrongRoot) }
    }

    pub(super) fn ready(&mut self, signed: &Signed<Ready>) -> Check {
        self.check_ready(signed).map_err(super::Broken::said)?;
        let uid = signed.by;
        // A miner that moves leaves its old stage as one that left; what it tallied there counts.
        self.depart(uid, Status::Ghost);
        let (epoch, clock) = (self.core.epoch, self.core.clock);
        let deadline = clock.saturating_add(self.config.epoch.silence_ms);
        if let Some(m) = self.core.members.get_mut(&uid) {
            m.stage = m.moving.take().unwrap_or(m.stage);
            m.status = Status::Working;
            m.challenge = signed.body.challenge;
            m.heard = clock;
            m.deadline = deadline;
            m.next_close = epoch;
            m.measured = (clock, m.samples(), m.tally.counts.busy_ms);
            m.closed_samples = m.samples();
            m.fruitless = 0;
        }
        self.core.deadlines.insert((deadline, uid));
        self.count(uid, true);
        let least = u32::from(self.config.epoch.min_miners);
        if self.core.mustered.is_none() && self.core.working.iter().all(|n| *n >= least) {
            self.core.mustered = Some(clock);
        }
        self.core.table_due = true;
        Ok(())
    }

    /// Counters follow a working miner's coming (`true`) and going.
    pub(super) fn count(&mut self, uid: Uid, comes: bool) {
        let Some(m) = self.core.members.get(&uid) else { return };
        let (stage, next) = (usize::from(m.stage), m.next_close);
        let change = |n: &mut u32| *n = if comes { n.saturating_add(1) } else { n.saturating_sub(1) };
        if let Some(n) = self.core.working.get_mut(stage) {
            change(n);
        }
        if next > self.core.epoch
            && let Some(n) = self.core.closed.get_mut(stage)
        {
            change(n);
        }
        let open = self.core.unclosed.entry(next).or_default();
        change(open);
        if *open == 0 {
            self.core.unclosed.remove(&next);
        }
    }

    /// A miner stops being what it is: out of tables and deadlines; work that it did not close is noted for its pay.
    pub(super) fn depart(&mut self, uid: Uid, to: Status) {
        let Some(m) = self.core.members.get(&uid) else { return };
        let (deadline, worked) = (m.deadline, m.works());
        self.core.deadlines.remove(&(deadline, uid));
        if worked {
            self.count(uid, false);
            self.core.table_due = true;
        }
        if let Some(m) = self.core.members.get_mut(&uid) {
            m.status = to;
            let open = m.samples().saturating_sub(m.closed_samples);
            m.closed_samples = m.samples();
            let (account, stage) = (m.account, m.stage);
            if worked && open > 0 {
                self.core.epochs.entry(self.core.epoch).or_default().left.push((account, stage, open));
            }
        }
    }

    pub(super) fn silent(&mut self, uid: Uid) -> Check {
        let m = self.core.members.get(&uid).ok_or("a miner of this run")?;
        must(matches!(m.status, Status::Ghost | Status::Working), "only who is there falls silent")?;
        must(self.core.clock >= m.deadline, "a miner has the time that the configuration gives")?;
        self.depart(uid, Status::Gone);
        Ok(())
    }

    pub(super) fn check_leave(&self, uid: Uid, at_ms: u64) -> Result<(), Refusal> {
        let member = self.core.members.get(&uid).filter(|m| matches!(m.status, Status::Ghost | Status::Working));
        let auditor = self.core.auditors.get(&uid).filter(|a| a.live);
        let joined = member.map(|m| m.joined_ms).or(auditor.map(|a| a.joined_ms)).ok_or(Refusal::NotJoined)?;
        if at_ms >= joined { Ok(()) } else { Err(Refusal::Clock) }
    }

    pub(super) fn left(&mut self, uid: Uid, at_ms: u64) -> Check {
        self.check_leave(uid, at_ms).map_err(super::Broken::said)?;
        if self.core.members.contains_key(&uid) {
            self.depart(uid, Status::Gone);
        } else if let Some(a) = self.core.auditors.get_mut(&uid) {
            a.live = false;
        }
        Ok(())
    }

    /// Whom rebalancing moves where, if anybody: at an epoch's end from the richest stage to the poorest, with hysteresis; at any time into an
    /// empty stage.
    #[must_use]
    pub fn to_move(&self) -> Option<(Uid, Stage)> {
        let empty = self.core.working.contains(&0) && !self.core.tables.is_empty();
        if !self.core.rebalance && !empty {
            return None;
        }
        let stages = usize::from(self.config.stages());
        let mut sums = vec![(0u64, 0u32); stages];
        for m in self.core.members.values().filter(|m| m.works()) {
            if let Some((sum, n)) = sums.get_mut(usize::from(m.moving.unwrap_or(m.stage))) {
                *sum = sum.saturating_add(m.rate);
                *n += 1;
            }
        }
        let (poor, (least, there)) = sums.iter().copied().enumerate().min_by_key(|(_, (sum, _))| *sum)?;
        let (rich, (most, n)) =
            sums.iter().copied().enumerate().max_by_key(|(s, (sum, _))| (*sum, std::cmp::Reverse(*s)))?;
        if rich == poor
            || n <= u32::from(self.config.epoch.min_miners)
            || there >= u32::from(self.config.epoch.max_miners)
        {
            return None;
        }
        let from = |m: &&Member| m.works() && m.moving.is_none() && usize::from(m.stage) == rich;
        let mut donors = self.core.members.iter().filter(|(_, m)| from(m));
        let (uid, smallest) = donors.by_ref().min_by_key(|(uid, m)| (m.rate, **uid))?;
        let (donor, gainer) = (most - smallest.rate.min(most), least.saturating_add(smallest.rate));
        // A move costs a download of the stage: it must raise the bottleneck by a third.
        let worth = there == 0 || u128::from(donor.min(gainer)) * 100 > u128::from(least) * 133;
        if worth { Some((*uid, Stage::try_from(poor).ok()?)) } else { None }
    }

    pub(super) fn moved(&mut self, uid: Uid, stage: Stage) -> Check {
        must(self.to_move() == Some((uid, stage)), "the rules say who moves where")?;
        self.core.rebalance = false;
        if let Some(m) = self.core.members.get_mut(&uid) {
            m.moving = Some(stage);
        }
        Ok(())
    }

    /// Out of the run: excluded or guilty.
    pub(super) fn bar(&mut self, uid: Uid) {
        self.depart(uid, Status::Barred);
        let until: Epoch = self.core.epoch.saturating_add(1).saturating_add(self.config.audit.bar_epochs);
        let Some(m) = self.core.members.get_mut(&uid) else { return };
        m.barred_until = until;
        let account = m.account;
        let merging = self.core.merging.as_ref().map(|p| p.reason);
        for (epoch, record) in &mut self.core.epochs {
            for (slot, c) in record.contributions.iter_mut().filter(|(_, c)| c.account == account && !c.barred) {
                c.barred = true;
                // What is merged, or being merged, is subtracted.
                let planned = merging == Some(super::super::merge::Reason::Epoch(*epoch));
                if planned || *epoch < self.core.next_merge {
                    self.core.corrections.insert((*epoch, *slot));
                }
            }
        }
        self.core.to_exclude.remove(&uid);
    }
}
