//! From one audited epoch of the ledger to records of work.
//!
//! Invariant: nothing is paid that was not assigned, in time, sound and anchored; nobody is condemned but by the ledger's
//! own contradiction, by the judging validator's own re-execution, or by the majority of validators (design D5, D13). One
//! foreign verdict alone condemns nobody: it can be replayed, and whoever replays it reports it as its own.

use starling_keys::Account;
use starling_protocol::{
    flops::Costs,
    message::Outcome,
    receipt::Work,
    state::{ClosedEpoch, Filed, Standing},
};

use super::{EpochWork, Flops, MinerWork};

/// Reads what everyone did in `closed`, as `judge` sees it. `anchored` says whose receipt chain of that epoch is on chain
/// with the head that the ledger has, `costs` what each kind of work is worth; without an anchor, work is worth nothing (and is no offence: the fault may be elsewhere).
#[must_use]
pub fn gather(costs: &Costs, closed: &ClosedEpoch, judge: &Account, anchored: impl Fn(&Account) -> bool) -> EpochWork {
    let own: &[_] = closed.verdicts.get(judge).map_or(&[], Vec::as_slice);
    let miners = closed
        .filed
        .iter()
        .map(|(miner, filed)| {
            let about = || own.iter().filter(|verdict| verdict.miner == *miner).map(|verdict| &verdict.outcome);
            let unsound = filed.iter().any(|filed| matches!(filed.standing, Standing::Unsound(_)));
            let differs = about().any(|o| matches!(o, Outcome::Differs { .. } | Outcome::Unsound { .. }));
            MinerWork {
                miner: *miner,
                flops: if anchored(miner) { counted(costs, filed) } else { Flops::default() },
                failed: unsound || differs || closed.benched.contains(miner),
                withheld: about().any(|o| matches!(o, Outcome::Withheld { .. })),
            }
        })
        .collect();
    EpochWork { epoch: closed.epoch, miners }
}

/// Operations of the receipts that count.
fn counted(costs: &Costs, filed: &[Filed]) -> Flops {
    let mut flops = Flops::default();
    for receipt in filed.iter().filter(|f| f.standing == Standing::Counted).map(|f| &f.signed.body) {
        let worth = u128::from(costs.of(receipt.stage, &receipt.work));
        let kind = match &receipt.work {
            Work::Forward { .. } => &mut flops.forward,
            Work::Backward { .. } => &mut flops.backward,
            Work::Step { .. } => &mut flops.step,
            Work::Merge { .. } => &mut flops.merge,
        };
        *kind = kind.saturating_add(worth);
    }
    flops
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
