//! `starling` as a process that goes on while the test runs: its JSON lines are read one by one, and it is killed with its owner.
#![allow(dead_code)]

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines, Read, Seek},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

pub struct Process {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its stderr: a file, since a pipe that nobody empties would stop it once it has said enough.
    log: File,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Start it; `--json` is added.
    pub fn start(arguments: &[&str]) -> Self {
        let log = tempfile::tempfile().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_starling"))
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, log }
    }

    /// A chain on a free port, and its address.
    pub fn chain(options: &[&str]) -> (Self, String) {
        let mut chain = Self::start(&[&["localnet", "--listen", "127.0.0.1:0"], options].concat());
        let url = chain.until(|line| line["url"].is_string())["url"].as_str().unwrap().to_owned();
        (chain, url)
    }

    /// Its next line; `None` once it has ended.
    pub fn line(&mut self) -> Option<Value> {
        let line = self.lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")))
    }

    /// Its next line for which `wanted` holds.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut said = Vec::new();
        while let Some(line) = self.line() {
            if wanted(&line) {
                return line;
            }
            said.push(line);
        }
        panic!("it ended after {said:#?}: {}", self.errors());
    }

    /// What it said on stderr.
    pub fn errors(&mut self) -> String {
        let mut text = String::new();
        let _ = self.log.rewind();
        let _ = self.log.read_to_string(&mut text);
        text
    }
}
