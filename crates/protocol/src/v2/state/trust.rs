//! Whose word counts: stakes, findings, refutations, exclusion, offences, complaints.
//!
//! Invariants: a validator counts by the stake it has at a finalised block, and only with a permit; a finding alone excludes nobody; more than half of
//! the participating stake does; nothing that a validator says makes another's score. An offence needs no vote.

use super::{
    super::{
        code::Refusal,
        ledger::Stake,
        message::{Assurance, Complaint, Finding, Refutation},
        proof::{Culprit, Proof},
        signed::Signed,
    },
    Filed, QUIET_EPOCHS, State,
    apply::{Check, must},
};
use starling_keys::Account;

use crate::{Epoch, Uid};

impl State {
    pub(super) fn stakes(&mut self, block: u32, permits: &[Stake]) -> Check {
        must(block >= self.core.stakes_block, "stakes are read at ever newer blocks")?;
        must(permits.len() <= 4096, "a subnet has at most 4096 permits")?;
        must(permits.windows(2).all(|w| w[0].uid < w[1].uid), "stakes stand by slot, each once")?;
        self.core.stakes_block = block;
        self.core.permits = permits.iter().map(|s| (s.uid, (s.account, s.rao))).collect();
        self.judge_all();
        Ok(())
    }

    /// Stake with a permit of a validator that takes part.
    fn stake_of(&self, uid: Uid) -> Option<u64> {
        let auditor = self.core.auditors.get(&uid)?;
        let (account, rao) = self.core.permits.get(&uid)?;
        (*account == auditor.account).then_some(*rao)
    }

    /// Stake of a validator whose findings count.
    fn voice(&self, uid: Uid) -> Option<u64> {
        let auditor = self.core.auditors.get(&uid)?;
        self.stake_of(uid).filter(|_| self.core.epoch >= auditor.discredited_until)
    }

    /// All stake with a permit whose validator takes part and was not quiet for long.
    #[must_use]
    pub fn participating(&self) -> u128 {
        let recent = |seen: Epoch| seen.saturating_add(QUIET_EPOCHS) >= self.core.epoch;
        let of = |uid: &Uid| self.voice(*uid).map_or(0, u128::from);
        self.core.auditors.iter().filter(|(_, a)| a.live && recent(a.seen)).map(|(uid, _)| of(uid)).sum()
    }

    fn majority(&self, who: impl Iterator<Item = Uid>) -> bool {
        let sum: u128 = who.filter_map(|uid| self.voice(uid)).map(u128::from).sum();
        sum > 0 && sum * 2 > self.participating()
    }

    /// Validators with more than half of the participating stake are done with the epoch.
    pub(super) fn audited(&self, epoch: Epoch) -> bool {
        let done = |a: &super::Auditor| a.assurance.is_some_and(|s| s.epoch > epoch || s.epoch == epoch && s.complete);
        self.majority(self.core.auditors.iter().filter(|(_, a)| done(a)).map(|(uid, _)| *uid))
    }

    fn may_speak(&self, uid: Uid) -> Result<(), Refusal> {
        let auditor = self.core.auditors.get(&uid).filter(|a| a.live).ok_or(Refusal::NotJoined)?;
        self.stake_of(uid).ok_or(Refusal::NoPermit)?;
        if self.core.epoch < auditor.discredited_until { Err(Refusal::Barred) } else { Ok(()) }
    }

    fn has_words_left(&self, uid: Uid) -> Result<(), Refusal> {
        self.may_speak(uid)?;
        let words = self.core.auditors.get(&uid).map_or(0, |a| a.words);
        if words < self.config.audit.findings_per_epoch { Ok(()) } else { Err(Refusal::TooMany) }
    }

    pub(super) fn check_finding(&self, signed: &Signed<Finding>) -> Result<(), Refusal> {
        self.has_words_left(signed.by)?;
        let f = &signed.body;
        let known = self.core.members.get(&f.miner).is_some_and(|m| m.account == f.account)
            || self.core.former.contains_key(&f.account);
        let author = self.account(signed.by).ok_or(Refusal::NotJoined)?;
        if known && !self.core.findings.contains_key(&f.id(&author)) { Ok(()) } else { Err(Refusal::NotNow) }
    }

    pub(super) fn finding(&mut self, signed: &Signed<Finding>) -> Check {
        self.check_finding(signed).map_err(super::Broken::said)?;
        let (author, account) = (signed.by, signed.body.account);
        let id = signed.body.id(&self.account(author).ok_or("a validator of this run")?);
        let epoch = self.core.epoch;
        self.core.findings.insert(id, Filed { author, account, epoch, refuted_by: Default::default() });
        self.core.failed_by.entry(account).or_default().insert(author);
        self.spoke(author);
        self.judge(&account);
        Ok(())
    }

    fn spoke(&mut self, uid: Uid) {
        if let Some(a) = self.core.auditors.get_mut(&uid) {
            a.words = a.words.saturating_add(1);
            a.seen = self.core.epoch;
        }
    }

    /// Is this miner to be excluded now?
    fn judge(&mut self, account: &Account) {
        let Some(uid) = self.core.slots.get(account).copied() else { return };
        let standing =
            self.core.members.get(&uid).is_some_and(|m| m.account == *account && m.barred_until <= self.core.epoch);
        let against = self.core.failed_by.get(account).into_iter().flatten().copied();
        if standing && self.majority(against) {
            self.core.to_exclude.insert(uid);
        } else {
            self.core.to_exclude.remove(&uid);
        }
    }

