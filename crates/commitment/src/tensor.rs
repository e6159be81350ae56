//! Canonical tensors: one byte string per tensor value, whose BLAKE3 hash is at once commitment and blob address (design D2).
//!
//! Layout, all integers little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 0..16 | the tag `starling.tensor1` |
//! | 16 | dtype code |
//! | 17 | rank r, at most 8 |
//! | 18..24 | zero |
//! | 24..24+8r | the dimensions, u64 |
//! | ..128 | zero |
//! | 128.. | the elements, row-major |
//!
//! Invariant: a [`Canonical`] holds bytes that [`Canonical::decode`] accepts, and no two byte strings decode to the same
//! tensor. Data starts at 128, so a range of elements is a range of bytes of the blob, which verified partial reads can fetch.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Serialize};

use crate::Digest;

const TAG: &[u8; 16] = b"starling.tensor1";
/// Where the elements start.
pub const HEADER: usize = 128;
/// Most dimensions a tensor has.
pub const MAX_RANK: usize = 8;

/// Element type. The SCALE index is the code in a tensor's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, MaxEncodedLen, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE single.
    #[codec(index = 1)]
    F32,
    /// bfloat16.
    #[codec(index = 2)]
    Bf16,
    /// IEEE half.
    #[codec(index = 3)]
    F16,
    /// Signed 64-bit.
    #[codec(index = 4)]
    I64,
    /// Unsigned 16-bit (token ids).
    #[codec(index = 5)]
    U16,
    /// Bytes.
    #[codec(index = 6)]
    U8,
}

impl DType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 | Self::U16 => 2,
            Self::I64 => 8,
            Self::U8 => 1,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::F16 => 3,
            Self::I64 => 4,
            Self::U16 => 5,
            Self::U8 => 6,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.code() == code)
    }

    /// Every element type.
    pub const ALL: [Self; 6] = [Self::F32, Self::Bf16, Self::F16, Self::I64, Self::U16, Self::U8];
}

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest blob, header included.
    pub max_bytes: u64,
    /// Most dimensions (never more than [`MAX_RANK`]).
    pub max_rank: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 32, max_rank: MAX_RANK }
    }
}

/// Why bytes are not a canonical tensor, or a tensor cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// Too short for a header, or another tag.
    #[error("not a tensor: the bytes do not begin with Starling's tensor header")]
    NotATensor,
    /// Longer than the limit.
    #[error("a tensor of {bytes} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Bytes.
        bytes: u64,
        /// Limit.
        limit: u64,
    },
    /// Too many dimensions.
    #[error("a tensor with {rank} dimensions, at most {limit} are accepted")]
    Rank {
        /// Dimensions.
        rank: usize,
        /// Limit.
        limit: usize,
    },
    /// Unknown element type.
    #[error("element type {0} is unknown to this version")]
    DType(u8),
    /// Padding or reserved bytes are not zero.
    #[error("a reserved byte of the tensor's header is not zero: the encoding is not canonical")]
    NotCanonical,
    /// A range of elements that the tensor does not have.
    #[error("elements {start}..{end} are asked of a tensor of {elements}")]
    Elements {
        /// First.
        start: u64,
        /// After the last.
        end: u64,
        /// There are.
        elements: u64,
    },
    /// Data length does not match the shape.
    #[error("the shape needs {need} bytes of data, there are {got}")]
    Length {
        /// By the shape.
        need: u64,
        /// Found.
        got: u64,
    },
    /// The product of the dimensions does not fit.
    #[error("the product of the dimensions overflows")]
    Overflow,
    /// Another element type than asked for.
    #[error("elements are {got:?}, {need:?} are needed")]
    Expected {
        /// Needed.
        need: DType,
        /// Found.
        got: DType,
    },
    /// Another shape than asked for.
    #[error("the shape is {got:?}, {need:?} is needed")]
    Shape {
        /// Needed.
        need: Vec<u64>,
        /// Found.
        got: Vec<u64>,
    },
}

/// One tensor in canonical bytes; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    dtype: DType,
    shape: Vec<u64>,
    bytes: Bytes,
    digest: Digest,
}

impl Canonical {
    /// Encode elements given as little-endian bytes.
    ///
    /// # Errors
    /// [`TensorError`] if the data does not fill the shape exactly.
    pub fn new(dtype: DType, shape: &[u64], data: &[u8]) -> Result<Self, TensorError> {
        let need = data_length(dtype, shape)?;
        if need != data.len() as u64 {
            return Err(TensorError::Length { need, got: data.len() as u64 });
        }
        let mut bytes = header(dtype, shape, data.len());
        bytes.extend_from_slice(data);
        Ok(Self::sealed(dtype, shape, bytes, Digest::of))
    }

