//! The commands of the chain half as a person types them, against a local chain: what they show is what the chain has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use serde_json::Value;
use world::World;

#[test]
fn every_command_shows_what_the_chain_has_and_rehearses_without_a_trace() {
    let world = World::new(&[]);
    let alice = ["--wallet", "alice"];
    let bob = ["--wallet", "bob"];
    let netuid = world.json(&[&["subnet", "create"], &alice[..]].concat())["netuid"].to_string();
    let on = ["--netuid", &netuid];
    world.json(&[&["subnet", "start"], &on[..], &alice].concat());
    let before = world.json(&[&["cost"], &on[..]].concat())["burn_rao"].as_u64().unwrap();
    let registered = world.json(&[&["register", "--limit-price", "1"], &on[..], &bob].concat());
    assert_eq!(registered["uid"], 1);
    let cost = world.json(&[&["cost", "--in", "1,100000", "--until", "0.001"], &on[..]].concat());
    assert!(cost["burn_rao"].as_u64().unwrap() > before, "{cost}");
    assert_eq!(cost["predicted"][1]["burn_rao"], cost["min_rao"]);
    assert!(cost["blocks_until"].as_u64().unwrap() > 0, "{cost}");
    let hotkey = registered["hotkey"].as_str().unwrap();

    let add = ["stake", "add", "50", "--limit-price", "5", "--allow-partial"];
    let dry = world.json(&[&add[..], &on, &bob, &["--dry-run"]].concat());
    assert_eq!(dry["unsigned"]["call"], "SubtensorModule.add_stake_limit");
    let stakes = |world: &World| world.json(&[&["stake", "show"], &bob[..]].concat())["stakes"].clone();
    assert_eq!(stakes(&world), Value::Array(Vec::new()), "a dry run leaves no trace");
    let added = world.json(&[&add[..], &on, &bob].concat());
    assert_eq!(added["moves"][0]["what"], "added", "{added}");
    assert_eq!(stakes(&world)[0]["hotkey"], hotkey);
    let removed = world.json(&[&["stake", "remove", "1"], &on[..], &bob].concat());
    assert_eq!(removed["moves"][0]["alpha_rao"], 1_000_000_000_u64);
    world.json(&[&["stake", "swap", "1", "--to-netuid", "0"], &on[..], &bob].concat());
    assert_eq!(stakes(&world)[0]["netuid"], 0, "the root network");
    world.json(&[&["stake", "remove-all"], &bob[..]].concat());
    assert_eq!(stakes(&world), Value::Array(Vec::new()));

    let graph = world.json(&["metagraph", &netuid]);
    let owner = graph["neurons"][0]["hotkey"].as_str().unwrap().to_owned();
    let child = format!("{owner}=25%");
    world.json(&[&["stake", "add", "2000"], &on[..], &bob].concat());
    let set = world.json(&[&["children", "set", &child], &on[..], &bob].concat());
    assert!(set["holds_after"].as_u64().unwrap() >= set["block"].as_u64().unwrap(), "{set}");
    world.json(&[&["take", "decrease", "5%"], &bob[..]].concat());
    let takes = world.json(&[&["take", "show"], &on[..], &bob].concat());
    assert_eq!(takes["takes"]["delegate"], 3276);
    let (code, said) = world.refused(&[&["take", "decrease", "9%"], &bob[..]].concat());
    assert!(code == 4 && said.contains("take 3276 now, 5898 asked for"), "{code} {said}");

    let colds: Vec<String> = ["alice", "bob"]
        .map(|wallet| world.json(&["balance", "--wallet", wallet])["account"].as_str().unwrap().to_owned())
        .into();
    world.json(&[&["transfer", "5", "--to", &colds[1]], &alice[..]].concat());
    let two = world.json(&["balance", &colds[0], &colds[1]]);
    assert_eq!((&two[0]["account"], &two[1]["account"]), (&colds[0].clone().into(), &colds[1].clone().into()));
    assert_eq!(two[0]["block"], two[1]["block"], "one query, one block");
    world.json(&[&["commitment", "set", "of bob"], &on[..], &bob].concat());
    let list = world.json(&[&["commitment", "list"], &on[..]].concat());
    assert_eq!((&list[0]["account"], &list[0]["data"]), (&hotkey.into(), &"6f6620626f62".into()));
    assert_eq!(world.json(&["subnet", "info", &netuid])["owner_hotkey"], owner.as_str());
    world.json(&[&["axon", "serve", "203.0.113.7:8091", "--certificate", "01aabb"], &on[..], &bob].concat());
    world.json(&[&["axon", "prometheus", "203.0.113.7:9090"], &on[..], &bob].concat());
    let new = world.json(&["wallet", "sign", "x", "--wallet", "bob", "--hotkey", "second"])["signer"].clone();
    world.json(&[&["swap-hotkey", new.as_str().unwrap()], &on[..], &bob].concat());
    assert_eq!(world.json(&["metagraph", &netuid])["neurons"][1]["hotkey"], new);
}

#[test]
fn work_that_the_owner_forbids_is_refused_before_it_begins() {
    let world = World::new(&[]);
    let netuid = world.json(&["subnet", "create", "--wallet", "alice"])["netuid"].to_string();
    let (code, said) = world.refused(&["register", "--pow", "--netuid", &netuid, "--wallet", "bob"]);
    assert!(code == 4 && said.contains("NetworkPowRegistrationAllowed is false"), "{code} {said}");
    assert!(!said.contains("was found"), "no proof was searched for: {said}");
}

#[test]
fn a_dry_run_is_signed_elsewhere_and_sent() {
    let world = World::new(&[]);
    let created = world.json(&["subnet", "create", "--wallet", "alice"]);
    let netuid = created["netuid"].to_string();
    let register = ["register", "--netuid", &netuid, "--wallet", "bob", "--limit-price", "1"];
    let dry = world.json(&[&register[..], &["--dry-run"]].concat());
    assert_eq!((&dry["dry_run"], &dry["ready"]), (&Value::Bool(true), &Value::Bool(true)), "{dry}");
    assert_eq!(dry["unsigned"]["call"], "SubtensorModule.register_limit");
    assert!(dry["fee_rao"].as_u64().unwrap() > 0);
    let file = world.dir.path().join("tx.json");
    std::fs::write(&file, dry.to_string()).unwrap();
    let payload = dry["unsigned"]["payload"].as_str().unwrap();
    let signed = world.json(&["wallet", "sign", "--wallet", "bob", "--key", "coldkey", "--hex", payload]);
    let signature = signed["signature"].as_str().unwrap();
    let submit = ["extrinsic", "submit", file.to_str().unwrap(), "--signature", signature];
    let sent = world.json(&submit);
    let events = sent["events"].as_array().unwrap();
    assert!(events.contains(&"SubtensorModule.NeuronRegistered".into()), "{sent}");
    let graph = world.json(&["metagraph", &netuid]);
    assert_eq!(graph["neurons"][1]["hotkey"], dry["unsigned"]["args"]["hotkey"]);
    // As a person reads it, and with a rule broken now.
    let text = world.output(&[&register[..], &["--dry-run"]].concat());
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("to sign    0x") && text.contains("HotKeyAlreadyRegisteredInSubNet"), "{text}");
    let (code, said) = world.refused(&register);
    assert!(code == 4 && said.contains("registered as uid 1"), "{code} {said}");
}
