//! Codes of refusals, and what whoever is refused does next.
//!
//! Invariant: a number on the wire means one thing for ever, and an unknown number is kept as it is ([`Code::Other`]), so an older
//! peer can be refused by a newer one. Programs match codes; the words beside them are for people and may change at any time.

use parity_scale_codec::{Decode, Encode, EncodeLike, Error, Input, MaxEncodedLen, Output};

/// Longest words beside a code, bytes.
pub const MAX_WORDS: usize = 1024;

/// What whoever is refused does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// It sends the same again after a pause: the fault lies at the other end, or passes.
    Again,
    /// It looks again at what it knows (the ledger, the roster, the size) before it sends anything: the same bytes are refused
    /// again until something changes.
    Reconsider,
    /// It joins the run first.
    Rejoin,
    /// It stops and tells its person: no repetition helps.
    End,
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $number:literal => $reaction:ident,)+) => {
        /// Why something was refused. Encoded as a `u16`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])+ $name,)+
            /// A number that this build does not know; made by [`Code::from`] alone.
            Other(u16),
        }

        impl Code {
            /// Every code that has a name.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)+
                    Self::Other(number) => number,
                }
            }

            /// What whoever is told this does. An unknown code is looked at again, never the end of a process.
            #[must_use]
            pub const fn reaction(self) -> Reaction {
                match self {
                    $(Self::$name => Reaction::$reaction,)+
                    Self::Other(_) => Reaction::Reconsider,
                }
            }
        }

        impl From<u16> for Code {
            fn from(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)+
                    other => Self::Other(other),
                }
            }
        }
    };
}

codes! {
    // 1 to 39: the connection and its requests.
    /// The first words on the connection are no hello.
    NotHello = 1 => End,
    /// Another protocol version.
    OtherVersion = 2 => End,
    /// For another run.
    OtherRun = 3 => End,
    /// The hotkey did not sign for this connection.
    NotBound = 4 => Reconsider,
    /// The hotkey is not registered on the run's subnet.
    NotRegistered = 5 => Reconsider,
    /// The chain could not be asked who is registered.
    ChainUnreadable = 6 => Again,
    /// The hotkey has as many connections as one may have.
    TooManyConnections = 7 => Again,
    /// The bytes did not arrive in time.
    Late = 8 => Again,
    /// More bytes than one request or answer may have.
    TooLarge = 9 => Reconsider,
    /// A stream of a kind that this build does not know.
    UnknownKind = 10 => End,
    /// The bytes are no message of the kind expected.
    Malformed = 11 => End,
    /// This peer answers no requests.
    NotServed = 12 => Reconsider,
    /// The peer's own disk or task failed.
    Failed = 13 => Again,
    /// The work was not done in time.
    NotDone = 14 => Again,
    /// The peer is about to stop.
    Stopping = 15 => Again,
    /// The allowance of messages is used up for now.
    Allowance = 16 => Again,

    // 40 to 79: pushed items.
    /// The peer takes no pushes, or not yet.
    NoIntake = 40 => Again,
    /// An item, or a record, that does not belong to an open channel.
    NoChannel = 41 => Again,
    /// More items or bytes than credit was granted for.
    NoCredit = 42 => Again,
    /// A newer channel of the same hotkey took this one's place.
    Replaced = 43 => Again,
    /// The header is longer than headers may be.
    HeaderTooLarge = 44 => Reconsider,
    /// The body is longer than the receiver takes.
    BodyTooLarge = 45 => Reconsider,
    /// The body is shorter or longer than was said.
    WrongLength = 46 => Reconsider,
    /// The item did not arrive whole in time.
    Stalled = 47 => Again,
    /// Not this sample, not from this peer, or not now.
    OutOfTurn = 48 => Reconsider,
    /// The sample takes another pathway.
    OtherPathway = 49 => Reconsider,
    /// Another dtype or shape than the stage takes.
    OtherShape = 50 => Reconsider,
    /// The body does not hash to what the header says.
    OtherDigest = 51 => Reconsider,
    /// The item is here already.
    Duplicate = 52 => Reconsider,
    /// The values are not what this sender's values have been.
    Screened = 53 => Reconsider,

    // 80 to 119: messages for the ledger.
    /// Not signed by the hotkey that sends it.
    Forged = 80 => End,
    /// The hotkey has not joined the run, or has left it.
    NotJoined = 81 => Rejoin,
    /// Not the next of the sender's sequence.
    OutOfSequence = 82 => Reconsider,
    /// The right number, but it does not continue what the sender said before.
    OtherChain = 83 => Reconsider,
    /// More messages that count for nothing than honest work can need.
    TooMany = 84 => Reconsider,
    /// A field is longer than it may be.
    TooLong = 85 => Reconsider,
    /// Every stage has its miners.
    Full = 86 => Reconsider,
    /// The subnet's slot still has another hotkey's work.
    SlotTaken = 87 => Reconsider,
    /// The hotkey takes part in another role.
    OtherRole = 88 => Reconsider,
    /// The sender's clock is wrong.
    Clock = 89 => Reconsider,
    /// Right in itself, but too early or too late.
    NotNow = 90 => Reconsider,
}

impl Encode for Code {
    fn size_hint(&self) -> usize {
        2
    }

    fn encode_to<O: Output + ?Sized>(&self, out: &mut O) {
        self.number().encode_to(out);
    }
}

impl EncodeLike for Code {}

impl Decode for Code {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        u16::decode(input).map(Self::from)
    }
}

impl MaxEncodedLen for Code {
    fn max_encoded_len() -> usize {
        2
    }
}

/// A refusal: the code for programs, the words for people.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{words}")]
pub struct Refused {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people; at most [`MAX_WORDS`] bytes.
    pub words: String,
}

impl Refused {
    /// `words` are cut to [`MAX_WORDS`] bytes.
    #[must_use]
    pub fn new(code: Code, words: impl Into<String>) -> Self {
        let mut words: String = words.into();
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        Self { code, words }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use parity_scale_codec::DecodeAll;

    use super::*;

    #[test]
    fn every_number_survives_the_wire_known_or_not() {
        for number in 0..=u16::MAX {
            let code = Code::from(number);
            assert_eq!(code.number(), number);
            assert_eq!(code.encode(), number.to_le_bytes());
            assert_eq!(Code::decode_all(&mut &number.to_le_bytes()[..]).unwrap(), code);
            assert_eq!(Code::ALL.contains(&code), !matches!(code, Code::Other(_)));
        }
    }

    #[test]
    fn no_two_names_share_a_number_and_an_unknown_code_ends_nobody() {
        let numbers: BTreeSet<u16> = Code::ALL.iter().map(|c| c.number()).collect();
        assert_eq!(numbers.len(), Code::ALL.len());
        assert_eq!(Code::from(60_000).reaction(), Reaction::Reconsider);
    }

    #[test]
    fn long_words_are_cut_at_a_letter() {
        let refused = Refused::new(Code::Failed, "é".repeat(MAX_WORDS));
        assert_eq!(refused.words.len(), MAX_WORDS);
        assert_eq!(Refused::decode_all(&mut &refused.encode()[..]).unwrap(), refused);
    }
}
