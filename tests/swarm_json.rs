//! What the swarm's commands print as JSON is what `docs/schemas` says, and none of them is without a schema. Every test that runs the
//! demo holds its processes' lines against them, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use std::{collections::BTreeSet, path::Path, process::Command};

use common::{
    demo_at,
    schema::{Book, schemas},
};
use serde_json::Value;
use world::World;

/// Names of all commands that can be run, by the man pages that there are.
fn commands(dir: &Path) -> BTreeSet<String> {
    let made = Command::new(env!("CARGO_BIN_EXE_starling-swarm")).arg("man").arg(dir).output().unwrap();
    assert!(made.status.success());
    let names: BTreeSet<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|page| page.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter_map(|page| Some(page.strip_prefix("starling-")?.to_owned()))
        .collect();
    // One with further words does nothing by itself.
    let is_group = |name: &String| ["run", "model"].contains(&name.as_str());
    names.iter().filter(|name| !is_group(name) && !name.ends_with("help")).cloned().collect()
}

#[test]
fn what_the_swarms_commands_print_is_what_their_schemas_say() {
    let dir = tempfile::tempdir().unwrap();
    let book = Book::open();
    let report = demo_at(dir.path(), &[], &["--adversary", "none", "--epochs", "1", "--rounds", "2", "--margin=-1"]);
    let out = dir.path().join("out");
    let world = World::new(&[]);
    let ask = |name: &str, arguments: &[&str]| -> Value {
        let printed = world.json(arguments);
        book.hold(name, &printed);
        printed
    };
    let file = out.join("run.toml");
    let run = file.to_str().unwrap();
    let checked = ask("run-check", &["run", "check", run]);
    // A plan is a run without what is filled in.
    let mut plan: toml::Table = std::fs::read_to_string(run).unwrap().parse().unwrap();
    plan.retain(|key, _| !["genesis", "orchestrator", "data"].contains(&key));
    let plan_file = dir.path().join("plan.toml");
    std::fs::write(&plan_file, plan.to_string()).unwrap();
    let [plan, data, other] =
        [plan_file, dir.path().join("text"), dir.path().join("other")].map(|p| p.display().to_string());
    let made =
        ask("run-init", &["run", "init", "--plan", &plan, "--data", &data, "--out", &other, "--wallet", "alice"]);
    assert_ne!(made["run"], checked["run"], "of another chain and orchestrator");

    // The last weights that the orchestrator named, out of the miners' stores.
    let said = std::fs::read_to_string(out.join("logs/orchestrator.jsonl")).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let begun = lines.iter().rfind(|line| line["event"] == "begun").unwrap();
    let blobs: Vec<String> = begun["weights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| {
            let digest = digest.as_str().unwrap();
            let places = (0..16).map(|i| out.join(format!("miner-{i}/network/blobs")).join(&digest[..2]).join(digest));
            places.into_iter().find(|place| place.exists()).unwrap().display().to_string()
        })
        .collect();
    let model = dir.path().join("model.safetensors").display().to_string();
    let mut export = vec!["model", "export", "--run", run, "--out", &model];
    export.extend(blobs.iter().map(String::as_str));
    assert!(ask("model-export", &export)["parameters"].as_u64().unwrap() > 1000);
    let checkpoint = report["checkpoint"].as_str().unwrap();
    ask("model-sample", &["model", "sample", checkpoint, "--tokens", "4"]);

    let mut seen = book.seen.borrow().clone();
    // Held against theirs where the demo ran.
    seen.extend(["demo", "localnet", "orchestrator", "miner", "validator"].map(str::to_owned));
    let man = dir.path().join("man");
    let all = commands(&man);
    let known = schemas();
    for command in ["orchestrator", "run-init", "model-sample"] {
        assert!(all.contains(command), "{all:?}");
    }
    for command in &all {
        let silent = ["completions", "man"].contains(&command.as_str());
        let chain =
            ["axon", "children", "commitment", "config", "extrinsic", "stake", "subnet", "take", "wallet", "weights"];
        if !silent && !chain.contains(&command.as_str()) {
            assert!(known.contains_key(command), "no docs/schemas/{command}.json");
        }
    }
    let swarm = |name: &&String| ["run-", "model-"].iter().any(|p| name.starts_with(p)) || name.as_str() == "demo";
    let missing: Vec<_> = known.keys().filter(swarm).filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
