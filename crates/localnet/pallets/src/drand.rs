//! `Drand` (pallet index 26): the randomness beacon's storage with the public names and shapes (chain.md 3).
//!
//! Nothing writes pulses yet: the local beacon comes with the next issue, and with it timelocked commits. Until then
//! `LastStoredRound` is 0 and no round is ever stored, as on a public localnet without internet.

use frame_support::{BoundedVec, pallet_prelude::*, traits::ConstU32};

pub use pallet::*;

/// A stored round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
pub struct Pulse {
    /// Number of the round.
    pub round: u64,
    /// SHA-256 of the signature.
    pub randomness: BoundedVec<u8, ConstU32<32>>,
    /// BLS signature of the round's number.
    pub signature: BoundedVec<u8, ConstU32<144>>,
}

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    #[pallet::storage]
    pub type Pulses<T> = StorageMap<_, Blake2_128Concat, u64, Pulse, OptionQuery>;
    #[pallet::storage]
    pub type LastStoredRound<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type OldestStoredRound<T> = StorageValue<_, u64, ValueQuery>;
}
