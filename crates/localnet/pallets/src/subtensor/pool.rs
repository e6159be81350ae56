//! A subnet's pool: TAO against alpha by constant product, 1:1 on the root network. No fee (see the module's differences).
//!
//! Invariant: a trade never lowers `SubnetTAO * SubnetAlphaIn`, and the TAO moves between accounts in the same step.

use super::genesis_build::DYNAMIC;
use super::*;
use frame_support::traits::fungible::{Inspect, Mutate};
use frame_support::traits::tokens::{Fortitude, Preservation};

impl<T: Config> Pallet<T> {
    /// What a coldkey can spend, rao.
    pub fn free_balance(coldkey: &AccountId) -> u64 {
        T::Currency::reducible_balance(coldkey, Preservation::Expendable, Fortitude::Polite)
    }

    pub(crate) fn is_dynamic(netuid: NetUid) -> bool {
        SubnetMechanism::<T>::get(netuid) == DYNAMIC
    }

    /// Price of one alpha in 96.32; 0 for an empty pool, 1 on root.
    pub fn alpha_price(netuid: NetUid) -> fixed::types::I96F32 {
        if !Self::is_dynamic(netuid) {
            return fixed::types::I96F32::from_num(1);
        }
        let alpha = SubnetAlphaIn::<T>::get(netuid);
        fixed::types::I96F32::from_num(SubnetTAO::<T>::get(netuid))
            .checked_div(fixed::types::I96F32::from_num(alpha))
            .unwrap_or_default()
    }

    /// Price of one alpha in rao; 0 for an empty pool.
    pub fn alpha_price_rao(netuid: NetUid) -> u64 {
        Self::alpha_price(netuid).saturating_mul(fixed::types::I96F32::from_num(1_000_000_000u64)).saturating_to_num()
    }

    /// Alpha that `tao` buys now.
    pub fn quote_buy(netuid: NetUid, tao: u64) -> u64 {
        if !Self::is_dynamic(netuid) {
            return tao;
        }
        share(SubnetAlphaIn::<T>::get(netuid), tao, u128::from(SubnetTAO::<T>::get(netuid)) + u128::from(tao))
    }

    /// TAO that `alpha` sells for now.
    pub fn quote_sell(netuid: NetUid, alpha: u64) -> u64 {
        let tao = SubnetTAO::<T>::get(netuid);
        if !Self::is_dynamic(netuid) {
            return alpha.min(tao);
        }
        share(tao, alpha, u128::from(SubnetAlphaIn::<T>::get(netuid)) + u128::from(alpha))
    }

    /// Moves `tao` from a coldkey into the pool; the alpha is the caller's to credit.
    pub(crate) fn buy(coldkey: &AccountId, netuid: NetUid, tao: u64) -> Result<u64, DispatchError> {
        let alpha = Self::quote_buy(netuid, tao);
        ensure!(alpha > 0, Error::<T>::InsufficientLiquidity);
        T::Currency::transfer(coldkey, &Self::subnet_account(netuid), tao, Preservation::Expendable)?;
        SubnetTAO::<T>::mutate(netuid, |v| *v = v.saturating_add(tao));
        if Self::is_dynamic(netuid) {
            SubnetAlphaIn::<T>::mutate(netuid, |v| *v = v.saturating_sub(alpha));
        }
        SubnetAlphaOut::<T>::mutate(netuid, |v| *v = v.saturating_add(alpha));
        SubnetVolume::<T>::mutate(netuid, |v| *v = v.saturating_add(tao.into()));
        TotalStake::<T>::mutate(|v| *v = v.saturating_add(tao));
        Ok(alpha)
    }

    /// Moves what `alpha` sells for from the pool to a coldkey; the alpha is the caller's to debit.
    pub(crate) fn sell(coldkey: &AccountId, netuid: NetUid, alpha: u64) -> Result<u64, DispatchError> {
        let tao = Self::quote_sell(netuid, alpha);
        ensure!(tao > 0, Error::<T>::InsufficientLiquidity);
        // Preserve: the account keeps its existential deposit for ever.
        T::Currency::transfer(&Self::subnet_account(netuid), coldkey, tao, Preservation::Preserve)?;
        SubnetTAO::<T>::mutate(netuid, |v| *v = v.saturating_sub(tao));
        if Self::is_dynamic(netuid) {
            SubnetAlphaIn::<T>::mutate(netuid, |v| *v = v.saturating_add(alpha));
        }
        SubnetAlphaOut::<T>::mutate(netuid, |v| *v = v.saturating_sub(alpha));
        SubnetVolume::<T>::mutate(netuid, |v| *v = v.saturating_add(tao.into()));
        TotalStake::<T>::mutate(|v| *v = v.saturating_sub(tao));
        Ok(tao)
    }
}

/// `of * part / whole`, rounded down; 0 for nothing.
pub(crate) fn share(of: u64, part: u64, whole: u128) -> u64 {
    (u128::from(of) * u128::from(part)).checked_div(whole).and_then(|v| u64::try_from(v).ok()).unwrap_or(0)
}
