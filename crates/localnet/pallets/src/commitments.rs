//! `Commitments` (pallet index 18): a hotkey writes a few bytes on chain for all to read; miners anchor their receipt chains here.
//!
//! Public names, shapes and rules (chain.md 1, 3; snapshot of spec 381). Invariant: one commitment per hotkey and subnet, with the
//! block that holds it; at most `MaxSpace` bytes per hotkey and epoch (at least 100 are charged each time).
//! Timelocked fields are opened in the first block that finds their round stored: what was in them goes to `RevealedCommitments`, and the
//! fields go. A field that does not open stays (issue 3080 of the public chain: wiping it lost data).

use frame_support::{BoundedVec, pallet_prelude::*, traits::ConstU32};
use frame_system::pallet_prelude::*;
use parity_scale_codec::{Encode, Error as CodecError, Input, Output};
use scale_info::{Path, Type, build::Variants};
use sp_core::H256;

use crate::{
    drand::Beacon as _,
    types::{AccountId, NetUid},
};
use std::collections::BTreeSet;

pub use pallet::*;

/// Most fields in one commitment.
pub const MAX_FIELDS: u32 = 3;
/// Least space charged for one commitment, bytes.
const MIN_SPACE: u64 = 100;
/// Opened commitments kept per hotkey.
const MOST_REVEALED: usize = 10;

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, DecodeWithMemTracking)]
pub enum Data {
    /// Nothing.
    None,
    /// At most 128 bytes as they are.
    Raw(BoundedVec<u8, ConstU32<128>>),
    /// A hash, by its kind: BLAKE2-256, SHA-256, Keccak-256, SHA3-256 (0 to 3).
    Hash(u8, H256),
    /// Encrypted to a round of the beacon.
    TimelockEncrypted {
        /// Ciphertext.
        encrypted: BoundedVec<u8, ConstU32<1024>>,
        /// Round that opens it.
        reveal_round: u64,
    },
    /// Asks for the bonds on this neuron to be reset.
    ResetBondsFlag,
    /// At most 512 bytes as they are.
    BigRaw(BoundedVec<u8, ConstU32<512>>),
}

impl Encode for Data {
    fn encode_to<O: Output + ?Sized>(&self, out: &mut O) {
        match self {
            Self::None => out.push_byte(0),
            Self::Raw(bytes) => {
                out.push_byte(1 + bytes.len() as u8);
                out.write(bytes);
            }
            Self::Hash(kind, hash) => {
                out.push_byte(130 + kind);
                out.write(&hash.0);
            }
            Self::TimelockEncrypted { encrypted, reveal_round } => {
                out.push_byte(134);
                encrypted.encode_to(out);
                reveal_round.encode_to(out);
            }
            Self::ResetBondsFlag => out.push_byte(135),
            Self::BigRaw(bytes) => {
                out.push_byte(136);
                bytes.encode_to(out);
            }
        }
    }
}

impl Decode for Data {
    fn decode<I: Input>(input: &mut I) -> Result<Self, CodecError> {
        Ok(match input.read_byte()? {
            0 => Self::None,
            tag @ 1..=129 => {
                let mut bytes = vec![0; usize::from(tag) - 1];
                input.read(&mut bytes)?;
                Self::Raw(BoundedVec::truncate_from(bytes))
            }
            tag @ 130..=133 => Self::Hash(tag - 130, H256::decode(input)?),
            134 => Self::TimelockEncrypted { encrypted: Decode::decode(input)?, reveal_round: Decode::decode(input)? },
            135 => Self::ResetBondsFlag,
            136 => Self::BigRaw(Decode::decode(input)?),
            _ => return Err("unknown kind of commitment data".into()),
        })
    }
}

impl scale_info::TypeInfo for Data {
    type Identity = Self;

