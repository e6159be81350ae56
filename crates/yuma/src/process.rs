//! Weights made to fit a subnet's limits before they are quantised, as the official clients do it (chain.md 4.5).
//!
//! Two generations of it: [`process`] is that of releases up to 10.x, written in numpy's single precision, and [`clip`] that of 11.x, in
//! doubles. Both to the last bit: the order of additions is numpy's (pairwise) and Python's (one after the other, as before release 3.12).
//! A validator that computed its weights with either gets the same vector here.

use thiserror::Error;

/// Why weights cannot be processed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum ProcessError {
    /// Nothing to divide by.
    #[error("all weights are zero: there is nothing to set")]
    AllZero,
    /// More weights than neurons.
    #[error("there are {weights} weights and {neurons} neurons; give each neuron one weight")]
    TooMany {
        /// Weights given.
        weights: usize,
        /// Neurons on the subnet.
        neurons: usize,
    },
    /// The limit is no share of the whole.
    #[error("the limit of a weight is {0}; it must be above 0 and at most 1")]
    Limit(f64),
}

/// A subnet's limits on weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Fewest weights above zero.
    pub min_allowed: usize,
    /// Largest part of the sum that one weight may be, in (0, 1].
    pub max: f64,
    /// Part of the weights, from below, that is left out, /65535.
    pub exclude_quantile: u16,
}

/// numpy's additions, in either precision.
macro_rules! numpy {
    ($module:ident, $float:ty) => {
        mod $module {
            /// `np.sum`: in blocks of at most 128, each in eight interleaved sums, halves added pairwise.
            pub fn sum(values: &[$float]) -> $float {
                let n = values.len();
                if n < 8 {
                    return values.iter().fold(0.0, |sum, v| sum + v);
                }
                if n <= 128 {
                    let mut sums = [0.0; 8];
                    let whole = n - n % 8;
                    for (i, value) in values[..whole].iter().enumerate() {
                        if i < 8 { sums[i] = *value } else { sums[i % 8] += value }
                    }
                    let [a, b, c, d, e, f, g, h] = sums;
                    let first = ((a + b) + (c + d)) + ((e + f) + (g + h));
                    return values[whole..].iter().fold(first, |sum, v| sum + v);
                }
                let half = n / 2 - (n / 2) % 8;
                sum(&values[..half]) + sum(&values[half..])
            }

            /// Scaled to sum 1, with what is above the limit cut to a common value such that the largest share is the limit.
            pub fn normalise(weights: &[$float], limit: f64) -> Vec<$float> {
                let n = weights.len();
                let short = limit as $float;
                let epsilon = 1e-7_f64 as $float;
                if sum(weights) == 0.0 || n as f64 * limit <= 1.0 {
                    return vec![1.0 / n as $float; n];
                }
                let mut sorted = weights.to_vec();
                sorted.sort_by(<$float>::total_cmp);
                let total = sum(&sorted);
                let estimation: Vec<$float> = sorted.iter().map(|v| v / total).collect();
                if estimation.last().is_none_or(|largest| *largest <= short) {
                    let total = sum(weights);
                    return weights.iter().map(|w| w / total).collect();
                }
                let mut sums = Vec::with_capacity(n);
                let mut running = 0.0;
                for value in &estimation {
                    running += value;
                    sums.push(running);
                }
                let below = (0..n)
                    .filter(|i| {
                        let above = (n - i - 1) as $float * estimation[*i];
                        estimation[*i] / (above + sums[*i] + epsilon) < short
                    })
                    .count();
                // numpy takes place -1 for the last.
                let reached = sums[below.checked_sub(1).unwrap_or(n - 1)];
                let scale = (short * reached - epsilon) / (1.0 - limit * (n - below) as f64) as $float;
                let cutoff = scale * total;
                let cut: Vec<$float> = weights.iter().map(|w| if *w > cutoff { cutoff } else { *w }).collect();
                let total = sum(&cut);
                cut.iter().map(|w| w / total).collect()
            }
        }
    };
}

numpy!(single, f32);
numpy!(double, f64);

/// What `process_weights` of the official releases up to 10.x makes of the weights of neurons `uids`, out of `neurons` on the subnet: the
/// uids it weighs and their shares.
///
/// Few weights are filled up with tiny ones for everybody, and none at all become equal ones for everybody, as it does.
///
/// # Errors
/// [`ProcessError::TooMany`], [`ProcessError::Limit`].
pub fn process(
    uids: &[u16],
    weights: &[f64],
    neurons: u16,
    limits: &Limits,
) -> Result<(Vec<u16>, Vec<f64>), ProcessError> {
    let n = usize::from(neurons);
    check(limits.max)?;
    if weights.len() > n || uids.len() != weights.len() {
        return Err(ProcessError::TooMany { weights: weights.len(), neurons: n });
    }
    let weights: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
    let places: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    if places.is_empty() || n < limits.min_allowed {
        return Ok(((0..neurons).collect(), vec![1.0 / n as f64; n]));
    }
    if places.len() < limits.min_allowed {
        let mut filled = vec![1e-5_f64; n];
        for place in places {
            filled[place] += f64::from(weights[place]);
        }
        return Ok(((0..neurons).collect(), double::normalise(&filled, limits.max)));
    }
    let kept: Vec<f32> = places.iter().map(|i| weights[*i]).collect();
    let most_excluded = (kept.len() - limits.min_allowed) as f64 / kept.len() as f64;
    let lowest = quantile(&kept, (f64::from(limits.exclude_quantile) / f64::from(u16::MAX)).min(most_excluded) as f32);
    let (uids, kept): (Vec<u16>, Vec<f32>) =
        places.iter().map(|i| (uids[*i], weights[*i])).filter(|(_, weight)| lowest <= *weight).unzip();
    Ok((uids, single::normalise(&kept, limits.max).into_iter().map(f64::from).collect()))
}

