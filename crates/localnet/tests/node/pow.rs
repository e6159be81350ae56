//! Registration by proof of work over the chain's own block hashes, by a coldkey that owns nothing (chain.md 8.9 b).

use parity_scale_codec::Encode;
use serde_json::json;
use starling_pallets::{
    admin_utils::Call as Admin,
    subtensor::{Call, meets_difficulty, registration_seal},
};
use starling_runtime::{AccountId, Runtime, RuntimeCall};
use subxt_signer::{SecretUri, sr25519::Keypair, sr25519::dev};

use crate::support::{client, get, height, legacy, node, refusal, signed};

const NET: u16 = 1;

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(&uri.parse::<SecretUri>().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_registers_a_coldkey_without_balance_once() {
    let node = node().await;
    let (rpc, api) = (client(&node.url()).await, legacy(&node.url()).await);
    let allow = Admin::<Runtime>::sudo_set_network_pow_registration_allowed { netuid: NET, registration_allowed: true };
    let allow = [vec![12, 0], RuntimeCall::AdminUtils(allow).encode()].concat();
    let allow = signed(&api, &dev::alice(), &allow, 0).await;
    get(&rpc, "author_submitExtrinsic", json!([allow])).await;
    node.produce_block().await.unwrap();

    let (cold, hot) = (key("//Nobody"), key("//Nobody//hot"));
    let account = |key: &Keypair| AccountId::new(key.public_key().0);
    let work_block = height(&rpc).await;
    let hash = get(&rpc, "chain_getBlockHash", json!([work_block])).await;
    let hash: [u8; 32] = hex::decode(hash.as_str().unwrap().trim_start_matches("0x")).unwrap().try_into().unwrap();
    let seal = |nonce| registration_seal(NET, &hash, &account(&hot), &account(&cold), nonce);
    // The fast chain's difficulty.
    let nonce = (0..).find(|nonce| meets_difficulty(&seal(*nonce), 10_000)).unwrap();
    let call = |work: Vec<u8>| {
        let call = Call::pow_register { netuid: NET, work_block, nonce, work, hotkey: account(&hot) };
        RuntimeCall::SubtensorModule(call).encode()
    };
    let wrong = signed(&api, &cold, &call(vec![0; 32]), 0).await;
    assert_eq!(refusal(&rpc, "author_submitExtrinsic", json!([wrong])).await, 1010);
    let right = signed(&api, &cold, &call(seal(nonce).to_vec()), 0).await;
    get(&rpc, "author_submitExtrinsic", json!([right])).await;
    node.produce_block().await.unwrap();
    // SubtensorModule.Uids(NET, hotkey).
    let key = [
        &sp_crypto_hashing::twox_128(b"SubtensorModule")[..],
        &sp_crypto_hashing::twox_128(b"Uids"),
        &NET.to_le_bytes(),
        &sp_crypto_hashing::blake2_128(&hot.public_key().0),
        &hot.public_key().0,
    ]
    .concat();
    let uid = get(&rpc, "state_getStorage", json!([format!("0x{}", hex::encode(key))])).await;
    assert_eq!(uid, "0x0100", "uid 1, and it cost nothing");
    let again = signed(&api, &cold, &call(seal(nonce).to_vec()), 1).await;
    assert_eq!(refusal(&rpc, "author_submitExtrinsic", json!([again])).await, 1010);
    node.shutdown().await;
}
