//! From contributions to the next base: who averages which shard, when it is agreed, and what the base is then called.
//!
//! Invariants: a stage's vector is cut into a fixed number of shards; every shard has up to three reducers, drawn by a block's hash that came after
//! the contributions; two equal results decide, a lone reducer's only where there is no other; a shard without agreement keeps its old
//! content. So every base's digests follow from the first base and from what stands in the ledger (design D18).

use std::ops::Range;

use parity_scale_codec::{Decode, Encode};

use super::receipt::named;
use crate::{Digest, Epoch, Stage, Uid, seed};

/// Reducers of one shard, where there are that many.
pub const REDUCERS: usize = 3;

/// The weights that an epoch begins with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Base {
    /// Counts bases from 0.
    pub number: u32,
    /// Per stage the digests of its shards.
    pub stages: Vec<Vec<Digest>>,
}

impl Base {
    /// Name of a stage's part.
    #[must_use]
    pub fn root(&self, stage: Stage) -> Option<Digest> {
        self.stages.get(usize::from(stage)).map(|shards| root(shards))
    }
}

/// One name for a list of shard digests: a base of a stage, or a contribution.
#[must_use]
pub fn root(shards: &[Digest]) -> Digest {
    let bytes: Vec<u8> = shards.iter().flat_map(|d| d.0).collect();
    named("starling.base.v2", &[&(shards.len() as u64).to_le_bytes(), &bytes])
}

/// The slice of a vector of `length` elements that shard `index` of `count` covers; slices differ by at most one element.
#[must_use]
pub fn shard_range(length: u64, index: u64, count: u64) -> Range<u64> {
    crate::merge::shard_range(length, index, count)
}

/// Why a merge is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reason {
    /// An epoch is over.
    Epoch(Epoch),
    /// A contribution of that epoch is to be subtracted.
    Correction {
        /// Epoch that it was merged into.
        epoch: Epoch,
        /// Whose it was.
        uid: Uid,
    },
}

/// Who contributes to a stage, and who reduces.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StagePlan {
    /// Contributors by slot ascending (the order of summation), their contributions and weights in the mean.
    pub contributions: Vec<(Uid, Digest, u64)>,
    /// Those who reduce, in the order that the beacon gives.
    pub reducers: Vec<Uid>,
    /// Per shard, who said what: at most [`REDUCERS`].
    pub votes: Vec<Vec<(Uid, Digest)>>,
}

/// A merge under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Plan {
    /// Number of the base that it makes.
    pub base: u32,
    /// Why.
    pub reason: Reason,
    /// State clock when it was planned.
    pub since: u64,
    /// Per stage.
    pub stages: Vec<StagePlan>,
    /// Shards without agreement yet; counted down, so that nobody has to look through them.
    pub open: u32,
}

impl StagePlan {
    /// Plan a stage: `working` are the contributors that can still reduce.
    #[must_use]
    pub fn new(
        contributions: Vec<(Uid, Digest, u64)>,
        working: &[Uid],
        shards: u16,
        beacon: &Digest,
        stage: Stage,
    ) -> Self {
        let mut reducers = working.to_vec();
        reducers.sort_unstable();
        let mut key = [0; 8];
        key.copy_from_slice(beacon.0.first_chunk::<8>().unwrap_or(&[0; 8]));
        seed::shuffle(&mut reducers, &mut seed::stream(u64::from_le_bytes(key), "reducers", &[u64::from(stage)]));
        Self { contributions, reducers, votes: vec![Vec::new(); usize::from(shards)] }
    }