fn check(limit: f64) -> Result<(), ProcessError> {
    if limit > 0.0 && limit <= 1.0 { Ok(()) } else { Err(ProcessError::Limit(limit)) }
}

/// `np.quantile`, linear, of a list that is not empty.
fn quantile(values: &[f32], q: f32) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let place = (sorted.len() - 1) as f32 * q;
    let below = (place.floor() as usize).min(sorted.len() - 1);
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let part = place - below as f32;
    let between = high - low;
    if part >= 0.5 { high - between * (1.0 - part) } else { low + between * part }
}

/// What release 11.x makes of weights where a subnet limits the largest: shares of the sum, none above `limit`.
///
/// # Errors
/// [`ProcessError::AllZero`], [`ProcessError::Limit`].
pub fn clip(weights: &[f64], limit: f64) -> Result<Vec<f64>, ProcessError> {
    check(limit)?;
    let add = |values: &[f64]| values.iter().fold(0.0, |sum: f64, v| sum + v);
    let (n, total) = (weights.len(), add(weights));
    if total <= 0.0 {
        return Err(ProcessError::AllZero);
    }
    if n as f64 * limit <= 1.0 {
        return Ok(vec![1.0 / n as f64; n]);
    }
    let mut estimation: Vec<f64> = weights.iter().map(|w| w / total).collect();
    estimation.sort_by(f64::total_cmp);
    if estimation.last().is_none_or(|largest| *largest <= limit) {
        return Ok(weights.iter().map(|w| w / total).collect());
    }
    let mut running = 0.0;
    let sums: Vec<f64> = estimation
        .iter()
        .map(|e| {
            running += e;
            running
        })
        .collect();
    let below =
        (0..n).filter(|i| estimation[*i] / ((n - i - 1) as f64 * estimation[*i] + sums[*i] + 1e-7) < limit).count();
    let reached = sums[below.checked_sub(1).unwrap_or(n - 1)];
    let cutoff = (limit * reached - 1e-7) / (1.0 - limit * (n - below) as f64) * total;
    let cut: Vec<f64> = weights.iter().map(|w| w.min(cutoff)).collect();
    let total = add(&cut);
    Ok(cut.iter().map(|w| w / total).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// `tests/data/process_weights.json`: `bittensor.utils.weight_utils.process_weights` of release 10.5.0 under numpy 2.4.6, run on forty
    /// random cases of up to 300 neurons.
    #[test]
    fn forty_cases_come_out_as_release_10_5_makes_them_to_the_last_bit() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../tests/data/process_weights.json")).unwrap();
        assert_eq!(cases.len(), 40);
        // As text: a JSON reader may be off by a last bit.
        let floats =
            |v: &Value| -> Vec<f64> { v.as_str().unwrap().split_whitespace().map(|x| x.parse().unwrap()).collect() };
        for (number, case) in cases.iter().enumerate() {
            let weights = floats(&case["weights"]);
            let limits = Limits {
                min_allowed: case["min_allowed"].as_u64().unwrap() as usize,
                max: floats(&case["max_limit"])[0],
                exclude_quantile: case["exclude_quantile"].as_u64().unwrap() as u16,
            };
            let uids: Vec<u16> = (0..weights.len() as u16).collect();
            let neurons = case["neurons"].as_u64().unwrap() as u16;
            let (uids, processed) = process(&uids, &weights, neurons, &limits).unwrap();
            let wanted: Vec<u16> = serde_json::from_value(case["uids"].clone()).unwrap();
            assert_eq!(uids, wanted, "case {number}");
            assert_eq!(processed, floats(&case["processed"]), "case {number}: {limits:?}");
        }
    }

    #[test]
    fn limits_that_are_none_and_weights_of_nobody_are_refused() {
        let limits = |max| Limits { min_allowed: 0, max, exclude_quantile: 0 };
        for bad in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(process(&[0], &[1.0], 1, &limits(bad)).is_err());
            assert!(clip(&[1.0], bad).is_err());
        }
        assert!(process(&[0, 1], &[1.0, 1.0], 1, &limits(1.0)).is_err());
        assert_eq!(clip(&[0.0, 0.0], 0.5), Err(ProcessError::AllZero));
        assert_eq!(clip(&[], 0.5), Err(ProcessError::AllZero));
    }

    proptest! {
        #[test]
        fn no_share_is_above_the_limit_and_all_of_them_are_the_whole(
            weights in prop::collection::vec(0.0..100.0_f64, 1..200), limit in 0.01..1.0_f64,
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.0);
            let shares = clip(&weights, limit).unwrap();
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let fits = weights.iter().filter(|w| **w > 0.0).count() as f64 * limit > 1.0 + 1e-6;
            if fits {
                prop_assert!(shares.iter().all(|s| *s <= limit + 1e-6), "{shares:?}");
            }
        }
    }
}
