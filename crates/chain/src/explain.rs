//! The chain's error names, in words: what the rule is and what to do (chain.md 1.4, 1.5, 4.2, 9).
//!
//! Pure tables. Dispatch errors are looked up by their name in live metadata; only the pool's custom numbers have no names there, so
//! they are listed here. A name that is not in the table is shown with the documentation that the runtime itself carries.

/// What a dispatch error means, if it is one that this client's calls can meet.
#[must_use]
pub fn dispatch(name: &str) -> Option<&'static str> {
    Some(match name {
        "HotKeyNotRegisteredInSubNet" => "the hotkey is not registered on this subnet: register it, or check --netuid",
        "HotKeyNotRegisteredInNetwork" => "the hotkey is registered on no subnet: register it first",
        "HotKeyAccountNotExists" => "no coldkey owns this hotkey yet: register it on a subnet first",
        "NonAssociatedColdKey" => "the hotkey belongs to another coldkey: sign with its owner, or use another hotkey",
        "NotEnoughStake" | "NotEnoughStakeToSetWeights" => {
            "the hotkey's stake weight on this subnet is below the chain's StakeThreshold: add stake"
        }
        "NotEnoughBalanceToStake" => "the coldkey's free balance is below the amount: transfer TAO to it first",
        "NotEnoughBalanceToPaySwapHotKey" => "the coldkey cannot pay for swapping the hotkey",
        "NeuronNoValidatorPermit" => {
            "the hotkey has no validator permit: permits go to the top stakes at each epoch; add stake and wait for the next epoch"
        }
        "WeightVecNotEqualSize" | "InputLengthsUnequal" => "the lists given have different lengths",
        "DuplicateUids" => "a uid is there twice",
        "UidVecContainInvalidOne" => "a uid does not exist on the subnet: read the metagraph again",
        "WeightVecLengthIsLow" => {
            "fewer weights than the subnet's min_allowed_weights (and it is not a single self-weight)"
        }
        "UidsLengthExceedUidsInSubNet" => "more weights than the subnet has neurons: read the metagraph again",
        "MaxWeightExceeded" => "one weight is above the subnet's max_weights_limit",
        "SettingWeightsTooFast" => "weights were set less than weights_rate_limit blocks ago",
        "CommittingWeightsTooFast" => "weights were committed less than weights_rate_limit blocks ago",
        "IncorrectWeightVersionKey" => "the version key is below the subnet's weights_version: upgrade the validator",
        "CommitRevealEnabled" => {
            "the subnet uses commit-reveal: commit the weights and reveal them later instead of setting them"
        }
        "CommitRevealDisabled" => "the subnet does not use commit-reveal: set the weights directly",
        "NoWeightsCommitFound" => {
            "no commit of this hotkey waits for a reveal: it was revealed already, has expired, or was never included"
        }
        "InvalidRevealCommitHashNotMatch" => {
            "no waiting commit has this hash: uids, values, salt and version key must be exactly those committed"
        }
        "RevealTooEarly" => "the reveal epoch of this commit has not begun",
        "ExpiredWeightCommit" => "the reveal epoch of this commit is over: commit again",
        "TooManyUnrevealedCommits" => {
            "ten commits wait for their reveal already: reveal them, or wait until they expire"
        }
        "CanNotSetRootNetworkWeights" => "weights cannot be set on the root network (netuid 0)",
        "SubnetNotExists" | "SubNetworkDoesNotExist" | "MechanismDoesNotExist" => {
            "this subnet does not exist: check --netuid"
        }
        "SubNetRegistrationDisabled" => "the subnet takes no registrations now",
        "RegistrationNotPermittedOnRootSubnet" => "the root network (netuid 0) has its own call for registrations",
        "HotKeyAlreadyRegisteredInSubNet" => "the hotkey is registered on this subnet already: nothing to do",
        "TooManyRegistrationsThisBlock" => "the subnet's registrations of this block are used up: try in the next one",
        "TooManyRegistrationsThisInterval" => "the subnet's registrations of this interval are used up",
        "NoNeuronIdAvailable" => "the subnet is full and every neuron is immune: try again later",
        "RegistrationPriceLimitExceeded" => "the registration costs more than the limit given",
        "NetworkTxRateLimitExceeded" | "TxRateLimitExceeded" => "the last such transaction was too few blocks ago",
        "CannotAffordLockCost" | "NotEnoughBalanceToPayLockCost" => "the coldkey cannot pay the lock cost of a subnet",
        "NetworkRegistrationDisabled" | "SubnetLimitReached" => "no subnet can be registered now",
        "FirstEmissionBlockNumberAlreadySet" => "the subnet was started already: nothing to do",
        "NeedWaitingMoreBlocksToStarCall" | "NeedWaitingMoreBlocksToStartCall" => {
            "the subnet is too young to be started"
        }
        "SubtokenDisabled" => "the subnet was not started yet: its owner has to call start_call first",
        "NotSubnetOwner" => "only the subnet's owner may do this",
        "ServingRateLimitExceeded" => "the axon was served less than serving_rate_limit blocks ago",
        "InvalidIpAddress" => "the chain takes only public addresses: not 127.0.0.1, ::1 or 255.255.255.255",
        "InvalidIpType" => "the ip type is 4 or 6",
        "InvalidPort" => "the port may not be 0",
        "AmountTooLow" | "StakeAmountTooLow" => "the amount is below the chain's minimum stake",
        "InsufficientLiquidity" => "the subnet's pool is too small for this amount",
        "SlippageTooHigh" => "the price would move further than the limit given",
        "AdminActionProhibitedDuringWeightsWindow" => {
            "hyperparameters are frozen in the last blocks before an epoch: wait for the epoch"
        }
        "CommitmentSetRateLimitExceeded" | "SpaceLimitExceeded" => {
            "the hotkey's space for commitments in this epoch is used up"
        }
        "TooManyFieldsInCommitmentInfo" => "the commitment has more fields than the chain takes",
        "AccountNotAllowedCommit" => "only hotkeys registered on the subnet may commit data",
        "RequireSudo" => "this needs the chain's sudo key",
        "BadOrigin" => "the signer may not do this: it needs the subnet's owner or the chain's sudo key",
        "InsufficientBalance" | "FundsUnavailable" => "the free balance is below the amount and the fee",
        "ExistentialDeposit" | "Expendability" | "KeepAlive" => "an account must keep the existential deposit",
        "CallFiltered" => {
            "the chain does not take this call now (safe mode, or a call in a batch that may not be in one)"
        }
        "ValueNotInBounds" | "InvalidValue" => "the value is outside what the chain allows",
        _ => return None,
    })
}

