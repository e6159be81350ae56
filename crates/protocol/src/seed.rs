//! Named randomness: every draw names its purpose, so that two draws never share a stream by accident (design D11).

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// A generator for `purpose`, drawn from the run's seed and the given coordinates.
#[must_use]
pub fn stream(seed: u64, purpose: &str, coordinates: &[u64]) -> ChaCha20Rng {
    let mut hasher = blake3::Hasher::new_derive_key("starling.seed.v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for c in coordinates {
        hasher.update(&c.to_le_bytes());
    }
    ChaCha20Rng::from_seed(*hasher.finalize().as_bytes())
}

/// Fisher–Yates with rejection-free bounded draws (the bias of a 64-bit draw over a few thousand items is below 2^-50).
pub fn shuffle<T>(items: &mut [T], rng: &mut impl rand_chacha::rand_core::RngCore) {
    for i in (1..items.len()).rev() {
        let j = (u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64;
        items.swap(i, j as usize);
    }
}
