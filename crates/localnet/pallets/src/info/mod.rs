//! Structs of the runtime APIs, byte for byte the public chain's (chain.md 2), and the functions that fill them.
//!
//! Invariant: field order and compactness are the interface; a field is never added in the middle.

mod dynamic;
mod hyperparameters;
mod metagraph;
mod neuron;
mod selective;
mod stake;
mod swap;

pub use dynamic::{DynamicInfo, SubnetState};
pub use hyperparameters::{HyperparamEntry, HyperparamValue, SubnetHyperparams, SubnetHyperparamsV2};
pub use metagraph::Metagraph;
pub use neuron::{NeuronInfo, NeuronInfoLite, SubnetInfo, SubnetInfov2};
pub use selective::SelectiveMetagraph;
pub use stake::{Availability, DelegateInfo, StakeAvailability, StakeInfo};
pub use swap::{SimSwapResult, SubnetPrice};

/// Where a metagraph reads commitments from.
pub trait CommitmentSource {
    /// Encoded `Registration` of every hotkey that committed on the subnet.
    fn commitments(netuid: crate::types::NetUid) -> Vec<(crate::types::AccountId, Vec<u8>)>;
}

impl CommitmentSource for () {
    fn commitments(_: crate::types::NetUid) -> Vec<(crate::types::AccountId, Vec<u8>)> {
        Vec::new()
    }
}
