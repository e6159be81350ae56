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
    /// NaN or infinity, which would spread to everything computed from it and has no single byte pattern to commit to.
    #[error(
        "{0} holds NaN, infinity or numbers too large to add up: the values diverged or were made up; lower the learning rate, or refuse whoever sent them"
    )]
    NotFinite(&'static str),
    /// A tensor with other dimensions than this stage takes.
    #[error("{what}: the shape is {got:?}, {need} is needed")]
    Shape {
        /// Which tensor.
        what: &'static str,
        /// Its dimensions.
        got: Vec<u64>,
        /// What fits.
        need: String,
    },
    /// A model that cannot be built.
    #[error("the model's {key} is {value}: {need}")]
    Config {
        /// Key within the model's configuration.
        key: &'static str,
        /// As read.
        value: String,
        /// What would do.
        need: &'static str,
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
    /// Text, tokens or shards do not do.
    #[error("{0}")]
    Data(String),
}

impl ModelError {
    pub(crate) fn file(path: impl Into<PathBuf>, error: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.into(), reason: error.to_string() }
    }
}
