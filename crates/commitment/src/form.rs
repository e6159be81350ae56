//! What a tensor must look like before a byte of it is accepted: its [`Form`].
//!
//! Invariant: a form bounds the length of the blob, so a receiver knows how much to allocate before a peer has sent anything.

use bytes::Bytes;

use crate::{
    Canonical, DType, TensorError,
    tensor::{Limits, blob_length},
};

/// Element type and dimensions of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Vec<u64>,
}

/// Why bytes are not a tensor of the form that is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Another tensor, or none.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The form fits, an element does not.
    #[error("the tensor holds elements that are infinite or not a number")]
    NotFinite,
}

impl Form {
    /// A flat f32 vector.
    #[must_use]
    pub fn flat(elements: u64) -> Self {
        Self { dtype: DType::F32, shape: vec![elements] }
    }

    /// Length of its blob, bytes; `u64::MAX` if the dimensions overflow.
    #[must_use]
    pub fn length(&self) -> u64 {
        blob_length(self.dtype, &self.shape).unwrap_or(u64::MAX)
    }

    /// Accept bytes as a tensor of this form.
    ///
    /// # Errors
    /// [`TensorError`]; nothing is allocated for a blob that is too long.
    pub fn decode(&self, bytes: Bytes) -> Result<Canonical, TensorError> {
        let limits = Limits { max_bytes: self.length(), max_rank: self.shape.len() };
        let tensor = Canonical::decode(bytes, limits)?;
        tensor.require(self.dtype, &self.shape)?;
        Ok(tensor)
    }

    /// As [`Form::decode`], and every element is a finite number.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn read(&self, bytes: Bytes) -> Result<Canonical, Unfit> {
        let tensor = self.decode(bytes)?;
        if tensor.is_finite() { Ok(tensor) } else { Err(Unfit::NotFinite) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn with(dtype: DType, element: &[u8]) -> Canonical {
        let data: Vec<u8> = [vec![0; 3 * element.len()], element.to_vec()].concat();
        Canonical::new(dtype, &[2, 2], &data).unwrap()
    }

    #[test]
    fn a_form_refuses_other_types_other_shapes_and_longer_blobs() {
        let form = Form { dtype: DType::F32, shape: vec![2, 2] };
        let good = with(DType::F32, &1f32.to_le_bytes());
        assert_eq!(form.decode(good.bytes().clone()), Ok(good.clone()));
        assert_eq!(form.length(), good.bytes().len() as u64);
        let flat = Canonical::new(DType::F32, &[4], good.data()).unwrap();
        assert_eq!(form.decode(flat.bytes().clone()), Err(TensorError::Shape { need: vec![2, 2], got: vec![4] }));
        let narrow = with(DType::Bf16, &[0, 0]);
        assert_eq!(
            form.decode(narrow.bytes().clone()),
            Err(TensorError::Expected { need: DType::F32, got: DType::Bf16 })
        );
        let long = Canonical::new(DType::F32, &[2, 3], &[0; 24]).unwrap();
        assert!(matches!(form.decode(long.bytes().clone()), Err(TensorError::TooLarge { .. })));
        let deep = Canonical::new(DType::F32, &[2, 2, 1], good.data()).unwrap();
        assert_eq!(form.decode(deep.bytes().clone()), Err(TensorError::Rank { rank: 3, limit: 2 }));
        assert_eq!(form.decode(Bytes::from_static(&[0xff; 100])), Err(TensorError::NotATensor));
        assert_eq!(Form { dtype: DType::F32, shape: vec![u64::MAX, 2] }.length(), u64::MAX);
    }

    #[test]
    fn every_element_must_be_finite_however_large_their_sum_is() {
        for (dtype, bad, good) in [
            (DType::F32, f32::NAN.to_le_bytes().to_vec(), f32::MAX.to_le_bytes().to_vec()),
            (DType::F32, f32::NEG_INFINITY.to_le_bytes().to_vec(), f32::MIN.to_le_bytes().to_vec()),
            (DType::Bf16, bf16::INFINITY.to_le_bytes().to_vec(), bf16::MAX.to_le_bytes().to_vec()),
            (DType::F16, f16::NAN.to_le_bytes().to_vec(), f16::MIN.to_le_bytes().to_vec()),
        ] {
            let form = Form { dtype, shape: vec![2, 2] };
            assert_eq!(form.read(with(dtype, &bad).bytes().clone()), Err(Unfit::NotFinite), "{dtype:?}");
            assert!(form.read(with(dtype, &good).bytes().clone()).is_ok(), "{dtype:?}");
        }
        let all_ones = with(DType::I64, &[0xff; 8]);
        assert!(all_ones.is_finite(), "integers always are");
    }
}
