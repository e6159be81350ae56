//! `starling weights keep` as a process: killed at every step, its weights land all the same, and are set anew in every epoch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use process::Process;
use serde_json::Value;
use starling_chain::{Client, Options};
use starling_wallet::Keypair;

/// A chain with a subnet whose owner's hotkey keeps weights; answers the chain, what every command needs, and the subnet.
fn subnet(dir: &Path) -> (Process, Vec<String>, String) {
    let (chain, url) = Process::chain(&["--block-time", "100", "--beacon", "1"]);
    let wallets = dir.join("wallets").display().to_string();
    let common: Vec<String> = ["--endpoint", &url, "--wallet-path", &wallets].map(str::to_owned).to_vec();
    let run = |arguments: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(arguments)
            .args(&common)
            .arg("--json")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    run(&["wallet", "new", "--coldkey-uri", "//Alice", "--hotkey-uri", "//Alice//hot"]);
    let netuid = run(&["subnet", "create"])["netuid"].to_string();
    run(&["subnet", "start", "--netuid", &netuid]);
    fast_epochs(&url, netuid.parse().unwrap());
    run(&["wallet", "new", "--wallet", "miner", "--coldkey-uri", "//Bob"]);
    run(&["register", "--netuid", &netuid, "--wallet", "miner"]);
    (chain, common, netuid)
}

/// An epoch of 20 blocks and no rate limit, as only the chain's sudo key can set them.
fn fast_epochs(url: &str, netuid: u16) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = Client::connect(url, Options::default()).await.unwrap();
        let alice = Keypair::from_uri("//Alice").unwrap();
        let netuid = ("netuid", netuid.into());
        chain.sudo_set(&alice, "sudo_set_tempo", &[netuid.clone(), ("tempo", 20_u16.into())]).await.unwrap();
        let none = ("weights_set_rate_limit", 0_u64.into());
        chain.sudo_set(&alice, "sudo_set_weights_set_rate_limit", &[netuid, none]).await.unwrap();
    });
}

fn keeper(dir: &Path, common: &[String], netuid: &str, more: &[&str]) -> Process {
    let (file, state) = (dir.join("weights.json").display().to_string(), dir.join("state").display().to_string());
    let mut arguments = vec!["weights", "keep", "--netuid", netuid, "--file", &file, "--state", &state];
    arguments.extend(common.iter().map(String::as_str));
    arguments.extend(more);
    Process::start(&arguments)
}

/// Reads what a process says until it has ended.
fn wait_for_its_end(process: &mut Process) {
    let mut lines = 0;
    while process.line().is_some() {
        lines += 1;
        assert!(lines < 500, "it goes on and on");
    }
}

#[test]
fn killed_at_every_step_between_commit_and_reveal_the_weights_land() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    let mut weight = 10;
    for (by, steps) in [
        ("hash", &["before-store", "before-commit", "after-commit", "before-reveal", "after-reveal"][..]),
        // The chain reveals these.
        ("timelock", &["before-store", "before-commit", "after-commit", "after-reveal"][..]),
    ] {
        for step in steps {
            // Other weights every time: nothing that landed before can be taken for them.
            weight += 1;
            std::fs::write(dir.path().join("weights.json"), format!("{{\"0\": {weight}, \"1\": 100}}")).unwrap();
            let mut killed = keeper(dir.path(), &common, &netuid, &["--by", by, "--test-only-abort-at", step]);
            wait_for_its_end(&mut killed);
            assert!(!killed.child.wait().unwrap().success(), "it was to be killed at {step}");
            drop(killed);
            let mut again = keeper(dir.path(), &common, &netuid, &["--by", by]);
            let wanted = [(0, (f64::from(weight) / 100.0 * 65_535.0).round_ties_even() as u64), (1, 65_535)];
            again.until(|line| line["confirmed"] == serde_json::json!(wanted));
        }
    }
}

