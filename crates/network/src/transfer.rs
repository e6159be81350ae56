//! One blob, or part of one, over one stream: the bao encoding that iroh-blobs speaks, verified group by group as it arrives.
//!
//! Invariant: bytes that [`receive`] returns stand at that place in the one blob of that digest, and never more memory is taken
//! than what was verified plus one group.
//!
//! The request is our own and of fixed size, because iroh-blobs' range specification overflows (a panic in debug builds) on
//! hostile widths and buffers a mebibyte per request. The answer is `[OK][8][size u64 LE]`, then the encoding.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc, time::Duration};

use bao_tree::{
    BaoTree, ByteRanges, ChunkRanges,
    io::{
        BaoContentItem, DecodeError, EncodeError,
        fsm::{AsyncSliceReader, ResponseDecoder, ResponseDecoderNext, encode_ranges_validated},
        round_up_to_chunks,
    },
};
use bytes::{Bytes, BytesMut};
use iroh::endpoint::{RecvStream, SendStream};
use iroh_blobs::util::RecvStreamAsyncStreamReader;
use iroh_io::AsyncStreamWriter;
use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_protocol::{Code, Digest, Refused};
use tokio::time::timeout;

use crate::{
    NetworkError,
    frame::{self, FrameError, MISSING, OK},
    store::{GROUP, Opened, Store},
};

/// How long a receiver may take no byte at all.
const STALL: Duration = Duration::from_secs(20);
/// Read from disk and written to the stream at a time.
const WINDOW: usize = 256 << 10;
/// No blob is longer.
const MAX_LENGTH: u64 = 1 << 48;
/// Stream reset: the blob turned out to be damaged while it was being sent.
const DAMAGED: u32 = 4;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Want {
    pub(crate) digest: Digest,
    /// First byte and the one after the last; `None`: the whole blob.
    pub(crate) range: Option<(u64, u64)>,
}

/// Encoded length of the longest [`Want`].
pub(crate) const MAX_WANT: usize = 32 + 1 + 16;

fn chunks(range: Option<(u64, u64)>) -> ChunkRanges {
    range.map_or_else(ChunkRanges::all, |(start, end)| round_up_to_chunks(&ByteRanges::from(start..end)))
}

/// Serve what is wanted, or say why not.
pub(crate) async fn serve(store: &Arc<Store>, want: &[u8], send: &mut SendStream) -> Result<(), FrameError> {
    let Ok(want) = Want::decode_all(&mut &want[..]) else {
        return frame::refuse(send, &Refused::new(Code::Malformed, "this is no request for a blob")).await;
    };
    let (disk, digest) = (store.clone(), want.digest);
    let opened = match tokio::task::spawn_blocking(move || disk.serve(&digest)).await {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None) | Err(NetworkError::Damaged { .. })) => {
            return frame::write_last(send, MISSING, b"it is not here").await;
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a blob cannot be served");
            return frame::refuse(send, &Refused::new(Code::Failed, "its blob store fails")).await;
        }
        Err(error) => return Err(FrameError::lost(error)),
    };
    let Opened { file, tree } = opened;
    let length = tree.tree.size();
    frame::write(send, OK, &length.to_le_bytes()).await?;
    match want.range {
        // The length is the answer; the asker sees that its range is none of this blob.
        Some((start, end)) if start >= end || end > length => return send.finish().map_err(FrameError::lost),
        _ => {}
    }
    let reader = FileReader { file, length, start: 0, window: Bytes::new() };
    let mut writer = Writer { send, pending: BytesMut::with_capacity(WINDOW) };
    let sent = match encode_ranges_validated(reader, tree, &chunks(want.range), &mut writer).await {
        Ok(()) => writer.sync().await.map_err(EncodeError::Io),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => send.finish().map_err(FrameError::lost),
        Err(EncodeError::ParentHashMismatch(_) | EncodeError::LeafHashMismatch(_) | EncodeError::SizeMismatch) => {
            let _ = send.reset(DAMAGED.into());
            let disk = store.clone();
            let aside =
                tokio::task::spawn_blocking(move || disk.set_aside(&digest, "its hash tree does not match its bytes"));
            aside.await.map(drop).map_err(FrameError::lost)
        }
        Err(error) => {
            let _ = send.reset(DAMAGED.into());
            Err(FrameError::lost(error))
        }
    }
}

