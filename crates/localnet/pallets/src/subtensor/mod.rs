//! `SubtensorModule` (pallet index 7): subnets, neurons, stake, weights, commit and reveal, emission and Yuma consensus, with the public
//! chain's names and rules (`chain.md` sections 1, 3, 4, 5.1, 6, 9).
//!
//! Invariant: TAO is in balances (a subnet's TAO in the subnet's own account, equal to `SubnetTAO`), and per subnet
//! `SubnetAlphaOut` = Σ `TotalHotkeyAlpha` + pending emission: what is not paid out is removed, never lost track of.
//!
//! The pallet macro sees storage, calls, errors, events, genesis and hooks from their own files; rules are `impl Pallet` blocks in the
//! sibling files.
//!
//! **What differs from the public chain** (everything else in the sections above is meant to be the same):
//! - The pool is a plain constant product over `SubnetTAO` and `SubnetAlphaIn` without fee; the public one has a fee and weights.
//! - TAO emission is shared over started subnets by spot price; alpha emission is a constant 1 alpha a block (no halving).
//! - Root dividends are paid at once as alpha to the root stakers (the public chain lets them claim); no
//!   collateral, no locks, no leases, no swaps of coldkeys, no dissolving of subnets (a full chain refuses: `SubnetLimitReached`).
//! - A validator whose stake is all on root takes part in the alpha dividends too (the public chain pays it from root's part only).
//! - What the owner hotkey earns as a miner is always recycled (public: burned or recycled by `RecycleOrBurn`). Other hotkeys of the
//!   owner's coldkey are paid like anybody's.
//! - Stake shares are the `Alpha` and `TotalHotkeyShares` maps of spec 381, not the later `AlphaV2`.

use crate::types::{
    AccountId, AxonInfo, FixedI128, FixedU128, MechId, NetUid, NetUidStorageIndex, PrometheusInfo, ROOT,
};
use frame_support::pallet_macros::import_section;
use frame_support::pallet_prelude::*;
use frame_system::pallet_prelude::*;
use sp_core::H256;
use std::collections::VecDeque;

pub use pallet::*;

mod burn;
mod calls;
mod children;
mod coinbase;
mod commit_reveal;
mod config;
mod epoch;
mod errors;
mod events;
pub mod fork;
mod genesis;
mod genesis_build;
mod hooks;
pub mod hyperparameters;
mod identities;
mod limits;
mod mechanisms;
mod moves;
pub mod params;
mod payout;
mod pool;
mod pow;
mod registration;
mod serving;
mod share_pool;
mod staking;
mod storage;
mod subnets;
mod swap_keys;
mod takes;
mod tempo;
mod timelock;
mod weights;

pub use burn::{decay_factor, decayed, increased};
pub use coinbase::ALPHA_PER_BLOCK;
pub use commit_reveal::commit_hash;
pub(crate) use pool::share;
pub use pow::{meets_difficulty, registration_seal};
pub use serving::{BadEndpoint, check_endpoint};
pub use staking::MIN_STAKE;
pub use timelock::VERSION as TIMELOCK_VERSION;
pub use weights::max_upscale;

#[import_section(config::config)]
#[import_section(storage::storage)]
#[import_section(calls::calls)]
#[import_section(errors::errors)]
#[import_section(events::events)]
#[import_section(genesis::genesis)]
#[import_section(hooks::hooks)]
#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::moves::Limit;
    use super::*;
    use crate::types::{ChainIdentityV2, SubnetIdentityV3};
    use frame_support::traits::{ConstBool, ConstI16, ConstU8, ConstU16, ConstU32, ConstU64};
    use parity_scale_codec::Compact;

    /// The pallet.
    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    /// The one constant that the official SDK reads.
    #[pallet::extra_constants]
    impl<T: Config> Pallet<T> {
        /// Blocks from a subnet's registration to its `start_call`.
        #[pallet::constant_name(InitialStartCallDelay)]
        fn initial_start_call_delay() -> u64 {
            0
        }
    }
}

impl<T: Config> Pallet<T> {
    /// The current block number.
    pub fn now() -> u64 {
        use sp_runtime::SaturatedConversion;
        frame_system::Pallet::<T>::block_number().saturated_into()
    }
}