/// The name and the meaning of the pool's `Custom error: N`.
#[must_use]
pub fn custom(number: u8) -> (&'static str, &'static str) {
    match number {
        0 => ("ColdkeyInSwapSchedule", "the coldkey has announced a swap and may do nothing else until then"),
        1 => (
            "StakeAmountTooLow",
            "the stake is too low: for weights, the hotkey's stake weight is below the chain's StakeThreshold; for staking, the amount is below the minimum",
        ),
        2 => ("BalanceTooLow", "the coldkey's free balance is too low"),
        3 => ("SubnetNotExists", "this subnet does not exist: check --netuid"),
        4 => ("HotkeyAccountDoesntExist", "no coldkey owns this hotkey yet: register it on a subnet first"),
        5 => ("NotEnoughStakeToWithdraw", "less is staked than is to be withdrawn"),
        6 => ("RateLimitExceeded", "the last such transaction of this key was too few blocks ago"),
        7 => ("InsufficientLiquidity", "the subnet's pool is too small for this amount"),
        8 => ("SlippageTooHigh", "the price would move further than the limit given"),
        9 => ("TransferDisallowed", "the subnet does not allow transfers of stake"),
        10 => ("HotKeyNotRegisteredInNetwork", "the hotkey is not registered on the subnet: register it first"),
        11 => ("InvalidIpAddress", "the chain takes only public addresses: not 127.0.0.1, ::1 or 255.255.255.255"),
        12 => ("ServingRateLimitExceeded", "the axon was served less than serving_rate_limit blocks ago"),
        13 => ("InvalidPort", "the port may not be 0"),
        14 => ("ZeroMaxAmount", "no amount fits the limit given"),
        15 => ("InvalidRevealRound", "the reveal round has passed already"),
        16 => (
            "CommitNotFound",
            "no waiting commit has this hash: it was revealed already, has expired, or uids, values, salt or version key differ",
        ),
        17 => (
            "CommitBlockNotInRevealRange",
            "the commit cannot be revealed now: its reveal epoch has not begun or is over",
        ),
        18 => ("InputLengthsUnequal", "the lists given have different lengths"),
        19 => ("UidNotFound", "the hotkey has no uid on this subnet: register it first"),
        20 => ("EvmKeyAssociateRateLimitExceeded", "an EVM key was associated too recently"),
        21 => ("ColdkeySwapDisputed", "the coldkey's swap is disputed: it may do nothing until that is settled"),
        22 => ("InvalidRealAccount", "the proxied account is not one"),
        23 => ("FailedShieldedTxParsing", "the shielded transaction cannot be read"),
        24 => ("InvalidShieldedTxPubKeyHash", "the shielded transaction was made for another block's key"),
        25 => ("NonAssociatedColdKey", "the hotkey belongs to another coldkey"),
        26 => ("DelegateTakeTooLow", "the take is below the chain's minimum"),
        27 => ("DelegateTakeTooHigh", "the take is above the chain's maximum"),
        255 => ("BadRequest", "the runtime refuses the transaction without a reason of its own"),
        _ => ("Unknown", "a reason that is newer than this client"),
    }
}

