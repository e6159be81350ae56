//! Canonical commit of a 16 MiB f32 tensor against plain BLAKE3 over the same number of bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_commitment::{Canonical, DType};

const BYTES: usize = 16 << 20;

fn commit(c: &mut Criterion) {
    let data: Vec<u8> = (0..BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let shape = [(BYTES / 4) as u64];
    let mut group = c.benchmark_group("commit-16MiB");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(20);
    group.bench_function("plain-blake3", |b| b.iter(|| blake3::hash(black_box(&data))));
    group.bench_function("canonical", |b| {
        b.iter(|| Canonical::new(DType::F32, &shape, black_box(&data)).map(|t| t.digest()))
    });
    group.finish();
}

criterion_group!(benches, commit);
criterion_main!(benches);
