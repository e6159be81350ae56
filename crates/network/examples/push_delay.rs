//! Pushes items over a link with delay, rate and loss, and prints how long each took from the call to the receiver's hands.
//!
//! `cargo run --release -p starling-network --example push_delay -- ROUND_TRIP_MS MBIT_PER_S LOSS_PERCENT [BYTES] [PAUSE_MS]`
//!
//! The link is two UDP sockets in this process, one a side: each datagram waits its turn at the rate (0: no limit; at most 100 ms of
//! it queue), then half the round trip. Items of 128 kB by default are sent one after the other with a pause between them, so that
//! each meets an idle connection, and then eight at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use starling_keys::{Account, Signature, Signer};
use starling_network::{Admission, Credit, Intake, Item, NetworkConfig, NoRequests, Node, Outcome, Peer, Verdict};
use starling_protocol::{Digest, Refused};
use tokio::{net::UdpSocket, sync::mpsc, time::sleep_until};

struct Key(schnorrkel::Keypair);

impl Signer for Key {
    fn account(&self) -> Account {
        Account(self.0.public.to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign_simple(b"substrate", message).to_bytes())
    }
}

struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Account) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async { Ok(()) })
    }
}

struct Stopwatch(mpsc::UnboundedSender<(Bytes, Instant)>);

impl Intake for Stopwatch {
    fn offer(&self, _: Peer, _: &Bytes, _: u64) -> Verdict {
        Verdict::Take { limit: 1 << 30 }
    }
    fn take(&self, item: Item) -> Result<(), Refused> {
        let _ = self.0.send((item.header, Instant::now()));
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Link {
    one_way: Duration,
    bytes_per_s: f64,
    loss: f64,
}

/// Forward what `from` receives: `route` says where to and by which socket.
async fn carry(link: Link, from: Arc<UdpSocket>, route: impl Fn(SocketAddr) -> (Arc<UdpSocket>, SocketAddr)) {
    let (later, mut due) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>, Arc<UdpSocket>, SocketAddr)>();
    tokio::spawn(async move {
        while let Some((at, bytes, socket, to)) = due.recv().await {
            sleep_until(at).await;
            let _ = socket.send_to(&bytes, to).await;
        }
    });
    let mut buffer = vec![0; 65_536];
    let mut free = tokio::time::Instant::now();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    while let Ok((length, who)) = from.recv_from(&mut buffer).await {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let now = tokio::time::Instant::now();
        free = free.max(now);
        let queued = free - now;
        if (dice % 100_000) as f64 / 1000.0 < link.loss || queued > Duration::from_millis(100) {
            continue;
        }
        if link.bytes_per_s > 0.0 {
            free += Duration::from_secs_f64((length + 28) as f64 / link.bytes_per_s);
        }
        let (socket, to) = route(who);
        let _ = later.send((free + link.one_way, buffer[..length].to_vec(), socket, to));
    }
}

fn socket(at: &str) -> Arc<UdpSocket> {
    let socket = std::net::UdpSocket::bind(at).unwrap();
    socket.set_nonblocking(true).unwrap();
    Arc::new(UdpSocket::from_std(socket).unwrap())
}

/// A socket that stands for `target` at the other end of the link.
fn bridge(link: Link, target: SocketAddr) -> SocketAddr {
    let front = socket("[::1]:0");
    let at = front.local_addr().unwrap();
    let backs: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>> = Mutex::default();
    let outer = front.clone();
    let route = move |who| {
        let mut backs = backs.lock().unwrap();
        let back = backs.entry(who).or_insert_with(|| {
            let (front, back) = (outer.clone(), socket("127.0.0.1:0"));
            tokio::spawn(carry(link, back.clone(), move |_| (front.clone(), who)));
            back
        });
        (back.clone(), target)
    };
    tokio::spawn(carry(link, front, route));
    at
}

fn report(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    let at = |q: f64| took[((took.len() - 1) as f64 * q) as usize];
    println!("{what}: median {:.1} ms, 90 % {:.1} ms, worst {:.1} ms ({})", at(0.5), at(0.9), at(1.0), took.len());
}

#[tokio::main]
async fn main() {
    let said: Vec<f64> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let number = |i: usize, default: f64| said.get(i).copied().unwrap_or(default);
    let link = Link {
        one_way: Duration::from_secs_f64(number(0, 80.0) / 2000.0),
        bytes_per_s: number(1, 0.0) * 125_000.0,
        loss: number(2, 0.0),
    };
    let (bytes, pause) = (number(3, 131_072.0) as usize, Duration::from_secs_f64(number(4, 100.0) / 1000.0));
    let folder = tempfile::tempdir().unwrap();
    let key = |seed: u8| {
        let secret = schnorrkel::MiniSecretKey::from_bytes(&[seed; 32]).unwrap();
        Arc::new(Key(secret.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519)))
    };
    // One speaks IPv6 and the other IPv4, so that they do not find the way around the link.
    let node = async |seed: u8, bind: &str| {
        let local = NetworkConfig::local(folder.path().join(seed.to_string()), Digest::of(b"run"));
        let config = NetworkConfig { bind: bind.parse().unwrap(), ..local };
        Node::start(config, key(seed), Arc::new(Everybody), Arc::new(NoRequests)).await.unwrap()
    };
    let (one, two) = (node(1, "[::1]:0").await, node(2, "127.0.0.1:0").await);
    let (sender, mut taken) = mpsc::unbounded_channel();
    let credit = Credit { items: 64, bytes: 1 << 30 };
    two.accept_pushes(Arc::new(Stopwatch(sender))).set(key(1).account(), credit);
    let mut at = two.address();
    at.addresses = vec![bridge(link, at.addresses[0])];
    let pusher = one.pusher(&at, key(2).account());
    let started = Instant::now();
    pusher.wait_for_credit(1, Duration::from_secs(60)).await.unwrap();
    println!("connected in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);
    let body = Bytes::from(vec![7; bytes]);
    let push = async |n: u64| {
        let header = Bytes::from(n.to_le_bytes().to_vec());
        let outcome = pusher.push(header, body.clone(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(outcome, Outcome::Accepted);
    };
    let mut took = Vec::new();
    for n in 0..60 {
        tokio::time::sleep(pause).await;
        let started = Instant::now();
        let (arrived, ()) = tokio::join!(taken.recv(), push(n));
        took.push((arrived.unwrap().1 - started).as_secs_f64() * 1000.0);
    }
    println!("first {:.1} ms", took[0]);
    report("one at a time", took);
    let mut took = Vec::new();
    for n in 0..10 {
        tokio::time::sleep(pause).await;
        let started = Instant::now();
        futures::future::join_all((0..8).map(|k| push(1000 + n * 8 + k))).await;
        for _ in 0..8 {
            took.push((taken.recv().await.unwrap().1 - started).as_secs_f64() * 1000.0);
        }
    }
    report("eight at once", took);
}
