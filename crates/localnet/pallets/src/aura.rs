//! `Aura` (pallet index 3): the public constant from which official clients take the seconds per block.
//!
//! Nobody authors here by slots, and the pace is no part of the state: a chain may be continued at another one. So the node hands it in
//! beside the state ([`SlotMillis`]), and the constant tells the truth about this node; clients compute reveal rounds and waits from it
//! (chain.md 5.2).

use frame_support::pallet_prelude::*;

pub use pallet::*;

/// Milliseconds per block of the public chain.
pub const PUBLIC_SLOT: u64 = 12_000;

sp_externalities::decl_extension! {
    /// The node's milliseconds per block.
    pub struct SlotMillis(u64);
}

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// Milliseconds per block: [`Pace`](super::Pace).
        #[pallet::constant]
        type SlotDuration: Get<u64>;
    }
}

/// The node's pace; the public one where no node runs (metadata is also read for its shape alone).
#[derive(Debug)]
pub struct Pace;

impl Get<u64> for Pace {
    fn get() -> u64 {
        use sp_externalities::ExternalitiesExt;
        let pace =
            |mut ext: &mut dyn sp_externalities::Externalities| ext.extension::<SlotMillis>().map(|millis| millis.0);
        sp_externalities::with_externalities(pace).flatten().unwrap_or(PUBLIC_SLOT)
    }
}
