"""What the scripts share: the chain's address, the keys that everybody knows, our own binary as the other opinion.

A script fails by raising; tests/clients.rs shows what it said. It never hangs: the watchdog prints every stack and ends it.
"""

import faulthandler
import json
import os
import subprocess
import sys
import traceback

def _fail(kind, error, trace):
    """A script that failed is over: libraries' threads that still wait for the chain are not waited for."""
    traceback.print_exception(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


sys.excepthook = _fail
faulthandler.dump_traceback_later(float(os.environ.get("STARLING_DEADLINE", "120")), exit=True)

URL = os.environ["STARLING_URL"]
BINARY = os.environ["STARLING_BINARY"]
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
NETUID = 1


def starling(*arguments):
    """What `starling --json ...` answers, asked of the same chain."""
    done = subprocess.run(
        [BINARY, "--json", "--endpoint", URL, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"starling {arguments} failed: {done.stderr}"
    return json.loads(done.stdout)


def same(what, theirs, ours):
    assert theirs == ours, f"{what}: the official client reads {theirs!r}, starling {ours!r}"


def fails(what, expected, act):
    """What cannot be done must fail for the very reason that is written down, not for another one."""
    try:
        answer = act()
    except Exception as error:  # noqa: BLE001 - any class: the text decides
        said = f"{type(error).__name__}: {error}"
        assert expected in said, f"{what} was to fail with `{expected}` and failed with `{said}`"
        return
    raise AssertionError(f"{what} works now (it answered {answer!r}): strike it from the table")
