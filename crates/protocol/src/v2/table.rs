//! Routing tables: whose the next sample is, and which pathway it takes by interleaved weighted round robin.
//!
//! Invariant: a pure function of roster, public rates, the run's seed and a counter. Every receiver recomputes it, so nobody chooses its
//! partners, and shares within a stage are in proportion to weights to within one sample in each period. Who works with whom changes
//! from table to table, which attribution of bad losses to pathways needs (CLASP).

use parity_scale_codec::{Decode, Encode};

use super::sample::Sample;
use crate::{Stage, Uid, seed};

/// Largest weight of a miner in a table.
pub const MAX_WEIGHT: u64 = 16;

/// One miner's line in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Line {
    /// Slot.
    pub uid: Uid,
    /// 1 to [`MAX_WEIGHT`].
    pub weight: u8,
    /// Turns it had tallied when the table was made; stage 0 only.
    pub turns: u32,
}

/// What a table is made of: what a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lines {
    /// Counts tables from 0.
    pub number: u32,
    /// The run's sample number of place 0.
    pub first: u64,
    /// Per stage, in the order in which they are dealt.
    pub stages: Vec<Vec<Line>>,
}

/// A table with the sequences that follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    lines: Lines,
    seed: u64,
    /// Per stage and place of a period: index of the line.
    sequences: Vec<Vec<u16>>,
    /// Per line of stage 0: its places in a period.
    places: Vec<Vec<u32>>,
    /// Slot and line of stage 0, by slot.
    heads: Vec<(Uid, usize)>,
}

/// A miner that may be put into a table.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Slot.
    pub uid: Uid,
    /// Public rate, in any unit.
    pub rate: u64,
    /// Complained about by several: half the weight.
    pub doubted: bool,
    /// Turns tallied.
    pub turns: u32,
}

impl Lines {
    /// Freeze a roster: order shuffled by the seed, weights quantised. `None` if a stage has nobody.
    #[must_use]
    pub fn new(run_seed: u64, number: u32, first: u64, roster: &[Vec<Candidate>]) -> Option<Self> {
        if roster.is_empty() || roster.iter().any(Vec::is_empty) {
            return None;
        }
        let stages = (0u64..)
            .zip(roster)
            .map(|(stage, miners)| {
                let largest = miners.iter().map(|m| m.rate).max().unwrap_or(0).max(1);
                let mut lines: Vec<Line> = miners
                    .iter()
                    .map(|m| {
                        let exact = level(m.rate, largest);
                        let weight = if m.doubted { exact / 2 } else { exact }.max(1);
                        Line { uid: m.uid, weight, turns: m.turns }
                    })
                    .collect();
                let common = lines.iter().fold(0, |g, l| gcd(g, l.weight)).max(1);
                for line in &mut lines {
                    line.weight /= common;
                }
                lines.sort_unstable_by_key(|l| l.uid);
                seed::shuffle(&mut lines, &mut seed::stream(run_seed, "table", &[stage]));
                lines
            })
            .collect();
        Some(Self { number, first, stages })
    }
}

