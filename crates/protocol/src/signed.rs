//! A body with its author's signature.
//!
//! Invariant: what is signed is `DOMAIN ‖ SCALE(body)`, so a signature for one kind of message can never be shown as another.
//! [`Signed`] values that came from a peer must pass [`Signed::verify`] before the body is looked at.

use parity_scale_codec::{Decode, Encode};

use starling_keys::{Account, Signature, Signer};

/// A kind of message that is signed.
pub trait Body: Encode {
    /// Distinct for every kind and version.
    const DOMAIN: &'static [u8];
}

/// A body, who signed it, and the signature over `DOMAIN ‖ SCALE(body)`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed<T> {
    /// What is said.
    pub body: T,
    /// Who says it.
    pub signer: Account,
    /// sr25519.
    pub signature: Signature,
}

/// The signature is not the signer's over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not {0}'s over this message: it was altered, or signed with another key")]
pub struct BadSignature(pub Account);

impl<T: Body> Signed<T> {
    /// Sign a body.
    pub fn new(body: T, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&message(&body));
        Self { body, signer: signer.account(), signature }
    }

    /// Check the signature.
    ///
    /// # Errors
    /// [`BadSignature`] if it is not the signer's.
    pub fn verify(&self) -> Result<(), BadSignature> {
        if self.signer.verify(&message(&self.body), &self.signature) { Ok(()) } else { Err(BadSignature(self.signer)) }
    }
}

fn message<T: Body>(body: &T) -> Vec<u8> {
    let mut bytes = T::DOMAIN.to_vec();
    body.encode_to(&mut bytes);
    bytes
}
