//! The names that this client looks up on a chain, and which of them its runtime has: for `starling doctor`.
//!
//! What is absent is no fault of the client's as long as it has another way; [`Name::needed`] says where it has none.

use serde::Serialize;

use crate::{ChainError, Client, runtime::Runtime};

/// Where a name belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call of a pallet.
    Call,
    /// An entry of a pallet's storage.
    Storage,
    /// An event of a pallet.
    Event,
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
pub const NAMES: &[(Kind, &str, &str, bool)] = &[
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
    (Kind::Call, "Balances", "transfer_allow_death", false),
    (Kind::Call, S, "commit_crv3_mechanism_weights", false),
    (Kind::Call, S, "register", false),
    (Kind::Call, S, "remove_stake_full_limit", false),
    (Kind::Call, S, "remove_stake_limit", false),
    (Kind::Call, S, "swap_hotkey_v2", false),
    (Kind::Call, S, "swap_stake_limit", false),
    (Kind::Call, S, "unstake_all", false),
    (Kind::Call, S, "unstake_all_alpha", false),
    (Kind::Call, "Sudo", "sudo", false),
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
    (Kind::Storage, S, "Axons", false),
    (Kind::Storage, S, "BurnHalfLife", false),
    (Kind::Storage, S, "ChildKeys", false),
    (Kind::Storage, S, "ChildkeyTake", false),
    (Kind::Storage, S, "Delegates", false),
    (Kind::Storage, S, "Difficulty", false),
    (Kind::Storage, S, "FirstEmissionBlockNumber", false),
    (Kind::Storage, S, "IdentitiesV2", false),
    (Kind::Storage, S, "LastTxBlock", false),
    (Kind::Storage, S, "LastTxBlockDelegateTake", false),
    (Kind::Storage, S, "LastUpdate", false),
    (Kind::Storage, S, "MaxBurn", false),
    (Kind::Storage, S, "MaxChildkeyTake", false),
    (Kind::Storage, S, "MaxDelegateTake", false),
    (Kind::Storage, S, "MaxDifficulty", false),
    (Kind::Storage, S, "MinAllowedWeights", false),
    (Kind::Storage, S, "MinBurn", false),
    (Kind::Storage, S, "MinChildkeyTake", false),
    (Kind::Storage, S, "MinDelegateTake", false),
    (Kind::Storage, S, "MinDifficulty", false),
    (Kind::Storage, S, "NetworkPowRegistrationAllowed", false),
    (Kind::Storage, S, "NetworkRegistrationAllowed", false),
    (Kind::Storage, S, "NetworksAdded", false),
    (Kind::Storage, S, "NeuronCertificates", false),
    (Kind::Storage, S, "Owner", false),
    (Kind::Storage, S, "ParentKeys", false),
    (Kind::Storage, S, "PendingChildKeys", false),
    (Kind::Storage, S, "Prometheus", false),
    (Kind::Storage, S, "RegistrationsThisInterval", false),
    (Kind::Storage, S, "ServingRateLimit", false),
    (Kind::Storage, S, "SubnetIdentitiesV3", false),
    (Kind::Storage, S, "SubnetOwner", false),
    (Kind::Storage, S, "SubnetworkN", false),
    (Kind::Storage, S, "SubtokenEnabled", false),
    (Kind::Storage, S, "TargetRegistrationsPerInterval", false),
    (Kind::Storage, S, "TotalHotkeyAlpha", false),
    (Kind::Storage, S, "TransferToggle", false),
    (Kind::Storage, S, "TxDelegateTakeRateLimit", false),
    (Kind::Storage, S, "TxRateLimit", false),
    (Kind::Storage, S, "WeightsSetRateLimit", false),
    (Kind::Storage, S, "WeightsVersionKey", false),
    (Kind::Storage, "Sudo", "Key", false),
    (Kind::Storage, "System", "Events", true),
    (Kind::Event, "Balances", "Transfer", false),
    (Kind::Event, "Commitments", "Commitment", true),
    (Kind::Event, S, "AxonServed", true),
    (Kind::Event, S, "BatchWeightItemFailed", false),
    (Kind::Event, S, "BatchWeightsCompleted", false),
    (Kind::Event, S, "ChildKeyTakeSet", false),
    (Kind::Event, S, "FirstEmissionBlockNumberSet", false),
    (Kind::Event, S, "HotkeySwapped", false),
    (Kind::Event, S, "HotkeySwappedOnSubnet", false),
    (Kind::Event, S, "NetworkAdded", true),
    (Kind::Event, S, "NeuronRegistered", true),
    (Kind::Event, S, "PrometheusServed", false),
    (Kind::Event, S, "SetChildren", false),
    (Kind::Event, S, "SetChildrenScheduled", false),
    (Kind::Event, S, "StakeAdded", true),
    (Kind::Event, S, "StakeMoved", false),
    (Kind::Event, S, "StakeRemoved", false),
    (Kind::Event, S, "StakeSwapped", false),
    (Kind::Event, S, "StakeTransferred", false),
    (Kind::Event, S, "TakeDecreased", false),
    (Kind::Event, S, "TakeIncreased", false),
    (Kind::Event, S, "TimelockedWeightsCommitted", false),
    (Kind::Event, S, "TimelockedWeightsRevealed", false),
    (Kind::Event, S, "WeightsBatchRevealed", false),
    (Kind::Event, S, "WeightsCommitted", true),
    (Kind::Event, S, "WeightsRevealed", true),
    (Kind::Event, S, "WeightsSet", true),
    (Kind::Event, "Sudo", "Sudid", false),
    (Kind::Event, "System", "ExtrinsicFailed", true),
    (Kind::Event, "System", "ExtrinsicSuccess", false),
    (Kind::Event, "Utility", "ItemCompleted", false),
    (Kind::Event, "Utility", "ItemFailed", false),
    (Kind::Event, "TransactionPayment", "TransactionFeePaid", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_metagraph", true),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnets_info_v2", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_hyperparams_v3", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_hyperparams_v2", false),
    (Kind::Api, "SubnetRegistrationRuntimeApi", "get_network_registration_cost", true),
    (Kind::Api, "DelegateInfoRuntimeApi", "get_delegate", false),
    (Kind::Api, "DelegateInfoRuntimeApi", "get_delegates", false),
    (Kind::Api, "StakeInfoRuntimeApi", "get_stake_info_for_coldkey", false),
    (Kind::Api, "StakeInfoRuntimeApi", "get_stake_info_for_hotkey_coldkey_netuid", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_dynamic_info", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_mechagraph", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_selective_mechagraph", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_selective_metagraph", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_hyperparams", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnet_info", false),
    (Kind::Api, "SubnetInfoRuntimeApi", "get_subnets_info", false),
    (Kind::Api, "SwapRuntimeApi", "current_alpha_price", false),
    (Kind::Api, "SwapRuntimeApi", "current_alpha_price_all", false),
    (Kind::Api, "TransactionPaymentApi", "query_info", false),
];

impl Client {
    /// Every name looked up, with whether the runtime of the newest final block has it.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn names(&self) -> Result<Vec<Name>, ChainError> {
        Ok(of(&*self.runtime(None).await?))
    }
}

/// Every name looked up, with whether this runtime has it.
#[must_use]
pub fn of(runtime: &Runtime) -> Vec<Name> {
    let present = |kind, of, name| match kind {
        Kind::Call => runtime.has_call(of, name),
        Kind::Storage => runtime.has_storage(of, name),
        Kind::Event => runtime.has_event(of, name),
        Kind::Api => runtime.has_api(of, name),
    };
    NAMES
        .iter()
        .map(|&(kind, of, name, needed)| Name { kind, of, name, needed, present: present(kind, of, name) })
        .collect()
}
