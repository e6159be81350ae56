//! A receipt log per leaf (append, root, prove, verify) and a weight tree per byte, each beside plain BLAKE3 over the same bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_commitment::{
    Canonical, DType, TensorError,
    log::{Frontier, Log},
    tree::{LEAF, Layout, Tree},
};

/// About a signed receipt.
const RECEIPT: usize = 400;
const LEAVES: u64 = 100_000;
const WEIGHTS: usize = 16 << 20;

fn receipt(i: u64) -> [u8; RECEIPT] {
    let mut bytes = [7; RECEIPT];
    bytes[..8].copy_from_slice(&i.to_le_bytes());
    bytes
}

fn log(c: &mut Criterion) {
    let mut full = Log::new();
    for i in 0..LEAVES {
        full.append(&receipt(i));
    }
    let root = full.root();
    let mut group = c.benchmark_group("log-per-leaf");
    group.throughput(Throughput::Bytes(RECEIPT as u64));
    group.bench_function("plain-blake3", |b| b.iter(|| blake3::hash(black_box(&receipt(1)))));
    group.bench_function("append", |b| {
        let mut log = Log::new();
        b.iter(|| {
            // A log that grows for as long as criterion likes would fill the memory.
            if log.size() == LEAVES {
                log = Log::new();
            }
            log.append(black_box(&receipt(1)))
        });
    });
    group.bench_function("append-frontier", |b| {
        let mut log = Frontier::new();
        b.iter(|| log.append(black_box(&receipt(1))));
    });
    group.bench_function("root", |b| b.iter(|| black_box(&full).root_at(black_box(LEAVES - 1))));
    group.bench_function("prove", |b| b.iter(|| full.prove(LEAVES, black_box(&[LEAVES / 3]))));
    if let Ok(proof) = full.prove(LEAVES, &[LEAVES / 3]) {
        let leaf = [(LEAVES / 3, receipt(LEAVES / 3))];
        group.bench_function("verify", |b| b.iter(|| proof.verify(&root, black_box(&leaf))));
    }
    if let (Ok(proof), Ok(before)) = (full.consistency(LEAVES - 600, LEAVES), full.root_at(LEAVES - 600)) {
        group.bench_function("verify-consistency", |b| b.iter(|| proof.verify(black_box(&before), &root)));
    }
    group.finish();

    // One draw of an audit: 64 leaves at once, so that the time is for 64.
    let drawn: Vec<u64> = (0..64).map(|i| i * (LEAVES / 64)).collect();
    let leaves: Vec<(u64, [u8; RECEIPT])> = drawn.iter().map(|i| (*i, receipt(*i))).collect();
    let mut group = c.benchmark_group("log-64-leaves");
    group.throughput(Throughput::Elements(64));
    group.bench_function("plain-blake3", |b| {
        b.iter(|| black_box(&leaves).iter().map(|(_, bytes)| blake3::hash(bytes).as_bytes()[0]).fold(0, |a, b| a ^ b));
    });
    group.bench_function("prove", |b| b.iter(|| full.prove(LEAVES, black_box(&drawn))));
    if let Ok(proof) = full.prove(LEAVES, &drawn) {
        group.bench_function("verify", |b| b.iter(|| proof.verify(&root, black_box(&leaves))));
    }
    group.finish();
}

fn tree(c: &mut Criterion) {
    let data: Vec<u8> = (0..WEIGHTS).map(|i| (i * 31 % 251) as u8).collect();
    let shape = [(WEIGHTS / 4) as u64];
    let mut group = c.benchmark_group("tree-16MiB");
    group.throughput(Throughput::Bytes(WEIGHTS as u64)).sample_size(20);
    group.bench_function("plain-blake3", |b| b.iter(|| blake3::hash(black_box(&data))));
    group.bench_function("canonical", |b| b.iter(|| Canonical::new(DType::F32, &shape, black_box(&data))));
    group.bench_function("canonical-with-tree", |b| {
        b.iter(|| {
            Tree::build(DType::F32, &shape, |to| {
                to.copy_from_slice(black_box(&data));
                Ok::<(), TensorError>(())
            })
        });
    });
    if let Ok(layout) = Layout::new(DType::F32, &shape) {
        group.bench_function("leaf-digests", |b| {
            b.iter(|| layout.leaf_digests(&(0..layout.leaves()), black_box(&data)));
        });
        let leaves = layout.leaf_digests(&(0..layout.leaves()), &data).unwrap_or_default();
        group.throughput(Throughput::Elements(WEIGHTS as u64 / LEAF));
        group.bench_function("root-from-leaves", |b| {
            b.iter(|| {
                layout.root((0..).zip(black_box(&leaves).chunks(1)).map(|(leaf, digest)| (leaf..leaf + 1, digest)))
            });
        });
    }
    group.finish();

    // How fast BLAKE3 is in pieces of this many bytes: what decided the size of a leaf.
    let mut group = c.benchmark_group("leaf-size-16MiB");
    group.throughput(Throughput::Bytes(WEIGHTS as u64)).sample_size(20);
    for kib in [1, 4, 16, 64, 1024] {
        group.bench_function(format!("{kib}KiB"), |b| {
            b.iter(|| {
                black_box(&data).chunks(kib << 10).map(|leaf| blake3::hash(leaf).as_bytes()[0]).fold(0, |a, b| a ^ b)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, log, tree);
criterion_main!(benches);
