//! A transaction that is signed on another machine: what is shown is what is sent, and nothing else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use starling_chain::{ChainError, Rehearsal, Unsigned, value::Value};
use starling_keys::{Account, Signature, Signer};
use support::world::{TAO, key, localnet, world};

/// Has no key: a rehearsal must not ask for a signature.
struct Nobody(Account);

impl Signer for Nobody {
    fn account(&self) -> Account {
        self.0
    }
    fn sign(&self, _: &[u8]) -> Signature {
        panic!("a dry run signs nothing")
    }
}

fn nobody(uri: &str) -> Nobody {
    Nobody(key(uri).account())
}

fn rehearsed<T: std::fmt::Debug>(result: Result<T, ChainError>) -> Rehearsal {
    match result.unwrap_err() {
        ChainError::Rehearsed(rehearsal) => *rehearsal,
        other => panic!("{other}"),
    }
}

fn broken(rehearsal: &Rehearsal) -> Vec<&str> {
    rehearsal.checks.iter().filter(|check| !check.holds).map(|check| check.rule).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rehearsed_and_signed_elsewhere_registers_a_hotkey() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hot = key("//Dave//hot").account();
    let dry = chain.clone().rehearsing();
    let before = chain.balance(&key("//Dave").account()).await.unwrap();
    let shown = rehearsed(dry.burned_register(&nobody("//Dave"), netuid, &hot).await);
    assert!(shown.ready(), "{:?}", shown.checks);
    assert_eq!(shown.unsigned.call, "SubtensorModule.burned_register");
    assert_eq!(shown.unsigned.args, serde_json::json!({ "netuid": netuid, "hotkey": hot }));
    assert_eq!(chain.uid(netuid, &hot).await.unwrap(), None, "nothing was sent");

    // The other machine: it has the key and the file, and no chain.
    let file = serde_json::to_string(&shown).unwrap();
    let payload = hex::decode(shown.unsigned.payload.trim_start_matches("0x")).unwrap();
    let signature = key("//Dave").sign(&payload);

    let unsigned = Unsigned::read(&file).unwrap();
    let foreign = key("//Eve").sign(&payload);
    let refused = chain.submit_signed(&unsigned, &foreign).await.unwrap_err();
    assert!(refused.to_string().contains("signature is not"), "{refused}");
    let (_, sent) = chain.submit_signed(&unsigned, &signature).await.unwrap();
    assert_eq!(chain.uid(netuid, &hot).await.unwrap(), Some(1));
    assert_eq!(shown.fee_rao, Some(sent.fee), "the fee is the one announced");
    assert!(before > chain.balance(&key("//Dave").account()).await.unwrap());
    // Once more: the nonce is used, and the transaction is found where it is.
    assert_eq!(chain.submit_signed(&unsigned, &signature).await.unwrap().1.block, sent.block);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_payload_is_signed_by_its_hash_and_a_changed_file_is_refused() {
    let world = world().await;
    let chain = &world.chain;
    let hot = key("//Bob//hot");
    let dry = chain.clone().rehearsing();
    let shown = rehearsed(dry.set_commitment(&Nobody(hot.account()), world.netuid, &[7; 128]).await);
    let remark =
        rehearsed(dry.submit(&nobody("//Bob"), "System", "remark", &[("remark", Value::Bytes(vec![1; 300]))]).await);
    assert_eq!(remark.unsigned.payload.len(), 2 + 64, "a hash of what is longer than 256 bytes");
    let sign = |payload: &str, uri: &str| key(uri).sign(&hex::decode(payload.trim_start_matches("0x")).unwrap());
    let signature = sign(&remark.unsigned.payload, "//Bob");
    chain.submit_signed(&remark.unsigned, &signature).await.unwrap();

    let signature = sign(&shown.unsigned.payload, "//Bob//hot");
    for change in 0..6 {
        let mut changed = shown.unsigned.clone();
        match change {
            0 => changed.call_data.replace_range(8..10, "ff"),
            1 => changed.nonce += 1,
            2 => changed.genesis = format!("0x{}", "11".repeat(32)),
            3 => changed.spec_version += 1,
            4 => changed.call = "Balances.transfer_keep_alive".into(),
            _ => changed.lifetime = 4096,
        }
        let refused = chain.submit_signed(&changed, &signature).await.unwrap_err();
        assert!(matches!(refused, ChainError::Invalid(_) | ChainError::Decode { .. }), "{change}: {refused}");
    }
    chain.submit_signed(&shown.unsigned, &signature).await.unwrap();
    let stored = chain.commitment(world.netuid, &hot.account(), None).await.unwrap().unwrap();
    assert_eq!(stored.data, [7; 128]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_rules_are_shown_with_their_numbers_before_anything_is_sent() {
    let (_net, chain) = localnet().await;
    let dry = chain.clone().rehearsing();
    let (poor, rich) = (nobody("//Poor"), key("//Alice").account());
    let shown = rehearsed(dry.transfer(&poor, &rich, TAO).await);
    assert_eq!(broken(&shown), ["FundsUnavailable"]);
    let rule = &shown.checks[0];
    assert!(rule.read.contains("has 0 TAO") && rule.needed.contains("1 TAO for the amount"), "{rule}");
    let careful = chain.clone().careful();
    let refused = careful.start_call(&key("//Eve"), 1).await.unwrap_err();
    assert!(matches!(&refused, ChainError::Refused { .. }), "{refused}");
    assert_eq!(refused.name(), Some("NotSubnetOwner"), "{refused}");
    let shown = rehearsed(dry.serve_axon(&poor, 1, "203.0.113.7:80".parse().unwrap()).await);
    assert_eq!(broken(&shown), ["HotKeyNotRegisteredInSubNet"]);
    assert_eq!(shown.fee_rao, Some(0), "the chain takes no fee for it");
}
