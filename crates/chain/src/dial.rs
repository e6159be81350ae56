//! Opening one websocket: name, TCP, TLS, HTTP.
//!
//! The library below could do all of it, but it blocks the thread while it looks up names and keeps the reasons of a refusal to
//! itself: here the answer's head is kept, for its `Retry-After` (RFC 9110 10.2.3).

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use jsonrpsee::{
    client_transport::ws::{EitherStream, Url},
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, crypto::ring, pki_types::ServerName},
};

use crate::ChainError;

/// Largest answer taken from a node: metadata as hex is 0.6 MiB, a full metagraph 0.1 MiB.
const MAX_RESPONSE: u32 = 32 << 20;
/// As much of the answer's head as is kept.
const MAX_HEAD: usize = 8 << 10;

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// That is no address.
    Invalid(ChainError),
    /// The node has too many users; it may have said how long to wait.
    Limited {
        /// Its own words for it.
        after: Option<Duration>,
        /// The HTTP status.
        reason: String,
    },
    /// Anything else.
    Failed(String),
}

/// Connects within `patience`.
pub async fn dial(url: &str, patience: Duration) -> Result<WsClient, DialError> {
    // Boxed: everything above nests this future.
    match Box::pin(timeout(patience, open(url, patience))).await {
        Ok(opened) => opened,
        Err(_) => Err(DialError::Failed(format!("no answer within {} s", patience.as_secs_f32()))),
    }
}

async fn open(address: &str, patience: Duration) -> Result<WsClient, DialError> {
    let invalid = |reason: String| DialError::Invalid(ChainError::Invalid(reason));
    let url = Url::parse(address).map_err(|error| invalid(format!("`{address}` is no chain endpoint: {error}")))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(invalid(format!("`{address}` is no chain endpoint: it names no host")));
    };
    // IPv6 hosts stand in brackets in a URL, and without them elsewhere.
    let host = host.trim_matches(['[', ']']);
    let failed = |error: io::Error| DialError::Failed(format!("{host}: {error}"));
    let mut stream = Err(io::Error::other("the name has no address"));
    for socket in tokio::net::lookup_host((host, port)).await.map_err(failed)? {
        stream = TcpStream::connect(socket).await;
        if stream.is_ok() {
            break;
        }
    }
    // A refusal names the reason alone: the address is said by whoever reports it.
    let stream = stream.map_err(|error| DialError::Failed(error.to_string()))?;
    let _ = stream.set_nodelay(true);
    let stream =
        if url.scheme() == "wss" { secured(host, stream).await.map_err(failed)? } else { EitherStream::Plain(stream) };
    let head = Arc::new(Mutex::new(Vec::new()));
    let stream = Overheard { stream, head: Arc::clone(&head), over: false };
    let build = WsClientBuilder::new()
        // The deadlines are kept by whoever asks, where they can be explained; the library's own only have to be later.
        .connection_timeout(patience * 2)
        .request_timeout(Duration::from_secs(3600))
        .max_response_size(MAX_RESPONSE)
        .max_buffer_capacity_per_subscription(4096)
        // Idle connections are closed by proxies, and dead ones are silent: ask, and notice.
        .enable_ws_ping(
            PingConfig::new().ping_interval(Duration::from_secs(15)).inactive_limit(Duration::from_secs(40)),
        )
        .build_with_stream(address, stream);
    build.await.map_err(|error| {
        let head = head.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal(&head) {
            Some(Refusal { status: 429 | 503, after, reason }) => DialError::Limited { after, reason },
            Some(Refusal { reason, .. }) => DialError::Failed(reason),
            None => DialError::Failed(root_cause(&error)),
        }
    })
}

async fn secured(host: &str, stream: TcpStream) -> io::Result<EitherStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_platform_verifier()
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(EitherStream::Tls(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

/// A stream whose first bytes are kept.
struct Overheard<S> {
    stream: S,
    head: Arc<Mutex<Vec<u8>>>,
    over: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if !self.over {
            let this = &mut *self;
            let mut head = this.head.lock().unwrap_or_else(PoisonError::into_inner);
            head.extend_from_slice(buffer.filled().get(before..).unwrap_or_default());
            this.over = head.len() >= MAX_HEAD || head.windows(4).any(|end| end == b"\r\n\r\n");
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

struct Refusal {
    status: u16,
    after: Option<Duration>,
    reason: String,
}

/// What an HTTP answer other than 101 says. Its head is foreign: only status, Retry-After and Location are looked for.
fn refusal(head: &[u8]) -> Option<Refusal> {
    let text = String::from_utf8_lossy(head.get(..head.len().min(MAX_HEAD))?);
    let mut lines = text.split("\r\n");
    let (version, status) = lines.next()?.split_once(' ')?;
    if !version.starts_with("HTTP/") {
        return None;
    }
    let code: u16 = status.split(' ').next()?.parse().ok().filter(|code| *code != 101)?;
    let header = |wanted: &str| {
        let pairs = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned()).next()
    };
    let after = header("retry-after").and_then(|value| retry_after(&value, SystemTime::now()));
    let mut reason = format!("HTTP {}", status.chars().filter(|c| !c.is_control()).take(60).collect::<String>());
    if matches!(code, 429 | 503) {
        reason.push_str(", it limits its users");
    }
    if let Some(location) = header("location") {
        reason.push_str(&format!(", it moved to {}", location.chars().take(200).collect::<String>()));
    }
    Some(Refusal { status: code, after, reason })
}

/// For the fuzzer.
pub(crate) fn read_refusal(head: &[u8]) {
    let _ = refusal(head);
}

/// Seconds, or a date.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    match value.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// The innermost reason: "Connection refused (os error 111)" rather than layers of "error in transport".
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(inner) = deepest.source() {
        deepest = inner;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn how_long_to_wait_is_read_in_both_of_its_forms() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT", now), Some(Duration::from_secs(59)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:00:00 GMT", now), Some(Duration::ZERO), "it is past");
        for odd in ["", "-1", "soon", "1e9", "99999999999999999999"] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
        let told = refusal(b"HTTP/1.1 429 Too Many Requests\r\nretry-AFTER:  7\r\n\r\n").unwrap();
        assert_eq!((told.status, told.after), (429, Some(Duration::from_secs(7))));
        let moved = refusal(b"HTTP/1.1 301 Moved\r\nLocation: wss://b\r\n\r\n").unwrap();
        assert!(moved.reason.contains("wss://b"));
        for odd in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 101 Switching", b"\xff\xfe 429 x", b"HTTP/1.1 many"] {
            assert!(refusal(odd).is_none());
        }
    }
}