/// Weights that there are. So coarse that machines of one kind have one weight whatever the noise in their rates: 15 beside 16 makes partners change all
/// the time, and samples of several heads queue at one miner while another is idle.
const LEVELS: [u8; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// The level nearest to `rate / largest` in proportion.
fn level(rate: u64, largest: u64) -> u8 {
    let [rate, largest, most] = [u128::from(rate), u128::from(largest.max(1)), u128::from(MAX_WEIGHT)];
    // Between two levels decides their geometric mean: rate² · 16² against low · high · largest².
    let square = rate * rate * most * most;
    let above = |pair: &&[u8]| square > u128::from(pair[0]) * u128::from(pair[1]) * largest * largest;
    LEVELS.windows(2).take_while(above).last().map_or(1, |pair| pair[1])
}

fn gcd(a: u8, b: u8) -> u8 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Interleaved weighted round robin over one period: next = argmin (served + 1) / weight, ties to the earlier line.
fn sequence(lines: &[Line]) -> Vec<u16> {
    use std::{cmp::Reverse, collections::BinaryHeap};
    // (served + 1) / weight as a fraction over the common denominator of all weights up to 16.
    const COMMON: u64 = 720_720;
    let due = |served: u64, weight: u8| (served + 1) * COMMON / u64::from(weight.max(1));
    let mut heap: BinaryHeap<_> = (0u16..).zip(lines).map(|(i, l)| Reverse((due(0, l.weight), i, 0u64))).collect();
    let period: usize = lines.iter().map(|l| usize::from(l.weight)).sum();
    let mut order = Vec::with_capacity(period);
    while order.len() < period
        && let Some(Reverse((_, i, served))) = heap.pop()
    {
        order.push(i);
        let weight = lines.get(usize::from(i)).map_or(1, |l| l.weight);
        heap.push(Reverse((due(served + 1, weight), i, served + 1)));
    }
    order
}

impl Table {
    /// Work out the sequences.
    #[must_use]
    pub fn new(run_seed: u64, lines: Lines) -> Self {
        let sequences: Vec<Vec<u16>> = lines.stages.iter().map(|s| sequence(s)).collect();
        let mut places = vec![Vec::new(); lines.stages.first().map_or(0, Vec::len)];
        for (place, line) in (0u32..).zip(sequences.first().map_or(&[][..], Vec::as_slice)) {
            if let Some(own) = places.get_mut(usize::from(*line)) {
                own.push(place);
            }
        }
        let mut heads: Vec<_> = lines.stages.iter().take(1).flatten().map(|l| l.uid).zip(0..).collect();
        heads.sort_unstable();
        Self { lines, seed: run_seed, sequences, places, heads }
    }

    /// What it was made of.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.lines.number
    }

    /// Number of stages.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.lines.stages.len()
    }

    /// The miners of a stage.
    pub fn miners(&self, stage: Stage) -> impl Iterator<Item = Uid> + '_ {
        self.lines.stages.get(usize::from(stage)).into_iter().flatten().map(|l| l.uid)
    }

    /// Place of a stage-0 miner's turn; `None` for another miner, or a turn from before the table.
    #[must_use]
    pub fn place(&self, head: Uid, turn: u32) -> Option<u64> {
        let found = self.heads.binary_search_by_key(&head, |(uid, _)| *uid).ok()?;
        let index = self.heads.get(found)?.1;
        let (line, own) = (self.lines.stages.first()?.get(index)?, self.places.get(index)?);
        let nth = u64::from(turn.checked_sub(line.turns)?);
        let (period, each) = (self.sequences.first()?.len() as u64, own.len() as u64);
        let within = *own.get(usize::try_from(nth % each.max(1)).ok()?)?;
        Some(nth / each.max(1) * period + u64::from(within))
    }

    /// The run's number of the sample: which tokens it consists of.
    #[must_use]
    pub fn number_of(&self, sample: Sample) -> Option<u64> {
        Some(self.lines.first.saturating_add(self.place(sample.head, sample.turn)?))
    }

    /// The miner of `stage` on a sample's pathway.
    #[must_use]
    pub fn pathway(&self, sample: Sample, stage: Stage) -> Option<Uid> {
        if sample.table != self.lines.number {
            return None;
        }
        let place = self.place(sample.head, sample.turn)?;
        if stage == 0 {
            return Some(sample.head);
        }
        let sequence = self.sequences.get(usize::from(stage))?;
        let period = sequence.len() as u64;
        // One turn of the sequence a table: with equal weights each head has a partner of its own in every stage, and nobody queues behind anybody
        // (0.97 of the machines' time where partners that changed all the time gave 0.85).
        let turn = mix(&[self.seed, u64::from(stage), u64::from(self.lines.number)]);
        let index = usize::try_from((place % period.max(1) + turn % period.max(1)) % period.max(1)).ok()?;
        let line = *sequence.get(index)?;
        self.lines.stages.get(usize::from(stage))?.get(usize::from(line)).map(|l| l.uid)
    }

    /// Whom a sample goes to if the pathway's miner of `stage` does not take it: rank 1 is the first to try. All others of the stage, in an
    /// order of the sample's own.
    #[must_use]
    pub fn detour(&self, sample: Sample, stage: Stage, rank: u8) -> Option<Uid> {
        let intended = self.pathway(sample, stage)?;
        let lines = self.lines.stages.get(usize::from(stage))?;
        let others = lines.len().checked_sub(1).filter(|n| *n >= usize::from(rank) && rank > 0)?;
        let own = lines.iter().position(|l| l.uid == intended)?;
        let start = mix(&[self.seed, u64::from(sample.head), u64::from(sample.turn), u64::from(stage)]) % others as u64;
        let offset = (usize::try_from(start).ok()? + usize::from(rank) - 1) % others;
        lines.get((own + 1 + offset) % lines.len()).map(|l| l.uid)
    }

    /// Whether `uid` is the miner of `stage` for the sample, at this rank (0: the pathway's).
    #[must_use]
    pub fn leads_to(&self, sample: Sample, stage: Stage, rank: u8, uid: Uid) -> bool {
        let there = if rank == 0 { self.pathway(sample, stage) } else { self.detour(sample, stage, rank) };
        there == Some(uid)
    }
}

/// A well mixed number from a few (splitmix64's finaliser, folded): fair, not secret; the seed is public anyway.
fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |h, p| {
        let mut z = (h ^ p).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests;
