//! Who is at the other end: hotkeys bound to endpoint ids.
//!
//! Each side sends one bounded [`Hello`]: its protocol version in the clear and a [`Binding`] signed by its hotkey. The binding
//! names both endpoint ids, which QUIC has authenticated already, so it cannot be shown to or by a third party.

use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_protocol::{
    Digest,
    keys::{Account, Signer},
    signed::{Body, Signed},
};

/// Longest hello, bytes.
pub const MAX_HELLO: usize = 512;

/// "This endpoint is mine, and I speak to that one, about this run."
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Binding {
    /// The run.
    pub run: Digest,
    /// The signer's endpoint.
    pub own: [u8; 32],
    /// The endpoint spoken to.
    pub peer: [u8; 32],
}

impl Body for Binding {
    const DOMAIN: &'static [u8] = b"starling.binding.v1\0";
}

/// First words on a connection. The version comes first, so that it can be read whatever follows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The protocol spoken.
    pub version: u32,
    /// The signed binding.
    pub binding: Signed<Binding>,
}

/// Why a peer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// Not a hello at all.
    #[error("the peer's first words are not a hello: it is no Starling peer, or one of another version")]
    Garbage,
    /// Another version.
    #[error("the peer speaks protocol {theirs}, this build speaks {ours}: {} must be upgraded", if theirs < ours { "the peer" } else { "this build" })]
    Version {
        /// Spoken there.
        theirs: u32,
        /// Spoken here.
        ours: u32,
    },
    /// Another run.
    #[error("the peer is in run {theirs}, this is run {ours}: both must use the same run.toml")]
    Run {
        /// There.
        theirs: Digest,
        /// Here.
        ours: Digest,
    },
    /// The signature or an endpoint id is not right.
    #[error("the peer's hotkey {0} did not sign for this connection")]
    NotBound(Account),
    /// Somebody else than expected.
    #[error("expected hotkey {expected} at this address, found {found}")]
    SomebodyElse {
        /// Expected.
        expected: Account,
        /// Found.
        found: Account,
    },
}

impl Hello {
    /// This side's hello.
    pub fn new(version: u32, run: Digest, own: [u8; 32], peer: [u8; 32], signer: &dyn Signer) -> Self {
        Self { version, binding: Signed::new(Binding { run, own, peer }, signer) }
    }

    /// Check the other side's hello: `own` is this endpoint, `peer` the one that QUIC says is there.
    ///
    /// # Errors
    /// [`Unbelieved`].
    pub fn check(bytes: &[u8], version: u32, run: Digest, own: [u8; 32], peer: [u8; 32], expect: Option<&Account>) -> Result<Account, Unbelieved> {
        let theirs = u32::decode(&mut &bytes[..]).map_err(|_| Unbelieved::Garbage)?;
        if theirs != version {
            return Err(Unbelieved::Version { theirs, ours: version });
        }
        let hello = Self::decode_all(&mut &bytes[..]).map_err(|_| Unbelieved::Garbage)?;
        let binding = &hello.binding;
        if binding.verify().is_err() || binding.body.own != peer || binding.body.peer != own {
            return Err(Unbelieved::NotBound(binding.signer));
        }
        if binding.body.run != run {
            return Err(Unbelieved::Run { theirs: binding.body.run, ours: run });
        }
        match expect {
            Some(expected) if *expected != binding.signer => Err(Unbelieved::SomebodyElse { expected: *expected, found: binding.signer }),
            _ => Ok(binding.signer),
        }
    }
}
