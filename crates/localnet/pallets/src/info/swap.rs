//! Prices, and what a trade would give (chain.md 2, `SwapRuntimeApi`). The pool takes no fee.

use parity_scale_codec::{Decode, Encode};
use scale_info::TypeInfo;

use crate::{
    subtensor::{Config, Pallet, share},
    types::NetUid,
};

const TAO: u128 = 1_000_000_000;

/// Price of a subnet's alpha, rao per alpha.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SubnetPrice {
    pub netuid: NetUid,
    pub price: u64,
}

/// A simulated trade, rao. Slippage is what the spot price would have given more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs)]
pub struct SimSwapResult {
    pub tao_amount: u64,
    pub alpha_amount: u64,
    pub tao_fee: u64,
    pub alpha_fee: u64,
    pub tao_slippage: u64,
    pub alpha_slippage: u64,
}

impl<T: Config> Pallet<T> {
    /// Prices of all subnets.
    pub fn prices() -> Vec<SubnetPrice> {
        let price = |netuid| SubnetPrice { netuid, price: Self::alpha_price_rao(netuid) };
        Self::networks().into_iter().map(price).collect()
    }

    /// What `tao` would buy; all zero where it buys nothing.
    pub fn simulate_buy(netuid: NetUid, tao: u64) -> SimSwapResult {
        let alpha = if Self::exists(netuid) { Self::quote_buy(netuid, tao) } else { 0 };
        let spot = (u128::from(tao) * TAO).checked_div(Self::alpha_price_rao(netuid).into()).unwrap_or(0);
        SimSwapResult {
            tao_amount: if alpha == 0 { 0 } else { tao },
            alpha_amount: alpha,
            tao_fee: 0,
            alpha_fee: 0,
            tao_slippage: 0,
            alpha_slippage: if alpha == 0 { 0 } else { u64::try_from(spot).unwrap_or(u64::MAX).saturating_sub(alpha) },
        }
    }

    /// What `alpha` would sell for; all zero where it sells for nothing.
    pub fn simulate_sell(netuid: NetUid, alpha: u64) -> SimSwapResult {
        let tao = if Self::exists(netuid) { Self::quote_sell(netuid, alpha) } else { 0 };
        let spot = share(alpha, Self::alpha_price_rao(netuid), TAO);
        SimSwapResult {
            tao_amount: tao,
            alpha_amount: if tao == 0 { 0 } else { alpha },
            tao_fee: 0,
            alpha_fee: 0,
            tao_slippage: if tao == 0 { 0 } else { spot.saturating_sub(tao) },
            alpha_slippage: 0,
        }
    }
}
