"""Timelock ciphertexts cross both ways with both official packages: ours, from the environment, opens in theirs; theirs, printed, open in ours.
For the clocks in the environment, the rounds that bittensor-drand would commit to are printed, with the time before and after.

Round 1000 of quicknet is long past, so its signature is known to everybody (and nothing here asks the network).
"""

import json
import os
import struct
import time

import bittensor_core as core
import bittensor_drand as drand

ROUND = 1000
SIGNATURE = os.environ["STARLING_SIGNATURE"]


def enveloped(ciphertext):
    """The generic functions wrap a ciphertext: SCALE bytes, then the round."""
    n = len(ciphertext)
    length = bytes([n << 2]) if n < 64 else struct.pack("<H", (n << 2) | 1)
    return length + ciphertext + struct.pack("<Q", ROUND)


said = {}
for name, package in {"core": core, "drand": drand}.items():
    opened = package.decrypt_with_signature(enveloped(bytes.fromhex(os.environ["STARLING_CIPHERTEXT"])), SIGNATURE)
    sealed, at = package.encrypt_at_round(opened, ROUND)
    assert at == ROUND
    # What one package seals the other opens, too.
    other = drand if package is core else core
    assert other.decrypt_with_signature(bytes(sealed), SIGNATURE) == opened
    said[name] = {"opened": bytes(opened).hex(), "sealed": bytes(sealed).hex()}

said["rounds"] = []
for clock in json.loads(os.environ["STARLING_CLOCKS"]):
    before = time.time_ns() // 1_000_000
    commit, target = drand.get_encrypted_commit_v2(
        [0, 1],
        [65535, 1],
        9,
        clock["last_epoch_block"],
        clock["pending_epoch_at"],
        clock["index"],
        clock["tempo"],
        clock["blocks_since_last_step"],
        clock["block"],
        clock["reveal_period"],
        12.0,
        bytes([7] * 32),
    )
    said["rounds"].append({"before": before, "after": time.time_ns() // 1_000_000, "round": target, "bytes": len(bytes(commit))})
print(json.dumps(said))
