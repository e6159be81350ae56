//! The link to a run's orchestrator: four requests, each with a deadline, each safe to repeat.
//!
//! Owns no state of the run: a reader keeps its own [`State`](starling_protocol::state::State) and moves it with
//! [`State::absorb`](starling_protocol::state::State::absorb), which believes nothing unsigned.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parity_scale_codec::Encode;
use starling_keys::{Account, Signer};
use starling_protocol::{
    Reaction, Refused,
    message::{Join, Role},
    signed::Signed,
    wire::{self, Page, Request, Response, Submission},
};

use crate::{NetworkError, Node, PeerAddress, handshake::Unbelieved};

/// Patience for an answer beyond the time that the request itself asks the orchestrator to wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the orchestrator did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not reached, or not within the deadline.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Reached, and it said no.
    #[error("the orchestrator refuses: {0}")]
    Refused(Refused),
    /// It answered something that is not an answer to this.
    #[error(transparent)]
    Malformed(#[from] wire::Malformed),
    /// It answered another question.
    #[error("the orchestrator answered another question than {0}: it speaks another version")]
    Unexpected(&'static str),
}

impl LinkError {
    /// What whoever asked does next.
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Refused(why) | Self::Network(NetworkError::Refused { why, .. }) => why.code.reaction(),
            // Its key may be another one tomorrow; this connection was the wrong one.
            Self::Network(NetworkError::Unbelieved(Unbelieved::NotBound(_))) => Reaction::Again,
            Self::Network(NetworkError::Unbelieved(_) | NetworkError::Address(_))
            | Self::Malformed(_)
            | Self::Unexpected(_) => Reaction::End,
            Self::Network(_) => Reaction::Again,
        }
    }
}

/// A way to the orchestrator; cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    node: Arc<Node>,
    orchestrator: PeerAddress,
    account: Account,
}

impl Link {
    /// `account` is the hotkey that the run's configuration names as its orchestrator.
    #[must_use]
    pub fn new(node: Arc<Node>, orchestrator: PeerAddress, account: Account) -> Self {
        Self { node, orchestrator, account }
    }

    /// Where the orchestrator is (it also serves token shards).
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.orchestrator
    }

    /// Who it is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    async fn ask(&self, request: &Request, patience: Duration) -> Result<Response, LinkError> {
        let answer =
            self.node.request(&self.orchestrator, Some(&self.account), Bytes::from(request.encode()), patience).await?;
        match wire::decode::<Response>(&answer, "response")? {
            Response::Refused(why) => Err(LinkError::Refused(why)),
            other => Ok(other),
        }
    }

    /// The run's configuration as TOML.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn config(&self) -> Result<String, LinkError> {
        match self.ask(&Request::Config, PATIENCE).await? {
            Response::Config(text) => Ok(text),
            _ => Err(LinkError::Unexpected("what is the configuration")),
        }
    }

    /// Take part, reachable at this node's address.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn join(
        &self,
        signer: &dyn Signer,
        run: starling_protocol::Digest,
        role: Role,
        now_ms: u64,
    ) -> Result<(), LinkError> {
        let join = Join { run, role, address: self.node.address().encode(), at_ms: now_ms };
        match self.ask(&Request::Join(Signed::new(join, signer)), PATIENCE).await? {
            Response::Accepted => Ok(()),
            _ => Err(LinkError::Unexpected("may I join")),
        }
    }

    /// Entries from `from` on, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn page(&self, from: u64, wait: Duration) -> Result<Page, LinkError> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(30_000).min(30_000);
        match self.ask(&Request::Ledger { from, wait_ms }, wait + PATIENCE).await? {
            Response::Page(page) => Ok(page),
            _ => Err(LinkError::Unexpected("what is in the ledger")),
        }
    }

    /// Hand in signed messages, in order.
    ///
    /// # Errors
    /// [`LinkError`]; those before the refused one are in.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Result<(), LinkError> {
        match self.ask(&Request::Submit(submissions), PATIENCE).await? {
            Response::Accepted => Ok(()),
            _ => Err(LinkError::Unexpected("take this")),
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_keys::Account;
    use starling_protocol::{Code, Digest};

    use super::*;

    fn told(why: Refused) -> [LinkError; 2] {
        [LinkError::Refused(why.clone()), LinkError::Network(NetworkError::Refused { peer: "p".into(), why })]
    }

    #[test]
    fn every_code_leads_to_its_reaction_whatever_the_words_and_whoever_refuses() {
        for code in Code::ALL.iter().copied().chain([Code::from(60_000)]) {
            for words in ["", "join first", "the peer speaks protocol 9"] {
                for error in told(Refused::new(code, words)) {
                    assert_eq!(error.reaction(), code.reaction(), "{code:?}");
                }
            }
        }
        assert_eq!(Code::NotJoined.reaction(), Reaction::Rejoin);
        assert_eq!(Code::Forged.reaction(), Reaction::End);
        assert_eq!(Code::Stopping.reaction(), Reaction::Again);
        assert_eq!(Code::Full.reaction(), Reaction::Reconsider);
    }

    #[test]
    fn another_version_or_run_is_hopeless_on_whichever_side_it_is_noticed() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        for why in [
            Unbelieved::Garbage,
            Unbelieved::Version { theirs: 1, ours: 2 },
            Unbelieved::Run { theirs: one, ours: two },
        ] {
            for error in told(why.refusal()) {
                assert_eq!(error.reaction(), Reaction::End, "{why}");
            }
            assert_eq!(LinkError::Network(why.into()).reaction(), Reaction::End);
        }
        let unbound = Unbelieved::NotBound(Account([1; 32]));
        assert_eq!(LinkError::Network(unbound.into()).reaction(), Reaction::Again);
        let away = NetworkError::Unreachable { peer: "p".into(), reason: "timed out".into() };
        assert_eq!(LinkError::Network(away).reaction(), Reaction::Again);
    }
}
