//! What `--json` prints is what `docs/schemas` says: every command of the chain half, run against a real chain, is held against its
//! schema, read so strictly that a field which nobody described fails, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/schema.rs"]
mod schema;
#[path = "common/world.rs"]
mod world;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use clap::Subcommand as _;
use process::Process;
use schema::{Book, Validator, closed, docs, schemas};
use serde_json::{Value, json};
use starling_chain::{Client, Options, value::Value as Field};
use starling_commitment::anchor::Anchor;
use starling_protocol::Digest;
use starling_wallet::Keypair;
use world::World;

/// Commands that print no JSON, and why.
const WITHOUT: [(&str, &str); 2] = [("completions", "a script for a shell"), ("man", "writes pages into a folder")];
/// Schemas of what an option makes of commands.
const OF_OPTIONS: [&str; 2] = ["dry-run", "metagraph-watch"];
/// Those of the other binary's commands, which `swarm_json` runs.
const SWARM: [&str; 9] =
    ["demo", "miner", "model-export", "model-sample", "orchestrator", "relay", "run-check", "run-init", "validator"];

/// A schema that nothing can be held against here, and the one of the command that prints by the same lines: a take can be raised once in
/// 216,000 blocks, and a new hotkey's is the highest.
const TWIN: (&str, &str) = ("take-increase", "take-decrease");

/// Paths of all commands that can be run, words joined by `-`.
fn commands() -> Vec<String> {
    fn walk(command: &clap::Command, path: &str, all: &mut Vec<String>) {
        for sub in command.get_subcommands() {
            let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path}-{}", sub.get_name()) };
            // One that needs a subcommand does nothing by itself.
            if !sub.is_subcommand_required_set() {
                all.push(path.clone());
            }
            walk(sub, &path, all);
        }
    }
    let mut all = Vec::new();
    walk(&starling::Command::augment_subcommands(clap::Command::new("starling")), "", &mut all);
    all
}

#[test]
fn every_command_has_a_schema_and_every_schema_is_in_the_index() {
    let schemas = schemas();
    let commands = commands();
    assert!(commands.len() > 50 && commands.contains(&"weights-keep".to_owned()), "{commands:?}");
    let silent: Vec<&str> = WITHOUT.iter().map(|(name, _)| *name).collect();
    for command in &commands {
        let (has, must) = (schemas.contains_key(command), !silent.contains(&command.as_str()));
        assert_eq!(has, must, "docs/schemas/{command}.json, for a command of that name");
    }
    let index = std::fs::read_to_string(docs().join("json.md")).unwrap();
    for (name, schema) in &schemas {
        let known = commands.contains(name) || [&OF_OPTIONS[..], &SWARM].concat().contains(&name.as_str());
        assert!(known, "docs/schemas/{name}.json is of no command");
        assert!(index.contains(&format!("(schemas/{name}.json)")), "docs/json.md does not name {name}");
        assert_eq!(schema["$id"], format!("https://starling.invalid/schemas/{name}.json"));
    }
    let links = index.matches("(schemas/").count();
    assert_eq!(links, schemas.len(), "docs/json.md names each once");
}

#[test]
fn schemas_are_schemas_in_which_every_field_has_its_meaning() {
    fn described(schema: &Value, path: &str) {
        if let Some(fields) = schema["properties"].as_object() {
            for (name, field) in fields {
                let text = field["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{path}.{name} has no description");
            }
        }
        let (mut objects, mut lists) = (Vec::new(), Vec::new());
        match schema {
            Value::Object(fields) => objects.extend(fields),
            Value::Array(list) => lists.extend(list),
            _ => {}
        }
        objects.into_iter().for_each(|(name, value)| described(value, &format!("{path}.{name}")));
        lists.into_iter().for_each(|value| described(value, path));
    }
    for (name, schema) in schemas() {
        // It holds the schema against that of schemas.
        if let Err(e) = Validator::new(&schema) {
            panic!("{name}: {e}");
        }
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        described(&schema, &name);
    }
}

