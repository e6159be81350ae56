"""The SDK carries names and arguments generated from the newest public metadata: what our chain calls likewise is shaped likewise."""

import inspect

import bittensor as bt
from async_substrate_interface.sync_substrate import SubstrateInterface
from bittensor import calls, constants, runtime_api, storage

from common import URL

# What is ours alone, or older than the SDK's metadata, with the reason.
NOT_PUBLIC = {
    "calls": {},
    "storage": {
        "Aura.SlotMillis": "where this chain keeps its pace",
        "SubtensorModule.NewSubnetParams": "what a new subnet starts with here",
        "SubtensorModule.Alpha": "of spec 381; AlphaV2 since",
        "SubtensorModule.TotalHotkeyShares": "of spec 381; TotalHotkeySharesV2 since",
    },
    "constants": {},
    "apis": {},
}
# Arguments whose names changed since.
RENAMED = {}


def public(module, pick):
    return {f"{pallet}.{name}": pick(value) for pallet, group in vars(module).items() if inspect.isclass(group)
            for name, value in vars(group).items() if not name.startswith("_")}


def check(kind, ours, theirs):
    unknown = {name for name in ours if name not in theirs} - set(NOT_PUBLIC[kind])
    assert not unknown, f"{kind} that the official SDK does not know: {sorted(unknown)}"
    stale = {name for name in NOT_PUBLIC[kind] if name not in ours or name in theirs}
    assert not stale, f"{kind} excused for nothing: {sorted(stale)}"
    print(f"{kind}: {len(ours)} of ours, {len(ours) - len(NOT_PUBLIC[kind])} of {len(theirs)} public ones")


def main():
    chain = SubstrateInterface(url=URL)
    chain.init_runtime()
    ours_calls, ours_storage, ours_constants = {}, set(), set()
    for pallet in chain.metadata.pallets:
        for call in pallet.calls or []:
            ours_calls[f"{pallet.name}.{call.name}"] = [field.value["name"] for field in call.args]
        for item in pallet.storage or []:
            ours_storage.add(f"{pallet.name}.{item.value['name']}")
        for constant in pallet.constants or []:
            ours_constants.add(f"{pallet.name}.{constant.value['name']}")
    theirs = public(calls, lambda f: list(inspect.signature(getattr(f, "__func__", f)).parameters))
    print(len(ours_calls), len(theirs))
    check("calls", ours_calls, theirs)
    for name, arguments in ours_calls.items():
        if name in theirs:
            assert arguments == RENAMED.get(name, theirs[name]), f"{name}: ours {arguments}, public {theirs[name]}"
    check("storage", ours_storage, public(storage, bool))
    check("constants", ours_constants, public(constants, bool))


main()
