//! A body with its author's signature, the author named by slot.
//!
//! Invariant: what is signed is `DOMAIN ‖ run ‖ account ‖ SCALE(body)`. So a signature is good for one kind of message, one run and one account,
//! although neither run nor account travels with the message: at one message a minute these 64 bytes are half of the ledger.

use parity_scale_codec::{Decode, Encode};

use starling_keys::{Account, Signature, Signer};

use crate::{Digest, Uid};

/// A kind of message that is signed.
pub trait Body: Encode {
    /// Distinct for every kind and version.
    const DOMAIN: &'static [u8];
}

/// A body, its author's slot, and the signature (66 bytes beside the body).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed<T> {
    /// Slot of the author; the state says which account holds it.
    pub by: Uid,
    /// sr25519.
    pub signature: Signature,
    /// What is said.
    pub body: T,
}

/// The signature is not the account's over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not {0}'s over this message in this run: it was altered, or signed with another key")]
pub struct BadSignature(pub Account);

/// The bytes that are signed.
pub fn message<T: Body>(body: &T, run: &Digest, account: &Account) -> Vec<u8> {
    let mut bytes = T::DOMAIN.to_vec();
    run.encode_to(&mut bytes);
    account.encode_to(&mut bytes);
    body.encode_to(&mut bytes);
    bytes
}

impl<T: Body> Signed<T> {
    /// Sign a body as the holder of slot `by`.
    pub fn new(body: T, by: Uid, run: &Digest, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&message(&body, run, &signer.account()));
        Self { by, signature, body }
    }

    /// Check the signature against the account that holds the slot.
    ///
    /// # Errors
    /// [`BadSignature`] if it is not that account's.
    pub fn verify(&self, run: &Digest, account: &Account) -> Result<(), BadSignature> {
        if account.verify(&message(&self.body, run, account), &self.signature) {
            Ok(())
        } else {
            Err(BadSignature(*account))
        }
    }
}
