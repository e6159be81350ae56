//! What the majority of stake supports: the weighted median per miner, and clipping to it (chain.md 6.6, 6.7).
//!
//! The chain looks for the median with a pivot search over all validators, zeros included. Its answer is a property of
//! the values and not of the search: the smallest score such that validators scoring at most that hold more than the
//! minority of the stake. So a miner's column is sorted once, with all who gave it nothing standing for one entry.

use super::fixed_point::{I32F32, at, normalise, sum};
use super::sparse::Matrix;

/// Per miner the largest weight that at least `kappa` of the active stake supports.
pub(crate) fn weighted_median(active: &[I32F32], weights: &Matrix, columns: usize, kappa: I32F32) -> Vec<I32F32> {
    let mut voices: Vec<I32F32> = active.iter().copied().filter(|stake| *stake > I32F32::ZERO).collect();
    normalise(&mut voices);
    let total = sum(voices.iter().copied());
    let minority = total.saturating_sub(kappa);

    let mut given: Vec<Vec<(I32F32, I32F32)>> = vec![Vec::new(); columns];
    let voters = weights.iter().zip(active).filter(|(_, stake)| **stake > I32F32::ZERO).map(|(row, _)| row);
    for (row, voice) in voters.zip(&voices) {
        for (j, score) in row.iter().filter(|(_, score)| *score > I32F32::ZERO) {
            if let Some(column) = given.get_mut(usize::from(*j)) {
                column.push((*score, *voice));
            }
        }
    }
    given.iter_mut().map(|column| median_of_column(column, voices.len(), total, minority)).collect()
}

/// The median of one column. `given` holds the positive scores with their stake; the other `voters` scored zero.
///
/// With kappa above the whole (dust is lost in normalising) the minority is negative and the smallest score wins; with
/// kappa zero nothing exceeds the minority and the largest wins.
fn median_of_column(given: &mut [(I32F32, I32F32)], voters: usize, total: I32F32, minority: I32F32) -> I32F32 {
    given.sort_unstable();
    let silent = voters > given.len();
    let mut at_most = total.saturating_sub(sum(given.iter().map(|(_, voice)| *voice)));
    if silent && at_most > minority {
        return I32F32::ZERO;
    }
    for (score, voice) in given.iter() {
        at_most = at_most.saturating_add(*voice);
        if at_most > minority {
            return *score;
        }
    }
    given.last().map_or(I32F32::ZERO, |(score, _)| *score)
}

/// The weights with everything above the consensus cut off. An entry that consensus cuts to nothing is dropped.
pub(crate) fn clip(weights: &Matrix, consensus: &[I32F32]) -> Matrix {
    weights
        .iter()
        .map(|row| {
            row.iter()
                .filter_map(|(j, weight)| {
                    let ceiling = at(consensus, *j);
                    if *weight <= ceiling {
                        Some((*j, *weight))
                    } else if ceiling > I32F32::ZERO {
                        Some((*j, ceiling))
                    } else {
                        None
                    }
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
#[path = "consensus_tests.rs"]
mod tests;
