//! The `starling` binary: the chain half, and the door to the other.
//!
//! A command of the swarm needs libtorch, whose loading alone takes 200 ms: this process becomes `starling-swarm`, which lies beside
//! it, with the same arguments (same pid, so signals and exit code are the command's own).

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use starling::Flags;

/// Strangers' machines train one language model together; validators check it; a chain pays.
#[derive(Debug, Parser)]
#[command(name = "starling", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Chain(starling::Command),
    #[command(flatten)]
    Swarm(Swarm),
}

/// Commands of `starling-swarm`: their names and what they are for, so that `--help` lists them.
#[derive(Debug, Subcommand)]
enum Swarm {
    /// Prepare a run: tokens and the one TOML.
    Run(Unread),
    /// Lead a run.
    Orchestrator(Unread),
    /// Compute a stage.
    Miner(Unread),
    /// Audit miners and set weights.
    Validator(Unread),
    /// Run a relay for peers behind a NAT.
    Relay(Unread),
    /// Assemble, export and try a trained model.
    Model(Unread),
    /// The whole loop on this machine.
    Demo(Unread),
}

/// Arguments that only the other binary understands.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct Unread {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _all: Vec<OsString>,
}

/// The binary of the swarm's commands; `None` if it was not built.
fn swarm_binary() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("starling-swarm");
    beside.is_file().then_some(beside)
}

/// Become the other binary; it returns only if that failed.
fn hand_over(command: &str) -> ExitCode {
    let Some(binary) = swarm_binary() else {
        eprintln!(
            "error: `starling {command}` needs libtorch and lives in a binary of its own, starling-swarm, which is not beside this \
             one: build both with scripts/build, or put starling-swarm into the same folder"
        );
        return ExitCode::FAILURE;
    };
    let error = std::process::Command::new(&binary).args(std::env::args_os().skip(1)).exec();
    eprintln!("error: cannot start {}: {error}", binary.display());
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    // `starling help miner` is clap's own command: only here is it known whose help is wanted.
    let asked: Vec<OsString> = std::env::args_os().skip(1).take(2).collect();
    if let [help, of] = asked.as_slice()
        && help == "help"
        && let Some(name) = of.to_str()
        && Swarm::has_subcommand(name)
    {
        return hand_over(name);
    }
    let cli: Cli = starling::parse();
    let command = match cli.command {
        Command::Swarm(swarm) => {
            return hand_over(match swarm {
                Swarm::Run(_) => "run",
                Swarm::Orchestrator(_) => "orchestrator",
                Swarm::Miner(_) => "miner",
                Swarm::Validator(_) => "validator",
                Swarm::Relay(_) => "relay",
                Swarm::Model(_) => "model",
                Swarm::Demo(_) => "demo",
            });
        }
        // Only the other one knows the options of all commands.
        Command::Chain(starling::Command::Completions { .. } | starling::Command::Man { .. })
            if swarm_binary().is_some() =>
        {
            return hand_over("completions");
        }
        Command::Chain(command) => command,
    };
    starling::run_to_the_end(cli.flags.verbose, command.log(), command.run(&cli.flags, Cli::command()))
}
