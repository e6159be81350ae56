//! What a person asks of the chain, against a local one: every way to ask for the same is answered the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use serde_json::{Value, json};
use world::World;

fn uids(graph: &Value) -> Vec<u64> {
    graph["neurons"].as_array().unwrap().iter().map(|neuron| neuron["uid"].as_u64().unwrap()).collect()
}

#[test]
fn a_metagraph_is_chosen_from_ordered_and_printed_in_three_forms() {
    let world = World::new(&[]);
    let netuid = world.subnet();
    let whole = world.json(&["metagraph", &netuid]);
    let at = whole["block"].to_string();
    let ask = |more: &[&str]| world.json(&[&["metagraph", &netuid, "--at", &at], more].concat());
    assert_eq!(ask(&[]), whole, "one block has one metagraph");

    let chosen = ask(&["--columns", "uid,stake,coldkey,axon,vtrust"]);
    assert_eq!((&chosen["block_hash"], &chosen["mechanism"]), (&whole["block_hash"], &json!(0)));
    let expected: Vec<Value> = whole["neurons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| {
            json!({ "uid": n["uid"], "total_stake": n["total_stake"], "coldkey": n["coldkey"], "axon": n["axon"],
                "validator_trust": n["validator_trust"] })
        })
        .collect();
    assert_eq!(chosen["neurons"], Value::Array(expected));

    let bob = &whole["neurons"][1];
    let (stake, hotkey) = (bob["total_stake"].as_u64().unwrap(), bob["hotkey"].as_str().unwrap());
    let exact = format!("{}.{:09}", stake / 1_000_000_000, stake % 1_000_000_000);
    assert_eq!(uids(&ask(&["--sort", "-stake"])), [1, 0]);
    assert_eq!(uids(&ask(&["--sort", "stake"])), [0, 1]);
    assert_eq!(uids(&ask(&["--sort=-stake", "--top", "1"])), [1]);
    assert_eq!(uids(&ask(&["--filter", &format!("stake>={exact}")])), [1]);
    assert_eq!(uids(&ask(&["--filter", &format!("stake>{exact}"), "--filter", "uid=1"])), [0_u64; 0]);
    assert_eq!(uids(&ask(&["--uid", "1,7"])), [1]);
    assert_eq!(uids(&ask(&["--account", hotkey])), [1]);
    assert_eq!(uids(&ask(&["--mine", "--wallet", "alice"])), [0]);
    // Of whole neurons, and of columns that do not show what is filtered by.
    assert_eq!(ask(&["--uid", "1"])["neurons"][0], *bob);
    assert_eq!(
        ask(&["--account", hotkey, "--columns", "emission"])["neurons"],
        json!([{ "emission": bob["emission"] }])
    );

    let csv = world.text(&["metagraph", &netuid, "--at", &at, "--columns", "uid,hotkey,stake,active", "--csv"]);
    let row =
        |n: &Value| format!("{},{},{},{}", n["uid"], n["hotkey"].as_str().unwrap(), n["total_stake"], n["active"]);
    let lines: Vec<String> = csv.lines().map(str::to_owned).collect();
    assert_eq!(lines, ["uid,hotkey,total_stake,active".to_owned(), row(&whole["neurons"][0]), row(bob)]);
    let all = world.text(&["metagraph", &netuid, "--at", &at, "--csv"]);
    assert_eq!(all.lines().next().unwrap().split(',').count(), 19, "{all}");

    let table = world.text(&["metagraph", &netuid, "--at", &at, "--columns", "uid,coldkey", "--uid", "1"]);
    assert!(table.contains("1 of 2 neurons, tempo 10") && table.contains(bob["coldkey"].as_str().unwrap()), "{table}");
    let table = world.text(&["metagraph", &netuid]);
    assert!(table.contains("vtrust") && table.contains(&hotkey[..6]) && !table.contains(hotkey), "{table}");

    for (arguments, code, why) in [
        (&["--columns", "stakes"][..], 2, "`stakes` is no column; there are uid, hotkey, coldkey"),
        (&["--sort", "-luck"], 2, "`luck` is no column"),
        (&["--filter", "stake=much"], 2, "an amount"),
        (&["--csv", "--json"], 2, "choose one"),
        (&["--mechanism", "3"], 4, "has 1 mechanisms"),
    ] {
        let (got, said) = world.refused(&[&["metagraph", &netuid], arguments].concat());
        assert!(got == code && said.contains(why), "{arguments:?}: {got} {said}");
    }
}