#[test]
fn a_field_that_is_not_described_or_not_there_is_found() {
    let balance = schemas().remove("balance").unwrap();
    let (strict, open) = (Validator::new(&closed(&balance)).unwrap(), Validator::new(&balance).unwrap());
    let account = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let good = json!({ "account": account, "free_rao": 5, "block": 7 });
    assert_eq!((strict.errors(&good), strict.errors(&json!([good]))), (None, None));
    let more = json!({ "account": account, "free_rao": 5, "block": 7, "more": 1 });
    assert!(strict.errors(&more).unwrap().contains("more") && open.errors(&more).is_none());
    for bad in
        [json!({ "account": account, "free_rao": 5 }), json!({ "account": account, "free_rao": "5", "block": 7 })]
    {
        assert!(strict.errors(&bad).is_some() && open.errors(&bad).is_some(), "{bad}");
    }
    // And what is no schema is none.
    assert!(Validator::new(&json!({ "$id": "https://starling.invalid/x", "type": "numbers" })).is_err());
}

/// People at a chain whose every answer is held against its schema.
struct Reader {
    world: World,
    book: Book,
}

impl Reader {
    /// `--json` of a command that may say no by its exit code, but prints its result all the same.
    fn ask(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.world.output(&[arguments, &["--json"]].concat());
        let printed = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)));
        self.book.hold(name, &printed);
        printed
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.world.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

/// What no command of ours does.
fn on_chain(url: &str, act: impl AsyncFnOnce(Client)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { act(Client::connect(url, Options::default()).await.unwrap()).await });
}

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

#[test]
fn what_the_commands_print_is_what_their_schemas_say() {
    let reader = Reader { world: World::new(&["--block-time", "100", "--beacon", "1"]), book: Book::open() };
    let netuid = chain_and_money(&reader);
    weights(&reader, &netuid);
    reads(&reader, &netuid);
    wallets(&reader);
    let seen = reader.book.seen.borrow();
    let here = |name: &&String| !seen.contains(*name) && !SWARM.contains(&name.as_str());
    let missing: Vec<&String> = reader.book.strict.keys().filter(here).collect();
    assert_eq!(missing, [TWIN.0], "nothing was held against these");
    let [one, other] = [TWIN.0, TWIN.1].map(|name| schemas()[name].clone());
    assert_eq!((&one["properties"], &one["required"]), (&other["properties"], &other["required"]));
}

