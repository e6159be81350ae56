//! Emission: half to those who served, half to those who judged, floor to the rao (chain.md 6.10).

use super::fixed_point::{I32F32, I96F32, normalise, normalise_by, sum};

/// Rao per uid.
pub(crate) struct Emission {
    /// To miners, by incentive.
    pub server: Vec<u64>,
    /// To validators, by dividends.
    pub validator: Vec<u64>,
    /// What the metagraph shows as a neuron's emission.
    pub combined: Vec<u64>,
}

/// Splits `emission` by incentive and dividends. When nobody earned either, validators share it by stake: the active
/// stake, or all stake when none is active.
pub(crate) fn split(
    incentive: &[I32F32],
    dividends: &[I32F32],
    stake: &[I32F32],
    active: &[I32F32],
    emission: u64,
) -> Emission {
    let mut combined: Vec<I32F32> = incentive.iter().zip(dividends).map(|(i, d)| i.saturating_add(*d)).collect();
    let total = sum(combined.iter().copied());
    if total.is_zero() {
        let shares = if sum(active.iter().copied()).is_zero() { stake } else { active };
        let by_stake = rao(shares, emission);
        return Emission { server: rao(incentive, emission), validator: by_stake.clone(), combined: by_stake };
    }
    let mut server = incentive.to_vec();
    let mut validator = dividends.to_vec();
    normalise_by(&mut server, total);
    normalise_by(&mut validator, total);
    normalise(&mut combined);
    Emission {
        server: rao(&server, emission),
        validator: rao(&validator, emission),
        combined: rao(&combined, emission),
    }
}

fn rao(shares: &[I32F32], emission: u64) -> Vec<u64> {
    let emission = I96F32::saturating_from_num(emission);
    shares
        .iter()
        .map(|share| I96F32::saturating_from_num(*share).saturating_mul(emission).saturating_to_num::<u64>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_nothing_earned_the_active_stake_is_paid_and_failing_that_all_stake() {
        let none = [I32F32::ZERO; 2];
        let stake = [I32F32::from_num(0.25), I32F32::from_num(0.75)];
        let active = [I32F32::ONE, I32F32::ZERO];
        let paid = split(&none, &none, &stake, &active, 1000);
        assert_eq!((paid.server, paid.validator, paid.combined), (vec![0, 0], vec![1000, 0], vec![1000, 0]));
        let paid = split(&none, &none, &stake, &none, 1000);
        assert_eq!((paid.server, paid.validator, paid.combined), (vec![0, 0], vec![250, 750], vec![250, 750]));
    }

    #[test]
    fn the_largest_emission_does_not_overflow() {
        let paid = split(&[I32F32::ONE], &[I32F32::ZERO], &[I32F32::ZERO], &[I32F32::ZERO], u64::MAX);
        assert_eq!(paid.server, [u64::MAX]);
    }
}
