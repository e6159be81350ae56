"""The SDK carries names and arguments generated from the newest public metadata: what our chain calls likewise is shaped likewise."""

import inspect

import bittensor as bt
from async_substrate_interface.sync_substrate import SubstrateInterface
from bittensor import calls, constants, runtime_api, storage

from common import URL

FRAME = "of FRAME itself, in a newer release than the public chain's"

# What is ours alone, or older than the SDK's metadata, with the reason.
NOT_PUBLIC = {
    "calls": {"AdminUtils.sudo_set_subnet_owner_hotkey": "of June 2026; gone since"},
    "storage": {
        "SubtensorModule.NewSubnetParams": "what a new subnet starts with here",
        "SubtensorModule.HotkeySwapOnSubnetInterval": "a constant there, a setting here",
        "SubtensorModule.Alpha": "of spec 381; AlphaV2 since",
        "SubtensorModule.TotalHotkeyShares": "of spec 381; TotalHotkeySharesV2 since",
        "SubtensorModule.RootClaimType": "of June 2026; gone since",
        "System.BlockSize": FRAME,
        "System.BlocksTillUpgrade": FRAME,
        "TransactionPayment.TxPaymentCredit": FRAME,
    },
    "constants": {},
}


def public(module, pick):
    """By `Pallet.name`; classes that only describe the entries are tuples."""
    groups = {n: g for n, g in vars(module).items() if inspect.isclass(g) and g.__bases__ == (object,) and g.__module__ == module.__name__}
    return {
        f"{pallet}.{name}": pick(value)
        for pallet, group in groups.items()
        for name, value in vars(group).items()
        if not name.startswith("_")
    }


def check(kind, ours, theirs):
    unknown = {name for name in ours if name not in theirs} - set(NOT_PUBLIC[kind])
    assert not unknown, f"{kind} that the official SDK does not know: {sorted(unknown)}"
    stale = {name for name in NOT_PUBLIC[kind] if name not in ours or name in theirs}
    assert not stale, f"{kind} excused for nothing: {sorted(stale)}"
    print(f"{kind}: {len(ours)} of ours, {len(ours) - len(NOT_PUBLIC[kind])} of {len(theirs)} public ones")


def main():
    with SubstrateInterface(url=URL) as chain:
        chain.init_runtime()
        pallets = chain.runtime.metadata.pallets
    ours_calls, ours_storage, ours_constants = {}, set(), set()
    for pallet in pallets:
        for call in pallet.calls or []:
            ours_calls[f"{pallet.name}.{call.name}"] = [argument.name for argument in call.args]
        ours_storage |= {f"{pallet.name}.{item.value['name']}" for item in pallet.storage or [] if ":" not in item.value["name"]}
        ours_constants |= {f"{pallet.name}.{constant.value['name']}" for constant in pallet.constants or []}
    theirs = public(calls, lambda f: list(inspect.signature(getattr(f, "__func__", f)).parameters))
    check("calls", ours_calls, theirs)
    for name, arguments in ours_calls.items():
        if name in theirs:
            assert arguments == theirs[name], f"{name}: ours {arguments}, public {theirs[name]}"
    check("storage", ours_storage, public(storage, bool))
    check("constants", ours_constants, public(constants, bool))


main()
