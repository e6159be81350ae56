//! Encryption to a round and decryption with its signature (chain.md 5.4).

use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce, aead::Aead as _};
use ark_bls12_381::G2Affine;
use ark_ec::{AffineRepr as _, CurveGroup as _};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{PublicKey, Signature, TimelockError, curve, layout::Parts};

/// A ciphertext is so many bytes longer than its plaintext.
pub const OVERHEAD: usize = 244;

/// The random bytes of one encryption. Fresh from the system's source for each: whoever knows them knows the plaintext.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Entropy {
    /// Key of the body.
    pub key: [u8; 32],
    /// Masks the key.
    pub sigma: [u8; 32],
    /// Nonce of the body.
    pub nonce: [u8; 12],
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

fn hash(bytes: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::digest(bytes).into())
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// Encrypt `plaintext` so that only the beacon's signature of `round` opens it: [`OVERHEAD`] + `plaintext.len()` bytes.
///
/// # Errors
/// None for any plaintext that fits memory; [`TimelockError::Layout`] is what the libraries' own errors would become.
pub fn encrypt(beacon: &PublicKey, round: u64, plaintext: &[u8], entropy: Entropy) -> Result<Vec<u8>, TimelockError> {
    let r = curve::scalar(&[&entropy.sigma, &entropy.key]);
    let u = (G2Affine::generator() * r).into_affine();
    let shared = curve::pairing(curve::round_point(round)?, (beacon.0 * r).into_affine());
    let v = xor(&entropy.sigma, &hash(&curve::target_bytes(&shared)));
    let w = xor(&entropy.key, &hash(&entropy.sigma));
    let sealed = Aes256Gcm::new((&entropy.key).into())
        .encrypt(Nonce::from_slice(&entropy.nonce), plaintext)
        .map_err(|_| TimelockError::Layout("the plaintext is too long for AES-GCM".into()))?;
    Ok(Parts { u: &curve::g2_bytes(u), v, w, sealed: &sealed, nonce: entropy.nonce }.write())
}

