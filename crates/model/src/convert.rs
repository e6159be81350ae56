//! Between canonical bytes and libtorch tensors.

use starling_commitment::{Canonical, DType, TensorError};
use starling_protocol::config::ComputeDType;
use tch::{Kind, Tensor};

use crate::{Device, ModelError};

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

pub(crate) fn to_tensor(canonical: &Canonical, device: &Device) -> Result<Tensor, ModelError> {
    let size: Vec<i64> = canonical.shape().iter().map(|d| *d as i64).collect();
    let tensor = match kind(canonical.dtype()) {
        Some(kind) => Tensor::f_from_data_size(canonical.data(), &size, kind)?,
        None => {
            let wide: Vec<i64> =
                canonical.to_u16().map_err(tensor_error("token ids"))?.into_iter().map(i64::from).collect();
            Tensor::f_from_slice(&wide)?.f_reshape(&size)?
        }
    };
    Ok(tensor.f_to_device(device.0)?)
}

pub(crate) fn to_canonical(tensor: &Tensor) -> Result<Canonical, ModelError> {
    let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let dtype = match tensor.f_kind()? {
        Kind::Float => DType::F32,
        Kind::BFloat16 => DType::Bf16,
        Kind::Half => DType::F16,
        Kind::Int64 => DType::I64,
        Kind::Uint8 => DType::U8,
        _ => return Err(ModelError::Misuse("a tensor of this element type has no canonical form")),
    };
    let shape: Vec<u64> = tensor.size().iter().map(|d| *d as u64).collect();
    let numel = tensor.numel();
    let mut data = vec![0; numel * dtype.size()];
    tensor.f_copy_data_u8(&mut data, numel)?;
    Canonical::new(dtype, &shape, &data).map_err(tensor_error("a result"))
}

pub(crate) fn tensor_error(what: &'static str) -> impl Fn(TensorError) -> ModelError {
    move |source| ModelError::Tensor { what, source }
}
