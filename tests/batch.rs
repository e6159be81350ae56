//! `starling weights batch`: an item's failure is a failure, with the item named, and the items around it land all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use std::{
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use starling_chain::{Client, Options, value::Value as Field};
use starling_wallet::Keypair;
use world::World;

const PATIENCE: Duration = Duration::from_secs(120);

/// Three subnets of bob's, where his hotkey is uid 0 and may set weights as the owner's; alice's is uid 1.
struct Three {
    world: World,
    netuids: [u16; 3],
    chain: Client,
}

impl Three {
    async fn new() -> Self {
        let world = World::new(&[]);
        let netuids = [(); 3].map(|()| {
            let created = world.json(&["subnet", "create", "--wallet", "bob"]);
            let netuid = created["netuid"].to_string();
            world.json(&["register", "--netuid", &netuid, "--limit-price", "9", "--wallet", "alice"]);
            netuid.parse().unwrap()
        });
        let options = Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE };
        let chain = Client::connect(&world.url, options).await.unwrap();
        let three = Self { world, netuids, chain };
        for netuid in three.netuids {
            three.set(netuid, "sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64.into()).await;
        }
        three
    }

    async fn set(&self, netuid: u16, setter: &str, argument: &str, value: Field) {
        let alice = Keypair::from_uri("//Alice").unwrap();
        self.chain.sudo_set(&alice, setter, &[("netuid", netuid.into()), (argument, value)]).await.unwrap();
    }

    async fn commit_reveal(&self, netuid: u16, on: bool) {
        self.set(netuid, "sudo_set_commit_reveal_weights_enabled", "enabled", on.into()).await;
    }

    fn files(&self) -> Vec<String> {
        let file = self.world.dir.path().join("weights.json");
        std::fs::write(&file, r#"{"0": 1, "1": 2}"#).unwrap();
        self.netuids.iter().map(|netuid| format!("{netuid}={}", file.display())).collect()
    }

    /// Runs it; the item in the middle must fail by that name, the others land, and the exit code say so.
    fn middle_fails(&self, arguments: &[&str], name: &str) -> Value {
        let all = [&["weights", "batch"], arguments, &["--wallet", "bob", "--json"]].concat();
        let output = self.world.output(&all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{said}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(told["failed"], 1, "{told}");
        let failures: Vec<Value> = (0..3).map(|i| told["items"][i]["failure"][0].clone()).collect();
        assert_eq!(failures, [Value::Null, json!(name), Value::Null], "{told}");
        assert_eq!(told["items"][1]["netuid"], self.netuids[1]);
        assert!(
            said.contains(&format!("1 of 3 items failed in block {}: subnet {}", told["block"], self.netuids[1])),
            "{said}"
        );
        told
    }

    fn row(&self, netuid: u16) -> Value {
        self.world.json(&["weights", "show", "0", "--netuid", &netuid.to_string()])["weights"].clone()
    }
}

fn landed() -> Value {
    json!([{ "uid": 0, "weight": 32_768 }, { "uid": 1, "weight": 65_535 }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_fails_between_two_that_are_set_is_named() {
    let three = Three::new().await;
    let [first, second, third] = three.netuids;
    for netuid in [first, third] {
        three.commit_reveal(netuid, false).await;
    }
    let files = three.files();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    three.middle_fails(&files, "CommitRevealEnabled");
    assert_eq!((three.row(first), three.row(second), three.row(third)), (landed(), json!([]), landed()));
    // With nothing in the way all three are set, and the exit code says so.
    three.commit_reveal(second, false).await;
    let told = three.world.json(&[&["weights", "batch", "--wallet", "bob"], &files[..]].concat());
    assert_eq!(told["failed"], 0, "{told}");
    assert_eq!(three.row(second), landed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_fails_between_two_timelocked_commits_is_named() {
    let three = Three::new().await;
    let [first, second, third] = three.netuids;
    three.commit_reveal(second, false).await;
    let files = three.files();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let hotkey = three.chain.metagraph(first, None).await.unwrap().neurons[0].hotkey;
    // The public chain takes no fee for a batch of free calls; the local chain's `Utility` is the standard one and does.
    three.world.json(&["transfer", "1", "--to", &hotkey.to_string(), "--wallet", "alice"]);
    three.middle_fails(&[&["--by", "timelock"], &files[..]].concat(), "CommitRevealDisabled");
    for (netuid, waiting) in [(first, 1), (second, 0), (third, 1)] {
        let commits = three.chain.timelocked_commits(netuid, &hotkey).await.unwrap();
        assert!(commits.len() == waiting || three.row(netuid) == landed(), "subnet {netuid}: {commits:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_fails_between_two_commits_by_hash_is_named_and_the_others_are_revealed() {
    let three = Three::new().await;
    let [first, second, third] = three.netuids;
    three.commit_reveal(second, false).await;
    for netuid in three.netuids {
        // Epochs long enough to reveal in: 40 blocks are ten seconds.
        three.set(netuid, "sudo_set_tempo", "tempo", 40_u16.into()).await;
    }
    let files = three.files();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let secrets = three.world.dir.path().join("secrets.json");
    let kept = secrets.to_str().unwrap();
    let (code, said) =
        three.world.refused(&[&["weights", "batch", "--by", "hash", "--wallet", "bob"], &files[..]].concat());
    assert!(code == 2 && said.contains("--secrets"), "a commit whose salt is not kept is lost: {code} {said}");
    three.middle_fails(&[&["--by", "hash", "--secrets", kept], &files[..]].concat(), "CommitRevealDisabled");
    assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, said) = three
        .world
        .refused(&[&["weights", "batch", "--by", "hash", "--secrets", kept, "--wallet", "bob"], &files[..]].concat());
    assert!(
        code == 1 && said.contains("cannot keep what the reveal needs"),
        "kept secrets are not overwritten: {code} {said}"
    );
    // Each opens in its own subnet's reveal epoch; before that it is refused, which costs nothing.
    let end = Instant::now() + PATIENCE;
    while [first, third].iter().any(|netuid| three.row(*netuid) != landed()) {
        assert!(Instant::now() < end, "they are not revealed");
        let output = three.world.output(&["weights", "batch", "--reveal", kept, "--wallet", "bob", "--json"]);
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(told["items"][1]["netuid"], second);
        assert!(told["items"][1]["failure"].is_array(), "{told}");
        assert_eq!(output.status.code(), Some(4), "{told}");
    }
}
