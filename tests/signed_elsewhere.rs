//! Weights, commits and commitments that another machine signed: `starling extrinsic submit` shows what storage holds then, as the
//! commands that sign themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use serde_json::{Value, json};
use starling_chain::{ChainError, Client, Mechanism, Options, Rehearsal, Unsigned, commit_reveal::commit_hash};
use starling_wallet::Keypair;
use world::World;

const PATIENCE: Duration = Duration::from_secs(120);

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

async fn chain(world: &World) -> Client {
    let options = Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE };
    Client::connect(&world.url, options).await.unwrap()
}

fn unsigned<T: std::fmt::Debug>(rehearsed: Result<T, ChainError>) -> Unsigned {
    match rehearsed.unwrap_err() {
        ChainError::Rehearsed(rehearsal) => {
            let Rehearsal { unsigned, .. } = *rehearsal;
            unsigned
        }
        other => panic!("{other}"),
    }
}

/// Signs as bob's hotkey, on a machine without a chain, and sends; what the command prints.
fn send(world: &World, unsigned: &Unsigned) -> Value {
    let file = world.dir.path().join("unsigned.json");
    std::fs::write(&file, json!({ "unsigned": unsigned }).to_string()).unwrap();
    let signed = world.json(&["wallet", "sign", "--wallet", "bob", "--key", "hotkey", "--hex", &unsigned.payload]);
    world.json(&["extrinsic", "submit", file.to_str().unwrap(), "--signature", signed["signature"].as_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_storage_holds_is_shown_after_weights_commits_and_commitments() {
    let world = World::new(&[]);
    let netuid = world.subnet();
    let of: Mechanism = netuid.parse::<u16>().unwrap().into();
    let signer = world.json(&["wallet", "sign", "x", "--wallet", "bob"])["signer"].clone();
    let hotkey: starling_keys::Account = signer.as_str().unwrap().parse().unwrap();
    let chain = chain(&world).await;
    let dry = chain.clone().rehearsing();
    let bob = Named(hotkey);

    // A commitment.
    let sent = send(&world, &unsigned(dry.set_commitment(&bob, of.netuid, b"of bob").await));
    assert_eq!(sent["landed"]["what"], "commitment", "{sent}");
    assert_eq!(sent["landed"]["data"], hex::encode("of bob"));
    assert_eq!(sent["landed"]["block"], sent["block"]);

    // Until the first epoch nobody has a permit.
    let epoch = chain.epoch_clock(of.netuid).await.unwrap().next_epoch_block().unwrap();
    chain.wait_for_block(epoch, PATIENCE).await.unwrap();
    let set = async |setter: &str, argument: &str, value: starling_chain::value::Value| {
        chain.sudo_set(&key("//Alice"), setter, &[("netuid", of.netuid.into()), (argument, value)]).await.unwrap();
    };
    set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64.into()).await;

    // A commit by hash.
    let hash = commit_hash(&hotkey, of.index(), &[0, 1], &[65_535, 1], &[7], 0);
    let commit = unsigned(dry.commit_weights(&bob, of, &[0, 1], &[65_535, 1], &[7], 0).await);
    let sent = send(&world, &commit);
    assert_eq!(sent["landed"]["what"], "commit", "{sent}");
    assert_eq!(sent["landed"]["hash"], format!("0x{}", hex::encode(hash)));
    let waiting = chain.weight_commits(of, &hotkey).await.unwrap();
    assert_eq!(sent["landed"]["epoch"], waiting[0].epoch);

    // A timelocked one.
    let (plan, beacon) = (chain.timelock_plan(of.netuid).await.unwrap().unwrap(), chain.beacon().await.unwrap());
    let sealed = chain.seal_weights(&beacon, plan.round, &hotkey, &[0, 1], &[65_535, 1], 0).unwrap();
    let commit = unsigned(dry.commit_timelocked_weights(&bob, of, &sealed, plan.round).await);
    let sent = send(&world, &commit);
    assert_eq!(sent["landed"]["what"], "timelocked_commit", "{sent}");
    assert_eq!(sent["landed"]["round"], plan.round);
    assert_eq!(sent["landed"]["hash"], format!("0x{}", hex::encode(starling_chain::timelock::sealed_hash(&sealed))));

    // Weights; what is on chain is what the chain made of them.
    set("sudo_set_commit_reveal_weights_enabled", "enabled", false.into()).await;
    let sent = send(&world, &unsigned(dry.set_weights(&bob, of, &[1, 0], &[4, 1], 0).await));
    assert_eq!(sent["landed"]["what"], "weights", "{sent}");
    let row = json!([{ "uid": 1, "weight": 65_535 }, { "uid": 0, "weight": 16_384 }]);
    assert_eq!((&sent["landed"]["uid"], &sent["landed"]["weights"]), (&json!(1), &row), "{sent}");
    assert_eq!(world.json(&["weights", "show", "1", "--netuid", &netuid])["weights"], row);
}

/// Has no key: a rehearsal asks for no signature.
struct Named(starling_keys::Account);

impl starling_keys::Signer for Named {
    fn account(&self) -> starling_keys::Account {
        self.0
    }
    fn sign(&self, _: &[u8]) -> starling_keys::Signature {
        panic!("a rehearsal signs nothing")
    }
}
