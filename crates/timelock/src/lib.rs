//! Timelocked weights: encryption to a future round of a randomness beacon, byte for byte as the official clients do it
//! (chain.md 5.2 to 5.4 and 14).
//!
//! A beacon signs the number of each round when its time has come. Who encrypts to a round needs only the beacon's public key; nobody can decrypt
//! before the round's signature is published, and then everybody can. Scheme: Boneh–Franklin (FullIdent) over BLS12-381 with
//! signatures in G1, the body under AES-256-GCM.
//!
//! Pure: no clock and no randomness of its own. What must be random is an argument ([`Entropy`]); what a stranger sent is checked for its
//! lengths before anything is allocated for it.
//!
//! ```
//! use starling_timelock::{Entropy, LocalBeacon, decrypt, encrypt};
//!
//! let beacon = LocalBeacon::from_seed(b"an example");
//! let sealed = encrypt(&beacon.public_key(), 7, b"not yet", Entropy { key: [1; 32], sigma: [2; 32], nonce: [3; 12] })?;
//! assert_eq!(sealed.len(), 244 + 7);
//! assert!(decrypt(&beacon.sign(6), &sealed).is_err());
//! assert_eq!(decrypt(&beacon.sign(7), &sealed)?, b"not yet");
//! # Ok::<(), starling_timelock::TimelockError>(())
//! ```

mod beacon;
mod cipher;
mod curve;
mod error;
mod layout;
mod payload;

pub use beacon::{LocalBeacon, PublicKey, Rounds, Signature, randomness};
pub use cipher::{Entropy, OVERHEAD, decrypt, encrypt};
pub use error::TimelockError;
pub use payload::{MAX_COMMIT, Payload};
