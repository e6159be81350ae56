//! The `starling-swarm` binary: all of `starling`, and the commands that need libtorch and iroh, one file each.
//!
//! People call `starling`, which becomes this one where it must; it answers by that name.

mod compute;
#[cfg(feature = "localnet")]
mod demo;
mod miner;
mod model;
mod orchestrator;
mod relay;
mod run;
mod validator;

use clap::{CommandFactory, Parser, Subcommand};
// The rooms that both binaries share, under the names that the commands use.
use starling::{Flags, Global, exit, output};

/// Strangers' machines train one language model together; validators check it; a chain pays.
#[derive(Debug, Parser)]
#[command(name = "starling", bin_name = "starling", version, about, arg_required_else_help = true)]
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
    /// Prepare a run: tokens and the one TOML.
    Run(run::Run),
    /// Lead a run.
    Orchestrator(orchestrator::Orchestrator),
    /// Compute a stage.
    Miner(miner::Miner),
    /// Audit miners and set weights.
    Validator(validator::Validator),
    /// Run a relay for peers behind a NAT.
    Relay(relay::Relay),
    /// Assemble, export and try a trained model.
    Model(model::Model),
    /// The whole loop on this machine.
    #[cfg(feature = "localnet")]
    Demo(demo::Demo),
}

fn main() -> std::process::ExitCode {
    let cli: Cli = starling::parse();
    let compute = match &cli.command {
        Command::Miner(c) => Some(&c.compute),
        Command::Validator(c) => Some(&c.compute),
        Command::Model(c) => c.compute(),
        _ => None,
    };
    if let Some(Err(error)) = compute.map(compute::Compute::prepare) {
        eprintln!("this program cannot be started again with {}: {error}", starling_model::CUBLAS_WORKSPACE.0);
        return std::process::ExitCode::FAILURE;
    }
    let log = match &cli.command {
        Command::Chain(command) => command.log(),
        _ => starling::output::Log::Dated,
    };
    starling::run_to_the_end(cli.flags.verbose, log, run(cli.command, cli.flags.clone()))
}

async fn run(command: Command, flags: Flags) -> anyhow::Result<()> {
    if let Command::Chain(c) = command {
        return c.run(&flags, Cli::command()).await;
    }
    let global = flags.resolve()?;
    global.no_dry_run("run, orchestrator, miner, validator, relay, demo")?;
    match command {
        Command::Chain(_) => Ok(()),
        Command::Run(c) => c.run(&global).await,
        Command::Orchestrator(c) => c.run(&global).await,
        Command::Miner(c) => c.run(&global).await,
        Command::Validator(c) => c.run(&global).await,
        Command::Relay(c) => c.run(&global).await,
        Command::Model(c) => c.run(&global),
        #[cfg(feature = "localnet")]
        Command::Demo(c) => c.run(&global).await,
    }
}
