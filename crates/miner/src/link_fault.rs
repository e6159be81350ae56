//! Which failures of the link to the orchestrator are worth another try.

use starling_network::{LinkError, NetworkError, handshake::Unbelieved};

/// What to make of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It may be gone the next time.
    Passing,
    /// The orchestrator says no; it may change its mind.
    Refusal,
    /// Another version, another run or somebody else: asking again gives the same answer.
    Permanent,
}

/// How a refusal that comes from the other side of the handshake begins, where no retry helps.
const HOPELESS: [&str; 3] =
    ["the peer speaks protocol", "the peer is in run", "the peer's first words are not a hello"];

/// In a refusal of what was handed in, whose signature the orchestrator finds to be another's.
const FORGED: &str = "the message is not signed by";

pub(crate) fn fault(error: &LinkError) -> Fault {
    match error {
        LinkError::Network(NetworkError::Unbelieved(why)) => match why {
            Unbelieved::NotBound(_) => Fault::Passing,
            Unbelieved::Garbage
            | Unbelieved::Version { .. }
            | Unbelieved::Run { .. }
            | Unbelieved::SomebodyElse { .. } => Fault::Permanent,
        },
        LinkError::Network(NetworkError::Address(_)) => Fault::Permanent,
        LinkError::Network(NetworkError::Refused { reason, .. }) => {
            if HOPELESS.iter().any(|h| reason.starts_with(h)) {
                Fault::Permanent
            } else {
                Fault::Refusal
            }
        }
        // The same bytes are handed in again, so the same answer comes.
        LinkError::Refused(why) if why.contains(FORGED) => Fault::Permanent,
        LinkError::Refused(_) => Fault::Refusal,
        LinkError::Malformed(_) | LinkError::Unexpected(_) => Fault::Permanent,
        LinkError::Network(_) => Fault::Passing,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_keys::Account;
    use starling_protocol::{Digest, state::Refusal};

    use super::*;

    /// A peer refuses in words: these must stay the words of the handshake, or a wrong version would be retried for ever.
    #[test]
    fn another_version_or_run_is_hopeless_on_whichever_side_it_is_noticed() {
        let refused =
            |why: Unbelieved| LinkError::Network(NetworkError::Refused { peer: "p".into(), reason: why.to_string() });
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        for why in [
            Unbelieved::Garbage,
            Unbelieved::Version { theirs: 1, ours: 2 },
            Unbelieved::Run { theirs: one, ours: two },
        ] {
            assert_eq!(fault(&refused(why.clone())), Fault::Permanent, "{why}");
            assert_eq!(fault(&LinkError::Network(why.into())), Fault::Permanent);
        }
        assert_eq!(fault(&refused(Unbelieved::NotBound(Account([1; 32])))), Fault::Refusal);
        assert_eq!(fault(&LinkError::Refused("every stage is full".into())), Fault::Refusal);
        let forged = format!("message 1 of 1 (forward): {}", Refusal::NotYours(Account([1; 32])));
        assert_eq!(fault(&LinkError::Refused(forged)), Fault::Permanent);
        let away = NetworkError::Unreachable { peer: "p".into(), reason: "timed out".into() };
        assert_eq!(fault(&LinkError::Network(away)), Fault::Passing);
    }
}
