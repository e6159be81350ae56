//! What crosses between stages: one trait, two ways.

use starling_protocol::config::{BoundaryConfig, ModelConfig};
use tch::{Kind, Tensor};

use crate::{ModelError, block::linear};

/// How a stage's last block hands over and the next stage takes up.
pub(crate) trait Boundary: Send + Sync {
    /// Channels that cross.
    fn width(&self) -> u32;
    /// `h` is the stream before the MLP, `added` what the MLP adds, both `[batch, length, d]`; result `[batch, length, width]`.
    fn encode(&self, h: &Tensor, added: &Tensor, weight: Option<&Tensor>) -> Result<Tensor, ModelError>;
    /// From `[batch, length, width]` back to `[batch, length, d]`.
    fn decode(&self, crossed: &Tensor, weight: Option<&Tensor>) -> Result<Tensor, ModelError>;
}

pub(crate) fn boundary(config: &ModelConfig) -> Box<dyn Boundary> {
    match config.boundary {
        BoundaryConfig::Dense => Box::new(Dense(config.d_model)),
        BoundaryConfig::Bottleneck { width } => Box::new(Bottleneck(width, config.d_model)),
    }
}

/// The whole stream crosses: the cut changes nothing.
struct Dense(u32);

impl Boundary for Dense {
    fn width(&self) -> u32 {
        self.0
    }
    fn encode(&self, h: &Tensor, added: &Tensor, _: Option<&Tensor>) -> Result<Tensor, ModelError> {
        Ok(h.f_add(added)?)
    }
    fn decode(&self, crossed: &Tensor, _: Option<&Tensor>) -> Result<Tensor, ModelError> {
        Ok(crossed.shallow_clone())
    }
}

/// IOTA's bottleneck (training.md 3.1): a projection of the MLP's output plus the first `width` channels of the stream.
struct Bottleneck(u32, u32);

const NO_WEIGHT: ModelError = ModelError::Misuse("a bottleneck has a projection on either side");

impl Boundary for Bottleneck {
    fn width(&self) -> u32 {
        self.0
    }
    fn encode(&self, h: &Tensor, added: &Tensor, weight: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let projected = linear(&added.f_silu()?, weight.ok_or(NO_WEIGHT)?)?;
        Ok(projected.f_add(&h.f_narrow(-1, 0, i64::from(self.0))?)?)
    }
    fn decode(&self, crossed: &Tensor, weight: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let spread = linear(crossed, weight.ok_or(NO_WEIGHT)?)?.f_relu()?;
        let rest = i64::from(self.1 - self.0);
        let mut size = crossed.size();
        if let Some(last) = size.last_mut() {
            *last = rest;
        }
        let kind: Kind = crossed.f_kind()?;
        let padding = Tensor::f_zeros(&size, (kind, crossed.device()))?;
        Ok(spread.f_add(&Tensor::f_cat(&[crossed, &padding], -1)?)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn values(t: &Tensor) -> Vec<f32> {
        Vec::try_from(t.f_reshape([-1]).unwrap()).unwrap()
    }

    #[test]
    fn the_bottleneck_is_the_published_formula() {
        let (bottleneck, size) = (Bottleneck(2, 3), [1i64, 1, 3]);
        let tensor = |v: &[f32], size: &[i64]| Tensor::from_slice(v).reshape(size);
        let (h, added) = ([1.0f32, -2.0, 3.0], [0.5f32, -1.0, 2.0]);
        let encode = [[1.0f32, 2.0, -1.0], [0.5, 0.0, 3.0]];
        // out = fc4(silu(ffn)) + h[.., :b]
        let silu = added.map(|x| x / (1.0 + (-x).exp()));
        let out: Vec<f32> =
            encode.iter().zip(h).map(|(row, h)| row.iter().zip(silu).map(|(w, s)| w * s).sum::<f32>() + h).collect();
        let weight = tensor(&encode.concat(), &[2, 3]);
        let crossed = bottleneck.encode(&tensor(&h, &size), &tensor(&added, &size), Some(&weight)).unwrap();
        assert_eq!(crossed.size(), [1, 1, 2]);
        assert!(values(&crossed).iter().zip(&out).all(|(a, b)| (a - b).abs() < 1e-6), "{crossed:?}");

        // y = relu(Linear(out)); y[.., :b] += out
        let decode = [[1.0f32, 0.5], [-1.0, 1.0], [2.0, -1.0]];
        let mut y = decode.map(|row| row.iter().zip(&out).map(|(w, o)| w * o).sum::<f32>().max(0.0));
        y[0] += out[0];
        y[1] += out[1];
        let x = bottleneck.decode(&crossed, Some(&tensor(&decode.concat(), &[3, 2]))).unwrap();
        assert_eq!(x.size(), size);
        assert!(values(&x).iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-5), "{x:?} against {y:?}");
        assert!(bottleneck.decode(&crossed, None).is_err());
    }
}