/// Everything that writes, but weights; answers the subnet.
fn chain_and_money(reader: &Reader) -> String {
    let ask = |name: &str, arguments: &[&str]| reader.ask(name, arguments);
    let netuid = ask("subnet-create", &["subnet", "create", "--wallet", "alice"])["netuid"].to_string();
    let net = netuid.as_str();
    ask("subnet-start", &["subnet", "start", "--netuid", net, "--wallet", "alice"]);
    ask("subnet-set", &["subnet", "set", "--netuid", net]);
    ask("subnet-set", &["subnet", "set", "--netuid", net, "--wallet", "alice", "immunity_period", "4000"]);
    let register = ["register", "--netuid", net, "--limit-price", "9", "--wallet", "bob"];
    ask("dry-run", &[&register[..], &["--dry-run"]].concat());
    let hotkey = ask("register", &register)["hotkey"].as_str().unwrap().to_owned();
    // Signed elsewhere.
    let second = [&register[..], &["--hotkey", "second"]].concat();
    let dry = ask("dry-run", &[&second[..], &["--dry-run"]].concat());
    let file = reader.file("tx.json", &dry.to_string());
    let payload = dry["unsigned"]["payload"].as_str().unwrap();
    let signed = ask("wallet-sign", &["wallet", "sign", "--wallet", "bob", "--key", "coldkey", "--hex", payload]);
    ask("extrinsic-submit", &["extrinsic", "submit", &file, "--signature", signed["signature"].as_str().unwrap()]);
    let other = dry["unsigned"]["args"]["hotkey"].as_str().unwrap().to_owned();

    let bob = ["--netuid", net, "--wallet", "bob"];
    let stake = |name: &str, arguments: &[&str]| ask(&format!("stake-{name}"), &[&["stake", name], arguments].concat());
    stake("add", &[&["2000"], &bob[..]].concat());
    stake("remove", &[&["1"], &bob[..]].concat());
    stake("move", &[&["2", "--to", &other], &bob[..]].concat());
    let coldkeys: Vec<String> = ["alice", "bob"]
        .map(|wallet| ask("balance", &["balance", "--wallet", wallet])["account"].as_str().unwrap().to_owned())
        .into();
    ask("balance", &["balance", &coldkeys[0], &coldkeys[1]]);
    stake("transfer", &[&["3", "--to", &coldkeys[0]], &bob[..]].concat());
    stake("swap", &[&["4", "--to-netuid", "0"], &bob[..]].concat());
    stake("show", &["--wallet", "bob"]);
    ask("transfer", &["transfer", "5", "--to", &coldkeys[1], "--wallet", "alice"]);

    ask("take-decrease", &["take", "decrease", "5%", "--wallet", "bob"]);
    ask("take-childkey", &[&["take", "childkey", "4%"], &bob[..]].concat());
    ask("take-show", &[&["take", "show"], &bob[..]].concat());
    ask("children-set", &[&["children", "set", &format!("{other}=25%")], &bob[..]].concat());
    ask("children-show", &[&["children", "show"], &bob[..]].concat());
    // Of alice's, who has set none lately: a change of children has a rate limit.
    ask("children-clear", &["children", "clear", "--netuid", net, "--wallet", "alice"]);
    ask("children-show", &["children", "show", "--netuid", net, "--wallet", "alice"]);
    ask("axon-serve", &[&["axon", "serve", "203.0.113.7:8091", "--certificate", "01aabb"], &bob[..]].concat());
    ask("axon-prometheus", &[&["axon", "prometheus", "[2001:db8::7]:9090"], &bob[..]].concat());
    ask("commitment-set", &[&["commitment", "set", "of bob"], &bob[..]].concat());
    ask("commitment-get", &["commitment", "get", "--netuid", net, &hotkey]);
    on_chain(&reader.world.url, async |chain| {
        let text = |text: &str| Field::Bytes(text.as_bytes().to_vec());
        let fields = ["name", "url", "github_repo", "image", "discord", "description", "additional"];
        let bob: Vec<_> = fields.map(|field| (field, text(field))).into();
        chain.submit(&key("//Bob"), "SubtensorModule", "set_identity", &bob).await.unwrap();
    });
    netuid
}

