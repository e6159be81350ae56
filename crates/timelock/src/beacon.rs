//! Beacons: their keys, the times of their rounds, their signatures (chain.md 5.3).

use ark_bls12_381::{Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr as _, CurveGroup as _};
use sha2::{Digest as _, Sha256};

use crate::{TimelockError, curve};

/// A beacon's public key: a point of G2, 96 bytes compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) G2Affine);

impl PublicKey {
    /// drand's quicknet, the beacon of the public chains.
    pub const QUICKNET: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";

    /// From 96 bytes.
    ///
    /// # Errors
    /// [`TimelockError::Point`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimelockError> {
        curve::g2(bytes, "beacon's public key").map(Self)
    }

    /// 96 bytes, compressed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 96] {
        curve::g2_bytes(self.0)
    }

    /// True if the signature is this beacon's for the round.
    #[must_use]
    pub fn verifies(&self, round: u64, signature: &Signature) -> bool {
        curve::round_point(round)
            .is_ok_and(|point| curve::pairings_agree((signature.0, G2Affine::generator()), (point, self.0)))
    }
}

/// A beacon's signature of one round: a point of G1, 48 bytes compressed. It is the key of everything encrypted to the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(crate) G1Affine);

impl Signature {
    /// From 48 bytes. That they are a point does not make them a round's signature: see [`PublicKey::verifies`].
    ///
    /// # Errors
    /// [`TimelockError::Point`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimelockError> {
        curve::g1(bytes, "signature").map(Self)
    }

    /// 48 bytes, compressed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 48] {
        curve::g1_bytes(self.0)
    }
}

/// A round's randomness: SHA-256 of its signature.
#[must_use]
pub fn randomness(signature: &Signature) -> [u8; 32] {
    Sha256::digest(signature.to_bytes()).into()
}

/// When a beacon's rounds appear: round `r` at `genesis + period · (r − 1)`, seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Unix time of round 1, seconds.
    pub genesis: u64,
    /// Seconds from round to round, at least 1.
    pub period: u64,
}

impl Rounds {
    /// drand's quicknet.
    pub const QUICKNET: Self = Self { genesis: 1_692_803_367, period: 3 };

    /// The newest round published at a Unix time in milliseconds; 0 before the first.
    #[must_use]
    pub fn published_at(&self, unix_ms: u64) -> u64 {
        match unix_ms.checked_sub(self.genesis.saturating_mul(1000)) {
            Some(since) => (since / self.period.max(1).saturating_mul(1000)).saturating_add(1),
            None => 0,
        }
    }

    /// The round that official clients take for a Unix time in milliseconds: whole periods since genesis, at least 1. It is the one
    /// before [`Rounds::published_at`], so it is out already at that time.
    #[must_use]
    pub fn target_at(&self, unix_ms: u64) -> u64 {
        (unix_ms.saturating_sub(self.genesis.saturating_mul(1000)) / self.period.max(1).saturating_mul(1000)).max(1)
    }

    /// Unix time in milliseconds at which a round appears.
    #[must_use]
    pub fn time_ms(&self, round: u64) -> u64 {
        self.genesis.saturating_add(self.period.saturating_mul(round.saturating_sub(1))).saturating_mul(1000)
    }
}

/// A beacon that one party runs alone, for development: it could sign any round ahead of time.
#[derive(Clone)]
pub struct LocalBeacon {
    secret: Fr,
    public: PublicKey,
}

impl std::fmt::Debug for LocalBeacon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalBeacon").field("public", &self.public).finish_non_exhaustive()
    }
}

impl LocalBeacon {
    /// The beacon whose secret is a hash of these bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Self {
        let secret = curve::scalar(&[b"starling local beacon", seed]);
        let public = PublicKey((G2Affine::generator() * secret).into_affine());
        Self { secret, public }
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Sign a round.
    #[must_use]
    pub fn sign(&self, round: u64) -> Signature {
        // Hashing to the curve fails for no message; the generator in its place would verify for no round.
        let point = curve::round_point(round).unwrap_or_else(|_| G1Affine::generator());
        Signature((point * self.secret).into_affine())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// chain.md 5.3.
    const ROUND_1000: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    fn quicknet() -> PublicKey {
        PublicKey::from_bytes(&hex::decode(PublicKey::QUICKNET).unwrap()).unwrap()
    }

    #[test]
    fn quicknets_round_1000_verifies_for_that_round_and_key_only() {
        let signature = Signature::from_bytes(&hex::decode(ROUND_1000).unwrap()).unwrap();
        assert!(quicknet().verifies(1000, &signature));
        assert!(!quicknet().verifies(1001, &signature));
        assert!(!LocalBeacon::from_seed(b"other").public_key().verifies(1000, &signature));
        assert_eq!(hex::encode(signature.to_bytes()), ROUND_1000);
    }

    #[test]
    fn a_local_beacon_signs_what_verifies_and_nothing_else_does() {
        let beacon = LocalBeacon::from_seed(b"one");
        let key = PublicKey::from_bytes(&beacon.public_key().to_bytes()).unwrap();
        assert!(key.verifies(5, &beacon.sign(5)));
        assert!(!key.verifies(5, &beacon.sign(6)));
        assert!(!key.verifies(5, &LocalBeacon::from_seed(b"two").sign(5)));
    }

    #[test]
    fn rounds_come_when_drand_says() {
        let rounds = Rounds::QUICKNET;
        assert_eq!(rounds.time_ms(1), 1_692_803_367_000);
        assert_eq!(rounds.time_ms(1000), (1_692_803_367 + 2997) * 1000);
        assert_eq!(rounds.published_at(rounds.time_ms(1000)), 1000);
        assert_eq!(rounds.published_at(rounds.time_ms(1000) - 1), 999);
        assert_eq!(rounds.published_at(0), 0);
        assert_eq!(rounds.target_at(rounds.time_ms(1000)), 999);
        assert_eq!(rounds.target_at(0), 1);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        assert!(Signature::from_bytes(&[0; 48]).is_err());
        assert!(Signature::from_bytes(&[0; 47]).is_err());
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert!(Signature::from_bytes(&infinity).is_err(), "the neutral element verifies nothing");
        assert!(PublicKey::from_bytes(&[0xff; 96]).is_err());
    }
}
