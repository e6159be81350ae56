"""Key files cross both ways between `starling wallet` and the official bittensor-wallet."""

import json
import os
import subprocess
import tempfile

from bittensor_wallet import Keypair, Wallet

BINARY = os.environ["STARLING_BINARY"]
PASSWORD = "correct horse 9!"
MESSAGE = "a message — with more than ASCII"


def starling(path, *arguments, environment=None, fails=False):
    """Run it without a terminal; answer its JSON."""
    done = subprocess.run(
        [BINARY, *arguments, "--wallet-path", path, "--json"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        timeout=60,
    )
    said = done.stderr.decode()
    assert (done.returncode == 0) != fails, f"{arguments}: {done.returncode}: {said}"
    assert PASSWORD not in said and PASSWORD not in done.stdout.decode()
    return said if fails else json.loads(done.stdout)


def signatures_cross(path, wallet, environment):
    """What one signs the other finds good, and an altered message it does not."""
    for which, pair in (("coldkey", wallet.get_coldkey(PASSWORD)), ("hotkey", wallet.get_hotkey())):
        ours = starling(path, "wallet", "sign", MESSAGE, "--key", which, "--wallet", wallet.name, environment=environment)
        assert ours["signer"] == pair.ss58_address
        assert pair.verify(MESSAGE.encode(), bytes.fromhex(ours["signature"][2:]))
        assert not pair.verify(b"another", bytes.fromhex(ours["signature"][2:]))
        theirs = pair.sign(MESSAGE.encode()).hex()
        verify = ["wallet", "verify", "--signer", pair.ss58_address, "--signature", theirs]
        assert starling(path, *verify, MESSAGE)["valid"] is True
        assert "is not" in starling(path, *verify, "another", fails=True)


def ours_open_there(path):
    """A wallet that starling made: encrypted coldkey, public file, plain hotkey."""
    plain = {"BT_WALLET_PASSWORD": PASSWORD}
    made = starling(path, "wallet", "new", "--wallet", "ours", "--show-mnemonic", environment=plain)
    wallet = Wallet("ours", "default", path)
    assert wallet.coldkey_file.is_encrypted() and not wallet.hotkey_file.is_encrypted()
    assert wallet.coldkeypub.ss58_address == made["coldkey"]
    coldkey = wallet.get_coldkey(PASSWORD)
    assert coldkey.ss58_address == made["coldkey"]
    assert wallet.get_hotkey().ss58_address == made["hotkey"]
    words = Keypair.create_from_mnemonic(made["coldkey_mnemonic"])
    assert words.ss58_address == made["coldkey"]
    try:
        wallet.get_coldkey("wrong")
        raise AssertionError("a wrong password opened our coldkey")
    except Exception as error:  # The package raises a class of its own for every cause.
        assert "ecrypt" in str(error) or "assword" in str(error), error
    signatures_cross(path, wallet, plain)


def theirs_open_here(path):
    """A wallet that the official package made."""
    wallet = Wallet("theirs", "default", path)
    wallet.create_new_coldkey(use_password=True, overwrite=False, suppress=True, coldkey_password=PASSWORD)
    wallet.create_new_hotkey(use_password=False, overwrite=False, suppress=True)
    shown = starling(path, "wallet", "show", "--wallet", "theirs")
    assert shown["coldkey"]["encryption"] == "$NACL" and shown["hotkey"]["encryption"] is None
    assert shown["coldkey"]["account"] == wallet.coldkeypub.ss58_address
    assert shown["coldkey"]["mode"] == 0o600
    said = starling(path, "wallet", "sign", "x", "--key", "coldkey", "--wallet", "theirs", fails=True)
    assert "no password" in said and "BT_WALLET_PASSWORD" in said
    said = starling(
        path, "wallet", "sign", "x", "--key", "coldkey", "--wallet", "theirs", fails=True, environment={"BT_WALLET_PASSWORD": "wrong"}
    )
    assert "the password is wrong" in said
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(PASSWORD + "\n")
        file.flush()
        signed = starling(path, "wallet", "sign", "x", "--key", "coldkey", "--wallet", "theirs", "--password-file", file.name)
        assert signed["signer"] == wallet.coldkeypub.ss58_address
    signatures_cross(path, wallet, {"BT_WALLET_PASSWORD": PASSWORD})


def the_obfuscated_variable_is_the_same(path):
    """BT_PW_…: what the package writes we read, what we write the package reads."""
    wallet = Wallet("theirs", "default", path)
    name = wallet.coldkey_file.env_var_name()
    wallet.coldkey_file.save_password_to_env(PASSWORD)
    value = os.environ.pop(name, None) or environment_of_this_process(name)
    signed = starling(path, "wallet", "sign", "x", "--key", "coldkey", "--wallet", "theirs", environment={name: value})
    assert signed["signer"] == wallet.coldkeypub.ss58_address
    ours = starling(path, "wallet", "obfuscate", "--wallet", "theirs", environment={"BT_WALLET_PASSWORD": PASSWORD})
    assert ours == {"variable": name, "value": value}, (ours, name)
    said = starling(path, "wallet", "sign", "x", "--key", "coldkey", "--wallet", "theirs", fails=True, environment={name: PASSWORD})
    assert name in said and "obfuscated" in said


def environment_of_this_process(name):
    """The package sets variables behind Python's back."""
    import ctypes

    ctypes.CDLL(None).getenv.restype = ctypes.c_char_p
    value = ctypes.CDLL(None).getenv
    value.restype = ctypes.c_char_p
    return value(name.encode()).decode()


def keys_are_restored_alike(path):
    """The same words, seed and private key give the same addresses."""
    words = Keypair.generate_mnemonic(24)
    pair = Keypair.create_from_mnemonic(words)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(words)
        file.flush()
        regen = ["wallet", "regen", "coldkey", "--no-password", "--mnemonic-file", file.name]
        assert starling(path, *regen, "--wallet", "again")["coldkey"] == pair.ss58_address
        assert "exists" in starling(path, *regen, "--wallet", "again", fails=True)
    assert Wallet("again", "default", path).get_coldkey().ss58_address == pair.ss58_address
    seed = "0x" + "ab" * 32
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(seed)
        file.flush()
        made = starling(path, "wallet", "regen", "hotkey", "--wallet", "again", "--seed-file", file.name)
        assert made["hotkey"] == Keypair.create_from_seed(seed).ss58_address
    with open(os.path.join(path, "again", "coldkey")) as file:
        private = json.load(file)["privateKey"]
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(private)
        file.flush()
        made = starling(
            path, "wallet", "regen", "coldkey", "--no-password", "--wallet", "third", "--private-key-file", file.name
        )
        assert made["coldkey"] == pair.ss58_address


def passwords_are_put_on_and_taken_off(path):
    """The official package follows every change, and an encrypted hotkey tells its address."""
    environment = {"BT_WALLET_PASSWORD": PASSWORD}
    before = starling(path, "wallet", "show", "--wallet", "again")["hotkey"]["account"]
    starling(path, "wallet", "encrypt", "hotkey", "--wallet", "again", environment=environment)
    wallet = Wallet("again", "default", path)
    assert wallet.hotkey_file.is_encrypted()
    assert wallet.get_hotkey(PASSWORD).ss58_address == before
    assert starling(path, "wallet", "show", "--wallet", "again")["hotkey"]["account"] == before
    starling(path, "wallet", "decrypt", "hotkey", "--wallet", "again", environment=environment)
    assert Wallet("again", "default", path).get_hotkey().ss58_address == before


with tempfile.TemporaryDirectory() as folder:
    ours_open_there(folder)
    theirs_open_here(folder)
    the_obfuscated_variable_is_the_same(folder)
    keys_are_restored_alike(folder)
    passwords_are_put_on_and_taken_off(folder)
print("key files and signatures cross both ways")
