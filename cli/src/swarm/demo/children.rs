//! The demo's processes: this binary again, once per actor. Their stdout (JSON lines) is read and kept in a file, their stderr goes to a
//! log file.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::Value;
use starling_miner::Adversary;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

use super::stage::{Cast, Key};

/// This very binary, even if a newer build has taken its place on disk meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// Patience for a process to say its first word.
const FIRST_WORD: Duration = Duration::from_secs(60);

/// A line that a process printed, or its end.
#[derive(Debug)]
pub enum Said {
    /// A JSON line.
    Line(Value),
    /// It ended.
    Ended,
}

/// All of them.
pub struct Children {
    out: PathBuf,
    running: Vec<(String, Child, Vec<String>)>,
    /// Ends that a fault has caused and nobody should mind.
    expected: Vec<String>,
    pub heard: mpsc::Receiver<(String, Said)>,
    tell: mpsc::Sender<(String, Said)>,
}

impl Children {
    pub fn new(out: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(out.join("logs"))?;
        let (tell, heard) = mpsc::channel(4096);
        Ok(Self { out: out.to_owned(), running: Vec::new(), expected: Vec::new(), heard, tell })
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let append = |file: PathBuf| File::options().create(true).append(true).open(file);
        let log = append(self.log(name))?;
        let mut kept = append(self.log(name).with_extension("jsonl"))?;
        let mut child = Command::new(OURSELVES)
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().with_context(|| format!("{name} has no stdout"))?;
        let (tell, who) = (self.tell.clone(), name.to_owned());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // For whoever looks afterwards; the demo goes on without.
                let _ = writeln!(kept, "{line}");
                if let Ok(value) = serde_json::from_str(&line)
                    && tell.send((who.clone(), Said::Line(value))).await.is_err()
                {
                    return;
                }
            }
            let _ = tell.send((who, Said::Ended)).await;
        });
        self.running.push((name.to_owned(), child, arguments.iter().map(|a| (*a).to_owned()).collect()));
        Ok(())
    }

    /// `kill -9`.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<Vec<String>> {
        let at = self.running.iter().position(|(n, ..)| n == name).with_context(|| format!("{name} does not run"))?;
        let (_, mut child, arguments) = self.running.remove(at);
        self.expected.push(name.to_owned());
        child.start_kill()?;
        child.wait().await?;
        Ok(arguments)
    }

    /// Start a killed process again with the same state; `more` arguments come on top.
    pub fn restart(&mut self, name: &str, arguments: &[String], more: &[&str]) -> anyhow::Result<()> {
        let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.spawn(name, &all)
    }

    /// The arguments of a process that has ended by itself, and what it said last on stderr.
    pub fn buried(&mut self, name: &str) -> anyhow::Result<(Vec<String>, String)> {
        let at = self.running.iter().position(|(n, ..)| n == name).with_context(|| format!("{name} does not run"))?;
        let (.., arguments) = self.running.remove(at);
        Ok((arguments, self.last_words(name)))
    }

    /// The last line of a process's log.
    pub fn last_words(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    /// Where its stderr goes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.out.join("logs").join(format!("{name}.log"))
    }

    /// Where a process keeps its state.
    pub fn state(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// True once for every end that a fault has caused.
    pub fn was_killed(&mut self, name: &str) -> bool {
        let at = self.expected.iter().position(|n| n == name);
        at.map(|i| self.expected.remove(i)).is_some()
    }

    /// True if the process ended well; its stdout is closed already.
    pub async fn ended_well(&mut self, name: &str) -> bool {
        match self.running.iter_mut().find(|(n, ..)| n == name) {
            Some((_, child, _)) => {
                matches!(tokio::time::timeout(Duration::from_secs(10), child.wait()).await, Ok(Ok(status)) if status.success())
            }
            None => false,
        }
    }

    async fn first_word(&mut self, name: &str, key: &str) -> anyhow::Result<String> {
        let log = self.log(name);
        loop {
            let heard = tokio::time::timeout(FIRST_WORD, self.heard.recv()).await;
            match heard {
                Ok(Some((who, Said::Line(value)))) if who == name => {
                    if let Some(text) = value.get(key).and_then(Value::as_str) {
                        return Ok(text.to_owned());
                    }
                }
                Ok(Some((who, Said::Ended))) if who == name => bail!("{name} ended at once: {}", tail(&log)),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => bail!("{name} said nothing for {} s: {}", FIRST_WORD.as_secs(), tail(&log)),
            }
        }
    }

    pub async fn chain(&mut self) -> anyhow::Result<String> {
        let state = self.out.join("chain").display().to_string();
        self.spawn("chain", &["localnet", "--listen", "127.0.0.1:0", "--beacon", "1", "--state", &state])?;
        self.first_word("chain", "url").await
    }

    fn actor(&mut self, role: &str, chain: &str, run: &Path, key: &Key, more: &[&str]) -> anyhow::Result<()> {
        let (run, state) = (run.display().to_string(), self.out.join(&key.name).display().to_string());
        let wallets = self.out.join("wallets").display().to_string();
        let mut arguments = vec![
            role,
            "--run",
            &run,
            "--state",
            &state,
            "--endpoint",
            chain,
            "--wallet-path",
            &wallets,
            "--wallet",
            "demo",
            "--hotkey",
            &key.name,
        ];
        arguments.extend_from_slice(more);
        self.spawn(&key.name, &arguments)
    }

    pub async fn orchestrator(&mut self, chain: &str, run: &Path, cast: &Cast) -> anyhow::Result<String> {
        self.actor("orchestrator", chain, run, &cast.owner, &[])?;
        self.first_word(&cast.owner.name, "address").await
    }

    pub fn miner(
        &mut self,
        chain: &str,
        run: &Path,
        orchestrator: &str,
        key: &Key,
        device: &str,
        cheats: Option<Adversary>,
    ) -> anyhow::Result<()> {
        let how = cheats.map(|a| a.to_string());
        let mut more = vec!["--orchestrator", orchestrator, "--device", device];
        if let Some(how) = &how {
            more.extend(["--test-only-adversary", how]);
        }
        self.actor("miner", chain, run, key, &more)
    }

    pub fn validator(
        &mut self,
        chain: &str,
        run: &Path,
        orchestrator: &str,
        key: &Key,
        device: &str,
    ) -> anyhow::Result<()> {
        self.actor("validator", chain, run, key, &["--orchestrator", orchestrator, "--device", device])
    }

    /// Stop whatever still runs.
    pub async fn stop(&mut self) {
        for (_, child, _) in &mut self.running {
            let _ = child.start_kill();
        }
        for (_, child, _) in &mut self.running {
            let _ = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        }
    }
}

/// The end of a log, for an error.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("{}\n(the whole log: {})", lines.join("\n"), log.display())
}
