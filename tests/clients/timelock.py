"""Timelock ciphertexts cross both ways: ours, from the environment, opens in the official core; the core's, printed, opens in ours.

Round 1000 of quicknet is long past, so its signature is known to everybody (and nothing here asks the network).
"""

import json
import os
import struct

import bittensor_core as core

ROUND = 1000
SIGNATURE = os.environ["STARLING_SIGNATURE"]


def enveloped(ciphertext):
    """The core's generic functions wrap a ciphertext: SCALE bytes, then the round."""
    n = len(ciphertext)
    length = bytes([n << 2]) if n < 64 else struct.pack("<H", (n << 2) | 1)
    return length + ciphertext + struct.pack("<Q", ROUND)


opened = core.decrypt_with_signature(enveloped(bytes.fromhex(os.environ["STARLING_CIPHERTEXT"])), SIGNATURE)
sealed, at = core.encrypt_at_round(opened, ROUND)
assert at == ROUND
print(json.dumps({"opened": opened.hex(), "sealed": bytes(sealed).hex()}))
