//! The mathematics of one decoder block: RMSNorm, rotary positions, grouped-query attention, SwiGLU.

use starling_protocol::config::ModelConfig;
use tch::{Kind, Tensor};

use crate::{Device, ModelError, trace::Trace};

/// Rotary tables for one sequence length, f32 `[length, head / 2]`.
#[derive(Debug)]
pub(crate) struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    pub(crate) fn new(config: &ModelConfig, length: usize, kind: Kind, device: &Device) -> Result<Self, ModelError> {
        let half = (config.d_model / config.heads / 2) as usize;
        let mut cos = Vec::with_capacity(length * half);
        let mut sin = Vec::with_capacity(length * half);
        let frequencies: Vec<f64> = (0..half).map(|i| config.rope_theta.powf(-(i as f64) / half as f64)).collect();
        for position in 0..length {
            for frequency in &frequencies {
                let angle = position as f64 * frequency;
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let table = |v: &[f32]| -> Result<Tensor, ModelError> {
            Ok(Tensor::f_from_slice(v)?
                .f_reshape([length as i64, half as i64])?
                .f_to_device(device.torch())?
                .f_to_kind(kind)?)
        };
        Ok(Self { cos: table(&cos)?, sin: table(&sin)? })
    }

    pub(crate) fn length(&self) -> usize {
        self.cos.size().first().copied().unwrap_or(0) as usize
    }

    /// The same tables, not copied.
    pub(crate) fn share(&self) -> Self {
        Self { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone() }
    }

    /// `x` is `[batch, heads, length, head]`; pairs are `(i, i + head / 2)`, as Llama's published weights have it.
    fn turn(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let halves = x.f_chunk(2, -1)?;
        let (a, b) = (&halves[0], &halves[1]);
        let first = a.f_mul(&self.cos)?.f_sub(&b.f_mul(&self.sin)?)?;
        let second = b.f_mul(&self.cos)?.f_add(&a.f_mul(&self.sin)?)?;
        Ok(Tensor::f_cat(&[first, second], -1)?)
    }
}

/// Weights of a block.
pub(crate) const WEIGHTS: usize = 9;

/// One block; its weights are those of the stage from number `first` on, in the order of `shape::layout`.
pub(crate) struct Block<'a> {
    pub(crate) weights: &'a [Tensor],
    pub(crate) first: usize,
    pub(crate) config: &'a ModelConfig,
}

impl Block<'_> {
    fn w(&self, i: usize) -> Result<&Tensor, ModelError> {
        self.weights.get(self.first + i).ok_or(ModelError::Misuse("a block has nine weights"))
    }

    fn product(&self, i: usize, x: &Tensor, trace: &mut Trace) -> Result<Tensor, ModelError> {
        trace.product(self.first + i, x, self.w(i)?)
    }

    /// From `[batch, length, d]` to the stream after attention and what the MLP adds to it; their sum is the block's output.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        rotary: &Rotary,
        trace: &mut Trace,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let c = self.config;
        let (batch, length, d) = x.f_size3_checked()?;
        let head = d / i64::from(c.heads);
        let heads = |t: Tensor, n: u32| -> Result<Tensor, ModelError> {
            Ok(t.f_view([batch, length, i64::from(n), head])?.f_transpose(1, 2)?)
        };

        let normed = trace.norm(self.first, x, self.w(0)?, c.norm_eps)?;
        let q = rotary.turn(&heads(self.product(1, &normed, trace)?, c.heads)?)?;
        let k = rotary.turn(&heads(self.product(2, &normed, trace)?, c.kv_heads)?)?;
        let v = heads(self.product(3, &normed, trace)?, c.kv_heads)?;
        let mixed = Tensor::f_scaled_dot_product_attention(
            &q,
            &self.shared(k)?,
            &self.shared(v)?,
            None::<Tensor>,
            0.0,
            true,
            None,
            false,
        )?;
        let mixed = mixed.f_transpose(1, 2)?.f_reshape([batch, length, d])?;
        let h = x.f_add(&self.product(4, &mixed, trace)?)?;

        let normed = trace.norm(self.first + 5, &h, self.w(5)?, c.norm_eps)?;
        let gated = self.product(6, &normed, trace)?.f_silu()?.f_mul(&self.product(7, &normed, trace)?)?;
        Ok((h, self.product(8, &gated, trace)?))
    }

    /// Each key/value head serves `heads / kv_heads` query heads.
    fn shared(&self, t: Tensor) -> Result<Tensor, ModelError> {
        let times = i64::from(self.config.heads / self.config.kv_heads);
        if times == 1 {
            return Ok(t);
        }
        let s = t.size();
        let (b, n, l, h) = (s[0], s[1], s[2], s[3]);
        Ok(t.f_unsqueeze(2)?.f_expand([b, n, times, l, h], false)?.f_reshape([b, n * times, l, h])?)
    }
}

trait Size3 {
    fn f_size3_checked(&self) -> Result<(i64, i64, i64), ModelError>;
}

impl Size3 for Tensor {
    fn f_size3_checked(&self) -> Result<(i64, i64, i64), ModelError> {
        match self.size()[..] {
            [a, b, c] => Ok((a, b, c)),
            _ => Err(ModelError::Misuse("a boundary tensor has the dimensions batch, length, width")),
        }
    }
}
