//! `Drand` (pallet index 26): the randomness beacon's storage with the public names and shapes (chain.md 3).
//!
//! Invariant: a stored round's signature is the beacon's, and rounds are stored in order, one after the other from the first that was.
//! On the public chain an off-chain worker fetches quicknet's rounds and submits them in a payload that it signs; here the node signs them
//! with a local beacon's key, whose public half is in `BeaconConfig`, and puts them into its blocks itself. Nobody else can: the pool
//! takes no unsigned transaction. The signature beside the payload is therefore not asked for.

use frame_support::{BoundedVec, pallet_prelude::*, traits::ConstU32};
use frame_system::pallet_prelude::*;
use sp_runtime::{MultiSignature, MultiSigner};
use starling_timelock::{PublicKey, Signature, randomness};

/// Rounds kept, at most (as the public chain: a week of quicknet).
const MOST_PULSES: u64 = 216_000;
/// Old rounds removed with one payload, at most.
const PRUNED_AT_ONCE: u64 = 100;
/// Rounds in one payload, at most.
pub const MOST_AT_ONCE: usize = 64;

pub use pallet::*;

/// A stored round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Pulse {
    /// Number of the round.
    pub round: u64,
    /// SHA-256 of the signature.
    pub randomness: BoundedVec<u8, ConstU32<32>>,
    /// BLS signature of the round's number.
    pub signature: BoundedVec<u8, ConstU32<144>>,
}

/// New rounds, as they are submitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct PulsesPayload<Public, BlockNumber> {
    /// Block at which they were fetched.
    pub block_number: BlockNumber,
    /// The rounds, in order.
    pub pulses: Vec<Pulse>,
    /// Who fetched them.
    pub public: Public,
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

/// quicknet's times with another key and another period.
fn local(public_key: &[u8], period: u32) -> BeaconConfiguration {
    let name = |text: &str| BoundedVec::truncate_from(text.as_bytes().to_vec());
    BeaconConfiguration {
        public_key: BoundedVec::truncate_from(public_key.to_vec()),
        period,
        hash: BoundedVec::truncate_from(sp_io::hashing::sha2_256(public_key).to_vec()),
        group_hash: BoundedVec::truncate_from(sp_io::hashing::sha2_256(b"starling-local").to_vec()),
        metadata: Metadata { beacon_id: name("starling-local") },
        ..quicknet()
    }
}

/// What other pallets ask of the beacon.
pub trait Beacon {
    /// The newest round that is stored; 0 for none.
    fn last_stored_round() -> u64;
    /// A stored round's signature.
    fn signature(round: u64) -> Option<Signature>;
}

impl<T: Config> Beacon for Pallet<T> {
    fn last_stored_round() -> u64 {
        LastStoredRound::<T>::get()
    }
    fn signature(round: u64) -> Option<Signature> {
        Pulses::<T>::get(round).and_then(|pulse| Signature::from_bytes(&pulse.signature).ok())
    }
}

impl<T: Config> Pallet<T> {
    fn store(pulses: Vec<Pulse>) -> Result<Vec<u64>, Error<T>> {
        ensure!(!pulses.is_empty() && pulses.len() <= MOST_AT_ONCE, Error::<T>::InvalidRoundNumber);
        let key = PublicKey::from_bytes(&BeaconConfig::<T>::get().public_key);
        let key = key.map_err(|_| Error::<T>::PulseVerificationError)?;
        let mut last = LastStoredRound::<T>::get();
        let mut rounds = Vec::with_capacity(pulses.len());
        for pulse in pulses {
            // The first round of all may be any: nobody asks a beacon for years of past rounds.
            ensure!(pulse.round > 0 && (last == 0 || pulse.round == last + 1), Error::<T>::InvalidRoundNumber);
            let signature = Signature::from_bytes(&pulse.signature).map_err(|_| Error::<T>::PulseVerificationError)?;
            ensure!(key.verifies(pulse.round, &signature), Error::<T>::PulseVerificationError);
            ensure!(pulse.randomness[..] == randomness(&signature), Error::<T>::PulseVerificationError);
            if last == 0 {
                OldestStoredRound::<T>::put(pulse.round);
            }
            last = pulse.round;
            rounds.push(last);
            Pulses::<T>::insert(last, pulse);
        }
        LastStoredRound::<T>::put(last);
        Self::prune(last);
        Ok(rounds)
    }

    fn prune(last: u64) {
        let oldest = OldestStoredRound::<T>::get();
        let keep_from = last.saturating_sub(MOST_PULSES - 1);
        let end = keep_from.min(oldest.saturating_add(PRUNED_AT_ONCE));
        for round in oldest..end {
            Pulses::<T>::remove(round);
        }
        if end > oldest {
            OldestStoredRound::<T>::put(end);
        }
    }
}

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {}

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Another beacon.
        BeaconConfigChanged,
        /// Rounds were stored.
        NewPulse { rounds: Vec<u64> },
        /// Older rounds than this are gone.
        SetOldestStoredRound(u64),
    }

    #[pallet::error]
    pub enum Error<T> {
        /// Kept for the public order; never raised.
        NoneValue,
        /// Kept for the public order; never raised.
        StorageOverflow,
        /// Kept for the public order; never raised.
        DrandConnectionFailure,
        /// Kept for the public order; never raised.
        UnverifiedPulse,
        /// Not the round after the last one, or too many rounds at once.
        InvalidRoundNumber,
        /// The signature is not the beacon's for this round.
        PulseVerificationError,
    }

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

    /// The local beacon; none: quicknet, whose rounds nobody brings here.
    #[pallet::genesis_config]
    pub struct GenesisConfig<T: Config> {
        /// Compressed public key, 96 bytes; empty for none.
        pub public_key: Vec<u8>,
        /// Seconds from round to round.
        pub period: u32,
        #[serde(skip)]
        pub _runtime: PhantomData<T>,
    }

    impl<T: Config> Default for GenesisConfig<T> {
        fn default() -> Self {
            Self { public_key: Vec::new(), period: 3, _runtime: PhantomData }
        }
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if !self.public_key.is_empty() {
                BeaconConfig::<T>::put(local(&self.public_key, self.period.max(1)));
            }
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Stores rounds of the beacon, each verified. Unsigned: only the block's author can bring it in.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::from_parts(6_000_000_000, 0), DispatchClass::Operational, Pays::No))]
        pub fn write_pulse(
            origin: OriginFor<T>,
            pulses_payload: PulsesPayload<MultiSigner, BlockNumberFor<T>>,
            signature: Option<MultiSignature>,
        ) -> DispatchResult {
            ensure_none(origin)?;
            let _ = signature;
            let rounds = Self::store(pulses_payload.pulses)?;
            Self::deposit_event(Event::NewPulse { rounds });
            Ok(())
        }

        /// Root: forget that older rounds were there.
        #[pallet::call_index(2)]
        #[pallet::weight(Weight::from_parts(3_000_000, 0))]
        pub fn set_oldest_stored_round(origin: OriginFor<T>, oldest_round: u64) -> DispatchResult {
            ensure_root(origin)?;
            OldestStoredRound::<T>::put(oldest_round);
            Self::deposit_event(Event::SetOldestStoredRound(oldest_round));
            Ok(())
        }
    }
}
