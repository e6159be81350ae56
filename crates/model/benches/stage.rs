//! One stage forward and backward, tokens per second, one thread: the demo's middle stage and a larger one.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_commitment::Canonical;
use starling_model::{Device, Stage};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig};

fn model(d_model: u32, d_ff: u32, blocks: u32) -> ModelConfig {
    ModelConfig {
        vocab: 256,
        d_model,
        heads: 4,
        kv_heads: 2,
        d_ff,
        stages: vec![blocks; 3],
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        init_std: 0.02,
        boundary: BoundaryConfig::Dense,
        dtype: ComputeDType::F32,
    }
}

#[allow(clippy::unwrap_used)]
fn passes(c: &mut Criterion) {
    for (name, config, batch, length) in
        [("demo-128x2", model(128, 352, 2), 8u64, 128u64), ("512x4", model(512, 1408, 4), 4, 256)]
    {
        let stage = Stage::new(&config, 1, &Device::CPU).unwrap();
        let weights = stage.load(&stage.initial_weights(1).unwrap()).unwrap();
        let width = u64::from(config.d_model);
        let shape = [batch, length, width];
        let values: Vec<f32> = (0..batch * length * width).map(|i| ((i % 97) as f32 - 48.0) / 48.0).collect();
        let input = Canonical::from_f32(&shape, &values).unwrap();
        let mut group = c.benchmark_group("stage-forward-backward");
        group.throughput(Throughput::Elements(batch * length)).sample_size(10);
        group.bench_function(name, |b| {
            b.iter(|| {
                let f = stage.forward(&weights, black_box(&input), None).unwrap();
                stage.backward(f.tape, Some(&input)).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, passes);
criterion_main!(benches);
