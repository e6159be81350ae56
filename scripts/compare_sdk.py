"""Measures `start -> printed metagraph`: compare_sdk.py STARLING UIDS... (scripts/compare-sdk calls it).

The chain is forked from a snapshot of that many neurons. Each side runs as a process of its own, five times after one that fills the
SDK's cache of metadata; the medians are printed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import bittensor as bt
from bittensor.keyfiles import Keypair

RUNS = 5
NETUID = 1
SDK = f"""
import sys
import bittensor as bt
with bt.Subtensor(sys.argv[1]) as sub:
    for n in sub.subnets.metagraph({NETUID}).neurons:
        print(n.uid, n.hotkey, n.total_stake, n.validator_permit, n.consensus, n.incentive, n.dividends, n.emission, n.last_update)
"""


def snapshot(binary, url, uids):
    """The fresh chain's metagraph, with its one neuron repeated under new keys."""
    done = subprocess.run([binary, "--json", "--endpoint", url, "metagraph", str(NETUID)], capture_output=True, check=True)
    graph = json.loads(done.stdout)
    (first,) = graph["neurons"]
    key = lambda n: Keypair.create_from_uri(f"//Alice//{n}").ss58_address  # noqa: E731
    graph["neurons"] += [{**first, "uid": n, "hotkey": key(n)} for n in range(1, uids)]
    graph["max_uids"] = uids
    # A fork begins after its snapshot's block, and block 0 is no snapshot.
    graph["block"] = max(graph["block"], 1)
    return graph


def chain(binary, *options):
    """A local chain as a process, and its address."""
    node = subprocess.Popen(
        [binary, "localnet", "--listen", "127.0.0.1:0", "--json", "--block-time", "1000", *options], stdout=subprocess.PIPE
    )
    return node, json.loads(node.stdout.readline())["url"]


# A child begins with its parent's peak memory (Linux keeps it over exec), so a small parent starts it: nothing below 10 MB is seen.
ONCE = """
import os, sys, time
reading, writing = os.pipe()
begin = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
os.close(writing)
lines = 0
while True:
    text = os.read(reading, 65536)
    if not text:
        break
    lines += text.count(10)
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - begin, usage.ru_maxrss, lines, os.waitstatus_to_exitcode(status))
"""


def once(command):
    """Seconds and peak resident kilobytes of one process, and the lines it printed."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", ONCE, *command], capture_output=True, text=True, check=True)
    seconds, memory, lines, code = done.stdout.split()
    assert code == "0", f"{command} ended with {code}: {done.stderr}"
    return float(seconds), int(memory), int(lines)


def measure(name, command, uids):
    once(command)
    runs = [once(command) for _ in range(RUNS)]
    assert all(lines >= uids for _, _, lines in runs), f"{name} printed fewer lines than neurons"
    seconds = statistics.median(s for s, _, _ in runs)
    memory = statistics.median(m for _, m, _ in runs) / 1024
    print(f"{uids:5} uids  {name:<22} {seconds * 1000:8.0f} ms {memory:8.1f} MB", flush=True)
    return seconds, memory


def main():
    binary, sizes = sys.argv[1], [int(n) for n in sys.argv[2:]]
    print(f"{binary}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        for uids in sizes:
            node, url = chain(binary)
            try:
                graph = snapshot(binary, url, uids)
            finally:
                node.terminate()
                node.wait()
            path = os.path.join(home, "metagraph.json")
            with open(path, "w") as file:
                json.dump(graph, file)
            node, url = chain(binary, "--fork", path)
            try:
                theirs = measure(f"bittensor {bt.__version__}", [sys.executable, "-c", SDK, url], uids)
                ours = measure("starling", [binary, "metagraph", str(NETUID), "--endpoint", url], uids)
                print(f"{'':11} {theirs[0] / ours[0]:.1f} times the time, {theirs[1] / ours[1]:.1f} times the memory", flush=True)
            finally:
                node.terminate()
                node.wait()


main()
