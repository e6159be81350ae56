//! What a registration will cost, if nobody else registers (chain.md 9).
//!
//! Pure, and the chain's own arithmetic bit by bit: the price of a later block is exact until somebody registers, which multiplies it.

use serde::Serialize;

use crate::{BlockRef, ChainError, Client, value::Value};

const ONE_Q32: u64 = 1 << 32;

/// What the price depends on, rao.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BurnCurve {
    /// Read at this block.
    pub block: u32,
    /// The price then.
    pub burn: u64,
    /// It never falls below.
    pub min: u64,
    /// It never rises above.
    pub max: u64,
    /// Blocks in which it halves; 0 for never.
    pub half_life: u16,
}

fn mul_q32(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 32) as u64
}

fn pow_q32(mut base: u64, mut exponent: u16) -> u64 {
    let mut power = ONE_Q32;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = mul_q32(power, base);
        }
        base = mul_q32(base, base);
        exponent >>= 1;
    }
    power
}

/// The factor of one block in Q32: the largest whose `half_life`-th power is at most one half.
fn factor(half_life: u16) -> u64 {
    if half_life == 0 {
        return ONE_Q32;
    }
    let (mut low, mut high) = (0, ONE_Q32);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if pow_q32(middle, half_life) <= ONE_Q32 / 2 { low = middle } else { high = middle - 1 }
    }
    low
}

impl BurnCurve {
    /// The price `blocks` later, rao, if nobody registers until then.
    #[must_use]
    pub fn after(&self, blocks: u32) -> u64 {
        let (factor, max) = (factor(self.half_life), self.max.max(self.min));
        let mut burn = self.burn;
        for _ in 0..blocks {
            let next = mul_q32(burn, factor).clamp(self.min, max);
            if next == burn {
                break;
            }
            burn = next;
        }
        burn
    }

    /// Blocks until it is at most `rao`; `None` if that never comes.
    #[must_use]
    pub fn blocks_until(&self, rao: u64) -> Option<u32> {
        let (factor, max) = (factor(self.half_life), self.max.max(self.min));
        let (mut burn, mut blocks) = (self.burn, 0);
        while burn > rao {
            let next = mul_q32(burn, factor).clamp(self.min, max);
            if next >= burn {
                return None;
            }
            burn = next;
            blocks += 1;
        }
        Some(blocks)
    }
}

impl Client {
    /// A subnet's registration price and how it falls, at a block hash or now.
    ///
    /// # Errors
    /// [`ChainError::Absent`] on runtimes of before the price fell by itself.
    pub async fn burn_curve(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<BurnCurve, ChainError> {
        let block = match at {
            None => self.head().await?,
            Some(hash) => BlockRef { number: self.block_number(hash).await?, hash },
        };
        let (key, at) = ([Value::from(netuid)], Some(block.hash));
        let there = self.storage_value("SubtensorModule", "NetworksAdded", &key, at).await?;
        if there.truth() == Ok(false) {
            return Err(crate::metagraph::no_subnet(netuid));
        }
        let (burn, min, max, half_life) = futures::try_join!(
            self.number("Burn", &key, at),
            self.number("MinBurn", &key, at),
            self.number("MaxBurn", &key, at),
            self.number("BurnHalfLife", &key, at),
        )?;
        Ok(BurnCurve { block: block.number, burn, min, max, half_life })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn curve(burn: u64, half_life: u16) -> BurnCurve {
        BurnCurve { block: 1, burn, min: 500_000, max: 100_000_000_000, half_life }
    }

    #[test]
    fn it_halves_in_its_half_life_and_stops_at_its_floor() {
        let half = curve(1_000_000_000, 360).after(360);
        // Each block rounds down, so it is a little below a half and never above.
        assert!((499_999_000..=500_000_000).contains(&half), "{half}");
        assert_eq!(curve(1_000_000_000, 360).after(1_000_000), 500_000);
        assert_eq!(curve(1_000_000_000, 0).after(1_000_000), 1_000_000_000);
        assert_eq!(curve(1_000_000_000, 360).blocks_until(1), None);
        assert_eq!(curve(5, 0).blocks_until(5), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn steps_add_up_and_the_wait_is_the_shortest(burn in 500_000_u64..10_000_000_000, half in 1_u16..2000, a in 0_u32..300, b in 0_u32..300) {
            let whole = curve(burn, half);
            let later = BurnCurve { burn: whole.after(a), ..whole };
            prop_assert_eq!(later.after(b), whole.after(a + b));
            let aim = whole.after(a + b);
            let wait = whole.blocks_until(aim).unwrap_or(u32::MAX);
            prop_assert!(wait <= a + b && whole.after(wait) <= aim);
            prop_assert!(wait == 0 || whole.after(wait - 1) > aim);
        }
    }
}