    /// Encode elements that `fill` writes, little-endian, straight into the blob: a tensor of gigabytes is copied once.
    ///
    /// # Errors
    /// What `fill` says, or [`TensorError`] for a shape that does not fit into memory's address space.
    pub fn build<E: From<TensorError>>(
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::build_hashed(dtype, shape, fill, Digest::of)
    }

    /// As [`Canonical::build`]; `fill` runs here, the threads of `pool` hash.
    ///
    /// # Errors
    /// As [`Canonical::build`].
    #[cfg(feature = "parallel")]
    pub fn build_parallel<E: From<TensorError>>(
        pool: &rayon::ThreadPool,
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::build_hashed(dtype, shape, fill, |bytes| pool.install(|| Digest::of_parallel(bytes)))
    }

    /// As [`Canonical::build`]; `hash` gets the whole blob and says what its BLAKE3 hash is.
    pub(crate) fn build_hashed<E: From<TensorError>>(
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
        hash: impl FnOnce(&[u8]) -> Digest,
    ) -> Result<Self, E> {
        let need = usize::try_from(data_length(dtype, shape)?).map_err(|_| TensorError::Overflow)?;
        let mut bytes = header(dtype, shape, need);
        bytes.resize(HEADER + need, 0);
        fill(bytes.get_mut(HEADER..).unwrap_or_default())?;
        Ok(Self::sealed(dtype, shape, bytes, hash))
    }

    fn sealed(dtype: DType, shape: &[u64], bytes: Vec<u8>, hash: impl FnOnce(&[u8]) -> Digest) -> Self {
        let digest = hash(&bytes);
        Self { dtype, shape: shape.to_vec(), bytes: bytes.into(), digest }
    }

    /// True if no element is infinite or NaN; integers always are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let data = self.data();
        // All exponent bits set: infinite or NaN.
        match self.dtype {
            DType::F32 => data.as_chunks::<4>().0.iter().all(|b| u32::from_le_bytes(*b) & 0x7f80_0000 != 0x7f80_0000),
            DType::Bf16 => data.as_chunks::<2>().0.iter().all(|b| u16::from_le_bytes(*b) & 0x7f80 != 0x7f80),
            DType::F16 => data.as_chunks::<2>().0.iter().all(|b| u16::from_le_bytes(*b) & 0x7c00 != 0x7c00),
            DType::I64 | DType::U16 | DType::U8 => true,
        }
    }

    /// From f32 elements.
    ///
    /// # Errors
    /// As [`Canonical::new`].
    pub fn from_f32(shape: &[u64], elements: &[f32]) -> Result<Self, TensorError> {
        Self::new(DType::F32, shape, &little_endian(elements, f32::to_le_bytes))
    }

    /// From i64 elements.
    ///
    /// # Errors
    /// As [`Canonical::new`].
    pub fn from_i64(shape: &[u64], elements: &[i64]) -> Result<Self, TensorError> {
        Self::new(DType::I64, shape, &little_endian(elements, i64::to_le_bytes))
    }

    /// From u16 elements.
    ///
    /// # Errors
    /// As [`Canonical::new`].
    pub fn from_u16(shape: &[u64], elements: &[u16]) -> Result<Self, TensorError> {
        Self::new(DType::U16, shape, &little_endian(elements, u16::to_le_bytes))
    }

    /// Accept bytes from anywhere, if they are canonical and within the limits.
    ///
    /// # Errors
    /// [`TensorError`] says what is wrong; nothing is allocated before the limits are checked.
    pub fn decode(bytes: Bytes, limits: Limits) -> Result<Self, TensorError> {
        if bytes.len() as u64 > limits.max_bytes {
            return Err(TensorError::TooLarge { bytes: bytes.len() as u64, limit: limits.max_bytes });
        }
        let header = bytes.get(..HEADER).ok_or(TensorError::NotATensor)?;
        if header[..16] != *TAG {
            return Err(TensorError::NotATensor);
        }
        let dtype = DType::of(header[16]).ok_or(TensorError::DType(header[16]))?;
        let rank = usize::from(header[17]);
        let limit = limits.max_rank.min(MAX_RANK);
        if rank > limit {
            return Err(TensorError::Rank { rank, limit });
        }
        let (dims, padding) = header[24..].split_at(8 * rank);
        if header[18..24].iter().chain(padding).any(|b| *b != 0) {
            return Err(TensorError::NotCanonical);
        }
        let shape: Vec<u64> = dims.as_chunks::<8>().0.iter().map(|c| u64::from_le_bytes(*c)).collect();
        let need = data_length(dtype, &shape)?;
        let got = (bytes.len() - HEADER) as u64;
        if need != got {
            return Err(TensorError::Length { need, got });
        }
        let digest = Digest::of(&bytes);
        Ok(Self { dtype, shape, bytes, digest })
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// Dimensions.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> u64 {
        (self.data().len() / self.dtype.size()) as u64
    }
    /// The elements, little-endian.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
    /// The whole blob.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// Commitment and address.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The elements as f32.
    ///
    /// # Errors
    /// [`TensorError::Expected`] for another element type.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        self.expect(DType::F32)?;
        Ok(elements(self.data(), f32::from_le_bytes))
    }

    /// The elements as u16.
    ///
    /// # Errors
    /// [`TensorError::Expected`] for another element type.
    pub fn to_u16(&self) -> Result<Vec<u16>, TensorError> {
        self.expect(DType::U16)?;
        Ok(elements(self.data(), u16::from_le_bytes))
    }

    /// The elements as i64.
    ///
    /// # Errors
    /// [`TensorError::Expected`] for another element type.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        self.expect(DType::I64)?;
        Ok(elements(self.data(), i64::from_le_bytes))
    }

    /// Bytes of the blob that hold the flat elements `range`, for a verified partial read.
    ///
    /// # Errors
    /// [`TensorError::Elements`] if the tensor ends before the range does, or the range is reversed.
    pub fn data_range(&self, range: Range<u64>) -> Result<Range<u64>, TensorError> {
        if range.start > range.end || range.end > self.elements() {
            return Err(TensorError::Elements { start: range.start, end: range.end, elements: self.elements() });
        }
        Ok(data_range(self.dtype, range))
    }

    fn expect(&self, need: DType) -> Result<(), TensorError> {
        if self.dtype == need { Ok(()) } else { Err(TensorError::Expected { need, got: self.dtype }) }
    }

    /// Refuse any other element type or shape than the one needed.
    ///
    /// # Errors
    /// [`TensorError::Expected`] or [`TensorError::Shape`].
    pub fn require(&self, dtype: DType, shape: &[u64]) -> Result<(), TensorError> {
        self.expect(dtype)?;
        if self.shape == shape {
            Ok(())
        } else {
            Err(TensorError::Shape { need: shape.to_vec(), got: self.shape.clone() })
        }
    }
}

