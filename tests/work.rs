//! `starling register --pow` as a person types it: the work is done, shown, begun anew when it went stale, and given up at Ctrl-C.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;
#[path = "common/world.rs"]
mod world;

use std::{
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use process::Process;
use starling_chain::{Client, Options, value::Value};
use starling_wallet::Keypair;
use world::World;

/// Nobody finds a proof of this in a test's time.
const ENDLESS: u64 = 4_000_000_000_000_000_000;
/// Found in seconds by a debug build on a busy machine.
const QUICK: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A subnet that takes work, and what its owner and sudo may do.
struct Subnet {
    world: World,
    netuid: String,
}

impl Subnet {
    fn new(difficulty: u64) -> Self {
        let world = World::new(&[]);
        let netuid = world.json(&["subnet", "create", "--wallet", "alice"])["netuid"].to_string();
        let subnet = Self { world, netuid };
        subnet.set("sudo_set_network_pow_registration_allowed", "registration_allowed", true.into());
        subnet.set("sudo_set_min_difficulty", "min_difficulty", 1_u64.into());
        subnet.difficulty(difficulty);
        subnet
    }

    fn set(&self, setter: &str, argument: &str, value: Value) {
        let netuid: u16 = self.netuid.parse().unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let options = Options { timeout: Duration::from_secs(20), inclusion_timeout: PATIENCE };
            let chain = Client::connect(&self.world.url, options).await.unwrap();
            let alice = Keypair::from_uri("//Alice").unwrap();
            chain.sudo_set(&alice, setter, &[("netuid", netuid.into()), (argument, value)]).await.unwrap();
        });
    }

    fn difficulty(&self, difficulty: u64) {
        self.set("sudo_set_difficulty", "difficulty", difficulty.into());
    }

    fn arguments(&self) -> Vec<String> {
        let register = ["register", "--pow", "--threads", "2", "--wallet", "bob", "--netuid", &self.netuid];
        [register.map(str::to_owned).to_vec(), self.world.common()].concat()
    }

    /// The command, until it has shown how fast it works.
    fn working(&self) -> Process {
        let arguments = self.arguments();
        let mut process = Process::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let end = Instant::now() + PATIENCE;
        while !process.errors().contains("MH/s") {
            assert!(process.child.try_wait().unwrap().is_none(), "it ended: {}", process.errors());
            assert!(Instant::now() < end, "no progress: {}", process.errors());
            std::thread::sleep(Duration::from_millis(50));
        }
        process
    }

    fn neurons(&self) -> usize {
        self.world.json(&["metagraph", &self.netuid])["neurons"].as_array().unwrap().len()
    }
}

fn ended(process: &mut Process) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "it goes on: {}", process.errors());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn work_registers_and_costs_nothing() {
    let subnet = Subnet::new(QUICK);
    let before = subnet.world.json(&["balance", "--wallet", "bob"])["free_rao"].clone();
    let register = ["register", "--pow", "--wallet", "bob", "--netuid", &subnet.netuid];
    let done = subnet.world.json(&register);
    assert_eq!((&done["uid"], &done["burn_rao"]), (&1.into(), &0.into()), "{done}");
    let graph = subnet.world.json(&["metagraph", &subnet.netuid]);
    assert_eq!(graph["neurons"][1]["hotkey"], done["hotkey"]);
    assert_eq!(subnet.world.json(&["balance", "--wallet", "bob"])["free_rao"], before, "no fee, no burn");
    let (code, said) = subnet.world.refused(&register);
    assert!(code == 4 && said.contains("registered as uid 1"), "{code} {said}");
}

#[test]
fn without_a_terminal_a_line_tells_the_pace_and_work_that_went_stale_begins_anew() {
    let subnet = Subnet::new(ENDLESS);
    let mut process = subnet.working();
    let said = process.errors();
    assert!(
        said.contains(&format!("difficulty {ENDLESS}")) && said.contains("days expected from any moment on"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}') || !said.contains('\r'), "no bar is drawn where nobody sees it: {said}");
    assert_eq!(subnet.neurons(), 1);
    // The next block asks for less: whoever still worked on the old task would never end.
    subnet.difficulty(QUICK);
    assert!(ended(&mut process).success(), "{}", process.errors());
    assert_eq!(subnet.neurons(), 2);
}

#[test]
fn ctrl_c_ends_the_work_at_once_and_nothing_was_sent() {
    let subnet = Subnet::new(ENDLESS);
    let nonce = |subnet: &Subnet| {
        subnet.world.json(&["transfer", "1", "--to", ALICE, "--wallet", "bob", "--dry-run"])["unsigned"]["nonce"]
            .clone()
    };
    let before = nonce(&subnet);
    let mut process = subnet.working();
    let pid = process.child.id();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    if cfg!(target_os = "linux") {
        assert!(threads > 2, "{threads} threads: nobody works");
    }
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    let asked = Instant::now();
    assert_eq!(ended(&mut process).code(), Some(130), "{}", process.errors());
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?} to end", asked.elapsed());
    assert_eq!(process.line(), None, "no result where there is none");
    assert_eq!(subnet.neurons(), 1);
    assert_eq!(nonce(&subnet), before, "nothing was sent");
}

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

/// A terminal, by the tool that Linux has for it.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_a_bar_shows_the_pace() {
    let subnet = Subnet::new(ENDLESS);
    let command =
        format!("timeout --foreground -s INT 5 {} {}", env!("CARGO_BIN_EXE_starling"), subnet.arguments().join(" "));
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("MH/s") && shown.contains("days expected") && shown.contains("0 % of searches"), "{shown}");
    assert!(shown.contains('[') && shown.contains('\r'), "it is drawn in place: {shown}");
}
