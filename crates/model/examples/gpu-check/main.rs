//! Does this machine's card compute, is it right, is it deterministic, how fast is it, what does committing cost?
//!
//! Each group of checks runs in a process of its own, this program again: a card that faults, or runs out of memory, costs one
//! group, and every group begins with an empty card. A check that cannot run (no card, too little memory) says in one sentence why
//! and what would help; the program fails only if a check that could run failed.
//!
//! `scripts/gpu-check` builds it and says how to run it on a machine without a compiler. What it printed on which machine is kept
//! in `docs/measured`.

mod bits;
mod card;
mod operators;
mod report;
mod right;
mod shapes;
mod speed;

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::Value;
use starling_model::{CUBLAS_WORKSPACE, Device};

use report::{Check, Report};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Cli {
    /// cpu (everything small) or cuda:N (real sizes).
    #[arg(long, default_value = "cuda:0")]
    device: String,
    /// Threads that hash; 0 takes all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write the report to this file as JSON, too.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the report as JSON instead of lines.
    #[arg(long)]
    json: bool,
    /// scripts/gpu_check.py, which measures the same stages in Python's torch; left out without it.
    #[arg(long)]
    python: Option<PathBuf>,
    /// What was built, for the report.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Seconds a group may take.
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Seconds that all of it may take: groups that are not begun by then are left out, one under way is ended.
    #[arg(long, default_value_t = 360)]
    total: u64,
    /// Groups to run, all if left out.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// One group in this very process, as JSON lines: how the program calls itself.
    #[arg(long, hide = true)]
    group: Option<Group>,
}

/// What runs in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Results against the processor's.
    Right,
    /// Bits against bits.
    Bits,
    /// Prints digests, for another process to compare with.
    #[value(hide = true)]
    Digests,
    /// Each operator under strict determinism, and what it takes.
    Operators,
    /// A stage of a model of a billion parameters.
    #[value(name = "speed-1b")]
    Speed1b,
    /// A stage of a model of eight billion.
    #[value(name = "speed-8b")]
    Speed8b,
}

impl Group {
    const ALL: [Self; 5] = [Self::Right, Self::Bits, Self::Operators, Self::Speed1b, Self::Speed8b];

    fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Bits => "bits",
            Self::Digests => "digests",
            Self::Operators => "operators",
            Self::Speed1b => "speed-1b",
            Self::Speed8b => "speed-8b",
        }
    }
}

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    if cli.threads == 0 {
        cli.threads = std::thread::available_parallelism().map_or(1, usize::from);
    }
    match cli.group {
        Some(group) => {
            run(group, &cli);
            ExitCode::SUCCESS
        }
        None => all(&cli),
    }
}

/// One group, here.
fn run(group: Group, cli: &Cli) {
    // On the processor one thread computes, as where processes share a machine; the card does not mind how many there are.
    let threads = if cli.device == "cpu" { 1 } else { cli.threads };
    let device = match Device::open_with(&cli.device, threads) {
        Ok(device) => device,
        Err(error) => return Check::new(group.name(), "the device").skipped(error).print(),
    };
    match group {
        Group::Right => right::run(&device),
        Group::Bits => bits::run(&device, &|| child(Group::Digests, cli, Duration::from_secs(cli.limit))),
        Group::Digests => bits::digests(&device),
        Group::Operators => operators::run(&device, &cli.device),
        Group::Speed1b => speed::run(&device, shapes::Size::OneB),
        Group::Speed8b => speed::run(&device, shapes::Size::EightB),
    }
}

/// The lines that one group prints in a process of its own.
fn child(group: Group, cli: &Cli, limit: Duration) -> Result<Vec<Value>, String> {
    let own = std::env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
    let mut command = Command::new(own);
    command.args(["--device", &cli.device, "--threads", &cli.threads.to_string(), "--group", group.name()]);
    command.env(CUBLAS_WORKSPACE.0, CUBLAS_WORKSPACE.1);
    lines(command, limit)
}

