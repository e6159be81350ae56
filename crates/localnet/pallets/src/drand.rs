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

/// Where the beacon's rounds come from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
pub struct BeaconConfiguration {
    /// Compressed BLS public key, 96 bytes.
    pub public_key: BoundedVec<u8, ConstU32<144>>,
    /// Seconds from round to round.
    pub period: u32,
    /// Unix time of round 1, seconds.
    pub genesis_time: u32,
    /// Hash of the chain of rounds.
    pub hash: BoundedVec<u8, ConstU32<32>>,
    /// Hash of the group of signers.
    pub group_hash: BoundedVec<u8, ConstU32<32>>,
    /// Signature scheme.
    pub scheme_id: BoundedVec<u8, ConstU32<32>>,
    /// More about it.
    pub metadata: Metadata,
}

/// Part of [`BeaconConfiguration`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
pub struct Metadata {
    /// Name of the beacon.
    pub beacon_id: BoundedVec<u8, ConstU32<32>>,
}

/// drand's quicknet (chain.md 5.3), as the public chain has it from genesis.
pub fn quicknet() -> BeaconConfiguration {
    fn bytes<const N: u32>(hex: &str) -> BoundedVec<u8, ConstU32<N>> {
        BoundedVec::truncate_from(hex::decode(hex).unwrap_or_default())
    }
    BeaconConfiguration {
        public_key: bytes(
            "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c9\
             21cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
        ),
        period: 3,
        genesis_time: 1_692_803_367,
        hash: bytes("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"),
        group_hash: bytes("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"),
        scheme_id: BoundedVec::truncate_from(b"bls-unchained-g1-rfc9380".to_vec()),
        metadata: Metadata { beacon_id: BoundedVec::truncate_from(b"quicknet".to_vec()) },
    }
}

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    #[pallet::type_value]
    pub fn DefaultBeaconConfig<T: Config>() -> BeaconConfiguration {
        quicknet()
    }

    #[pallet::storage]
    pub type BeaconConfig<T: Config> = StorageValue<_, BeaconConfiguration, ValueQuery, DefaultBeaconConfig<T>>;
    #[pallet::storage]
    pub type Pulses<T> = StorageMap<_, Blake2_128Concat, u64, Pulse, OptionQuery>;
    #[pallet::storage]
    pub type LastStoredRound<T> = StorageValue<_, u64, ValueQuery>;
    #[pallet::storage]
    pub type OldestStoredRound<T> = StorageValue<_, u64, ValueQuery>;
}