fn weights(reader: &Reader, netuid: &str) {
    let ask = |name: &str, arguments: &[&str]| reader.ask(name, arguments);
    let on = ["--netuid", netuid, "--wallet", "alice"];
    let set = |arguments: &[&str]| ask("weights-set", &[&["weights", "set"], &on[..], arguments].concat());
    on_chain(&reader.world.url, async |chain| {
        let none = [("netuid", netuid.parse::<u16>().unwrap().into()), ("weights_set_rate_limit", 0_u64.into())];
        chain.sudo_set(&key("//Alice"), "sudo_set_weights_set_rate_limit", &none).await.unwrap();
    });
    ask("weights-check", &[&["weights", "check", "1=1"], &on[..]].concat());
    ask("weights-check", &["weights", "check", "1=1", "--netuid", netuid, "--wallet", "bob", "--hotkey", "second"]);
    assert_eq!(set(&["1=1"])["way"], "timelock");
    let commits = ask("weights-commits", &[&["weights", "commits"], &on[..]].concat());
    assert_eq!(commits["commits"][0]["by"], "timelock");
    assert_eq!(set(&["1=0.5", "2=1", "--wait-reveal"])["fate"]["fate"], "revealed");
    ask("weights-plan", &["weights", "plan", "--netuid", netuid]);

    // What a daemon says: until it has read back what it set.
    let file = reader.file("weights.json", r#"{"1": 1, "2": 0.5}"#);
    let state = reader.world.dir.path().join("keep").display().to_string();
    let common = reader.world.common();
    let mut keep = vec!["weights", "keep", "--file", &file, "--state", &state];
    keep.extend(on);
    keep.extend(common.iter().map(String::as_str));
    let mut keeper = Process::start(&keep);
    loop {
        let line = keeper.line().unwrap();
        reader.book.hold("weights-keep", &line);
        if line["confirmed"].is_array() {
            break;
        }
    }
    drop(keeper);

    on_chain(&reader.world.url, async |chain| {
        let off = [("netuid", netuid.parse::<u16>().unwrap().into()), ("enabled", false.into())];
        chain.sudo_set(&key("//Alice"), "sudo_set_commit_reveal_weights_enabled", &off).await.unwrap();
    });
    assert_eq!(set(&["1=1"])["way"], "plain");
    ask("weights-show", &["weights", "show", "--netuid", netuid, "0"]);
    // On the second one they are to be committed: that item fails.
    let second =
        ask("subnet-create", &["subnet", "create", "--wallet", "alice", "--hotkey", "second"])["netuid"].to_string();
    ask("register", &["register", "--netuid", &second, "--limit-price", "9", "--wallet", "alice"]);
    let items = [format!("{netuid}={file}"), format!("{second}={}", reader.file("other.json", r#"{"0": 1}"#))];
    let batch = ask("weights-batch", &["weights", "batch", &items[0], &items[1], "--wallet", "alice"]);
    assert_eq!((&batch["failed"], &batch["items"][0]["failure"]), (&json!(1), &Value::Null), "{batch}");
    ask("weights-process", &["weights", "process", "--file", &file, "--neurons", "3"]);
    ask("weights-simulate", &["weights", "simulate", "--netuid", netuid, "--wallet", "alice"]);
    ask("weights-simulate", &["weights", "simulate", "--netuid", netuid, "--at", &batch["block"].to_string()]);
    ask("weights-simulate", &["weights", "simulate", "1=1", "--netuid", netuid, "--wallet", "alice"]);
}

fn reads(reader: &Reader, netuid: &str) {
    let ask = |name: &str, arguments: &[&str]| reader.ask(name, arguments);
    let before = ask("metagraph", &["metagraph", netuid]);
    let from = before["block"].to_string();
    ask("metagraph", &["metagraph", netuid, "--columns", "uid,stake,axon,rank"]);
    let hotkey = before["neurons"][1]["hotkey"].as_str().unwrap();
    ask("neuron", &["neuron", netuid, "0"]);
    assert!(ask("neuron", &["neuron", netuid, hotkey])["certificate"].is_object());
    ask("neuron", &["neuron", netuid, "--mine", "--wallet", "bob"]);
    ask("hyperparameters", &["hyperparameters", netuid]);
    ask("subnet-list", &["subnet", "list"]);
    ask("subnet-info", &["subnet", "info", netuid]);
    ask("cost", &["cost", "--netuid", netuid]);
    ask("cost", &["cost", "--netuid", netuid, "--until", "0.001"]);
    ask("delegates", &["delegates"]);
    assert!(ask("identity", &["identity", hotkey])["identity"].is_object());
    ask("identity", &["identity", "--netuid", netuid]);
    ask("doctor", &["doctor", "--netuid", netuid, "--wallet", "bob"]);
    ask("commitment-list", &["commitment", "list", "--netuid", netuid]);
    let who = key("//Bob//anchor").account();
    on_chain(&reader.world.url, async |chain| {
        let netuid = netuid.parse().unwrap();
        chain.burned_register(&key("//Bob"), netuid, &who).await.unwrap();
        let anchor = Anchor { run: [1; 8], epoch: 2, count: 3, head: Digest([7; 32]) };
        chain.set_commitment(&key("//Bob//anchor"), netuid, &anchor.to_commitment()).await.unwrap();
    });
    assert_eq!(
        ask("commitment-get", &["commitment", "get", "--netuid", netuid, &who.to_string()])["anchor"]["receipts"],
        3
    );

    // Who moves changes what a watcher sees, and two snapshots.
    let common = reader.world.common();
    let mut watch = vec!["metagraph", netuid, "--watch"];
    watch.extend(common.iter().map(String::as_str));
    let mut watcher = Process::start(&watch);
    let first = watcher.line().unwrap();
    assert_eq!(first["event"], "snapshot");
    reader.book.hold("metagraph-watch", &first);
    let new = ask("wallet-new-hotkey", &["wallet", "new-hotkey", "--wallet", "bob", "--hotkey", "third"]);
    let new = new["hotkey"].as_str().unwrap();
    ask("swap-hotkey", &["swap-hotkey", new, "--netuid", netuid, "--wallet", "bob"]);
    let change = watcher.until(|line| line["change"]["neurons"][0]["fate"] == "replaced");
    reader.book.hold("metagraph-watch", &change);
    ask("metagraph-diff", &["metagraph", "diff", netuid, "--from", &from]);
    ask("stake-remove-all", &["stake", "remove-all", "--wallet", "bob", "--hotkey", "third"]);
    let mut chain = Process::start(&["localnet", "--listen", "127.0.0.1:0"]);
    reader.book.hold("localnet", &chain.line().unwrap());
}

fn wallets(reader: &Reader) {
    let ask = |name: &str, arguments: &[&str]| reader.ask(name, arguments);
    let password = reader.file("password", "correct horse 9!\n");
    let words = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    let words = reader.file("words", words);
    let c = ["--wallet", "carol"];
    ask("wallet-new", &["wallet", "new", "--wallet", "carol", "--no-password", "--show-mnemonic"]);
    let regen = ["wallet", "regen", "hotkey", "--mnemonic-file", &words, "--hotkey", "old"];
    let account = ask("wallet-regen", &[&regen[..], &c].concat())["hotkey"].as_str().unwrap().to_owned();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wallet/tests/data/polkadot-js-plain.json");
    ask(
        "wallet-import",
        &[&["wallet", "import", "hotkey", fixture.to_str().unwrap(), "--hotkey", "far"], &c[..]].concat(),
    );
    ask("wallet-regen-coldkeypub", &["wallet", "regen-coldkeypub", &account, "--wallet", "reader"]);
    ask("wallet-encrypt", &[&["wallet", "encrypt", "hotkey", "--new-password-file", &password], &c[..]].concat());
    ask("wallet-obfuscate", &[&["wallet", "obfuscate", "hotkey", "--password-file", &password], &c[..]].concat());
    ask("wallet-show", &[&["wallet", "show"], &c[..]].concat());
    ask("wallet-decrypt", &[&["wallet", "decrypt", "hotkey", "--password-file", &password], &c[..]].concat());
    ask("wallet-show", &["wallet", "show", "--wallet", "reader"]);
    ask("wallet-list", &["wallet", "list"]);
    let signed = ask("wallet-sign", &[&["wallet", "sign", "hello"], &c[..]].concat());
    let (signer, signature) = (signed["signer"].as_str().unwrap(), signed["signature"].as_str().unwrap());
    let good = ask("wallet-verify", &["wallet", "verify", "hello", "--signer", signer, "--signature", signature]);
    let bad = ask("wallet-verify", &["wallet", "verify", "hallo", "--signer", signer, "--signature", signature]);
    assert_eq!((&good["valid"], &bad["valid"]), (&json!(true), &json!(false)));
    // The configuration is named by the environment.
    for (name, word) in
        [("config-path", "path"), ("config-init", "init"), ("config-path", "path"), ("config-show", "show")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(["config", word, "--json"])
            .env("STARLING_CONFIG", reader.world.dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = serde_json::from_slice(&output.stdout);
        reader.book.hold(
            name,
            &printed.unwrap_or_else(|e| panic!("{word}: {e}: {}", String::from_utf8_lossy(&output.stderr))),
        );
    }
}
