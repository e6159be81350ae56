"""async-substrate-interface with the older wallet's keys: what the official tools of 2025 stand on, by itself."""

from async_substrate_interface.errors import SubstrateRequestException
from async_substrate_interface.sync_substrate import SubstrateInterface
from bittensor_wallet import Keypair

from common import ALICE, NETUID, URL, same, starling


def free(chain, account, block=None):
    return chain.query("System", "Account", [account], block_hash=block).value["data"]["free"]


def main():
    with SubstrateInterface(url=URL, ss58_format=42, chain_name="Bittensor") as chain:
        same("genesis", chain.get_block_hash(0), chain.rpc_request("chainSpec_v1_genesisHash", [])["result"])
        # Constants, storage, maps, runtime APIs: each decoded from live metadata.
        same("deposit", chain.get_constant("Balances", "ExistentialDeposit").value, 500)
        same("slot", chain.get_constant("Aura", "SlotDuration").value, 250)
        same("tempo", chain.query("SubtensorModule", "Tempo", [NETUID]).value, 10)
        added = {netuid: yes for netuid, yes in chain.query_map("SubtensorModule", "NetworksAdded")}
        assert set(added) == {0, NETUID}, added
        graph = chain.runtime_call("SubnetInfoRuntimeApi", "get_metagraph", [NETUID])
        same("max_uids", graph["max_uids"], starling("metagraph", str(NETUID))["max_uids"])

        alice, bob = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob//poor")
        same("address", alice.ss58_address, ALICE)
        call = chain.compose_call("Balances", "transfer_keep_alive", {"dest": bob.ss58_address, "value": 7_000_000})
        fee = chain.get_payment_info(call, alice)["partial_fee"]
        before = free(chain, ALICE)
        receipt = chain.submit_extrinsic(chain.create_signed_extrinsic(call, alice), wait_for_finalization=True)
        assert receipt.is_success, receipt.error_message
        same("fee", receipt.total_fee_amount, fee)
        same("received", free(chain, bob.ss58_address, receipt.block_hash), 7_000_000)
        same("paid", before - free(chain, ALICE, receipt.block_hash), 7_000_000 + fee)
        assert any(e.value["event_id"] == "Transfer" if hasattr(e, "value") else e["event_id"] == "Transfer"
                   for e in receipt.triggered_events)

        # Refused in the block: by name, from metadata.
        call = chain.compose_call("SubtensorModule", "remove_stake",
                                  {"hotkey": ALICE, "netuid": NETUID, "amount_unstaked": 1})
        mortal = chain.create_signed_extrinsic(call, alice, era={"period": 64})
        receipt = chain.submit_extrinsic(mortal, wait_for_inclusion=True)
        assert not receipt.is_success
        same("error", receipt.error_message["name"], "HotKeyAccountNotExists")

        # Refused by the pool: code and number.
        stranger = Keypair.create_from_uri("//Nobody")
        call = chain.compose_call("Balances", "transfer_keep_alive", {"dest": ALICE, "value": 1})
        try:
            chain.submit_extrinsic(chain.create_signed_extrinsic(call, stranger), wait_for_inclusion=True)
            raise AssertionError("somebody without a rao has paid")
        except SubstrateRequestException as error:
            assert "1010" in str(error), error

        # Heads as they come.
        seen = []
        chain.subscribe_block_headers(lambda head: seen.append(head["header"]["number"]) or len(seen) >= 3 or None)
        assert seen == list(range(seen[0], seen[0] + len(seen))), seen
    print("queries, a transfer, refusals and heads")


main()
