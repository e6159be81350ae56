//! `Aura` (pallet index 3): the public constant from which official clients take the seconds per block.
//!
//! Nobody authors here by slots. The node's pace is part of genesis, so that the constant tells the truth about this chain; clients
//! compute reveal rounds and waits from it (chain.md 5.2).

use frame_support::{pallet_prelude::*, traits::ConstU64};

pub use pallet::*;

/// Milliseconds per block of the public chain.
pub const PUBLIC_SLOT: u64 = 12_000;

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// Milliseconds per block: [`Pace`] of the runtime.
        #[pallet::constant]
        type SlotDuration: Get<u64>;
    }

    /// Of this chain's own, not public: what `SlotDuration` says.
    #[pallet::storage]
    pub type SlotMillis<T> = StorageValue<_, u64, ValueQuery, ConstU64<PUBLIC_SLOT>>;

    #[pallet::genesis_config]
    pub struct GenesisConfig<T: Config> {
        /// Milliseconds per block.
        pub slot_millis: u64,
        #[serde(skip)]
        pub _marker: core::marker::PhantomData<T>,
    }

    impl<T: Config> Default for GenesisConfig<T> {
        fn default() -> Self {
            Self { slot_millis: PUBLIC_SLOT, _marker: core::marker::PhantomData }
        }
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            SlotMillis::<T>::put(self.slot_millis.max(1));
        }
    }
}

/// The pace that genesis set. Metadata is also read where there is no chain, for its shape alone: then it is the public one.
#[derive(Debug)]
pub struct Pace<T>(core::marker::PhantomData<T>);

impl<T: Config> Get<u64> for Pace<T> {
    fn get() -> u64 {
        if sp_externalities::with_externalities(|_| ()).is_some() { SlotMillis::<T>::get() } else { PUBLIC_SLOT }
    }
}
