//! A week of chain time: 140 epochs of 72 blocks of a minute, in which two `weights keep` processes live through everything that happens to
//! validators: their nodes hang, die, babble, lag and turn them away, they are killed at every step, and the chain upgrades itself three times.
//!
//! The promise: no epoch is missed that could be made. What was made is read from the chain's own events, past all proxies; what could be
//! made follows from the plan of ills alone ([`ills::possible`]). Nothing waits for a keeper: blocks come by the clock, quickly in quiet
//! times, and more slowly around an ill, since waits for sockets do not shrink with the week. `STARLING_WEEK_LOGS=FOLDER` keeps what
//! the keepers said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "week/ills.rs"]
mod ills;
#[path = "common/proxy.rs"]
mod proxy;

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ills::{Ill, Planned};
use proxy::Proxy;
use starling_chain::{BlockRef, Client, Options};
use starling_keys::Account;
use starling_localnet::{Localnet, LocalnetConfig, Presentation};
use starling_wallet::Keypair;
use tokio::time::{Instant, sleep_until};

/// Blocks of an epoch.
const BLOCKS: u32 = 72;
/// Seconds of chain time that a block takes.
const STEP: u32 = 60;
/// A week.
const EPOCHS: u32 = 7 * 24 * 60 * 60 / (BLOCKS * STEP);
/// Blocks come no quicker than this, and around an ill no quicker than that.
const QUIET: Duration = Duration::from_millis(15);
const TROUBLED: Duration = Duration::from_millis(80);
/// Blocks after an ill that still come slowly.
const AFTERMATH: u32 = 24;
/// A quiet epoch takes so many times as long as this machine needs for the work of one, measured in the first epochs.
const ROOM: u32 = 4;
/// Blocks after which a process that ended is started again, as a service manager would.
const RESTART: u32 = 3;
/// The epochs whose beginning upgrades the chain, and to what.
const UPGRADES: [(u32, u32); 3] = [(25, 365), (70, 425), (115, 466)];

fn key(uri: &str) -> Keypair {
    Keypair::from_uri(uri).unwrap()
}

/// Past the harness, which keeps what a test that passes prints: made and possible are to be read in every run.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

