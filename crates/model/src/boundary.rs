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
