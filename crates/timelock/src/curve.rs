//! The little of BLS12-381 that the scheme needs, with points in their compressed form (48 bytes in G1, 96 in G2).
//!
//! Invariant: every point made from foreign bytes was checked to be on the curve and in the subgroup.

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, g1};
use ark_ec::{
    AffineRepr as _,
    hashing::{HashToCurve as _, curve_maps::wb::WBMap, map_to_curve_hasher::MapToCurveBasedHasher},
    pairing::{Pairing as _, PairingOutput},
};
use ark_ff::{PrimeField as _, field_hashers::DefaultFieldHasher};
use ark_serialize::CanonicalDeserialize as _;
use sha2::{Digest as _, Sha256};

use crate::TimelockError;

/// Domain of drand's `bls-unchained-g1-rfc9380`.
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Bytes of a target-group element.
pub const TARGET: usize = 576;

pub fn g1(bytes: &[u8], what: &'static str) -> Result<G1Affine, TimelockError> {
    let wrong = TimelockError::Point { what, length: bytes.len() };
    if bytes.len() != 48 {
        return Err(wrong);
    }
    match G1Affine::deserialize_compressed(bytes) {
        // The neutral element would make every pairing 1.
        Ok(point) if !point.is_zero() => Ok(point),
        _ => Err(wrong),
    }
}

pub fn g2(bytes: &[u8], what: &'static str) -> Result<G2Affine, TimelockError> {
    let wrong = TimelockError::Point { what, length: bytes.len() };
    if bytes.len() != 96 {
        return Err(wrong);
    }
    match G2Affine::deserialize_compressed(bytes) {
        Ok(point) if !point.is_zero() => Ok(point),
        _ => Err(wrong),
    }
}

fn write<const N: usize>(value: &impl ark_serialize::CanonicalSerialize) -> [u8; N] {
    let mut bytes = [0; N];
    // A slice of the right length takes all of it.
    let written = value.serialize_compressed(&mut bytes[..]);
    debug_assert!(written.is_ok() && value.compressed_size() == N);
    bytes
}

pub fn g1_bytes(point: G1Affine) -> [u8; 48] {
    write(&point)
}

pub fn g2_bytes(point: G2Affine) -> [u8; 96] {
    write(&point)
}

pub fn target_bytes(value: &PairingOutput<Bls12_381>) -> [u8; TARGET] {
    write(value)
}

pub fn pairing(a: G1Affine, b: G2Affine) -> PairingOutput<Bls12_381> {
    Bls12_381::pairing(a, b)
}

/// True if `e(a, b) == e(c, d)`.
pub fn pairings_agree((a, b): (G1Affine, G2Affine), (c, d): (G1Affine, G2Affine)) -> bool {
    use ark_ec::AffineRepr as _;
    use std::ops::Neg as _;
    let product = Bls12_381::multi_pairing([a, c.neg()], [b, d]);
    debug_assert!(!d.is_zero());
    product == PairingOutput::default()
}

/// The point that stands for a round: the hash of its number, big endian.
pub fn round_point(round: u64) -> Result<G1Affine, TimelockError> {
    let message: [u8; 32] = Sha256::digest(round.to_be_bytes()).into();
    let failed = |_| TimelockError::Layout("the round's number cannot be mapped to the curve".into());
    MapToCurveBasedHasher::<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<g1::Config>>::new(DOMAIN)
        .map_err(failed)?
        .hash(&message)
        .map_err(failed)
}

/// SHA-256 of the parts, as a scalar (big endian, reduced).
pub fn scalar(parts: &[&[u8]]) -> Fr {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    Fr::from_be_bytes_mod_order(&hash.finalize())
}