struct Kept {
    name: &'static str,
    by: &'static str,
    account: Account,
    arguments: Vec<String>,
    proxies: Vec<Proxy>,
    plan: Vec<Planned>,
    process: Option<Child>,
    /// The block of the week at which to start it again.
    start_at: u32,
    log: PathBuf,
    starts: u32,
    /// Ills that did something to it.
    felt: BTreeSet<u32>,
    /// What its proxies had done at the beginning of the newest ill.
    done_before: u64,
    /// Epochs of the week with a commit of ours, and with a reveal, by the chain's events.
    commits: BTreeSet<u32>,
    reveals: BTreeSet<u32>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Kept {
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn start(&mut self, more: &[&str]) {
        let append = |path: &Path| -> File { OpenOptions::new().create(true).append(true).open(path).unwrap() };
        let child = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(&self.arguments)
            .args(more)
            .stdin(Stdio::null())
            .stdout(append(&self.log.with_extension("jsonl")))
            .stderr(append(&self.log))
            .spawn()
            .unwrap();
        self.process = Some(child);
        self.starts += 1;
    }

    /// What its proxies have done to its connections.
    fn done(&self) -> u64 {
        self.proxies.iter().map(Proxy::stats).map(|stats| stats.faults + stats.turned_away).sum()
    }

    /// What is planned for this block of the week.
    fn suffer(&mut self, block: u32) {
        let plan: Vec<Planned> =
            self.plan.iter().copied().filter(|p| (p.span().0..=p.span().1).contains(&block)).collect();
        for planned in plan {
            let (from, until) = planned.span();
            let felt = match planned.ill {
                Ill::Node(_) => block == until && self.done() > self.done_before,
                Ill::Cut | Ill::Killed => block == from && self.process.is_some(),
                Ill::AbortAt(_) => false,
            };
            if felt {
                self.felt.insert(planned.epoch);
            }
            if block == from {
                self.done_before = self.done();
            }
            // Of several endpoints every other time one is ill, and else all.
            let ill = self.proxies.iter().take(if planned.epoch % 2 == 0 { 1 } else { self.proxies.len() });
            match planned.ill {
                Ill::Node(fault) if block == from => match fault {
                    proxy::Fault::CloseMidAnswer | proxy::Fault::Garbage | proxy::Fault::Nonsense => {
                        ill.for_each(|proxy| proxy.once_after(u64::from(planned.blocks), fault));
                    }
                    _ => ill.for_each(|proxy| proxy.now(fault)),
                },
                Ill::Node(_) if block == until => self.proxies.iter().for_each(Proxy::heal),
                Ill::Cut if block == from => ill.for_each(Proxy::cut),
                Ill::Killed if block == from => {
                    self.kill();
                    self.start_at = until;
                }
                Ill::AbortAt(step) if block == from => {
                    self.kill();
                    self.start(&["--test-only-abort-at", step]);
                }
                _ => {}
            }
        }
        if let Some(process) = &mut self.process
            && let Some(status) = process.try_wait().unwrap()
        {
            // It aborts where it is told to. Nothing else may end it.
            self.felt.insert(block / BLOCKS);
            assert!(status.code().is_none(), "{} ended by itself with {status}: {}", self.name, self.said());
            self.process = None;
            self.start_at = block + RESTART;
        }
        if self.process.is_none() && block >= self.start_at {
            self.start(&[]);
        }
    }

    /// The end of what it said.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Chain epochs whose weights it said were lost.
    fn losses_told(&self) -> BTreeSet<u64> {
        let said = std::fs::read_to_string(self.log.with_extension("jsonl")).unwrap();
        // A line that a kill cut short says nothing.
        let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter_map(|line| line["last_loss"]["epoch"].as_u64()).collect()
    }

    fn ill_at(&self, epoch: u32) -> String {
        let of = |p: &&Planned| (p.span().0 / BLOCKS..=p.span().1 / BLOCKS).contains(&epoch);
        let ills: Vec<String> =
            self.plan.iter().filter(of).map(|p| format!("{:?} at {} for {}", p.ill, p.offset, p.blocks)).collect();
        if ills.is_empty() { "nothing".into() } else { ills.join(", ") }
    }
}

/// A chain that makes blocks when told.
struct World {
    net: Localnet,
    chain: Client,
    netuid: u16,
}

impl World {
    /// While `work` is done, blocks are made.
    async fn meanwhile<T>(net: &Localnet, work: impl Future<Output = T>) -> T {
        let ticking = async {
            loop {
                net.produce_block().await.unwrap();
                tokio::time::sleep(QUIET).await;
            }
        };
        tokio::select! {
            done = work => done,
            never = ticking => never,
        }
    }

    /// A subnet with the rules of a public one, its epoch shortened: the owner and another validator may set weights.
    async fn new() -> Self {
        let config = LocalnetConfig {
            block_time: None,
            step: Some(Duration::from_secs(STEP.into())),
            // A round takes as much of a block as a round of the public beacon takes of a public block.
            beacon: Some(STEP / 4),
            runtime: Presentation::of(240),
            ..Default::default()
        };
        let net = Localnet::start(config).await.unwrap();
        let patience = Duration::from_secs(60);
        let options = Options { timeout: patience, inclusion_timeout: patience };
        let chain = Client::connect(&net.url(), options).await.unwrap();
        let setup = async {
            let (netuid, _) = chain.register_network(&key("//Alice"), &key("//Alice//hot").account()).await.unwrap();
            chain.start_call(&key("//Alice"), netuid).await.unwrap();
            let other = key("//Bob//hot").account();
            chain.burned_register(&key("//Bob"), netuid, &other).await.unwrap();
            chain.add_stake(&key("//Bob"), &other, netuid, 100_000_000_000).await.unwrap();
            let set = async |setter: &str, name: &'static str, value: u64| {
                let value = u16::try_from(value).map_or(value.into(), starling_chain::value::Value::from);
                chain.sudo_set(&key("//Alice"), setter, &[("netuid", netuid.into()), (name, value)]).await.unwrap();
            };
            // The public 100 of 360 blocks.
            set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", u64::from(BLOCKS) * 100 / 360).await;
            set("sudo_set_tempo", "tempo", BLOCKS.into()).await;
            netuid
        };
        let netuid = Self::meanwhile(&net, setup).await;
        Self { net, chain, netuid }
    }

