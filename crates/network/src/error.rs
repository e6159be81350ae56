//! Why the network did not do what was asked, in words for the person who reads the log.

use std::{net::SocketAddr, path::PathBuf};

use starling_protocol::{Digest, Refused};

use crate::handshake::Unbelieved;

/// Why the network did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetworkError {
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {reason}. Is the port in use? Port 0 takes a free one")]
    Bind {
        /// Wanted.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The store or the key file failed.
    #[error("the blob store in {path} failed: {reason}. Check the disk and the folder's permissions")]
    Store {
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// No space left. Nothing that was stored is lost; the store works again as soon as there is space.
    #[error("no space left for {bytes} bytes in {path}: free some disk space; what is stored already is not harmed")]
    StorageFull {
        /// Where.
        path: PathBuf,
        /// Needed.
        bytes: u64,
    },
    /// Another process, or another node of this one, has the folder.
    #[error("{path} is in use by another process: give every node a folder of its own")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// A stored blob no longer hashes to its name. It has been moved aside, so that it can be fetched anew.
    #[error(
        "blob {digest} was damaged on disk ({reason}); it is now {aside}, and can be fetched again from a peer. Check the disk"
    )]
    Damaged {
        /// Which.
        digest: Digest,
        /// How that was seen.
        reason: String,
        /// Where it is now.
        aside: PathBuf,
    },
    /// The peer's address cannot be used.
    #[error("the peer's address cannot be used: {0}")]
    Address(String),
    /// Nobody answers.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The deadline passed.
    #[error("{peer} did not answer within {seconds:.1} s ({what})")]
    Deadline {
        /// Whom.
        peer: String,
        /// How long was waited.
        seconds: f32,
        /// For what.
        what: &'static str,
    },
    /// The handshake failed here.
    #[error(transparent)]
    Unbelieved(#[from] Unbelieved),
    /// The peer refused us or the request; or this side refuses the peer.
    #[error("{peer} refused: {why}")]
    Refused {
        /// Who.
        peer: String,
        /// The code, and the words.
        why: Refused,
    },
    /// More than allowed.
    #[error("{what} of {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many.
        bytes: u64,
        /// At most.
        limit: u64,
    },
    /// The part asked for is not part of the blob.
    #[error("bytes {start}..{end} are no part of blob {digest}{}", length.map_or_else(String::new, |n| format!(", which has {n}")))]
    Range {
        /// Of which blob.
        digest: Digest,
        /// First byte.
        start: u64,
        /// After the last.
        end: u64,
        /// Length of the blob, where it is known.
        length: Option<u64>,
    },
    /// The peer does not have the blob, or does not send it whole.
    #[error("{peer} does not serve blob {digest}: {reason}")]
    Missing {
        /// Who.
        peer: String,
        /// Which blob.
        digest: Digest,
        /// How that was learnt.
        reason: String,
    },
    /// The peer sent bytes that are not the blob. Nothing of them was used.
    #[error("{peer} sent bytes that do not hash to {digest}: {reason}")]
    Corrupt {
        /// Who.
        peer: String,
        /// Which blob.
        digest: Digest,
        /// Where it was seen.
        reason: String,
    },
    /// The answer is not of the type asked for.
    #[error("{peer} answered {bytes} bytes that are not what was asked for: it speaks another version")]
    Malformed {
        /// Who.
        peer: String,
        /// Length of the answer.
        bytes: usize,
    },
}
