//! What can go wrong with tensors, devices, text and files.

use std::path::PathBuf;

use starling_commitment::TensorError;

/// Why a computation or conversion failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Bytes are not the tensor that was needed.
    #[error("{what}: {source}")]
    Tensor {
        /// Which tensor.
        what: &'static str,
        /// What is wrong with it.
        source: TensorError,
    },
    /// A token id is not in the vocabulary.
    #[error("token id {token} is not below the vocabulary's size {vocab}")]
    Token {
        /// Largest id found.
        token: i64,
        /// Size.
        vocab: u32,
    },
    /// Something needed for this stage was not given, or given where it does not belong.
    #[error("{0}")]
    Misuse(&'static str),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The device cannot be had.
    #[error("device `{asked}`: {reason}")]
    Device {
        /// As asked for.
        asked: String,
        /// Why not.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The text gives too few tokens.
    #[error("{0}")]
    Data(String),
}

impl ModelError {
    pub(crate) fn file(path: impl Into<PathBuf>, error: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.into(), reason: error.to_string() }
    }
}
