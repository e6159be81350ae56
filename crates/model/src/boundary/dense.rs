//! The whole stream crosses: the cut changes nothing.

use starling_commitment::{DType, Form};
use starling_protocol::config::ModelConfig;
use tch::Tensor;

use super::{Boundary, Project, Projection};
use crate::{ModelError, convert::kind_of};

pub(super) struct Dense {
    width: u64,
    dtype: DType,
}

impl Dense {
    pub(super) fn new(config: &ModelConfig) -> Self {
        Self { width: config.d_model.into(), dtype: kind_of(config.dtype).1 }
    }
}

impl Boundary for Dense {
    fn encoder(&self) -> Option<Projection> {
        None
    }
    fn decoder(&self) -> Option<Projection> {
        None
    }
    fn output(&self, batch: u64, length: u64) -> Form {
        Form { dtype: self.dtype, shape: vec![batch, length, self.width] }
    }
    fn encode(&self, h: &Tensor, added: &Tensor, _: Project<'_>) -> Result<Tensor, ModelError> {
        Ok(h.f_add(added)?)
    }
    fn decode(&self, crossed: &Tensor, _: Project<'_>) -> Result<Tensor, ModelError> {
        Ok(crossed.shallow_clone())
    }
    fn flops(&self) -> (u64, u64) {
        (0, 0)
    }
}
