//! What a person asks of the chain, against a local one: every way to ask for the same is answered the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/proxy.rs"]
mod proxy;
#[path = "common/world.rs"]
mod world;

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Stdio},
};

use process::Process;
use proxy::{Fault, Proxy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use starling_chain::{Client, Options, value::Value as Field};
use starling_wallet::Keypair;
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

#[test]
fn two_snapshots_differ_by_what_happened_between_them() {
    let world = World::new(&[]);
    let netuid = world.subnet();
    let save = |name: &str| {
        let graph = world.json(&["metagraph", &netuid]);
        let file = world.dir.path().join(name).display().to_string();
        std::fs::write(&file, graph.to_string()).unwrap();
        (file, graph["block"].as_u64().unwrap().to_string())
    };
    let (first, from) = save("first.json");
    let serve = ["axon", "serve", "203.0.113.7:8091", "--netuid", &netuid, "--wallet", "bob"];
    world.json(&serve);
    world.json(&["register", "--netuid", &netuid, "--limit-price", "9", "--wallet", "bob", "--hotkey", "second"]);
    let (second, to) = save("second.json");

    let diff = |arguments: &[&str]| world.json(&[&["metagraph", "diff"], arguments].concat());
    let files = diff(&[&first, &second]);
    assert_eq!((files["from_block"].to_string(), files["to_block"].to_string()), (from.clone(), to.clone()));
    let of = |uid: u64| files["neurons"].as_array().unwrap().iter().find(|n| n["uid"] == uid).unwrap();
    assert_eq!(of(2)["fate"], "registered");
    let axon = of(1)["changes"].as_array().unwrap().iter().find(|change| change["field"] == "axon").unwrap();
    assert_eq!((&axon["before"], &axon["after"]["address"]), (&Value::Null, &json!("203.0.113.7:8091")));
    assert_eq!(files, diff(&[&netuid, "--from", &from, "--to", &to]), "files and blocks say the same");
    let fields = |found: &Value| {
        found["neurons"].as_array().unwrap().iter().map(|n| n["uid"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(fields(&diff(&[&first, "--columns", "axon"])), [1, 2], "a file against now");
    let table = world.text(&["metagraph", "diff", &first, &second]);
    assert!(table.contains("registered") && table.contains("203.0.113.7:8091"), "{table}");

    assert_eq!(world.refused(&["metagraph", "diff", &first, &second, "--exit-code"]), (1, String::new()));
    assert_eq!(world.refused(&["metagraph", "diff", &first, &first, "--exit-code"]), (0, String::new()));
    assert!(world.text(&["metagraph", "diff", &first, &first]).contains("nothing differs"));
    std::fs::write(&second, "[1]").unwrap();
    let foreign = std::fs::read_to_string(&first).unwrap().replace("\"block_hash\":\"0x", "\"block_hash\":\"0x00");
    let other = world.dir.path().join("other.json").display().to_string();
    std::fs::write(&other, foreign).unwrap();
    for (arguments, code, why) in [
        (&[&first[..], &second][..], 4, "it is no JSON object"),
        (&[&first, "nowhere.json"], 1, "nowhere.json"),
        (&[&other], 4, "of another chain"),
        (&[&netuid], 2, "Give --from BLOCK"),
        (&[&netuid, "--from", "4000000000"], 4, "is not there yet"),
    ] {
        let (got, said) = world.refused(&[&["metagraph", "diff"], arguments].concat());
        assert!(got == code && said.contains(why), "{arguments:?}: {got} {said}");
    }
}

#[test]
fn a_watched_metagraph_goes_on_through_a_lost_node_and_an_upgrade() {
    const UPGRADE: u64 = 100;
    let world =
        World::new(&["--block-time", "100", "--runtime", "425", "--upgrade-at", &UPGRADE.to_string(), "--to", "466"]);
    let netuid = world.subnet();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let proxy = runtime.block_on(Proxy::before_url(&world.url));
    let watch = |more: &[&str]| {
        Process::start(
            &[&["metagraph", &netuid, "--watch", "--timeout", "5", "--endpoint", &proxy.url()], more].concat(),
        )
    };
    let mut all = watch(&[]);
    let mut stake = watch(&["--columns", "stake", "--uid", "1"]);
    let whole = all.line().unwrap();
    assert_eq!((&whole["event"], whole["metagraph"]["neurons"].as_array().unwrap().len()), (&json!("snapshot"), 2));
    let mut block = whole["metagraph"]["block"].as_u64().unwrap();
    let bob = whole["metagraph"]["neurons"][1].clone();
    let first = stake.line().unwrap();
    assert_eq!(first["metagraph"]["neurons"][0]["total_stake"], bob["total_stake"], "{first}");

    proxy.now(Fault::Dead);
    runtime.block_on(proxy.until(|stats| stats.turned_away > 3));
    world.json(&["stake", "add", "70", "--netuid", &netuid, "--wallet", "bob"]);
    proxy.heal();
    let change = stake.until(|line| line["event"] == "change");
    let [neuron] = change["change"]["neurons"].as_array().unwrap().as_slice() else { panic!("{change}") };
    assert_eq!((&neuron["uid"], &neuron["hotkey"], &neuron["fate"]), (&json!(1), &bob["hotkey"], &json!("changed")));
    assert_eq!(neuron["changes"][0]["field"], "total_stake");
    assert!(neuron["changes"][0]["after"].as_u64() > neuron["changes"][0]["before"].as_u64(), "{change}");
    // Every epoch changes something; each line goes on where the last one ended.
    while block <= UPGRADE + 20 {
        let line = all.line().unwrap();
        let change = &line["change"];
        assert!(change["from_block"].as_u64().unwrap() >= block, "{line}");
        block = change["to_block"].as_u64().unwrap();
        let moved: Vec<_> = change["subnet"].as_array().unwrap().iter().map(|c| c["field"].clone()).collect();
        assert!(!moved.contains(&json!("burn")) && !moved.contains(&json!("blocks_since_last_step")), "{line}");
    }
    for process in [&mut all, &mut stake] {
        kill_process(Pid::from_child(&process.child), Signal::INT).unwrap();
        assert_eq!(process.child.wait().unwrap().code(), Some(130));
    }
    let (code, said) = world.refused(&["metagraph", &netuid, "--watch", "--csv"]);
    assert!(code == 2 && said.contains("--json"), "{code} {said}");
    let (code, said) = world.refused(&["metagraph", "4000", "--watch"]);
    assert!(code == 4 && said.contains("no subnet 4000"), "{code} {said}");
}

/// A terminal of 30 lines and 100 columns: our end of it, and the program's.
fn terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let size = rustix::termios::Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (ours.into(), theirs)
}

#[test]
fn on_a_terminal_the_watched_table_is_drawn_anew_with_each_block() {
    let world = World::new(&["--block-time", "100"]);
    let (mut ours, theirs) = terminal();
    let mut child = Command::new(env!("CARGO_BIN_EXE_starling"))
        .args(["metagraph", "1", "--watch", "--columns", "uid,hotkey"])
        .args(world.common())
        .stdin(Stdio::null())
        .stdout(theirs)
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    // A fourth picture begins when the third is whole.
    while said.windows(4).filter(|bytes| bytes == b"\x1b[2J").count() < 4 {
        let count = ours.read(&mut buffer).unwrap();
        said.extend(&buffer[..count]);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let said = String::from_utf8_lossy(&said).into_owned();
    let pictures: Vec<&str> = said.split("\x1b[2J\x1b[H").skip(1).take(3).collect();
    let block = |picture: &&str| -> u64 {
        assert!(picture.contains("uid") && picture.contains("tempo 10"), "{picture}");
        let rest = picture.strip_prefix("subnet 1 at block ").unwrap();
        rest.split(':').next().unwrap().parse().unwrap()
    };
    let blocks: Vec<u64> = pictures.iter().map(block).collect();
    assert!(blocks.is_sorted_by(|a, b| a < b), "{blocks:?}");
}

/// Says who bob and alice's subnet are, as no command of ours does.
fn introduce(url: &str, netuid: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = Client::connect(url, Options::default()).await.unwrap();
        let text = |text: &str| Field::Bytes(text.as_bytes().to_vec());
        let bob = [
            ("name", text("Bob\u{1b}[2J")),
            ("url", text("https://bob.invalid")),
            ("github_repo", text("")),
            ("image", text("")),
            ("discord", text("")),
            ("description", text("")),
            ("additional", text("")),
        ];
        chain.submit(&Keypair::from_uri("//Bob").unwrap(), "SubtensorModule", "set_identity", &bob).await.unwrap();
        let subnet = [
            ("netuid", netuid.into()),
            ("subnet_name", text("of alice")),
            ("github_repo", text("")),
            ("subnet_contact", text("alice@alice.invalid")),
            ("subnet_url", text("")),
            ("discord", text("")),
            ("description", text("")),
            ("logo_url", text("")),
            ("additional", text("")),
        ];
        let alice = Keypair::from_uri("//Alice").unwrap();
        chain.submit(&alice, "SubtensorModule", "set_subnet_identity", &subnet).await.unwrap();
    });
}

/// Makes the subnet have two mechanisms, on which weights are set plainly.
fn second_mechanism(url: &str, netuid: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = Client::connect(url, Options::default()).await.unwrap();
        let alice = Keypair::from_uri("//Alice").unwrap();
        for (call, name, value) in [
            ("sudo_set_commit_reveal_weights_enabled", "enabled", Field::from(false)),
            ("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64.into()),
            // Mechanisms times neurons are limited.
            ("sudo_set_max_allowed_uids", "max_allowed_uids", 64_u16.into()),
            ("sudo_set_mechanism_count", "mechanism_count", 2_u8.into()),
        ] {
            chain.sudo_set(&alice, call, &[("netuid", netuid.into()), (name, value)]).await.unwrap();
        }
    });
}

#[test]
fn neurons_delegates_and_identities_are_shown_now_and_then() {
    let world = World::new(&[]);
    let netuid = world.subnet();
    let before = world.json(&["metagraph", &netuid]);
    let then = before["block"].to_string();
    introduce(&world.url, netuid.parse().unwrap());
    world.json(&[
        "axon",
        "serve",
        "203.0.113.7:8091",
        "--certificate",
        "01aabb",
        "--netuid",
        &netuid,
        "--wallet",
        "bob",
    ]);
    world.json(&["axon", "prometheus", "[2001:db8::7]:9090", "--netuid", &netuid, "--wallet", "bob"]);
    let bob = &before["neurons"][1];
    let (hotkey, coldkey) = (bob["hotkey"].as_str().unwrap(), bob["coldkey"].as_str().unwrap());

    let one = world.json(&["neuron", &netuid, "1"]);
    let at = one["block"].to_string();
    let graph = world.json(&["metagraph", &netuid, "--at", &at]);
    for (field, value) in graph["neurons"][1].as_object().unwrap() {
        assert_eq!(one[field], *value, "{field}");
    }
    let number = |of: &Value, field: &str| of[field].as_u64().unwrap();
    let left = number(&one, "block_at_registration") + number(&graph, "immunity_period");
    assert_eq!(number(&one, "immunity_left"), left.saturating_sub(number(&one, "block")));
    assert_eq!((&one["certificate"]["public_key"], &one["certificate"]["algorithm"]), (&json!("0xaabb"), &json!(1)));
    assert_eq!(one["prometheus"]["address"], "[2001:db8::7]:9090");
    assert_eq!((&one["identity"]["url"], &one["is_subnet_owner"]), (&json!("https://bob.invalid"), &json!(false)));
    assert_eq!(world.json(&["neuron", &netuid, hotkey, "--at", &at]), one);
    assert_eq!(world.json(&["neuron", &netuid, "--at", &at, "--wallet", "bob"]), one, "the wallet's own");
    assert_eq!(world.json(&["neuron", &netuid, "--mine", "--at", &at, "--wallet", "bob"]), json!([one]));
    let earlier = world.json(&["neuron", &netuid, "1", "--at", &then]);
    assert_eq!(
        (&earlier["certificate"], &earlier["axon"], &earlier["identity"]),
        (&Value::Null, &Value::Null, &json!({}))
    );
    let text = world.text(&["neuron", &netuid, "1"]);
    assert!(text.contains("203.0.113.7:8091") && text.contains("Bob[2J") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(world.json(&["neuron", &netuid, "0"])["is_subnet_owner"], true);
    let (code, said) = world.refused(&["neuron", &netuid, "7"]);
    assert!(code == 4 && said.contains("no uid 7") && said.contains("0 to 1"), "{code} {said}");
    assert_eq!(world.refused(&["neuron", &netuid, "x"]).0, 2);

    let all = world.json(&["delegates", "--netuid", &netuid, "--at", &at]);
    assert_eq!(all["delegates"][0]["hotkey"], hotkey, "{all}");
    assert_eq!(all["delegates"][0]["identity"]["url"], "https://bob.invalid");
    let staked: Vec<u64> =
        all["delegates"].as_array().unwrap().iter().map(|d| d["stake"][&netuid].as_u64().unwrap_or(0)).collect();
    assert!(staked.is_sorted_by(|a, b| a >= b) && staked[0] > 0, "{staked:?}");
    let single = world.json(&["delegates", hotkey, "--at", &at]);
    assert_eq!(single["delegates"], json!([all["delegates"][0]]));
    assert_eq!(world.json(&["delegates", hotkey, "--at", &then])["delegates"][0]["identity"], json!({}));
    assert_eq!(world.refused(&["delegates", coldkey]).0, 4, "no hotkey");

    // A second mechanism has incentives of its own; the rest is the subnet's.
    second_mechanism(&world.url, number(&graph, "netuid") as u16);
    world.json(&["weights", "set", "1=1", "--mechanism", "1", "--netuid", &netuid, "--wallet", "alice"]);
    let owner = |mechanism| world.json(&["neuron", &netuid, "0", "--mechanism", mechanism]);
    assert_eq!(owner("1")["weights"], json!([{ "uid": 1, "value": 65_535 }]));
    assert_eq!(owner("0")["weights"], json!([]));
    let columns =
        |mechanism| world.json(&["metagraph", &netuid, "--mechanism", mechanism, "--columns", "updated", "--uid", "0"]);
    assert_eq!(columns("1")["mechanism"], 1);
    assert_ne!(columns("1")["neurons"], columns("0")["neurons"]);

    let who = world.json(&["identity", coldkey]);
    assert_eq!((&who["identity"]["url"], &who["coldkey"]), (&json!("https://bob.invalid"), &json!(coldkey)));
    assert_eq!(world.json(&["identity", hotkey])["coldkey"], coldkey, "a hotkey's owner");
    assert_eq!(world.json(&["identity", "--wallet", "bob", "--at", &then])["identity"], Value::Null);
    assert_eq!(world.json(&["identity", "--netuid", &netuid])["identity"]["subnet_contact"], "alice@alice.invalid");
    assert_eq!(world.refused(&["identity", "--netuid", "4000"]).0, 4);

    let number: u64 = netuid.parse().unwrap();
    let subnet = |at: &str| {
        let list = world.json(&["subnet", "list", "--at", at]);
        list.as_array().unwrap().iter().find(|s| s["netuid"] == number).cloned().unwrap_or_default()
    };
    assert_eq!(
        (&subnet("0"), &subnet(&then)["name"], &subnet(&at)["name"]),
        (&Value::Null, &Value::Null, &json!("of alice"))
    );
    assert_eq!(world.refused(&["hyperparameters", &netuid, "--at", "0"]).0, 4, "it was not there yet");
    let committed = |more: &[&str]| {
        let all = world.json(&[&["hyperparameters", &netuid], more].concat());
        all["commit_reveal_weights_enabled"].clone()
    };
    assert_eq!((committed(&["--at", &then]), committed(&[])), (json!(true), json!(false)));
    for command in ["take", "children"] {
        let shown = world.json(&[command, "show", "--netuid", &netuid, hotkey, "--at", &at]);
        assert_eq!(
            shown,
            world.json(&[command, "show", "--netuid", &netuid, "--wallet", "bob", "--at", &at]),
            "{command} of another"
        );
    }
    world.json(&["commitment", "set", "of bob", "--netuid", &netuid, "--wallet", "bob"]);
    assert_eq!(world.json(&["commitment", "get", "--netuid", &netuid, hotkey])["data"], "6f6620626f62");
    assert_eq!(world.refused(&["commitment", "get", "--netuid", &netuid, hotkey, "--at", &then]).0, 4);
}