#[test]
fn weights_that_stay_the_same_are_set_again_in_every_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 1}").unwrap();
    let mut keeper = keeper(dir.path(), &common, &netuid, &[]);
    let first = keeper.until(|line| line["reveals"] == 1)["confirmed_at"].as_u64().unwrap();
    let third = keeper.until(|line| line["reveals"] == 4)["confirmed_at"].as_u64().unwrap();
    // Three more reveals of a tempo of 20 blocks: one in each epoch, or the distance would be 80 blocks and more.
    assert!(third - first < 80, "{first} to {third}");
}

#[test]
fn a_second_keeper_and_a_file_that_is_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_chain, common, netuid) = subnet(dir.path());
    let refused = |words: &str| {
        let mut arguments = vec!["weights".to_owned(), "keep".into(), "--netuid".into(), netuid.clone()];
        arguments.extend(["--file".into(), dir.path().join("weights.json").display().to_string()]);
        arguments.extend(["--state".into(), dir.path().join("state").display().to_string()]);
        arguments.extend(common.iter().cloned());
        let output =
            Command::new(env!("CARGO_BIN_EXE_starling")).args(&arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
    };
    refused("cannot read");
    std::fs::write(dir.path().join("weights.json"), "[1, 2]").unwrap();
    refused("is not JSON of the form");
    std::fs::write(dir.path().join("weights.json"), "1,1\n2;x\n").unwrap();
    refused("line 2");
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 0}").unwrap();
    refused("weighs nobody");
    std::fs::write(dir.path().join("weights.json"), "{\"1\": 1}").unwrap();
    let mut first = keeper(dir.path(), &common, &netuid, &[]);
    assert!(first.line().is_some());
    refused("in use by another process");
}

/// A scorer that names hotkeys; what is wrong is told to a command and an address when it begins and when it is over; metrics are served.
#[test]
fn a_scorer_is_run_for_each_epoch_and_troubles_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, common, netuid) = subnet(dir.path());
    let owner = Keypair::from_uri("//Alice//hot").unwrap();
    let hotkey = starling_keys::Signer::account(&owner).to_string();
    let (count, alerts) = (dir.path().join("count"), dir.path().join("alerts"));
    // Each epoch's weights are other ones: the second neuron's weight is the number of the run.
    let scorer = format!(
        "echo x >> {c}; n=$(wc -l < {c}); test $n = 3 && exit 9; echo {hotkey},100; echo 1,$n",
        c = count.display()
    );
    let mail = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let webhook = format!("http://{}/alert", mail.local_addr().unwrap());
    let posts = std::thread::spawn(move || {
        let mut kinds = Vec::new();
        while kinds.len() < 2 {
            let (mut stream, _) = mail.accept().unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let n = std::io::Read::read(&mut stream, &mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                if let Ok(alert) = serde_json::from_str::<Value>(body) {
                    break alert;
                }
            };
            std::io::Write::write_all(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
            .unwrap();
            kinds.push(body["kind"].as_str().unwrap().to_owned());
        }
        kinds
    });
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let tell = format!("cat >> {}", alerts.display());
    let state = dir.path().join("state").display().to_string();
    let mut arguments = vec!["weights", "keep", "--netuid", &netuid, "--state", &state, "--scorer", &scorer];
    arguments.extend(["--alert-command", &tell, "--alert-webhook", &webhook, "--metrics", &metrics]);
    arguments.extend(common.iter().map(String::as_str));
    let mut keeper = Process::start(&arguments);
    // After the third run, which fails, the fourth's weights come.
    let at = |n: u64| serde_json::json!([(0, 65_535), (1, (n as f64 / 100.0 * 65_535.0).round_ties_even() as u64)]);
    keeper.until(|line| line["confirmed"] == at(1));
    keeper.until(|line| line["confirmed"] == at(4) || line["confirmed"] == at(5));
    assert_eq!(posts.join().unwrap(), ["source", "source-over"]);
    let told = std::fs::read_to_string(&alerts).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told[0]["message"].as_str().unwrap().contains("exit status: 9"), "{told:?}");
    assert_eq!((told[0]["kind"].as_str(), told[1]["kind"].as_str()), (Some("source"), Some("source-over")));
    let mut stream = std::net::TcpStream::connect(&metrics).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("starling_keep_losses_total"), "{text}");
    drop(chain);
}
