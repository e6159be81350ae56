//! How fast is a stage, and what does committing to its results cost?

use std::time::Instant;

use starling_commitment::Digest;
use starling_model::{Device, ModelError, OnDevice, Stage, Weights, forward_flops, optimiser};
use starling_protocol::config::{BoundaryConfig, ComputeDType, ModelConfig, OptimiserKind};
use tch::{Kind, Tensor};

use crate::{
    card,
    report::{Check, rounded},
    shapes::{self, Size},
};

/// Seconds of one of `rounds` runs, after two that warm up. Everything is given to the device before it is waited for.
fn seconds(device: &Device, rounds: u32, mut run: impl FnMut() -> Result<(), ModelError>) -> Result<f64, ModelError> {
    for _ in 0..2 {
        run()?;
    }
    device.synchronize();
    let began = Instant::now();
    for _ in 0..rounds {
        run()?;
    }
    device.synchronize();
    Ok(began.elapsed().as_secs_f64() / f64::from(rounds))
}

/// Floating-point operations per second of a large product in bf16 (f32 on a processor).
fn product(device: &Device) -> Result<f64, ModelError> {
    let (n, place, kind) = match device.is_cuda() {
        true => (8192i64, tch::Device::Cuda(0), Kind::BFloat16),
        false => (512, tch::Device::Cpu, Kind::Float),
    };
    let a = Tensor::f_rand([n, n], (Kind::Float, place))?.f_to_kind(kind)?;
    let took = seconds(device, 10, || {
        let _ = a.f_matmul(&a)?;
        Ok(())
    })?;
    Ok(2.0 * (n as f64).powi(3) / took)
}

struct Bench<'a> {
    device: &'a Device,
    stage: Stage,
    weights: Weights,
    input: OnDevice,
    given: OnDevice,
    tokens: u64,
    forward_flops: f64,
    size: Size,
    name: &'static str,
}

/// Memory that a stage needs at most, bytes: master, gradient and two moments in f32, the copy in bf16, a step's scratch, and
/// what a forward keeps, generously.
fn need(config: &ModelConfig, tokens: u64) -> u64 {
    let parameters: u64 = starling_model::shape::layout(config, 1).iter().map(|p| p.length() as u64).sum();
    let kept = u64::from(config.stages[1]) * tokens * (16 * u64::from(config.d_model) + 8 * u64::from(config.d_ff)) * 2;
    parameters * (4 * 4 + 2 + 6) + 2 * kept + (2 << 30)
}

pub fn run(device: &Device, size: Size) {
    let group = match size {
        Size::OneB => "speed-1b",
        Size::EightB => "speed-8b",
    };
    let (config, tokens) = shapes::stage(size, device.is_cuda());
    let skip = |reason: String| {
        Check::new(group, format!("a stage of {}", size.name(device.is_cuda()))).skipped(reason).print()
    };
    if device.is_cuda() && config.dtype == ComputeDType::Bf16 && !card::has_bf16() {
        return skip("the card has no bf16 (compute capability below 8.0): f32 at this size says nothing".into());
    }
    if let Some((free, _)) = device.memory()
        && free < need(&config, tokens)
    {
        let gib = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
        let need = gib(need(&config, tokens));
        return skip(format!("{need:.1} GiB are needed, {:.1} GiB are free: end what else uses the card", gib(free)));
    }
    if let Err(error) = measure(device, size, group, &config, tokens) {
        Check::new(group, format!("a stage of {}", size.name(device.is_cuda()))).failed(error).print();
    }
}

fn measure(
    device: &Device,
    size: Size,
    group: &'static str,
    config: &ModelConfig,
    tokens: u64,
) -> Result<(), ModelError> {
    let before = device.memory();
    let began = Instant::now();
    let stage = Stage::new(config, 1, device)?;
    let first = stage.initial_weights(1)?;
    let made = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let weights = stage.load(&first)?;
    device.synchronize();
    let loaded = began.elapsed().as_secs_f64();
    let input = shapes::tensor(&stage.boundary().output(1, tokens), 1.0, 3)?;
    let given = shapes::tensor(&stage.boundary().gradient(1, tokens), 0.01, 4)?;
    let bytes = input.bytes().len() as f64;
    let input = stage.input(&input)?;
    let (_, tape) = stage.forward_on_device(&weights, &input, None)?;
    let given = stage.output_gradient(&tape, &given)?;
    drop(tape);
    let forward_flops = forward_flops(config, 1, 1, tokens) as f64;
    let mut bench =
        Bench { device, stage, weights, input, given, tokens, forward_flops, name: size.name(device.is_cuda()), size };
    Check::new(group, format!("first weights of a stage of {}", size.name(device.is_cuda())))
        .figure("parameters", bench.stage.parameter_count())
        .figure("made_s", rounded(made))
        .figure("to_device_s", rounded(loaded))
        .print();
    let microbatch = bench.passes(group, before)?;
    bench.commit(group, bytes, microbatch)
}

