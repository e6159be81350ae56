"""A validator's and a miner's life with the official SDK on our chain; at the end both read the same metagraph, field by field."""

import hashlib
import ipaddress

import bittensor as bt
from bittensor import calls
from bittensor.keyfiles import Keypair

from common import NETUID, URL, fails, same, starling

S = calls.SubtensorModule


class Keys:
    """Wallet-shaped: the SDK takes any object with these."""

    def __init__(self, name):
        self.coldkey = self.coldkeypub = Keypair.create_from_uri(f"//{name}")
        self.hotkey = Keypair.create_from_uri(f"//{name}//hotkey")
        self.ss58 = self.hotkey.ss58_address


ALICE, BOB, CHARLIE = Keys("Alice"), Keys("Bob"), Keys("Charlie")

# Intents of the SDK that cannot run here, with what stops them.
ABSENT = [
    (
        "BurnedRegister: the SDK submits it through the MEV shield only, which this chain has not",
        "MevShield.NextKey",
        lambda sub: sub.execute(bt.BurnedRegister(netuid=NETUID), ALICE),
    ),
]


def done(result):
    assert result.success, result.message
    return result


def refused(result, why):
    """By the public name of the error, in the block or in the pool."""
    assert not result.success and result.error.name == why, (why, result.error and result.error.name, result)


def events(result, name):
    return [e for e in result.events if e["event_id"] == name]


def register(sub, who):
    """By burn, as a plain call: the price is what the chain said, and the uid is there afterwards."""
    burn = sub.read("burn", netuid=NETUID)
    before = sub.balances.get(who.coldkey.ss58_address)
    result = done(sub.submit_call(S.burned_register(netuid=NETUID, hotkey=who.ss58), who))
    (event,) = events(result, "NeuronRegistered")
    uid = sub.read("uid", netuid=NETUID, hotkey_ss58=who.ss58)
    same("uid of the event", tuple(event["attributes"]), (NETUID, uid, who.ss58))
    paid = before - sub.balances.get(who.coldkey.ss58_address) - result.fee
    # Between the question and the block the price decays a little.
    assert burn.rao * 0.9 < paid.rao <= burn.rao, f"burned {paid}, the price was {burn}"
    return uid


def compact(n):
    assert n < 64
    return bytes([n << 2])


def commit_hash(hotkey, index, uids, values, salt, version):
    """The preimage, written down here once more from the definition: chain.md 5.1."""
    u16s = lambda list_: compact(len(list_)) + b"".join(v.to_bytes(2, "little") for v in list_)  # noqa: E731
    preimage = hotkey + index.to_bytes(2, "little") + u16s(uids) + u16s(values) + u16s(salt) + version.to_bytes(8, "little")
    return "0x" + hashlib.blake2b(preimage, digest_size=32).hexdigest()


def weights(sub, uid):
    """The row of a uid, as stored."""
    return {int(j): int(w) for j, w in sub.query(bt.storage.SubtensorModule.Weights, [NETUID, uid]) or []}


def commit_reveal(sub, on):
    call = calls.AdminUtils.sudo_set_commit_reveal_weights_enabled(netuid=NETUID, enabled=on)
    result = done(sub.submit_call(calls.Sudo.sudo(call=sub.compose(call)), ALICE))
    (event,) = events(result, "Sudid")
    assert "Ok" in str(event["attributes"]), event
    assert sub.read("commit_reveal_enabled", netuid=NETUID) == on


def plain_weights(sub, uid, other):
    commit_reveal(sub, False)
    result = done(sub.execute(bt.SetWeights(netuid=NETUID, weights={uid: 0.25, other: 1.0}), ALICE))
    assert events(result, "WeightsSet"), result.events
    same("weights", weights(sub, uid), {uid: 16384, other: 65535})
    assert sub.read("weights", netuid=NETUID)[uid][other] > 0.79
    # What the chain refuses reaches the person under its public name.
    call = S.set_mechanism_weights(netuid=NETUID, mecid=0, dests=[999], weights=[1], version_key=0)
    refused(sub.submit_call(call, ALICE, signer="hotkey"), "UidVecContainInvalidOne")


def timelocked(sub, uid, other):
    """The SDK's own way under commit-reveal: the chain takes its commit for the round that we would have chosen too."""
    # At an epoch's beginning, so that both plan for the same one.
    sub.wait_for_epoch(NETUID, timeout=20)
    result = done(sub.execute(bt.SetWeights(netuid=NETUID, weights={uid: 1.0, other: 0.5}), ALICE))
    assert events(result, "TimelockedWeightsCommitted"), result
    waiting = [c for c in starling("weights", "commits", "--netuid", str(NETUID), "--of", ALICE.hotkey.ss58_address)["commits"]]
    theirs = [c for c in waiting if c["by"] == "timelock"][-1]
    ours = starling("weights", "plan", "--netuid", str(NETUID))["plan"]
    # A block and a half later our plan may be a round on.
    assert abs(theirs["round"] - ours["round"]) <= 1, (theirs, ours)
    # What it cannot do: it encrypts to quicknet's key, which is built into it, and this chain listens to a beacon of its own. The chain
    # drops the commit in its reveal epoch.
    sub.wait_for_epoch(NETUID, timeout=20)
    sub.wait_for_epoch(NETUID, timeout=20)
    left = starling("weights", "commits", "--netuid", str(NETUID), "--of", ALICE.hotkey.ss58_address)["commits"]
    assert theirs["hash"] not in [c["hash"] for c in left], left


