//! The pallets of the local chain: the public subtensor interface, executed natively.
//!
//! What the runtime supplies: see each pallet's `Config` (`subtensor`: currency, commitments, tempo bounds; `commitments`:
//! subnets; `admin_utils`, `drand`: nothing). [`apis`] declares the runtime APIs, [`info`] fills their structs.

pub mod admin_utils;
pub mod apis;
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