    /// How many reducers each shard has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.reducers.len().min(REDUCERS)
    }

    /// Reducers of a shard.
    pub fn reducers_of(&self, shard: usize) -> impl Iterator<Item = Uid> + '_ {
        let n = self.reducers.len().max(1);
        (0..self.width()).filter_map(move |k| self.reducers.get((shard % n + k) % n).copied())
    }

    /// Shards that `uid` reduces, ascending: the order of digests in its [`super::message::Shards`].
    #[must_use]
    pub fn shards_of(&self, uid: Uid) -> Vec<usize> {
        let n = self.reducers.len();
        let Some(own) = self.reducers.iter().position(|r| *r == uid) else { return Vec::new() };
        (0..self.votes.len()).filter(|shard| (own + n - shard % n) % n < self.width()).collect()
    }

    /// What a shard's reducers agree on.
    #[must_use]
    pub fn agreed(&self, shard: usize) -> Option<Digest> {
        let votes = self.votes.get(shard)?;
        let need = self.width() / 2 + 1;
        votes.iter().map(|(_, d)| *d).find(|d| votes.iter().filter(|(_, other)| other == d).count() >= need)
    }

    /// Reducers whose word differs from what was agreed.
    #[must_use]
    pub fn dissent(&self) -> Vec<Uid> {
        let mut all: Vec<Uid> = (0..self.votes.len())
            .filter_map(|shard| Some((self.agreed(shard)?, self.votes.get(shard)?)))
            .flat_map(|(right, votes)| votes.iter().filter(move |(_, d)| *d != right).map(|(uid, _)| *uid))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Plan {
    /// The base that the agreed shards make; the others keep their old content.
    #[must_use]
    pub fn result(&self, old: &Base) -> Base {
        let stages = self
            .stages
            .iter()
            .zip(&old.stages)
            .map(|(plan, old)| (0..).zip(old).map(|(shard, kept)| plan.agreed(shard).unwrap_or(*kept)).collect())
            .collect();
        Base { number: self.base, stages }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn plan(n: u16, shards: u16, beacon: u8) -> StagePlan {
        let uids: Vec<Uid> = (0..n).collect();
        let contributions = uids.iter().map(|u| (*u, Digest::ZERO, 1)).collect();
        StagePlan::new(contributions, &uids, shards, &Digest([beacon; 32]), 0)
    }

    proptest! {
        #[test]
        fn every_shard_has_three_different_reducers_or_all_there_are_and_the_work_is_even(n in 1u16..40, shards in 1u16..70, beacon: u8) {
            let plan = plan(n, shards, beacon);
            let mut load = vec![0usize; usize::from(n)];
            for shard in 0..usize::from(shards) {
                let own: BTreeSet<Uid> = plan.reducers_of(shard).collect();
                prop_assert_eq!(own.len(), usize::from(n).min(3));
                for uid in own {
                    load[usize::from(uid)] += 1;
                    prop_assert!(plan.shards_of(uid).contains(&shard));
                }
            }
            for uid in 0..n {
                prop_assert_eq!(plan.shards_of(uid).len(), load[usize::from(uid)]);
            }
            let spread = load.iter().max().unwrap() - load.iter().min().unwrap();
            prop_assert!(spread <= 3, "{:?}", load);
        }
    }

    #[test]
    fn two_of_three_decide_and_the_third_is_named() {
        let mut plan = plan(3, 1, 1);
        let (right, wrong) = (Digest([1; 32]), Digest([2; 32]));
        plan.votes[0] = vec![(0, wrong)];
        assert_eq!(plan.agreed(0), None);
        plan.votes[0] = vec![(0, wrong), (1, right)];
        assert_eq!(plan.agreed(0), None);
        plan.votes[0] = vec![(0, wrong), (1, right), (2, right)];
        assert_eq!(plan.agreed(0), Some(right));
        assert_eq!(plan.dissent(), [0]);
    }

    #[test]
    fn one_of_two_decides_nothing_and_a_lone_reducer_decides() {
        let mut two = plan(2, 1, 1);
        two.votes[0] = vec![(0, Digest([1; 32]))];
        assert_eq!(two.agreed(0), None);
        let mut one = plan(1, 1, 1);
        one.votes[0] = vec![(0, Digest([1; 32]))];
        assert_eq!(one.agreed(0), Some(Digest([1; 32])));
    }

    #[test]
    fn another_block_draws_other_reducers() {
        assert_ne!(plan(9, 9, 1).reducers, plan(9, 9, 2).reducers);
    }

    #[test]
    fn a_shard_without_agreement_keeps_its_old_content() {
        let mut stage = plan(2, 2, 1);
        let (old, new) = (Digest([1; 32]), Digest([2; 32]));
        stage.votes[1] = vec![(0, new), (1, new)];
        let plan = Plan { base: 1, reason: Reason::Epoch(0), since: 0, stages: vec![stage], open: 1 };
        let base = plan.result(&Base { number: 0, stages: vec![vec![old, old]] });
        assert_eq!(base, Base { number: 1, stages: vec![vec![old, new]] });
        assert_ne!(base.root(0), Some(root(&[old, old])));
    }
}
