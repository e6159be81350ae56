//! One hop over loopback: a pushed item from the call to the receiver's hands, beside a plain QUIC stream of the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{ALPN, PATIENCE, Raw, Shelf, Taken, key, noise, pair};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use iroh::endpoint::Connection;
use starling_keys::Signer;
use starling_network::{Credit, Pusher};
use tokio::runtime::Runtime;

const SIZES: [usize; 3] = [4 << 10, 128 << 10, 1 << 20];

async fn plain() -> (Raw, Raw, Connection, Connection) {
    let (one, two) = (Raw::new().await, Raw::new().await);
    let at = two.address();
    let accept = async { two.endpoint.accept().await.unwrap().await.unwrap() };
    let (accepted, connected) = tokio::join!(accept, one.connect(&at, ALPN));
    accepted.set_max_concurrent_uni_streams(64u32.into());
    (one, two, connected.unwrap(), accepted)
}

async fn stream(to: &Connection, at: &Connection, body: Bytes) -> Duration {
    let started = Instant::now();
    let length = body.len();
    let send = async {
        let mut send = to.open_uni().await.unwrap();
        send.write_chunk(body).await.unwrap();
        send.finish().unwrap();
    };
    let receive = async {
        let mut receive = at.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(length).await.unwrap().len(), length);
        started.elapsed()
    };
    tokio::join!(send, receive).1
}

async fn item(pusher: &Pusher, taken: &mut Taken, number: u64, body: Bytes) -> Duration {
    let started = Instant::now();
    let pushing = pusher.push(number.to_le_bytes().to_vec().into(), body, PATIENCE);
    let taking = async {
        drop(taken.recv().await.unwrap());
        started.elapsed()
    };
    let (pushed, took) = tokio::join!(pushing, taking);
    pushed.unwrap();
    took
}

fn hop(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("hop");
    let (_one, _two, to, at) = runtime.block_on(plain());
    let (shelf, mut taken) = Shelf::new(1 << 30);
    let (_pair, pusher) = runtime.block_on(async {
        let pair = pair().await;
        pair.two.accept_pushes(shelf).set(key(1).account(), Credit { items: 64, bytes: 64 << 20 });
        let pusher = pair.one.pusher(&pair.two.address(), key(2).account());
        (pair, pusher)
    });
    let mut number = 0;
    for size in SIZES {
        let body = Bytes::from(noise(size));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("plain stream", size), &body, |b, body| {
            b.iter_custom(|n| {
                runtime.block_on(async {
                    let mut sum = Duration::ZERO;
                    for _ in 0..n {
                        sum += stream(&to, &at, body.clone()).await;
                    }
                    sum
                })
            });
        });
        group.bench_with_input(BenchmarkId::new("push", size), &body, |b, body| {
            b.iter_custom(|n| {
                runtime.block_on(async {
                    let mut sum = Duration::ZERO;
                    for _ in 0..n {
                        number += 1;
                        sum += item(&pusher, &mut taken, number, body.clone()).await;
                    }
                    sum
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hop);
criterion_main!(benches);