def hash_commit(sub, uid, other):
    commit_reveal(sub, True)
    timelocked(sub, uid, other)
    values, salt = [65535, 30000], [7, 8, 9]
    committed = commit_hash(ALICE.hotkey.public_key, NETUID, [uid, other], values, salt, 0)
    call = S.commit_weights(netuid=NETUID, commit_hash=committed)
    sub.wait_for_epoch(NETUID, timeout=20)
    assert events(done(sub.submit_call(call, ALICE, signer="hotkey")), "WeightsCommitted")
    reveal = bt.RevealWeights(netuid=NETUID, uids=[uid, other], weights=values, salt=salt)
    early = sub.execute(reveal, ALICE)
    refused(early, "RevealTooEarly")
    sub.wait_for_epoch(NETUID, timeout=20)
    assert events(done(sub.execute(reveal, ALICE)), "WeightsRevealed")
    same("revealed weights", weights(sub, uid), {uid: 65535, other: 30000})


def compare(sub):
    """Our answer first, then the SDK's at that very block."""
    ours = starling("metagraph", str(NETUID))
    block = ours.pop("block")
    theirs = sub.at(block).read("metagraph", netuid=NETUID)
    raw = getattr(theirs, "raw", theirs)
    same("block hash", sub.block_info(block).hash, ours.pop("block_hash"))
    # Of which mechanism it is, the chain's answer does not say.
    same("mechanism", 0, ours.pop("mechanism"))
    text = lambda v: v if isinstance(v, str) else bytes(v).decode()  # noqa: E731
    raw = {**raw, "name": text(raw["name"]), "symbol": text(raw["symbol"])}
    neurons = ours.pop("neurons")
    renamed = {"commit_reveal_enabled": "commit_reveal_weights_enabled"}
    for name, value in ours.items():
        same(f"metagraph {name}", raw[renamed.get(name, name)], value)

    # The chain's metagraph has no validator trust: the SDK reads it from storage.
    trust = sub.at(block).query(bt.storage.SubtensorModule.ValidatorTrust, [NETUID])
    columns = {
        "hotkey": "hotkeys",
        "coldkey": "coldkeys",
        "incentive": "incentives",
        "registered_at": "block_at_registration",
    }
    same("neurons", len(raw["hotkeys"]), len(neurons))
    for uid, neuron in enumerate(neurons):
        same("uid", uid, neuron.pop("uid"))
        same("validator trust", trust[uid], neuron.pop("validator_trust"))
        axon = neuron.pop("axon")
        their_axon = raw["axons"][uid]
        if axon is None:
            same("axon", (their_axon["ip"], their_axon["port"]), (0, 0))
        else:
            ip, port = axon.pop("address").rsplit(":", 1)
            same("axon address", (their_axon["ip"], str(their_axon["port"])), (int(ipaddress.ip_address(ip.strip("[]"))), port))
            for name, value in axon.items():
                same(f"axon {name}", their_axon[name], value)
        for name, value in neuron.items():
            same(f"neuron {uid} {name}", raw[columns.get(name, name)][uid], value)
    print(f"metagraph at block {block}: {len(ours)} fields and {len(neurons)} neurons are equal")


def main():
    sub = bt.Subtensor(URL)
    for what, expected, act in ABSENT:
        fails(what, expected, lambda act=act: act(sub))

    uids = [register(sub, who) for who in (ALICE, BOB, CHARLIE)]
    same("uids", uids, [1, 2, 3])

    before = sub.balances.get(BOB.ss58)
    done(sub.execute(bt.Transfer(dest_ss58=BOB.ss58, amount_tao=1.5), ALICE))
    same("transferred rao", (sub.balances.get(BOB.ss58) - before).rao, 1_500_000_000)

    for who, tao in ((ALICE, 10), (BOB, 3)):
        result = done(sub.execute(bt.AddStake(netuid=NETUID, hotkey_ss58=who.ss58, amount_tao=tao), who))
        assert events(result, "StakeAdded")
    result = done(sub.execute(bt.RemoveStake(netuid=NETUID, hotkey_ss58=BOB.ss58, amount_alpha=1), BOB))
    (event,) = events(result, "StakeRemoved")
    same("alpha unstaked", tuple(event["attributes"])[3], 10**9)
    (position,) = sub.read("stake_for_coldkey", coldkey_ss58=BOB.coldkey.ss58_address)
    assert position.hotkey == BOB.ss58 and position.stake.rao > 10**9, position
    # Ten times the pool: beyond five percent of the price.
    too_much = sub.execute(bt.AddStake(netuid=NETUID, hotkey_ss58=BOB.ss58, amount_tao=10_000), BOB)
    refused(too_much, "SlippageTooHigh")

    done(sub.execute(bt.ServeAxon(netuid=NETUID, ip="10.1.2.3", port=8091), ALICE))
    done(sub.execute(bt.ServeAxonTls(netuid=NETUID, ip="2001:db8::7", port=8092, certificate="0x01" + "22" * 32), BOB))
    certificate = sub.query(bt.storage.SubtensorModule.NeuronCertificates, [NETUID, BOB.ss58])
    assert int(certificate["algorithm"]) == 1, certificate
    done(sub.execute(bt.ServePrometheus(netuid=NETUID, ip="10.1.2.3", port=9100), ALICE))
    loopback = sub.execute(bt.ServeAxon(netuid=NETUID, ip="127.0.0.1", port=8091), CHARLIE)
    refused(loopback, "InvalidIpAddress")

    # The permit comes with the epoch.
    sub.wait_for_epoch(NETUID, timeout=20)
    plain_weights(sub, uids[0], uids[1])
    hash_commit(sub, uids[0], uids[1])
    # With incentive and dividends in the columns.
    sub.wait_for_epoch(NETUID, timeout=20)
    compare(sub)
    assert sub.subnets.metagraph(NETUID).neurons[uids[1]].incentive > 0, "the weights have paid the miner"


main()
