//! Who is at the other end: hotkeys bound to endpoint ids.
//!
//! Each side sends one bounded [`Hello`]: its protocol version in the clear and a [`Binding`] signed by its hotkey. The binding
//! names both endpoint ids, which QUIC has authenticated already, so it cannot be shown to or by a third party, and a value that
//! TLS derives for this one connection (RFC 5705), so it is good for no other, and neither clock nor nonce is needed.

use iroh::endpoint::Connection;
use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_keys::{Account, Signer};
use starling_protocol::{
    Code, Digest, Refused,
    signed::{Body, Signed},
};

/// Longest hello, bytes.
pub const MAX_HELLO: usize = 512;

/// The two ends of a connection, seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// This side's endpoint.
    pub own: [u8; 32],
    /// The other side's endpoint, by QUIC.
    pub peer: [u8; 32],
    /// What only the two ends of this connection know ([`channel`]).
    pub channel: [u8; 32],
}

/// The value that binds a signature to one connection.
///
/// # Errors
/// What TLS says; it does not happen on an established connection.
pub fn channel(connection: &Connection) -> Result<[u8; 32], String> {
    let mut value = [0; 32];
    connection
        .export_keying_material(&mut value, b"starling.binding", b"")
        .map(|()| value)
        .map_err(|_| "TLS yields no keying material".to_owned())
}

/// "This endpoint is mine, and I speak to that one, on this connection, about this run."
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Binding {
    /// The run.
    pub run: Digest,
    /// The signer's endpoint.
    pub own: [u8; 32],
    /// The endpoint spoken to.
    pub peer: [u8; 32],
    /// The connection.
    pub channel: [u8; 32],
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
    #[error("the peer speaks protocol {theirs}, this build speaks {ours}: upgrade {}", if theirs < ours { "the peer" } else { "this build" })]
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

impl Unbelieved {
    /// What the peer is told.
    #[must_use]
    pub fn refusal(&self) -> Refused {
        let code = match self {
            Self::Garbage => Code::NotHello,
            Self::Version { .. } => Code::OtherVersion,
            Self::Run { .. } => Code::OtherRun,
            // Nobody who listens expects somebody; the caller, who does, tells no one.
            Self::NotBound(_) | Self::SomebodyElse { .. } => Code::NotBound,
        };
        Refused::new(code, self.to_string())
    }
}

impl Hello {
    /// This side's hello.
    pub fn new(version: u32, run: Digest, ends: &Ends, signer: &dyn Signer) -> Self {
        let Ends { own, peer, channel } = *ends;
        Self { version, binding: Signed::new(Binding { run, own, peer, channel }, signer) }
    }

    /// Check the other side's hello; `ends` is the connection as this side sees it.
    ///
    /// # Errors
    /// [`Unbelieved`].
    pub fn check(
        bytes: &[u8],
        version: u32,
        run: Digest,
        ends: &Ends,
        expect: Option<&Account>,
    ) -> Result<Account, Unbelieved> {
        let theirs = u32::decode(&mut &bytes[..]).map_err(|_| Unbelieved::Garbage)?;
        if theirs != version {
            return Err(Unbelieved::Version { theirs, ours: version });
        }
        let hello = Self::decode_all(&mut &bytes[..]).map_err(|_| Unbelieved::Garbage)?;
        let Binding { run: theirs, own, peer, channel } = hello.binding.body;
        let signer = hello.binding.signer;
        if theirs != run {
            return Err(Unbelieved::Run { theirs, ours: run });
        }
        if (own, peer, channel) != (ends.peer, ends.own, ends.channel) || hello.binding.verify().is_err() {
            return Err(Unbelieved::NotBound(signer));
        }
        match expect {
            Some(expected) if *expected != signer => {
                Err(Unbelieved::SomebodyElse { expected: *expected, found: signer })
            }
            _ => Ok(signer),
        }
    }
}
