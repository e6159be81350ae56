//! A websocket proxy before a real node, which does to it what the world does: hang, break off, babble, turn away, lag, die.
//!
//! It lives in the test's own process, knows the frames of both sides, and acts on counted answers, so that a fault comes at the same
//! place in every run. [`Proxy::until`] waits for what happened, so that no test sleeps.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections stand, and nothing comes back any more.
    Hang,
    /// The connection breaks off in the middle of an answer.
    CloseMidAnswer,
    /// In place of an answer comes what is no JSON.
    Garbage,
    /// Answers are well formed, and what they say is nonsense.
    Nonsense,
    /// New connections are turned away with HTTP 429; open ones are closed.
    TooMany {
        /// Seconds, for `Retry-After`; 0 leaves it out.
        retry_after: u32,
    },
    /// Every answer to a request takes this long.
    Slow(Duration),
    /// Connections are taken, and not even their handshake is answered; open ones are closed.
    Mute,
    /// Nobody is there: connections are closed at once.
    Dead,
    /// The newest final block is the same for ever.
    OldBlock,
    /// States are gone: the node keeps blocks and no longer what was true at them.
    Pruned,
    /// The next transaction still reaches the node; then the connection is cut before its answer. Happens once.
    CutAfterSubmission,
    /// The next transaction still reaches the node; its answer never comes. Happens once, and that connection is dead from then on.
    HangAfterSubmission,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub connections: u64,
    /// Connections that were turned away or closed at once.
    pub turned_away: u64,
    pub requests: u64,
    pub answers: u64,
    /// Transactions that reached the node.
    pub submissions: u64,
    /// Faults done to an answer or a submission.
    pub faults: u64,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    target: SocketAddr,
    /// The fault, and the first and last answer (counted over all connections) that it befalls.
    fault: Option<(Fault, u64, u64)>,
    /// Connections of an older generation are closed.
    generation: u64,
}

impl Plan {
    fn at(&self, answer: u64) -> Option<Fault> {
        self.fault.filter(|(_, from, until)| (*from..*until).contains(&answer)).map(|(fault, ..)| fault)
    }
}

struct Shared {
    plan: watch::Sender<Plan>,
    stats: watch::Sender<Stats>,
    /// The block that [`Fault::OldBlock`] has stopped at.
    frozen: Mutex<Option<Json>>,
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Passes everything to `target` until told otherwise.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plan = watch::Sender::new(Plan { target, fault: None, generation: 0 });
        let shared = Arc::new(Shared { plan, stats: watch::Sender::new(Stats::default()), frozen: Mutex::default() });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared }
    }

    /// Before the node behind a URL of this machine.
    pub async fn before_url(url: &str) -> Self {
        Self::before(url.trim_start_matches("ws://").parse().unwrap()).await
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn stats(&self) -> Stats {
        *self.shared.stats.borrow()
    }

    /// From now on, on open connections too.
    pub fn now(&self, fault: Fault) {
        self.after(0, fault);
        // Though all be well again before anybody has looked.
        if matches!(fault, Fault::Dead | Fault::Mute | Fault::TooMany { .. }) {
            self.cut();
        }
    }

    /// Closes what is open; new connections are as before.
    pub fn cut(&self) {
        self.shared.plan.send_modify(|plan| plan.generation += 1);
    }

    /// Once so many more answers have passed.
    pub fn after(&self, answers: u64, fault: Fault) {
        let from = self.stats().answers + answers;
        self.set(Some((fault, from, u64::MAX)));
    }

    /// To one answer only, once so many more have passed.
    pub fn once_after(&self, answers: u64, fault: Fault) {
        let from = self.stats().answers + answers;
        self.set(Some((fault, from, from + 1)));
    }

    /// All is well again: for new connections, and for open ones unless they hang.
    pub fn heal(&self) {
        self.set(None);
    }

    /// Another node stands behind the same address from now on: open connections are cut.
    pub fn move_to(&self, target: SocketAddr) {
        self.shared.plan.send_modify(|plan| {
            plan.target = target;
            plan.generation += 1;
        });
    }

    fn set(&self, fault: Option<(Fault, u64, u64)>) {
        *self.shared.frozen.lock().unwrap() = None;
        self.shared.plan.send_modify(|plan| plan.fault = fault);
    }

    /// Waits until `reached` holds of what has happened.
    pub async fn until(&self, reached: impl Fn(&Stats) -> bool) -> Stats {
        let mut stats = self.shared.stats.subscribe();
        *stats.wait_for(|now| reached(now)).await.unwrap()
    }
}

