//! A TCP proxy on a fixed port whose connections the test cuts, and whose target it moves.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What happens to connections; changing it acts on open ones too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Everything passes to this address.
    Pass(SocketAddr),
    /// Connections are taken and nothing ever comes back.
    Hold,
    /// Connections are closed at once.
    Refuse,
    /// Passes, until the client sends a transaction: that still reaches the node, then the connection is cut before its answer.
    CutAfterSubmission(SocketAddr),
}

pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    pub async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, cuts) = (watch::Sender::new(mode), Arc::new(AtomicU32::new(0)));
        let (sender, counter) = (mode.clone(), Arc::clone(&cuts));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone(), Arc::clone(&counter)));
            }
        });
        Self { address, mode, cuts }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts what is open and treats what comes next in the new way.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How many transactions were cut off.
    pub fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn serve(client: TcpStream, sender: watch::Sender<Mode>, cuts: Arc<AtomicU32>) {
    let mut mode = sender.subscribe();
    let now = *mode.borrow_and_update();
    let (target, cut) = match now {
        Mode::Refuse => return,
        Mode::Hold => {
            let _ = mode.changed().await;
            return;
        }
        Mode::Pass(target) => (target, false),
        Mode::CutAfterSubmission(target) => (target, true),
    };
    let Ok(node) = TcpStream::connect(target).await else { return };
    let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
    tokio::select! {
        _ = mode.changed() => {}
        () = down(from_node, to_client) => {}
        submitted = up(from_client, to_node, cut) => {
            if submitted {
                cuts.fetch_add(1, Ordering::SeqCst);
                // Only one is cut; later ones pass.
                sender.send_replace(Mode::Pass(target));
            }
        }
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// True if it stopped because of a transaction, which was passed on.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: bool) -> bool {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            return false;
        }
        if cut && holds_submission(&buffer[..count]) {
            return true;
        }
    }
    false
}

/// Whether one of the WebSocket frames in `bytes` asks for `author_submitExtrinsic`. Client frames are masked, so they are unmasked first.
fn holds_submission(mut bytes: &[u8]) -> bool {
    while let [_, length, rest @ ..] = bytes {
        if length & 0x80 == 0 {
            return false;
        }
        let (length, rest) = match (length & 0x7f, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (length @ 0..=125, rest) => (usize::from(length), rest),
            _ => return false,
        };
        let Some((mask, rest)) = rest.split_at_checked(4) else { return false };
        let (masked, rest) = rest.split_at(length.min(rest.len()));
        let text: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        if String::from_utf8_lossy(&text).contains("author_submitExtrinsic") {
            return true;
        }
        bytes = rest;
    }
    false
}
