//! What can go wrong with the chain, said to the person: what happened, what was read, what is needed.

use std::time::Duration;

use crate::{rehearse::Rehearsal, value::ShapeError, weights::preflight::Check};

/// Any failure of the chain client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// No connection could be made.
    #[error("cannot reach the chain at {url}: {reason}; check the address and that the node is running")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// The system's reason.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("gave up after {} s waiting for {waited_for} ({last})", after.as_secs_f32())]
    Deadline {
        /// What was waited for.
        waited_for: String,
        /// How long.
        after: Duration,
        /// The last that was seen of it.
        last: String,
    },
    /// The node answered a request with an error.
    #[error("the node refused {method}: {message} (code {code}){}", hint(message))]
    Node {
        /// The JSON-RPC method.
        method: String,
        /// The JSON-RPC code.
        code: i32,
        /// What the node says.
        message: String,
    },
    /// The node's answer is not of the expected form.
    #[error("cannot read {what} (runtime spec {spec}): {reason}")]
    Decode {
        /// What was read.
        what: String,
        /// The runtime's spec version; 0 where it does not matter.
        spec: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that this client uses does not exist in the running runtime.
    #[error("unknown {what} in this runtime (spec {spec}): it was renamed, removed or is not there yet")]
    Absent {
        /// For example `call SubtensorModule.commit_weights`.
        what: String,
        /// The runtime's spec version.
        spec: u32,
    },
    /// A call exists, but takes other arguments.
    #[error("call {call} of this runtime (spec {spec}) does not fit this client: {reason}")]
    Arguments {
        /// Pallet and call.
        call: String,
        /// The runtime's spec version.
        spec: u32,
        /// The argument that differs.
        reason: String,
    },
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// What was asked about does not exist on chain.
    #[error("{0}")]
    NotFound(String),
    /// The node did not take the transaction; it is in no block and cost nothing.
    #[error("{call} was not accepted: {explanation}")]
    Pool {
        /// Pallet and call.
        call: String,
        /// The chain's own number for the reason, if it gave one.
        custom: Option<u8>,
        /// The reason's name, or the node's words.
        name: String,
        /// What it means and what to do.
        explanation: String,
    },
    /// The transaction is in a block and failed there.
    #[error("{call} failed in block {block}: {explanation}")]
    Dispatch {
        /// Pallet and call.
        call: String,
        /// The pallet whose error it is; `None` for errors of the runtime itself.
        pallet: Option<String>,
        /// The error's name in metadata.
        name: String,
        /// What it means and what to do.
        explanation: String,
        /// The block's number.
        block: u32,
    },
    /// The transaction is in no block and will not be: its last valid block has passed.
    #[error(
        "{call} was in none of the blocks up to {last_valid}, its last valid one: it did not happen and can be sent again"
    )]
    Expired {
        /// Pallet and call.
        call: String,
        /// Transaction hash, hex.
        extrinsic: String,
        /// The last block that could have held it.
        last_valid: u32,
    },
    /// A rehearsing client got as far as the signature: this is what it would have sent.
    #[error("{} was not sent: this is a dry run", .0.unsigned.call)]
    Rehearsed(Box<Rehearsal>),
    /// Rules that the chain would refuse this by, read before it was asked; nothing was sent.
    #[error("{call} was not sent, the chain would refuse it:{}", listed(broken))]
    Refused {
        /// Pallet and call.
        call: String,
        /// The broken rules, in the chain's order; at least one.
        broken: Vec<Check>,
    },
    /// The transaction succeeded, but its effect is not there.
    #[error("{call} is in block {block} without an error, but {missing}")]
    Unconfirmed {
        /// Pallet and call.
        call: String,
        /// The block's number.
        block: u32,
        /// What was looked for and not found.
        missing: String,
    },
}

/// Broken rules, one a line.
fn listed(broken: &[Check]) -> String {
    broken.iter().map(|check| format!("\n  {check}")).collect()
}

/// What to do about refusals that many meet.
fn hint(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    if message.contains("state already discarded") || message.contains("unknown block") {
        "; this node no longer keeps that block: ask an archive node"
    } else if message.contains("rate limit") || message.contains("too many requests") || message.contains("429") {
        "; this endpoint limits its users: wait, or use a node of your own"
    } else {
        ""
    }
}

impl ChainError {
    /// True if nothing was heard of the chain: it is the way there that is broken, or slow.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Deadline { .. })
    }

    /// The chain's name of the error, of the pool or of a dispatch: `NotEnoughStakeToSetWeights`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Dispatch { name, .. } | Self::Pool { name, .. } => Some(name),
            Self::Refused { broken, .. } => broken.first().map(|check| check.rule),
            _ => None,
        }
    }

    /// True if the node could not be asked at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// True if the same request may succeed later without anybody doing anything: no connection, no answer in time, a busy node.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Deadline { .. } | Self::Expired { .. } => true,
            Self::Pool { name, .. } | Self::Dispatch { name, .. } => matches!(
                name.as_str(),
                "RateLimitExceeded" | "CommittingWeightsTooFast" | "SettingWeightsTooFast" | "RevealTooEarly"
            ),
            _ => false,
        }
    }

    pub(crate) fn decode(what: impl Into<String>, spec: u32) -> impl FnOnce(ShapeError) -> Self {
        let what = what.into();
        move |error| Self::Decode { what, spec, reason: error.to_string() }
    }
}
