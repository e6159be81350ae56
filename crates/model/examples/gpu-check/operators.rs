//! Every operator that a stage uses, alone: does it run under strict determinism, and what does it take, forward and backward?
//!
//! The sizes are those of one block of the 1B stage. What a block needs of each operator is counted, so the shares say where a
//! block's time goes; what is missing to a block's whole time (`speed-1b`) is launching and waiting.

use std::time::Instant;

use starling_model::Device;
use starling_protocol::config::ComputeDType;
use tch::{Kind, TchError, Tensor};

use crate::{
    report::{Check, rounded},
    shapes::{self, Size},
};

type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor, TchError>>;

/// An operator on tensors that need gradients.
struct Operator {
    name: &'static str,
    /// Uses per block.
    uses: f64,
    inputs: Vec<Tensor>,
    run: Run,
}

fn operators(place: tch::Device, real: bool) -> Result<Vec<Operator>, TchError> {
    let (config, tokens) = shapes::stage(Size::OneB, real);
    let kind = if config.dtype == ComputeDType::Bf16 { Kind::BFloat16 } else { Kind::Float };
    let (d, ff, n) = (i64::from(config.d_model), i64::from(config.d_ff), tokens as i64);
    let (heads, kv) = (i64::from(config.heads), i64::from(config.kv_heads));
    let head = d / heads;
    let of = |size: &[i64], salt: u32| -> Result<Tensor, TchError> {
        let count = size.iter().product::<i64>() as usize;
        let t = Tensor::f_from_slice(&shapes::noise(count, salt))?.f_reshape(size)?;
        t.f_to_device(place)?.f_to_kind(kind)?.f_set_requires_grad(true)
    };
    let x = || of(&[1, n, d], 1);
    let linear = |out: i64, input: i64| -> Result<Vec<Tensor>, TchError> {
        Ok(vec![of(&[1, n, input], 2)?, of(&[out, input], 3)?])
    };
    let multiply = || -> Run { Box::new(|t| t[0].f_linear(&t[1], None::<Tensor>)) };
    let ids = Tensor::f_from_slice(&(0..n).map(|i| (i * i + 7 * i) % 512).collect::<Vec<i64>>())?.f_to_device(place)?;
    let (for_table, for_loss) = (ids.shallow_clone(), ids.shallow_clone());
    Ok(vec![
        Operator { name: "product, d to d (q, o)", uses: 2.0, inputs: linear(d, d)?, run: multiply() },
        Operator { name: "product, d to keys and values", uses: 2.0, inputs: linear(head * kv, d)?, run: multiply() },
        Operator { name: "product, d to ff (gate, up)", uses: 2.0, inputs: linear(ff, d)?, run: multiply() },
        Operator { name: "product, ff to d (down)", uses: 1.0, inputs: linear(d, ff)?, run: multiply() },
        Operator {
            name: "attention",
            uses: 1.0,
            inputs: vec![of(&[1, heads, n, head], 4)?, of(&[1, heads, n, head], 5)?, of(&[1, heads, n, head], 6)?],
            run: Box::new(|t| {
                Tensor::f_scaled_dot_product_attention(&t[0], &t[1], &t[2], None::<Tensor>, 0.0, true, None, false)
            }),
        },
        Operator {
            name: "keys and values for all heads",
            uses: 2.0,
            inputs: vec![of(&[1, kv, n, head], 7)?],
            run: Box::new(move |t| {
                let times = heads / kv;
                t[0].f_unsqueeze(2)?.f_expand([1, kv, times, n, head], false)?.f_reshape([1, heads, n, head])
            }),
        },
        Operator {
            name: "RMSNorm",
            uses: 2.0,
            inputs: vec![x()?, of(&[d], 8)?],
            run: Box::new(|t| {
                let wide = t[0].f_to_kind(Kind::Float)?;
                let scale = wide.f_square()?.f_mean_dim(-1i64, true, Kind::Float)?.f_add_scalar(1e-5)?.f_rsqrt()?;
                wide.f_mul(&scale)?.f_to_kind(t[0].f_kind()?)?.f_mul(&t[1])
            }),
        },
        Operator {
            name: "rotary positions",
            uses: 2.0,
            inputs: vec![of(&[1, heads, n, head], 9)?, of(&[n, head / 2], 10)?, of(&[n, head / 2], 11)?],
            run: Box::new(|t| {
                let halves = t[0].f_chunk(2, -1)?;
                let first = halves[0].f_mul(&t[1])?.f_sub(&halves[1].f_mul(&t[2])?)?;
                let second = halves[1].f_mul(&t[1])?.f_add(&halves[0].f_mul(&t[2])?)?;
                Tensor::f_cat(&[first, second], -1)
            }),
        },
        Operator {
            name: "SiLU times up",
            uses: 1.0,
            inputs: vec![of(&[1, n, ff], 12)?, of(&[1, n, ff], 13)?],
            run: Box::new(|t| t[0].f_silu()?.f_mul(&t[1])),
        },
        Operator { name: "residual sum", uses: 2.0, inputs: vec![x()?, x()?], run: Box::new(|t| t[0].f_add(&t[1])) },
        Operator {
            name: "token table",
            uses: 0.0,
            inputs: vec![of(&[512, d], 14)?],
            run: Box::new(move |t| Tensor::f_embedding(&t[0], &for_table, -1, false, false)),
        },
        Operator {
            name: "cross-entropy",
            uses: 0.0,
            inputs: vec![of(&[n, 512], 15)?],
            run: Box::new(move |t| {
                t[0].f_to_kind(Kind::Float)?.f_cross_entropy_loss(
                    &for_loss,
                    None::<Tensor>,
                    tch::Reduction::Mean,
                    -100,
                    0.0,
                )
            }),
        },
    ])
}