impl Bench<'_> {
    fn forward(&self) -> Result<(OnDevice, starling_model::Tape), ModelError> {
        self.stage.forward_on_device(&self.weights, &self.input, None)
    }

    /// Prints speed; seconds of one microbatch.
    fn passes(&mut self, group: &'static str, before: Option<(u64, u64)>) -> Result<f64, ModelError> {
        let rounds = if self.device.is_cuda() { 20 } else { 2 };
        let forward = seconds(self.device, rounds, || self.forward().map(|_| ()))?;
        let both = seconds(self.device, rounds, || {
            let (_, tape) = self.forward()?;
            self.stage.backward_on_device(tape, Some(&self.given)).map(|_| ())
        })?;
        // How long the host takes to hand it over: what is left of the whole is the device's own.
        self.device.synchronize();
        let began = Instant::now();
        let (_, tape) = self.forward()?;
        let (_, gradient) = self.stage.backward_on_device(tape, Some(&self.given))?;
        let handed = began.elapsed().as_secs_f64();
        self.device.synchronize();

        let hyper = shapes::hyper(OptimiserKind::Adamw);
        let mut state = self.stage.first_state(&hyper)?;
        let step = seconds(self.device, if self.device.is_cuda() { 5 } else { 1 }, || {
            self.stage.step(&mut self.weights, &mut state, &gradient, &hyper, 1000)
        })?;
        let used = before.zip(self.device.memory()).map(|((free, _), (left, _))| free.saturating_sub(left));
        let large = product(self.device)?;
        let speed = 3.0 * self.forward_flops / both;
        let peak = if self.device.is_cuda() { card::peak(&card::name()) } else { None };
        let mut check = Check::new(group, format!("a stage of {}: forward, backward, step", self.name))
            .figure("forward_ms", rounded(1e3 * forward))
            .figure("backward_ms", rounded(1e3 * (both - forward)))
            .figure("step_ms", rounded(1e3 * step))
            .figure("handed_over_ms", rounded(1e3 * handed))
            .figure("tokens_per_s", rounded(self.tokens as f64 / both))
            .figure("tokens_per_s_step_every_16", rounded(16.0 * self.tokens as f64 / (16.0 * both + step)))
            .figure("tflops", rounded(speed / 1e12))
            .figure("product_tflops", rounded(large / 1e12))
            .figure("of_product", rounded(speed / large))
            .figure("mfu", peak.map_or(serde_json::Value::Null, |p| rounded(speed / p)));
        if let Some(used) = used {
            check = check.figure("peak_memory_gib", rounded(used as f64 / f64::from(1u32 << 30)));
        }
        check.print();
        Ok(both)
    }

    /// Prints what canonical bytes and digests cost.
    fn commit(&self, group: &'static str, bytes: f64, microbatch: f64) -> Result<(), ModelError> {
        let (wire, _) = self.forward()?;
        self.device.synchronize();
        let rounds = if self.device.is_cuda() { 10 } else { 2 };
        let dense = seconds(self.device, rounds, || wire.to_canonical(&self.stage).map(|_| ()))?;
        let host = wire.to_canonical(&self.stage)?;
        let hash = seconds(self.device, rounds, || {
            std::hint::black_box(Digest::of(host.bytes()));
            Ok(())
        })?;
        let check = |what: &str| Check::new(group, format!("committing to {what}, {}", self.name));
        check("a dense boundary tensor")
            .figure("bytes", bytes)
            .figure("ms", rounded(1e3 * dense))
            .figure("gb_per_s", rounded(bytes / dense / 1e9))
            .figure("hash_one_thread_gb_per_s", rounded(bytes / hash / 1e9))
            .figure("of_microbatch", rounded(dense / microbatch))
            .print();

        let (config, tokens) = (self.narrow(), self.tokens);
        let narrow = Stage::new(&config, 1, self.device)?;
        let small = shapes::tensor(&narrow.boundary().output(1, tokens), 1.0, 5)?;
        let size = small.bytes().len() as f64;
        let there = narrow.input(&small)?;
        let took = seconds(self.device, rounds, || there.to_canonical(&narrow).map(|_| ()))?;
        check("a bottleneck's tensor (d / 64)")
            .figure("bytes", size)
            .figure("ms", rounded(1e3 * took))
            .figure("gb_per_s", rounded(size / took / 1e9))
            .figure("of_microbatch", rounded(took / microbatch))
            .print();

        let size = 4.0 * self.stage.parameter_count() as f64;
        let took = seconds(self.device, 1, || self.weights.to_canonical(&self.stage).map(|_| ()))?;
        let form = optimiser::optimiser(&shapes::hyper(OptimiserKind::Adamw)).form(self.stage.parameter_count() as u64);
        check("a stage's weights")
            .figure("bytes", size)
            .figure("ms", rounded(1e3 * took))
            .figure("gb_per_s", rounded(size / took / 1e9))
            .figure("of_microbatch", rounded(took / microbatch))
            .figure("optimiser_state_bytes", form.length())
            .print();
        Ok(())
    }

    fn narrow(&self) -> ModelConfig {
        let (config, _) = shapes::stage(self.size, self.device.is_cuda());
        // One block: only what crosses is of interest.
        ModelConfig {
            boundary: BoundaryConfig::Bottleneck { width: config.d_model / 64 },
            stages: vec![1; 3],
            ..config
        }
    }
}
