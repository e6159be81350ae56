//! The names that this client looks up on a chain, and which of them its runtime has: for `starling doctor`.
//!
//! What is absent is no fault of the client's as long as it has another way; [`Name::needed`] says where it has none.

use serde::Serialize;

use crate::{ChainError, Client};

/// Where a name belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call of a pallet.
    Call,
    /// An entry of a pallet's storage.
    Storage,
    /// A method of a runtime API.
    Api,
}

/// A name and whether the runtime has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Name {
    /// Where it belongs.
    pub kind: Kind,
    /// Pallet or API.
    pub of: &'static str,
    /// The name.
    pub name: &'static str,
    /// True if something does not work without it.
    pub needed: bool,
    /// True if the runtime has it.
    pub present: bool,
}

const S: &str = "SubtensorModule";

/// Kind, pallet or API, name, and whether there is no other way.
const NAMES: &[(Kind, &str, &str, bool)] = &[
    (Kind::Call, S, "burned_register", true),
    (Kind::Call, S, "register_network", true),
    (Kind::Call, S, "start_call", true),
    (Kind::Call, S, "add_stake", true),
    (Kind::Call, S, "serve_axon", true),
    (Kind::Call, S, "set_weights", true),
    (Kind::Call, S, "commit_weights", true),
    (Kind::Call, S, "reveal_weights", true),
    (Kind::Call, S, "commit_timelocked_weights", false),
    (Kind::Call, S, "commit_timelocked_mechanism_weights", false),
    (Kind::Call, S, "set_mechanism_weights", false),
    (Kind::Call, S, "commit_mechanism_weights", false),
    (Kind::Call, S, "reveal_mechanism_weights", false),
    (Kind::Call, S, "batch_set_weights", false),
    (Kind::Call, S, "batch_commit_weights", false),
    (Kind::Call, S, "batch_reveal_weights", false),
    (Kind::Call, "Utility", "force_batch", false),
    (Kind::Call, S, "register_limit", false),
    (Kind::Call, S, "pow_register", false),
    (Kind::Call, S, "root_register", false),
    (Kind::Call, S, "add_stake_limit", false),
    (Kind::Call, S, "remove_stake", false),
    (Kind::Call, S, "move_stake", false),
    (Kind::Call, S, "transfer_stake", false),
    (Kind::Call, S, "swap_stake", false),
    (Kind::Call, S, "set_children", false),
    (Kind::Call, S, "set_childkey_take", false),
    (Kind::Call, S, "increase_take", false),
    (Kind::Call, S, "decrease_take", false),
    (Kind::Call, S, "swap_hotkey", false),
    (Kind::Call, S, "serve_axon_tls", false),
    (Kind::Call, S, "serve_prometheus", false),
    (Kind::Call, "Balances", "transfer_keep_alive", true),
    (Kind::Call, "Commitments", "set_commitment", true),
    (Kind::Storage, "System", "Account", true),
    (Kind::Storage, "Timestamp", "Now", true),
    (Kind::Storage, S, "Uids", true),
    (Kind::Storage, S, "Weights", true),
    (Kind::Storage, S, "WeightCommits", true),
    (Kind::Storage, S, "Tempo", true),
    (Kind::Storage, S, "SubnetEpochIndex", true),
    (Kind::Storage, S, "LastEpochBlock", true),
    (Kind::Storage, S, "PendingEpochAt", true),
    (Kind::Storage, S, "BlocksSinceLastStep", true),
    (Kind::Storage, S, "RevealPeriodEpochs", true),
    (Kind::Storage, S, "StakeThreshold", true),
    (Kind::Storage, S, "Burn", true),
    (Kind::Storage, S, "Bonds", true),
    (Kind::Storage, S, "BondsPenalty", true),
    (Kind::Storage, S, "BondsMovingAverage", true),
    (Kind::Storage, S, "LastMechansimStepBlock", true),
    (Kind::Storage, S, "Yuma3On", false),
    (Kind::Storage, S, "LiquidAlphaOn", false),
    (Kind::Storage, S, "AlphaValues", false),
    (Kind::Storage, S, "AlphaSigmoidSteepness", false),
    (Kind::Storage, S, "ValidatorTrust", false),
    (Kind::Storage, S, "TimelockedWeightCommits", false),
    (Kind::Storage, S, "CommitRevealWeightsVersion", false),
    (Kind::Storage, S, "MechanismCountCurrent", false),
    (Kind::Storage, S, "MaxWeightsLimit", false),
    (Kind::Storage, S, "TransactionKeyLastBlock", false),
    (Kind::Storage, S, "LastRateLimitedBlock", false),
    (Kind::Storage, S, "NetworkRateLimit", false),
    (Kind::Storage, "Drand", "BeaconConfig", false),
    (Kind::Storage, "Drand", "LastStoredRound", false),
    (Kind::Storage, "Drand", "Pulses", false),
    (Kind::Storage, "Commitments", "CommitmentOf", true),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_metagraph", true),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnets_info_v2", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_hyperparams_v3", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_hyperparams_v2", false),
    (Kind::Api, "SubnetRegistrationRuntimeApi", "get_network_registration_cost", true),
];

impl Client {
    /// Every name looked up, with whether the runtime of the newest final block has it.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn names(&self) -> Result<Vec<Name>, ChainError> {
        let runtime = self.runtime(None).await?;
        let present = |kind, of, name| match kind {
            Kind::Call => runtime.has_call(of, name),
            Kind::Storage => runtime.has_storage(of, name),
            Kind::Api => runtime.has_api(of, name),
        };
        Ok(NAMES
            .iter()
            .map(|&(kind, of, name, needed)| Name { kind, of, name, needed, present: present(kind, of, name) })
            .collect())
    }
}