    async fn keeper(&self, name: &'static str, by: &'static str, uri: &str, endpoints: usize, dir: &Path) -> Kept {
        let (wallets, state) = (dir.join("wallets").display().to_string(), dir.join(name).display().to_string());
        let keys = [format!("{uri}//hot"), uri.to_owned()];
        let made = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(["wallet", "new", "--wallet", name, "--wallet-path", &wallets])
            .args(["--hotkey-uri", &keys[0], "--coldkey-uri", &keys[1]])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = dir.join("weights.json");
        std::fs::write(&file, "{\"0\": 3, \"1\": 7}").unwrap();
        let mut proxies = Vec::new();
        for _ in 0..endpoints {
            proxies.push(Proxy::before_url(&self.net.url()).await);
        }
        let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
        let netuid = self.netuid.to_string();
        let mut arguments: Vec<String> =
            ["weights", "keep", "--json", "--netuid", &netuid, "--by", by, "--timeout", "1"].map(str::to_owned).into();
        arguments.extend(["--file".into(), file.display().to_string(), "--state".into(), state]);
        arguments.extend([
            "--endpoint".into(),
            urls.join(","),
            "--wallet-path".into(),
            wallets,
            "--wallet".into(),
            name.into(),
        ]);
        Kept {
            name,
            by,
            account: key(&keys[0]).account(),
            arguments,
            proxies,
            plan: ills::plan(endpoints as u32, EPOCHS),
            process: None,
            start_at: 0,
            log: dir.join(format!("{name}.log")),
            starts: 0,
            felt: BTreeSet::new(),
            done_before: 0,
            commits: BTreeSet::new(),
            reveals: BTreeSet::new(),
        }
    }

    /// Make a block and answer it.
    async fn block(&self) -> BlockRef {
        self.net.produce_block().await.unwrap();
        self.chain.head().await.unwrap()
    }