/// The standard reasons of a pool, from the node's words: a name and what to do.
#[must_use]
pub fn pool(message: &str) -> Option<(&'static str, &'static str)> {
    let has = |part: &str| message.contains(part);
    Some(if has("outdated") {
        ("Stale", "its nonce was used already or its lifetime is over")
    } else if has("Inability to pay") {
        ("Payment", "the account cannot pay the fee: transfer TAO to it")
    } else if has("bad signature") || has("invalid signature") {
        ("BadProof", "the signature does not fit: the runtime was upgraded meanwhile, or the node is on another chain")
    } else if has("ancient birth") {
        ("AncientBirthBlock", "it was made for a block that the chain has left behind")
    } else if has("will be valid in the future") {
        ("Future", "an earlier transaction of this account is missing")
    } else if has("riority is too low") {
        ("PriorityTooLow", "another transaction with the same nonce waits already")
    } else if has("lready imported") || has("Already Imported") {
        ("AlreadyImported", "the node has this very transaction already")
    } else if has("exhaust") {
        ("ExhaustsResources", "it does not fit in a block now")
    } else if has("temporarily banned") {
        ("TemporarilyBanned", "the node refused this very transaction a moment ago")
    } else if has("call is not expected") {
        ("Call", "the runtime does not take this call")
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pools_numbers_have_the_names_of_the_reference() {
        for (number, name) in [
            (1, "StakeAmountTooLow"),
            (6, "RateLimitExceeded"),
            (16, "CommitNotFound"),
            (17, "CommitBlockNotInRevealRange"),
            (255, "BadRequest"),
        ] {
            assert_eq!(custom(number).0, name);
        }
        assert_eq!(custom(200).0, "Unknown");
    }

    #[test]
    fn what_a_substrate_pool_says_is_recognised() {
        assert_eq!(pool("Transaction is outdated").map(|found| found.0), Some("Stale"));
        assert_eq!(
            pool("Inability to pay some fees (e.g. account balance too low)").map(|found| found.0),
            Some("Payment")
        );
        assert_eq!(pool("Priority is too low: (1 vs 1)").map(|found| found.0), Some("PriorityTooLow"));
        assert_eq!(pool("Transaction has a bad signature").map(|found| found.0), Some("BadProof"));
        assert_eq!(pool("something new"), None);
    }
}