    fn type_info() -> Type {
        let mut variants = Variants::new().variant("None", |v| v.index(0));
        macro_rules! raw {
            ($($n:literal)*) => {$(
                variants = variants.variant(concat!("Raw", $n), |v| v.index($n + 1).fields(
                    scale_info::build::Fields::unnamed().field(|f| f.ty::<[u8; $n]>())
                ));
            )*};
        }
        raw!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42
             43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82
             83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116
             117 118 119 120 121 122 123 124 125 126 127 128);
        for (index, name) in [(130, "BlakeTwo256"), (131, "Sha256"), (132, "Keccak256"), (133, "ShaThree256")] {
            variants = variants.variant(name, |v| {
                v.index(index).fields(scale_info::build::Fields::unnamed().field(|f| f.ty::<[u8; 32]>()))
            });
        }
        variants = variants
            .variant("TimelockEncrypted", |v| {
                v.index(134).fields(
                    scale_info::build::Fields::named()
                        .field(|f| f.name("encrypted").ty::<BoundedVec<u8, ConstU32<1024>>>())
                        .field(|f| f.name("reveal_round").ty::<u64>()),
                )
            })
            .variant("ResetBondsFlag", |v| v.index(135))
            .variant("BigRaw", |v| {
                v.index(136)
                    .fields(scale_info::build::Fields::unnamed().field(|f| f.ty::<BoundedVec<u8, ConstU32<512>>>()))
            });
        Type::builder().path(Path::new("Data", "pallet_commitments::types")).variant(variants)
    }
}

/// What a hotkey commits to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct CommitmentInfo {
    /// At most three fields.
    pub fields: BoundedVec<Data, ConstU32<MAX_FIELDS>>,
}

/// A commitment in storage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Registration {
    /// Always 0 today.
    pub deposit: u64,
    /// Block that holds it.
    pub block: u32,
    /// What was committed.
    pub info: CommitmentInfo,
}

/// Space a hotkey has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo, MaxEncodedLen)]
pub struct UsageTracker {
    /// In this epoch of the subnet.
    pub last_epoch: u64,
    /// Bytes.
    pub used_space: u64,
}

/// What the pallet asks of the subnet pallet.
pub trait Subnets {
    /// True if the hotkey is registered on the subnet.
    fn is_member(netuid: NetUid, hotkey: &AccountId) -> bool;
    /// The subnet's current epoch.
    fn epoch(netuid: NetUid) -> u64;
}

#[frame_support::pallet]
#[allow(missing_docs)]
pub mod pallet {
    use super::*;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>> {
        /// Membership and epochs.
        type Subnets: Subnets;
        /// The randomness beacon.
        type Beacon: crate::drand::Beacon;
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A hotkey committed.
        Commitment { netuid: NetUid, who: AccountId },
        /// What it committed opens with a round of the beacon.
        TimelockCommitment { netuid: NetUid, who: AccountId, reveal_round: u64 },
        /// A round opened what it had committed.
        CommitmentRevealed { netuid: NetUid, who: AccountId },
    }

    #[pallet::extra_constants]
    impl<T: Config> Pallet<T> {
        #[pallet::constant_name(MaxFields)]
        fn max_fields() -> u32 {
            MAX_FIELDS
        }
        #[pallet::constant_name(InitialDeposit)]
        fn initial_deposit() -> u64 {
            0
        }
        #[pallet::constant_name(FieldDeposit)]
        fn field_deposit() -> u64 {
            0
        }
    }

    #[pallet::error]
    pub enum Error<T> {
        /// More than three fields.
        TooManyFieldsInCommitmentInfo,
        /// The hotkey is not registered on the subnet.
        AccountNotAllowedCommit,
        /// More bytes than an epoch allows.
        SpaceLimitExceeded,
        /// Kept for the public order; never raised.
        UnexpectedUnreserveLeftover,
    }