/// Ask for a blob on a fresh stream and read it; `limit` bounds the bytes of a whole blob.
pub(crate) async fn receive(
    send: &mut SendStream,
    mut receive: RecvStream,
    peer: &str,
    digest: &Digest,
    range: Option<Range<u64>>,
    limit: u64,
) -> Result<Bytes, NetworkError> {
    let missing = |reason: String| NetworkError::Missing { peer: peer.to_owned(), digest: *digest, reason };
    let want = Want { digest: *digest, range: range.as_ref().map(|r| (r.start, r.end)) };
    frame::write_last(send, frame::BLOB, &want.encode()).await.map_err(|e| e.at(peer))?;
    let (status, head) = frame::read(&mut receive, frame::MAX_REFUSAL).await.map_err(|e| e.at(peer))?;
    let length = match (status, <[u8; 8]>::try_from(&head[..])) {
        (OK, Ok(length)) => u64::from_le_bytes(length),
        (MISSING, _) => return Err(missing(frame::words(&head))),
        (frame::REFUSED, _) => {
            return Err(NetworkError::Refused { peer: peer.to_owned(), why: frame::refused(&head) });
        }
        _ => return Err(NetworkError::Malformed { peer: peer.to_owned(), bytes: head.len() }),
    };
    let (start, end) = match &range {
        None if length > limit => return Err(NetworkError::TooLarge { what: "a blob", bytes: length, limit }),
        Some(r) if r.start >= r.end || r.end > length || length > MAX_LENGTH => {
            return Err(NetworkError::Range { digest: *digest, start: r.start, end: r.end, length: Some(length) });
        }
        None => (0, length),
        Some(r) => (r.start, r.end),
    };
    let root = bao_tree::blake3::Hash::from_bytes(digest.0);
    let reader = RecvStreamAsyncStreamReader::new(receive);
    let mut decoder = ResponseDecoder::new(root, chunks(want.range), BaoTree::new(length, GROUP), reader);
    let mut found = BytesMut::new();
    while let ResponseDecoderNext::More((rest, item)) = decoder.next().await {
        decoder = rest;
        let BaoContentItem::Leaf(leaf) = item.map_err(|e| refused(e, peer, digest))? else { continue };
        let (from, to) = (start.max(leaf.offset), end.min(leaf.offset + leaf.data.len() as u64));
        if from < to {
            let slice = leaf.data.get((from - leaf.offset) as usize..(to - leaf.offset) as usize);
            found.extend_from_slice(slice.unwrap_or_default());
        }
    }
    if found.len() as u64 == end - start {
        Ok(found.freeze())
    } else {
        Err(missing("it was not sent whole".to_owned()))
    }
}

fn refused(error: DecodeError, peer: &str, digest: &Digest) -> NetworkError {
    let (peer, digest) = (peer.to_owned(), *digest);
    match error {
        DecodeError::ParentHashMismatch(_) | DecodeError::LeafHashMismatch(_) => {
            NetworkError::Corrupt { peer, digest, reason: error.to_string() }
        }
        DecodeError::ParentNotFound(_) | DecodeError::LeafNotFound(_) => {
            NetworkError::Missing { peer, digest, reason: "it was not sent whole".to_owned() }
        }
        DecodeError::Io(e) => match e.get_ref().and_then(|e| e.downcast_ref::<iroh::endpoint::ReadError>()) {
            Some(iroh::endpoint::ReadError::Reset(_)) => NetworkError::Missing {
                peer,
                digest,
                reason: "sending it was broken off: the peer's copy may be damaged".to_owned(),
            },
            _ if e.kind() == io::ErrorKind::InvalidData => {
                NetworkError::Missing { peer, digest, reason: "it was not sent whole".to_owned() }
            }
            _ => NetworkError::Unreachable { peer, reason: e.to_string() },
        },
    }
}

/// Reads a file a window at a time, off the runtime's threads.
struct FileReader {
    file: Arc<File>,
    length: u64,
    start: u64,
    window: Bytes,
}

impl AsyncSliceReader for FileReader {
    async fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset.saturating_add(len as u64).min(self.length);
        let need = usize::try_from(end.saturating_sub(offset)).map_err(io::Error::other)?;
        let held = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        if let Some(at) = held.filter(|at| at + need <= self.window.len()) {
            return Ok(self.window.slice(at..at + need));
        }
        let (file, mut buffer) =
            (self.file.clone(), vec![0; need.max(WINDOW.min((self.length - offset.min(self.length)) as usize))]);
        let read = tokio::task::spawn_blocking(move || file.read_exact_at(&mut buffer, offset).map(|()| buffer));
        self.window = read.await.map_err(io::Error::other)??.into();
        self.start = offset;
        Ok(self.window.slice(..need))
    }

    async fn size(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }
}

/// Collects the encoding, whose pieces are small, and gives up on a receiver that takes nothing.
struct Writer<'a> {
    send: &'a mut SendStream,
    pending: BytesMut,
}

impl Writer<'_> {
    async fn flush(&mut self) -> io::Result<()> {
        let chunk = self.pending.split().freeze();
        let sent = timeout(STALL, self.send.write_chunk(chunk)).await;
        sent.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the receiver takes nothing"))?
            .map_err(io::Error::other)
    }
}

impl AsyncStreamWriter for Writer<'_> {
    async fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(data);
        if self.pending.len() >= WINDOW { self.flush().await } else { Ok(()) }
    }

    async fn write_bytes(&mut self, data: Bytes) -> io::Result<()> {
        self.write(&data).await
    }

    async fn sync(&mut self) -> io::Result<()> {
        if self.pending.is_empty() { Ok(()) } else { self.flush().await }
    }
}
