//! `starling-lab`: a network lab by hand. `docs/lab.md` shows what it prints.

mod measure;
mod probe;
mod run;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use starling_testing::lab::Lab;

/// A simulated internet on this machine: real processes, each in a network namespace of its own, joined by links that are slow, far,
/// lossy, partitioned or behind a NAT.
#[derive(Parser)]
#[command(name = "starling-lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether labs can be made here, and if not, why not.
    Check,
    /// Make the lab of a plan, run a command on one of its hosts, and end the lab with it.
    ///
    /// Each host's address is in the environment as LAB_ and its name in capitals (LAB_MINER_1).
    Run {
        /// A TOML file with hosts and their links.
        plan: PathBuf,
        /// The host on which the command runs.
        #[arg(long)]
        on: String,
        /// Write the counters at the end to this file, as JSON, in place of showing them.
        #[arg(long)]
        report: Option<PathBuf>,
        /// The command with its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// What the router costs here: throughput, processor time, added latency. Use a release build.
    Measure {
        /// How long each measurement takes.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// So many more hosts that do nothing.
        #[arg(long, default_value_t = 0)]
        hosts: usize,
    },
    /// Programs to run on hosts.
    #[command(subcommand)]
    Probe(Probe),
}

#[derive(Subcommand)]
enum Probe {
    /// Answer UDP packets with themselves, and take whatever is sent over TCP.
    Serve {
        /// Where.
        #[arg(default_value = "0.0.0.0:7000")]
        address: SocketAddr,
    },
    /// Send UDP packets one after the other and say how long their answers took.
    Ping {
        /// Where `serve` answers.
        address: SocketAddr,
        /// How many.
        #[arg(long, default_value_t = 10)]
        count: u32,
        /// Milliseconds after which an answer is lost.
        #[arg(long, default_value_t = 1000)]
        patience: u64,
    },
    /// Send over TCP as fast as it goes, and say how fast it went.
    Send {
        /// Where `serve` takes it.
        address: SocketAddr,
        /// How long.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check => Lab::available().map(|()| {
            println!("labs can be made here");
            0
        }),
        Command::Run { plan, on, report, command } => run::run(&plan, &on, &command, report.as_deref()),
        Command::Measure { seconds, hosts } => measure::measure(Duration::from_secs(seconds), hosts).map(|()| 0),
        Command::Probe(Probe::Serve { address }) => probe::serve(address).map(|()| 0).map_err(|e| e.to_string()),
        Command::Probe(Probe::Ping { address, count, patience }) => {
            let pings = probe::ping(address, count, Duration::from_millis(patience));
            pings.map(|pings| println!("{pings}")).map(|()| 0).map_err(|e| e.to_string())
        }
        Command::Probe(Probe::Send { address, seconds }) => {
            let sent = probe::send(address, Duration::from_secs(seconds));
            sent.map(|sent| println!("{sent}")).map(|()| 0).map_err(|e| format!("{address}: {e}"))
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            eprintln!("starling-lab: {reason}");
            ExitCode::FAILURE
        }
    }
}