impl Shared {
    fn plan(&self) -> Plan {
        *self.plan.borrow()
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        self.stats.send_modify(change);
    }

    /// The fault that befalls a connection as such.
    fn at_the_door(&self) -> Option<Fault> {
        let answers = self.stats.borrow().answers;
        self.plan().at(answers).filter(|fault| matches!(fault, Fault::Dead | Fault::Mute | Fault::TooMany { .. }))
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    shared.count(|s| s.connections += 1);
    match shared.at_the_door() {
        Some(Fault::TooMany { retry_after }) => {
            shared.count(|s| s.turned_away += 1);
            let mut request = Vec::new();
            if head(&mut client, &mut request).await.is_ok() {
                let after = if retry_after == 0 { String::new() } else { format!("Retry-After: {retry_after}\r\n") };
                let answer =
                    format!("HTTP/1.1 429 Too Many Requests\r\n{after}Content-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = client.write_all(answer.as_bytes()).await;
                let _ = client.shutdown().await;
            }
            return;
        }
        Some(Fault::Mute) => {
            shared.count(|s| s.turned_away += 1);
            let mut plan = shared.plan.subscribe();
            while shared.at_the_door() == Some(Fault::Mute) {
                plan.changed().await.unwrap();
            }
            return;
        }
        Some(_) => return shared.count(|s| s.turned_away += 1),
        None => {}
    }
    let plan = shared.plan();
    let Ok(mut node) = TcpStream::connect(plan.target).await else { return };
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    if head(&mut client, &mut request).await.is_err() || node.write_all(&request).await.is_err() {
        return;
    }
    if head(&mut node, &mut answer).await.is_err() || client.write_all(&answer).await.is_err() {
        return;
    }
    let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
    // Which request an answer belongs to.
    let asked = Mutex::new(HashMap::new());
    // True once nothing more may come back on this connection.
    let silence = watch::Sender::new(false);
    tokio::select! {
        _ = up(from_client, to_node, &shared, &asked, &silence) => {}
        _ = down(from_node, to_client, &shared, &asked, &silence) => {}
        () = closed(&shared, plan.generation) => {}
    }
}

/// Returns when connections are to be closed: the node is dead, turns everybody away, or another has taken its place.
async fn closed(shared: &Shared, generation: u64) {
    let (mut plan, mut stats) = (shared.plan.subscribe(), shared.stats.subscribe());
    while shared.at_the_door().is_none() && shared.plan().generation == generation {
        tokio::select! {
            changed = plan.changed() => changed.unwrap(),
            changed = stats.changed() => changed.unwrap(),
        }
    }
}

async fn up(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    asked: &Mutex<HashMap<String, String>>,
    silence: &watch::Sender<bool>,
) -> io::Result<()> {
    loop {
        let frame = Frame::read(&mut from).await?;
        let mut transaction = false;
        if frame.is_text() {
            shared.count(|s| s.requests += 1);
            if let Ok(request) = serde_json::from_slice::<Json>(&frame.payload) {
                let method = request["method"].as_str().unwrap_or_default().to_owned();
                transaction = method == "author_submitExtrinsic";
                asked.lock().unwrap().insert(request["id"].to_string(), method);
            }
        }
        to.write_all(&frame.raw).await?;
        if !transaction {
            continue;
        }
        let fault = shared.plan().fault.map(|(fault, ..)| fault);
        shared.count(|s| s.submissions += 1);
        match fault {
            Some(Fault::CutAfterSubmission) => {
                shared.plan.send_modify(|plan| plan.fault = None);
                shared.count(|s| s.faults += 1);
                // What the node does with it does not depend on this connection: half a close is enough for it to read all.
                to.shutdown().await?;
                return Ok(());
            }
            Some(Fault::HangAfterSubmission) => {
                silence.send_replace(true);
                shared.plan.send_modify(|plan| plan.fault = None);
                shared.count(|s| s.faults += 1);
            }
            _ => {}
        }
    }
}

async fn down(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    asked: &Mutex<HashMap<String, String>>,
    silence: &watch::Sender<bool>,
) -> io::Result<()> {
    loop {
        let frame = Frame::read(&mut from).await?;
        if *silence.borrow() {
            continue;
        }
        if !frame.is_text() {
            to.write_all(&frame.raw).await?;
            continue;
        }
        let answer = shared.stats.borrow().answers;
        let fault = shared.plan().at(answer);
        shared.count(|s| s.answers += 1);
        let fault = match fault {
            None | Some(Fault::CutAfterSubmission | Fault::HangAfterSubmission) => {
                to.write_all(&frame.raw).await?;
                continue;
            }
            Some(fault) => fault,
        };
        shared.count(|s| s.faults += 1);
        match fault {
            Fault::Hang => {
                silence.send_replace(true);
            }
            Fault::CloseMidAnswer => {
                to.write_all(&frame.raw[..frame.raw.len() / 2]).await?;
                to.flush().await?;
                return Ok(());
            }
            Fault::Garbage => to.write_all(&Frame::text(b"\x00<html>502 Bad Gateway</html>")).await?,
            Fault::Slow(pause) => {
                // Announcements of blocks are not waited for by anybody, and would pile up.
                if serde_json::from_slice::<Json>(&frame.payload).is_ok_and(|message| !message["id"].is_null()) {
                    tokio::time::sleep(pause).await;
                }
                to.write_all(&frame.raw).await?;
            }
            Fault::Nonsense | Fault::OldBlock | Fault::Pruned => {
                let mut message: Json = serde_json::from_slice(&frame.payload).unwrap();
                let method = asked.lock().unwrap().get(&message["id"].to_string()).cloned().unwrap_or_default();
                if fault == Fault::Nonsense {
                    if !message["id"].is_null() {
                        message["result"] = json!("0xnonsense");
                        message.as_object_mut().unwrap().remove("error");
                    }
                } else if fault == Fault::Pruned {
                    if method.starts_with("state_") && !message["id"].is_null() {
                        let words = "Client error: Api called for an unknown Block: State already discarded for 0x00";
                        message["error"] = json!({ "code": 4003, "message": words });
                        message.as_object_mut().unwrap().remove("result");
                    }
                } else if message["method"] == "chain_finalizedHead" {
                    continue;
                } else if method == "chain_getFinalizedHead" {
                    let mut frozen = shared.frozen.lock().unwrap();
                    message["result"] = frozen.get_or_insert_with(|| message["result"].clone()).clone();
                }
                to.write_all(&Frame::text(message.to_string().as_bytes())).await?;
            }
            Fault::Dead | Fault::Mute | Fault::TooMany { .. } => return Ok(()),
            Fault::CutAfterSubmission | Fault::HangAfterSubmission => {}
        }
    }
}

/// The head of an HTTP message, byte for byte.
async fn head(from: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    while !into.ends_with(b"\r\n\r\n") {
        into.push(from.read_u8().await?);
    }
    Ok(())
}

/// One websocket frame (RFC 6455 5.2), as it came and unmasked.
struct Frame {
    raw: Vec<u8>,
    payload: Vec<u8>,
}

impl Frame {
    async fn read(from: &mut OwnedReadHalf) -> io::Result<Self> {
        let mut raw = vec![0; 2];
        from.read_exact(&mut raw).await?;
        let extended = match raw[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = raw[1] & 0x80 != 0;
        let mut rest = vec![0; extended + if masked { 4 } else { 0 }];
        from.read_exact(&mut rest).await?;
        let length = match extended {
            0 => u64::from(raw[1] & 0x7f),
            _ => rest[..extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        from.read_exact(&mut payload).await?;
        raw.extend(&rest);
        raw.extend(&payload);
        if masked {
            let mask = rest[extended..].to_vec();
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Self { raw, payload })
    }

    /// Text or binary, not ping, pong or close.
    fn is_text(&self) -> bool {
        matches!(self.raw[0] & 0x0f, 1 | 2)
    }

    /// A whole text frame as a server sends it.
    fn text(payload: &[u8]) -> Vec<u8> {
        let mut raw = vec![0x81];
        match payload.len() {
            short @ 0..=125 => raw.push(short as u8),
            medium @ 126..=65535 => {
                raw.push(126);
                raw.extend((medium as u16).to_be_bytes());
            }
            long => {
                raw.push(127);
                raw.extend((long as u64).to_be_bytes());
            }
        }
        raw.extend(payload);
        raw
    }
}