    /// Write down what the chain says of the keepers in a block.
    async fn observe(&self, block: &BlockRef, epoch: u32, kept: &mut [Kept]) {
        for event in self.chain.events(block).await.unwrap() {
            let of =
                |who: &Kept| (0..4).any(|i| event.fields.at(i).and_then(|field| field.account()) == Ok(who.account));
            let Some(who) = kept.iter_mut().find(|who| of(who)) else { continue };
            match event.name.as_str() {
                "WeightsCommitted" | "TimelockedWeightsCommitted" | "CRV3WeightsCommitted" => {
                    who.commits.insert(epoch);
                }
                "WeightsRevealed" | "TimelockedWeightsRevealed" | "CRV3WeightsRevealed" => {
                    who.reveals.insert(epoch);
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_week_of_faults_no_epoch_is_missed_that_could_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new().await;
    let mut kept = [
        world.keeper("timelock", "best", "//Alice", 1, dir.path()).await,
        world.keeper("hash", "hash", "//Bob", 2, dir.path()).await,
    ];
    // To the beginning of an epoch.
    let clock = world.chain.epoch_clock(world.netuid).await.unwrap();
    while world.block().await.number < clock.next_epoch_block().unwrap() - 1 {}
    let (mut quiet, mut epoch_began, mut slowest) = (TROUBLED, Instant::now(), Duration::ZERO);
    let first = world.chain.epoch_clock(world.netuid).await.unwrap().index + 1;
    let began = Instant::now();
    let mut due = began;
    // Two epochs more, in which the last commits are revealed.
    for block in 0..(EPOCHS + 2) * BLOCKS {
        let (epoch, offset) = (block / BLOCKS, block % BLOCKS);
        if let Some((_, spec)) = UPGRADES.iter().find(|(at, _)| *at == epoch && offset == 1) {
            world.net.upgrade(Presentation::of(*spec), None).await.unwrap();
        }
        for who in &mut kept {
            who.suffer(block);
        }
        let made = world.block().await;
        if offset == 0 {
            epoch_began = Instant::now();
            let clock = world.chain.epoch_clock(world.netuid).await.unwrap();
            assert_eq!(
                (clock.last_epoch_block, u32::from(clock.tempo)),
                (made.number.into(), BLOCKS),
                "epochs come by the tempo"
            );
        }
        world.observe(&made, epoch, &mut kept).await;
        // From an epoch's first block until everybody's commit is in a block: a reveal is found and a commit made in it.
        if epoch == 1 && slowest.is_zero() && kept.iter().all(|who| who.commits.contains(&epoch)) {
            slowest = epoch_began.elapsed();
            quiet = QUIET.max(slowest * ROOM / BLOCKS);
        }
        let ill = |p: &Planned| (p.span().0..p.span().1 + AFTERMATH).contains(&block);
        let troubled = kept.iter().any(|who| who.plan.iter().any(ill));
        let pause = if troubled || epoch < 2 { TROUBLED.max(quiet * 2) } else { quiet };
        due = (due + pause).max(Instant::now());
        sleep_until(due).await;
    }
    say(&format!(
        "a week of {EPOCHS} epochs in {:.0} s; an epoch's work takes {:.2} s here, a quiet block {:.0} ms",
        began.elapsed().as_secs_f32(),
        slowest.as_secs_f32(),
        quiet.as_secs_f32() * 1e3,
    ));
    let mut missed = Vec::new();
    for who in &kept {
        let possible = ills::possible(&who.plan, EPOCHS, who.by == "hash");
        // A commit is revealed in the epoch after its own; of one epoch there is one.
        let made = |epoch: u32| who.commits.contains(&epoch) && who.reveals.contains(&(epoch + 1));
        let (could, did) = ((0..EPOCHS).filter(|e| possible[*e as usize]), (0..EPOCHS).filter(|e| made(*e)).count());
        let could: Vec<u32> = could.collect();
        let both = could.iter().filter(|epoch| made(**epoch)).count();
        say(&format!(
            "{}: made {both} of {} epochs that could be made, {} of the {} that could not; {} of {} ills felt, started {} times",
            who.name,
            could.len(),
            did - both,
            EPOCHS as usize - could.len(),
            who.felt.len(),
            who.plan.len(),
            who.starts,
        ));
        let told = who.losses_told();
        let wrong: Vec<u32> = (0..EPOCHS).filter(|e| made(*e) && told.contains(&(first + u64::from(*e)))).collect();
        assert!(wrong.is_empty(), "{} called lost what landed: epochs {wrong:?}", who.name);
        assert!(who.felt.len() * 10 > who.plan.len() * 8, "of its ills it felt only those of epochs {:?}", who.felt);
        assert!(could.len() > EPOCHS as usize * 9 / 10, "the plan leaves too little to be missed");
        for epoch in could.into_iter().filter(|epoch| !made(*epoch)) {
            missed.push(format!(
                "{}: epoch {epoch}: committed {}, revealed {}; before: {}; in it: {}; after it: {}",
                who.name,
                who.commits.contains(&epoch),
                who.reveals.contains(&(epoch + 1)),
                who.ill_at(epoch.saturating_sub(1)),
                who.ill_at(epoch),
                who.ill_at(epoch + 1),
            ));
        }
    }
    if let Some(keep) = std::env::var_os("STARLING_WEEK_LOGS") {
        for who in &kept {
            std::fs::copy(&who.log, Path::new(&keep).join(format!("{}.log", who.name))).unwrap();
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
