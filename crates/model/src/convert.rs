//! Between canonical bytes and libtorch tensors, one copy each way.

use starling_commitment::{Canonical, DType, TensorError};
use starling_protocol::config::ComputeDType;
use tch::{Kind, Tensor};

use crate::{Device, ModelError, torch};

pub(crate) fn kind_of(dtype: ComputeDType) -> (Kind, DType) {
    match dtype {
        ComputeDType::F32 => (Kind::Float, DType::F32),
        ComputeDType::Bf16 => (Kind::BFloat16, DType::Bf16),
    }
}

fn kind(dtype: DType) -> Option<Kind> {
    match dtype {
        DType::F32 => Some(Kind::Float),
        DType::Bf16 => Some(Kind::BFloat16),
        DType::F16 => Some(Kind::Half),
        DType::I64 => Some(Kind::Int64),
        DType::U8 => Some(Kind::Uint8),
        // libtorch's u16 has next to no operations: token ids go through i64.
        DType::U16 => None,
    }
}

/// Elements as a tensor on the device.
pub(crate) fn to_tensor(canonical: &Canonical, device: &Device) -> Result<Tensor, ModelError> {
    let size: Vec<i64> = canonical.shape().iter().map(|d| *d as i64).collect();
    let kind = kind(canonical.dtype()).ok_or(ModelError::Misuse("16-bit integers are token ids, nothing else"))?;
    Ok(torch::copy_in(canonical.data(), &size, kind, device.torch())?)
}

/// Token ids as i64 on the device; every one of them is below `vocab`. They are checked here, as bytes: a look at what is on a GPU
/// would make it wait.
pub(crate) fn tokens_to_tensor(tokens: &Canonical, vocab: u32, device: &Device) -> Result<Tensor, ModelError> {
    let ids: Vec<i64> = match tokens.dtype() {
        DType::U16 => tokens.to_u16().map_err(tensor_error("token ids"))?.into_iter().map(i64::from).collect(),
        _ => tokens.to_i64().map_err(tensor_error("token ids"))?,
    };
    if let Some(token) = ids.iter().copied().find(|id| !(0..i64::from(vocab)).contains(id)) {
        return Err(ModelError::Token { token, vocab });
    }
    let size: Vec<i64> = tokens.shape().iter().map(|d| *d as i64).collect();
    Ok(Tensor::f_from_slice(&ids)?.f_reshape(&size)?.f_to_device(device.torch())?)
}

/// A tensor's elements as canonical bytes, whatever device they are on: the copy waits for what computes them.
pub(crate) fn to_canonical(tensor: &Tensor, device: &Device) -> Result<Canonical, ModelError> {
    let tensor = tensor.f_detach()?;
    let dtype = match tensor.f_kind()? {
        Kind::Float => DType::F32,
        Kind::BFloat16 => DType::Bf16,
        Kind::Half => DType::F16,
        Kind::Int64 => DType::I64,
        Kind::Uint8 => DType::U8,
        _ => return Err(ModelError::Misuse("a tensor of this element type has no canonical form")),
    };
    let shape: Vec<u64> = tensor.size().iter().map(|d| *d as u64).collect();
    device.commit(dtype, &shape, |data| Ok(torch::copy_out(&tensor, data)?))
}

pub(crate) fn tensor_error(what: &'static str) -> impl Fn(TensorError) -> ModelError {
    move |source| ModelError::Tensor { what, source }
}
