//! Plain types shared by the pallets: identifiers, the fixed-point words as the public metadata shows them, and the records of
//! axons, prometheus endpoints, certificates and identities (chain.md 1, 2 and 3).
//!
//! Invariant: field names, order and widths are the public chain's; a client that decodes by name or by bytes needs no special case.

use frame_support::{BoundedVec, traits::ConstU32};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// 32-byte account of both hotkeys and coldkeys.
pub type AccountId = sp_runtime::AccountId32;
/// TAO or alpha in rao (1e9 rao = 1 TAO).
pub type Balance = u64;
/// Subnet number; 0 is the root network.
pub type NetUid = u16;
/// Mechanism number within a subnet; 0 is the main one.
pub type MechId = u8;
/// `netuid + mecid * 4096`, the key of what exists per mechanism.
pub type NetUidStorageIndex = u16;

/// The root network.
pub const ROOT: NetUid = 0;
/// Subnets per mechanism page of [`NetUidStorageIndex`].
pub const GLOBAL_MAX_SUBNET_COUNT: u16 = 4096;

/// Storage index of a mechanism, or `None` where it does not fit in 16 bits.
pub fn storage_index(netuid: NetUid, mecid: MechId) -> Option<NetUidStorageIndex> {
    u16::from(mecid).checked_mul(GLOBAL_MAX_SUBNET_COUNT)?.checked_add(netuid)
}

/// Signed 64.64 or 96.32 word, as `substrate_fixed::FixedI128` shows in metadata. The fraction width is the reader's knowledge.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct FixedI128 {
    /// Raw two's complement bits.
    pub bits: i128,
}

/// Unsigned 64.64 word, as `substrate_fixed::FixedU128` shows in metadata.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct FixedU128 {
    /// Raw bits.
    pub bits: u128,
}

/// Signed 32.32 word, as `substrate_fixed::FixedI64` shows in metadata.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub struct FixedI64 {
    /// Raw two's complement bits.
    pub bits: i64,
}

/// Where a neuron says it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct AxonInfo {
    /// Block at which it was served.
    pub block: u64,
    /// Version number the neuron chose.
    pub version: u32,
    /// Address; IPv4 lies in the low 32 bits.
    pub ip: u128,
    /// Port, never 0.
    pub port: u16,
    /// 4 or 6.
    pub ip_type: u8,
    /// Protocol byte the neuron chose.
    pub protocol: u8,
    /// Free.
    pub placeholder1: u8,
    /// Free.
    pub placeholder2: u8,
}

/// Where a neuron serves metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct PrometheusInfo {
    /// Block at which it was served.
    pub block: u64,
    /// Version number the neuron chose.
    pub version: u32,
    /// Address; IPv4 lies in the low 32 bits.
    pub ip: u128,
    /// Port, never 0.
    pub port: u16,
    /// 4 or 6.
    pub ip_type: u8,
}

/// How a subnet's epochs reach consensus. This chain knows the first only.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
pub enum EpochConsensus {
    /// Yuma consensus.
    #[default]
    Yuma,
    /// One permit holder's word.
    Null,
}

/// What becomes of a coldkey's dividends from root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
#[allow(missing_docs)]
pub enum RootClaimTypeEnum {
    Swap,
    Keep,
    KeepSubnets { subnets: std::collections::BTreeSet<NetUid> },
}

/// Public key a neuron publishes beside its axon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct NeuronCertificate {
    /// Key bytes.
    pub public_key: BoundedVec<u8, ConstU32<64>>,
    /// Algorithm number of the neuron's choice.
    pub algorithm: u8,
}

impl NeuronCertificate {
    /// The algorithm's number, then the key; `None` without an algorithm or with a key of more than 64 bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (algorithm, key) = bytes.split_first()?;
        Some(Self { public_key: key.to_vec().try_into().ok()?, algorithm: *algorithm })
    }
}

/// Identity of a coldkey.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct ChainIdentityV2 {
    /// Display name.
    pub name: Vec<u8>,
    /// Web page.
    pub url: Vec<u8>,
    /// Repository.
    pub github_repo: Vec<u8>,
    /// Image address.
    pub image: Vec<u8>,
    /// Discord handle.
    pub discord: Vec<u8>,
    /// Free text.
    pub description: Vec<u8>,
    /// Free text.
    pub additional: Vec<u8>,
}

/// Identity of a subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct SubnetIdentityV3 {
    /// Display name.
    pub subnet_name: Vec<u8>,
    /// Repository.
    pub github_repo: Vec<u8>,
    /// Contact.
    pub subnet_contact: Vec<u8>,
    /// Web page.
    pub subnet_url: Vec<u8>,
    /// Discord handle.
    pub discord: Vec<u8>,
    /// Free text.
    pub description: Vec<u8>,
    /// Logo address.
    pub logo_url: Vec<u8>,
    /// Free text.
    pub additional: Vec<u8>,
}

/// Which owner-set value a rate limit counts (tags as in the public snapshot, spec 381).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[allow(missing_docs)]
pub enum Hyperparameter {
    Unknown,
    ServingRateLimit,
    MaxDifficulty,
    AdjustmentAlpha,
    MaxWeightLimit,
    ImmunityPeriod,
    MinAllowedWeights,
    Kappa,
    Rho,
    ActivityCutoff,
    PowRegistrationAllowed,
    MinBurn,
    MaxBurn,
    BondsMovingAverage,
    BondsPenalty,
    CommitRevealEnabled,
    LiquidAlphaEnabled,
    AlphaValues,
    WeightCommitInterval,
    TransferEnabled,
    AlphaSigmoidSteepness,
    Yuma3Enabled,
    BondsResetEnabled,
    ImmuneNeuronLimit,
    RecycleOrBurn,
    MaxAllowedUids,
    /// Of this chain's own: values that the snapshot has no tag for.
    #[codec(index = 200)]
    Tempo,
    #[codec(index = 201)]
    WeightsVersionKey,
    #[codec(index = 202)]
    WeightsSetRateLimit,
    #[codec(index = 203)]
    MaxAllowedValidators,
    #[codec(index = 204)]
    RegistrationAllowed,
    #[codec(index = 205)]
    BurnHalfLife,
    #[codec(index = 206)]
    BurnIncreaseMult,
    #[codec(index = 207)]
    ActivityCutoffFactor,
    #[codec(index = 208)]
    TriggerEpoch,
    #[codec(index = 209)]
    MechanismCount,
    #[codec(index = 210)]
    MechanismEmissionSplit,
}

/// Key of `LastRateLimitedBlock` (tags as in the public snapshot).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[allow(missing_docs)]
pub enum RateLimitKey {
    SetSNOwnerHotkey(NetUid),
    OwnerHyperparamUpdate(NetUid, Hyperparameter),
    NetworkLastRegistered,
}