    #[pallet::storage]
    pub type CommitmentOf<T> =
        StorageDoubleMap<_, Identity, NetUid, Twox64Concat, AccountId, Registration, OptionQuery>;
    #[pallet::storage]
    pub type LastCommitment<T> = StorageDoubleMap<_, Identity, NetUid, Twox64Concat, AccountId, u32, OptionQuery>;
    /// Who has timelocked fields that are not opened yet.
    #[pallet::storage]
    pub type TimelockedIndex<T> = StorageValue<_, BTreeSet<(NetUid, AccountId)>, ValueQuery>;
    /// What timelocked fields held, with the block that opened each; the newest ten.
    #[pallet::storage]
    pub type RevealedCommitments<T> =
        StorageDoubleMap<_, Identity, NetUid, Twox64Concat, AccountId, Vec<(Vec<u8>, u64)>, OptionQuery>;
    #[pallet::storage]
    pub type UsedSpaceOf<T> = StorageDoubleMap<_, Identity, NetUid, Twox64Concat, AccountId, UsageTracker, OptionQuery>;
    #[pallet::storage]
    pub type MaxSpace<T> = StorageValue<_, u32, ValueQuery, ConstU32<3100>>;

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            let now: u64 = now.try_into().unwrap_or(u64::MAX);
            for (netuid, who) in TimelockedIndex::<T>::get() {
                Self::open(netuid, &who, now);
            }
            Weight::zero()
        }
    }

    impl<T: Config> Pallet<T> {
        /// Opens what a hotkey's commitment holds for rounds that are stored.
        fn open(netuid: NetUid, who: &AccountId, now: u64) {
            let Some(mut registration) = CommitmentOf::<T>::get(netuid, who) else {
                TimelockedIndex::<T>::mutate(|index| index.remove(&(netuid, who.clone())));
                return;
            };
            let mut opened = Vec::new();
            let mut later = false;
            registration.info.fields.retain(|field| {
                let Data::TimelockEncrypted { encrypted, reveal_round } = field else { return true };
                let Some(signature) = T::Beacon::signature(*reveal_round) else {
                    later = true;
                    return true;
                };
                match starling_timelock::decrypt(&signature, encrypted) {
                    Ok(bytes) => {
                        opened.push((bytes, now));
                        false
                    }
                    Err(_) => true,
                }
            });
            if !later {
                TimelockedIndex::<T>::mutate(|index| index.remove(&(netuid, who.clone())));
            }
            if opened.is_empty() {
                return;
            }
            let mut revealed = RevealedCommitments::<T>::get(netuid, who).unwrap_or_default();
            revealed.extend(opened);
            revealed.drain(..revealed.len().saturating_sub(MOST_REVEALED));
            RevealedCommitments::<T>::insert(netuid, who, revealed);
            if registration.info.fields.is_empty() {
                CommitmentOf::<T>::remove(netuid, who);
            } else {
                CommitmentOf::<T>::insert(netuid, who, registration);
            }
            Self::deposit_event(Event::CommitmentRevealed { netuid, who: who.clone() });
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Write the caller's commitment on a subnet where it is registered.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::from_parts(33_480_000, 0), DispatchClass::Normal, Pays::No))]
        pub fn set_commitment(origin: OriginFor<T>, netuid: NetUid, info: Box<CommitmentInfo>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            ensure!(T::Subnets::is_member(netuid, &who), Error::<T>::AccountNotAllowedCommit);
            let epoch = T::Subnets::epoch(netuid);
            let mut used = UsedSpaceOf::<T>::get(netuid, &who).unwrap_or_default();
            if used.last_epoch != epoch {
                used = UsageTracker { last_epoch: epoch, used_space: 0 };
            }
            let size = (info.encoded_size() as u64).max(MIN_SPACE);
            used.used_space = used.used_space.saturating_add(size);
            ensure!(used.used_space <= u64::from(MaxSpace::<T>::get()), Error::<T>::SpaceLimitExceeded);
            let block: u32 = frame_system::Pallet::<T>::block_number().try_into().unwrap_or(u32::MAX);
            UsedSpaceOf::<T>::insert(netuid, &who, used);
            let rounds: Vec<u64> = info
                .fields
                .iter()
                .filter_map(|field| match field {
                    Data::TimelockEncrypted { reveal_round, .. } => Some(*reveal_round),
                    _ => None,
                })
                .collect();
            TimelockedIndex::<T>::mutate(|index| {
                if rounds.is_empty() {
                    index.remove(&(netuid, who.clone()))
                } else {
                    index.insert((netuid, who.clone()))
                }
            });
            CommitmentOf::<T>::insert(netuid, &who, Registration { deposit: 0, block, info: *info });
            LastCommitment::<T>::insert(netuid, &who, block);
            Self::deposit_event(Event::Commitment { netuid, who: who.clone() });
            for reveal_round in rounds {
                Self::deposit_event(Event::TimelockCommitment { netuid, who: who.clone(), reveal_round });
            }
            Ok(())
        }

        /// Root: bytes per hotkey and epoch.
        #[pallet::call_index(2)]
        #[pallet::weight(Weight::from_parts(3_000_000, 0))]
        pub fn set_max_space(origin: OriginFor<T>, new_limit: u32) -> DispatchResult {
            ensure_root(origin)?;
            MaxSpace::<T>::put(new_limit);
            Ok(())
        }
    }

    impl<T: Config> crate::info::CommitmentSource for Pallet<T> {
        fn commitments(netuid: NetUid) -> Vec<(AccountId, Vec<u8>)> {
            CommitmentOf::<T>::iter_prefix(netuid).map(|(who, registration)| (who, registration.encode())).collect()
        }
    }
}
