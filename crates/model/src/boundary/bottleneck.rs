//! IOTA's bottleneck (arXiv 2507.17766): a projection of the MLP's output plus the first `width` channels of the stream crosses; the
//! next stage spreads it with another projection and adds it back to those channels.

use starling_commitment::{DType, Form};
use starling_protocol::config::ModelConfig;
use tch::{Kind, Tensor};

use super::{Boundary, Project, Projection};
use crate::{ModelError, convert::kind_of};

pub(super) struct Bottleneck {
    width: u32,
    d: u32,
    dtype: DType,
}

impl Bottleneck {
    pub(super) fn new(config: &ModelConfig, width: u32) -> Self {
        Self { width, d: config.d_model, dtype: kind_of(config.dtype).1 }
    }
}

impl Boundary for Bottleneck {
    fn encoder(&self) -> Option<Projection> {
        Some(Projection { name: "encode", shape: [self.width, self.d] })
    }
    fn decoder(&self) -> Option<Projection> {
        Some(Projection { name: "decode", shape: [self.d, self.width] })
    }
    fn output(&self, batch: u64, length: u64) -> Form {
        Form { dtype: self.dtype, shape: vec![batch, length, self.width.into()] }
    }
    fn encode(&self, h: &Tensor, added: &Tensor, project: Project<'_>) -> Result<Tensor, ModelError> {
        let projected = project(&added.f_silu()?)?;
        Ok(projected.f_add(&h.f_narrow(-1, 0, i64::from(self.width))?)?)
    }
    fn decode(&self, crossed: &Tensor, project: Project<'_>) -> Result<Tensor, ModelError> {
        let spread = project(crossed)?.f_relu()?;
        let rest = i64::from(self.d - self.width);
        let mut size = crossed.size();
        if let Some(last) = size.last_mut() {
            *last = rest;
        }
        let kind: Kind = crossed.f_kind()?;
        let padding = Tensor::f_zeros(&size, (kind, crossed.device()))?;
        Ok(spread.f_add(&Tensor::f_cat(&[crossed, &padding], -1)?)?)
    }
    fn flops(&self) -> (u64, u64) {
        let product = 2 * u64::from(self.d) * u64::from(self.width);
        (product, product)
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
        let (bottleneck, size) = (Bottleneck { width: 2, d: 3, dtype: DType::F32 }, [1i64, 1, 3]);
        let tensor = |v: &[f32], size: &[i64]| Tensor::from_slice(v).reshape(size);
        let (h, added) = ([1.0f32, -2.0, 3.0], [0.5f32, -1.0, 2.0]);
        let encode = [[1.0f32, 2.0, -1.0], [0.5, 0.0, 3.0]];
        // out = fc4(silu(ffn)) + h[.., :b]
        let silu = added.map(|x| x / (1.0 + (-x).exp()));
        let out: Vec<f32> =
            encode.iter().zip(h).map(|(row, h)| row.iter().zip(silu).map(|(w, s)| w * s).sum::<f32>() + h).collect();
        let weight = tensor(&encode.concat(), &[2, 3]);
        let mut project = |x: &Tensor| Ok(x.f_linear(&weight, None::<Tensor>)?);
        let crossed = bottleneck.encode(&tensor(&h, &size), &tensor(&added, &size), &mut project).unwrap();
        assert_eq!(crossed.size(), [1, 1, 2]);
        assert!(values(&crossed).iter().zip(&out).all(|(a, b)| (a - b).abs() < 1e-6), "{crossed:?}");

        // y = relu(Linear(out)); y[.., :b] += out
        let decode = [[1.0f32, 0.5], [-1.0, 1.0], [2.0, -1.0]];
        let mut y = decode.map(|row| row.iter().zip(&out).map(|(w, o)| w * o).sum::<f32>().max(0.0));
        y[0] += out[0];
        y[1] += out[1];
        let weight = tensor(&decode.concat(), &[3, 2]);
        let mut project = |x: &Tensor| Ok(x.f_linear(&weight, None::<Tensor>)?);
        let x = bottleneck.decode(&crossed, &mut project).unwrap();
        assert_eq!(x.size(), size);
        assert!(values(&x).iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-5), "{x:?} against {y:?}");
        let mut missing = |_: &Tensor| Err(ModelError::Misuse("no weight"));
        assert!(bottleneck.decode(&crossed, &mut missing).is_err());
    }
}
