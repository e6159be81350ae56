//! The book's pages by role: every command in them is run, in order, in one shell against a fresh local chain, and says what the page says.
//!
//! A page's `console` blocks hold commands behind `$ ` and what a person sees after each, stdout and stderr together. What is never the
//! same twice is written `…`: within a line any text, alone in a line any lines. A command that fails is followed by `(exit code N)`.
//! `<!-- run: COMMAND -->` is done without being shown: it prepares, or waits for the chain.
//!
//! `STARLING_BOOK=write cargo test --test book` writes what was seen into the pages where it differs, for a person to look at and to mask.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/process.rs"]
mod process;

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use process::Process;

/// Longest time for one command.
const PATIENCE: Duration = Duration::from_secs(60);
/// Columns that the pages are written for.
const COLUMNS: &str = "120";
const END: &str = "--- end of output, exit code ";

/// A shell that is told one command after the other, as a person tells it.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    home: PathBuf,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shell {
    fn new(home: &Path, url: &str) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_starling")).parent().unwrap();
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(home)
            .env_clear()
            .envs([("PATH", path.as_str()), ("COLUMNS", COLUMNS), ("LANG", "C.UTF-8"), ("BT_CHAIN_ENDPOINT", url)])
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, home: home.to_owned() }
    }

    /// What a command says on both outputs, and its exit code if it fails.
    fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.stdin, "{{ {command}\n}} 2>&1; code=$?; echo; echo \"{END}$code\"").unwrap();
        let mut said = Vec::new();
        loop {
            let line =
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("`{command}` does not end: {said:#?}"));
            let Some(code) = line.strip_prefix(END) else {
                said.push(line.replace(&self.home.display().to_string(), "~").trim_end().to_owned());
                continue;
            };
            // The line that ends output which does not end with a line's end.
            if said.last().is_some_and(String::is_empty) {
                said.pop();
            }
            if code != "0" {
                said.push(format!("(exit code {code})"));
            }
            return said;
        }
    }
}

/// The width of a column follows its content, so lines and blanks of any length are alike.
fn even(line: &str) -> String {
    let mut out = String::new();
    for c in line.trim_end().chars() {
        if !(matches!(c, ' ' | '─' | '═') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

fn line_is(page: &str, seen: &str) -> bool {
    let (page, seen) = (even(page), even(seen));
    let parts: Vec<&str> = page.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return page == seen };
    let Some(mut rest) = seen.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

fn is(page: &[String], seen: &[String]) -> bool {
    match (page, seen) {
        ([], []) => true,
        ([dots, page @ ..], _) if dots.trim() == "…" => (0..=seen.len()).any(|skipped| is(page, &seen[skipped..])),
        ([line, page @ ..], [first, seen @ ..]) => line_is(line, first) && is(page, seen),
        _ => false,
    }
}

/// Runs a page; answers what is wrong with it, and the page as it should be.
fn read(page: &str, shell: &mut Shell) -> (String, String) {
    let (mut wrong, mut written) = (String::new(), String::new());
    let mut lines = page.lines().peekable();
    let mut in_console = false;
    while let Some(line) = lines.next() {
        writeln!(written, "{line}").unwrap();
        if let Some(hidden) = line.strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->")) {
            let said = shell.run(hidden);
            assert!(!said.iter().any(|line| line.starts_with("(exit code")), "`{hidden}` fails: {said:#?}");
        }
        in_console = match line {
            "```console" => true,
            _ => in_console && !line.starts_with("```"),
        };
        let (true, Some(command)) = (in_console, line.strip_prefix("$ ")) else { continue };
        let mut command = command.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
            writeln!(written, "{more}").unwrap();
            write!(command, "\n{}", &more[2..]).unwrap();
        }
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && !line.starts_with("```")) {
            expected.push(line.to_owned());
        }
        // A blank line before the next command is the page's.
        let blank = expected.last().is_some_and(String::is_empty);
        if blank {
            expected.pop();
        }
        let seen = shell.run(&command);
        let good = is(&expected, &seen);
        if !good {
            writeln!(wrong, "$ {command}\nthe page:\n  {}\nseen:\n  {}", expected.join("\n  "), seen.join("\n  "))
                .unwrap();
        }
        for line in if good { &expected } else { &seen } {
            writeln!(written, "{line}").unwrap();
        }
        if blank {
            written.push('\n');
        }
    }
    (wrong, written)
}

fn page(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/roles").join(name);
    let text = std::fs::read_to_string(&file).unwrap();
    // Epochs of four seconds: a slow machine has time for a command or two in each.
    let (_chain, url) = Process::chain(&["--beacon", "1", "--block-time", "400"]);
    let home = tempfile::tempdir().unwrap();
    let (wrong, written) = read(&text, &mut Shell::new(home.path(), &url));
    if std::env::var("STARLING_BOOK").is_ok_and(|mode| mode == "write") {
        std::fs::write(&file, written).unwrap();
    }
    assert!(wrong.is_empty(), "{}:\n{wrong}", file.display());
}

#[test]
fn a_validator_sees_what_the_book_shows() {
    page("validator.md");
}

#[test]
fn a_miner_sees_what_the_book_shows() {
    page("miner.md");
}

#[test]
fn a_subnet_owner_sees_what_the_book_shows() {
    page("owner.md");
}

#[test]
fn a_reader_sees_what_the_book_shows() {
    page("reader.md");
}

#[test]
fn a_page_that_says_otherwise_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (page, seen) in [("a … c", "a b b c"), ("┌───┐", "┌─────┐"), ("x\n…", "x"), ("…\nz", "x\ny\nz"), ("a…", "a")]
    {
        assert!(is(&lines(page), &lines(seen)), "{page:?} {seen:?}");
    }
    for (page, seen) in
        [("a … c", "a b d"), ("x", "x\ny"), ("…\nz", "z\ny"), ("a…a", "a"), ("", "x"), ("block 1", "block 12")]
    {
        assert!(!is(&lines(page), &lines(seen)), "{page:?} {seen:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::new(home.path(), "");
    let (wrong, written) = read("```console\n$ echo a; false\nb\n```\n", &mut shell);
    assert!(
        wrong.contains("$ echo a") && written == "```console\n$ echo a; false\na\n(exit code 1)\n```\n",
        "{written}"
    );
}
