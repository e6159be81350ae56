//! Staking with a price limit: how much of an order may be filled before the pool's price passes the limit.
//!
//! Prices are rao per alpha. On the root network the price is 1 TAO whatever is traded.

use super::*;
use sp_core::U256;

const TAO: u64 = 1_000_000_000;

/// TAO that lifts a pool of `tao` and `alpha` to the price `limit`, all in rao: `sqrt(limit * tao * alpha) - tao`.
pub(super) fn most_tao(tao: u64, alpha: u64, limit: u64) -> u64 {
    let product = U256::from(tao) * U256::from(alpha);
    let after = (product * U256::from(limit) / U256::from(TAO)).integer_sqrt();
    u64::try_from(after.saturating_sub(U256::from(tao))).unwrap_or(u64::MAX)
}

/// Alpha that lowers a pool of `tao` and `alpha` to the price `limit`, all in rao: `sqrt(tao * alpha / limit) - alpha`.
pub(super) fn most_alpha(tao: u64, alpha: u64, limit: u64) -> u64 {
    if limit == 0 {
        return u64::MAX;
    }
    let product = U256::from(tao) * U256::from(alpha);
    let after = (product * U256::from(TAO) / U256::from(limit)).integer_sqrt();
    u64::try_from(after.saturating_sub(U256::from(alpha))).unwrap_or(u64::MAX)
}

impl<T: Config> Pallet<T> {
    /// TAO that can be spent on a subnet before one alpha costs more than `limit` rao.
    pub fn most_to_buy(netuid: NetUid, limit: u64) -> u64 {
        if !Self::is_dynamic(netuid) {
            return if limit >= TAO { u64::MAX } else { 0 };
        }
        most_tao(SubnetTAO::<T>::get(netuid), SubnetAlphaIn::<T>::get(netuid), limit)
    }

    /// Alpha that can be sold on a subnet before one alpha yields less than `limit` rao.
    pub fn most_to_sell(netuid: NetUid, limit: u64) -> u64 {
        if limit == 0 {
            return u64::MAX;
        }
        if !Self::is_dynamic(netuid) {
            return if limit <= TAO { u64::MAX } else { 0 };
        }
        most_alpha(SubnetTAO::<T>::get(netuid), SubnetAlphaIn::<T>::get(netuid), limit)
    }

    /// The part of `wanted` that may be filled when `most` is the most the limit allows.
    pub(super) fn filled(wanted: u64, most: u64, allow_partial: bool) -> Result<u64, DispatchError> {
        ensure!(most > 0, Error::<T>::ZeroMaxStakeAmount);
        ensure!(allow_partial || wanted <= most, Error::<T>::SlippageTooHigh);
        Ok(wanted.min(most))
    }

    pub(crate) fn do_add_stake_limit(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        tao: u64,
        limit: u64,
        allow_partial: bool,
    ) -> DispatchResult {
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        let most = Self::most_to_buy(netuid, limit);
        Self::do_add_stake(origin, hotkey, netuid, Self::filled(tao, most, allow_partial)?)
    }

    pub(crate) fn do_remove_stake_limit(
        origin: OriginFor<T>,
        hotkey: AccountId,
        netuid: NetUid,
        alpha: u64,
        limit: u64,
        allow_partial: bool,
    ) -> DispatchResult {
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        let most = Self::most_to_sell(netuid, limit);
        Self::do_remove_stake(origin, hotkey, netuid, Self::filled(alpha, most, allow_partial)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(tao: u64, alpha: u64) -> f64 {
        tao as f64 / alpha as f64 * TAO as f64
    }

    #[test]
    fn the_limit_is_reached_and_not_passed() {
        for (tao, alpha, limit) in [
            (1_000_000_000_000, 1_000_000_000_000, 1_050_000_000u64),
            (7_000_000_000_000, 90_000_000_000_000, 80_000_000),
        ] {
            let most = most_tao(tao, alpha, limit);
            let left = |tao_in: u64| u128::from(tao) * u128::from(alpha) / u128::from(tao + tao_in);
            let after = price(tao + most, left(most) as u64);
            assert!(after <= limit as f64 * 1.000_001, "{after} above {limit}");
            assert!(after >= limit as f64 * 0.999_99, "{after} well below {limit}");
        }
        let (tao, alpha) = (1_000_000_000_000u64, 2_000_000_000_000u64);
        let most = most_alpha(tao, alpha, 400_000_000);
        let after = price((u128::from(tao) * u128::from(alpha) / u128::from(alpha + most)) as u64, alpha + most);
        assert!((after - 4e8).abs() < 10.0, "{after}");
    }

    #[test]
    fn a_limit_on_the_wrong_side_of_the_price_leaves_nothing_and_no_limit_leaves_all() {
        assert_eq!(most_tao(1_000, 1_000, 999_999_999), 0);
        assert_eq!(most_alpha(1_000, 1_000, 1_000_000_001), 0);
        assert_eq!(most_alpha(1_000, 1_000, 0), u64::MAX);
        assert_eq!(most_tao(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }
}