/// Milliseconds of forward and of backward.
fn time(device: &Device, operator: &Operator) -> Result<(f64, f64), TchError> {
    let rounds = if device.is_cuda() { 20 } else { 2 };
    let (mut forward, mut backward) = (0.0, 0.0);
    for round in 0..rounds + 2 {
        device.synchronize();
        let began = Instant::now();
        let out = (operator.run)(&operator.inputs)?;
        device.synchronize();
        let middle = Instant::now();
        let scalar = out.f_sum(Kind::Float)?;
        Tensor::f_run_backward(&[scalar], &operator.inputs, false, false)?;
        device.synchronize();
        if round >= 2 {
            forward += (middle - began).as_secs_f64();
            backward += middle.elapsed().as_secs_f64();
        }
    }
    Ok((1e3 * forward / f64::from(rounds), 1e3 * backward / f64::from(rounds)))
}

pub fn run(device: &Device, name: &str) {
    let place = match name.rsplit_once(':').and_then(|(_, i)| i.parse().ok()) {
        Some(index) if device.is_cuda() => tch::Device::Cuda(index),
        _ if device.is_cuda() => tch::Device::Cuda(0),
        _ => tch::Device::Cpu,
    };
    let all = match operators(place, device.is_cuda()) {
        Ok(all) => all,
        Err(error) => return Check::new("operators", "their inputs").failed(error).print(),
    };
    let mut shares: Vec<(&str, f64)> = Vec::new();
    for operator in &all {
        let check = Check::new("operators", operator.name);
        match time(device, operator) {
            Ok((forward, backward)) => {
                shares.push((operator.name, operator.uses * (forward + backward)));
                check.figure("forward_ms", rounded(forward)).figure("backward_ms", rounded(backward)).print();
            }
            // libtorch names the operator that it refuses.
            Err(error) => {
                check.failed(format!("refused: {}", error.to_string().lines().next().unwrap_or_default())).print()
            }
        }
    }
    let total: f64 = shares.iter().map(|(_, ms)| ms).sum();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut check =
        Check::new("operators", "where a block's time goes: the three largest").figure("all_ms", rounded(total));
    for (name, ms) in shares.iter().take(3) {
        check = check.figure(name, format!("{:.0} %", 100.0 * ms / total.max(f64::MIN_POSITIVE)));
    }
    check.print();
}