/// Run a command that prints JSON lines.
fn lines(mut command: Command, limit: Duration) -> Result<Vec<Value>, String> {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{} cannot be started: {e}", command.get_program().display()))?;
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(process.stdout.take().map(|p| Box::new(p) as _));
    let words = read(process.stderr.take().map(|p| Box::new(p) as _));
    let until = Instant::now() + limit;
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = process.kill();
                let _ = process.wait();
                break Err(format!("it took more than {} s and was ended", limit.as_secs()));
            }
            Err(error) => break Err(error.to_string()),
        }
    };
    let (out, words) = (out.join().unwrap_or_default(), words.join().unwrap_or_default());
    let last = || words.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    let mut found: Vec<Value> = out.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    match status {
        Ok(status) if status.success() => Ok(found),
        Ok(status) => {
            // What it had found until then counts; that it fell is a finding, too.
            found.push(Check::new("process", "the group's process").failed(format!("{status}: {}", last())).value());
            Ok(found)
        }
        Err(error) => Err(error),
    }
}

fn all(cli: &Cli) -> ExitCode {
    let began = Instant::now();
    let mut report = Report::new(cli);
    if !cli.json {
        println!("{}", report.heading());
    }
    for group in Group::ALL {
        if !cli.only.is_empty() && !cli.only.contains(&group) {
            continue;
        }
        eprintln!("gpu-check: {} ({:.0} s so far)", group.name(), began.elapsed().as_secs_f64());
        let Some(limit) = left(cli, began) else {
            report.add(Check::new(group.name(), "the group").skipped(OVER).value(), group.name(), cli.json);
            continue;
        };
        match child(group, cli, limit) {
            Ok(found) => found.into_iter().for_each(|check| report.add(check, group.name(), cli.json)),
            Err(why) => {
                report.add(Check::new(group.name(), "the group's process").failed(why).value(), group.name(), cli.json)
            }
        }
    }
    if cli.only.is_empty() {
        eprintln!("gpu-check: python ({:.0} s so far)", began.elapsed().as_secs_f64());
        python(cli, left(cli, began), &mut report);
    }
    report.finish(began.elapsed());
    if let Some(file) = &cli.out
        && let Err(error) = std::fs::write(file, format!("{:#}\n", report.value()))
    {
        eprintln!("gpu-check: the report cannot be written to {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    if cli.json {
        println!("{:#}", report.value());
    } else {
        println!("{}", report.summary());
    }
    if report.failed() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

const OVER: &str = "the time for all of it is over: raise --total, or choose groups with --only";

/// What the next group may take; none if the time for all of it is over.
fn left(cli: &Cli, began: Instant) -> Option<Duration> {
    let left = Duration::from_secs(cli.total).checked_sub(began.elapsed())?;
    Some(left.min(Duration::from_secs(cli.limit)))
}

/// The same stages by Python's torch, in the same call.
fn python(cli: &Cli, limit: Option<Duration>, report: &mut Report) {
    let check = || Check::new("python", "the same stages in Python");
    let Some(script) = &cli.python else {
        return report.add(check().skipped("no --python scripts/gpu_check.py was given").value(), "python", cli.json);
    };
    let Some(limit) = limit else {
        return report.add(check().skipped(OVER).value(), "python", cli.json);
    };
    let mut command = Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()));
    command.arg(script).args(["--device", &cli.device]).env(CUBLAS_WORKSPACE.0, CUBLAS_WORKSPACE.1);
    for size in [shapes::Size::OneB, shapes::Size::EightB] {
        command.arg(shapes::describe(size, cli.device != "cpu").to_string());
    }
    match lines(command, limit) {
        Ok(found) => found.into_iter().for_each(|check| report.add(check, "python", cli.json)),
        Err(why) => report.add(check().failed(why).value(), "python", cli.json),
    }
}
