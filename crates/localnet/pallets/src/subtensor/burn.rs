//! The price of a registration: times `BurnIncreaseMult` at every registration, halved every `BurnHalfLife` blocks (chain.md 9).
//!
//! Invariant: always within `[MinBurn, MaxBurn]`. The arithmetic is pure, so a client can predict the price in any number of blocks.

use super::*;

/// 1.26 in 64.64.
pub(crate) const DEFAULT_INCREASE: FixedU128 = FixedU128 { bits: (126u128 << 64) / 100 };
const ONE_Q32: u64 = 1 << 32;

/// `base^exp` in Q32, every product truncated.
fn pow_q32(mut base: u64, mut exp: u16) -> u64 {
    let mut result = ONE_Q32;
    while exp > 0 {
        if exp & 1 == 1 {
            result = mul_q32(result, base);
        }
        base = mul_q32(base, base);
        exp >>= 1;
    }
    result
}

/// Product of two Q32 words that are at most one.
fn mul_q32(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 32) as u64
}

/// The Q32 factor per block: the largest whose `half_life`-th power is at most one half. 0 blocks mean no decay.
pub fn decay_factor(half_life: u16) -> u64 {
    if half_life == 0 {
        return ONE_Q32;
    }
    let (mut low, mut high) = (0, ONE_Q32);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if pow_q32(middle, half_life) <= ONE_Q32 / 2 {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// The burn one block later, before clamping.
pub fn decayed(burn: u64, factor: u64) -> u64 {
    ((u128::from(burn) * u128::from(factor)) >> 32) as u64
}

/// The burn after one more registration, before clamping. A multiplier below one counts as one.
pub fn increased(burn: u64, mult: FixedU128) -> u64 {
    let bits = mult.bits.max(1 << 64);
    let whole = (bits >> 64).saturating_mul(u128::from(burn));
    let part = ((bits & u128::from(u64::MAX)) * u128::from(burn)) >> 64;
    u64::try_from(whole.saturating_add(part)).unwrap_or(u64::MAX)
}

impl<T: Config> Pallet<T> {
    fn clamp_burn(netuid: NetUid, burn: u64) -> u64 {
        let min = MinBurn::<T>::get(netuid);
        burn.clamp(min, MaxBurn::<T>::get(netuid).max(min))
    }

    /// Once per block, for every subnet but root.
    pub(crate) fn decay_burns() {
        for netuid in Self::subnets() {
            let before = Burn::<T>::get(netuid);
            let after = Self::clamp_burn(netuid, decayed(before, decay_factor(BurnHalfLife::<T>::get(netuid))));
            if after != before {
                Burn::<T>::insert(netuid, after);
            }
        }
    }

    /// Once per registration.
    pub(crate) fn raise_burn(netuid: NetUid) {
        let mult = BurnIncreaseMult::<T>::get(netuid);
        Burn::<T>::mutate(netuid, |burn| {
            *burn = Self::clamp_burn(netuid, increased(*burn, mult));
        });
    }
}
