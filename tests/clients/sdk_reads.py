"""Every read that the official SDK registers, against our chain: it answers, or it fails by the name in the table.

The table is the list of what our chain lacks of the newest public one, as its own client sees it.
"""

import inspect

import bittensor as bt
from bittensor.reads.base import REGISTRY

from common import ALICE, NETUID, URL, fails, same, starling

# The account that owns subnet 1 and is its uid 0.
OWNER = "5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM"

# Feature of the public chain that ours leaves out -> the reads that need it, each with what is missing.
ABSENT = {
    "root stake is paid in alpha at once, not through baskets and claims": {
        "basket_position": "BetaBasketRuntimeApi.get_basket_position",
        "basket_trading_status": "BetaBasketRuntimeApi.get_basket_trading_status",
        "root_basket_owed": "BetaBasketRuntimeApi.get_root_basket_owed",
        "root_basket_owed_breakdown": "BetaBasketRuntimeApi.get_root_basket_positions",
        "root_basket_portfolio": "BetaBasketRuntimeApi.get_root_basket_portfolio",
        "root_basket_total_nav": "BetaBasketRuntimeApi.get_root_basket_total_nav",
        "root_baskets": "BetaBasketRuntimeApi.get_all_validator_baskets",
        "root_claim_threshold": "SubtensorModule.RootClaimableThreshold",
        "validator_basket": "BetaBasketRuntimeApi.get_validator_basket",
        "validator_basket_nav": "BetaBasketRuntimeApi.get_validator_basket_nav",
        "validator_basket_summary": "BetaBasketRuntimeApi.get_validator_basket_summary",
    },
    "no stake is ever locked": {
        "accepts_locked_alpha": "SubtensorModule.AccountFlags",
        "coldkey_lock": "SubtensorModule.Lock not found",
        "hotkey_conviction": "StakeInfoRuntimeApi.get_hotkey_conviction",
        "locks_for_coldkey": "SubtensorModule.Lock not found",
        "locks_for_hotkey": "SubtensorModule.LockingColdkeys",
        "most_convicted_hotkey": "StakeInfoRuntimeApi.get_most_convicted_hotkey_on_subnet",
        "subnet_convictions": "SubtensorModule.HotkeyLock",
    },
    "miners lay down no collateral": {
        "miner_collateral": "SubtensorModule.MinerCollateral",
        "subnet_collateral": "SubtensorModule.MinerCollateral",
    },
    "dividends stay where they were earned": {
        "auto_stake": "SubtensorModule.AutoStakeDestination",
        "auto_stake_all": "SubtensorModule.AutoStakeDestination",
    },
    "newer than the interface of June 2026": {
        "childkey_threshold_suspended": "SubtensorModule.ChildkeyThresholdSuspended",
        "total_alpha_staked": "SubtensorModule.TotalAlphaStaked",
    },
    "no leases, no crowdloans": {
        "crowdloan": "Crowdloan.Crowdloans",
        "crowdloan_contributors": "Crowdloan.Contributions",
        "crowdloans": "Crowdloan.Crowdloans",
        "lease": "SubtensorModule.SubnetLeases",
        "leases": "SubtensorModule.SubnetLeases",
    },
    "no such pallet": {
        "associated_evm_key": "SubtensorModule.AssociatedEvmAddress",
        "coldkey_swap_announcement": "SubtensorModule.ColdkeySwapAnnouncements",
        "mev_shield_next_key": "MevShield.NextKey",
        "multisig": "Multisig.Multisigs",
        "proxies": "Proxy.Proxies",
    },
}

GIVEN = {
    "netuid": NETUID,
    "netuids": [NETUID],
    "uid": 0,
    "block": 1,
    "crowdloan_id": 0,
    "lease_id": 0,
    "call_hash": "0x" + "11" * 32,
    "amount_tao": 1,
    "amount_alpha": 1,
}


def arguments(fetch):
    """Values for what a read demands, and the subnet where it may be given."""
    chosen = {}
    for parameter in list(inspect.signature(fetch).parameters.values())[1:]:
        name = parameter.name
        if parameter.default is not parameter.empty and name != "netuid":
            continue
        if name in GIVEN:
            chosen[name] = GIVEN[name]
        else:
            key = OWNER if "hotkey" in name else ALICE
            chosen[name] = [key] if name.endswith("ss58s") else key
    return chosen


def main():
    sub = bt.Subtensor(URL)
    sub.wait_for_block(2)
    absent = {name: missing for reads in ABSENT.values() for name, missing in reads.items()}
    assert set(absent) <= set(REGISTRY), f"not reads of this SDK: {set(absent) - set(REGISTRY)}"
    answers = {}
    for name, spec in sorted(REGISTRY.items()):
        chosen = arguments(spec.fetch)
        if name in absent:
            fails(name, absent[name], lambda: sub.read(name, **chosen))
        else:
            answers[name] = sub.read(name, **chosen)
    print(f"{len(answers)} reads answered, {len(absent)} failed as written")

    # That they answer is not enough: the answers are right.
    same("collateral", answers["collateral_policy"]["lock_share"], 0)
    same("block_time", answers["block_time"], 0.25)
    assert answers["is_fast_blocks"]
    assert answers["balance"].rao == 1_000_000 * 10**9, answers["balance"]
    assert answers["netuids_for_hotkey"] == [NETUID] and answers["uid"] == 0
    assert answers["hotkey_owner"] == OWNER and answers["is_delegate"]
    assert [s.netuid for s in answers["subnets"]] == [0, 1]
    assert answers["next_epoch_start_block"] == answers["epoch_status"]["next_epoch_start_block"]
    quote = answers["quote_stake"]
    assert 0 < quote.alpha.rao < 10**9 and quote.tao.rao == 10**9, "one TAO buys a little less than one alpha"
    assert quote.alpha.rao + quote.alpha_slippage.rao == 10**9, "at a price of one, slippage is the rest"

    ours = starling("hyperparameters", str(NETUID))
    theirs = answers["subnet_hyperparameters"]
    assert len(theirs) > 25 and set(theirs) <= set(ours), set(theirs) - set(ours)
    for name, value in theirs.items():
        # The SDK shows 64.64 fixed point as its bits, starling the number.
        if name == "burn_increase_mult":
            value = value / 2**64
        same(name, value, ours[name])


main()