/// Decrypt with the signature of the round that was encrypted to.
///
/// # Errors
/// [`TimelockError::Layout`] and [`TimelockError::Point`] for bytes that are no ciphertext, [`TimelockError::WrongKey`] if the signature
/// does not open it.
pub fn decrypt(signature: &Signature, ciphertext: &[u8]) -> Result<Vec<u8>, TimelockError> {
    let parts = Parts::read(ciphertext)?;
    let u = curve::g2(parts.u, "header's point")?;
    let sigma = Zeroizing::new(xor(&parts.v, &hash(&curve::target_bytes(&curve::pairing(signature.0, u)))));
    let key = Zeroizing::new(xor(&parts.w, &hash(&*sigma)));
    let r = curve::scalar(&[&*sigma, &*key]);
    if (G2Affine::generator() * r).into_affine() != u {
        return Err(TimelockError::WrongKey);
    }
    Aes256Gcm::new((&*key).into())
        .decrypt(Nonce::from_slice(&parts.nonce), parts.sealed)
        .map_err(|_| TimelockError::WrongKey)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LocalBeacon;
    use proptest::prelude::*;

    /// chain.md 14, F1 and F2: made by the official core for quicknet's round 1000.
    const F1: &str = "b2debf304b05858dbaa5c11f791d7bfacb8d22b362dbaa6f9e471a681528d1df8207cd1d39287e3f8e5f62f09613444c14b998a12db47992a1e8dd3378b39a9fac134164f61e2c7935c80384b5a40a0b49b0f3170c5352500a863db0b5421b062000000000000000baccb178d6e64286ac68a4871ab2e6d41a1ccfa2188986474b05c9adf96e1cb3200000000000000061311bcff50285a653b35333871f4887a3dc0c7cd97c9b22fa36e998ca615d385f00000000000000430000000000000009928ddb7ac7fc521efb02c028df35808dd822fe4241623f6f5eedafac9c2ecb62d9449b597b86edafbc175b31b2fbad236666b59d64207b470015fb7c45cb7a7ecfeb0c0000000000000030695739f3327427e272b7fa08000000000000004145535f47434d5f";
    const F1_PLAIN: &str =
        "80d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d080000010008ffff00800000000000000000";
    const F2: &str = "b3d1db40ccb9c602bac1c6bd6e5e6954736ce22af376564c45e0cc990c13dc4f69b0fca8f78f3c8e3b03089f561d407d130287277da3935859f8b7939e3076db971cac27db2dcf530c9e48df00b7b487c99415d90d2ddb8b0c34906b7029eb9b2000000000000000dca8bb4c6863941560b4b67c98efaeb40d19ffc6d36d5367e589f27261e9927f2000000000000000bedbfcf9be05d1ad6f19ad305dc259f449fd20b87020b29b612427ee22a931583c000000000000002000000000000000081c0fdb9974c2a1dd459695aa988d4ae0df2285c1c20f680458cdf337a754b90c0000000000000023dfcb95c53748b9cacafdc508000000000000004145535f47434d5f";
    const SIGNATURE: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    fn round_1000() -> Signature {
        Signature::from_bytes(&hex::decode(SIGNATURE).unwrap()).unwrap()
    }

    fn entropy(fill: u8) -> Entropy {
        Entropy { key: [fill; 32], sigma: [fill ^ 0x5a; 32], nonce: [fill; 12] }
    }

    #[test]
    fn what_the_official_core_encrypted_opens_here() {
        assert_eq!(decrypt(&round_1000(), &hex::decode(F1).unwrap()).unwrap(), hex::decode(F1_PLAIN).unwrap());
        assert_eq!(decrypt(&round_1000(), &hex::decode(F2).unwrap()).unwrap(), b"hello, subtensor");
    }

    /// With the secrets of the official ciphertext, ours is the same to the byte: the header's point, both masks, the layout.
    #[test]
    fn with_the_same_randomness_the_ciphertext_is_the_official_one() {
        let official = hex::decode(F1).unwrap();
        let parts = Parts::read(&official).unwrap();
        let shared = curve::pairing(round_1000().0, curve::g2(parts.u, "U").unwrap());
        let sigma = xor(&parts.v, &hash(&curve::target_bytes(&shared)));
        let key = xor(&parts.w, &hash(&sigma));
        let quicknet = PublicKey::from_bytes(&hex::decode(PublicKey::QUICKNET).unwrap()).unwrap();
        let plain = hex::decode(F1_PLAIN).unwrap();
        let ours = encrypt(&quicknet, 1000, &plain, Entropy { key, sigma, nonce: parts.nonce }).unwrap();
        assert_eq!(hex::encode(ours), F1);
    }

    #[test]
    fn a_length_that_lies_is_refused_before_anything_is_allocated() {
        let good = hex::decode(F2).unwrap();
        for place in [96, 136, 176, 184] {
            let mut bad = good.clone();
            bad[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            let error = decrypt(&round_1000(), &bad).unwrap_err();
            assert!(matches!(&error, TimelockError::Layout(why) if why.contains("claims")), "{error}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(matches!(decrypt(&round_1000(), &longer), Err(TimelockError::Layout(_))));
        // The layout of timelock 0.3.0 has no prefixes before V and W.
        let mut newer = good[..96].to_vec();
        newer.extend_from_slice(&good[104..136]);
        newer.extend_from_slice(&good[144..]);
        assert!(matches!(decrypt(&round_1000(), &newer), Err(TimelockError::Layout(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn only_the_rounds_own_signature_opens(
            round in any::<u64>(), other in any::<u64>(), plain in prop::collection::vec(any::<u8>(), 0..300), fill in any::<u8>(),
        ) {
            let beacon = LocalBeacon::from_seed(&[fill]);
            let sealed = encrypt(&beacon.public_key(), round, &plain, entropy(fill)).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(decrypt(&beacon.sign(round), &sealed).unwrap(), plain);
            if other != round {
                prop_assert_eq!(decrypt(&beacon.sign(other), &sealed), Err(TimelockError::WrongKey));
            }
        }

        #[test]
        fn a_ciphertext_changed_anywhere_never_opens(place in 0..260_usize, bit in 0..8_u32, cut in 0..260_usize) {
            let good = hex::decode(F2).unwrap();
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            prop_assert!(decrypt(&round_1000(), &bad).is_err());
            prop_assert!(decrypt(&round_1000(), &good[..cut]).is_err());
        }

        #[test]
        fn foreign_bytes_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(decrypt(&round_1000(), &bytes).is_err());
        }
    }
}