/// Byte range within a blob of `dtype` that holds the flat elements `range`.
#[must_use]
pub fn data_range(dtype: DType, range: Range<u64>) -> Range<u64> {
    let size = dtype.size() as u64;
    let at = |i: u64| (HEADER as u64).saturating_add(i.saturating_mul(size));
    at(range.start)..at(range.end)
}

/// Length of the whole blob of a tensor.
///
/// # Errors
/// [`TensorError::Overflow`] or [`TensorError::Rank`].
pub fn blob_length(dtype: DType, shape: &[u64]) -> Result<u64, TensorError> {
    data_length(dtype, shape)?.checked_add(HEADER as u64).ok_or(TensorError::Overflow)
}

/// f32 elements as the little-endian bytes of a blob; not copied on a little-endian machine.
#[must_use]
pub fn f32_bytes(elements: &[f32]) -> Cow<'_, [u8]> {
    little_endian(elements, f32::to_le_bytes)
}

/// Elements as little-endian bytes. On a little-endian machine that is what they are, so it is one copy: in an unoptimised
/// build a conversion element by element costs a hundred times more than the hash.
fn little_endian<T: bytemuck::NoUninit, const N: usize>(elements: &[T], encode: fn(T) -> [u8; N]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(elements))
    } else {
        Cow::Owned(elements.iter().flat_map(|x| encode(*x)).collect())
    }
}

/// Little-endian bytes, a whole number of elements, as elements.
fn elements<T: bytemuck::AnyBitPattern + bytemuck::NoUninit, const N: usize>(
    data: &[u8],
    decode: fn([u8; N]) -> T,
) -> Vec<T> {
    if cfg!(target_endian = "little") && data.len().is_multiple_of(size_of::<T>()) {
        bytemuck::allocation::pod_collect_to_vec(data)
    } else {
        data.as_chunks::<N>().0.iter().map(|c| decode(*c)).collect()
    }
}

/// The header of a tensor (the caller has checked the rank), in a buffer that has room for `data` bytes more.
pub(crate) fn header(dtype: DType, shape: &[u64], data: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + data);
    bytes.extend_from_slice(TAG);
    bytes.push(dtype.code());
    bytes.push(shape.len() as u8);
    bytes.resize(24, 0);
    for d in shape {
        bytes.extend_from_slice(&d.to_le_bytes());
    }
    bytes.resize(HEADER, 0);
    bytes
}

fn data_length(dtype: DType, shape: &[u64]) -> Result<u64, TensorError> {
    if shape.len() > MAX_RANK {
        return Err(TensorError::Rank { rank: shape.len(), limit: MAX_RANK });
    }
    shape.iter().try_fold(dtype.size() as u64, |n, d| n.checked_mul(*d)).ok_or(TensorError::Overflow)
}
