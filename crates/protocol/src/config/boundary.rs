//! The kinds of boundary that a run may name, with their options: the register. What a kind does is one file of the model room.

use serde::{Deserialize, Serialize};

/// What crosses between stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "kind")]
pub enum BoundaryConfig {
    /// The whole residual stream, `[batch, sequence, d_model]`.
    #[default]
    Dense,
    /// IOTA's bottleneck: `width` channels with a partial residual, `[batch, sequence, width]`.
    Bottleneck {
        /// Channels that cross; IOTA uses `d_model / 64`.
        width: u32,
    },
}

/// An option that no model of this width can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOption {
    /// The option's key within the run's configuration.
    pub key: &'static str,
    /// As read.
    pub value: String,
    /// What would do.
    pub need: &'static str,
}

impl BoundaryConfig {
    /// Check a kind's options against the width of the residual stream.
    ///
    /// # Errors
    /// [`BadOption`] names the first option that does not do.
    pub fn check(&self, d_model: u32) -> Result<(), BadOption> {
        match self {
            Self::Dense => Ok(()),
            Self::Bottleneck { width } if (1..=d_model).contains(width) => Ok(()),
            Self::Bottleneck { width } => Err(BadOption {
                key: "model.boundary.width",
                value: width.to_string(),
                need: "1 to model.d_model is needed",
            }),
        }
    }
}
