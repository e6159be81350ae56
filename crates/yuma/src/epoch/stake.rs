//! Whose voice counts: stake above the threshold, the permits of the next epoch, and the active stake of this one
//! (chain.md 6.2–6.4).

use super::fixed_point::{I32F32, I64F64, normalise};

/// Stake as shares of one. What is below the threshold counts as nothing, except for the subnet owner.
pub(crate) fn shares(stake: &[u64], threshold: u64, owner: Option<u16>) -> Vec<I32F32> {
    let counted: Vec<I64F64> = stake
        .iter()
        .enumerate()
        .map(|(uid, stake)| {
            let exempt = owner.is_some_and(|owner| usize::from(owner) == uid);
            if *stake < threshold && !exempt { I64F64::ZERO } else { I64F64::saturating_from_num(*stake) }
        })
        .collect();
    let total = counted.iter().fold(I64F64::ZERO, |sum, stake| sum.saturating_add(*stake));
    counted
        .iter()
        .map(|stake| {
            let share = if total.is_zero() { *stake } else { stake.saturating_div(total) };
            I32F32::saturating_from_num(share)
        })
        .collect()
}

/// Permits for the next epoch: the `limit` largest non-zero stakes, and the owner always.
///
/// Of equal stakes at the border the higher uid wins: the chain sorts ascending and stably, and drops from the front.
pub(crate) fn permits(shares: &[I32F32], limit: u16, owner: Option<u16>) -> Vec<bool> {
    let mut granted: Vec<bool> = shares.iter().map(|share| !share.is_zero()).collect();
    let surplus = shares.len().saturating_sub(usize::from(limit));
    if surplus > 0 {
        let mut ascending: Vec<(I32F32, usize)> = shares.iter().copied().zip(0..).collect();
        ascending.sort_unstable(); // by share, then by uid: the same as a stable sort by share
        for (_, uid) in ascending.into_iter().take(surplus) {
            if let Some(permit) = granted.get_mut(uid) {
                *permit = false;
            }
        }
    }
    grant_owner(&mut granted, owner);
    granted
}

/// The owner of the subnet holds a permit whatever its stake.
pub(crate) fn grant_owner(permits: &mut [bool], owner: Option<u16>) {
    if let Some(permit) = owner.and_then(|owner| permits.get_mut(usize::from(owner))) {
        *permit = true;
    }
}

/// The shares of those that are active and held a permit when the epoch began, normalised again.
pub(crate) fn active_shares(shares: &[I32F32], active: &[bool], permits: &[bool]) -> Vec<I32F32> {
    let mut counted: Vec<I32F32> = shares
        .iter()
        .zip(active.iter().zip(permits))
        .map(|(share, (active, permit))| if *active && *permit { *share } else { I32F32::ZERO })
        .collect();
    normalise(&mut counted);
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixed(values: &[u32]) -> Vec<I32F32> {
        values.iter().map(|value| I32F32::from_num(*value)).collect()
    }

    #[test]
    fn of_equal_stakes_at_the_border_the_lower_uid_is_dropped() {
        assert_eq!(permits(&fixed(&[5, 5, 5, 5]), 2, None), [false, false, true, true]);
        assert_eq!(permits(&fixed(&[5, 5, 9, 5]), 2, None), [false, false, true, true]);
        assert_eq!(permits(&fixed(&[9, 5, 5, 1]), 2, None), [true, false, true, false]);
    }

    #[test]
    fn no_stake_means_no_permit_even_when_there_is_room() {
        assert_eq!(permits(&fixed(&[0, 3, 0]), 3, None), [false, true, false]);
        assert_eq!(permits(&fixed(&[0, 3, 0]), 9, None), [false, true, false]);
        assert_eq!(permits(&fixed(&[2, 3]), 0, None), [false, false]);
    }

    #[test]
    fn the_owner_has_a_permit_without_stake_and_stake_below_the_threshold() {
        assert_eq!(permits(&fixed(&[0, 3, 1]), 1, Some(0)), [true, true, false]);
        let shares = shares(&[10, 10, 980], 500, Some(0));
        assert_eq!(shares[1], I32F32::ZERO);
        assert!(shares[0] > I32F32::ZERO, "the owner's 10 are below 500 and count");
    }

    #[test]
    fn stake_at_the_threshold_counts_and_below_it_does_not() {
        assert_eq!(shares(&[100, 99], 100, None), [I32F32::ONE, I32F32::ZERO]);
        assert_eq!(shares(&[1, 2], 100, None), [I32F32::ZERO, I32F32::ZERO]);
    }

    proptest! {
        #[test]
        fn permits_go_to_the_largest_and_to_no_more_than_the_limit(
            stake in prop::collection::vec(0_u32..20, 0..40),
            limit in 0_u16..50,
        ) {
            let granted = permits(&fixed(&stake), limit, None);
            let count = granted.iter().filter(|granted| **granted).count();
            let positive = stake.iter().filter(|stake| **stake > 0).count();
            prop_assert_eq!(count, positive.min(usize::from(limit)));
            for (a, granted_a) in stake.iter().zip(&granted) {
                for (b, granted_b) in stake.iter().zip(&granted) {
                    prop_assert!(!(*granted_a && !*granted_b && a < b), "{} has a permit and {} has none", a, b);
                }
            }
        }

        #[test]
        fn shares_sum_to_at_most_one_and_lose_next_to_nothing(stake in prop::collection::vec(0_u64..21_000_000_000_000_000, 1..60)) {
            let shares = shares(&stake, 0, None);
            let total: f64 = shares.iter().map(|share| share.to_num::<f64>()).sum();
            prop_assert!(total <= 1.0);
            prop_assert!(stake.iter().all(|stake| *stake == 0) || total > 1.0 - 1e-7);
        }
    }
}
