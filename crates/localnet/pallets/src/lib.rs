//! The pallets of the local chain: the public subtensor interface, executed natively (design D9, `chain.md`, `localnet.md`).
//!
//! | pallet | index | the runtime supplies |
//! |---|---|---|
//! | [`subtensor`] `SubtensorModule` | 7 | `Currency` (balances in `u64`), `Commitments` (pallet 18 or `()`), `Beacon` (pallet 26), `MinTempo`, `MaxTempo` |
//! | [`commitments`] `Commitments` | 18 | `Subnets` (pallet 7), `Beacon` (pallet 26) |
//! | [`admin_utils`] `AdminUtils` | 19 | nothing |
//! | [`aura`] `Aura` | 3 | `SlotDuration` |
//! | [`drand`] `Drand` | 26 | nothing |
//!
//! Everywhere `AccountId = AccountId32`. Transaction extensions: [`check_nonce::CheckNonce`] in place of the stock one,
//! [`extension::SubtensorTransactionExtension`] after the fee. [`apis`] declares the runtime APIs, [`info`] fills their structs.
//! What differs from the public chain stands in [`subtensor`].
// Shapes and argument lists are the public interface, not ours to shorten; FRAME pastes sections of this crate into this crate.
#![allow(clippy::crate_in_macro_def, clippy::type_complexity, clippy::too_many_arguments)]

pub mod admin_utils;
pub mod apis;
pub mod aura;
pub mod check_nonce;
pub mod commitments;
pub mod drand;
pub mod extension;
pub mod info;
pub mod subtensor;
pub mod types;

impl<T: subtensor::Config> commitments::Subnets for subtensor::Pallet<T> {
    fn is_member(netuid: types::NetUid, hotkey: &types::AccountId) -> bool {
        subtensor::Uids::<T>::contains_key(netuid, hotkey)
    }
    fn epoch(netuid: types::NetUid) -> u64 {
        subtensor::SubnetEpochIndex::<T>::get(netuid)
    }
}
