//! `AdminUtils` (pallet index 19): hyperparameters set by root or, within its limits, by a subnet's owner.
//!
//! Public call indices, names and argument names (snapshot of spec 381) for the values that this chain has. Who may set what,
//! and when, is `subtensor::hyperparameters`; this file writes the value and raises the public event. The snapshot has no call for
//! `TaoWeight`: genesis sets it.

use frame_support::pallet_prelude::*;
use frame_system::pallet_prelude::*;

use crate::{
    subtensor::{self, Event as Subnet},
    types::{AccountId, FixedU128, Hyperparameter as What, NetUid},
};

pub use pallet::*;

mod calls;

#[frame_support::pallet_macros::import_section(calls::calls)]
#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> + subtensor::Config {}

    #[pallet::event]
    #[pallet::generate_deposit(fn deposit_event)]
    pub enum Event<T: Config> {
        /// Yuma 3 was switched.
        Yuma3EnableToggled { netuid: NetUid, enabled: bool },
        /// Resetting of bonds was switched.
        BondsResetToggled { netuid: NetUid, enabled: bool },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// There is no such subnet.
        #[codec(index = 0)]
        SubnetDoesNotExist,
        /// More validators than neurons.
        #[codec(index = 1)]
        MaxValidatorsLargerThanMaxUIds,
        /// Fewer slots than neurons.
        #[codec(index = 2)]
        MaxAllowedUIdsLessThanCurrentUIds,
        /// An owner may set at most 975000.
        #[codec(index = 3)]
        BondsMovingAverageMaxReached,
        /// Only root may set a negative steepness.
        #[codec(index = 4)]
        NegativeSigmoidSteepness,
        /// Outside the allowed values.
        #[codec(index = 5)]
        ValueNotInBounds,
        /// A minimum above the number of neurons.
        #[codec(index = 6)]
        MinAllowedUidsGreaterThanCurrentUids,
        /// A minimum above the maximum.
        #[codec(index = 7)]
        MinAllowedUidsGreaterThanMaxAllowedUids,
        /// A maximum below the minimum.
        #[codec(index = 8)]
        MaxAllowedUidsLessThanMinAllowedUids,
        /// More than 256 slots.
        #[codec(index = 9)]
        MaxAllowedUidsGreaterThanDefaultMaxAllowedUids,
        /// Not a value that this chain can take.
        #[codec(index = 10)]
        InvalidValue,
    }

    /// Greatest `MinBurn` and least `MaxBurn`, rao (constants of the public chain).
    const MIN_BURN_UPPER: u64 = 1_000_000_000;
    const MAX_BURN_LOWER: u64 = 100_000_000;
    /// Greatest moving average of bonds that an owner may set, /1e6.
    const OWNER_BONDS_MOVING_AVERAGE: u64 = 975_000;
    /// Least alpha of liquid alpha: one fortieth.
    const LEAST_ALPHA: u16 = u16::MAX / 40;
    /// Most neurons of a subnet.
    const MOST_UIDS: u16 = 256;

    /// Operational and free, as on the public chain.
    fn free() -> (Weight, DispatchClass, Pays) {
        (Weight::from_parts(20_000_000, 0), DispatchClass::Operational, Pays::No)
    }

    macro_rules! put {
        ($origin:ident, $netuid:ident, $what:ident, $item:ident, $value:expr, $event:ident) => {{
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner($origin, $netuid, What::$what)?;
            ensure!(subtensor::Pallet::<T>::exists($netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::$item::<T>::insert($netuid, $value);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change($netuid, What::$what);
            }
            subtensor::Pallet::<T>::deposit_event(Subnet::$event($netuid, $value));
            DispatchResult::Ok(())
        }};
    }

    macro_rules! root {
        ($origin:ident, $netuid:ident, $item:ident, $value:expr, $event:ident) => {{
            ensure_root($origin)?;
            ensure!(subtensor::Pallet::<T>::exists($netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::$item::<T>::insert($netuid, $value);
            subtensor::Pallet::<T>::deposit_event(Subnet::$event($netuid, $value));
            Ok(())
        }};
    }

    macro_rules! global {
        ($origin:ident, $item:ident, $value:expr, $event:ident) => {{
            ensure_root($origin)?;
            subtensor::$item::<T>::put($value);
            subtensor::Pallet::<T>::deposit_event(Subnet::$event($value));
            Ok(())
        }};
    }

    impl<T: Config> Pallet<T> {
        /// The new owner hotkey need not be registered: registering it is up to the owner.
        fn set_owner_hotkey(origin: OriginFor<T>, netuid: NetUid, hotkey: AccountId) -> DispatchResult {
            let by_owner = subtensor::Pallet::<T>::ensure_root_or_owner(origin, netuid, What::Unknown)?;
            ensure!(subtensor::Pallet::<T>::exists(netuid), Error::<T>::SubnetDoesNotExist);
            subtensor::SubnetOwnerHotkey::<T>::insert(netuid, &hotkey);
            if by_owner {
                subtensor::Pallet::<T>::record_owner_change(netuid, What::Unknown);
            }
            subtensor::Pallet::<T>::deposit_event(Subnet::SubnetOwnerHotkeySet(netuid, hotkey));
            Ok(())
        }
    }
}
