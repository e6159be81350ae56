//! Is the input one subnet? Lengths agree, uids exist, no row names a uid twice.
//!
//! After this check every uid is below the number of neurons, which the rest of the module relies on for its meaning
//! (not for its safety: no access there can panic).

use super::EpochInput;
use thiserror::Error;

/// Why an epoch cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum YumaError {
    /// A uid is a u16.
    #[error("the subnet has {neurons} neurons; a uid has 16 bits, so at most 65536 can exist")]
    TooManyNeurons {
        /// The length of the stake vector.
        neurons: usize,
    },
    /// A vector does not have one value per neuron.
    #[error(
        "`{field}` has {found} entries and the subnet has {neurons} neurons (the length of `stake`); give one per neuron"
    )]
    Length {
        /// Name of the field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The length of the stake vector.
        neurons: usize,
    },
    /// The owner is no neuron of this subnet.
    #[error("owner_uid is {uid} and the subnet has {neurons} neurons; give None when the owner is not registered")]
    OwnerOutOfRange {
        /// The uid given.
        uid: u16,
        /// The length of the stake vector.
        neurons: usize,
    },
    /// A row refers to a neuron that does not exist.
    #[error("`{field}` of uid {row} names uid {uid}, but the subnet has {neurons} neurons; remove the entry")]
    UidOutOfRange {
        /// `weights` or `bonds`.
        field: &'static str,
        /// Whose row it is.
        row: usize,
        /// The uid named.
        uid: u16,
        /// The length of the stake vector.
        neurons: usize,
    },
    /// A row refers to a neuron twice.
    #[error("`{field}` of uid {row} names uid {uid} twice; keep one entry")]
    DuplicateUid {
        /// `weights` or `bonds`.
        field: &'static str,
        /// Whose row it is.
        row: usize,
        /// The uid named.
        uid: u16,
    },
}

/// Checks the shape of an epoch's input.
pub(crate) fn check(input: &EpochInput) -> Result<(), YumaError> {
    let neurons = input.stake.len();
    if neurons > usize::from(u16::MAX) + 1 {
        return Err(YumaError::TooManyNeurons { neurons });
    }
    let lengths = [
        ("last_update", input.last_update.len()),
        ("block_at_registration", input.block_at_registration.len()),
        ("permits", input.permits.len()),
        ("weights", input.weights.len()),
        ("bonds", input.bonds.len()),
        ("earliest_commit", input.earliest_commit.as_ref().map_or(neurons, Vec::len)),
    ];
    for (field, found) in lengths {
        if found != neurons {
            return Err(YumaError::Length { field, found, neurons });
        }
    }
    if let Some(uid) = input.owner_uid.filter(|uid| usize::from(*uid) >= neurons) {
        return Err(YumaError::OwnerOutOfRange { uid, neurons });
    }
    check_rows("weights", &input.weights, neurons)?;
    check_rows("bonds", &input.bonds, neurons)
}

fn check_rows(field: &'static str, rows: &[Vec<(u16, u16)>], neurons: usize) -> Result<(), YumaError> {
    // The row that last named a uid, so that one vector serves all rows.
    let mut named_by: Vec<Option<usize>> = vec![None; neurons];
    for (row, entries) in rows.iter().enumerate() {
        for (uid, _) in entries {
            let Some(last) = named_by.get_mut(usize::from(*uid)) else {
                return Err(YumaError::UidOutOfRange { field, row, uid: *uid, neurons });
            };
            if last.replace(row) == Some(row) {
                return Err(YumaError::DuplicateUid { field, row, uid: *uid });
            }
        }
    }
    Ok(())
}
