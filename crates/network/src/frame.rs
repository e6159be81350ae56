//! What a stream carries: `[kind u8][length u32 LE][bytes]` each way.
//!
//! Invariant: a length is checked against its limit before anything is allocated for it.

use std::{fmt, time::Duration};

use bytes::Bytes;
use iroh::endpoint::{RecvStream, SendStream};
use starling_protocol::{Code, Refused, code::MAX_WORDS};
use tokio::time::timeout;

use crate::NetworkError;

/// First stream of a connection: the handshake.
pub(crate) const HELLO: u8 = 0;
/// A request for the handler.
pub(crate) const REQUEST: u8 = 1;
/// A blob, or part of one, is wanted.
pub(crate) const BLOB: u8 = 2;

/// A channel for pushed items is opened; its number (u32 LE) follows.
pub(crate) const PUSHES: u8 = 3;
/// A pushed item, on a stream of its own.
pub(crate) const ITEM: u8 = 4;
/// What the receiver says on a channel.
pub(crate) const RECORD: u8 = 5;

/// Done; the answer follows.
pub(crate) const OK: u8 = 0;
/// Not done; the code (u16 LE) and the words follow.
pub(crate) const REFUSED: u8 = 1;
/// There is no such blob.
pub(crate) const MISSING: u8 = 2;

/// How long the other side may take to take a frame.
const WRITING: Duration = Duration::from_secs(30);
/// Longest refusal, bytes.
pub(crate) const MAX_REFUSAL: usize = 2 + MAX_WORDS;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("{0}")]
    Lost(String),
    #[error("{bytes} bytes, at most {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
}

impl FrameError {
    pub(crate) fn lost(error: impl fmt::Display) -> Self {
        Self::Lost(format!("{error:#}"))
    }

    pub(crate) fn at(self, peer: &str) -> NetworkError {
        match self {
            Self::Lost(reason) => NetworkError::Unreachable { peer: peer.to_owned(), reason },
            Self::TooLarge { bytes, limit } => NetworkError::TooLarge { what: "an answer", bytes, limit },
        }
    }
}

/// Write one frame; more may follow on the stream.
pub(crate) async fn write(send: &mut SendStream, kind: u8, bytes: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| FrameError::TooLarge { bytes: bytes.len() as u64, limit: u64::from(u32::MAX) })?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_le_bytes());
    let written = async {
        send.write_all(&head).await.map_err(FrameError::lost)?;
        send.write_all(bytes).await.map_err(FrameError::lost)
    };
    timeout(WRITING, written).await.unwrap_or_else(|_| Err(FrameError::Lost("the other side takes nothing".to_owned())))
}

/// Write one frame and end the stream.
pub(crate) async fn write_last(send: &mut SendStream, kind: u8, bytes: &[u8]) -> Result<(), FrameError> {
    write(send, kind, bytes).await?;
    send.finish().map_err(FrameError::lost)
}

/// Refuse, with a code and in words.
pub(crate) async fn refuse(send: &mut SendStream, why: &Refused) -> Result<(), FrameError> {
    write_last(send, REFUSED, &refusal(why)).await
}

fn refusal(why: &Refused) -> Vec<u8> {
    let words = why.words.get(..why.words.floor_char_boundary(MAX_WORDS)).unwrap_or_default();
    [&why.code.number().to_le_bytes(), words.as_bytes()].concat()
}

/// Read one frame of at most `limit` bytes (refusals have a limit of their own).
pub(crate) async fn read(receive: &mut RecvStream, limit: usize) -> Result<(u8, Bytes), FrameError> {
    let mut head = [0; 5];
    receive.read_exact(&mut head).await.map_err(FrameError::lost)?;
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    let limit = if kind == REFUSED { limit.max(MAX_REFUSAL) } else { limit };
    if length > limit {
        return Err(FrameError::TooLarge { bytes: length as u64, limit: limit as u64 });
    }
    let mut bytes = vec![0; length];
    receive.read_exact(&mut bytes).await.map_err(FrameError::lost)?;
    Ok((kind, bytes.into()))
}

/// What a refusal says. One without a code comes from a peer whose build is older than the codes.
pub(crate) fn refused(bytes: &[u8]) -> Refused {
    let (code, rest) = bytes.split_first_chunk::<2>().map_or((0, bytes), |(n, rest)| (u16::from_le_bytes(*n), rest));
    Refused::new(Code::from(code), words(rest))
}

/// Words of a peer.
pub(crate) fn words(bytes: &[u8]) -> String {
    // What a peer says ends up in logs and terminals: no control characters.
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