    fn judge_all(&mut self) {
        let accused: Vec<Account> = self.core.failed_by.keys().copied().collect();
        for account in accused {
            self.judge(&account);
        }
    }

    pub(super) fn excluded(&mut self, uid: Uid) -> Check {
        must(self.core.to_exclude.contains(&uid), "more than half of the participating stake failed the miner")?;
        self.bar(uid);
        Ok(())
    }

    pub(super) fn check_refutation(&self, signed: &Signed<Refutation>) -> Result<(), Refusal> {
        self.has_words_left(signed.by)?;
        let finding = self.core.findings.get(&signed.body.finding).ok_or(Refusal::NotNow)?;
        let new = finding.author != signed.by && !finding.refuted_by.contains(&signed.by);
        if new { Ok(()) } else { Err(Refusal::NotNow) }
    }

    pub(super) fn refutation(&mut self, signed: &Signed<Refutation>) -> Check {
        self.check_refutation(signed).map_err(super::Broken::said)?;
        self.spoke(signed.by);
        let Some(finding) = self.core.findings.get_mut(&signed.body.finding) else { return Ok(()) };
        finding.refuted_by.insert(signed.by);
        let (author, refuters) = (finding.author, finding.refuted_by.clone());
        if self.majority(refuters.into_iter()) {
            self.core.findings.remove(&signed.body.finding);
            let until = self.core.epoch.saturating_add(1).saturating_add(self.config.audit.bar_epochs);
            if let Some(a) = self.core.auditors.get_mut(&author) {
                a.discredited_until = until;
            }
            for voices in self.core.failed_by.values_mut() {
                voices.remove(&author);
            }
            self.judge_all();
        }
        Ok(())
    }

    pub(super) fn check_assurance(&self, signed: &Signed<Assurance>) -> Result<(), Refusal> {
        self.may_speak(signed.by)?;
        let new = &signed.body;
        let last = self.core.auditors.get(&signed.by).and_then(|a| a.assurance);
        let extends = last.is_none_or(|l| {
            (new.epoch, new.complete) > (l.epoch, l.complete) && new.verdicts >= l.verdicts && new.failed >= l.failed
        });
        let sane = new.epoch <= self.core.epoch && new.failed <= new.verdicts;
        if extends && sane { Ok(()) } else { Err(Refusal::NotNow) }
    }

    pub(super) fn assurance(&mut self, signed: &Signed<Assurance>) -> Check {
        self.check_assurance(signed).map_err(super::Broken::said)?;
        let epoch = self.core.epoch;
        if let Some(a) = self.core.auditors.get_mut(&signed.by) {
            a.assurance = Some(signed.body);
            a.seen = epoch;
        }
        Ok(())
    }

    pub(super) fn check_offence(&self, proof: &Proof) -> Result<Culprit, Refusal> {
        let root = |uid: Uid, base: u32| {
            let m = self.core.members.get(&uid)?;
            self.base_of(base)?.root(m.moving.unwrap_or(m.stage))
        };
        let culprit = proof
            .culprit(&self.run, &self.config.orchestrator, |uid| self.account(uid), root)
            .map_err(|_| Refusal::NoProof)?;
        let known = match culprit {
            Culprit::Peer(uid) => self.core.members.get(&uid).is_none_or(|m| m.barred_until > self.core.epoch),
            Culprit::Orchestrator => self.core.distrusted,
        };
        if known { Err(Refusal::NotNow) } else { Ok(culprit) }
    }

    pub(super) fn offence(&mut self, proof: &Proof) -> Check {
        match self.check_offence(proof).map_err(super::Broken::said)? {
            Culprit::Peer(uid) => self.bar(uid),
            Culprit::Orchestrator => self.core.distrusted = true,
        }
        Ok(())
    }

    pub(super) fn check_complaint(&self, signed: &Signed<Complaint>) -> Result<(), Refusal> {
        let works = |uid: Uid| self.core.members.get(&uid).filter(|m| m.works());
        let author = works(signed.by).ok_or(Refusal::NotJoined)?;
        let about = works(signed.body.about).ok_or(Refusal::NotNow)?;
        let neighbours = author.stage.abs_diff(about.stage) == 1;
        let known = self.table_of(signed.body.sample.table).is_some();
        if !neighbours || !known || about.accused_by.contains(&signed.by) {
            return Err(Refusal::NotNow);
        }
        if author.complaints >= self.config.prices.complaints_per_epoch { Err(Refusal::TooMany) } else { Ok(()) }
    }

    pub(super) fn complaint(&mut self, signed: &Signed<Complaint>) -> Check {
        self.check_complaint(signed).map_err(super::Broken::said)?;
        let epoch = self.core.epoch;
        if let Some(author) = self.core.members.get_mut(&signed.by) {
            author.complaints = author.complaints.saturating_add(1);
            let record = self.core.epochs.entry(epoch).or_default();
            let n = record.complaints.entry(author.account).or_default();
            *n = n.saturating_add(1);
        }
        if let Some(about) = self.core.members.get_mut(&signed.body.about) {
            about.accused_by.insert(signed.by);
            if about.doubted() {
                self.core.table_due = true;
            }
        }
        Ok(())
    }
}
